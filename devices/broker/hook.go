package broker

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"stationd/agent/station"
)

// hook is the one hook that mochi is given: who may come in, who may say what,
// and taking in what was said before it is acknowledged.
type hook struct {
	mqtt.HookBase
	cfg   Config
	hooks Hooks
	log   *slog.Logger
	kept  *retained

	ctx    context.Context // of Run; set before the first client comes
	server *mqtt.Server
	timers sync.WaitGroup // one for each connection that ErrLater will close

	mu      sync.Mutex
	holders map[string]*conn       // the newest connection of each client id
	wills   map[string]delayedWill // of clients whose sessions outlive their connections; no more than those

	received, refused, later, dropped, flooded, held, denied atomic.Uint64
}

// maxKeepalive keeps one and a half keepalives within mochi's 16 bits; beyond
// it the sum wraps round and the client is thrown out at once.
const maxKeepalive = 43690

func newHook(cfg Config, hooks Hooks, log *slog.Logger) *hook {
	return &hook{cfg: cfg, hooks: hooks, log: log, kept: newRetained(cfg, log), holders: map[string]*conn{}, wills: map[string]delayedWill{}}
}

func (h *hook) start(ctx context.Context, s *mqtt.Server) { h.ctx, h.server, h.kept.server = ctx, s, s }

func (h *hook) wait() { h.timers.Wait() }

func (h *hook) stats() Stats {
	return Stats{Received: h.received.Load(), Refused: h.refused.Load(), Later: h.later.Load(), Dropped: h.dropped.Load(), Unretained: h.kept.beyond.Load(), Flooded: h.flooded.Load(), Held: h.held.Load(), Denied: h.denied.Load()}
}

// ID names the hook in mochi's logs.
func (h *hook) ID() string { return "stationd" }

// Provides lists the calls that mochi makes.
func (h *hook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnSessionEstablished,
		mqtt.OnDisconnect, mqtt.OnPacketRead, mqtt.OnPacketEncode, mqtt.OnPublish, mqtt.OnWill, mqtt.OnWillSent, mqtt.OnClientExpired,
		mqtt.OnRetainMessage, mqtt.OnRetainedExpired:
		return true
	}
	return false
}

// OnConnect corrects what a client asked for.
func (h *hook) OnConnect(cl *mqtt.Client, _ packets.Packet) error {
	cl.State.Keepalive = min(cl.State.Keepalive, maxKeepalive)
	// A will waits no longer than its session lasts (MQTT 5 only, 3.1.3.2.2). A
	// client that names no expiry has a session that ends with its connection.
	expiry := uint32(0)
	if cl.Properties.Props.SessionExpiryIntervalFlag {
		expiry = min(cl.Properties.Props.SessionExpiryInterval, uint32(h.cfg.SessionExpiry/time.Second))
	}
	cl.Properties.Will.WillDelayInterval = min(cl.Properties.Will.WillDelayInterval, expiry)
	return nil
}

// OnConnectAuthenticate lets a client in or not.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	c := clientOf(cl)
	deny := func(cause string) bool {
		h.log.Warn("sensor client turned away", "client", c.ID, "username", c.Username, "remote", c.Remote, "cause", cause)
		return false
	}
	if c.ID == mqtt.InlineClientId {
		return deny("the client id is reserved")
	}
	if h.hooks.Authenticate == nil || !h.hooks.Authenticate(ConnectInfo{
		ClientID: c.ID, Username: c.Username, Password: station.Secret(pk.Connect.Password), Cert: c.Cert, Remote: c.Remote,
	}) {
		return deny("wrong name, password or certificate")
	}
	if pk.Connect.WillFlag && !h.may(h.hooks.MayPublish, c, cl.Properties.Will.TopicName) {
		return deny("the last will's topic is not allowed")
	}
	old, known := h.server.Clients.Get(c.ID)
	foreign := known && string(old.Properties.Username) != c.Username
	if !known && h.server.Clients.Len() > h.cfg.MaxSessions { // the server's own client is one of them
		return deny("too many sessions")
	}
	if foreign && !old.Closed() {
		return deny("the client id is in use by another account")
	}
	if !h.succeed(cl) {
		return deny("its older connection does not end")
	}
	if c, ok := cl.Net.Conn.(*conn); ok {
		c.letIn()
	}
	if foreign { // a session that another account left behind is not inherited
		h.server.UnsubscribeClient(old)
		old.ClearInflights()
		h.server.Clients.Delete(c.ID)
	}
	return true
}

// succeed ends the older connection of the same client and waits until it is
// gone. mochi would let both run for a moment, in which the older one's end
// can take the newer one's subscriptions away, its will come after the newer
// one's first message, and a message be handled while it comes again.
func (h *hook) succeed(cl *mqtt.Client) bool {
	c, ok := cl.Net.Conn.(*conn)
	if !ok {
		return false
	}
	h.mu.Lock()
	older := h.holders[cl.ID]
	c.client = cl.ID
	h.holders[cl.ID] = c
	h.mu.Unlock()
	if older == nil {
		return true
	}
	_ = older.Close()
	select {
	case <-older.gone:
		return true
	case <-time.After(h.cfg.ConnectTimeout):
	case <-h.ctx.Done():
	}
	return false
}

// gone is called when everything about a connection has ended.
func (h *hook) gone(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.holders[c.client] == c {
		delete(h.holders, c.client)
	}
}

func (h *hook) may(ask func(Client, string) bool, c Client, topic string) bool {
	return ask != nil && ask(c, topic)
}

// OnACLCheck is asked for each message and each subscription.
func (h *hook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	if write {
		if h.may(h.hooks.MayPublish, clientOf(cl), outward(topic)) {
			return true
		}
		h.denied.Add(1)
		// At QoS 0 the client is told nothing, and what it says may be an alarm.
		if c, ok := cl.Net.Conn.(*conn); ok && !c.denied {
			c.denied = true
			h.log.Warn("message to a topic that the account does not have", "client", cl.ID, "username", string(cl.Properties.Username), "topic", outward(topic))
		}
		return false
	}
	if strings.HasPrefix(topic, hiddenTopics) { // of devices made for a cloud: for us alone
		return false
	}
	return h.may(h.hooks.MaySubscribe, clientOf(cl), topic)
}

// OnSessionEstablished comes after CONNACK, before the first message is read.
func (h *hook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	h.takeWill(cl.ID) // it is back in time
	if h.hooks.Connected != nil {
		h.hooks.Connected(clientOf(cl))
	}
}

// OnDisconnect comes after the last message and the will.
func (h *hook) OnDisconnect(cl *mqtt.Client, _ error, _ bool) {
	if h.hooks.Disconnected != nil {
		h.hooks.Disconnected(clientOf(cl))
	}
}

// OnPacketRead drops what was read ahead on a connection that was closed. It
// would overtake the refused message, which comes again on the next one.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if c, ok := cl.Net.Conn.(*conn); ok {
		select {
		case <-c.closed:
			return pk, packets.ErrRejectPacket
		default:
		}
	}
	if pk.FixedHeader.Type == packets.Publish {
		pk.TopicName = inward(pk.TopicName)
	}
	return pk, nil
}

// OnPacketEncode tells an MQTT 5 client how large its packets may be; mochi keeps
// that limit to itself.
func (h *hook) OnPacketEncode(_ *mqtt.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type == packets.Connack && pk.ProtocolVersion == 5 && pk.ReasonCode == 0 {
		pk.Properties.MaximumPacketSize = uint32(h.cfg.MaxPacket)
	}
	return pk
}

// OnPublish takes a message in before it is acknowledged. Of all errors only
// ErrRejectPacket keeps mochi from acknowledging to a 3.1.1 client.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	flood, err := h.pace(cl, pk.FixedHeader.Qos)
	if err != nil {
		return pk, packets.ErrRejectPacket
	}
	err = h.take(Message{
		Client: clientOf(cl), Topic: pk.TopicName, Payload: pk.Payload, QoS: pk.FixedHeader.Qos,
		Retain: pk.FixedHeader.Retain, Duplicate: pk.FixedHeader.Dup, PacketID: pk.PacketID, Flood: flood,
	})
	switch {
	case err == nil:
		return pk, nil
	case errors.Is(err, ErrFlood) && pk.FixedHeader.Qos == 0:
		h.flooded.Add(1)
		return pk, packets.ErrRejectPacket
	case pk.FixedHeader.Qos == 0:
		h.dropped.Add(1)
		return pk, packets.ErrRejectPacket
	case errors.Is(err, ErrLater):
		return h.putOff(cl, pk)
	}
	h.refused.Add(1)
	h.log.Warn("message refused, client held", "client", cl.ID, "topic", pk.TopicName, "hold", h.cfg.Hold, "error", err)
	var closed <-chan struct{}
	if c, ok := cl.Net.Conn.(*conn); ok {
		closed = c.closed
	}
	select {
	case <-time.After(h.cfg.Hold):
	case <-closed:
	case <-h.ctx.Done():
	}
	// Closing the connection rather than stopping the client lets its reader
	// fail, and with it the will go out, as it must after an unclean end.
	_ = cl.Net.Conn.Close()
	return pk, packets.ErrRejectPacket
}

func (h *hook) take(m Message) error {
	h.received.Add(1)
	m.Topic = outward(m.Topic)
	if h.hooks.Publish == nil {
		return nil
	}
	return h.hooks.Publish(h.ctx, m)
}

// putOff leaves pk unacknowledged and has the connection closed after a while.
func (h *hook) putOff(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c, ok := cl.Net.Conn.(*conn)
	if !ok || int(c.later) >= h.cfg.MaxLater {
		h.dropped.Add(1)
		return pk, packets.CodeSuccessIgnore // acknowledged, but given to nobody
	}
	h.later.Add(1)
	if c.later++; c.later == 1 {
		h.log.Warn("messages put off", "client", cl.ID, "topic", pk.TopicName, "hold", h.cfg.Hold)
		h.timers.Go(func() {
			select {
			case <-time.After(h.cfg.Hold):
				_ = c.Close()
			case <-c.closed:
			case <-h.ctx.Done():
			}
		})
	}
	return pk, packets.ErrRejectPacket
}

// OnRetainMessage comes after mochi has retained a message, or a will, or has
// forgotten one; OnRetainedExpired after its time is over.
func (h *hook) OnRetainMessage(_ *mqtt.Client, pk packets.Packet, _ int64) {
	h.kept.settle(pk.TopicName)
}

// OnRetainedExpired is the other of the two.
func (h *hook) OnRetainedExpired(topic string) { h.kept.settle(topic) }

// OnWillSent takes a will in; mochi does not pass wills to OnPublish. When the
// broker itself stops it is not the clients that broke off.
func (h *hook) OnWillSent(cl *mqtt.Client, pk packets.Packet) {
	if w, waited := h.takeWill(cl.ID); waited {
		h.takeInWill(w.client, w.packet)
		return
	}
	h.takeInWill(clientOf(cl), pk)
}

func (h *hook) takeInWill(c Client, pk packets.Packet) {
	if h.ctx.Err() != nil || !h.may(h.hooks.MayPublish, c, pk.TopicName) {
		return
	}
	err := h.take(Message{
		Client: c, Topic: pk.TopicName, Payload: pk.Payload, QoS: pk.FixedHeader.Qos,
		Retain: pk.FixedHeader.Retain, Will: true,
	})
	if err != nil {
		h.dropped.Add(1)
		h.log.Warn("last will refused", "client", c.ID, "topic", pk.TopicName, "error", err)
	}
}

// delayedWill is a will that waits for its time, and whose it is.
type delayedWill struct {
	client Client
	packet packets.Packet
}

// OnWill comes before a will goes out, in the goroutine of the connection that
// broke. When the broker itself stops, what the clients left as their last word is
// not what is true of them after a restart. A will that waits is noted: later
// nothing of the client may be read, which mochi changes meanwhile.
func (h *hook) OnWill(cl *mqtt.Client, will mqtt.Will) (mqtt.Will, error) {
	if h.ctx.Err() != nil {
		will.Retain = false
	}
	if will.WillDelayInterval == 0 {
		return will, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wills[cl.ID] = delayedWill{clientOf(cl), packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: will.Retain, Qos: will.Qos},
		TopicName:   will.TopicName, Payload: will.Payload,
	}}
	return will, nil
}

// takeWill returns and forgets the will that waits for a client's time.
func (h *hook) takeWill(client string) (delayedWill, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w, ok := h.wills[client]
	delete(h.wills, client)
	return w, ok
}

// OnClientExpired comes before a session is forgotten. A will that waits just as
// long would reach the subscribers and no longer us: mochi looks its client up.
func (h *hook) OnClientExpired(cl *mqtt.Client) {
	if w, ok := h.takeWill(cl.ID); ok {
		h.takeInWill(w.client, w.packet)
	}
}

func clientOf(cl *mqtt.Client) Client {
	c := Client{ID: cl.ID, Username: string(cl.Properties.Username), Remote: cl.Net.Remote}
	if nc, ok := cl.Net.Conn.(*conn); ok {
		c.Cert = nc.cert()
	}
	return c
}

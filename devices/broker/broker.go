package broker

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"stationd/agent/station"
)

// Broker is the listener, the sessions and the retained messages.
type Broker struct {
	cfg   Config
	log   *slog.Logger
	hook  *hook
	ready chan struct{}

	server atomic.Pointer[mqtt.Server]
	addr   atomic.Pointer[net.Addr]
	door   atomic.Pointer[door]

	addrTLS atomic.Pointer[net.Addr]
	ran     atomic.Bool

	handed   sync.WaitGroup // connections that Serve has
	handedMu sync.Mutex     // orders Serve before the end
}

// ConnectInfo is what a client shows when it connects.
type ConnectInfo struct {
	ClientID string
	Username string
	Password station.Secret
	// Cert is the client's certificate, verified against Config.TLS.ClientCAs;
	// nil when there is none.
	Cert *x509.Certificate
	// Remote is the client's network address.
	Remote string
}

// Client is a client that was let in.
type Client struct {
	ID       string
	Username string
	Cert     *x509.Certificate
	Remote   string
}

// Message is what a client publishes.
type Message struct {
	Client    Client
	Topic     string
	Payload   []byte // must not be changed
	QoS       byte
	Retain    bool
	Duplicate bool   // the DUP flag: the client may have sent it before
	PacketID  uint16 // zero for QoS 0 and for wills
	Will      bool   // left behind by a client that broke off
	// Flood tells that the client sends more than it may, at QoS 0. What can be
	// done without is to be refused with ErrFlood.
	Flood bool
}

// Hooks are the decisions that the broker leaves to its owner. They are called
// from many goroutines at once.
type Hooks struct {
	// Authenticate lets a client in. Nil turns everybody away.
	Authenticate func(ConnectInfo) bool
	// MayPublish is asked for each message, and for the will on connecting.
	// Nil denies.
	MayPublish func(c Client, topic string) bool
	// MaySubscribe is asked for each filter of a subscription and again for the
	// topic of each message that would go to c. Nil denies.
	MaySubscribe func(c Client, filter string) bool
	// Publish takes a message in. It should return soon after ctx ends, which
	// it does when the broker stops. Nil takes in everything.
	Publish func(ctx context.Context, m Message) error
	// Connected and Disconnected tell of connections that were let in and of
	// their end. For one client they come by turns: the older connection of a
	// client has ended, its last message and its will have been taken in,
	// before the next one is let in.
	Connected    func(c Client)
	Disconnected func(c Client)
}

// ErrLater is returned by Hooks.Publish for QoS 1 or 2 to refuse a message that can
// wait without stopping what is behind it on the same connection: the client
// gets no acknowledgement and is read on, and after Config.Hold its connection
// is closed so that it sends again. At most Config.MaxLater messages of a
// connection are left so, because a client sends no more once its in-flight
// window is full of them; further ones are acknowledged and are thereby lost,
// which Stats counts. A message of QoS 0 is lost and counted at once.
var ErrLater = errors.New("take this message later")

// ErrFlood is returned by Hooks.Publish for a message with Flood that can be done
// without; it is dropped and counted.
var ErrFlood = errors.New("the client sends too much")

// Stats counts since the start.
type Stats struct {
	Clients    int64  // connected now
	Received   uint64 // messages handed to Hooks.Publish
	Refused    uint64 // of them, refused with an error
	Later      uint64 // of them, put off by ErrLater
	Dropped    uint64 // of them, given up: QoS 0 or a will refused, beyond MaxLater
	Undeliver  int64  // messages to clients dropped because they were too slow
	Unretained uint64 // messages not retained, beyond MaxRetained or MaxRetainedBytes
	Flooded    uint64 // messages dropped by ErrFlood
	Held       uint64 // messages of QoS 1 and 2 that waited, beyond MaxRate
	Turned     uint64 // connections turned away by a limit
	Denied     uint64 // messages to topics that their client may not publish to
}

// New makes a broker; it opens nothing.
func New(cfg Config, hooks Hooks, log *slog.Logger) *Broker {
	b := &Broker{cfg: cfg, log: log, ready: make(chan struct{})}
	b.hook = newHook(cfg, hooks, log)
	return b
}

// Run listens and serves until ctx ends. It can be called once.
func (b *Broker) Run(ctx context.Context) error {
	if b.ran.Swap(true) {
		return errors.New("run broker: it was run before")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	lc := net.ListenConfig{}
	ln, err := lc.Listen(ctx, "tcp", b.cfg.Listen)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("listen for sensors on %q: %w", b.cfg.Listen, err)
	}
	d := newDoor(b.cfg, b.log, b.hook.gone)
	b.door.Store(d)
	gates := []*listener{newListener(ln, "sensors", b.cfg.TLS, d)}
	if b.cfg.ListenTLS != "" {
		gates[0].tls = nil
		secure, err := lc.Listen(ctx, "tcp", b.cfg.ListenTLS)
		if err != nil {
			return errors.Join(fmt.Errorf("listen for sensors on %q: %w", b.cfg.ListenTLS, err), ln.Close())
		}
		gates = append(gates, newListener(secure, "sensors-tls", b.cfg.TLS, d))
	}
	shut := func() {
		for _, g := range gates {
			g.Close(nil)
		}
	}

	server := mqtt.New(b.options())
	b.hook.start(ctx, server)
	err = server.AddHook(b.hook, nil)
	for _, g := range gates {
		err = errors.Join(err, server.AddListener(g))
	}
	if err != nil {
		shut()
		return fmt.Errorf("set up broker: %w", err)
	}
	b.hook.kept.load()
	if err := server.Serve(); err != nil {
		shut()
		return fmt.Errorf("start broker: %w", err)
	}
	hideSysTopics(server)
	addr := ln.Addr()
	b.addr.Store(&addr)
	if len(gates) > 1 {
		secure := gates[1].net.Addr()
		b.addrTLS.Store(&secure)
	}
	b.server.Store(server)
	close(b.ready)
	b.log.Info("broker listening", "address", addr.String(), "tls", b.cfg.TLS != nil && b.cfg.ListenTLS == "", "address_tls", b.cfg.ListenTLS)

	var keeping sync.WaitGroup
	keeping.Go(func() { b.hook.kept.keep(ctx) })
	var failed error
	select {
	case <-ctx.Done():
	case <-gates[0].ended:
		failed = fmt.Errorf("accept sensors on %q: %w", b.cfg.Listen, gates[0].err)
	case <-gates[len(gates)-1].ended:
		last := gates[len(gates)-1]
		failed = fmt.Errorf("accept sensors on %q: %w", last.Address(), last.err)
	}
	b.handedMu.Lock()
	b.server.Store(nil) // who hands a connection over from now on finds no server
	b.handedMu.Unlock()
	cancel() // ends Publish calls and holds, so that clients' goroutines can end
	shut()
	for _, g := range gates {
		g.wait()
	}
	b.handed.Wait()
	b.hook.wait()
	err = server.Close()
	keeping.Wait()
	b.hook.kept.last()
	if failed != nil {
		return errors.Join(failed, err)
	}
	return nil
}

// options are the measured settings of mochi.
func (b *Broker) options() *mqtt.Options {
	caps := mqtt.NewDefaultServerCapabilities()
	caps.MaximumClients = int64(b.cfg.MaxClients)
	caps.MaximumPacketSize = uint32(b.cfg.MaxPacket)
	caps.MaximumInflight = uint16(b.cfg.MaxInflight)
	caps.MaximumClientWritesPending = int32(b.cfg.MaxQueued)
	caps.MaximumSessionExpiryInterval = uint32(b.cfg.SessionExpiry / time.Second)
	// The default of a day also deletes retained messages and those of 3.1.1
	// clients, which know no expiry.
	caps.MaximumMessageExpiryInterval = 0
	// mochi asks for permission before it resolves an alias, that is for the
	// empty topic.
	caps.TopicAliasMaximum = 0
	caps.Compatibilities.ObscureNotAuthorized = true
	caps.Compatibilities.NoInheritedPropertiesOnAck = true
	caps.Compatibilities.AlwaysReturnResponseInfo = true
	// PassiveClientDisconnect stays off: with it a client whose session was
	// taken over keeps its connection and goes on publishing.
	caps.Compatibilities.PassiveClientDisconnect = false
	return &mqtt.Options{
		Capabilities: caps,
		Logger:       slog.New(quiet{b.log.Handler()}),
		InlineClient: true,
		// $SYS is of no use here, and each round stops the world for its
		// memory figures.
		SysTopicResendInterval: int64(10 * 365 * 24 * time.Hour / time.Second),
	}
}

// hideSysTopics removes the $SYS messages that mochi retains once at its start.
func hideSysTopics(s *mqtt.Server) {
	for topic := range s.Topics.Retained.GetAll() {
		if strings.HasPrefix(topic, mqtt.SysPrefix) {
			s.Topics.RetainMessage(packets.Packet{TopicName: topic})
		}
	}
}

// Ready is closed once the broker listens.
func (b *Broker) Ready() <-chan struct{} { return b.ready }

// Addr is the address it listens on; nil before it is ready.
func (b *Broker) Addr() net.Addr {
	if a := b.addr.Load(); a != nil {
		return *a
	}
	return nil
}

// AddrTLS is the address for TLS; nil where there is none of its own.
func (b *Broker) AddrTLS() net.Addr {
	if a := b.addrTLS.Load(); a != nil {
		return *a
	}
	return nil
}

// Serve serves a client whose connection somebody else has accepted, a WebSocket
// for example, with the certificate that was verified there or nil. It returns
// when the connection has ended.
func (b *Broker) Serve(nc net.Conn, cert *x509.Certificate) error {
	b.handedMu.Lock()
	s, d := b.server.Load(), b.door.Load()
	if s == nil {
		b.handedMu.Unlock()
		return errors.Join(ErrNotRunning, nc.Close())
	}
	b.handed.Add(1)
	b.handedMu.Unlock()
	defer b.handed.Done()
	c := newConn(nc, d)
	c.verified = cert
	if limit := d.add(c); limit != "" {
		d.turnedAway(c, limit)
		return errors.Join(fmt.Errorf("turned away: %s", limit), nc.Close())
	}
	defer d.remove(c)
	(&listener{name: "handed", door: d, cfg: b.cfg, log: b.log}).serve(c, s.EstablishConnection)
	return nil
}

// ErrNotRunning is what Publish returns outside Run.
var ErrNotRunning = errors.New("the broker is not running")

// Publish sends a message from the server to the clients that subscribed to it.
// It does not pass Hooks.Publish. It waits for no client; see the package
// comment for what it does not promise.
func (b *Broker) Publish(topic string, payload []byte, retain bool, qos byte) error {
	s := b.server.Load()
	if s == nil {
		return ErrNotRunning
	}
	if !ValidTopic(topic) || qos > 2 {
		return fmt.Errorf("publish to %q with QoS %d: not a topic or not a QoS", topic, qos)
	}
	if err := s.Publish(topic, payload, retain, qos); err != nil {
		return fmt.Errorf("publish to %q: %w", topic, err)
	}
	return nil
}

// Retained gives the messages that are retained, by topic; nothing outside Run.
func (b *Broker) Retained() map[string][]byte {
	s := b.server.Load()
	if s == nil {
		return nil
	}
	all := map[string][]byte{}
	for topic, pk := range s.Topics.Retained.GetAll() {
		all[outward(topic)] = pk.Payload
	}
	return all
}

// Disconnect closes the connections of those clients that which picks, for
// example because their account was removed. Their sessions end with them.
func (b *Broker) Disconnect(which func(Client) bool) {
	s := b.server.Load()
	if s == nil {
		return
	}
	for id, cl := range s.Clients.GetAll() {
		if cl.Net.Inline || !which(clientOf(cl)) {
			continue
		}
		cl.Stop(packets.ErrAdministrativeAction)
		s.UnsubscribeClient(cl)
		cl.ClearInflights()
		if now, ok := s.Clients.Get(id); ok && now == cl {
			s.Clients.Delete(id)
		}
	}
}

// Stats returns the counters.
func (b *Broker) Stats() Stats {
	st := b.hook.stats()
	if d := b.door.Load(); d != nil {
		d.mu.Lock()
		st.Turned = d.turned
		d.mu.Unlock()
	}
	if s := b.server.Load(); s != nil {
		st.Clients = atomic.LoadInt64(&s.Info.ClientsConnected)
		st.Undeliver = atomic.LoadInt64(&s.Info.MessagesDropped) + atomic.LoadInt64(&s.Info.InflightDropped)
	}
	return st
}

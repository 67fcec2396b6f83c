package centre

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stationd/agent/station"
	"stationd/uplink/pki"
	"stationd/uplink/protocol"
)

// RelayConfig is a broker of somebody else's that stands between stations and this
// centre: Mosquitto, or a cluster that the district runs already. Which station may
// speak on which topic is for that broker's access list to say, by certificate
// (docs/mosquitto.md); the protocol's own acknowledgement goes through it to the
// end, so that the broker may lose what it likes.
type RelayConfig struct {
	// URL is the broker's address, "mqtts://host:8883". Empty means that there is
	// none.
	URL string `yaml:"url"`
	// Certificate, Key and Authority are PEM files: a node certificate for this
	// centre, its key, and who vouches for the broker.
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	Authority   string `yaml:"authority"`
}

// Enabled tells whether a broker stands between.
func (c RelayConfig) Enabled() bool { return c.URL != "" }

// relay listens to a broker for the desk.
type relay struct {
	cfg  RelayConfig
	self station.NodeID
	desk *desk
	log  *slog.Logger

	mu       sync.Mutex
	client   paho.Client               // nil while there is no connection
	sessions map[station.NodeID]string // as their hello, or their retained status, tells
	queues   map[station.NodeID]chan heard
	wg       sync.WaitGroup
}

type heard struct {
	topic   protocol.Topic
	payload []byte
}

// relayQueue bounds what waits of one station: more than its windows hold. What is
// beyond is dropped; the station sends it again.
const relayQueue = 64

const relayTimeout = 10 * time.Second

func newRelay(cfg RelayConfig, self station.NodeID, d *desk, log *slog.Logger) *relay {
	return &relay{cfg: cfg, self: self, desk: d, log: log, sessions: map[station.NodeID]string{}, queues: map[station.NodeID]chan heard{}}
}

// run keeps the connection until ctx ends.
func (r *relay) run(ctx context.Context) error {
	defer r.wg.Wait()
	pause := 200 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		err := r.connection(ctx)
		if ctx.Err() != nil {
			return nil
		}
		r.log.Warn("the broker between the stations and this centre is lost", "broker", r.cfg.URL, "error", err)
		if time.Since(began) > time.Minute {
			pause = 200 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
		pause = min(2*pause, 15*time.Second)
	}
	return nil
}

// connection is one connection, from dialling to its end.
func (r *relay) connection(ctx context.Context) error {
	u, err := url.Parse(r.cfg.URL)
	if err != nil {
		return err
	}
	secure, err := pki.ClientTLS(pki.Files{Certificate: r.cfg.Certificate, Key: r.cfg.Key, Authority: r.cfg.Authority}, u.Hostname())
	if err != nil {
		return err
	}
	lost := make(chan error, 1)
	opts := paho.NewClientOptions().AddBroker("tls://" + u.Host).SetTLSConfig(secure).
		SetClientID(fmt.Sprintf("%s.%08x", r.self, rand.Uint32())).SetProtocolVersion(4).
		SetCleanSession(true).SetAutoReconnect(false).SetConnectRetry(false).SetOrderMatters(true).
		SetKeepAlive(20 * time.Second).SetConnectTimeout(relayTimeout).SetWriteTimeout(relayTimeout).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { r.hear(ctx, m) }).
		SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err })
	client := paho.NewClient(opts)
	defer client.Disconnect(100)
	if err := settled(ctx, client.Connect()); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	filters := map[string]byte{}
	for _, ch := range []protocol.Channel{protocol.ChannelHello, protocol.ChannelReceipts, protocol.ChannelSignalUp, protocol.ChannelStatus, protocol.ChannelHealth} {
		filters[protocol.Root+"/+/"+string(ch)] = 0
	}
	for _, lane := range station.Lanes() {
		filters[protocol.Root+"/+/"+string(protocol.ChannelEvents)+"/"+string(lane)] = 0
	}
	token := client.SubscribeMultiple(filters, nil)
	if err := settled(ctx, token); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	for filter, code := range token.(*paho.SubscribeToken).Result() {
		if code == 0x80 {
			return station.Errorf(403, "relay.refused", "let this centre read and write "+protocol.Root+"/# in the broker's access list", "the broker refuses %s", filter)
		}
	}
	r.mu.Lock()
	r.client = client
	r.mu.Unlock()
	r.log.Info("listening to stations at a broker", "broker", r.cfg.URL)
	defer func() {
		r.mu.Lock()
		r.client = nil
		r.mu.Unlock()
	}()
	select {
	case err := <-lost:
		return err
	case <-ctx.Done():
		return nil
	}
}

func settled(ctx context.Context, t paho.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-time.After(relayTimeout):
		return errors.New("no answer")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hear takes a message from paho, which must not wait for the disk: each station
// has a queue of its own.
func (r *relay) hear(ctx context.Context, m paho.Message) {
	t, ok := protocol.ParseTopic(m.Topic())
	if !ok || !t.Channel.Up() || m.Retained() && t.Channel != protocol.ChannelStatus || len(m.Payload()) > protocol.MaxBatchBytes {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	queue := r.queues[t.Node]
	if queue == nil {
		if len(r.queues) >= r.desk.cfg.MaxStations {
			return
		}
		queue = make(chan heard, relayQueue)
		r.queues[t.Node] = queue
		r.wg.Go(func() { r.serve(ctx, t.Node, queue) })
	}
	select {
	case queue <- heard{t, m.Payload()}:
	default:
	}
}

// serve takes one station's messages in, in their order.
func (r *relay) serve(ctx context.Context, node station.NodeID, queue <-chan heard) {
	for {
		select {
		case <-ctx.Done():
			return
		case h := <-queue:
			session := r.session(node, h)
			if session != "" {
				r.desk.message(ctx, node, session, h.topic, h.payload)
			}
		}
	}
}

// session is in which session a station speaks. The broker does not tell who is
// connected; hello and status say it, and the status is retained, so that it is
// known after a restart too.
func (r *relay) session(node station.NodeID, h heard) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch h.topic.Channel {
	case protocol.ChannelHello:
		if m, err := protocol.Decode[protocol.Hello](h.payload); err == nil {
			r.sessions[node] = m.Session
		}
	case protocol.ChannelStatus:
		m, err := protocol.Decode[protocol.Status](h.payload)
		if err != nil {
			return ""
		}
		if !m.Online {
			return m.Session // perhaps of an older connection
		}
		r.sessions[node] = m.Session
	}
	return r.sessions[node]
}

// send publishes to a station that is heard here; false where it never was.
func (r *relay) send(node station.NodeID, ch protocol.Channel, payload []byte) (bool, error) {
	r.mu.Lock()
	client, known := r.client, r.queues[node] != nil
	r.mu.Unlock()
	if !known {
		return false, nil
	}
	if client == nil {
		return true, errors.New("the broker between is lost")
	}
	token := client.Publish(protocol.Topic{Node: node, Channel: ch}.String(), 0, false, payload)
	select {
	case <-token.Done():
		return true, token.Error()
	default:
		return true, nil // on its way
	}
}

// Validate names every fault.
func (c RelayConfig) Validate() error {
	if !c.Enabled() {
		return nil
	}
	var faults []error
	if u, err := url.Parse(c.URL); err != nil || u.Scheme != "mqtts" || u.Hostname() == "" {
		faults = append(faults, station.Errorf(400, "config.invalid", "write mqtts://host:8883", "%q is not a broker's address", c.URL).At("url"))
	}
	if strings.TrimSpace(c.Certificate) == "" || c.Key == "" || c.Authority == "" {
		faults = append(faults, station.Errorf(400, "config.invalid", "make a node certificate for this centre with 'stationd issue' and name the three files", "certificate, key and authority are not all named").At("certificate"))
	}
	return errors.Join(faults...)
}

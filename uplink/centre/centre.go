package centre

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/devices/broker"
	"stationd/uplink/pki"
	"stationd/uplink/protocol"
)

// Deps is what the centre works with.
type Deps struct {
	// Node and Version are who we are, for stations to show.
	Node    station.NodeID
	Version string
	Inbox   Inbox
	// Clips may be nil: no clips are taken in. Live may be nil: OpenLeg fails.
	Clips ClipStore
	Live  Live
	// Enrolments may be nil: whoever has a certificate of the authority is let in,
	// and none are given out.
	Enrolments Enrolments
	Log        *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Centre lets stations in.
type Centre struct {
	cfg   Config
	deps  Deps
	desk  *desk
	ready chan struct{}
	// recheck is asked for a look at the open connections; one is enough.
	recheck chan struct{}

	mu       sync.Mutex
	broker   *broker.Broker
	relay    *relay // nil without a broker between
	httpAddr net.Addr
}

// New makes a centre. It opens nothing.
func New(cfg Config, deps Deps) *Centre {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	c := &Centre{cfg: cfg, deps: deps, ready: make(chan struct{}), recheck: make(chan struct{}, 1)}
	c.desk = newDesk(cfg, deps, c.send)
	return c
}

// Run listens until ctx ends. It can be called once.
func (c *Centre) Run(ctx context.Context) error {
	if !c.cfg.Enabled() {
		<-ctx.Done()
		return nil
	}
	tlsConfig, err := pki.ServerTLS(c.cfg.files(), c.admit)
	if err != nil {
		return fmt.Errorf("let stations in: %w", err)
	}
	openTLS, err := pki.OpenServerTLS(c.cfg.files(), c.admit)
	if err != nil {
		return fmt.Errorf("let stations in: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	door := &door{desk: c.desk, enter: c.enter, perNode: map[station.NodeID]int{}, log: c.deps.Log}
	b := broker.New(brokerConfig(c.cfg, tlsConfig), door.hooks(), c.deps.Log)
	c.mu.Lock()
	c.broker = b
	c.mu.Unlock()
	c.desk.begin(ctx)

	var clips *clipServer
	var open *guests
	if c.cfg.ClipsListen != "" {
		open = newGuests(c.enter)
		if clips, err = c.listenClips(ctx, openTLS, open); err != nil {
			return err
		}
		clips.mux.HandleFunc("GET "+protocol.SocketPath, open.admitted((&socketDoor{b, c.deps.Log}).serve))
		c.mu.Lock()
		c.httpAddr = clips.listener.Addr()
		c.mu.Unlock()
		if c.deps.Clips != nil {
			c.desk.clipPort = int(netip.MustParseAddrPort(clips.listener.Addr().String()).Port())
		}
	}

	var wg sync.WaitGroup
	if c.cfg.Relay.Enabled() {
		r := newRelay(c.cfg.Relay, c.deps.Node, c.desk, c.deps.Log)
		c.mu.Lock()
		c.relay = r
		c.mu.Unlock()
		wg.Go(func() { _ = r.run(ctx) }) // it ends with ctx alone
	}
	errs := make(chan error, 3)
	wg.Go(func() { errs <- b.Run(ctx) })
	wg.Go(func() { errs <- c.runRecheck(ctx, b, open) })
	if clips != nil {
		wg.Go(func() { errs <- clips.run(ctx) })
	}
	select {
	case <-b.Ready():
		close(c.ready)
		err = <-errs
	case err = <-errs:
	}
	stopped := ctx.Err() != nil
	cancel()
	wg.Wait()
	c.desk.end()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	if err == nil && !stopped {
		err = errors.New("a listener for stations ended early")
	}
	return err
}

// Ready is closed once stations can come.
func (c *Centre) Ready() <-chan struct{} { return c.ready }

// MQTTAddr is where stations are let in; nil before Ready.
func (c *Centre) MQTTAddr() net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broker == nil {
		return nil
	}
	return c.broker.Addr()
}

// HTTPAddr is where clips are taken in; nil when they are not.
func (c *Centre) HTTPAddr() net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.httpAddr
}

// send publishes to one node. It is QoS 0 on purpose: acks and commands are sent
// again when they were needed and did not come, signals must not wait.
func (c *Centre) send(node station.NodeID, ch protocol.Channel, payload []byte) error {
	c.mu.Lock()
	b, r := c.broker, c.relay
	c.mu.Unlock()
	if r != nil {
		// A station is heard at one place at a time, and what nobody listens to costs
		// nothing: it is said at both.
		if there, err := r.send(node, ch, payload); there && err != nil {
			c.deps.Log.Debug("not said at the broker", "node", node, "error", err)
		}
	}
	if b == nil {
		return broker.ErrNotRunning
	}
	return b.Publish(protocol.Topic{Node: node, Channel: ch}.String(), payload, false, 0)
}

// Node is one station, as the centre sees it now.
type Node struct {
	ID     station.NodeID
	Online bool
	// Since is when Online last changed.
	Since   time.Time
	Version string
	// Offset is the station's clock minus ours, as it was compared last.
	Offset time.Duration
	// Marks are what is held of it, as far as it was asked for.
	Marks map[station.Lane]Mark
	// Events counts what was taken in, Duplicates what had been here already,
	// Gaps what was asked for again, and Refused what could not be stored.
	Events, Duplicates, Gaps, Refused uint64
}

// Nodes lists the stations that have come since the start, by ID.
func (c *Centre) Nodes() []Node { return c.desk.list() }

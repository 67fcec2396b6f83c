package centre

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/uplink/protocol"
)

// desk is the conversation with every station: hello, events, signals and
// receipts. It knows nothing of brokers; send is its mouth.
type desk struct {
	cfg      Config
	deps     Deps
	log      *slog.Logger
	send     func(node station.NodeID, ch protocol.Channel, payload []byte) error
	clipPort int

	ctx context.Context // of Run
	wg  sync.WaitGroup

	mu    sync.Mutex // guards the map and the fields of children below their own line
	nodes map[station.NodeID]*child

	legs   legs
	orders orders
}

// child is one station.
type child struct {
	// taking serialises batches: while a line flaps, two connections of one
	// station may deliver at once.
	taking sync.Mutex

	// Guarded by desk.mu:
	Node
	session string
	epoch   station.Epoch
	// clockTold is the offset that the inbox knows.
	clockTold time.Duration
}

func newDesk(cfg Config, deps Deps, send func(station.NodeID, protocol.Channel, []byte) error) *desk {
	return &desk{
		cfg: cfg, deps: deps, log: deps.Log, send: send, nodes: map[station.NodeID]*child{},
		legs: legs{open: map[string]*leg{}}, orders: orders{pending: map[string]*pendingOrder{}},
	}
}

func (d *desk) begin(ctx context.Context) { d.ctx = ctx }

// end waits for what messages have started.
func (d *desk) end() { d.wg.Wait() }

func (d *desk) child(node station.NodeID) *child {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.nodes[node]
	if c == nil {
		c = &child{Node: Node{ID: node, Since: d.deps.Now(), Marks: map[station.Lane]Mark{}}}
		d.nodes[node] = c
	}
	return c
}

func (d *desk) list() []Node {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []Node
	for _, c := range d.nodes {
		n := c.Node
		n.Marks = maps.Clone(n.Marks)
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// message takes one message of a station in. The caller has checked that topic
// and session belong to node.
func (d *desk) message(ctx context.Context, node station.NodeID, session string, t protocol.Topic, payload []byte) {
	c := d.child(node)
	var err error
	switch t.Channel {
	case protocol.ChannelHello:
		err = d.hello(ctx, c, session, payload)
	case protocol.ChannelEvents:
		err = d.events(ctx, c, session, t.Lane, payload)
	case protocol.ChannelSignalUp:
		err = d.signal(c, payload)
	case protocol.ChannelReceipts:
		err = d.receipt(node, payload)
	case protocol.ChannelStatus:
		err = d.status(c, session, payload)
	case protocol.ChannelHealth:
		err = d.health(ctx, c, session, payload)
	}
	if err != nil {
		d.log.Warn("station's message not taken", "node", node, "channel", t.Channel, "error", err)
	}
}

// hello opens a session and tells what is held.
func (d *desk) hello(ctx context.Context, c *child, session string, payload []byte) error {
	now := d.deps.Now()
	w := protocol.Welcome{Versions: protocol.Versions(), Node: d.deps.Node, Session: session, Software: d.deps.Version, Time: now}
	refuse := func(p *station.Problem, cause error) error {
		w.Problem = p
		return errors.Join(cause, d.say(c.ID, protocol.ChannelWelcome, w))
	}
	h, err := protocol.Decode[protocol.Hello](payload)
	if err != nil {
		return refuse(problemOf(err), err)
	}
	if h.Node != c.ID || h.Session != session {
		err := errors.New("hello of another node or session than the connection's")
		return refuse(protocol.ErrMalformed, err)
	}
	if w.Protocol, err = protocol.Choose(h.Versions); err != nil {
		return refuse(problemOf(err), err)
	}
	c.taking.Lock()
	defer c.taking.Unlock()
	w.Marks = map[station.Lane]protocol.Mark{}
	marks := map[station.Lane]Mark{}
	for _, lane := range station.Lanes() {
		m, err := d.deps.Inbox.Mark(ctx, c.ID, lane)
		if err != nil {
			w.Protocol, w.Marks = 0, nil
			return refuse(problemOf(err), err)
		}
		marks[lane] = m
		w.Marks[lane] = protocol.Mark{Epoch: m.Epoch, Seq: protocol.Decimal(m.Seq), Hop: protocol.Decimal(m.Hop)}
	}
	w.ClipPort = d.clipPort
	w.Compress = protocol.ChooseCompression(h.Compress)
	w.HealthEvery = int(d.cfg.HealthEvery / time.Second)

	d.mu.Lock()
	if c.Online && c.session != session && c.epoch != h.Epoch {
		d.log.Warn("a station connects with another store while it is connected: two machines may have one certificate", "node", c.ID, "epoch", h.Epoch, "before", c.epoch)
	}
	c.session, c.epoch, c.Marks = session, h.Epoch, marks
	c.Version, c.Offset = h.Software, h.Time.Sub(now)
	d.mu.Unlock()
	if err := d.say(c.ID, protocol.ChannelWelcome, w); err != nil {
		return err
	}
	// Only now: a station hears nothing before its welcome, and a call for a
	// picture that overtook it would be lost.
	d.mu.Lock()
	if !c.Online {
		c.Online, c.Since = true, now
	}
	d.mu.Unlock()
	d.log.Info("station connected", "node", c.ID, "version", h.Software, "epoch", h.Epoch)
	d.seen(ctx, c.ID, station.Presence{Online: true, Version: h.Software})
	d.noteClock(c, h.Time.Sub(now))
	d.resendOrders(c.ID)
	return nil
}

// events takes a batch in and answers with the mark.
func (d *desk) events(ctx context.Context, c *child, session string, lane station.Lane, payload []byte) error {
	c.taking.Lock()
	defer c.taking.Unlock()
	d.mu.Lock()
	current, epoch, mark := c.session, c.epoch, c.Marks[lane]
	d.mu.Unlock()

	ack := protocol.Ack{Protocol: protocol.Version, Session: session, Lane: lane}
	answer := func(m Mark) error {
		ack.Mark = protocol.Mark{Epoch: m.Epoch, Seq: protocol.Decimal(m.Seq), Hop: protocol.Decimal(m.Hop)}
		return d.say(c.ID, protocol.ChannelAcks, ack)
	}
	refuse := func(p *station.Problem, cause error) error {
		d.mu.Lock()
		c.Refused++
		d.mu.Unlock()
		ack.Problem, ack.Wait, ack.Because = p, 0, nil
		return errors.Join(cause, answer(mark))
	}
	if current != session {
		// An older connection's last words, or our memory is gone: either way
		// the marks must be agreed upon first.
		return refuse(protocol.ErrNoSession, nil)
	}
	batch, err := protocol.DecodeBatch(c.ID, lane, payload)
	if err != nil {
		return refuse(problemOf(err), err)
	}
	if batch[0].Epoch != epoch {
		return refuse(protocol.ErrMalformed, errors.New("events of another epoch than the hello's"))
	}
	fresh, _, gap := Admit(mark, batch)
	switch {
	case gap:
		if mark.Epoch != epoch {
			mark = Mark{Epoch: epoch}
		}
		ack.Expect = protocol.Decimal(mark.Hop + 1)
		d.mu.Lock()
		c.Gaps++
		d.mu.Unlock()
		return answer(mark)
	case len(fresh) == 0:
		d.mu.Lock()
		c.Duplicates += uint64(len(batch))
		d.mu.Unlock()
		return answer(mark)
	}
	began := d.deps.Now()
	next, err := d.deps.Inbox.Accept(ctx, c.ID, lane, fresh)
	ack.Wait, ack.Because = pressure(lane, d.deps.Now().Sub(began), len(fresh))
	if err != nil {
		if ctx.Err() != nil {
			return nil // stopping: say nothing, the station sends again
		}
		return refuse(problemOf(err), err)
	}
	d.mu.Lock()
	if c.session == session {
		c.Marks[lane] = next
	}
	c.Events += uint64(len(fresh))
	c.Duplicates += uint64(len(batch) - len(fresh))
	d.mu.Unlock()
	return answer(next)
}

// What a lane may cost here before it is asked to go slower. Alarms are never
// asked.
const (
	slowBulk   = 100 * time.Millisecond
	slowNormal = time.Second
)

// pressure asks a station for a pause as long as its batch has taken, so that at
// most half of the time here is spent on what can wait.
func pressure(lane station.Lane, took time.Duration, events int) (wait int, why *station.Problem) {
	if lane == station.LaneUrgent || lane == station.LaneNormal && took < slowNormal || lane == station.LaneBulk && took < slowBulk {
		return 0, nil
	}
	took = min(took, 30*time.Second)
	return int(took / time.Millisecond), station.Errorf(503, "uplink.slow", "look at the centre's disk and processor",
		"the centre takes %s for a batch of %d", took.Round(time.Millisecond), events)
}

// status hears a station say goodbye, by itself or by its last will. That it is
// there is told by hello.
func (d *desk) status(c *child, session string, payload []byte) error {
	s, err := protocol.Decode[protocol.Status](payload)
	if err != nil {
		return err
	}
	if !s.Online && s.Session == session {
		d.gone(c.ID, session, s.Bye)
	}
	return nil
}

// health hears what a station says of itself.
func (d *desk) health(ctx context.Context, c *child, session string, payload []byte) error {
	h, err := protocol.Decode[protocol.Health](payload)
	if err != nil {
		return err
	}
	d.mu.Lock()
	current := c.session
	d.mu.Unlock()
	if h.Session != session || current != session {
		return nil // of a connection that is over
	}
	return d.deps.Inbox.NodeHeard(ctx, c.ID, h.Health)
}

// gone is told when a connection ends, with what the station has said at the end.
// Only the current one makes a node offline: the news of an older one may come late.
func (d *desk) gone(node station.NodeID, session string, bye station.Bye) {
	d.mu.Lock()
	c := d.nodes[node]
	if c == nil || c.session != session || !c.Online {
		d.mu.Unlock()
		return
	}
	c.Online, c.session, c.Since = false, "", d.deps.Now()
	version := c.Version
	d.mu.Unlock()
	// When we are stopping, it is not the stations that went.
	if d.ctx.Err() == nil {
		d.log.Info("station disconnected", "node", node)
		d.seen(d.ctx, node, station.Presence{Version: version, Bye: bye})
	}
}

func (d *desk) seen(ctx context.Context, node station.NodeID, p station.Presence) {
	if err := d.deps.Inbox.NodeSeen(ctx, node, p); err != nil && ctx.Err() == nil {
		d.log.Error("station's coming or going not stored", "node", node, "online", p.Online, "error", err)
	}
}

// online is whether a station can be spoken to, and its clock.
func (d *desk) online(node station.NodeID) (offset time.Duration, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.nodes[node]
	if c == nil || !c.Online {
		return 0, false
	}
	return c.Offset, true
}

func (d *desk) say(node station.NodeID, ch protocol.Channel, m any) error {
	b, err := encode(m)
	if err != nil {
		return err
	}
	return d.send(node, ch, b)
}

func encode(m any) ([]byte, error) {
	switch m := m.(type) {
	case protocol.Welcome:
		return protocol.Encode(m)
	case protocol.Ack:
		return protocol.Encode(m)
	case protocol.Signal:
		return protocol.Encode(m)
	case protocol.Order:
		return protocol.Encode(m)
	}
	return nil, errors.New("not a message for stations")
}

// problemOf is what a station is told about err: the problem, or that we failed.
// Internal causes stay here.
func problemOf(err error) *station.Problem {
	if p, ok := station.AsProblem(err); ok {
		told := *p
		return told.Because(nil)
	}
	return station.Errorf(500, "uplink.centre", "look at the centre's log", "the centre could not store it")
}

package uplink

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"stationd/agent/station"
	"stationd/uplink/protocol"
	"stationd/uplink/transport"
)

const (
	// maxStrikes is how many time-outs in a row a connection survives. Beyond it
	// the line is a black hole that only a new connection can tell from a slow
	// parent.
	maxStrikes = 3
	// maxRefusals is how many refusals in a row a connection survives; a new one
	// agrees upon everything again.
	maxRefusals = 16
)

// session is one connection, from dialling to its end.
type session struct {
	up    *Uplink
	id    string
	conn  transport.Conn
	lanes []*lane // most urgent first
	// offset is the parent's clock minus ours.
	offset time.Duration
	// held is until when the budget holds lanes back; zero when it holds none.
	held time.Duration
	// clockDue is when the clocks are compared next.
	clockDue time.Time
	// second tells that this is the second line, for the urgent lane alone.
	second bool
	// compress is what the parent wants batches in.
	compress string
	// healthEvery is how often the parent wants to hear of our health; zero is never.
	healthEvery time.Duration
}

// session runs one connection. It returns why it ended.
func (u *Uplink) session(ctx context.Context, dialer transport.Dialer, second bool) error {
	s := &session{up: u, id: rand.Text(), second: second}
	will, err := protocol.Encode(protocol.Status{Protocol: protocol.Version, Session: s.id, Software: u.deps.Version})
	if err != nil {
		return err
	}
	marks := map[station.Lane]protocol.Mark{}
	for _, lane := range u.cfg.Filter.lanes() {
		c := u.state.cursor(lane)
		marks[lane] = protocol.Mark{Epoch: c.Epoch, Seq: protocol.Decimal(c.Seq), Hop: protocol.Decimal(c.Hop)}
	}
	conn, err := dialer.Dial(ctx, transport.Call{Node: u.deps.Journal.Node(), Session: s.id, Will: will, Marks: marks})
	if err != nil {
		return err
	}
	s.conn = metered{conn, u.budget}
	defer func() {
		u.calls.detach(s)
		u.tasks.detach(s)
		if s.conn.Err() == nil { // saying goodbye is worth a try, not more
			bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 500*time.Millisecond)
			_ = s.conn.Send(bye, transport.Message{Channel: protocol.ChannelStatus, Payload: s.goodbye(ctx, will)})
			cancel()
		}
		_ = s.conn.Close()
	}()
	w, err := s.hello(ctx)
	if err != nil {
		return err
	}
	if err := s.begin(ctx, w); err != nil {
		return err
	}
	if err := s.tellHealth(ctx); err != nil {
		return err
	}
	return s.pump(ctx)
}

// hello opens the conversation and waits for the welcome.
func (s *session) hello(ctx context.Context) (protocol.Welcome, error) {
	j := s.up.deps.Journal
	var none protocol.Welcome
	asked := s.up.deps.Now()
	b, err := protocol.Encode(protocol.Hello{
		Versions: protocol.Versions(), Node: j.Node(), Session: s.id, Epoch: j.Epoch(), Software: s.up.deps.Version, Time: asked,
		Compress: protocol.Compressions(),
	})
	if err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.up.cfg.ConnectTimeout)
	defer cancel()
	// The parent may subscribe a moment later than we, when a broker stands
	// between: hello is said until it is answered.
	again := time.NewTicker(max(s.up.cfg.ConnectTimeout/4, 10*time.Millisecond))
	defer again.Stop()
	for {
		if err := s.conn.Send(ctx, transport.Message{Channel: protocol.ChannelHello, Payload: b}); err != nil {
			return none, err
		}
	wait:
		for {
			select {
			case m, ok := <-s.conn.Receive():
				if !ok {
					return none, s.conn.Err()
				}
				if m.Channel != protocol.ChannelWelcome {
					continue
				}
				w, err := protocol.Decode[protocol.Welcome](m.Payload)
				if err != nil {
					return none, fmt.Errorf("the parent's welcome: %w", err)
				}
				if w.Session != s.id {
					continue
				}
				if w.Problem != nil {
					return none, w.Problem
				}
				if _, err := protocol.Choose([]int{w.Protocol}); err != nil {
					return none, err
				}
				now := s.up.deps.Now()
				s.compress = protocol.ChooseCompression([]string{w.Compress})
				s.offset = w.Time.Sub(asked.Add(now.Sub(asked) / 2))
				s.healthEvery = healthEvery(w)
				return w, nil
			case <-again.C:
				break wait
			case <-ctx.Done():
				return none, station.Errorf(504, "uplink.silent", "look whether the parent runs and knows this station", "the parent did not answer within %s", s.up.cfg.ConnectTimeout)
			}
		}
	}
}

// begin puts each lane where the parent's mark tells.
func (s *session) begin(ctx context.Context, w protocol.Welcome) error {
	u, j := s.up, s.up.deps.Journal
	for _, id := range u.cfg.Filter.lanes() {
		if s.second && id != station.LaneUrgent {
			continue
		}
		cur := u.state.cursor(id)
		l := newLane(id, j.Node(), j.Epoch(), u.cfg.Window, u.cfg.Filter)
		l.compress = s.compress
		if err := l.position(cur, w.Marks[id], j.Head()); err != nil {
			return err
		}
		now := Cursor{Target: u.cfg.Target, Lane: id, Epoch: j.Epoch(), Seq: l.acked.seq, Hop: l.acked.hop}
		if now != cur {
			u.state.moved(now, time.Time{})
			u.keeper.put(now)
		}
		if l.acked.seq < cur.Seq {
			u.log.Warn("the parent is behind and gets events again", "lane", id, "from", l.acked.seq, "acknowledged", cur.Seq)
			// The keeper stores the newest alone; whoever must know that the
			// cursor went back is told before it goes on again.
			if err := j.Advance(ctx, now); err != nil {
				u.log.Warn("uplink cursor not set back", "lane", id, "error", err)
			}
		}
		s.lanes = append(s.lanes, l)
	}
	online, err := protocol.Encode(protocol.Status{Protocol: protocol.Version, Online: true, Session: s.id, Software: u.deps.Version, Since: u.deps.Now()})
	if err != nil {
		return err
	}
	if err := s.conn.Send(ctx, transport.Message{Channel: protocol.ChannelStatus, Payload: online}); err != nil {
		return err
	}
	if s.second {
		u.state.secondUp(u.deps.Now())
		u.tasks.attach(s)
		u.log.Info("uplink connected on the second line, for the urgent lane", "target", u.cfg.Target, "parent", w.Node)
		return nil
	}
	u.state.connected(w, u.deps.Now())
	u.calls.attach(s)
	u.tasks.attach(s)
	u.clips.parent(w.ClipPort)
	u.log.Info("uplink connected", "target", u.cfg.Target, "parent", w.Node, "version", w.Software)
	return nil
}

// pump sends, most urgent lane first, and takes in what comes down.
func (s *session) pump(ctx context.Context) error {
	j := s.up.deps.Journal
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	health, stop := s.healthTicks()
	defer stop()
	for {
		// What has come is heard before more is sent.
		if err := s.hear(ctx); err != nil {
			return err
		}
		head := j.Head()
		sent, err := s.send(ctx, head)
		if err != nil {
			return err
		}
		if sent {
			continue
		}
		due, err := s.check()
		if err != nil {
			return err
		}
		if !time.Now().Before(s.clockDue) {
			if err := s.askClock(ctx); err != nil {
				return err
			}
		}
		due = min(due, time.Until(s.clockDue))
		timer.Reset(due)
		select {
		case m, ok := <-s.conn.Receive():
			if !ok {
				return s.conn.Err()
			}
			if err := s.take(ctx, m); err != nil {
				return err
			}
		case <-j.Changed(head):
		case <-health:
			if err := s.tellHealth(ctx); err != nil {
				return err
			}
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *session) hear(ctx context.Context) error {
	for {
		select {
		case m, ok := <-s.conn.Receive():
			if !ok {
				return s.conn.Err()
			}
			if err := s.take(ctx, m); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		default:
			return nil
		}
	}
}

// send sends one batch of the most urgent lane that has one.
func (s *session) send(ctx context.Context, head uint64) (bool, error) {
	now := s.up.deps.Now()
	s.held = 0
	for _, l := range s.lanes {
		if !l.wants(now, head) {
			continue
		}
		if len(l.buffer) == 0 {
			lost := l.lost
			if err := l.fill(s.up.deps.Journal); err != nil {
				return false, err
			}
			if n := l.lost - lost; n > 0 {
				s.up.state.lost(l.id, n)
				s.up.log.Error("the parent lost events that the journal no longer holds", "lane", l.id, "count", n)
			}
		}
		if len(l.buffer) == 0 {
			if l.passOver() {
				c := Cursor{Target: s.up.cfg.Target, Lane: l.id, Epoch: l.epoch, Seq: l.acked.seq, Hop: l.acked.hop}
				s.up.state.moved(c, time.Time{})
				s.up.keeper.put(c)
			}
			if !l.exhaust {
				return true, nil // all of it was held back by the filter; there is more
			}
			continue
		}
		if !s.mayGo(l.id) {
			continue
		}
		payload := l.next(now)
		if err := s.conn.Send(ctx, transport.Message{Channel: protocol.ChannelEvents, Lane: l.id, Payload: payload}); err != nil {
			return false, err
		}
		s.up.state.sent(l.id, len(payload))
		return true, nil
	}
	return false, nil
}

// check sends lanes again whose acknowledgement is overdue, and tells when to
// look again.
func (s *session) check() (time.Duration, error) {
	now := s.up.deps.Now()
	due := s.holding()
	for _, l := range s.lanes {
		if at := l.overdue(s.up.cfg.AckTimeout); !at.IsZero() {
			if wait := at.Sub(now); wait > 0 {
				due = min(due, wait)
			} else {
				l.resend()
				s.up.state.resent(l.id)
				if l.strikes > maxStrikes {
					return 0, station.Errorf(504, "uplink.no-ack", "look at the parent's log and disk", "the parent acknowledged nothing within %s, %d times", s.up.cfg.AckTimeout, l.strikes)
				}
				due = 0
			}
		}
		if wait := l.notBefore.Sub(now); wait > 0 {
			due = min(due, wait)
		}
	}
	return due, nil
}

// take takes one message in. Only what proves that the two ends no longer
// understand each other ends the session.
func (s *session) take(ctx context.Context, m transport.Message) error {
	u := s.up
	s.heard(m)
	switch m.Channel {
	case protocol.ChannelAcks:
		a, err := protocol.Decode[protocol.Ack](m.Payload)
		if err != nil {
			return fmt.Errorf("the parent's acknowledgement: %w", err)
		}
		return s.ack(a)
	case protocol.ChannelSignalDown:
		sig, err := protocol.Decode[protocol.Signal](m.Payload)
		if err != nil {
			u.log.Warn("signal not understood", "error", err)
			return nil
		}
		if sig.Kind == protocol.SignalClock {
			s.clock(sig)
			return nil
		}
		u.calls.signal(ctx, s, sig)
	case protocol.ChannelCommands:
		o, err := protocol.Decode[protocol.Order](m.Payload)
		if err != nil {
			u.log.Warn("command not understood", "error", err)
			return nil
		}
		u.tasks.put(o.Command, s.offset)
	}
	return nil
}

func (s *session) ack(a protocol.Ack) error {
	u := s.up
	if a.Session != s.id {
		return nil // meant for an earlier connection
	}
	if errors.Is(asError(a.Problem), protocol.ErrNoSession) {
		return a.Problem
	}
	for _, l := range s.lanes {
		if l.id != a.Lane {
			continue
		}
		now := u.deps.Now()
		moved, err := l.ack(a, now, u.deps.Journal.Head(), u.cfg.AckTimeout)
		if err != nil {
			return err
		}
		if a.Problem == nil {
			u.state.held(l.id, a.Because, a.Pause())
		}
		if l.problem != nil {
			u.state.refused(l.id, l.problem, now)
			u.log.Warn("the parent refuses events", "lane", l.id, "code", l.problem.Code, "error", l.problem)
			if l.refusals > maxRefusals {
				return l.problem
			}
		}
		if moved {
			c := Cursor{Target: u.cfg.Target, Lane: l.id, Epoch: l.epoch, Seq: l.acked.seq, Hop: l.acked.hop}
			u.state.moved(c, now)
			u.keeper.put(c)
		}
	}
	return nil
}

// asError keeps a nil problem a nil error.
func asError(p *station.Problem) error {
	if p == nil {
		return nil
	}
	return p
}

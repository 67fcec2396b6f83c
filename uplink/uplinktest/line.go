package uplinktest

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"stationd/uplink/protocol"
	"stationd/uplink/transport"
)

// Faults is how bad a line is; each is a probability per message.
type Faults struct {
	Lose, Double, Swap, Break float64
	// Delay holds each message up to so long.
	Delay time.Duration
}

// Line makes the connections of another dialler bad, both ways. Only events and
// acknowledgements are harmed, unless All is set: the rest has its own tests,
// and a lost welcome costs whole time-outs.
type Line struct {
	Dialer transport.Dialer
	All    bool

	mu     sync.Mutex
	rand   *rand.Rand
	faults Faults
	conns  map[*badConn]bool

	// Breaks counts the connections that were broken on purpose.
	Breaks atomic.Int64
}

// NewLine wraps a dialler. The seed decides every fault, but not their timing.
func NewLine(d transport.Dialer, seed uint64, f Faults) *Line {
	return &Line{Dialer: d, rand: rand.New(rand.NewPCG(seed, seed)), faults: f, conns: map[*badConn]bool{}}
}

// Mend makes the line perfect, Harm bad again.
func (l *Line) Mend() { l.Harm(Faults{}) }

// Harm sets the faults.
func (l *Line) Harm(f Faults) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = f
}

// Cut breaks every connection.
func (l *Line) Cut() {
	l.mu.Lock()
	conns := make([]*badConn, 0, len(l.conns))
	for c := range l.conns {
		conns = append(conns, c)
	}
	l.mu.Unlock()
	for _, c := range conns {
		l.Breaks.Add(1)
		c.breakOff()
	}
}

type fate struct {
	lose, double, swap, broken bool
	delay                      time.Duration
}

func (l *Line) fate(ch protocol.Channel) fate {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.All && ch != protocol.ChannelEvents && ch != protocol.ChannelAcks {
		return fate{}
	}
	hit := func(p float64) bool { return p > 0 && l.rand.Float64() < p }
	f := fate{lose: hit(l.faults.Lose), double: hit(l.faults.Double), swap: hit(l.faults.Swap), broken: hit(l.faults.Break)}
	if l.faults.Delay > 0 {
		f.delay = time.Duration(l.rand.Int64N(int64(l.faults.Delay)))
	}
	return f
}

// Dial dials through the other dialler.
func (l *Line) Dial(ctx context.Context, call transport.Call) (transport.Conn, error) {
	conn, err := l.Dialer.Dial(ctx, call)
	if err != nil {
		return nil, err
	}
	c := &badConn{Conn: conn, line: l, in: make(chan transport.Message, 256), lost: make(chan struct{})}
	l.mu.Lock()
	l.conns[c] = true
	l.mu.Unlock()
	c.wg.Go(c.receive)
	return c, nil
}

// badConn is a connection on a bad line.
type badConn struct {
	transport.Conn
	line *Line
	in   chan transport.Message
	wg   sync.WaitGroup

	mu   sync.Mutex
	held *transport.Message // to be sent after the next one
	dead bool
	lost chan struct{}
}

func (c *badConn) breakOff() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead {
		c.dead = true
		close(c.lost)
	}
}

func (c *badConn) Send(ctx context.Context, m transport.Message) error {
	select {
	case <-c.lost:
		return transport.ErrLost
	default:
	}
	f := c.line.fate(m.Channel)
	if f.delay > 0 {
		time.Sleep(f.delay)
	}
	switch {
	case f.broken:
		c.line.Breaks.Add(1)
		c.breakOff()
		return transport.ErrLost
	case f.lose:
		return nil
	}
	c.mu.Lock()
	held := c.held
	c.held = nil
	if f.swap && held == nil {
		c.held = &m
		c.mu.Unlock()
		return nil
	}
	c.mu.Unlock()
	if err := c.Conn.Send(ctx, m); err != nil {
		return err
	}
	if held != nil {
		if err := c.Conn.Send(ctx, *held); err != nil {
			return err
		}
	}
	if f.double {
		return c.Conn.Send(ctx, m)
	}
	return nil
}

// receive harms what comes down.
func (c *badConn) receive() {
	defer close(c.in)
	var held *transport.Message
	give := func(m transport.Message) bool {
		select {
		case c.in <- m:
			return true
		case <-c.lost:
			return false
		}
	}
	for {
		var m transport.Message
		var ok bool
		select {
		case m, ok = <-c.Conn.Receive():
			if !ok {
				return
			}
		case <-c.lost:
			return
		}
		f := c.line.fate(m.Channel)
		if f.delay > 0 {
			time.Sleep(f.delay)
		}
		switch {
		case f.broken:
			c.line.Breaks.Add(1)
			c.breakOff()
			return
		case f.lose:
			continue
		case f.swap && held == nil:
			held = &m
			continue
		}
		if !give(m) {
			return
		}
		if held != nil && !give(*held) {
			return
		}
		held = nil
		if f.double && !give(m) {
			return
		}
	}
}

func (c *badConn) Receive() <-chan transport.Message { return c.in }

func (c *badConn) Err() error {
	select {
	case <-c.lost:
		return transport.ErrLost
	default:
		return c.Conn.Err()
	}
}

func (c *badConn) Close() error {
	c.breakOff()
	err := c.Conn.Close()
	c.wg.Wait()
	c.line.mu.Lock()
	delete(c.line.conns, c)
	c.line.mu.Unlock()
	return err
}

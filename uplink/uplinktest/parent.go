package uplinktest

import (
	"context"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/uplink/protocol"
	"stationd/uplink/transport"
)

// Parent is a parent played by a test, on a line in memory: a transport.Dialer
// that answers hello and hands everything else to the test.
type Parent struct {
	// Welcome answers a hello; nil welcomes with empty marks. Returning false
	// leaves the hello without an answer.
	Welcome func(protocol.Hello) (protocol.Welcome, bool)
	// Refuse, when set, is the error of the next Dial.
	Refuse func() error

	// Heard is what the station said, hello apart; bounded, the rest is lost.
	Heard chan transport.Message

	mu    sync.Mutex
	conn  *parentConn
	dials []time.Time
}

// NewParent makes a parent that welcomes everybody.
func NewParent() *Parent { return &Parent{Heard: make(chan transport.Message, 1024)} }

// Dials are the times at which the station dialled.
func (p *Parent) Dials() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]time.Time(nil), p.dials...)
}

func (p *Parent) Dial(ctx context.Context, call transport.Call) (transport.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dials = append(p.dials, time.Now())
	if p.Refuse != nil {
		if err := p.Refuse(); err != nil {
			return nil, err
		}
	}
	p.conn = &parentConn{parent: p, session: call.Session, in: make(chan transport.Message, 64)}
	return p.conn, ctx.Err()
}

// Session is the station's present session; empty when there is none.
func (p *Parent) Session() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil {
		return ""
	}
	return p.conn.session
}

// Say sends a message down; it is lost when there is no connection.
func (p *Parent) Say(ch protocol.Channel, payload []byte) {
	p.mu.Lock()
	c := p.conn
	p.mu.Unlock()
	if c != nil {
		c.give(transport.Message{Channel: ch, Payload: payload})
	}
}

// HangUp breaks the connection.
func (p *Parent) HangUp() {
	p.mu.Lock()
	c := p.conn
	p.mu.Unlock()
	if c != nil {
		c.end()
	}
}

type parentConn struct {
	parent  *Parent
	session string
	mu      sync.Mutex
	in      chan transport.Message
	ended   bool
}

func (c *parentConn) give(m transport.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	select {
	case c.in <- m:
	default:
	}
}

func (c *parentConn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.ended = true
		close(c.in)
	}
}

func (c *parentConn) Send(_ context.Context, m transport.Message) error {
	if err := c.Err(); err != nil {
		return err
	}
	if m.Channel != protocol.ChannelHello {
		select {
		case c.parent.Heard <- m:
		default:
		}
		return nil
	}
	h, err := protocol.Decode[protocol.Hello](m.Payload)
	if err != nil {
		return err
	}
	w := protocol.Welcome{Protocol: protocol.Version, Versions: protocol.Versions(), Node: "parent", Session: h.Session, Time: time.Now(), Marks: map[station.Lane]protocol.Mark{}}
	if c.parent.Welcome != nil {
		var ok bool
		if w, ok = c.parent.Welcome(h); !ok {
			return nil
		}
		w.Session = h.Session
	}
	b, err := protocol.Encode(w)
	if err != nil {
		return err
	}
	c.give(transport.Message{Channel: protocol.ChannelWelcome, Payload: b})
	return nil
}

func (c *parentConn) Receive() <-chan transport.Message { return c.in }

func (c *parentConn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return transport.ErrLost
	}
	return nil
}

func (c *parentConn) Dropped() uint64 { return 0 }

func (c *parentConn) Close() error {
	c.end()
	c.parent.mu.Lock()
	defer c.parent.mu.Unlock()
	if c.parent.conn == c {
		c.parent.conn = nil
	}
	return nil
}

var _ transport.Dialer = (*Parent)(nil)

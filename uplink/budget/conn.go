package budget

import (
	"context"
	"net"
)

// slice is how much of a write goes at once: more would stand in the router's
// queue as one block.
const slice = 8 << 10

// conn is a connection whose bytes are those of one class.
type conn struct {
	net.Conn
	b     *Budget
	class Class
	life  context.Context
	end   context.CancelFunc
}

// Conn makes a connection of a class that waits obey the budget. Closing it ends
// a write that waits.
func (b *Budget) Conn(c net.Conn, class Class) net.Conn {
	life, end := context.WithCancel(context.Background())
	return &conn{c, b, class, life, end}
}

func (c *conn) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n := min(len(p)-done, slice)
		if err := c.b.Spend(c.life, c.class, OnWire(n)); err != nil {
			return done, net.ErrClosed
		}
		w, err := c.Conn.Write(p[done : done+n])
		done += w
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.b.Received(c.class, OnWire(n))
	}
	return n, err
}

func (c *conn) Close() error {
	c.end()
	return c.Conn.Close()
}

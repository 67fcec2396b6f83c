package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// listener accepts connections for mochi at one address, bounds how long each may
// take to introduce itself, and closes them all in the end. mochi's own listeners
// wait for ever for a CONNECT, and when closing for ever for those who never sent
// one.
type listener struct {
	net   net.Listener
	name  string
	tls   *tls.Config // nil is plain TCP
	door  *door
	cfg   Config
	log   *slog.Logger
	ended chan struct{} // closed when accepting ended
	err   error         // why, readable after ended

	serving sync.WaitGroup
}

func newListener(ln net.Listener, name string, secure *tls.Config, d *door) *listener {
	return &listener{net: ln, name: name, tls: secure, door: d, cfg: d.cfg, log: d.log, ended: make(chan struct{})}
}

// The methods that mochi asks for.
func (l *listener) Init(*slog.Logger) error { return nil }
func (l *listener) ID() string              { return l.name }
func (l *listener) Address() string         { return l.net.Addr().String() }
func (l *listener) Protocol() string        { return l.net.Addr().Network() }

// Serve accepts until the listener is closed.
func (l *listener) Serve(establish listeners.EstablishFn) {
	defer close(l.ended)
	for {
		nc, err := l.net.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				l.err = err
				return
			}
			// Out of file descriptors, mostly: those who are connected go on.
			l.log.Warn("accepting a sensor failed", "error", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		c := newConn(nc, l.door)
		if limit := l.door.add(c); limit != "" {
			_ = nc.Close()
			l.door.turnedAway(c, limit)
			continue
		}
		l.serving.Go(func() {
			defer l.door.remove(c)
			l.serve(c, establish)
		})
	}
}

func newConn(nc net.Conn, d *door) *conn {
	c := &conn{
		Conn: nc, raw: nc, door: d, from: addressOf(nc), writeTimeout: d.cfg.WriteTimeout,
		closed: make(chan struct{}), gone: make(chan struct{}), flood: bucket{rate: d.cfg.MaxRate, most: d.cfg.MaxBurst},
	}
	c.greeting.Store(maxGreeting)
	return c
}

// serve greets one client and hands it to mochi. A panic on a stranger's bytes
// costs him his connection and nobody else anything.
func (l *listener) serve(c *conn, establish listeners.EstablishFn) {
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("serving a sensor client panicked", "remote", c.RemoteAddr().String(), "panic", p, "stack", string(debug.Stack()))
		}
	}()
	_ = c.raw.SetDeadline(time.Now().Add(l.cfg.ConnectTimeout))
	if l.tls != nil {
		t := tls.Server(c.raw, l.tls)
		ctx, cancel := context.WithTimeout(context.Background(), l.cfg.ConnectTimeout)
		err := t.HandshakeContext(ctx)
		cancel()
		if err != nil {
			l.log.Info("TLS handshake failed", "remote", c.RemoteAddr().String(), "error", err)
			return
		}
		c.setTLS(t)
	}
	switch err := establish(l.ID(), c); {
	case errors.Is(err, packets.ErrServerBusy):
		l.door.turnedAway(c, "max_clients")
	case err != nil:
		l.log.Debug("sensor client ended", "remote", c.RemoteAddr().String(), "error", err)
	}
}

// Close closes the door and every connection.
func (l *listener) Close(listeners.CloseFn) {
	_ = l.net.Close()
	l.door.shut()
}

// wait returns when the last client's goroutine has ended.
func (l *listener) wait() {
	<-l.ended
	l.serving.Wait()
}

// conn is a client's connection whose writes cannot block for ever: mochi sets
// one deadline for both directions when it begins to read, so that an
// acknowledgement after a long commit would find it passed, and none at all
// for a client without keepalive.
type conn struct {
	net.Conn              // what is read and written: raw, or TLS over it
	raw          net.Conn // what is closed, from any goroutine
	door         *door
	from         netip.Addr
	writeTimeout time.Duration
	writeBy      deadline
	readBy       deadline
	greeting     atomic.Int64 // bytes that may still come before the client is let in; negative is any number
	flood        bucket       // of the reading goroutine
	verified     *x509.Certificate
	later        int  // messages put off by ErrLater; of the reading goroutine
	denied       bool // it was said that the client publishes where it may not; of the reading goroutine

	client string // the client id; with hook.mu held

	once   sync.Once
	closed chan struct{} // no more is read or written
	gone   chan struct{} // and nothing is being done any more
}

func (c *conn) setTLS(t *tls.Conn) {
	c.Conn = t
	if chains := t.ConnectionState().VerifiedChains; len(chains) > 0 {
		c.verified = chains[0][0]
	}
}

func (c *conn) cert() *x509.Certificate { return c.verified }

// Write closes the connection when the client does not take what it is sent.
func (c *conn) Write(p []byte) (int, error) {
	if by, anew := c.writeBy.extend(time.Now().Add(c.writeTimeout)); anew {
		if err := c.SetWriteDeadline(by); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Write(p)
	if err != nil {
		_ = c.Close()
	}
	return n, err
}

// SetDeadline is what the broker calls before each packet, for the keep-alive. It is
// about reading: writing has its own deadline.
func (c *conn) SetDeadline(t time.Time) error {
	by, anew := c.readBy.extend(t)
	if !anew {
		return nil
	}
	return c.SetReadDeadline(by)
}

// deadline is one that is moved on with every packet. It is set an eighth later than
// it is asked for, and then not for a while: to set one costs as much as to read a
// packet.
type deadline struct{ at atomic.Int64 }

// extend tells whether the deadline has to be set anew, and to what.
func (d *deadline) extend(t time.Time) (time.Time, bool) {
	if t.IsZero() {
		d.at.Store(0)
		return t, true
	}
	if t.UnixNano() <= d.at.Load() {
		return t, false
	}
	t = t.Add(time.Until(t) / 8)
	d.at.Store(t.UnixNano())
	return t, true
}

// Close can be called any number of times. It ends reading and writing at once,
// and leaves it to linger to let the line go.
func (c *conn) Close() error {
	var err error
	c.once.Do(func() {
		close(c.closed)
		if half, ok := c.raw.(interface{ CloseWrite() error }); ok {
			err = half.CloseWrite()
		}
		_ = c.raw.SetReadDeadline(time.Unix(1, 0))
	})
	return err
}

// Read reads nothing more from a closed connection: its deadline may be set anew
// by whoever does not know yet.
func (c *conn) Read(p []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	left := c.greeting.Load()
	switch {
	case left == 0:
		_ = c.Close()
		return 0, net.ErrClosed
	case left > 0 && int64(len(p)) > left:
		p = p[:left]
	}
	n, err := c.Conn.Read(p)
	if left > 0 {
		c.greeting.CompareAndSwap(left, left-int64(n))
	}
	return n, err
}

// maxGreeting is how many bytes a client may send before it is let in: a CONNECT
// with everything in it. A stranger must not make us keep a whole packet.
const maxGreeting = 64 << 10

// letIn ends the limits for strangers.
func (c *conn) letIn() {
	c.greeting.Store(-1)
	c.door.letIn(c)
}

// What a closed connection may still send before the line is cut.
const (
	lingerTime  = 300 * time.Millisecond
	lingerBytes = 1 << 20
)

// linger reads away what the client has sent without knowing that it is over,
// and cuts the line. A line that is cut with unread bytes is reset, and then the
// client never learns the reason that it was sent.
func (c *conn) linger() {
	_ = c.raw.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, c.raw, lingerBytes)
	_ = c.raw.Close()
}

package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// listener is the door: it accepts connections for mochi, bounds how many there
// are and how long each may take to introduce itself, and closes them all in
// the end. mochi's own listeners wait for ever for a CONNECT, and when closing
// for ever for those who never sent one.
type listener struct {
	net   net.Listener
	cfg   Config
	log   *slog.Logger
	gone  func(*conn)   // told of the end of each connection
	ended chan struct{} // closed when accepting ended
	err   error         // why, readable after ended

	serving sync.WaitGroup

	mu       sync.Mutex
	closing  bool
	open     map[*conn]struct{}
	saidFull time.Time
}

func newListener(ln net.Listener, cfg Config, log *slog.Logger, gone func(*conn)) *listener {
	return &listener{net: ln, cfg: cfg, log: log, gone: gone, ended: make(chan struct{}), open: map[*conn]struct{}{}}
}

// The methods that mochi asks for.
func (l *listener) Init(*slog.Logger) error { return nil }
func (l *listener) ID() string              { return "sensors" }
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
		c := &conn{Conn: nc, raw: nc, writeTimeout: l.cfg.WriteTimeout, closed: make(chan struct{}), gone: make(chan struct{})}
		if !l.add(c) {
			_ = nc.Close()
			l.turnedAway(c)
			continue
		}
		l.serving.Go(func() {
			defer l.remove(c)
			l.serve(c, establish)
		})
	}
}

// serve greets one client and hands it to mochi. A panic on a stranger's bytes
// costs him his connection and nobody else anything.
func (l *listener) serve(c *conn, establish listeners.EstablishFn) {
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("serving a sensor client panicked", "remote", c.RemoteAddr().String(), "panic", p, "stack", string(debug.Stack()))
		}
	}()
	_ = c.SetDeadline(time.Now().Add(l.cfg.ConnectTimeout))
	if l.cfg.TLS != nil {
		t := tls.Server(c.raw, l.cfg.TLS)
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
		l.turnedAway(c)
	case err != nil:
		l.log.Debug("sensor client ended", "remote", c.RemoteAddr().String(), "error", err)
	}
}

// add admits a connection. Those that have not introduced themselves count too,
// for which there is room beyond MaxClients.
func (l *listener) add(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing || len(l.open) >= l.cfg.MaxClients+64 {
		return false
	}
	l.open[c] = struct{}{}
	return true
}

// turnedAway says, not more often than fullEvery, that there is no room.
func (l *listener) turnedAway(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing || time.Since(l.saidFull) < fullEvery {
		return
	}
	l.saidFull = time.Now()
	l.log.Warn("sensor clients turned away: too many are connected", "open", len(l.open), "max_clients", l.cfg.MaxClients, "remote", c.RemoteAddr().String())
}

// fullEvery keeps a crowd at the door from filling the log.
const fullEvery = time.Minute

func (l *listener) remove(c *conn) {
	_ = c.Close()
	l.gone(c)
	close(c.gone)
	c.linger()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
}

// Close closes the door and every connection. A 3.1.1 server has no farewell,
// so mochi's way of closing clients, which sends one, is not used.
func (l *listener) Close(listeners.CloseFn) {
	_ = l.net.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing = true
	for c := range l.open {
		_ = c.Close()
		_ = c.raw.Close()
	}
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
	writeTimeout time.Duration
	verified     *x509.Certificate
	later        int // messages put off by ErrLater; of the reading goroutine

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
	if err := c.SetWriteDeadline(time.Now().Add(c.writeTimeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if err != nil {
		_ = c.Close()
	}
	return n, err
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
	return c.Conn.Read(p)
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

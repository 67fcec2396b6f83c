package gb26875

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"stationd/devices/payload"
)

// Server is the centre that transmission units report to.
type Server struct {
	cfg   Config
	deps  Deps
	allow []netip.Prefix
	ready chan struct{}
	once  sync.Once

	stats counts

	mu           sync.Mutex // guards what follows
	addr         net.Addr
	conns        map[net.Conn]bool // true once it has sent a frame
	unidentified int
	units        map[Address]*unit
	clock        uint64
}

// Deps is what a Server needs of others.
type Deps struct {
	// Handle takes in what a unit says and returns nil once it is stored. It is
	// called by many connections at a time, for one connection one after the
	// other.
	Handle func(ctx context.Context, readings ...payload.Reading) error
	// Odd is told what could not be understood; it must not block. Nil is nobody.
	Odd func(remote string, frame []byte, err error)
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Stats are numbers since the start.
type Stats struct {
	Connections int    // now
	Units       int    // that are connected now
	Frames      uint64 // whole ones
	Reports     uint64 // confirmed
	Repeated    uint64 // confirmed again
	Denied      uint64
	Damaged     uint64 // frames with a wrong sum
	Skipped     uint64 // bytes between frames
	Refused     uint64 // connections beyond a limit, or from elsewhere
}

type counts struct {
	frames, reports, repeated, denied, damaged, skipped, refused atomic.Uint64
}

// New makes a server; it listens in Run.
func New(cfg Config, deps Deps) *Server {
	s := &Server{cfg: cfg, deps: deps, ready: make(chan struct{}), conns: map[net.Conn]bool{}, units: map[Address]*unit{}}
	if s.deps.Now == nil {
		s.deps.Now = time.Now
	}
	if s.deps.Odd == nil {
		s.deps.Odd = func(string, []byte, error) {}
	}
	for _, network := range cfg.Allow {
		if p, err := netip.ParsePrefix(network); err == nil { // else Validate has said so
			s.allow = append(s.allow, p.Masked())
		}
	}
	return s
}

// Ready is closed once units can connect.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addr is where it listens, nil while it does not.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Stats counts.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	connections, units := len(s.conns), 0
	for _, u := range s.units {
		if u.lines > 0 {
			units++
		}
	}
	s.mu.Unlock()
	return Stats{
		Connections: connections, Units: units,
		Frames: s.stats.frames.Load(), Reports: s.stats.reports.Load(), Repeated: s.stats.repeated.Load(), Denied: s.stats.denied.Load(),
		Damaged: s.stats.damaged.Load(), Skipped: s.stats.skipped.Load(), Refused: s.stats.refused.Load(),
	}
}

// Run serves until ctx ends, and waits for its connections. It returns an error
// when it cannot listen.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	lc := net.ListenConfig{KeepAlive: 15 * time.Second}
	l, err := lc.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for transmission units: %w", err)
	}
	s.mu.Lock()
	s.addr = l.Addr()
	s.mu.Unlock()
	s.once.Do(func() { close(s.ready) })
	defer func() {
		s.mu.Lock()
		s.addr = nil
		s.mu.Unlock()
	}()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() }) // it is over either way
	defer stop()
	wg.Go(func() { s.watchUnits(ctx) })
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = c.Close() // nobody was told anything yet
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("listen for transmission units: %w", err)
		case err != nil: // out of file descriptors: it may pass
			s.deps.Log.Warn("transmission unit cannot be accepted", "error", err)
			pause(ctx, time.Second)
			continue
		}
		if !s.admit(c) {
			s.stats.refused.Add(1)
			_ = c.Close() // it was never let in
			continue
		}
		wg.Go(func() {
			defer s.leave(c)
			s.serve(ctx, c)
		})
	}
}

// admit decides on a new connection.
func (s *Server) admit(c net.Conn) bool {
	if len(s.allow) > 0 {
		at, err := netip.ParseAddrPort(c.RemoteAddr().String())
		if err != nil {
			return false
		}
		inside := false
		for _, p := range s.allow {
			inside = inside || p.Contains(at.Addr().Unmap().WithZone(""))
		}
		if !inside {
			s.deps.Log.Info("transmission unit from elsewhere refused", "remote", c.RemoteAddr().String())
			return false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) >= s.cfg.MaxConnections || s.unidentified >= s.cfg.MaxUnidentified {
		return false
	}
	s.conns[c] = false
	s.unidentified++
	return true
}

func (s *Server) identified(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.conns[c] {
		s.conns[c] = true
		s.unidentified--
	}
}

func (s *Server) leave(c net.Conn) {
	_ = c.Close() // nothing is unsent: an answer is written before the next read
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.conns[c] {
		s.unidentified--
	}
	delete(s.conns, c)
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

package console

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stationd/agent/station"
)

// Accounts is what the console needs of the core to know who asks.
type Accounts interface {
	Claimed() (bool, error)
	Claim(ctx context.Context, code string, o station.AccountOrder, address string) (token string, actor station.Actor, err error)
	Login(ctx context.Context, account string, password station.Secret, address string) (token string, actor station.Actor, err error)
	LoginByLink(ctx context.Context, link, address string) (token string, actor station.Actor, err error)
	Session(ctx context.Context, token, address string) (station.Actor, error)
	Logout(ctx context.Context, token string) error
	// Authorize tells whether actor may do what needs p on resource: nil, or a problem.
	Authorize(actor station.Actor, p station.Permission, resource string) error
	// EventFor is an event as actor may see it; false when nothing of it is for them.
	EventFor(actor station.Actor, ev station.Event) (station.Event, bool, error)
	// Refused writes down that somebody was turned away from an action.
	Refused(ctx context.Context, actor station.Actor, action, resource string, refusal error)
}

// Journal is what the event stream reads.
type Journal interface {
	Head() uint64
	Read(after uint64, limit int, lanes ...station.Lane) ([]station.Event, error)
	Changed(after uint64) <-chan struct{}
}

// Deps is what the console is handed.
type Deps struct {
	Node     Node
	Accounts Accounts
	Journal  Journal
	// Routes are the rooms' routes.
	Routes []station.Route
	// Status is the health of everything; it must be quick.
	Status func() Status
	// Ready reports why the node cannot take in alarms.
	Ready func(ctx context.Context) error
	// TLS serves HTTPS; nil where Config.TLS is off.
	TLS *tls.Config
	// Metrics collects what the rooms measure.
	Metrics *prometheus.Registry
	Log     *slog.Logger
}

// Node is who answers here.
type Node struct {
	ID      station.NodeID `json:"id"`
	Name    string         `json:"name"`
	Kind    string         `json:"kind" jsonschema:"enum=station,enum=centre"`
	Version string         `json:"-"`
}

// Server is the console.
type Server struct {
	cfg     Config
	deps    Deps
	log     *slog.Logger
	handler http.Handler
	openapi []byte
	metrics *metrics
	stop    chan struct{} // closed when streams must end

	ready   chan struct{}
	claimed chan struct{} // closed when the node is known to be claimed
	// readyOnce and claimedOnce close them.
	readyOnce, claimedOnce sync.Once

	mu   sync.Mutex
	addr net.Addr
}

// New makes the console. It fails only when the routes contradict each other.
func New(cfg Config, deps Deps) (*Server, error) {
	s := &Server{
		cfg: cfg, deps: deps, log: deps.Log,
		stop: make(chan struct{}), ready: make(chan struct{}), claimed: make(chan struct{}),
	}
	if deps.Metrics == nil {
		s.deps.Metrics = prometheus.NewRegistry()
	}
	s.metrics = newMetrics(s.deps.Metrics)
	routes := append(s.ownRoutes(), deps.Routes...)
	doc, err := openAPI(s.cookieName(), routes)
	if err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	s.openapi = doc
	if s.handler, err = s.mount(routes); err != nil {
		return nil, err
	}
	return s, nil
}

// Handler serves everything, for tests.
func (s *Server) Handler() http.Handler { return s.handler }

// Ready is closed once the console is listening.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addr is where it listens; nil before Ready.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// URL is the console's address for a browser on this machine.
func (s *Server) URL() string {
	scheme := "http"
	if s.deps.TLS != nil {
		scheme = "https"
	}
	addr := s.Addr()
	if addr == nil {
		return ""
	}
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// Run serves until ctx ends, then lets requests finish for two seconds. While
// the node is unclaimed it listens on loopback, and moves to the configured
// address with the claim.
func (s *Server) Run(ctx context.Context) error {
	claimed, err := s.deps.Accounts.Claimed()
	if err != nil {
		return fmt.Errorf("ask whether the node is claimed: %w", err)
	}
	host, port, err := net.SplitHostPort(s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("console address %q: %w", s.cfg.Listen, err)
	}
	if !claimed && !isLoopback(host) {
		s.log.Info("console on loopback until claimed", "address", net.JoinHostPort("127.0.0.1", port))
		if err := s.serve(ctx, net.JoinHostPort("127.0.0.1", port), s.claimed); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return s.serve(ctx, s.cfg.Listen, nil)
}

// serve listens on address until ctx ends or until is closed.
func (s *Server) serve(ctx context.Context, address string, until <-chan struct{}) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return station.Errorf(500, "console.listen", "free the port or change console.listen", "the console cannot listen on %s", address).Because(err)
	}
	s.mu.Lock()
	s.addr = ln.Addr()
	s.mu.Unlock()
	if s.deps.TLS != nil {
		ln = tls.NewListener(ln, s.deps.TLS)
	}
	streams := make(chan struct{})
	s.mu.Lock()
	s.stop = streams
	s.mu.Unlock()
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	s.readyOnce.Do(func() { close(s.ready) })
	s.log.Info("console listening", "address", ln.Addr().String())
	select {
	case err = <-served:
		return fmt.Errorf("serve the console: %w", err)
	case <-ctx.Done():
	case <-until:
	}
	close(streams)
	graceful, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(graceful); err != nil {
		_ = server.Close() // what has not finished by now is cut
	}
	if err := <-served; err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the console: %w", err)
	}
	return nil
}

func (s *Server) stopping() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stop
}

package restream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/auth"

	"stationd/agent/station"
	"stationd/video/stream"
)

// Guard knows who may see what.
type Guard interface {
	// Enter signs in, and returns what names the visit from then on.
	Enter(ctx context.Context, account string, password station.Secret, address string) (visit string, err error)
	// May tells whether the visitor may see the camera now.
	May(ctx context.Context, visit, address, camera string) error
	// Leave signs out.
	Leave(ctx context.Context, visit string)
}

// Cameras gives a camera's stream; see video.Set.Watch.
type Cameras interface {
	Watch(ctx context.Context, camera string, role station.StreamRole) (*stream.Stream, func(), error)
}

// Deps are what a Server works with.
type Deps struct {
	Guard   Guard
	Cameras Cameras
	// TLS is needed where Config.ListenTLS is set.
	TLS *tls.Config
	Log *slog.Logger
}

// Server serves the cameras.
type Server struct {
	cfg   Config
	deps  Deps
	log   *slog.Logger
	ready chan struct{}

	mu        sync.Mutex
	life      context.Context
	addrs     []net.Addr
	conns     int
	guests    map[*gortsplib.ServerConn]*guest
	consumers map[*gortsplib.ServerSession]*consumer
	usage     Usage

	work sync.WaitGroup // consumers
}

// Usage counts since New.
type Usage struct {
	// Connections and Consumers are how many there are now.
	Connections, Consumers int
	// Turned are connections beyond the limit, Refused requests of those who may
	// not, Skipped pictures that slow consumers were not sent.
	Turned, Refused, Skipped uint64
}

// New makes a Server that listens once Run is called.
func New(cfg Config, deps Deps) *Server {
	return &Server{
		cfg: cfg, deps: deps, log: deps.Log, ready: make(chan struct{}),
		guests:    map[*gortsplib.ServerConn]*guest{},
		consumers: map[*gortsplib.ServerSession]*consumer{},
	}
}

// Ready is closed once the Server listens.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addrs is where it listens, rtsp before rtsps.
func (s *Server) Addrs() []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addrs
}

// Usage is how busy it is.
func (s *Server) Usage() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.usage
	u.Connections, u.Consumers = s.conns, len(s.consumers)
	return u
}

// writeQueue is how many packets may wait for a slow consumer: half a second of
// a big picture.
const writeQueue = 512

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	life, end := context.WithCancel(ctx)
	defer end()
	s.mu.Lock()
	if s.life != nil {
		s.mu.Unlock()
		return errors.New("run restream: it ran before")
	}
	s.life = life
	s.mu.Unlock()

	var servers []*gortsplib.Server
	defer func() {
		end()
		for _, r := range servers {
			r.Close()
		}
		s.work.Wait()
	}()
	for _, x := range []struct {
		address string
		tls     *tls.Config
	}{{s.cfg.Listen, nil}, {s.cfg.ListenTLS, s.deps.TLS}} {
		if x.address == "" {
			continue
		}
		r, err := s.listen(x.address, x.tls)
		if err != nil {
			return station.Errorf(500, "restream.listen", "free the port or change video.restream", "cameras cannot be served on %s", x.address).Because(err)
		}
		servers = append(servers, r)
	}
	close(s.ready)
	ended := make(chan error, len(servers))
	for _, r := range servers {
		s.work.Go(func() { ended <- r.Wait() })
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		return fmt.Errorf("serve cameras over RTSP: %w", err)
	}
}

// listen starts to serve at one address.
func (s *Server) listen(address string, secure *tls.Config) (*gortsplib.Server, error) {
	h := &handler{Server: s}
	r := &gortsplib.Server{
		Handler: h, RTSPAddress: address, TLSConfig: secure,
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, WriteQueueSize: writeQueue,
		// The library's own put nanoseconds where RTCP has fractions of a second;
		// consumers would play sound and picture apart.
		DisableRTCPSenderReports: true,
		// Of passwords the node keeps no more than a digest of its own, so the
		// other method cannot be answered; see decision 0040.
		AuthMethods: []auth.VerifyMethod{auth.VerifyMethodBasic},
		Listen: func(network, address string) (net.Listener, error) {
			l, err := net.Listen(network, address)
			if err != nil {
				return nil, err
			}
			s.mu.Lock()
			s.addrs = append(s.addrs, l.Addr())
			s.mu.Unlock()
			return &door{Listener: l, s: s}, nil
		},
	}
	h.rtsp = r
	if s.cfg.UDPListen != "" && secure == nil {
		r.UDPRTPAddress = s.cfg.UDPListen
		r.UDPRTCPAddress, _ = nextPort(s.cfg.UDPListen) // Validate has seen to it
	}
	if err := r.Start(); err != nil {
		return nil, err
	}
	return r, nil
}

// door lets in as many connections as there may be.
type door struct {
	net.Listener
	s *Server
}

// Accept waits for a connection within the limit.
func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of descriptors: that passes
			continue
		}
		if d.s.enter() {
			return &visit{Conn: c, s: d.s}, nil
		}
		_ = c.Close()
	}
}

func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns >= s.cfg.MaxConnections {
		s.usage.Turned++
		return false
	}
	s.conns++
	return true
}

// visit is a connection that counts.
type visit struct {
	net.Conn
	s    *Server
	once sync.Once
}

func (v *visit) Close() error {
	v.once.Do(func() {
		v.s.mu.Lock()
		v.s.conns--
		v.s.mu.Unlock()
	})
	return v.Conn.Close()
}

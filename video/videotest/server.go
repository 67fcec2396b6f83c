package videotest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
)

// Config says what is served. The zero value serves all films on a free port of
// the loopback address, to everybody.
type Config struct {
	// Listen is host:port; empty means 127.0.0.1:0.
	Listen string
	// Paths maps paths to names of films: {"gate-2": "gate"}. Empty means every
	// film at its own name.
	Paths map[string]string
	// Username and Password are asked for when Username is set.
	Username, Password string
	// Slots is how many sessions a camera serves at a time; one more is refused
	// with 453. Zero means no limit.
	Slots int
	// Bitrate is how many bits a second a film takes, by padding that decoders
	// pass over; zero leaves it as it is.
	Bitrate int
}

// Server is an RTSP server that plays films. Its methods may be called from any
// goroutine.
type Server struct {
	cfg     Config
	rtsp    *gortsplib.Server
	addr    net.Addr
	cancel  context.CancelFunc
	players sync.WaitGroup

	mu       sync.Mutex
	cameras  map[string]*camera
	sessions map[*gortsplib.ServerSession]string
}

// Start serves until Close.
func Start(cfg Config) (*Server, error) {
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	all, err := Films()
	if err != nil {
		return nil, err
	}
	byName := make(map[string]Film)
	for _, f := range all {
		byName[f.Name] = f
	}
	if len(cfg.Paths) == 0 {
		cfg.Paths = make(map[string]string)
		for name := range byName {
			cfg.Paths[name] = name
		}
	}
	s := &Server{
		cfg:      cfg,
		cameras:  make(map[string]*camera),
		sessions: make(map[*gortsplib.ServerSession]string),
	}
	for path, name := range cfg.Paths {
		film, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("serve %q: there is no film %q", path, name)
		}
		c, err := newCamera(film.padded(cfg.Bitrate))
		if err != nil {
			return nil, err
		}
		s.cameras[strings.Trim(path, "/")] = c
	}

	s.rtsp = &gortsplib.Server{
		Handler:                  (*handler)(s),
		RTSPAddress:              cfg.Listen,
		DisableRTCPSenderReports: true, // see ntp
		Listen: func(network, address string) (net.Listener, error) {
			l, err := net.Listen(network, address)
			if err == nil {
				s.addr = l.Addr()
			}
			return l, err
		},
	}
	s.mu.Lock() // no request is answered before all is in place
	defer s.mu.Unlock()
	if err := s.rtsp.Start(); err != nil {
		return nil, fmt.Errorf("serve films on %s: %w", cfg.Listen, err)
	}
	for _, c := range s.cameras {
		if err := c.open(s.rtsp); err != nil {
			for _, c := range s.cameras {
				if c.stream != nil {
					c.stream.Close()
				}
			}
			s.rtsp.Close()
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	for _, c := range s.cameras {
		s.players.Go(func() { s.play(ctx, c) })
	}
	return s, nil
}

// Close drops everybody and frees the port.
func (s *Server) Close() {
	s.cancel()
	s.players.Wait()
	s.mu.Lock()
	open := make([]*gortsplib.ServerStream, 0, len(s.cameras))
	for _, c := range s.cameras {
		if c.stream != nil {
			open = append(open, c.stream)
			c.stream = nil
		}
	}
	s.mu.Unlock()
	for _, st := range open {
		st.Close()
	}
	s.rtsp.Close()
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.addr }

// URL is the address of a camera, without user name and password.
func (s *Server) URL(path string) string {
	return "rtsp://" + s.addr.String() + "/" + strings.Trim(path, "/")
}

// Cut makes a camera fail: its sessions are dropped, and new ones are answered
// 404 until Restore.
func (s *Server) Cut(path string) {
	s.mu.Lock()
	c := s.cameras[strings.Trim(path, "/")]
	var st *gortsplib.ServerStream
	if c != nil {
		st, c.stream = c.stream, nil
	}
	s.mu.Unlock()
	if st != nil {
		st.Close()
	}
}

// Hang makes a camera silent: its connections stay and new ones are taken, but
// no packet comes until Restore.
func (s *Server) Hang(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.cameras[strings.Trim(path, "/")]; c != nil {
		c.hung = true
	}
}

// Restore ends Cut and Hang. After Cut the camera has another SSRC, as after a
// restart.
func (s *Server) Restore(path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cameras[strings.Trim(path, "/")]
	if c == nil {
		return fmt.Errorf("restore %q: no such camera", path)
	}
	c.hung = false
	if c.stream != nil {
		return nil
	}
	return c.open(s.rtsp)
}

// Sessions is how many clients have set a camera up now.
func (s *Server) Sessions(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count(strings.Trim(path, "/"))
}

// Served is how many times a camera was played since Start.
func (s *Server) Served(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.cameras[strings.Trim(path, "/")]; c != nil {
		return c.served
	}
	return 0
}

func (s *Server) count(path string) int {
	n := 0
	for _, p := range s.sessions {
		if p == path {
			n++
		}
	}
	return n
}

// handler answers the requests; its methods are no business of those who use
// the Server.
type handler Server

// OnDescribe implements gortsplib.ServerHandlerOnDescribe.
func (h *handler) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if res, err := h.refuse(ctx.Conn, ctx.Request); res != nil {
		return res, nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	res, c := h.find(ctx.Path)
	if c == nil {
		return res, nil, nil
	}
	return res, c.stream, nil
}

// OnSetup implements gortsplib.ServerHandlerOnSetup.
func (h *handler) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if res, err := h.refuse(ctx.Conn, ctx.Request); res != nil {
		return res, nil, err
	}
	if ctx.Transport != gortsplib.TransportTCP {
		return &base.Response{StatusCode: base.StatusUnsupportedTransport}, nil, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	res, c := h.find(ctx.Path)
	if c == nil {
		return res, nil, nil
	}
	path := strings.Trim(ctx.Path, "/")
	if h.cfg.Slots > 0 && (*Server)(h).count(path) >= h.cfg.Slots {
		return &base.Response{StatusCode: base.StatusNotEnoughBandwidth}, nil, nil
	}
	h.sessions[ctx.Session] = path
	return res, c.stream, nil
}

// OnPlay implements gortsplib.ServerHandlerOnPlay.
func (h *handler) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	res, c := h.find(ctx.Path)
	if c != nil {
		c.served++
	}
	return res, nil
}

// OnSessionClose implements gortsplib.ServerHandlerOnSessionClose.
func (h *handler) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sessions, ctx.Session)
}

// OnStreamWriteError implements gortsplib.ServerHandlerOnStreamWriteError: a
// client that does not keep up loses packets, as with a camera.
func (h *handler) OnStreamWriteError(*gortsplib.ServerHandlerOnStreamWriteErrorCtx) {}

// find returns the camera of a path, nil with a refusal when it is not there.
// h.mu is held.
func (h *handler) find(path string) (*base.Response, *camera) {
	c := h.cameras[strings.Trim(path, "/")]
	if c == nil || c.stream == nil {
		return &base.Response{StatusCode: base.StatusNotFound}, nil
	}
	return &base.Response{StatusCode: base.StatusOK}, c
}

// refuse returns an answer when the request lacks the right credentials.
func (h *handler) refuse(conn *gortsplib.ServerConn, req *base.Request) (*base.Response, error) {
	if h.cfg.Username == "" || conn.VerifyCredentials(req, h.cfg.Username, h.cfg.Password) {
		return nil, nil
	}
	return &base.Response{StatusCode: base.StatusUnauthorized}, liberrors.ErrServerAuth{}
}

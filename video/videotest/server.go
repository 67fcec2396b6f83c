package videotest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/auth"
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
	// Username and Password are asked for when Username is set: by Digest, or with
	// Basic by that.
	Username, Password string
	Basic              bool
	// Slots is how many sessions a camera serves at a time; one more is refused
	// with 453. Zero means no limit. With SlotsShared all paths are of one camera.
	Slots       int
	SlotsShared bool
	// Sound is what is heard beside every film; "" is nothing.
	Sound string
	// Hears is what every camera takes for its loudspeaker; "" is nothing. It is told
	// to who asks for it.
	Hears string
	// Stern refuses whoever asks for a backchannel (551), as a camera that has never
	// heard of one.
	Stern bool
	// UDP lets packets go that way too, NoTCP no other way.
	UDP, NoTCP bool
	// KeyOnPlay begins the film anew for everybody who begins to watch, as the
	// better cameras make a key picture then.
	KeyOnPlay bool
	// TLS makes it speak rtsps.
	TLS *tls.Config
	// ClockOffset is how far the cameras' clocks are ahead.
	ClockOffset time.Duration
	// Bitrate is how many bits a second a film takes, by padding that decoders
	// pass over; zero leaves it as it is.
	Bitrate int
}

// Server is an RTSP server that plays films. Its methods may be called from any
// goroutine.
type Server struct {
	cfg     Config
	films   map[string]Film
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
	lobby, err := Lobby()
	if err != nil {
		return nil, err
	}
	porch, err := Porch()
	if err != nil {
		return nil, err
	}
	byName := map[string]Film{lobby.Name: lobby, porch.Name: porch}
	for _, f := range all {
		byName[f.Name] = f
	}
	if len(cfg.Paths) == 0 {
		cfg.Paths = make(map[string]string)
		for _, f := range all {
			cfg.Paths[f.Name] = f.Name
		}
	}
	s := &Server{
		cfg:      cfg,
		films:    byName,
		cameras:  make(map[string]*camera),
		sessions: make(map[*gortsplib.ServerSession]string),
	}
	for path, name := range cfg.Paths {
		film, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("serve %q: there is no film %q", path, name)
		}
		c, err := newCamera(film.padded(cfg.Bitrate), cfg.Sound, cfg.Hears)
		if err != nil {
			return nil, err
		}
		s.cameras[strings.Trim(path, "/")] = c
	}

	s.rtsp = &gortsplib.Server{
		TLSConfig:                cfg.TLS,
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
	s.rtsp.AuthMethods = []auth.VerifyMethod{auth.VerifyMethodDigestMD5}
	if cfg.Basic {
		s.rtsp.AuthMethods = []auth.VerifyMethod{auth.VerifyMethodBasic}
	}
	if cfg.UDP {
		if s.rtsp.UDPRTPAddress, s.rtsp.UDPRTCPAddress, err = freePair(); err != nil {
			return nil, err
		}
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
		if c.voice != nil {
			s.players.Go(func() { s.speak(ctx, c) })
		}
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
	scheme := "rtsp://"
	if s.cfg.TLS != nil {
		scheme = "rtsps://"
	}
	return scheme + s.addr.String() + "/" + strings.Trim(path, "/")
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

// Become makes a camera that is cut come back, at Restore, with another film: of
// another size, or another codec.
func (s *Server) Become(path, film string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cameras[strings.Trim(path, "/")]
	f, ok := s.films[film]
	if c == nil || !ok || c.stream != nil {
		return fmt.Errorf("make %q show %q: no such camera or film, or it is not cut", path, film)
	}
	return c.load(f)
}

// Restore ends Cut and Hang; the film begins anew. After Cut the camera has
// another SSRC, as after a restart.
func (s *Server) Restore(path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cameras[strings.Trim(path, "/")]
	if c == nil {
		return fmt.Errorf("restore %q: no such camera", path)
	}
	c.hung, c.begin = false, 1
	if c.stream != nil {
		return nil
	}
	return c.open(s.rtsp)
}

// KeyPicture begins a camera's film anew, as one that is asked for a key picture by
// ONVIF makes it. It may be asked of any path.
func (s *Server) KeyPicture(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.cameras[strings.Trim(path, "/")]; c != nil {
		c.begin = 1
	}
}

// Reboot cuts a camera off; when it is restored it plays another film, of another
// size perhaps, and its clock is wrong.
func (s *Server) Reboot(path string, film Film, clock time.Duration) error {
	s.Cut(path)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cameras[strings.Trim(path, "/")]
	if c == nil {
		return fmt.Errorf("reboot %q: no such camera", path)
	}
	c.clock = clock
	return c.load(film)
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

// taken is how many of the slots are.
func (s *Server) taken(path string) int {
	if s.cfg.SlotsShared {
		return len(s.sessions)
	}
	return s.count(path)
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
	if h.cfg.Stern && asksBack(ctx.Request) {
		return &base.Response{StatusCode: base.StatusOptionNotSupported}, nil, nil
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
	if tcp := ctx.Transport == gortsplib.TransportTCP; !tcp && !h.cfg.UDP || tcp && h.cfg.NoTCP {
		return &base.Response{StatusCode: base.StatusUnsupportedTransport}, nil, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	res, c := h.find(ctx.Path)
	if c == nil {
		return res, nil, nil
	}
	path := strings.Trim(ctx.Path, "/")
	if _, again := h.sessions[ctx.Session]; !again && h.cfg.Slots > 0 && (*Server)(h).taken(path) >= h.cfg.Slots {
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
		h.listen(c, ctx.Session)
		c.served++
		if h.cfg.KeyOnPlay {
			c.begin = 2 // pictures on: who asks is not watching yet
		}
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

// freePair finds two ports for UDP, the first one even.
func freePair() (rtp, rtcp string, err error) {
	for range 50 {
		var a, b net.PacketConn
		if a, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			return "", "", err
		}
		port := a.LocalAddr().(*net.UDPAddr).Port
		_ = a.Close()
		if port%2 != 0 {
			continue
		}
		if b, err = net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port+1)); err != nil {
			continue
		}
		_ = b.Close()
		return fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", port+1), nil
	}
	return "", "", fmt.Errorf("no two ports for UDP: %w", err)
}

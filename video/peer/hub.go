package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"stationd/agent/station"
	"stationd/video/stream"
)

// Hub is the place where all WebRTC sessions of this node meet: it owns the
// ports, bounds the sessions and outlives none of them.
type Hub struct {
	cfg   Config
	log   *slog.Logger
	ready chan struct{}

	mu       sync.Mutex
	running  *running // nil before Run listens and after it ended
	started  bool
	sessions map[string]*Session
	pending  int // sessions that are being negotiated
	refused  uint64

	work sync.WaitGroup // sessions
}

// running is what exists only while Run runs.
type running struct {
	life       context.Context
	udp        *udpPort
	tcp        *tcpPort // nil without TCP
	watching   *webrtc.API
	accepting  *webrtc.API
	hearing    map[string]*webrtc.API // by the codec of package stream
	dialling   *webrtc.API
	interfaces func() ([]net.Addr, error)
}

// New makes a Hub that listens once Run is called.
func New(cfg Config, log *slog.Logger) *Hub {
	return &Hub{
		cfg:      cfg,
		log:      log,
		ready:    make(chan struct{}),
		sessions: map[string]*Session{},
	}
}

// Ready is closed once the Hub listens.
func (h *Hub) Ready() <-chan struct{} { return h.ready }

// Addr is where the Hub listens: the bound addresses of both ports, and the
// invalid one for a port that it does not have. Both are invalid before Ready.
func (h *Hub) Addr() (udp, tcp netip.AddrPort) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.running; r != nil {
		udp = r.udp.bound
		if r.tcp != nil {
			tcp = r.tcp.bound
		}
	}
	return udp, tcp
}

const (
	// tcpWriteBuffer is what may wait for a slow peer over TCP, here and in the
	// kernel each: half a second of a big picture. What does not fit is refused,
	// and the session waits; without a bound here a dead peer would block pion,
	// and the kernel by itself would take up to four megabytes, shown late.
	tcpWriteBuffer = 256 << 10
	// tcpReadBuffer is in packets; peers send little but reports.
	tcpReadBuffer = 32
	// tcpFirstWord is how long a new connection may say nothing.
	tcpFirstWord = 10 * time.Second
)

// Run listens and serves until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	h.mu.Lock()
	if h.started {
		h.mu.Unlock()
		return errors.New("run peer hub: it ran before")
	}
	h.started = true
	h.mu.Unlock()

	udp, err := listenUDP(h.cfg.UDPListen)
	if err != nil {
		return fmt.Errorf("listen for viewers on udp %q: %w", h.cfg.UDPListen, err)
	}
	pionLog := logs{h.log}
	udpShared := udpMux{ice.NewUDPMuxDefault(ice.UDPMuxParams{Logger: pionLog.NewLogger("udp"), UDPConn: udp}), udp}
	defer func() { _ = udpShared.Close() }()

	var tcp *tcpPort
	var tcpShared *ice.TCPMuxDefault
	if h.cfg.TCPListen != "" {
		tcp, err = listenTCP(h.cfg.TCPListen, 2*h.cfg.MaxSessions+16)
		if err != nil {
			return fmt.Errorf("listen for viewers on tcp %q: %w", h.cfg.TCPListen, err)
		}
		tcpShared = ice.NewTCPMuxDefault(ice.TCPMuxParams{
			Listener:                     tcp,
			Logger:                       pionLog.NewLogger("tcp"),
			ReadBufferSize:               tcpReadBuffer,
			WriteBufferSize:              tcpWriteBuffer,
			FirstStunBindTimeout:         tcpFirstWord,
			AliveDurationForConnFromStun: tcpFirstWord,
		})
		defer func() {
			_ = tcp.Close()
			_ = tcpShared.Close()
		}()
	}

	life, end := context.WithCancel(ctx)
	defer end()
	r := &running{life: life, udp: udp, tcp: tcp, interfaces: net.InterfaceAddrs}
	if r.watching, err = watchingAPI(h.cfg, pionLog, udpShared, tcpShared); err != nil {
		return fmt.Errorf("prepare for viewers: %w", err)
	}
	r.hearing = map[string]*webrtc.API{}
	for codec, voice := range map[string]webrtc.RTPCodecParameters{stream.PCMA: pcma, stream.PCMU: pcmu, stream.Opus: opus} {
		if r.hearing[codec], err = hearingAPI(h.cfg, pionLog, udpShared, tcpShared, voice); err != nil {
			return fmt.Errorf("prepare for talkers: %w", err)
		}
	}
	if r.accepting, err = acceptingAPI(h.cfg, pionLog, udpShared, tcpShared); err != nil {
		return fmt.Errorf("prepare for legs: %w", err)
	}
	if r.dialling, err = diallingAPI(h.cfg, pionLog); err != nil {
		return fmt.Errorf("prepare dialling: %w", err)
	}
	h.mu.Lock()
	h.running = r
	h.mu.Unlock()
	close(h.ready)
	h.log.Info("ready for viewers", "udp", udp.bound, "tcp", h.cfg.TCPListen)

	<-ctx.Done()

	h.mu.Lock()
	h.running = nil
	h.mu.Unlock()
	end()
	h.work.Wait()
	return nil
}

// Usage is how busy the Hub is.
type Usage struct {
	Sessions, Max int
	// Refused sessions, because there were Max already.
	Refused uint64
	// Sent are packets over UDP; Dropped those that the kernel did not take.
	Sent, Dropped uint64
	// Turned are TCP connections beyond the limit.
	Turned uint64
}

// Usage is how busy the Hub is.
func (h *Hub) Usage() Usage {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := Usage{Sessions: len(h.sessions) + h.pending, Max: h.cfg.MaxSessions, Refused: h.refused}
	if r := h.running; r != nil {
		u.Sent, u.Dropped = r.udp.sent.Load(), r.udp.refused.Load()
		if r.tcp != nil {
			u.Turned = r.tcp.turned.Load()
		}
	}
	return u
}

// Problems of the Hub.
var (
	errFull = &station.Problem{
		Code: "video.full", Status: 503, Message: "as many people are watching as this machine serves",
		Hint: "close a picture elsewhere, or raise video.peer.max_sessions",
	}
	errNotRunning = &station.Problem{
		Code: "video.stopped", Status: 503, Message: "live video is not running",
		Hint: "wait a moment and try again",
	}
)

// enter takes a place for a new session. Whoever enters must either be kept or
// leave.
func (h *Hub) enter() (*running, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.running == nil:
		return nil, errNotRunning
	case len(h.sessions)+h.pending >= h.cfg.MaxSessions:
		h.refused++
		return nil, errFull
	}
	h.pending++
	h.work.Add(1)
	return h.running, nil
}

func (h *Hub) leave() {
	h.mu.Lock()
	h.pending--
	h.mu.Unlock()
	h.work.Done()
}

func (h *Hub) keep(s *Session) {
	h.mu.Lock()
	h.pending--
	h.sessions[s.ID] = s
	h.mu.Unlock()
}

func (h *Hub) forget(s *Session) {
	h.mu.Lock()
	delete(h.sessions, s.ID)
	h.mu.Unlock()
	h.work.Done()
}

package rtsp

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/video/stream"
)

// Status is how the source is; see station.CameraState.
type Status = station.CameraState

// Source pulls one camera. Make one with New.
type Source struct {
	cfg     Config
	url     *url.URL
	user    *url.Userinfo
	secrets []string // not to be shown
	to      *stream.Stream
	log     *slog.Logger
	bad     error // of the address
	onState func(Status)

	mu      sync.Mutex
	state   Status
	stats   Stats
	current *session
}

// Stats counts since New.
type Stats struct {
	// Attempts to connect.
	Attempts uint64
	// PacketsLost on the way, as far as sequence numbers tell.
	PacketsLost uint64
}

// New returns a source that writes to the stream. Nothing is opened before Run.
func New(cfg Config, to *stream.Stream, log *slog.Logger) *Source {
	s := &Source{cfg: cfg.withDefaults(), to: to, log: log.With("camera", cfg.Camera)}
	s.url, s.bad = parseURL(cfg.URL)
	if cfg.Username != "" {
		password := cfg.Password.Reveal()
		s.user = url.UserPassword(cfg.Username, password)
		basic := base64.StdEncoding.EncodeToString([]byte(cfg.Username + ":" + password))
		for _, secret := range []string{password, url.QueryEscape(password), url.PathEscape(password), basic} {
			if secret != "" {
				s.secrets = append(s.secrets, secret)
			}
		}
	}
	s.state = Status{Camera: cfg.Camera, Status: station.CameraConnecting, Since: time.Now()}
	return s
}

// OnState sets what is called with each new state, by Run's goroutine. To be set
// before Run.
func (s *Source) OnState(f func(Status)) { s.onState = f }

// State is how the source is now. While it tries again, it stays at what went
// wrong.
func (s *Source) State() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Stats counts since New.
func (s *Source) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	if s.current != nil {
		st.PacketsLost += s.current.lost.Load()
	}
	return st
}

// Run pulls until ctx ends; then it returns nil. It returns an error at once if
// the camera's address is unusable.
func (s *Source) Run(ctx context.Context) error {
	if s.bad != nil {
		return s.bad
	}
	wait := newBackoff(s.cfg)
	for ctx.Err() == nil {
		se := newSession(s)
		s.enter(se)
		err := se.run(ctx)
		s.leave(se)
		if err == nil {
			break
		}
		f := s.diagnose(err)
		s.to.Lost(f.cause)
		if se.steady() {
			wait.reset()
		}
		delay := wait.next(f.status)
		if s.set(Status{Status: f.status, Cause: f.cause, Hint: f.hint}) {
			s.log.Warn("camera lost", "status", f.status, "err", f, "retry", delay)
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	s.to.Lost("the camera is no longer watched")
	return nil
}

func (s *Source) enter(se *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Attempts++
	s.current = se
}

func (s *Source) leave(se *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.PacketsLost += se.lost.Load()
	s.current = nil
}

// online tells that pictures are coming, and of what kind.
func (s *Source) online() {
	p, _ := s.to.Params()
	if s.set(Status{Status: station.CameraOnline, Codec: p.Codec, Width: p.Width, Height: p.Height}) {
		s.log.Info("camera online", "codec", p.Codec, "width", p.Width, "height", p.Height)
	}
}

// set takes over a new state; it is false when nothing has changed.
func (s *Source) set(next Status) bool {
	s.mu.Lock()
	next.Camera = s.state.Camera
	next.Since = s.state.Since
	if next.Status != s.state.Status {
		next.Since = time.Now()
	}
	changed := next != s.state
	s.state = next
	s.mu.Unlock()
	if changed && s.onState != nil {
		s.onState(next)
	}
	return changed
}

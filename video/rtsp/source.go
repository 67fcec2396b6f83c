package rtsp

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"

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

	// Of Run's goroutine: since when TCP is used although UDP would be tried,
	// and why.
	overTCP time.Time
	why     string
	deaf    bool          // leaves the sound out
	reach   time.Duration // how long connecting took when it last went well

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
	// Session is how many of them in the session that runs.
	Session uint64
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
		st.Session = s.current.lost.Load()
		st.PacketsLost += st.Session
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
		se := newSession(s, wait.hurried())
		s.enter(se)
		err := se.run(ctx)
		s.leave(se)
		if err == nil {
			break
		}
		if errors.Is(err, errDeaf) && !s.deaf {
			s.deaf = true
			s.log.Warn("camera is watched without sound", "err", err)
			continue
		}
		if s.fallBack(se, err) {
			continue
		}
		if se.reach > 0 {
			s.reach = se.reach
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
func (s *Source) online(se *session) {
	p, _ := s.to.Params()
	st := Status{
		Status: station.CameraOnline, Codec: p.Codec, Width: p.Width, Height: p.Height,
		Transport: transportNames[se.transport], ClockOffset: se.offset(),
	}
	if p.Sound != nil {
		st.Sound = p.Sound.Codec
	}
	switch off := st.ClockOffset; {
	case off > clockTolerance, off < -clockTolerance:
		st.Cause, st.Hint = clockOff(off), "set the camera to a time server (NTP) and its time zone; recordings go by the station's clock"
	case se.transport == gortsplib.TransportTCP && s.why != "":
		st.Cause, st.Hint = s.why+", so TCP is used", "let UDP through the switches and firewalls between, or set the transport to TCP"
	}
	was := s.State().Status
	if s.set(st) && was != st.Status {
		s.log.Info("camera online", "codec", p.Codec, "width", p.Width, "height", p.Height, "transport", st.Transport, "sound", st.Sound)
	}
}

// clockTolerance is how wrong a camera's clock may be before it is told.
const clockTolerance = 5 * time.Second

func clockOff(off time.Duration) string {
	how := "ahead of"
	if off < 0 {
		off, how = -off, "behind"
	}
	text := off.String()
	if days := int(off / (24 * time.Hour)); days > 1 {
		text = strconv.Itoa(days) + " days"
	}
	return "the camera's clock is " + text + " " + how + " the station's"
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

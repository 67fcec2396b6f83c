package probe

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/video/rtsp"
	"stationd/video/stream"
)

// Config bounds a probe. Zero fields have the values of DefaultConfig.
type Config struct {
	Connect, Watch time.Duration
	AtOnce         int
	// SkipVoice does not ask for the loudspeaker.
	SkipVoice bool
	// RTSP has the times of a session.
	RTSP rtsp.Config
}

// DefaultConfig has the bounds.
func DefaultConfig() Config {
	return Config{Connect: 10 * time.Second, Watch: 8 * time.Second, AtOnce: 3, RTSP: rtsp.DefaultConfig()}
}

// Source is a camera with its password.
type Source struct {
	station.Camera
	Password station.Secret
}

// Deps are what a probe asks. All but Log may be nil.
type Deps struct {
	// Kept is a camera that is set up, with its password.
	Kept func(id string) (Source, error)
	// State is how a kept camera is now; false where nothing is known.
	State func(id string) (station.CameraState, bool)
	// Live gives a kept camera's stream as long as it is watched.
	Live func(ctx context.Context, id string, role station.StreamRole) (*stream.Stream, func(), error)
	// Examine asks the camera otherwise (ONVIF).
	Examine func(ctx context.Context, c station.Camera, password station.Secret) []station.Finding
	Log     *slog.Logger
}

// Prober probes cameras.
type Prober struct {
	cfg  Config
	deps Deps
	turn chan struct{}

	mu      sync.Mutex
	refused map[[sha256.Size]byte]time.Time // accounts that were refused, by digest
}

// New makes a Prober.
func New(cfg Config, deps Deps) *Prober {
	d := DefaultConfig()
	cfg.Connect, cfg.Watch, cfg.AtOnce = cmp.Or(cfg.Connect, d.Connect), cmp.Or(cfg.Watch, d.Watch), cmp.Or(cfg.AtOnce, d.AtOnce)
	return &Prober{cfg: cfg, deps: deps, turn: make(chan struct{}, cfg.AtOnce), refused: map[[sha256.Size]byte]time.Time{}}
}

// refusedFor is how long a refused password is not tried again.
const refusedFor = time.Minute

func account(src Source) [sha256.Size]byte {
	host := src.URL
	if u, err := url.Parse(src.URL); err == nil {
		host = u.Host
	}
	return sha256.Sum256(fmt.Appendf(nil, "%q %q %q", host, src.Username, src.Password.Reveal()))
}

// Probe examines a camera. kept tells that it is set up here under its ID, just as
// it is given.
func (p *Prober) Probe(ctx context.Context, src Source, kept bool) (station.ProbeReport, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	default:
		return station.ProbeReport{}, station.Errorf(http.StatusTooManyRequests, "probe.busy", "wait some seconds", "other cameras are being probed")
	}
	began := time.Now()
	report := station.ProbeReport{At: began, Findings: []station.Finding{}}
	digest := account(src)
	p.mu.Lock()
	for d, at := range p.refused {
		if time.Since(at) >= refusedFor {
			delete(p.refused, d)
		}
	}
	_, lately := p.refused[digest]
	p.mu.Unlock()
	if kept && !lately && p.deps.State != nil {
		st, known := p.deps.State(src.ID)
		lately = known && st.Status == station.CameraUnauthorized
	}
	if lately {
		report.Findings = append(report.Findings, found("camera.password", station.FindingBad, "main", nil), found("camera.spared", station.FindingInfo, "", nil))
		return report, nil
	}

	var wg sync.WaitGroup
	var main, sub measure
	var asked []station.Finding
	wg.Go(func() { main = p.look(ctx, src, src.URL, station.RoleFocus, kept) })
	if src.Sub != "" {
		// One after the other where the first shows that nobody is let in: a wrong
		// password counts twice otherwise.
		wg.Wait()
		if main.code == "" || main.code == "path" || main.code == "format" || main.code == "no-slot" {
			wg.Go(func() { sub = p.look(ctx, src, src.Sub, station.RoleWall, kept) })
		} else {
			sub = measure{skipped: true}
		}
	}
	if src.ONVIF != "" && p.deps.Examine != nil {
		wg.Wait()
		if main.code != "password" && main.code != "login" {
			asked = p.deps.Examine(ctx, src.Camera, src.Password)
		}
	}
	wg.Wait()
	if ctx.Err() != nil {
		return report, ctx.Err()
	}
	if main.code == "password" {
		p.mu.Lock()
		if len(p.refused) < 1000 {
			p.refused[digest] = time.Now()
		}
		p.mu.Unlock()
	}
	if main.code == "" && !p.cfg.SkipVoice {
		asked = append(asked, p.voice(ctx, src)...)
	}
	report.Main = main.state()
	if src.Sub != "" && !sub.skipped {
		report.Sub = sub.state()
	}
	report.Findings = append(judge(src.Camera, main, sub), asked...)
	slices.SortStableFunc(report.Findings, func(a, b station.Finding) int { return rank(b.Severity) - rank(a.Severity) })
	report.Took = time.Since(began)
	return report, nil
}

func rank(s station.FindingSeverity) int {
	return slices.Index([]station.FindingSeverity{station.FindingOK, station.FindingInfo, station.FindingWarn, station.FindingBad}, s)
}

// config is how a stream of a camera is called.
func (p *Prober) config(src Source, address string) rtsp.Config {
	cfg := p.cfg.RTSP
	cfg.Camera, cfg.URL, cfg.Username, cfg.Password = "probe", address, src.Username, src.Password
	cfg.Transport, cfg.Fingerprint = src.Transport, src.Fingerprint
	cfg.RequestTimeout = min(cmp.Or(cfg.RequestTimeout, p.cfg.Connect), p.cfg.Connect)
	return cfg
}

// voice asks whether somebody can talk through the camera.
func (p *Prober) voice(ctx context.Context, src Source) []station.Finding {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Connect)
	defer cancel()
	switch l, err := rtsp.Ask(ctx, p.config(src, src.URL), p.deps.Log); {
	case err != nil:
		return nil // what keeps it from answering has been told of the pictures
	case l.Codec != "":
		return []station.Finding{found("talk.ok", station.FindingOK, "", map[string]string{"codec": l.Codec})}
	case l.Other != "":
		return []station.Finding{found("talk.codec", station.FindingWarn, "", map[string]string{"codec": l.Other})}
	}
	return []station.Finding{found("talk.none", station.FindingInfo, "", nil)}
}

// look connects to one stream and measures it.
func (p *Prober) look(ctx context.Context, src Source, address string, role station.StreamRole, kept bool) measure {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Connect+p.cfg.Watch)
	defer cancel()
	if kept && p.deps.Live != nil && p.deps.State != nil {
		if st, known := p.deps.State(src.ID); known && st.Status == station.CameraOnline && (role == station.RoleFocus || st.Sub.Status == station.CameraOnline) {
			if pictures, release, err := p.deps.Live(ctx, src.ID, role); err == nil {
				defer release()
				m := p.watch(ctx, pictures)
				m.transport, m.clock = st.Transport, st.ClockOffset
				if role != station.RoleFocus {
					m.transport, m.clock = st.Sub.Transport, st.Sub.ClockOffset
				}
				return m
			}
		}
	}
	cfg := p.config(src, address)
	if err := cfg.Validate(); err != nil || address == "" {
		return measure{code: "address", cause: "the address cannot be used"}
	}
	to := stream.New(stream.Config{})
	defer to.Close()
	source := rtsp.New(cfg, to, p.deps.Log)
	// One try: the first word that it is not online ends it, or else a refused
	// password would be given again.
	var mu sync.Mutex
	var said station.CameraState
	ended := make(chan struct{})
	once := sync.OnceFunc(func() { close(ended) })
	source.OnState(func(st station.CameraState) {
		mu.Lock()
		defer mu.Unlock()
		if st.Status != station.CameraConnecting && (said.Status == "" || said.Status == station.CameraOnline) {
			said = st
		}
		if st.Status != station.CameraConnecting && st.Status != station.CameraOnline {
			once()
		}
	})
	run, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := source.Run(run); err != nil {
			once()
		}
	})
	watched := make(chan measure, 1)
	wg.Go(func() { watched <- p.watch(run, to) })
	var m measure
	select {
	case m = <-watched:
	case <-ended:
		stop()
		m = <-watched
	}
	stop()
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	m.transport, m.clock = said.Transport, said.ClockOffset
	if m.pictures == 0 {
		m.cause, m.status = said.Cause, said.Status
		switch {
		case said.Status == "" || said.Status == station.CameraOnline:
			m.code, m.cause = "timeout", "the camera does not answer"
		default:
			m.code = rtsp.CodeOf(said.Cause)
		}
	}
	return m
}

// watch reads a stream until enough is known of it.
func (p *Prober) watch(ctx context.Context, s *stream.Stream) measure {
	var m measure
	r := s.Read(stream.ReadOptions{Name: "probe", Record: true})
	defer r.Close()
	var first, last, key time.Duration
	var end time.Time // set with the first picture
	for {
		wait := ctx
		cancel := func() {}
		if !end.IsZero() {
			wait, cancel = context.WithDeadline(ctx, end)
		}
		u, err := r.Next(wait)
		cancel()
		if err != nil {
			break
		}
		if u.NALUs == nil {
			continue
		}
		if m.pictures == 0 {
			first, last, end = u.PTS, u.PTS, time.Now().Add(p.cfg.Watch)
		}
		m.pictures++
		m.bytes += u.Size()
		if u.Damaged {
			m.damaged++
		}
		last = max(last, u.PTS)
		if u.Key {
			if m.keys > 0 {
				m.gop = max(m.gop, u.PTS-key)
			}
			m.keys++
			key = u.PTS
		}
		if m.keys >= 3 && last-first >= p.cfg.Watch/2 {
			break
		}
	}
	m.span = last - first
	if m.keys == 1 {
		m.gop, m.atLeast = m.span, true
	}
	if params, known := s.Params(); known {
		m.codec, m.width, m.height, m.bFrames = params.Codec, params.Width, params.Height, params.Reordered
		if params.Sound != nil {
			m.sound = params.Sound.Codec
		}
	}
	return m
}

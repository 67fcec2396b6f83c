package onvif

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"stationd/agent/station"
	"stationd/devices/payload"
)

// Camera is a camera that is spoken to by ONVIF, with its password.
type Camera struct {
	station.Camera
	Password station.Secret
}

func (c Camera) login() Login {
	return Login{URL: c.ONVIF, Username: c.Username, Password: c.Password, Fingerprint: c.Fingerprint}
}

// Deps are what a Set works with.
type Deps struct {
	// Handle takes in what the camera sender detects; it returns when that is
	// stored. Nil takes nothing in.
	Handle func(ctx context.Context, sender string, readings ...payload.Reading) error
	// Odd keeps what could not be understood.
	Odd func(sender string, raw []byte, err error)
	// Note writes down that somebody turned a camera, or changed its places.
	Note func(ctx context.Context, actor station.Actor, action, subject, detail string) error
	// Below has a station below turn its camera; false is that the camera is of none.
	// Nil knows of none.
	Below func(ctx context.Context, camera string, o station.TurnOrder, who station.Actor) (_ station.TurnReport, below bool, err error)
	Log   *slog.Logger
}

// Stats counts since New.
type Stats struct {
	Detections uint64 // handed on
	Repeated   uint64 // said nothing new
	Unknown    uint64 // of a picture that no camera shows
	Refused    uint64 // could not be stored
	Pictures   uint64 // key pictures asked for
	Unasked    uint64 // … and those that came too soon after another
}

// Set is the cameras of a node that are spoken to by ONVIF.
type Set struct {
	cfg  Config
	deps Deps
	log  *slog.Logger

	mu      sync.Mutex
	life    context.Context // nil before Run
	ended   bool
	cameras map[string]Camera
	lines   map[Login]*line // a recorder's cameras share one
	heads   map[string]*head
	keyed   map[string]time.Time // when a key picture was last asked for
	// refusals are the passwords that were refused when somebody asked by hand.
	refusals map[refusal]time.Time

	ready chan struct{}
	work  sync.WaitGroup
	stats struct{ detections, repeated, unknown, refused, pictures, unasked atomic.Uint64 }
}

// New makes a Set without cameras.
func New(cfg Config, deps Deps) *Set {
	return &Set{
		cfg: cfg, deps: deps, log: deps.Log,
		cameras: map[string]Camera{}, lines: map[Login]*line{}, heads: map[string]*head{}, keyed: map[string]time.Time{}, refusals: map[refusal]time.Time{}, ready: make(chan struct{}),
	}
}

// Stats are the counts.
func (s *Set) Stats() Stats {
	return Stats{
		Detections: s.stats.detections.Load(), Repeated: s.stats.repeated.Load(), Unknown: s.stats.unknown.Load(),
		Refused: s.stats.refused.Load(), Pictures: s.stats.pictures.Load(), Unasked: s.stats.unasked.Load(),
	}
}

// Run listens to what the cameras detect, until ctx ends. Before it returns every
// camera that is turning has been stopped.
func (s *Set) Run(ctx context.Context) error {
	life, end := context.WithCancel(ctx)
	s.mu.Lock()
	if s.life != nil {
		s.mu.Unlock()
		end()
		return errors.New("run ONVIF: it ran before")
	}
	s.life = life
	for _, l := range s.lines {
		s.listen(l)
	}
	s.mu.Unlock()
	close(s.ready)
	<-ctx.Done()
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	end()
	s.work.Wait()
	return nil
}

// Ready is closed once Run has begun.
func (s *Set) Ready() <-chan struct{} { return s.ready }

// begin starts a goroutine of the set; false is that it has ended, or not begun.
func (s *Set) begin(work func(context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.beginLocked(work)
}

func (s *Set) beginLocked(work func(context.Context)) bool {
	if s.life == nil || s.ended {
		return false
	}
	life := s.life
	s.work.Go(func() { work(life) })
	return true
}

// Apply sets the cameras; those without an ONVIF address are left out.
func (s *Set) Apply(cameras []Camera) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[string]Camera{}
	byLogin := map[Login][]Camera{}
	for _, c := range cameras {
		if c.ONVIF != "" {
			next[c.ID] = c
			byLogin[c.login()] = append(byLogin[c.login()], c)
		}
	}
	s.cameras = next
	for login, l := range s.lines {
		if _, stays := byLogin[login]; !stays {
			l.stop()
			delete(s.lines, login)
		}
	}
	for login, list := range byLogin {
		slices.SortFunc(list, func(a, b Camera) int { return strings.Compare(a.ID, b.ID) })
		l := s.lines[login]
		if l == nil {
			l = newLine(s, login)
			s.lines[login] = l
			l.set(list)
			s.listen(l)
		} else {
			l.set(list)
		}
	}
	for id := range s.heads {
		if _, stays := next[id]; !stays {
			if _, moves := s.heads[id].moving(); !moves {
				delete(s.heads, id)
			}
		}
	}
	for id := range s.keyed {
		if _, stays := next[id]; !stays {
			delete(s.keyed, id)
		}
	}
}

// listen begins to listen to a device's events. s.mu is held.
func (s *Set) listen(l *line) {
	if !s.cfg.Events || s.deps.Handle == nil || l.listening {
		return
	}
	l.listening = s.beginLocked(l.hear)
}

// with does something with a camera's device.
func (s *Set) with(ctx context.Context, id string, do func(ctx context.Context, c *Client, profile string) error) error {
	s.mu.Lock()
	cam, ok := s.cameras[id]
	l := s.lines[cam.login()]
	s.mu.Unlock()
	if !ok || l == nil {
		return errNotONVIF
	}
	c, err := l.client(ctx)
	if err != nil {
		return err
	}
	profile := cam.Profile
	if profile == "" {
		if profile, err = l.anyProfile(ctx, c); err != nil {
			return l.note(err)
		}
	}
	return l.note(do(ctx, c, profile))
}

var errNotONVIF = station.Errorf(404, "camera.no-onvif", "enter its ONVIF address in the camera's settings", "this camera is not spoken to by ONVIF")

// keyEvery is how often a camera is asked for a key picture at most.
const keyEvery = 2 * time.Second

// KeyPicture asks a camera for a key picture soon, where it can be asked. It is for
// whoever waits for a picture and may be called at any time; what comes within two
// seconds of another is dropped, and it blocks nobody.
func (s *Set) KeyPicture(camera string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cam, ok := s.cameras[camera]
	if !ok {
		return
	}
	now := time.Now()
	if now.Sub(s.keyed[camera]) < keyEvery {
		s.stats.unasked.Add(1)
		return
	}
	begun := s.beginLocked(func(ctx context.Context) {
		for _, token := range []string{cam.Profile, cam.SubProfile} {
			err := s.with(ctx, camera, func(ctx context.Context, c *Client, profile string) error {
				if token != "" {
					profile = token
				}
				return c.KeyPicture(ctx, c.profile(profile))
			})
			if err != nil {
				s.log.Debug("key picture not asked for", "camera", camera, "err", err) // there will be one anyway
				return
			}
			if cam.SubProfile == "" {
				return
			}
		}
	})
	if begun {
		s.keyed[camera] = now
		s.stats.pictures.Add(1)
	}
}

// Snapshot fetches a still picture from the camera, and its media type. The error
// is a problem with the code "onvif.snapshot" or "camera.no-onvif" where it gives
// none.
func (s *Set) Snapshot(ctx context.Context, camera string) (picture []byte, mediaType string, err error) {
	err = s.with(ctx, camera, func(ctx context.Context, c *Client, profile string) (err error) {
		picture, mediaType, err = c.Snapshot(ctx, c.profile(profile))
		return err
	})
	return picture, mediaType, err
}

// Move turns and zooms a camera until Config.Hold has passed without another order.
// A velocity of zero stops it.
func (s *Set) Move(ctx context.Context, camera string, v Velocity, who station.Actor) error {
	for _, x := range []float64{v.Pan, v.Tilt, v.Zoom} {
		if !(x >= -1 && x <= 1) {
			return station.Errorf(400, "ptz.speed", "use -1 to 1", "the speed is out of range")
		}
	}
	s.mu.Lock()
	if _, ok := s.cameras[camera]; !ok {
		s.mu.Unlock()
		return errNotONVIF
	}
	h := s.heads[camera]
	if h == nil {
		h = newHead(s, camera)
		s.heads[camera] = h
	}
	s.mu.Unlock()
	first, err := h.order(ctx, v, who)
	if first && err == nil && s.deps.Note != nil {
		return s.deps.Note(ctx, who, "camera.move", "camera/"+camera, "")
	}
	return err
}

// Moving tells who turns a camera now.
func (s *Set) Moving(camera string) (by string, moves bool) {
	s.mu.Lock()
	h := s.heads[camera]
	s.mu.Unlock()
	if h == nil {
		return "", false
	}
	return h.moving()
}

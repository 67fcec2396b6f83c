package video

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"stationd/agent/station"
	"stationd/video/peer"
	"stationd/video/stream"
)

// Events takes in what the rest of the node must know.
type Events interface {
	// HandleCameraState returns when the state is durable.
	HandleCameraState(ctx context.Context, state station.CameraState) error
}

// Recorder keeps a record of what it reads from a stream, until ctx ends.
type Recorder interface {
	Record(ctx context.Context, camera string, s *stream.Stream) error
}

// Remote reaches the stations of a centre.
type Remote interface {
	// OpenLeg asks a station to bring a camera's picture for a role, under a
	// session, and returns when the wish is on its way. The station's offer comes back through
	// Set.AcceptLeg.
	OpenLeg(ctx context.Context, node station.NodeID, camera string, role station.StreamRole, session string) error
	// CloseLeg tells the station that the picture is no longer wanted.
	CloseLeg(ctx context.Context, node station.NodeID, session string)
}

// KeyAsker asks a camera for a key picture soon, where it can be asked. It never
// blocks, and bounds by itself how often a camera is bothered.
type KeyAsker interface{ KeyPicture(camera string) }

// Deps are what a Set works with.
type Deps struct {
	Hub *peer.Hub
	// Archive records the cameras that have Record set; nil records nothing.
	Archive Recorder
	Events  Events
	// Remote is nil at a station without children.
	Remote Remote
	// Keys is asked when somebody begins to watch; nil asks nobody.
	Keys KeyAsker
	// MayTalk tells whether somebody may talk through a camera now; nil asks nobody.
	MayTalk func(who station.Actor, camera string) bool
	// Note writes down who did what to a camera; nil nowhere.
	Note func(ctx context.Context, who station.Actor, action, subject, detail string) error
	Log  *slog.Logger
}

// Source is a camera with its password.
type Source struct {
	station.Camera
	Password station.Secret
}

// Set is the cameras of a node.
type Set struct {
	cfg  Config
	deps Deps
	log  *slog.Logger

	mu      sync.Mutex
	life    context.Context // nil before Run
	ended   bool
	cameras map[string]*camera
	leaving map[string]*job // sources of removed feeds that have not ended yet
	remotes map[string]station.Camera
	legs    map[legKey]*leg    // one for each camera and quality
	waiting map[string]*leg    // by the session that its station was told
	views   map[string]*viewer // by session
	talks   map[string]*talk   // by session
	failed  []station.Viewing  // who could not watch, the newest last
	sockets int                // viewers over WebSocket, or about to be
	unsaid  map[string]station.CameraState
	tell    chan struct{} // unsaid has something
	ready   chan struct{}

	work sync.WaitGroup // every goroutine of the set
}

// New makes a Set without cameras.
func New(cfg Config, deps Deps) *Set {
	return &Set{
		cfg:     cfg,
		deps:    deps,
		log:     deps.Log,
		cameras: map[string]*camera{},
		leaving: map[string]*job{},
		remotes: map[string]station.Camera{},
		legs:    map[legKey]*leg{},
		waiting: map[string]*leg{},
		views:   map[string]*viewer{},
		talks:   map[string]*talk{},
		unsaid:  map[string]station.CameraState{},
		tell:    make(chan struct{}, 1),
		ready:   make(chan struct{}),
	}
}

// Run keeps the cameras going until ctx ends.
func (s *Set) Run(ctx context.Context) error {
	life, end := context.WithCancel(ctx)
	defer end()
	s.mu.Lock()
	if s.life != nil {
		s.mu.Unlock()
		return errors.New("run cameras: they ran before")
	}
	s.life = life
	for _, c := range s.cameras {
		s.start(c)
	}
	s.mu.Unlock()
	close(s.ready)

	s.work.Add(1)
	go func() {
		defer s.work.Done()
		s.measure(life)
	}()
	s.tellStates(ctx)

	s.mu.Lock()
	s.ended = true
	for _, l := range s.legs {
		s.dissolve(l)
	}
	for _, v := range s.views {
		v.session.Close()
	}
	for _, c := range s.cameras {
		c.hush(errProgram)
		for _, f := range c.feeds() {
			f.stream.Close()
			if f.linger != nil {
				f.linger.Stop()
			}
		}
	}
	s.mu.Unlock()
	end()
	s.work.Wait()
	return nil
}

// Ready is closed once Run has begun.
func (s *Set) Ready() <-chan struct{} { return s.ready }

// runs tells whether goroutines may be started. s.mu is held.
func (s *Set) runs() bool { return s.life != nil && !s.ended && s.life.Err() == nil }

// Apply sets the cameras of this node, and those of its stations: what is not
// named is removed. A remote camera's ID is "node.camera".
func (s *Set) Apply(cameras []Source, remote []station.Camera) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	wanted := map[string]bool{}
	for _, src := range cameras {
		wanted[src.ID] = true
		if c := s.cameras[src.ID]; c != nil {
			s.change(c, src)
		} else {
			s.add(src)
		}
	}
	for id, c := range s.cameras {
		if !wanted[id] {
			s.remove(c)
		}
	}
	maps.DeleteFunc(s.leaving, func(_ string, j *job) bool { return j.ended() })

	clear(s.remotes)
	for _, c := range remote {
		s.remotes[c.ID] = c
	}
	for key, l := range s.legs {
		if _, ok := s.remotes[key.camera]; !ok {
			s.dissolve(l)
		}
	}
}

// States lists the state of every camera of this node, by ID.
func (s *Set) States() []station.CameraState {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]station.CameraState, 0, len(s.cameras))
	for _, id := range slices.Sorted(maps.Keys(s.cameras)) {
		out = append(out, s.cameras[id].state)
	}
	return out
}

// Lamps is the lamp of the cameras.
func (s *Set) Lamps() []station.Lamp {
	s.mu.Lock()
	defer s.mu.Unlock()
	total, online := len(s.cameras), 0
	for _, c := range s.cameras {
		switch c.state.Status {
		case station.CameraOnline, station.CameraIdle: // nothing is wrong with either
			online++
		}
	}
	args := map[string]any{"online": online, "total": total}
	l := station.Lamp{ID: "cameras", State: station.LampOK, Code: "cameras.ok", Args: args}
	switch {
	case total == 0:
		l = station.Lamp{ID: "cameras", State: station.LampOff, Code: "cameras.none"}
	case online == 0:
		l.State, l.Code, l.Hint = station.LampBad, "cameras.lost", "cameras.check"
	case online < total:
		l.State, l.Code, l.Hint = station.LampWarn, "cameras.lost", "cameras.check"
	}
	return []station.Lamp{l}
}

// Watch gives the stream of a camera that fits a role, of this node or
// ("node.camera") of one of its stations. A source that was off is started. A
// remote picture is fetched if nobody watches it yet, which takes until it is
// there, ctx ends or Config.LegTimeout has passed. release must be called when the stream is no longer read;
// the stream is not closed by it.
func (s *Set) Watch(ctx context.Context, camera string, role station.StreamRole) (pictures *stream.Stream, release func(), err error) {
	return s.watch(ctx, camera, role, anything)
}

// watch is Watch for a viewer who cannot take everything.
func (s *Set) watch(ctx context.Context, camera string, role station.StreamRole, t taste) (*stream.Stream, func(), error) {
	if strings.Contains(camera, ".") {
		pictures, release, err := s.watchRemote(ctx, camera, role)
		if err != nil {
			return nil, nil, err
		}
		if p, ok := pictures.Params(); ok && p.Reordered && !t.reordered {
			release()
			return nil, nil, errReordered
		}
		return pictures, release, nil
	}
	f, release, err := s.take(ctx, camera, role, t)
	if err != nil {
		return nil, nil, err
	}
	return f.stream, sync.OnceFunc(release), nil
}

// DialOut brings a camera of this node to the centre that wished for it, as fits
// the role. It blocks until the leg ends, and returns nil only when ctx was
// cancelled. sent, which may be nil, is told of every packet's bytes on the line
// and must not block.
func (s *Set) DialOut(ctx context.Context, camera string, role station.StreamRole, sent func(bytes int), exchange func(ctx context.Context, offer string) (answer string, err error)) error {
	f, release, err := s.take(ctx, camera, role, taste{})
	if err != nil {
		return err
	}
	defer release()
	return s.deps.Hub.Dial(ctx, f.stream, sent, exchange)
}

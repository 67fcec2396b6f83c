package devices

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"stationd/agent/station"
	"stationd/devices/broker"
	"stationd/devices/mqtt"
	"stationd/devices/payload"
)

// Set is the sensors of one station and the brokers that they speak to.
type Set struct {
	cfg   Config
	node  station.NodeID
	sink  Sink
	log   *slog.Logger
	now   func() time.Time
	lost  func(at time.Time)
	ready chan struct{}

	// registry is what Apply was given last, made ready for use. It is replaced
	// as a whole and never changed.
	registry atomic.Pointer[registry]
	changed  chan struct{} // holds one token when the registry was replaced
	kick     chan struct{} // holds one token when a deadline may have moved up

	progress atomic.Uint64
	counts   counts
	odd      oddities
	bench    bench
	undone   undone
	requests chan request  // of families, for their brokers
	patience time.Duration // with a broker that is away
	told     verdict       // whether one is away, as it was reported last; of keepTime

	catalogue  *payload.Catalogue
	feeds      []string
	applying   sync.Mutex              // Apply's turn, taken before mu; guards the next three
	applied    Registry                // what it was given last
	listeners  map[[2]string]*listener // by broker and family
	generation int                     // of the mapping files
	learnedMu  sync.RWMutex            // guards learned
	learned    map[source]*listener    // topics that families have learned of
	mu         sync.Mutex              // guards what follows and the fields of memory that say so
	memories   map[string]*memory
	strangers  map[address]*sensor // devices that nobody has registered
	fullUntil  time.Time           // the sink has no room for further ones
	bridges    map[address]bridgeState
	embedded   *broker.Broker
	listenedAt time.Time // zero while the built-in broker is not listening
	links      map[string]*runningLink
	readyOnce  sync.Once
}

// Sink takes in what sensors report.
type Sink interface {
	// HandleReport returns once r is stored. It is called from many goroutines,
	// never from two for the same sensor. A report without a sensor is the
	// station's own: that brokers are away.
	HandleReport(ctx context.Context, r station.Report) error
}

// Deps is what a Set needs of others.
type Deps struct {
	Node station.NodeID
	Sink Sink
	Log  *slog.Logger
	// Families are the payload families; nil means those that are built in.
	Families *payload.Catalogue
	// Feeds are the names of families that are heard otherwise than by MQTT, as
	// in Delivery.
	Feeds []string
	// GivenUp is told of each reading that was acknowledged although there was no
	// space to store it. It must not block; nil is for who does not want to know.
	GivenUp func(at time.Time)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Registry is the whole picture of what there is to listen to.
type Registry struct {
	Sensors []station.Sensor
	// States are what is known of the sensors, as far as it is stored. They are
	// looked at when a sensor is seen for the first time.
	States   []station.SensorState
	Brokers  []BrokerLink
	Accounts []station.BrokerAccount
	// JoiningUntil is until when devices may appear by themselves.
	JoiningUntil time.Time
	// UpUntil is until when the program ran before; zero is not known. What a broker
	// outside has kept may be from then on.
	UpUntil time.Time
}

// BrokerLink is an external broker with its password, or what is set of the
// built-in one.
type BrokerLink struct {
	station.Broker
	Password station.Secret
}

// New makes a set without sensors; it opens nothing.
func New(cfg Config, deps Deps) *Set {
	s := &Set{
		cfg: cfg, node: deps.Node, sink: deps.Sink, log: deps.Log, now: deps.Now, lost: deps.GivenUp,
		patience: brokerPatience,
		ready:    make(chan struct{}), changed: make(chan struct{}, 1), kick: make(chan struct{}, 1),
		memories: map[string]*memory{}, strangers: map[address]*sensor{}, bridges: map[address]bridgeState{}, links: map[string]*runningLink{},
		catalogue: deps.Families, feeds: deps.Feeds, learned: map[source]*listener{}, requests: make(chan request, requestsQueued),
	}
	if s.catalogue == nil {
		s.catalogue = payload.Families("")
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.lost == nil {
		s.lost = func(time.Time) {}
	}
	s.Apply(Registry{})
	return s
}

// Run listens until ctx ends. It returns an error when the built-in broker
// cannot listen; it may be run again then.
func (s *Set) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	ended := make(chan error, 1)
	if s.cfg.Broker.Listen != "" {
		b := broker.New(s.cfg.Broker, s.brokerHooks(), s.log.With("broker", station.EmbeddedBroker))
		wg.Go(func() { ended <- b.Run(ctx) })
		select {
		case <-b.Ready():
		case err := <-ended:
			return err
		}
		s.recall(b.Retained())
		s.setEmbedded(b)
		defer s.setEmbedded(nil)
	}
	s.readyOnce.Do(func() { close(s.ready) })

	wg.Go(func() { s.keepTime(ctx) })
	wg.Go(func() { s.keepLinks(ctx) })
	wg.Go(func() { s.answerRequests(ctx) })
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		if ctx.Err() != nil {
			return nil
		}
		return errors.Join(errors.New("the built-in broker stopped"), err)
	}
}

func (s *Set) setEmbedded(b *broker.Broker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.embedded, s.listenedAt = b, time.Time{}
	if b != nil {
		s.listenedAt = s.now()
	}
}

// Ready is closed once sensors can connect.
func (s *Set) Ready() <-chan struct{} { return s.ready }

// Addr is the built-in broker's address, nil while it does not listen.
func (s *Set) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.embedded == nil {
		return nil
	}
	return s.embedded.Addr()
}

// Progress grows with each report that was handed on, and every few seconds as
// long as the timers run: it stands still only when everything hangs.
func (s *Set) Progress() uint64 { return s.progress.Load() }

// runningLink is a link and the way to end it.
type runningLink struct {
	target mqtt.Target
	link   *mqtt.Link
	stop   context.CancelFunc
	done   chan struct{}
}

// keepLinks starts and ends links as the registry changes.
func (s *Set) keepLinks(ctx context.Context) {
	for {
		s.matchLinks(ctx)
		select {
		case <-s.changed:
		case <-ctx.Done():
			s.endLinks(func(*runningLink) bool { return true })
			return
		}
	}
}

func (s *Set) matchLinks(ctx context.Context) {
	want := s.registry.Load().targets
	s.endLinks(func(r *runningLink) bool {
		t, ok := want[r.target.ID]
		return !ok || !t.Equal(r.target)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, t := range want {
		if s.links[id] != nil {
			continue
		}
		ctx, stop := context.WithCancel(ctx)
		r := &runningLink{target: t, stop: stop, done: make(chan struct{})}
		r.link = mqtt.New(s.cfg.Link, t, s.takeFrom(t), s.log)
		s.links[id] = r
		go func() {
			defer close(r.done)
			if err := r.link.Run(ctx); err != nil {
				s.log.Error("broker link failed", "broker", id, "error", err)
			}
		}()
	}
}

// endLinks ends the links that which picks, and waits for them.
func (s *Set) endLinks(which func(*runningLink) bool) {
	var ending []*runningLink
	s.mu.Lock()
	for id, r := range s.links {
		if which(r) {
			ending = append(ending, r)
			delete(s.links, id)
		}
	}
	s.mu.Unlock()
	for _, r := range ending {
		r.stop()
	}
	for _, r := range ending {
		<-r.done
	}
}

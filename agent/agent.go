package agent

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"stationd/agent/alarm"
	"stationd/agent/history"
	"stationd/agent/station"
	"stationd/agent/store"
)

// Config is what the agent needs to know at start.
type Config struct {
	// Name is the node's name as people say it: "示范村工作站".
	Name string `yaml:"name"`
	// ClipBefore and ClipAfter are the span of an alarm's clip.
	ClipBefore time.Duration `yaml:"clip_before"`
	ClipAfter  time.Duration `yaml:"clip_after"`
	// MaxUnknown bounds how many devices may appear by themselves.
	MaxUnknown int `yaml:"max_unknown_sensors"`
	// Version is the program's; it is told to the parent.
	Version string `yaml:"-"`
	// AnswerURL is the address under which a contact's telephone reaches this
	// console, "https://station.example.org". It stands in the links that answer
	// an alarm; without it messages have none.
	AnswerURL string `yaml:"answer_url"`
	// Alarms are the bounds of chatter and flood.
	Alarms alarm.Limits `yaml:"alarms"`
	// Stations are the patience of a centre with its stations.
	Stations Patience `yaml:"stations"`
	// KeepReceipts is how long a repeated command gets its first receipt.
	KeepReceipts time.Duration `yaml:"keep_receipts"`
	// Plans is the folder of the plans' pictures; it is made when the first one
	// comes. Empty takes none.
	Plans string `yaml:"-"`
	// History is how long readings are kept for charts and trials.
	History history.Config `yaml:"history"`
}

// DefaultConfig is what a station starts with.
func DefaultConfig() Config {
	return Config{
		Name:         "城市运行管理工作站",
		ClipBefore:   10 * time.Second,
		ClipAfter:    20 * time.Second,
		MaxUnknown:   500,
		Alarms:       alarm.DefaultLimits(),
		Stations:     DefaultPatience(),
		KeepReceipts: 7 * 24 * time.Hour,
		History:      history.DefaultConfig(),
	}
}

// Validate reports every fault, each with its key.
func (c Config) Validate() error {
	var faults []error
	bad := func(key, hint, message string) {
		faults = append(faults, station.Errorf(400, "config.invalid", hint, "%s", message).At(key))
	}
	if c.Name == "" || len(c.Name) > 120 {
		bad("name", "give the node's name, at most 40 Chinese characters", "the name is empty or too long")
	}
	if c.ClipBefore < 0 || c.ClipBefore > 5*time.Minute {
		bad("clip_before", "use 0s to 5m", "the span before the alarm is out of range")
	}
	if c.ClipAfter < time.Second || c.ClipAfter > 10*time.Minute {
		bad("clip_after", "use 1s to 10m", "the span after the alarm is out of range")
	}
	if c.MaxUnknown < 0 || c.MaxUnknown > 100_000 {
		bad("max_unknown_sensors", "use 0 to 100000", "the number is out of range")
	}
	if u, err := url.Parse(c.AnswerURL); c.AnswerURL != "" && (err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || strings.Trim(u.Path, "/") != "") {
		bad("answer_url", "write https://name or https://name:port", "this is no address of a console")
	}
	if c.KeepReceipts < time.Hour {
		bad("keep_receipts", "use 1h or more", "receipts would be forgotten while a command may still be repeated")
	}
	if l := c.Alarms; l.Chatter < 2 || l.Chatter > 100 || l.ChatterWithin < time.Second || l.ChatterWithin > time.Hour || l.ChatterQuiet < time.Second || l.ChatterQuiet > time.Hour {
		bad("alarms.chatter", "use 2 to 100 raises, and 1s to 1h for both spans", "what counts as chatter is out of range")
	}
	if l := c.Alarms; l.Flood < 1 || l.Flood > 1000 || l.FloodWithin < time.Second || l.FloodWithin > 24*time.Hour {
		bad("alarms.flood", "use 1 to 1000 alarms within 1s to 24h", "what counts as a flood is out of range")
	}
	if p := c.Stations; p.LostAfter < 10*time.Second || p.LostAfter > time.Hour || p.SilentAfter < 10*time.Second || p.SilentAfter > time.Hour || p.StartGrace < 10*time.Second || p.StartGrace > time.Hour {
		bad("stations", "use 10s to 1h for each", "how long a station may be away or silent is out of range")
	}
	faults = append(faults, station.Under("history", c.History.Validate()))
	return errors.Join(faults...)
}

// ClipMaker cuts and keeps clips; video/record implements it.
type ClipMaker interface {
	// Clip waits until c.To is recorded and returns the clip ready or failed.
	// It may be called again for the same ID. An error means: try later.
	Clip(ctx context.Context, c station.Clip) (station.Clip, error)
	// HasClip tells whether a clip's film is here, whole.
	HasClip(id string) bool
	// RemoveClip gives a clip's room back; station.ErrNotFound where there is none.
	RemoveClip(id string) error
}

// Registry is all that is set up: what devices and video work from.
type Registry struct {
	Sensors  []station.Sensor
	States   []station.SensorState
	Brokers  []BrokerLink
	Accounts []station.BrokerAccount
	Cameras  []CameraLink     // the node's own
	Remote   []station.Camera // of children, IDs "<node>.<camera>"
	// JoiningUntil is until when unknown devices may appear by themselves; in the
	// past or zero they may not.
	JoiningUntil time.Time
	// RanUntil is until when the program ran the last time; zero is not known.
	RanUntil time.Time
}

// BrokerLink is an outside broker with its password.
type BrokerLink struct {
	station.Broker
	Password station.Secret
}

// CameraLink is a camera with its password.
type CameraLink struct {
	station.Camera
	Password station.Secret
}

// Deps is what the agent is handed.
type Deps struct {
	Store *store.Store
	// Clips makes and keeps clips.
	Clips ClipMaker
	// Evidence holds film as evidence; nil where there is no record.
	Evidence EvidenceKeeper
	// Apply is called, from one goroutine at a time, with the whole registry at
	// the start of Run and after every change of it.
	Apply func(Registry)
	// CheckSensor and CheckBroker tell whether what is to be stored can be
	// listened to; nil accepts all.
	CheckSensor func(station.Sensor) error
	// Channels asks a recorder for its channels; nil asks none.
	Channels    func(context.Context, station.Recorder, station.Secret) ([]station.RecorderChannel, error)
	CheckBroker func(station.Broker) error
	// CheckChannel tells whether messages can be sent by what is to be stored;
	// nil accepts all.
	CheckChannel func(station.Channel) error
	// Deliver makes one try to send a message and ends within its own time; nil
	// sends nothing. An error is a problem without secrets.
	Deliver func(context.Context, station.ChannelLink, station.Message) (station.Delivery, error)
	// CheckExport tells whether an export that is ordered can be made; nil makes
	// none.
	CheckExport func(station.Export) error
	// Rules is what is known of rules; without it they are stored as they come and
	// cannot be tried.
	Rules Rules
	// Roster says who is told of alarms; nil is the fixed list of contacts.
	Roster Roster
	// BrokerHealth tells how the brokers are, by their IDs; nil knows of none.
	BrokerHealth func() map[string]station.BrokerHealth
	// CameraOf tells for each kind of resource of the other rooms, by its ID, which
	// camera it belongs to; "" of what does not exist.
	CameraOf map[string]func(id string) (camera string)
	// Loudspeaker is the node's own audio output; nil where there is none.
	Loudspeaker Loudspeaker
	// Order sends a command to a station below and waits for its receipt, while it
	// can be reached or until ctx ends; nil where none is below.
	Order func(context.Context, station.NodeID, station.Command) (station.Receipt, error)
	// Door is how stations are enrolled below; nil where none are let in.
	Door *Doorkeeper
	// Centre tells that a parent is configured, so that the desk shows whether
	// it has an alarm.
	Centre bool
	Log    *slog.Logger
	// Now is the wall clock; nil means time.Now.
	Now func() time.Time
	// Elapsed is how long the program runs by a clock that nobody sets; nil means
	// the difference of two Now, whose values then carry a monotonic reading.
	Elapsed func() time.Duration
}

// Rules judges rules and readings for the agent, which may not know how.
type Rules struct {
	// Check tells whether a rule can be used for a class.
	Check func(r station.Rule, class string) error
	// Try makes a rule ready to be tried: a new judge for each sensor.
	Try func(r station.Rule, class string) (func() RuleJudge, error)
	// Fields are what sensors of a class may report, Defaults what they heed when
	// they have no rules.
	Fields   func(class string) []station.RuleField
	Defaults func(class string) []station.Rule
}

// Agent is the core of one node. Its methods may be called from any goroutine.
type Agent struct {
	cfg      Config
	store    *store.Store
	clips    ClipMaker
	evidence EvidenceKeeper
	apply    func(Registry)
	log      *slog.Logger
	now      func() time.Time

	history *history.History
	rules   Rules
	trying  chan struct{} // held by the one trial that runs

	centreConfigured bool
	checkSensor      func(station.Sensor) error
	channels         func(context.Context, station.Recorder, station.Secret) ([]station.RecorderChannel, error)
	checkBroker      func(station.Broker) error
	checkChannel     func(station.Channel) error
	deliver          func(context.Context, station.ChannelLink, station.Message) (station.Delivery, error)
	roster           Roster
	loudspeaker      Loudspeaker
	orderBelow       func(context.Context, station.NodeID, station.Command) (station.Receipt, error)
	brokerHealth     func() map[string]station.BrokerHealth
	cameraOf         map[string]func(id string) string
	links            limiter // what guessing signed links costs

	// changed is asked for a new Apply; one pending request is enough.
	changed chan struct{}
	// ask wakes whoever sends orders to stations.
	ask chan struct{}
	// cut wakes the clip loop.
	cut         chan struct{}
	checkExport func(station.Export) error
	// exporting is closed and renewed when an export is ordered or taken back.
	exporting struct {
		sync.Mutex
		more chan struct{}
	}
	// uploads is closed and renewed when a clip becomes ready.
	uploads struct {
		sync.Mutex
		more chan struct{}
	}
	steady steady
	// indexed tells that every live alarm has its condition's record and every
	// alarm its place in the lists: those of an older version have neither.
	indexed atomic.Bool
	refused refusals
	guesses limiter
	codes   limiter // what guessing enrolment codes costs
	door    *Doorkeeper
	hashes  hashes
	// cards are those that the program comes with.
	cards cards
	// pictures is held while a plan's picture is taken in or swept away.
	pictures sync.Mutex
	// importing is held while an import is carried out.
	importing sync.Mutex
}

// New makes an agent. It opens and starts nothing.
func New(cfg Config, deps Deps) *Agent {
	a := &Agent{
		cfg:   cfg,
		store: deps.Store,
		clips: deps.Clips, evidence: deps.Evidence,
		apply: deps.Apply,
		log:   deps.Log,
		now:   deps.Now,

		centreConfigured: deps.Centre,
		checkSensor:      deps.CheckSensor,
		channels:         deps.Channels,
		checkBroker:      deps.CheckBroker,
		checkChannel:     deps.CheckChannel,
		deliver:          deps.Deliver,
		roster:           deps.Roster,
		loudspeaker:      deps.Loudspeaker,
		orderBelow:       deps.Order,
		brokerHealth:     deps.BrokerHealth,
		cameraOf:         deps.CameraOf,
		door:             deps.Door,

		changed: make(chan struct{}, 1),
		ask:     make(chan struct{}, 1),
		cut:     make(chan struct{}, 1),
		hashes:  make(hashes, maxHashing),
	}
	if a.now == nil {
		a.now = time.Now
	}
	if a.steady.elapsed = deps.Elapsed; a.steady.elapsed == nil {
		began := a.now()
		a.steady.elapsed = func() time.Duration { return a.now().Sub(began) }
	}
	if a.brokerHealth == nil {
		a.brokerHealth = func() map[string]station.BrokerHealth { return nil }
	}
	if a.checkSensor == nil {
		a.checkSensor = func(station.Sensor) error { return nil }
	}
	if a.checkBroker == nil {
		a.checkBroker = func(station.Broker) error { return nil }
	}
	if a.checkChannel == nil {
		a.checkChannel = func(station.Channel) error { return nil }
	}
	if a.deliver == nil {
		a.deliver = func(context.Context, station.ChannelLink, station.Message) (station.Delivery, error) {
			return station.Delivery{Final: true}, station.Errorf(503, "notify.off", "this node sends no messages", "there is nobody to send messages")
		}
	}
	if a.roster == nil {
		a.roster = contactList{}
	}
	if a.apply == nil {
		a.apply = func(Registry) {}
	}
	a.rules, a.trying = deps.Rules, make(chan struct{}, 1)
	if a.rules.Check == nil {
		a.rules.Check = func(station.Rule, string) error { return nil }
	}
	if a.rules.Fields == nil {
		a.rules.Fields = func(string) []station.RuleField { return nil }
	}
	if a.rules.Defaults == nil {
		a.rules.Defaults = func(string) []station.Rule { return nil }
	}
	a.history = history.New(cfg.History, deps.Store, a.now, a.log)
	a.uploads.more = make(chan struct{})
	a.exporting.more = make(chan struct{})
	a.checkExport = deps.CheckExport
	var err error
	if a.cards, err = readCards(); err != nil {
		a.log.Error("the program's own step cards cannot be read", "err", err)
	}
	return a
}

// Node is the node's ID.
func (a *Agent) Node() station.NodeID { return a.store.Node() }

// Name is the node's name as people say it.
func (a *Agent) Name() string { return a.cfg.Name }

// Run keeps the registry applied, makes clips, watches the disk and trims the
// journal. It returns nil when ctx ends, after all its goroutines have.
func (a *Agent) Run(ctx context.Context) error {
	for _, first := range []func(context.Context) error{a.reportOpening, a.introduce, a.finishImport, a.settleEvidence, a.tidyPlans, a.indexAlarms} {
		switch err := first(ctx); {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, station.ErrNoSpace):
			// Whoever started us would start us in a circle, and nobody would
			// listen to the sensors.
			a.log.Error("no room for what is told at the start", "err", err)
		case err != nil:
			return err
		}
	}
	g, parts := errgroup.WithContext(ctx)
	for _, part := range []func(context.Context) error{a.runRegistry, a.runClips, a.runGone, a.runSpace, a.history.Run, a.runTrim, a.runBackup, a.runTimers, a.runForgetSent, a.runRespond, a.runAsked} {
		g.Go(func() error { return part(parts) })
	}
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// Heartbeat proves that the agent's write path is alive: one empty transaction
// through the committer. The watchdog calls it.
func (a *Agent) Heartbeat(ctx context.Context) error { return a.store.Ping(ctx) }

package playback

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/video/record"
)

// Config is how long exports may be and are kept.
type Config struct {
	// Dir is the folder of the exports; it is made when the first one is.
	Dir string `yaml:"-"`
	// ExportKeep is how long an export can be fetched before it is removed.
	ExportKeep time.Duration `yaml:"export_keep"`
	// ExportLongest is the longest span that one file may hold.
	ExportLongest time.Duration `yaml:"export_longest"`
}

// DefaultConfig keeps exports for a day.
func DefaultConfig() Config {
	return Config{ExportKeep: 24 * time.Hour, ExportLongest: 6 * time.Hour}
}

// Validate reports every fault, each with its key.
func (c Config) Validate() error {
	var faults []error
	if c.ExportKeep < time.Minute || c.ExportKeep > 30*24*time.Hour {
		faults = append(faults, station.Errorf(400, "config.invalid", "use 24h", "must be between 1m and 720h").At("export_keep"))
	}
	if c.ExportLongest < time.Minute || c.ExportLongest > 24*time.Hour {
		faults = append(faults, station.Errorf(400, "config.invalid", "use 6h", "must be between 1m and 24h").At("export_longest"))
	}
	return errors.Join(faults...)
}

// Deps is what playback is handed.
type Deps struct {
	Archive *record.Archive
	// Alarms tells of the alarms in a camera's sight that were raised between two
	// times, the oldest first, at most so many; nil knows of none.
	Alarms func(camera string, from, to time.Time, most int) ([]station.Alarm, error)
	// Exports is where exports are ordered and noted; without it none are made.
	Exports Exports
	// May tells whether somebody may see a camera's pictures.
	May func(who station.Actor, camera string) bool
	// Snapshot fetches a camera's own picture of this moment; nil asks none.
	Snapshot func(ctx context.Context, camera string) (picture []byte, mediaType string, err error)
	// Room tells whether so many bytes may be written to the disk now:
	// station.ErrNoSpace where not.
	Room func(bytes int64) error
	Log  *slog.Logger
	// Now is the wall clock; nil means time.Now.
	Now func() time.Time
}

// Exports is the list of exports that people have ordered.
type Exports interface {
	// Exports lists them, the newest first; Export is one of them.
	Exports() ([]station.Export, error)
	Export(id string) (station.Export, error)
	// ExportDone notes what became of one; false when it was taken back meanwhile.
	ExportDone(ctx context.Context, x station.Export) (kept bool, err error)
	// ExportsChanged is closed when one is ordered or taken back.
	ExportsChanged() <-chan struct{}
}

// Playback plays the record.
type Playback struct {
	cfg     Config
	archive *record.Archive
	alarms  func(string, time.Time, time.Time, int) ([]station.Alarm, error)
	exports Exports
	may     func(station.Actor, string) bool
	room    func(int64) error
	log     *slog.Logger
	now     func() time.Time
	decode  chan struct{} // held by those who run a decoder for a picture
	fetch   chan struct{} // held by those who ask a camera for one

	snapshot func(context.Context, string) ([]byte, string, error)

	mu         sync.Mutex
	renditions map[record.InitID]*rendition
	progress   map[string]float64 // of the exports that are being made
}

// mostDecoders is how many pictures are turned into JPEG at once, mostFetches how
// many cameras are asked for one.
const (
	mostDecoders = 2
	mostFetches  = 4
)

// New makes it ready; nothing runs yet.
func New(cfg Config, deps Deps) *Playback {
	p := &Playback{
		cfg: cfg, archive: deps.Archive, alarms: deps.Alarms, exports: deps.Exports, may: deps.May, room: deps.Room, log: deps.Log, now: deps.Now,
		decode: make(chan struct{}, mostDecoders), fetch: make(chan struct{}, mostFetches), snapshot: deps.Snapshot, renditions: map[record.InitID]*rendition{}, progress: map[string]float64{},
	}
	if p.now == nil {
		p.now = time.Now
	}
	if p.may == nil {
		p.may = func(station.Actor, string) bool { return false }
	}
	if p.room == nil {
		p.room = func(int64) error { return nil }
	}
	if p.alarms == nil {
		p.alarms = func(string, time.Time, time.Time, int) ([]station.Alarm, error) { return nil, nil }
	}
	return p
}

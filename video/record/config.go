package record

import (
	"errors"
	"time"

	"stationd/agent/station"
	"stationd/agent/store/disk"
)

// Config is where the record lies and how much it may take.
type Config struct {
	// Dir is the folder of the record; it is made when it is missing.
	Dir string `yaml:"-"`
	// Space measures the disk under Dir; nil asks the operating system.
	Space Space `yaml:"-"`

	// VolumeSize is how large one volume gets. It is allocated in one piece, so
	// that much must be free above MinFree, and it is what is dropped at a time.
	VolumeSize disk.Bytes `yaml:"volume_size"`
	// MaxBytes is how much the rolling record may take. The oldest is dropped.
	MaxBytes disk.Bytes `yaml:"max_bytes"`
	// MinFree is how much of the disk the rolling record leaves free for
	// everything else. Below it, the oldest is dropped, whatever MaxBytes says.
	MinFree disk.Bytes `yaml:"min_free"`
	// MaxAge is how long the rolling record is kept at most; 0 is as long as there
	// is room.
	MaxAge time.Duration `yaml:"max_age"`
	// PreRoll is how much is kept on the disk of a camera that is not being
	// recorded, so that an alarm finds what came before it, after a restart too.
	PreRoll time.Duration `yaml:"pre_roll"`
	// PreRollMaxBytes is how much that may take, of all cameras together.
	PreRollMaxBytes disk.Bytes `yaml:"pre_roll_max_bytes"`
	// EventsMaxBytes is how much the films of alarms and movements may take. Above
	// it the oldest is dropped, and told.
	EventsMaxBytes disk.Bytes `yaml:"events_max_bytes"`
	// EventsMaxAge is how long they are kept at most; 0 is as long as there is room.
	EventsMaxAge time.Duration `yaml:"events_max_age"`
	// EvidenceMaxBytes is how much the evidence that people hold may take. Above it
	// a new hold is refused; none is dropped.
	EvidenceMaxBytes disk.Bytes `yaml:"evidence_max_bytes"`
	// ClipsMaxBytes is how much the clips that came from stations below may take.
	// Above it, new ones are refused; none is dropped.
	ClipsMaxBytes disk.Bytes `yaml:"clips_max_bytes"`
	// ClipsMinFree is how much of the disk events, evidence and clips leave free.
	// It is less than MinFree, so that the rolling record gives way to them.
	ClipsMinFree disk.Bytes `yaml:"clips_min_free"`
	// SyncEvery is how often what was written is forced to the disk; so much is
	// lost when the power fails.
	SyncEvery time.Duration `yaml:"sync_every"`
	// ClipGrace is how long a clip waits for a camera that went silent.
	ClipGrace time.Duration `yaml:"clip_grace"`
	// QueueBytes bounds what waits for the disk. When it is full, the newest
	// fragment is given up, counted, and its place in the record named a gap.
	QueueBytes disk.Bytes `yaml:"queue_bytes"`
	// ScrubRate is how many bytes a second are read in the background to find what
	// the disk has damaged; 0 reads none.
	ScrubRate disk.Bytes `yaml:"scrub_rate"`
	// Wall is what the wall clock shows at a moment; nil believes the moment.
	Wall func(time.Time) time.Time `yaml:"-"`
}

// Space is the disk as the archive needs to know it; a *disk.Guard is one.
type Space interface {
	// Spare is how much is free now, beside what is kept for others.
	Spare() disk.Bytes
}

// DefaultConfig is for a station whose data disk is a terabyte.
func DefaultConfig() Config {
	return Config{
		VolumeSize:       disk.GiB,
		MaxBytes:         400 * disk.GiB,
		MinFree:          10 * disk.GiB,
		PreRoll:          2 * time.Minute,
		PreRollMaxBytes:  4 * disk.GiB,
		EventsMaxBytes:   50 * disk.GiB,
		EvidenceMaxBytes: 50 * disk.GiB,
		ClipsMaxBytes:    50 * disk.GiB,
		ClipsMinFree:     disk.GiB,
		SyncEvery:        2 * time.Second,
		ClipGrace:        5 * time.Second,
		QueueBytes:       64 * disk.MiB,
		ScrubRate:        5 * disk.MiB,
	}
}

// Validate reports every fault, each with its key.
func (c Config) Validate() error {
	var faults []error
	fault := func(ok bool, key, hint, message string) {
		if !ok {
			faults = append(faults, station.Errorf(400, "config.invalid", hint, "%s", message).At(key))
		}
	}
	fault(c.VolumeSize >= disk.MiB && c.VolumeSize <= 1900*disk.MiB, "volume_size", "use 1GiB", "must be between 1MiB and 1900MiB")
	fault(c.MaxBytes >= 2*c.VolumeSize+volumeRoom(c.VolumeSize), "max_bytes", "raise it, or lower volume_size", "must hold at least three volumes and what a new one takes besides")
	fault(c.MinFree >= 64*disk.MiB, "min_free", "use 10GiB", "must be at least 64MiB")
	fault(c.MaxAge == 0 || c.MaxAge >= time.Hour, "max_age", "use 720h for thirty days, or 0s for no bound", "must be 0s or at least 1h")
	fault(c.PreRoll >= 10*time.Second && c.PreRoll <= time.Hour, "pre_roll", "use 2m", "must be between 10s and 1h")
	fault(c.PreRollMaxBytes >= 3*volumeRoom(c.volumeSize(PreRoll)), "pre_roll_max_bytes", "use 4GiB", "must hold at least three of its volumes, which are 64MiB or volume_size, and what they take besides")
	fault(c.EventsMaxBytes >= 0, "events_max_bytes", "use 50GiB", "must not be negative")
	fault(c.EventsMaxAge == 0 || c.EventsMaxAge >= time.Hour, "events_max_age", "use 2160h for ninety days, or 0s for no bound", "must be 0s or at least 1h")
	fault(c.EvidenceMaxBytes >= 0, "evidence_max_bytes", "use 50GiB", "must not be negative")
	fault(c.ScrubRate >= 0, "scrub_rate", "use 5MiB, or 0 for none", "must not be negative")
	fault(c.ClipsMaxBytes >= 0, "clips_max_bytes", "use 50GiB", "must not be negative")
	fault(c.ClipsMinFree >= 32*disk.MiB, "clips_min_free", "use 1GiB", "must be at least 32MiB")
	fault(c.ClipsMinFree <= c.MinFree, "clips_min_free", "lower it below min_free", "must not be above min_free, or a clip would be refused before the rolling record gives way")
	fault(c.SyncEvery >= 100*time.Millisecond && c.SyncEvery <= time.Minute, "sync_every", "use 2s", "must be between 100ms and 1m")
	fault(c.ClipGrace >= 0 && c.ClipGrace <= time.Minute, "clip_grace", "use 5s", "must be between 0s and 1m")
	fault(c.QueueBytes >= disk.MiB, "queue_bytes", "use 64MiB", "must be at least 1MiB")
	return errors.Join(faults...)
}

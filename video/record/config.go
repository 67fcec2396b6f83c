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
	// ClipsMaxBytes is how much the clips may take. Above it, new clips are
	// refused; none is dropped.
	ClipsMaxBytes disk.Bytes `yaml:"clips_max_bytes"`
	// ClipsMinFree is how much of the disk the clips leave free. It is less than
	// MinFree, so that the record gives way to a clip.
	ClipsMinFree disk.Bytes `yaml:"clips_min_free"`
	// SyncEvery is how often what was written is forced to the disk; so much is
	// lost when the power fails.
	SyncEvery time.Duration `yaml:"sync_every"`
	// ClipGrace is how long a clip waits for a camera that went silent.
	ClipGrace time.Duration `yaml:"clip_grace"`
	// QueueBytes bounds what waits for the disk. When it is full, the newest
	// fragment is given up, counted, and its place in the record named a gap.
	QueueBytes disk.Bytes `yaml:"queue_bytes"`
}

// Space is the disk as the archive needs to know it; a *disk.Guard is one.
type Space interface {
	// Spare is how much is free now, beside what is kept for others.
	Spare() disk.Bytes
}

// DefaultConfig is for a station whose data disk is a terabyte.
func DefaultConfig() Config {
	return Config{
		VolumeSize:    disk.GiB,
		MaxBytes:      400 * disk.GiB,
		MinFree:       10 * disk.GiB,
		ClipsMaxBytes: 50 * disk.GiB,
		ClipsMinFree:  disk.GiB,
		SyncEvery:     2 * time.Second,
		ClipGrace:     5 * time.Second,
		QueueBytes:    64 * disk.MiB,
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
	fault(c.ClipsMaxBytes >= 0, "clips_max_bytes", "use 50GiB", "must not be negative")
	fault(c.ClipsMinFree >= 32*disk.MiB, "clips_min_free", "use 1GiB", "must be at least 32MiB")
	fault(c.ClipsMinFree <= c.MinFree, "clips_min_free", "lower it below min_free", "must not be above min_free, or a clip would be refused before the rolling record gives way")
	fault(c.SyncEvery >= 100*time.Millisecond && c.SyncEvery <= time.Minute, "sync_every", "use 2s", "must be between 100ms and 1m")
	fault(c.ClipGrace >= 0 && c.ClipGrace <= time.Minute, "clip_grace", "use 5s", "must be between 0s and 1m")
	fault(c.QueueBytes >= disk.MiB, "queue_bytes", "use 64MiB", "must be at least 1MiB")
	return errors.Join(faults...)
}

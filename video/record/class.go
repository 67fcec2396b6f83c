package record

import (
	"path/filepath"
	"time"

	"stationd/agent/store/disk"
)

// Class is what a piece of the record is kept for, and so for how long. Each
// class has volumes of its own: a volume is dropped whole.
type Class string

// The classes, the first to give way first.
const (
	// PreRoll is the last few minutes of a camera that is not being recorded,
	// in case an alarm wants to see what came before it.
	PreRoll Class = "preroll"
	// Continuous is the rolling record.
	Continuous Class = "continuous"
	// Event is what an alarm or a movement asked for: copied here from the two
	// above as soon as it is there, once for all who ask for it.
	Event Class = "event"
	// Evidence is what a person holds. It is never dropped.
	Evidence Class = "evidence"
)

// classes lists them in the order of their volumes' numbers.
func classes() []Class { return []Class{Continuous, PreRoll, Event, Evidence} }

// live are the classes that cameras are recorded to; what is in the others was
// copied from them.
func (c Class) live() bool { return c == Continuous || c == PreRoll }

// base is added to the numbers of a class's volumes, so that a number names one
// volume of all.
func (c Class) base() uint64 {
	switch c {
	case PreRoll:
		return 1 << 40
	case Event:
		return 2 << 40
	case Evidence:
		return 3 << 40
	}
	return 0
}

// folder is the class's place under Config.Dir.
func (c Class) folder() string {
	switch c {
	case PreRoll:
		return "preroll"
	case Event:
		return "events"
	case Evidence:
		return "evidence"
	}
	return volumesDir
}

func (a *Archive) classDir(c Class) string { return filepath.Join(a.cfg.Dir, c.folder()) }

// volumeSize is how large a class's volumes get: those of which little is kept
// are small, so that little is allocated and dropped at a time.
func (c Config) volumeSize(class Class) disk.Bytes {
	switch class {
	case PreRoll:
		return min(c.VolumeSize, 64*disk.MiB)
	case Event, Evidence:
		return min(c.VolumeSize, 256*disk.MiB)
	}
	return c.VolumeSize
}

// most is how much a class may take.
func (c Config) most(class Class) disk.Bytes {
	switch class {
	case PreRoll:
		return c.PreRollMaxBytes
	case Event:
		return c.EventsMaxBytes
	case Evidence:
		return c.EvidenceMaxBytes
	}
	return c.MaxBytes
}

// maxAge is how old a class's pieces may get; zero is no bound.
func (c Config) maxAge(class Class) time.Duration {
	switch class {
	case Continuous:
		return c.MaxAge
	case Event:
		return c.EventsMaxAge
	}
	return 0
}

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"stationd/agent/station"
)

// Level is how the free space stands, from the best to the worst.
type Level string

// The levels.
const (
	LevelOK        Level = "ok"
	LevelLow       Level = "low"       // people are told
	LevelFull      Level = "full"      // bulk is refused
	LevelReserve   Level = "reserve"   // everything but urgent is refused
	LevelExhausted Level = "exhausted" // nothing is taken in
)

// State is the free space as it was last seen.
type State struct {
	// Free is what may be written before the reserve is touched.
	Free Bytes `json:"free"`
	// Total is the size of the volume.
	Total Bytes `json:"total"`
	// Held is how much of the reserve is in its file now.
	Held  Bytes `json:"held"`
	Level Level `json:"level"`
}

// Guard watches one volume. See the package comment.
type Guard struct {
	cfg  Config
	path string // of the reserve file
	look func(dir string) (free, total Bytes, err error)

	mu    sync.Mutex
	held  Bytes
	free  Bytes // as the file system says
	total Bytes
	seen  time.Time
}

// fresh is how long a look at the file system is believed. A statfs costs a
// microsecond; this only spares the busiest writers.
const fresh = 2 * time.Millisecond

// reserveName is the reserve file beside the data.
const reserveName = "reserve"

// New makes a guard of the volume that dir lies on. It touches nothing yet.
func New(cfg Config, dir string) *Guard {
	return &Guard{cfg: cfg, path: filepath.Join(dir, reserveName), look: space}
}

// Open looks at the volume and, where it is not clearly roomy, releases the
// whole reserve: what is opened next may have to write before it can serve. It
// tells whether it released any. The directory must exist.
func (g *Guard) Open() (released bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if fi, err := os.Stat(g.path); err == nil {
		g.held = Bytes(fi.Size())
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("find the reserve: %w", err)
	}
	if err := g.refresh(); err != nil {
		return false, err
	}
	if g.held > 0 && g.free < g.cfg.Full {
		return true, g.shrink(g.held)
	}
	return false, nil
}

// Tend takes the reserve again when there is room for it. It is called now and
// then by whoever opened the guard.
func (g *Guard) Tend() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.refresh(); err != nil {
		return err
	}
	missing := g.cfg.Reserve - g.held
	// A quarter of Tight is the hysteresis: at the edge the reserve would
	// otherwise be taken and given back in turns.
	if missing <= 0 || g.free-missing < g.cfg.Tight+g.cfg.Tight/4 {
		return nil
	}
	f, err := os.OpenFile(g.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("take the reserve: %w", err)
	}
	if err := errors.Join(Fallocate(f, g.cfg.Reserve), f.Sync(), f.Close()); err != nil {
		_ = os.Truncate(g.path, int64(g.held))
		return fmt.Errorf("take the reserve: %w", err)
	}
	g.held = g.cfg.Reserve
	return g.refresh()
}

// Check tells whether something of this lane may be written now. It is called
// before each batch. A file system that cannot be asked refuses nothing: the
// write itself will tell.
func (g *Guard) Check(lane station.Lane) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.seen) > fresh {
		if err := g.refresh(); err != nil {
			return nil
		}
	}
	need := g.cfg.Floor
	switch lane {
	case station.LaneUrgent:
		return g.demand(need)
	case station.LaneNormal:
		need = g.cfg.Tight
	default:
		need = g.cfg.Full
	}
	if g.usable() < need {
		return station.ErrNoSpace
	}
	return nil
}

// Demand makes sure that n bytes are free, out of the reserve where needed. It
// is for what must happen whatever else is refused.
func (g *Guard) Demand(n Bytes) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.refresh(); err != nil {
		return nil
	}
	return g.demand(n)
}

// Release gives the whole reserve back.
func (g *Guard) Release() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shrink(g.held)
}

// Spare is what is free now without counting on the reserve, zero at least.
func (g *Guard) Spare() Bytes {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.refresh(); err != nil {
		return 0
	}
	return max(g.usable(), 0)
}

// State is how the free space stands.
func (g *Guard) State() State {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.seen) > fresh {
		_ = g.refresh() // the last look is still the best there is
	}
	usable := g.usable()
	s := State{Free: max(usable, 0), Total: g.total, Held: g.held}
	switch {
	case usable >= g.cfg.Low:
		s.Level = LevelOK
	case usable >= g.cfg.Full:
		s.Level = LevelLow
	case usable >= g.cfg.Tight:
		s.Level = LevelFull
	case g.free+g.held >= g.cfg.Floor:
		s.Level = LevelReserve
	default:
		s.Level = LevelExhausted
	}
	return s
}

// usable is what is free beside the reserve: what is missing of the reserve is
// owed to it.
func (g *Guard) usable() Bytes { return g.free - max(g.cfg.Reserve-g.held, 0) }

// demand releases as much of the reserve as lifts the free space to n, and a
// little more, so that it is not asked for every batch. What is still held
// cannot be taken by others.
func (g *Guard) demand(n Bytes) error {
	if g.free >= n {
		return nil
	}
	if g.held > 0 {
		if err := g.shrink(min(g.held, n-g.free+8*MiB)); err != nil {
			return station.ErrNoSpace.Because(err)
		}
	}
	if g.free < n {
		return station.ErrNoSpace
	}
	return nil
}

// shrink gives n bytes of the reserve back to the file system.
func (g *Guard) shrink(n Bytes) error {
	if n <= 0 {
		return nil
	}
	if err := os.Truncate(g.path, int64(g.held-n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("release the reserve: %w", err)
	}
	g.held -= n
	return g.refresh()
}

func (g *Guard) refresh() error {
	free, total, err := g.look(filepath.Dir(g.path))
	if err != nil {
		return fmt.Errorf("look at the free space: %w", err)
	}
	g.free, g.total, g.seen = free, total, time.Now()
	return nil
}

package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"stationd/agent/store/disk"
)

// Archive is the record of all cameras of a station, and its clips.
type Archive struct {
	cfg   Config
	log   *slog.Logger
	space Space
	clock *clock

	queue   chan *fragment
	waiting atomic.Int64 // bytes in queue

	keepMu    sync.Mutex        // guards the keepers; taken before mu
	keepers   map[Class]*writer // of events and evidence
	keepEnded bool
	keepWake  chan struct{}

	detecting sync.Mutex          // guards the episodes; taken before mu
	episodes  map[string]*episode // by camera

	mu        sync.Mutex
	leaving   map[uint64]*volume // dropped, and removed when those who read them are done
	volumes   []*volume          // by number: class by class, the oldest first
	active    map[Class]*volume  // the newest of a class, when it is open for writing
	seqs      map[Class]uint64   // of the newest volume of a class, without the base
	cameras   map[string]*camera
	recording int           // Record calls that run
	changed   chan struct{} // closed and renewed when something was written or a Record ends
	recovered bool
	stopped   bool // there is no space left to record to
	clipsFull bool // the last clip was refused
	// evidenceFull tells that the last hold was refused.
	evidenceFull bool
	marks        map[string]*marked
	plans        map[string]plan // when cameras are recorded
	gone         map[string]bool // clips that lost their film, until the core knows
	aside        map[string]disk.Bytes
	clips        map[string]*clip
	making       map[string]*making
	receiving    map[string]*Receiving
	closed       bool
	scrub        ScrubState
	stats        Stats
}

// camera is what is known of one camera's record.
type camera struct {
	end   int64 // index time at which its newest fragment ends; 0: none
	kept  int64 // the same of the continuous record alone
	era   int   // of its newest fragment
	heard int64 // index time of the newest picture that Record took
	// missed is why the writer gave up its last fragments, empty when it did not.
	// What builds on them is given up as well, until the next key picture.
	missed    Reason
	recording bool
}

// Stats counts since Open.
type Stats struct {
	Fragments uint64 // written
	Bytes     uint64 // of them
	// Kept is how many bytes were copied to events and evidence.
	Kept uint64
	// Skipped fragments came faster than the disk took them, or when there was
	// no space.
	Skipped uint64
	// Damaged fragments were read and found not to be what was written.
	Damaged uint64
	// Dropped volumes made room for newer ones.
	Dropped uint64
	// SetAside volumes and clips could not be opened.
	SetAside uint64
	// Gone clips lost their film to newer ones.
	Gone uint64
}

const (
	volumesDir   = "volumes"
	clipsDir     = "clips"
	headroomName = "headroom"
)

// queueFragments bounds the queue in number.
const queueFragments = 512

// Open looks through the folder and takes in what is there. It writes next to
// nothing, so that it also works on a full disk; what was not closed properly is
// recovered by Run.
func Open(cfg Config, log *slog.Logger) (*Archive, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	dirs := []string{clipsDir, filmsDir, marksDir}
	for _, c := range classes() {
		dirs = append(dirs, c.folder())
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(filepath.Join(cfg.Dir, dir), 0o700); err != nil {
			return nil, fmt.Errorf("open the record: %w", err)
		}
	}
	a := &Archive{
		cfg:       cfg,
		log:       log,
		space:     cfg.Space,
		clock:     newClock(time.Now, cfg.Wall),
		queue:     make(chan *fragment, queueFragments),
		leaving:   map[uint64]*volume{},
		keepWake:  make(chan struct{}, 1),
		marks:     map[string]*marked{},
		episodes:  map[string]*episode{},
		gone:      map[string]bool{},
		active:    map[Class]*volume{},
		seqs:      map[Class]uint64{},
		cameras:   map[string]*camera{},
		changed:   make(chan struct{}),
		aside:     map[string]disk.Bytes{},
		clips:     map[string]*clip{},
		making:    map[string]*making{},
		receiving: map[string]*Receiving{},
	}
	a.keepers = map[Class]*writer{Event: {a: a, class: Event}, Evidence: {a: a, class: Evidence}}
	if a.space == nil {
		a.space = disk.New(disk.Config{}, cfg.Dir)
	}
	for _, c := range classes() {
		if err := a.findVolumes(c); err != nil {
			return nil, fmt.Errorf("open the record: %w", err)
		}
	}
	if err := errors.Join(a.findClips(), a.findFilms(), a.findMarks()); err != nil {
		return nil, fmt.Errorf("open the record: %w", err)
	}
	a.countDamage()
	return a, nil
}

// about is what the seal of a volume says.
type about struct {
	Created time.Time         `json:"created"`
	Tracks  map[string]*track `json:"tracks"`
}

func bySeq(x, y *volume) int { return cmp.Compare(x.seq, y.seq) }

func volumeName(seq uint64) string { return fmt.Sprintf("v%010d", seq) }

// readers is how many seals are read at a time: the disk has several to look for,
// and the cores several to take apart.
const readers = 8

// findVolumes reads the seals of a class's volumes.
func (a *Archive) findVolumes(class Class) error {
	root := a.classDir(class)
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	found := make([]*volume, len(entries))
	var next atomic.Int64
	var reading sync.WaitGroup
	for range min(readers, len(entries)) {
		reading.Go(func() {
			r := newSealReader()
			for n := int(next.Add(1)) - 1; n < len(entries); n = int(next.Add(1)) - 1 {
				found[n] = a.findVolume(r, class, root, entries[n].Name())
			}
		})
	}
	reading.Wait()
	for i, e := range entries {
		switch v := found[i]; {
		case v != nil:
			a.seqs[class] = max(a.seqs[class], v.seq-class.base())
			a.volumes = append(a.volumes, v)
			a.takeIn(v)
		case strings.HasSuffix(e.Name(), badSuffix):
			dir := filepath.Join(root, e.Name())
			a.aside[dir] = sizeOf(dir)
		}
	}
	slices.SortFunc(a.volumes, bySeq)
	return nil
}

// findVolume reads the seal of the volume of that name; nil when it is not that of a
// volume.
func (a *Archive) findVolume(r *sealReader, class Class, root, name string) *volume {
	digits, ok := strings.CutPrefix(name, "v")
	seq, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil || volumeName(seq) != name {
		return nil
	}
	dir := filepath.Join(root, name)
	v := &volume{class: class, seq: class.base() + seq, dir: dir, log: a.log, sealedAt: time.Now()}
	files, size, what, err := r.read(dir)
	if err != nil {
		// Not closed properly, or its seal is damaged: both are recovered.
		v.bytes, v.tracks = sizeOf(dir), map[string]*track{}
		return v
	}
	v.files, v.bytes, v.created, v.tracks = files, size, what.Created, what.Tracks
	v.sealed.Store(true)
	return v
}

// takeIn learns from a volume where each camera's record ends.
func (a *Archive) takeIn(v *volume) {
	for id, t := range v.tracks {
		c := a.camera(id)
		for _, s := range t.Spans {
			if v.class.live() {
				c.end = max(c.end, s.To.UnixNano())
			}
			if v.class == Continuous {
				c.kept = max(c.kept, s.To.UnixNano())
			}
		}
	}
}

// camera is called with the lock held, or before anybody else knows a.
func (a *Archive) camera(id string) *camera {
	c := a.cameras[id]
	if c == nil {
		c = &camera{}
		a.cameras[id] = c
	}
	return c
}

// notify wakes those who wait for something to be written. The lock is held.
func (a *Archive) notify() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// Close closes what is open for reading and aborts what is being received. Run
// must have returned, and no Record may be running.
func (a *Archive) Close() error {
	a.mu.Lock()
	a.closed = true
	volumes := slices.Clone(a.volumes)
	for _, c := range a.clips {
		if c.volume != nil {
			volumes = append(volumes, c.volume)
		}
	}
	receiving := make([]*Receiving, 0, len(a.receiving))
	for _, r := range a.receiving {
		receiving = append(receiving, r)
	}
	a.mu.Unlock()
	errs := []error{a.endKept()}
	for _, r := range receiving {
		errs = append(errs, r.Close())
	}
	for _, v := range volumes {
		errs = append(errs, v.shut())
	}
	return errors.Join(errs...)
}

// setAside takes a volume or clip that cannot be read out of use.
func (a *Archive) setAside(v *volume, cause error) {
	a.mu.Lock()
	if v.dropped {
		a.mu.Unlock()
		return
	}
	v.dropped = true
	a.volumes = slices.DeleteFunc(a.volumes, func(x *volume) bool { return x == v })
	for id, c := range a.clips {
		if c.volume == v && v != nil {
			delete(a.clips, id)
		}
	}
	a.stats.SetAside++
	a.mu.Unlock()
	a.log.Error("a part of the record cannot be read and is set aside", "dir", v.dir, "err", cause)
	if err := v.setAside(); err != nil {
		a.log.Error("setting it aside failed", "dir", v.dir, "err", err)
		return
	}
	a.mu.Lock()
	a.aside[v.dir+badSuffix] = v.bytes
	a.mu.Unlock()
}

// read runs fn on a volume and sets the volume aside when it cannot be opened.
func (a *Archive) read(v *volume, fn func(view) error) error {
	err := v.view(func(txn txn) error { return fn(view{txn}) })
	var bad *unreadable
	if errors.As(err, &bad) && bad.v == v {
		a.setAside(v, err)
	}
	return err
}

// wait waits until something was written, d passed or ctx ends.
func wait(ctx context.Context, changed <-chan struct{}, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/dgraph-io/badger/v4"

	"stationd/agent/store/disk"
)

// writer is the one goroutine that writes to the rolling record.
type writer struct {
	a     *Archive
	db    *badger.DB
	v     *volume
	era   era
	left  disk.Bytes // of the volume's value log
	keys  disk.Bytes // left in its memtable
	gens  map[string]*generation
	dirty bool
}

// generation is a camera's current parameter sets in the current volume.
type generation struct {
	number uint32
	params *paramSets
}

// Run recovers what the last run left open, then writes what Record cuts, keeps
// the record within its bounds, and returns when ctx ends, with everything on
// the disk.
func (a *Archive) Run(ctx context.Context) error {
	w := &writer{a: a}
	a.retain(0)
	a.recover()
	tick := time.NewTicker(a.cfg.SyncEvery)
	defer tick.Stop()
	for {
		select {
		case f := <-a.queue:
			w.take(f)
		case <-tick.C:
			w.tend()
		case <-ctx.Done():
			w.drain()
			return w.finish()
		}
	}
}

// drain writes what the ending Records still hand over.
func (w *writer) drain() {
	const patience = time.Second
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		w.a.mu.Lock()
		recording, changed := w.a.recording, w.a.changed
		w.a.mu.Unlock()
		select {
		case f := <-w.a.queue:
			w.take(f)
			continue
		default:
		}
		if recording == 0 {
			return
		}
		select {
		case f := <-w.a.queue:
			w.take(f)
		case <-changed:
		case <-deadline.C:
			return
		}
	}
}

// take writes a fragment, or gives it up.
func (w *writer) take(f *fragment) {
	a := w.a
	a.waiting.Add(-int64(len(f.payload)))
	a.mu.Lock()
	c := a.camera(f.camera)
	useless := c.missed != "" && !f.head.key()
	if useless {
		a.stats.Skipped++
	} else if c.missed != "" {
		f.reason = c.missed
	}
	a.mu.Unlock()
	if useless {
		return
	}
	err := w.write(f)
	missed := Reason("")
	switch {
	case err == nil:
	case errors.Is(err, errNoRoom):
		missed = GapSpace
	default:
		missed = GapSkipped
		a.log.Error("recording failed", "camera", f.camera, "err", err)
		// Whatever is wrong with this volume, the next one is another.
		if err := w.finish(); err != nil {
			a.log.Error("closing the volume failed", "err", err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c.missed = missed
	if err != nil {
		a.stats.Skipped++
	}
}

// write puts a fragment into the current volume, or into a new one.
func (w *writer) write(f *fragment) error {
	need := disk.Bytes(len(f.payload) + 256)
	if need > w.a.cfg.VolumeSize {
		return fmt.Errorf("a fragment of %d bytes does not fit into a volume", len(f.payload))
	}
	back := w.v != nil && f.era.number > w.era.number && f.era.back
	if w.v != nil && (w.left < need || w.keys < keysNeed || back) {
		if err := w.finish(); err != nil {
			return err
		}
	}
	if w.v == nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	w.era = f.era

	entries, gap, err := w.entries(f)
	if err != nil {
		return err
	}
	err = faults(func() error {
		txn := w.db.NewTransaction(true)
		defer txn.Discard()
		for _, e := range entries {
			if err := txn.SetEntry(e); err != nil {
				return err
			}
		}
		return txn.Commit()
	})
	if err != nil {
		return err
	}
	w.dirty = true
	for _, e := range entries {
		w.left -= disk.Bytes(len(e.Key) + len(e.Value) + entryRoom)
		w.keys -= keysCost(e)
	}

	w.a.mu.Lock()
	defer w.a.mu.Unlock()
	t := w.v.tracks[f.camera]
	if t == nil {
		t = &track{}
		w.v.tracks[f.camera] = t
	}
	t.add(f.start, f.end(), len(f.payload))
	if gap != nil {
		t.Gaps = append(t.Gaps, *gap)
	}
	w.a.camera(f.camera).end = f.end()
	w.a.stats.Fragments++
	w.a.stats.Bytes += uint64(len(f.payload))
	w.a.notify()
	return nil
}

// What an entry takes beside its key and value: in the value log, and in the
// memtable and its log, with its transaction's end mark and node.
const (
	entryRoom = 64
	nodeRoom  = 224
	keysNeed  = 16 * disk.KiB
)

func keysCost(e *badger.Entry) disk.Bytes {
	c := disk.Bytes(2*len(e.Key) + nodeRoom)
	if len(e.Value) < inline {
		c += disk.Bytes(2 * len(e.Value))
	}
	return c
}

// entries are the fragment and what goes before it: its init segment when its
// parameter sets are new to the volume, and the gap that it ends.
func (w *writer) entries(f *fragment) ([]*badger.Entry, *Gap, error) {
	var out []*badger.Entry
	g := w.gens[f.camera]
	if g == nil || !g.params.equal(f.params) {
		segment, err := f.params.initSegment()
		if err != nil {
			return nil, nil, err
		}
		next := &generation{number: 1, params: f.params}
		if g != nil {
			next.number = g.number + 1
		}
		g = next
		w.gens[f.camera] = g
		out = append(out, badger.NewEntry(initKey(f.camera, g.number), segment))
	}
	w.a.mu.Lock()
	before := w.a.camera(f.camera).end
	w.a.mu.Unlock()
	var gap *Gap
	if before > 0 && f.start-before >= int64(gapAtLeast) {
		gap = &Gap{From: fromIndex(before), To: fromIndex(f.start), Reason: f.reason}
		b, err := json.Marshal(gap)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, badger.NewEntry(timeKey(kindGap, f.camera, before), b))
	}
	f.head.gen = g.number
	key := timeKey(kindFragment, f.camera, f.start)
	putHeader(key, f.payload, f.head)
	return append(out, badger.NewEntry(key, f.payload)), gap, nil
}

var errNoRoom = errors.New("there is no space to record to")

// begin opens a new volume, after room was made for it.
func (w *writer) begin() error {
	a := w.a
	room := volumeRoom(a.cfg.VolumeSize)
	if !a.retain(room) {
		return errNoRoom
	}
	a.mu.Lock()
	a.seq++
	v := &volume{
		seq: a.seq, dir: filepath.Join(a.cfg.Dir, volumesDir, volumeName(a.seq)), log: a.log,
		tracks: map[string]*track{}, bytes: room, created: time.Now(), writes: true,
	}
	a.mu.Unlock()
	db, err := create(v.dir, a.cfg.VolumeSize, a.log)
	if err != nil {
		a.stop(err)
		return errors.Join(errNoRoom, err, os.RemoveAll(v.dir))
	}
	v.db = db
	w.db, w.v = db, v
	w.left, w.keys = a.cfg.VolumeSize, keysRoom(a.cfg.VolumeSize)
	w.gens = map[string]*generation{}
	a.mu.Lock()
	a.volumes = append(a.volumes, v)
	a.active = v
	a.mu.Unlock()
	return nil
}

// finish seals the current volume.
func (w *writer) finish() error {
	v := w.v
	if v == nil {
		return nil
	}
	w.v, w.db, w.dirty = nil, nil, false
	if w.a.space.Spare() < headroom {
		// Closing a database writes; what the volume has not used makes room.
		if err := punch(v.dir, w.a.cfg.VolumeSize-w.left+logSlack/2); err != nil {
			w.a.log.Warn("freeing a volume's unused blocks failed", "dir", v.dir, "err", err)
		}
	}
	return w.a.seal(v)
}

// seal closes a volume for good. An empty one is removed.
func (a *Archive) seal(v *volume) error {
	a.mu.Lock()
	if a.active == v {
		a.active = nil
	}
	what := about{Created: v.created, Tracks: v.tracks}
	a.mu.Unlock()
	if len(what.Tracks) == 0 {
		a.drop(v)
		return nil
	}
	a.freeHeadroom()
	size, err := v.seal(what)
	if err != nil {
		a.setAside(v, err)
		return err
	}
	a.mu.Lock()
	v.bytes = size
	a.mu.Unlock()
	return nil
}

// tend forces what was written to the disk and keeps the record within bounds.
func (w *writer) tend() {
	a := w.a
	if w.dirty {
		w.dirty = false
		if err := faults(w.db.Sync); err != nil {
			a.log.Error("forcing the record to the disk failed", "err", err)
			if err := w.finish(); err != nil {
				a.log.Error("closing the volume failed", "err", err)
			}
		}
	}
	if !a.recovered {
		a.recover()
	}
	if !a.retain(0) && w.v != nil {
		w.sacrifice()
	}
	a.takeHeadroom()
	a.closeIdle()
}

// sacrifice gives the current volume up when nothing older is left to give. What
// it has not used may be enough; otherwise all of it goes.
func (w *writer) sacrifice() {
	a, v := w.a, w.v
	if a.space.Spare()+w.left >= a.cfg.MinFree {
		if err := w.finish(); err != nil {
			a.log.Error("closing the volume failed", "err", err)
		}
		a.retain(0)
		return
	}
	w.v, w.db, w.dirty = nil, nil, false
	a.mu.Lock()
	a.active = nil
	a.stats.Dropped++
	a.mu.Unlock()
	a.freeHeadroom()
	a.drop(v)
}

// recover opens what was not closed properly, the newest seconds of a run that
// was killed, and seals it.
func (a *Archive) recover() {
	a.mu.Lock()
	var open []*volume
	for _, v := range a.volumes {
		if !v.sealed.Load() && v != a.active {
			open = append(open, v)
		}
	}
	a.mu.Unlock()
	for _, v := range open {
		a.freeHeadroom()
		if a.space.Spare() < tableRoom {
			a.log.Warn("there is no space to recover a volume yet", "volume", v.seq)
			return
		}
		began := time.Now()
		if err := a.recoverVolume(v); err != nil {
			a.setAside(v, err)
			continue
		}
		a.log.Info("recovered a volume", "volume", v.seq, "took", time.Since(began))
	}
	a.mu.Lock()
	a.recovered = true
	a.notify()
	a.mu.Unlock()
}

func (a *Archive) recoverVolume(v *volume) error {
	var tracks map[string]*track
	err := faults(func() error {
		db, err := badger.Open(badgerOptions(v.dir, a.cfg.VolumeSize, a.log))
		if err != nil {
			return err
		}
		tracks, err = scan(db)
		return errors.Join(err, db.Close())
	})
	if err != nil {
		return fmt.Errorf("recover volume: %w", err)
	}
	a.mu.Lock()
	v.tracks = tracks
	if fi, err := os.Stat(filepath.Join(v.dir, "KEYREGISTRY")); err == nil {
		v.created = fi.ModTime()
	}
	a.takeIn(v)
	a.mu.Unlock()
	return a.seal(v)
}

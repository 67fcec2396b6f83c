package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"

	"stationd/agent/store/disk"
)

// writer writes the volumes of one class, one after the other. Those of the live
// classes are the Run goroutine's; the others are guarded by Archive.keepMu.
type writer struct {
	a     *Archive
	class Class
	db    *badger.DB
	v     *volume
	era   era
	left  disk.Bytes          // of the volume's value log
	keys  disk.Bytes          // left in its memtable
	gens  map[string][][]byte // each camera's init segments in this volume, generation 1 first
	began time.Time           // when the volume was begun
	wrote time.Time           // when it was last written to
	dirty bool
}

// lanes are the writers of the live classes.
type lanes struct {
	a      *Archive
	always *writer // Continuous
	ring   *writer // PreRoll
}

func (l *lanes) each() []*writer { return []*writer{l.always, l.ring} }

// Run recovers what the last run left open, then writes what Record cuts, keeps
// the record within its bounds, and returns when ctx ends, with everything on
// the disk.
func (a *Archive) Run(ctx context.Context) error {
	l := &lanes{a: a, always: &writer{a: a, class: Continuous}, ring: &writer{a: a, class: PreRoll}}
	a.retain(Continuous, 0)
	a.recover()
	background, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { a.keepMarked(background) })
	work.Go(func() { a.scrubAll(background) })
	defer work.Wait()
	defer stop()
	tick := time.NewTicker(a.cfg.SyncEvery)
	defer tick.Stop()
	for {
		select {
		case f := <-a.queue:
			l.take(f)
		case <-tick.C:
			l.tend()
		case <-ctx.Done():
			l.drain()
			work.Wait()
			return errors.Join(l.always.finish(), l.ring.finish(), a.finishKept())
		}
	}
}

// drain writes what the ending Records still hand over.
func (l *lanes) drain() {
	const patience = time.Second
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		l.a.mu.Lock()
		recording, changed := l.a.recording, l.a.changed
		l.a.mu.Unlock()
		select {
		case f := <-l.a.queue:
			l.take(f)
			continue
		default:
		}
		if recording == 0 {
			return
		}
		select {
		case f := <-l.a.queue:
			l.take(f)
		case <-changed:
		case <-deadline.C:
			return
		}
	}
}

// take writes a fragment, or gives it up.
func (l *lanes) take(f *fragment) {
	a, w := l.a, l.always
	if f.class == PreRoll {
		w = l.ring
	}
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
	need := disk.Bytes(len(f.payload) + len(f.segment) + 512)
	if need > w.a.cfg.volumeSize(w.class) {
		return fmt.Errorf("a fragment of %d bytes does not fit into a volume", len(f.payload))
	}
	back := w.v != nil && w.class.live() && f.era.number > w.era.number && f.era.back
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
	w.dirty, w.wrote = true, time.Now()
	if len(entries) > 0 && entries[0].Key[0] == kindInit {
		w.gens[f.camera] = append(w.gens[f.camera], f.segment)
	}
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
		t.addGap(*gap)
	}
	if f.era.number > 0 && w.class.live() {
		c := w.a.camera(f.camera)
		if c.era < f.era.number {
			c.era = f.era.number
			t.Steps = append(t.Steps, Step{At: fromIndex(f.start), By: f.era.by})
		}
	}
	if !w.class.live() {
		w.a.stats.Kept += uint64(len(f.payload))
		return nil
	}
	c := w.a.camera(f.camera)
	c.end = f.end()
	if w.class == Continuous {
		c.kept = c.end
	}
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

// entries are the fragment and what goes before it: its init segment, first,
// when that is new to the volume, and the gap that it ends.
func (w *writer) entries(f *fragment) ([]*badger.Entry, *Gap, error) {
	var out []*badger.Entry
	number := 1 + slices.IndexFunc(w.gens[f.camera], func(s []byte) bool { return bytes.Equal(s, f.segment) })
	if number == 0 {
		number = len(w.gens[f.camera]) + 1
		out = append(out, badger.NewEntry(initKey(f.camera, uint32(number)), f.segment))
	}
	gap := w.gapBefore(f)
	if gap != nil {
		b, err := json.Marshal(gap)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, badger.NewEntry(timeKey(kindGap, f.camera, gap.From.UnixNano()), b))
	}
	step := w.stepBefore(f)
	if step != nil {
		b, err := json.Marshal(step)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, badger.NewEntry(timeKey(kindStep, f.camera, f.start), b))
	}
	f.head.gen = uint32(number)
	key := timeKey(kindFragment, f.camera, f.start)
	putHeader(key, f.payload, f.head)
	return append(out, badger.NewEntry(key, f.payload)), gap, nil
}

// stepBefore is the setting of the clock since the camera's last fragment; nil
// when there was none.
func (w *writer) stepBefore(f *fragment) *Step {
	if !w.class.live() || f.era.number == 0 {
		return nil
	}
	w.a.mu.Lock()
	defer w.a.mu.Unlock()
	if w.a.camera(f.camera).era >= f.era.number {
		return nil
	}
	return &Step{At: fromIndex(f.start), By: f.era.by}
}

// gapBefore is the gap that the fragment ends; nil when there is none.
func (w *writer) gapBefore(f *fragment) *Gap {
	if !w.class.live() {
		return nil // it is noted where the fragment was copied from
	}
	w.a.mu.Lock()
	c := *w.a.camera(f.camera)
	w.a.mu.Unlock()
	before, reason := c.end, f.reason
	if w.class == Continuous && c.kept < c.end {
		// What came since is in the pre-roll, and will be gone in a moment.
		before, reason = c.kept, GapSchedule
	}
	if before <= 0 || f.start-before < int64(gapAtLeast) {
		return nil
	}
	return &Gap{From: fromIndex(before), To: fromIndex(f.start), Reason: reason}
}

var errNoRoom = errors.New("there is no space to record to")

// begin opens a new volume, after room was made for it.
func (w *writer) begin() error {
	a := w.a
	size := a.cfg.volumeSize(w.class)
	room := volumeRoom(size)
	if !a.retain(w.class, room) {
		return errNoRoom
	}
	a.mu.Lock()
	a.seqs[w.class]++
	n := a.seqs[w.class]
	v := &volume{
		class: w.class, seq: w.class.base() + n, dir: filepath.Join(a.classDir(w.class), volumeName(n)), log: a.log,
		tracks: map[string]*track{}, bytes: room, created: time.Now(), writes: true,
	}
	a.mu.Unlock()
	db, err := create(v.dir, size, a.log)
	if err != nil {
		if w.class.live() {
			a.stop(err)
		}
		return errors.Join(errNoRoom, err, os.RemoveAll(v.dir))
	}
	if err := syncDir(a.classDir(w.class)); err != nil {
		a.log.Warn("forcing a folder to the disk failed", "dir", a.classDir(w.class), "err", err)
	}
	v.db = db
	w.db, w.v = db, v
	w.left, w.keys = size, keysRoom(size)
	w.gens = map[string][][]byte{}
	w.began, w.wrote = time.Now(), time.Now()
	a.mu.Lock()
	i, _ := slices.BinarySearchFunc(a.volumes, v, bySeq)
	a.volumes = slices.Insert(a.volumes, i, v)
	a.active[w.class] = v
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
		if err := punch(v.dir, w.a.cfg.volumeSize(w.class)-w.left+logSlack/2); err != nil {
			w.a.log.Warn("freeing a volume's unused blocks failed", "dir", v.dir, "err", err)
		}
	}
	return w.a.seal(v)
}

// seal closes a volume for good. An empty one is removed.
func (a *Archive) seal(v *volume) error {
	a.mu.Lock()
	if a.active[v.class] == v {
		a.active[v.class] = nil
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
	v.bytes, v.sealedAt = size, time.Now()
	a.mu.Unlock()
	return nil
}

// tend forces what was written to the disk and keeps the record within bounds.
func (l *lanes) tend() {
	a := l.a
	for _, w := range l.each() {
		if err := w.sync(); err != nil {
			a.log.Error("forcing the record to the disk failed", "err", err)
			w.close()
		}
	}
	// So that the pre-roll is dropped in pieces of its own length, and not when
	// it happens to fill a volume.
	if w := l.ring; w.v != nil && time.Since(w.began) > a.cfg.PreRoll/2 {
		w.close()
	}
	if !a.recovered {
		a.recover()
	}
	for _, w := range l.each() {
		if !a.retain(w.class, 0) && w.v != nil {
			w.sacrifice()
		}
	}
	a.expire()
	a.tendKept()
	a.takeHeadroom()
	a.closeIdle()
}

// sync forces what was written to the disk.
func (w *writer) sync() error {
	if !w.dirty {
		return nil
	}
	w.dirty = false
	return faults(w.db.Sync)
}

// close seals the current volume, and says so when that fails.
func (w *writer) close() {
	if err := w.finish(); err != nil {
		w.a.log.Error("closing the volume failed", "err", err)
	}
}

// sacrifice gives the current volume up when nothing older is left to give. What
// it has not used may be enough; otherwise all of it goes.
func (w *writer) sacrifice() {
	a, v := w.a, w.v
	if a.space.Spare()+w.left >= a.cfg.MinFree {
		w.close()
		a.retain(w.class, 0)
		return
	}
	w.v, w.db, w.dirty = nil, nil, false
	a.mu.Lock()
	a.active[w.class] = nil
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
		if !v.sealed.Load() && v != a.active[v.class] {
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
		db, err := badger.Open(badgerOptions(v.dir, a.cfg.volumeSize(v.class), a.log))
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

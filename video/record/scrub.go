package record

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/dgraph-io/badger/v4"

	"stationd/agent/store/disk"
)

// The scrub reads every sealed volume from time to time, slowly, so that what the
// disk has damaged is known before somebody looks for it.

// ScrubState is how far the scrub is.
type ScrubState struct {
	// Damaged is how many fragments of what is kept now were found damaged.
	Damaged int
	// Read is how many bytes were read since the program was started.
	Read disk.Bytes
	// Passed is when everything had been read once; zero when that was never.
	Passed time.Time
}

const (
	// scrubFile says which volumes of the present pass were read, so that a
	// restart goes on.
	scrubFile = "scrub"
	// scrubPause is between two passes.
	scrubPause = 24 * time.Hour
	// scrubPiece is how much is read at once.
	scrubPiece = disk.MiB
)

// scrubbed is the file.
type scrubbed struct {
	// Next is the number of the volume to go on with; those before it were read in
	// this pass.
	Next   uint64    `json:"next"`
	Passed time.Time `json:"passed,omitzero"`
}

func (a *Archive) scrubPath() string { return filepath.Join(a.cfg.Dir, scrubFile) }

// scrubAll reads volume after volume until ctx ends.
func (a *Archive) scrubAll(ctx context.Context) {
	var at scrubbed
	if err := readChecked(a.scrubPath(), &at); err != nil && !errors.Is(err, os.ErrNotExist) {
		a.log.Warn("where the scrub was is not known; it begins anew", "err", err)
	}
	a.mu.Lock()
	a.scrub.Passed = at.Passed
	a.mu.Unlock()
	for ctx.Err() == nil && a.cfg.ScrubRate > 0 {
		v := a.nextToScrub(at.Next)
		if v == nil {
			if at.Next > 0 {
				at = scrubbed{Passed: time.Now()}
				a.mu.Lock()
				a.scrub.Passed = at.Passed
				a.mu.Unlock()
				a.noteScrub(at)
			}
			if !sleep(ctx, scrubPause) {
				return
			}
			continue
		}
		err := a.scrubVolume(ctx, v)
		a.unpin([]*volume{v})
		if ctx.Err() != nil {
			return // it is read from its beginning when the program runs again
		}
		if err != nil && !errors.Is(err, errGone) {
			a.log.Warn("a volume could not be read through", "volume", v.dir, "err", err)
		}
		at.Next = v.seq + 1
		a.noteScrub(at)
	}
}

func (a *Archive) noteScrub(at scrubbed) {
	if err := writeChecked(a.scrubPath(), at); err != nil {
		a.log.Warn("noting how far the scrub is failed", "err", err)
	}
}

// nextToScrub is the first sealed volume from a number on, pinned. The pre-roll is
// not worth it.
func (a *Archive) nextToScrub(from uint64) *volume {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, v := range a.volumes {
		if v.seq >= from && v.class != PreRoll && v.sealed.Load() && v != a.active[v.class] {
			pin([]*volume{v})
			return v
		}
	}
	return nil
}

// scrubVolume reads a volume through, at the pace that is configured, and notes
// what is damaged.
func (a *Archive) scrubVolume(ctx context.Context, v *volume) error {
	bad := map[string][]Span{}
	for from := []byte{kindFragment}; from != nil; {
		began := time.Now()
		var next []byte
		var size disk.Bytes
		err := a.read(v, func(r view) (err error) {
			next, size, err = r.check(from, scrubPiece, func(camera string, s Span) { bad[camera] = append(bad[camera], s) })
			return err
		})
		if err != nil {
			return err
		}
		a.mu.Lock()
		a.scrub.Read += size
		a.mu.Unlock()
		from = next
		if !sleep(ctx, time.Duration(float64(size)/float64(a.cfg.ScrubRate)*float64(time.Second))-time.Since(began)) {
			return ctx.Err()
		}
	}
	return a.noteDamage(v, bad)
}

// check reads the fragments from a key on, most bytes at a time, and calls bad for
// those that are not what was written. It returns where to go on, nil at the end.
func (v view) check(from []byte, most disk.Bytes, bad func(camera string, s Span)) (next []byte, size disk.Bytes, err error) {
	it := v.txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kindFragment}})
	defer it.Close()
	for it.Seek(from); it.Valid(); it.Next() {
		item := it.Item()
		if size >= most {
			return item.KeyCopy(nil), size, nil
		}
		key := item.KeyCopy(nil)
		camera, start, ok := splitTimeKey(key)
		if !ok {
			continue
		}
		span := Span{From: fromIndex(start), To: fromIndex(start + int64(maxFragment))}
		err := item.Value(func(value []byte) error {
			size += disk.Bytes(len(value))
			h, err := readHeader(value)
			if err == nil {
				span.To = fromIndex(start + int64(h.duration))
				_, _, err = openFragment(key, value)
			}
			return err
		})
		if err != nil {
			size += scrubPiece / 64 // so that a volume of nothing but damage has a pace too
			bad(camera, span)
		}
	}
	return nil, size, nil
}

// noteDamage puts what is damaged into the index of a sealed volume: there it is a
// gap with a reason.
func (a *Archive) noteDamage(v *volume, bad map[string][]Span) error {
	a.mu.Lock()
	changed := false
	fresh := 0
	tracks := map[string]*track{}
	for id, t := range v.tracks {
		copied := *t
		if len(bad[id]) > len(t.Damaged) {
			fresh += len(bad[id]) - len(t.Damaged)
		}
		if !sameSpans(t.Damaged, bad[id]) {
			changed = true
			copied.Damaged = bad[id][:min(len(bad[id]), mostSpans)]
		}
		tracks[id] = &copied
	}
	what := about{Created: v.created, Tracks: tracks}
	a.mu.Unlock()
	if !changed {
		return nil
	}
	if err := v.reseal(what); err != nil {
		return err
	}
	a.mu.Lock()
	v.tracks = tracks
	a.countDamage()
	a.stats.Damaged += uint64(fresh)
	a.mu.Unlock()
	a.log.Error("a volume has damaged pieces; the disk should be looked at", "volume", v.dir, "pieces", fresh)
	return nil
}

// countDamage counts what is damaged of what there is. The lock is held.
func (a *Archive) countDamage() {
	a.scrub.Damaged = 0
	for _, v := range a.volumes {
		for _, t := range v.tracks {
			a.scrub.Damaged += len(t.Damaged)
		}
	}
}

func sameSpans(x, y []Span) bool {
	if len(x) != min(len(y), mostSpans) {
		return false
	}
	for i := range x {
		if !x[i].From.Equal(y[i].From) || !x[i].To.Equal(y[i].To) {
			return false
		}
	}
	return true
}

// sleep waits; it is false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

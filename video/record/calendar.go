package record

import (
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// DayUse is what there is of a camera on one day.
type DayUse struct {
	// Day is the day's midnight, in the zone that was asked for.
	Day time.Time `json:"day"`
	// Recorded is how much film there is, Events how much of it is kept as events
	// or evidence.
	Recorded time.Duration `json:"recorded"`
	Events   time.Duration `json:"events"`
	// Gaps is how many gaps there are, those of the schedule left out.
	Gaps int `json:"gaps"`
}

// Days lists the days between from and to on which there is film of a camera, in
// from's zone. It reads nothing from the disk.
func (a *Archive) Days(camera string, from, to time.Time) []DayUse {
	a.mu.Lock()
	spans, gaps := a.timeline(camera, from, to)
	var kept []Span
	for _, v := range a.volumes {
		if t := v.tracks[camera]; t != nil && !v.class.live() {
			for _, s := range t.Spans {
				if s.To.After(from) && s.From.Before(to) {
					kept = append(kept, s)
				}
			}
		}
	}
	a.mu.Unlock()
	kept = union(kept)

	var out []DayUse
	at := map[time.Time]int{}
	day := func(t time.Time) *DayUse {
		t = midnight(t, from.Location())
		n, ok := at[t]
		if !ok {
			n = len(out)
			at[t] = n
			out = append(out, DayUse{Day: t})
		}
		return &out[n]
	}
	each := func(spans []Span, add func(*DayUse, time.Duration)) {
		for _, s := range spans {
			lo, hi := later(s.From, from), s.To
			if hi.After(to) {
				hi = to
			}
			for lo.Before(hi) {
				m := midnight(lo, from.Location())
				end := m.AddDate(0, 0, 1)
				if end.After(hi) {
					end = hi
				}
				add(day(m), end.Sub(lo))
				lo = end
			}
		}
	}
	each(union(spans), func(d *DayUse, long time.Duration) { d.Recorded += long })
	each(kept, func(d *DayUse, long time.Duration) { d.Events += long })
	for _, g := range gaps {
		if n, ok := at[midnight(g.From, from.Location())]; ok && g.Reason != GapSchedule {
			out[n].Gaps++
		}
	}
	slices.SortFunc(out, func(x, y DayUse) int { return x.Day.Compare(y.Day) })
	return out
}

func midnight(t time.Time, zone *time.Location) time.Time {
	t = t.In(zone)
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, zone)
}

// Seek finds the fragment to begin with in order to show what a camera saw at a
// moment: the one with the key picture before it, or where there was no picture
// then the next one after it. It opens one volume, rarely two, and goes to the
// place by its key. False when there is nothing from then on.
func (a *Archive) Seek(camera string, at time.Time) (Fragment, bool) {
	from := at.UnixNano()
	tried := map[*volume]bool{}
	for {
		v, span := a.volumeAt(camera, at, tried)
		if v == nil {
			return Fragment{}, false
		}
		tried[v] = true
		var start int64
		found := false
		err := a.read(v, func(r view) error {
			start, found = r.keyAround(camera, from, max(span.From.UnixNano(), from-int64(lookBack)))
			return nil
		})
		var f Fragment
		if err == nil && found {
			h, data, e := a.load(camera, ref{v: v, place: place{start: start}})
			if err = e; err == nil {
				f = Fragment{
					Camera: camera, Start: fromIndex(start), Duration: h.duration, Key: h.key(),
					Damaged: h.flags&flagDamaged != 0, Sound: h.flags&flagSound != 0,
					Init: InitID{Volume: v.seq, Camera: camera, Generation: h.gen}, Data: data,
				}
			}
		}
		a.unpin([]*volume{v})
		if err == nil && found {
			return f, true
		}
	}
}

// volumeAt is the volume, pinned, that has a camera's pictures at a moment, or the
// next ones after it, and the span in it; those that were tried are left out.
func (a *Archive) volumeAt(camera string, at time.Time, tried map[*volume]bool) (*volume, Span) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var best *volume
	var span Span
	for _, v := range a.volumes {
		t := v.tracks[camera]
		if t == nil || tried[v] {
			continue
		}
		for _, s := range t.Spans {
			if !s.To.After(at) {
				continue
			}
			// What holds the moment goes before what begins after it; of two that
			// hold it the later telling, which has the higher number.
			holds, had := !s.From.After(at), best != nil && !span.From.After(at)
			if best == nil || holds && (!had || v.class == best.class) || !holds && !had && s.From.Before(span.From) {
				best, span = v, s
			}
		}
	}
	if best != nil {
		pin([]*volume{best})
	}
	return best, span
}

// keyAround is the fragment with the key picture at or before a moment, not earlier
// than least; or else the first one after it.
func (v view) keyAround(camera string, at, least int64) (int64, bool) {
	pre := prefix(kindFragment, camera)
	key := func(item *badger.Item) (start int64, ok bool) {
		_, start, ok = splitTimeKey(item.Key())
		err := item.Value(func(value []byte) error {
			h, err := readHeader(value)
			ok = ok && err == nil && h.key()
			return err
		})
		return start, ok && err == nil
	}
	back := v.txn.NewIterator(badger.IteratorOptions{Prefix: pre, Reverse: true})
	defer back.Close()
	for back.Seek(timeKey(kindFragment, camera, at)); back.Valid(); back.Next() {
		start, ok := key(back.Item())
		if start < least-int64(longestFragment) {
			break
		}
		if ok {
			return start, true
		}
	}
	on := v.txn.NewIterator(badger.IteratorOptions{Prefix: pre})
	defer on.Close()
	for on.Seek(timeKey(kindFragment, camera, at+1)); on.Valid(); on.Next() {
		if start, ok := key(on.Item()); ok {
			return start, true
		}
	}
	return 0, false
}

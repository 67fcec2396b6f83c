package history

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

const (
	passEvery = time.Minute
	// settled is how long a day must be over before it is summed up: a report
	// may still be on its way to the disk.
	settled = 10 * time.Minute
	// Loose readings are packed when so many bytes of them wait, or for so long:
	// whoever draws a chart reads all of them.
	packAt    = 128 << 10
	packAfter = time.Hour
	// packBlocks bounds the blocks of one step, mergeMost the bytes that a day's
	// blocks may have to be made one: a transaction holds 600 kB.
	packBlocks = 500
	mergeMost  = 256 << 10
	// stepRows and packAt bound one transaction, so that alarms are not kept
	// waiting; stepPause lets others in between two.
	stepRows  = 1000
	stepPause = 20 * time.Millisecond
	// keepErased is how long it is remembered that a sensor was removed: what it
	// had said is packed by then.
	keepErased = 2 * day
	// advanceEvery bounds how fast the horizon moves: a day in each.
	advanceEvery = time.Hour
)

// Run packs, sums up and deletes until ctx ends. What fails is tried again.
func (h *History) Run(ctx context.Context) error {
	tick := time.NewTicker(passEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := h.Keep(ctx); err != nil && ctx.Err() == nil {
			h.log.Warn("history not kept in order; it is tried again", "err", err)
		}
	}
}

// Keep does what is due now. It may be cut off anywhere.
func (h *History) Keep(ctx context.Context) error {
	for _, step := range []func(context.Context) error{h.erase, h.pack, h.sumUp, h.trim} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// pause lets others write between two steps.
func pause(ctx context.Context) error {
	t := time.NewTimer(stepPause)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// today is the first day that is not over yet.
func (h *History) today() int64 { return dayAt(h.now().Add(-settled).UnixNano()) }

func (h *History) sensors(kind string) (list []string, err error) {
	err = h.store.View(func(tx *store.Tx) error {
		list, err = sensorsIn(tx, kind)
		return err
	})
	return list, err
}

// erase deletes the history of sensors that were removed.
func (h *History) erase(ctx context.Context) error {
	until := map[string]int64{}
	err := h.store.View(func(tx *store.Tx) error {
		return tx.EachRow(eraseKind, "x0", func(k store.Key, _ []byte) (err error) {
			sensor := strings.TrimPrefix(string(k), eraseKind)
			until[sensor], err = erasedUntil(tx, sensor)
			return err
		})
	})
	for sensor, at := range until {
		ends := map[store.Key]store.Key{
			timeKey(blockKind, sensor, 0): timeKey(blockKind, sensor, at+1),
			dayKey(dayKind, sensor, 0):    dayKey(dayKind, sensor, dayAt(at)+1),
		}
		for from, to := range ends {
			if err == nil {
				err = h.deleteRange(ctx, from, to)
			}
		}
		if err == nil && h.now().UnixNano() > at+int64(keepErased) {
			err = h.store.Reclaim(ctx, func(tx *store.Tx) error {
				// It may have been removed once more since.
				if now, err := erasedUntil(tx, sensor); err != nil || now != at {
					return err
				}
				return tx.DeleteRow(store.Key(eraseKind + sensor))
			})
		}
	}
	return err
}

// deleteRange deletes rows, a bounded number at a time.
func (h *History) deleteRange(ctx context.Context, from, to store.Key) error {
	for {
		var gone []store.Key
		err := h.store.View(func(tx *store.Tx) error {
			return tx.EachRow(from, to, func(k store.Key, _ []byte) error {
				if gone = append(gone, k); len(gone) == stepRows {
					return store.ErrStop
				}
				return nil
			})
		})
		if err != nil || len(gone) == 0 {
			return err
		}
		err = h.store.Reclaim(ctx, func(tx *store.Tx) error {
			for _, k := range gone {
				if err := tx.DeleteRow(k); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(gone) < stepRows {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// pack makes blocks of loose readings.
func (h *History) pack(ctx context.Context) error {
	var packed []byte
	err := h.store.View(func(tx *store.Tx) (err error) {
		packed, err = tx.Row(packedKey)
		return err
	})
	if err == nil && packed != nil { // of a step that was cut off
		err = h.deleteRange(ctx, store.LooseBegin, store.Key(packed)+"\x00")
	}
	if err != nil {
		return err
	}
	for {
		more, err := h.packSome(ctx)
		if err != nil || !more {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// heap is the loose readings of one step.
type heap struct {
	last   store.Key // the entry of the newest
	size   int
	oldest time.Time
	full   bool
	days   map[sensorDay][]reading
}

type sensorDay struct {
	sensor string // as in keys
	day    int64
}

// gather reads loose readings that are not packed, up to a size.
func (h *History) gather(tx *store.Tx) (heap, error) {
	g := heap{days: map[sensorDay][]reading{}}
	packed, err := tx.Row(packedKey)
	if err != nil {
		return g, err
	}
	erased := map[string]int64{}
	err = tx.EachLoose(store.Key(packed), func(entry store.Key, b []byte) error {
		if entry != g.last {
			if g.full = g.size >= packAt || len(g.days) >= packBlocks; g.full {
				return store.ErrStop
			}
			if g.last == "" {
				g.oldest = store.LooseTime(entry)
			}
			g.last = entry
		}
		g.size += len(b)
		name, rest, ok := sensorOf(b)
		r, err := decodeRow(rest)
		if !ok || err != nil {
			h.log.Warn("reading in the history is damaged and left out", "sensor", string(name))
			return nil
		}
		sensor := escape(string(name))
		until, known := erased[sensor]
		if !known {
			if until, err = erasedUntil(tx, sensor); err != nil {
				return err
			}
			erased[sensor] = until
		}
		if r.at > until {
			d := sensorDay{sensor, dayAt(r.at)}
			g.days[d] = append(g.days[d], r)
		}
		return nil
	})
	return g, err
}

// packSome makes blocks of the oldest loose readings, if it is time, and tells
// whether to go on.
func (h *History) packSome(ctx context.Context) (more bool, err error) {
	var g heap
	err = h.store.View(func(tx *store.Tx) (err error) {
		g, err = h.gather(tx)
		return err
	})
	if err != nil || g.last == "" {
		return false, err
	}
	// When a day is over, what is left of it is packed.
	over := dayAt(g.oldest.UnixNano()) < h.today()
	if age := h.now().Sub(g.oldest); !g.full && g.size < packAt && !over && age >= 0 && age < packAfter {
		return false, nil
	}
	blocks := map[store.Key][]byte{}
	for d, list := range g.days {
		slices.SortStableFunc(list, func(a, b reading) int { return cmp.Compare(a.at, b.at) })
		for _, b := range cut(list) {
			blocks[blockKey(d.sensor, b.at, store.LooseTime(g.last).UnixNano())] = b.bytes
		}
	}
	err = h.store.Update(ctx, station.LaneBulk, func(tx *store.Tx) error {
		for k, b := range blocks {
			if err := tx.PutRow(k, b); err != nil {
				return err
			}
		}
		for d := range g.days {
			if err := tx.PutRow(dayKey(dueKind, d.sensor, d.day), nil); err != nil {
				return err
			}
		}
		return tx.PutRow(packedKey, []byte(g.last))
	})
	if err != nil {
		return false, err
	}
	return true, h.deleteRange(ctx, store.LooseBegin, g.last+"\x00")
}

// maxBlock is the size beyond which a block is made two: a record has a limit.
const maxBlock = 128 << 10

type block struct {
	at    int64
	bytes []byte
}

func cut(list []reading) []block {
	if len(list) == 0 {
		return nil
	}
	b := encodeBlock(list)
	if len(b) <= maxBlock || len(list) == 1 {
		return []block{{list[0].at, b}}
	}
	return append(cut(list[:len(list)/2]), cut(list[len(list)/2:])...)
}

// sumUp makes the hours of the days that are over.
func (h *History) sumUp(ctx context.Context) error {
	type due struct {
		key    store.Key
		sensor string
		day    int64
	}
	var list []due
	today := h.today()
	err := h.store.View(func(tx *store.Tx) error {
		return tx.EachRow(dueKind, "t0", func(k store.Key, _ []byte) error {
			sensor, _, _ := strings.Cut(string(k[len(dueKind):]), "/")
			if d := dayOf(k); d < today {
				list = append(list, due{k, sensor, d})
			}
			return nil
		})
	})
	for i, d := range list {
		if err != nil {
			return err
		}
		err = h.sumUpDay(ctx, d.key, d.sensor, d.day)
		if err == nil && i%20 == 19 { // they are small
			err = pause(ctx)
		}
	}
	return err
}

// sumUpDay makes the hours of one day, and one block of its many small ones.
func (h *History) sumUpDay(ctx context.Context, due store.Key, sensor string, d int64) error {
	sums := hours{}
	var list []reading
	var old []store.Key
	err := h.store.View(func(tx *store.Tx) error {
		return eachBlock(tx, sensor, d*int64(day), (d+1)*int64(day), func(k store.Key, b []byte) error {
			old = append(old, k)
			err := decodeBlock(b, func(r reading) error {
				r.fields = slices.Clone(r.fields)
				list = append(list, r)
				return nil
			})
			if err != nil {
				h.log.Warn("block in the history is damaged", "sensor", sensor, "err", err)
			}
			return ctx.Err()
		})
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(list, func(a, b reading) int { return cmp.Compare(a.at, b.at) })
	for _, r := range list {
		sums.add(r)
	}
	blocks := cut(list)
	size := 0
	for _, b := range blocks {
		size += len(b.bytes)
	}
	if len(old) > stepRows || len(blocks) >= len(old) || size > mergeMost {
		old, blocks = nil, nil // it would be much work for little
	}
	return h.store.Update(ctx, station.LaneBulk, func(tx *store.Tx) error {
		for _, k := range old {
			if err := tx.DeleteRow(k); err != nil {
				return err
			}
		}
		for _, b := range blocks {
			if err := tx.PutRow(blockKey(sensor, b.at, 0), b.bytes); err != nil {
				return err
			}
		}
		if len(sums) > 0 {
			if err := tx.PutRow(dayKey(dayKind, sensor, d), sums.encode()); err != nil {
				return err
			}
		}
		return tx.DeleteRow(due)
	})
}

// horizon is up to which day readings and hours have been deleted.
type horizon struct {
	Readings int64 `json:"readings"`
	Hours    int64 `json:"hours"`
}

const horizonKey = store.Key("history/horizon")

// trim deletes what is older than its time.
func (h *History) trim(ctx context.Context) error {
	today := h.today()
	want := horizon{today - int64(h.cfg.KeepReadings/day), today - int64(h.cfg.KeepHours/day)}
	var was horizon
	var known bool
	err := h.store.View(func(tx *store.Tx) (err error) {
		was, known, err = store.Get[horizon](tx, horizonKey)
		return err
	})
	if err != nil {
		return err
	}
	next := was
	switch {
	case !known:
		next = want
	case (want.Readings > was.Readings || want.Hours > was.Hours) && (h.advanced.IsZero() || time.Since(h.advanced) >= advanceEvery):
		next.Readings = min(want.Readings, was.Readings+1)
		next.Hours = min(want.Hours, was.Hours+1)
		h.advanced = time.Now()
	default:
		return nil
	}
	for kind, end := range map[string]func(sensor string) store.Key{
		blockKind: func(s string) store.Key { return timeKey(blockKind, s, next.Readings*int64(day)) },
		dayKind:   func(s string) store.Key { return dayKey(dayKind, s, next.Hours) },
	} {
		list, err := h.sensors(kind)
		for _, sensor := range list {
			if err == nil {
				err = h.deleteRange(ctx, store.Key(kind+sensor+"/"), end(sensor))
			}
		}
		if err != nil {
			return err
		}
	}
	if next == was {
		return nil
	}
	err = h.store.Update(ctx, station.LaneBulk, func(tx *store.Tx) error { return store.Put(tx, horizonKey, next) })
	if errors.Is(err, station.ErrNoSpace) {
		return nil // it is done again; nothing is lost
	}
	return err
}

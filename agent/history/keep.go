package history

import (
	"context"
	"errors"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

const (
	passEvery = 5 * time.Minute
	// settled is how long a day must be over before it is summed up: a report
	// may still be on its way to the disk.
	settled = 10 * time.Minute
	// stepRows bounds one transaction, so that alarms are not kept waiting;
	// stepPause lets others in between two.
	stepRows  = 1000
	stepPause = 20 * time.Millisecond
	// packAt is how many readings of a sensor wait before they are packed on the
	// same day.
	packAt = 500
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
			timeKey(rowKind, sensor, 0):   timeKey(rowKind, sensor, at+1),
			timeKey(blockKind, sensor, 0): timeKey(blockKind, sensor, at+1),
			dayKey(dayKind, sensor, 0):    dayKey(dayKind, sensor, dayAt(at)+1),
		}
		for from, to := range ends {
			if err == nil {
				err = h.deleteRange(ctx, from, to)
			}
		}
		if err == nil {
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

// pack makes blocks of rows: where there are many, and where their day is over.
func (h *History) pack(ctx context.Context) error {
	list, err := h.sensors(rowKind)
	for _, sensor := range list {
		for more := true; more && err == nil; {
			if more, err = h.packSome(ctx, sensor); more && err == nil {
				err = pause(ctx)
			}
		}
	}
	return err
}

// packSome makes one block of a sensor's oldest rows, and tells whether to go on.
func (h *History) packSome(ctx context.Context, sensor string) (more bool, err error) {
	var list []reading
	var keys []store.Key
	err = h.store.View(func(tx *store.Tx) error {
		return tx.EachRow(store.Key(rowKind+sensor+"/"), store.Key(rowKind+sensor+"0"), func(k store.Key, b []byte) error {
			at := timeOf(k)
			if len(keys) == stepRows || len(list) > 0 && dayAt(at) != dayAt(list[0].at) {
				return store.ErrStop
			}
			keys = append(keys, k)
			r, err := decodeRow(at, b)
			if err != nil {
				h.log.Warn("reading in the history is damaged and left out", "sensor", sensor, "err", err)
				return nil
			}
			list = append(list, r)
			return nil
		})
	})
	if err != nil || len(keys) == 0 {
		return false, err
	}
	over := len(list) == 0 || dayAt(list[0].at) < h.today()
	if !over && len(list) < packAt {
		return false, nil
	}
	blocks := cut(list)
	err = h.store.Update(ctx, station.LaneBulk, func(tx *store.Tx) error {
		for _, b := range blocks {
			// A backlog may begin at the very time of an older block.
			k := timeKey(blockKind, sensor, b.at)
			for at := b.at; ; at++ {
				k = timeKey(blockKind, sensor, at)
				if there, err := tx.Row(k); err != nil {
					return err
				} else if there == nil {
					break
				}
			}
			if err := tx.PutRow(k, b.bytes); err != nil {
				return err
			}
		}
		for _, k := range keys {
			if err := tx.DeleteRow(k); err != nil {
				return err
			}
		}
		if len(list) == 0 {
			return nil
		}
		return tx.PutRow(dayKey(dueKind, sensor, dayAt(list[0].at)), nil)
	})
	return true, err
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
	for _, d := range list {
		if err != nil {
			return err
		}
		sums := hours{}
		err = h.store.View(func(tx *store.Tx) error {
			return each(tx, d.sensor, d.day*int64(day), (d.day+1)*int64(day), func(r reading) error {
				sums.add(r)
				return ctx.Err()
			})
		})
		if err == nil {
			err = h.store.Update(ctx, station.LaneBulk, func(tx *store.Tx) error {
				if len(sums) > 0 {
					if err := tx.PutRow(dayKey(dayKind, d.sensor, d.day), sums.encode()); err != nil {
						return err
					}
				}
				return tx.DeleteRow(d.key)
			})
		}
		if err == nil {
			err = pause(ctx)
		}
	}
	return err
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
		rowKind:   func(s string) store.Key { return timeKey(rowKind, s, next.Readings*int64(day)) },
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

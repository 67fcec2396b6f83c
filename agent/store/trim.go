package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"stationd/agent/station"
)

// trimChunk bounds how many rows one transaction deletes, so that alarms are not
// kept waiting by housekeeping.
const trimChunk = 1000

// Trim deletes rows of the journal that every target has acknowledged and that
// are older than KeepJournal, and what the bulk lane has beyond its cap or age. It
// returns what was given up there before a target had it; note, which may be nil,
// is called with each part of it in the transaction that deletes it, so that
// whatever is lost is known. The lanes urgent and normal are never trimmed before
// a cursor.
func (s *Store) Trim(ctx context.Context, note func(*Tx, station.Dropped) error) (station.Dropped, error) {
	var dropped station.Dropped
	for _, lane := range station.Lanes() {
		for {
			some, more, err := s.trimSome(ctx, lane, note)
			if err != nil {
				return dropped, err
			}
			dropped = dropped.Plus(some)
			if !more {
				break
			}
		}
	}
	return dropped, nil
}

// trimSome deletes one chunk at the tail of a lane, and tells whether to go on.
func (s *Store) trimSome(ctx context.Context, lane station.Lane, note func(*Tx, station.Dropped) error) (dropped station.Dropped, more bool, err error) {
	err = s.Update(ctx, laneAlways, func(tx *Tx) error {
		more, dropped = false, station.Dropped{}
		i := laneIndex(lane)
		l := tx.journal.lanes[i]
		cursors, err := tx.cursorsOf(lane)
		if err != nil {
			return err
		}
		acked := tx.journal.head // by all
		for _, c := range cursors {
			acked = min(acked, c.Seq)
		}
		var over uint64    // rows beyond the cap
		var aged time.Time // what was written before is too old to wait
		if lane == station.LaneBulk {
			if l.count > s.cfg.BulkCap {
				over = l.count - s.cfg.BulkCap
			}
			if s.cfg.BulkAge > 0 {
				aged = time.Now().Add(-s.cfg.BulkAge)
			}
		}
		horizon := time.Now().Add(-s.cfg.KeepJournal)
		w := walkLane(tx.snap, lane, l, 0)
		if w == nil {
			return nil
		}
		defer w.it.Close()
		n := uint64(0)
		for ; w.valid(); w.next() {
			if w.err != nil {
				return w.err
			}
			if n == trimChunk {
				more = true
				break
			}
			reason := "cap"
			if n >= over {
				if reason = "age"; !w.written.Before(aged) && (w.seq > acked || !w.written.Before(horizon)) {
					break
				}
			}
			if w.seq > acked {
				dropped = dropped.Plus(station.Dropped{Count: 1, From: w.written, To: w.written, FromSeq: w.seq, ToSeq: w.seq, Reason: reason})
			}
			if w.lastOfRow() { // until then the tail hides what is gone of a pack
				if err := tx.put(rowKey(lane, w.key), nil); err != nil {
					return err
				}
			}
			l.tail = w.seq + 1
			n++
		}
		l.count -= min(n, l.count)
		tx.journal.lanes[i] = l
		for _, c := range cursors {
			if c.Seq < dropped.ToSeq {
				dropped.Targets = strings.TrimSpace(dropped.Targets + " " + c.Target)
			}
		}
		if dropped.Count > 0 && note != nil {
			return note(tx, dropped)
		}
		return nil
	})
	if err != nil {
		return station.Dropped{}, false, err
	}
	return dropped, more, nil
}

// cursorsOf are the targets' cursors in a lane; those of an earlier life of the
// store stand at the beginning: their numbers say nothing here.
func (tx *Tx) cursorsOf(lane station.Lane) ([]Cursor, error) {
	all, err := tx.Cursors()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(c Cursor) bool { return c.Lane != lane })
	for i := range all {
		if all[i].Epoch != tx.s.epoch {
			all[i].Seq = 0
		}
	}
	return all, nil
}

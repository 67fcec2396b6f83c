package store

import (
	"context"
	"time"

	"stationd/agent/station"
)

// trimChunk bounds how many rows one transaction deletes, so that alarms are not
// kept waiting by housekeeping.
const trimChunk = 1000

// Trim deletes rows of the journal that every target has acknowledged and that
// are older than KeepJournal, and what the bulk lane has beyond its cap. It
// returns what was given up there before a target had it. The lanes urgent and
// normal are never trimmed before a cursor.
func (s *Store) Trim(ctx context.Context) (station.Dropped, error) {
	var dropped station.Dropped
	for _, lane := range station.Lanes() {
		for {
			more, err := s.trimSome(ctx, lane, &dropped)
			if err != nil {
				return dropped, err
			}
			if !more {
				break
			}
		}
	}
	if dropped.Count > 0 {
		dropped.Reason = "cap"
	}
	return dropped, nil
}

// trimSome deletes one chunk at the tail of a lane, and tells whether to go on.
func (s *Store) trimSome(ctx context.Context, lane station.Lane, total *station.Dropped) (more bool, err error) {
	var dropped station.Dropped
	err = s.Update(ctx, laneAlways, func(tx *Tx) error {
		more, dropped = false, station.Dropped{}
		i := laneIndex(lane)
		l := tx.journal.lanes[i]
		acked, err := tx.acknowledged(lane)
		if err != nil {
			return err
		}
		var over uint64 // rows beyond the cap
		if lane == station.LaneBulk && l.count > s.cfg.BulkCap {
			over = l.count - s.cfg.BulkCap
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
			if n >= over && (w.seq > acked || !w.written.Before(horizon)) {
				break
			}
			if w.seq > acked {
				if dropped.Count == 0 {
					dropped.From = w.written
				}
				dropped.To = w.written
				dropped.Count++
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
		return nil
	})
	if err != nil {
		return false, err
	}
	if dropped.Count > 0 {
		if total.Count == 0 {
			total.From = dropped.From
		}
		total.To = dropped.To
		total.Count += dropped.Count
	}
	return more, nil
}

// acknowledged is the sequence up to which every target has the lane; the head
// when there is no target.
func (tx *Tx) acknowledged(lane station.Lane) (uint64, error) {
	acked := tx.journal.head
	err := tx.scan(cursorRealm, "", false, func(k string, b []byte) error {
		var c Cursor
		if err := decodeCursor(b, &c); err != nil || c.Lane != lane {
			return err
		}
		if c.Epoch != tx.s.epoch {
			c.Seq = 0 // of an earlier life: its numbers say nothing here
		}
		acked = min(acked, c.Seq)
		return nil
	})
	return acked, err
}

package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"stationd/agent/station"
)

// journal is where the journal stands: the last sequence given out, and for each
// lane its rows. It is kept in one record that is written with each batch, so
// that nobody has to search for an end among deleted rows.
type journal struct {
	head  uint64
	lanes [3]laneState
}

type laneState struct {
	tail  uint64 // no row has a lower sequence
	last  uint64 // of the newest row
	count uint64 // of rows between them
}

func (j journal) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 80), j.head)
	for _, l := range j.lanes {
		b = binary.BigEndian.AppendUint64(b, l.tail)
		b = binary.BigEndian.AppendUint64(b, l.last)
		b = binary.BigEndian.AppendUint64(b, l.count)
	}
	return b
}

func decodeJournal(b []byte) (journal, error) {
	var j journal
	if len(b) < 8+len(j.lanes)*24 {
		return j, errShort
	}
	j.head = binary.BigEndian.Uint64(b)
	for i := range j.lanes {
		at := b[8+i*24:]
		j.lanes[i] = laneState{binary.BigEndian.Uint64(at), binary.BigEndian.Uint64(at[8:]), binary.BigEndian.Uint64(at[16:])}
	}
	return j, nil
}

// Append writes a row of the journal. It sets Seq, and where they are empty
// Origin, ID and Time, and returns the event as it was written.
func (tx *Tx) Append(ev station.Event) (station.Event, error) {
	i := laneIndex(ev.Lane)
	if i < 0 {
		return ev, fmt.Errorf("append event %q: there is no lane %q", ev.Type, string(ev.Lane))
	}
	j := tx.journal
	j.head++
	ev.Seq = j.head
	if ev.Origin == (station.Origin{}) {
		ev.Origin = station.Origin{Node: tx.s.node, Epoch: tx.s.epoch, Seq: ev.Seq}
	}
	if ev.ID == "" {
		ev.ID = station.NewID()
	}
	if ev.Time.IsZero() {
		ev.Time = time.Now()
	}
	if err := tx.write(&ev); err != nil {
		return ev, err
	}
	l := &j.lanes[i]
	l.last = ev.Seq
	l.count++
	if l.tail == 0 {
		l.tail = ev.Seq
	}
	tx.journal = j
	return ev, nil
}

// Next is the sequence that the next Append will give.
func (tx *Tx) Next() uint64 { return tx.journal.head + 1 }

// write puts an event where its lane has its rows.
func (tx *Tx) write(ev *station.Event) error {
	if ev.Lane == station.LaneBulk {
		return tx.pack(ev)
	}
	body, err := json.Marshal(ev)
	if err != nil {
		return fmt.Errorf("append event %q: %w", ev.Type, err)
	}
	// The time in front is when the row was written: what is kept how long is
	// decided by it, without decoding the row.
	row := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(body)), uint64(time.Now().UnixNano()))
	return tx.put(rowKey(ev.Lane, ev.Seq), append(row, body...))
}

// rowTime is when a row was written.
func rowTime(b []byte) (time.Time, error) {
	if len(b) < 8 {
		return time.Time{}, errShort
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(b))), nil
}

// Read returns up to limit events after the sequence given, of the lanes named
// or of all, in the order of their sequence. It seeks in each lane, so that rows
// of other lanes cost nothing.
func (s *Store) Read(after uint64, limit int, lanes ...station.Lane) ([]station.Event, error) {
	if limit <= 0 {
		return nil, nil
	}
	if len(lanes) == 0 {
		lanes = station.Lanes()
	}
	var out []station.Event
	err := s.View(func(tx *Tx) error {
		var walks []*walk
		defer func() {
			for _, w := range walks {
				w.it.Close()
			}
		}()
		for _, lane := range lanes {
			i := laneIndex(lane)
			if i < 0 {
				return fmt.Errorf("read journal: there is no lane %q", string(lane))
			}
			if w := walkLane(tx.snap, lane, tx.journal.lanes[i], after); w != nil {
				walks = append(walks, w)
			}
		}
		for len(out) < limit {
			var next *walk
			for _, w := range walks {
				if w.valid() && (next == nil || w.seq < next.seq) {
					next = w
				}
			}
			if next == nil {
				return nil
			}
			ev, err := next.decode()
			if err != nil {
				return err
			}
			out = append(out, ev)
			next.next()
		}
		return nil
	})
	return out, err
}

// Tail is the sequence below which a lane has no rows any more.
func (s *Store) Tail(lane station.Lane) uint64 {
	if i := laneIndex(lane); i >= 0 {
		return s.journalNow().lanes[i].tail
	}
	return 0
}

// Backlog counts the rows of a lane that the target has not acknowledged, up to
// most, and tells when the oldest was written.
func (s *Store) Backlog(target string, lane station.Lane, most int) (n int, oldest time.Time, err error) {
	i := laneIndex(lane)
	if i < 0 {
		return 0, oldest, fmt.Errorf("count backlog: there is no lane %q", string(lane))
	}
	err = s.View(func(tx *Tx) error {
		c, err := tx.Cursor(target, lane)
		if err != nil {
			return err
		}
		after := c.Seq
		if c.Epoch != s.epoch {
			after = 0
		}
		w := walkLane(tx.snap, lane, tx.journal.lanes[i], after)
		if w == nil {
			return nil
		}
		defer w.it.Close()
		for ; n < most && w.valid(); w.next() {
			if w.err != nil {
				return w.err
			}
			if n == 0 {
				oldest = w.written
			}
			n++
		}
		return nil
	})
	return n, oldest, err
}

package uplink

import (
	"fmt"
	"time"

	"stationd/agent/station"
	"stationd/uplink/protocol"
)

// place is a place in a lane: the journal's sequence number and the hop number.
type place struct{ seq, hop uint64 }

// lane is the sending side of one lane within one session. It has no clock, no
// goroutine and no line; the session gives it all three.
type lane struct {
	id     station.Lane
	node   station.NodeID
	epoch  station.Epoch
	window Window
	filter Filter
	// compress is what batches are sent in.
	compress string

	acked    place    // what the parent holds
	read     place    // the last that was numbered; buffer goes on behind
	high     uint64   // the highest hop number that was sent in this session
	buffer   []packed // numbered and encoded, not sent yet
	inflight []batch  // sent, not acknowledged
	events   int      // in flight
	bytes    int      // in flight

	// emptyAt is the journal's head when nothing was left to read.
	emptyAt uint64
	exhaust bool

	// While the parent is behind our old cursor: up to where, so that what the
	// journal no longer holds can be counted.
	replay *place
	lost   uint64

	rewound   uint64 // the Expect that was last obeyed
	rewoundAt time.Time
	progress  time.Time // of the last acknowledgement or the first batch in flight
	strikes   int       // time-outs in a row
	refusals  int       // refusals in a row
	notBefore time.Time // pause after a refusal
	problem   *station.Problem
}

type packed struct {
	place
	enc []byte
}

// batch is a batch in flight, known by its last event.
type batch struct {
	place
	events, bytes int
}

func newLane(id station.Lane, node station.NodeID, epoch station.Epoch, w Window, f Filter) *lane {
	if id == station.LaneBulk {
		w.Bytes = max(w.Bytes/4, w.BatchBytes)
	}
	return &lane{id: id, node: node, epoch: epoch, window: w, filter: f}
}

// position decides where a session begins, from our cursor and the parent's
// mark. The parent's word counts; see package comment.
func (l *lane) position(cur Cursor, m protocol.Mark, head uint64) error {
	mark := place{uint64(m.Seq), uint64(m.Hop)}
	l.replay = nil
	switch {
	case m.Epoch == l.epoch:
		if mark.seq > head {
			return station.Errorf(409, "uplink.ahead", "this station's data was set back without a new epoch; restore it from a backup through the program, or give the station a new data directory",
				"the parent holds event %d of lane %s, the journal ends at %d", mark.seq, l.id, head)
		}
		if cur.Epoch == l.epoch && cur.Hop > mark.hop {
			l.replay = &place{cur.Seq, cur.Hop}
		}
		if cur.Epoch == l.epoch && cur.Hop == mark.hop {
			mark.seq = max(mark.seq, cur.Seq) // what lies between did not pass the filter
		}
		l.rewind(mark)
	case cur.Epoch == l.epoch && cur.Hop == 0:
		l.rewind(place{seq: cur.Seq}) // nothing has passed the filter yet
	case cur.Epoch == l.epoch:
		// The parent had acknowledged this life and knows nothing of it: it was
		// replaced, or restored from before. All that there is goes again; what
		// it had from an earlier life it knows by its origin.
		l.replay = &place{cur.Seq, cur.Hop}
		l.rewind(place{})
	default:
		// A new life of our store, numbered from 1 again. What the parent had
		// acknowledged of the earlier one need not go again, unless it lost it.
		start := place{}
		if cur.Epoch != "" && cur.Epoch == m.Epoch {
			start.seq = min(cur.Seq, mark.seq)
		}
		if start.seq > head {
			start.seq = 0
		}
		l.rewind(start)
	}
	l.strikes, l.refusals, l.problem, l.notBefore, l.rewound = 0, 0, nil, time.Time{}, 0
	return nil
}

// rewind forgets what is in flight and goes on behind p.
func (l *lane) rewind(p place) {
	l.acked, l.read = p, p
	l.buffer, l.inflight, l.events, l.bytes = nil, nil, 0, 0
	l.exhaust = false
}

// wants tells whether the lane can send at now.
func (l *lane) wants(now time.Time, head uint64) bool {
	if now.Before(l.notBefore) || l.events >= l.window.Events || l.bytes >= l.window.Bytes {
		return false
	}
	return len(l.buffer) > 0 || !l.exhaust || head > l.emptyAt
}

// fill reads and numbers what comes next. With a filter it may find nothing and
// have read on all the same.
func (l *lane) fill(j Journal) error {
	head := j.Head()
	events, err := j.Read(l.read.seq, l.window.BatchEvents, l.id)
	if err != nil {
		return fmt.Errorf("read the journal's lane %s: %w", l.id, err)
	}
	l.exhaust = len(events) < l.window.BatchEvents
	if l.exhaust {
		l.emptyAt = head
	}
	for _, ev := range events {
		if !l.filter.Pass(ev) {
			l.read.seq = ev.Seq
			continue
		}
		next := place{ev.Seq, l.read.hop + 1}
		l.account(next.seq, next.hop)
		enc, err := protocol.AppendEvent(nil, l.node, protocol.Envelope{Epoch: l.epoch, Hop: next.hop, Event: ev})
		if err != nil {
			return err
		}
		l.buffer = append(l.buffer, packed{next, enc})
		l.read = next
	}
	if l.exhaust {
		l.account(l.emptyAt+1, l.read.hop+1)
	}
	return nil
}

// passOver moves the lane's place over what the filter has held back, so that
// the journal need not keep it for this target. It tells whether the place has
// moved so far that the cursor is worth storing.
func (l *lane) passOver() bool {
	if len(l.buffer) > 0 || len(l.inflight) > 0 || l.read.seq < l.acked.seq+passOverAt {
		return false
	}
	l.acked.seq = l.read.seq
	return true
}

// passOverAt is how many sequence numbers lie between two cursors that move
// without an acknowledgement.
const passOverAt = 500

// account counts, once, what a parent that fell behind needs and the journal no
// longer has: hop numbers are dense, so the first event behind our old cursor
// has the hop number behind the old cursor's unless some are missing.
func (l *lane) account(seq, hop uint64) {
	if l.replay == nil || seq <= l.replay.seq {
		return
	}
	if hop <= l.replay.hop {
		l.lost += l.replay.hop + 1 - hop
	}
	l.replay = nil
}

// next takes a batch out of the buffer; nil when there is none.
func (l *lane) next(now time.Time) []byte {
	if len(l.buffer) == 0 {
		return nil
	}
	payload := []byte{'['}
	b := batch{}
	for _, p := range l.buffer {
		if b.events > 0 && (b.events == l.window.BatchEvents || len(payload)+len(p.enc)+2 > l.window.BatchBytes) {
			break
		}
		if b.events > 0 {
			payload = append(payload, ',')
		}
		payload = append(payload, p.enc...)
		b.place, b.events = p.place, b.events+1
	}
	payload = protocol.Compress(l.compress, append(payload, ']'))
	b.bytes = len(payload)
	l.buffer = l.buffer[b.events:]
	l.high = max(l.high, b.hop)
	if len(l.inflight) == 0 {
		l.progress = now
	}
	l.inflight = append(l.inflight, b)
	l.events, l.bytes = l.events+b.events, l.bytes+b.bytes
	return payload
}

// ack takes the parent's mark. It tells whether the cursor moved. An Ack that
// cannot be true is an error; the session ends, and the next one asks again.
func (l *lane) ack(a protocol.Ack, now time.Time, head uint64, patience time.Duration) (moved bool, err error) {
	if a.Problem != nil {
		if now.Before(l.notBefore) {
			return false, nil // the same refusal, heard twice
		}
		l.problem = a.Problem
		l.refusals++
		l.notBefore = now.Add(max(min(time.Second<<min(l.refusals-1, 6), time.Minute), a.Pause()))
		l.rewind(l.acked)
		return false, nil
	}
	mark := place{uint64(a.Seq), uint64(a.Hop)}
	if a.Epoch != l.epoch || mark.hop < l.acked.hop {
		return false, nil // an old word that came late
	}
	if mark.seq > head || mark.hop > max(l.high, l.acked.hop) {
		return false, fmt.Errorf("the parent acknowledges hop %d (event %d) of lane %s, which was not sent", mark.hop, mark.seq, l.id)
	}
	if mark.hop > l.acked.hop {
		moved = true
		l.progress, l.strikes, l.refusals, l.problem = now, 0, 0, nil
		if !l.settle(mark) {
			// The parent counts otherwise than we do: its numbers count.
			l.rewind(mark)
		}
		l.acked = mark
	}
	if pause := a.Pause(); pause > 0 {
		l.notBefore = now.Add(pause) // the receiver is slow, and says so
	}
	if e := uint64(a.Expect); e == l.acked.hop+1 && len(l.inflight) > 0 {
		// Each batch behind a gap is answered so; the first answer is obeyed,
		// the others speak of the same batches.
		if e != l.rewound || now.Sub(l.rewoundAt) > patience {
			l.rewound, l.rewoundAt = e, now
			l.rewind(mark)
		}
	}
	return moved, nil
}

// settle takes out of flight what mark covers. It is false when mark is not the
// end of a batch that was sent so.
func (l *lane) settle(mark place) bool {
	for i, b := range l.inflight {
		if b.hop < mark.hop {
			continue
		}
		if b.place != mark {
			return false
		}
		for _, done := range l.inflight[:i+1] {
			l.events, l.bytes = l.events-done.events, l.bytes-done.bytes
		}
		l.inflight = l.inflight[i+1:]
		return true
	}
	return false
}

// overdue is when the parent will have been silent for too long; zero when
// nothing is in flight.
func (l *lane) overdue(patience time.Duration) time.Time {
	if len(l.inflight) == 0 {
		return time.Time{}
	}
	return l.progress.Add(patience)
}

// resend goes back to what the parent acknowledged.
func (l *lane) resend() {
	l.strikes++
	l.rewind(l.acked)
}

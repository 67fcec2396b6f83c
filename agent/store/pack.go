package store

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"stationd/agent/station"
)

// Rows of the journal. One of the lanes urgent and normal is the time when it was
// written, 8 bytes, and the event's JSON. Of the bulk lane there are so many, and
// they are so much alike, that those of one commit lie together: a pack is one
// entry under the key of its last event, with the time, a byte that tells its form,
// and compressed behind it the events. Whoever seeks an event finds the pack in
// which it lies, because no pack with a lower key has it.

const (
	packPlain      = 1 // the form, in the place where JSON has its brace
	packCompressed = 2
	// maxPack bounds what is to be unpacked for one event, in bytes before
	// compression.
	maxPack = 64 << 10
	// packWorth is from where on compressing is worth it.
	packWorth = 512
)

// What a packed event has; what is usual costs nothing.
const (
	packsOrigin = 1 << iota // one of its own, in place of this store's and the sequence
	packsText               // an ID that is no UUID in its usual form
	packsActor
)

var errPack = errors.New("the pack is cut off")

// packed is what Append has put together for packs, of an update or of a batch.
type packed struct {
	frames []byte // each behind its length
	last   uint64 // sequence of the last one
	closed bool   // of an update: that it has filled packs of its own before
}

// pack adds an event of the bulk lane to those of this update.
func (tx *Tx) pack(ev *station.Event) error {
	if y := ev.Time.Year(); y < 0 || y > 9999 {
		return fmt.Errorf("append event %q: the year %d cannot be written", ev.Type, y)
	}
	at, err := ev.Time.AppendBinary(make([]byte, 0, 16))
	if err != nil {
		return fmt.Errorf("append event %q: %w", ev.Type, err)
	}
	if len(ev.Data) > 0 && !json.Valid(ev.Data) {
		return fmt.Errorf("append event %q: its data is no JSON", ev.Type)
	}
	flags := byte(0)
	id, usual := uuidBytes(ev.ID)
	if !usual {
		flags |= packsText
	}
	if ev.Origin != (station.Origin{Node: tx.s.node, Epoch: tx.s.epoch, Seq: ev.Seq}) {
		flags |= packsOrigin
	}
	if ev.Actor != "" {
		flags |= packsActor
	}
	b := append(tx.scratch[:0], flags)
	b = binary.AppendUvarint(b, ev.Seq)
	b = appendText(b, ev.Type)
	b = appendText(b, ev.Subject)
	b = appendText(b, string(at))
	if usual {
		b = append(b, id[:]...)
	} else {
		b = appendText(b, ev.ID)
	}
	if flags&packsOrigin != 0 {
		b = appendText(b, string(ev.Origin.Node))
		b = appendText(b, string(ev.Origin.Epoch))
		b = binary.AppendUvarint(b, ev.Origin.Seq)
	}
	if flags&packsActor != 0 {
		b = appendText(b, ev.Actor)
	}
	b = append(b, ev.Data...)
	tx.scratch = b
	if len(b) > maxRecord-maxPack {
		return errTooLarge("an event", len(b))
	}
	p := &tx.packed
	if len(p.frames) > 0 && len(p.frames)+len(b) > maxPack {
		if err := tx.put(rowKey(station.LaneBulk, p.last), tx.s.closePack(p.frames)); err != nil {
			return err
		}
		tx.size -= len(p.frames)
		p.frames, p.closed = p.frames[:0], true
	}
	before := len(p.frames)
	p.frames = append(binary.AppendUvarint(p.frames, uint64(len(b))), b...)
	p.last = ev.Seq
	tx.size += len(p.frames) - before
	return nil
}

// takePacked takes over what an update that has run has packed.
func (l *load) takePacked(tx *Tx, s *Store) {
	p := &tx.packed
	if len(p.frames) == 0 {
		return
	}
	if p.closed || len(l.packed.frames)+len(p.frames) > maxPack {
		l.closePacked(s) // it is from before
	}
	l.packed.frames = append(l.packed.frames, p.frames...)
	l.packed.last = p.last
}

// closePacked makes a row of what is packed so far.
func (l *load) closePacked(s *Store) {
	if len(l.packed.frames) == 0 {
		return
	}
	row := s.closePack(l.packed.frames)
	l.writes[rowKey(station.LaneBulk, l.packed.last)] = row
	l.size -= max(0, len(l.packed.frames)-len(row)) // there is room for more
	l.packed.frames = l.packed.frames[:0]
}

// closePack is the row of a pack of frames.
func (s *Store) closePack(frames []byte) []byte {
	body := make([]byte, 0, len(frames)+64)
	body = appendText(body, string(s.node))
	body = appendText(body, string(s.epoch))
	body = append(body, frames...)
	row := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))
	return squeeze(row, body)
}

// walk goes through the events of one lane.
type walk struct {
	it       *badger.Iterator
	key      uint64 // the sequence under which this row lies
	from     uint64 // what lies before is passed over
	last     uint64
	row      []byte // of this pack: the events that are left, this one first
	node     station.NodeID
	epoch    station.Epoch
	seq      uint64 // of this event
	event    []byte // its frame, or its JSON
	isJSON   bool
	written  time.Time
	finished bool
	err      error
}

// walkLane is nil when the lane has no rows after the sequence given: an
// iterator would search for one among what is deleted.
func walkLane(txn *badger.Txn, lane station.Lane, l laneState, after uint64) *walk {
	start := max(after+1, l.tail)
	if l.count == 0 || start > l.last || after == ^uint64(0) {
		return nil
	}
	opt := badger.DefaultIteratorOptions
	opt.PrefetchValues = false
	opt.Prefix = []byte(lanePrefix(lane))
	w := &walk{it: txn.NewIterator(opt), from: start, last: l.last}
	w.it.Seek([]byte(rowKey(lane, start)))
	w.open()
	return w
}

// valid tells whether there is an event, or a fault to be told.
func (w *walk) valid() bool { return !w.finished }

// lastOfRow tells whether no event of the row comes behind this one.
func (w *walk) lastOfRow() bool { return len(w.row) == 0 }

// next goes to the next event.
func (w *walk) next() {
	if len(w.row) > 0 {
		w.step()
		return
	}
	w.it.Next()
	w.open()
}

// open unpacks the row at which the iterator stands.
func (w *walk) open() {
	for ; ; w.it.Next() {
		if !w.it.Valid() {
			w.finished = true
			return
		}
		w.key = rowSeq(w.it.Item().Key())
		b, err := w.it.Item().ValueCopy(nil)
		if err == nil {
			w.written, err = rowTime(b)
		}
		if err != nil {
			w.fail(err)
			return
		}
		if len(b) > 8 && (b[8] == packPlain || b[8] == packCompressed) {
			if w.unpack(b[8], b[9:]); w.err != nil {
				return
			}
			for len(w.row) > 0 {
				if w.step(); w.err != nil || w.finished || w.seq >= w.from {
					return
				}
			}
			continue
		}
		w.seq, w.event, w.isJSON, w.row = w.key, b[8:], true, nil
		w.finished = w.seq > w.last
		return
	}
}

func (w *walk) unpack(form byte, b []byte) {
	b, err := unsqueeze(form, b)
	if err != nil {
		w.fail(err)
		return
	}
	c := cut{b: b}
	w.node, w.epoch = station.NodeID(c.text()), station.Epoch(c.text())
	if w.row = c.b; c.short || len(c.b) == 0 {
		w.fail(errPack)
	}
}

// step goes to the next event of this pack.
func (w *walk) step() {
	c := cut{b: w.row}
	w.event, w.isJSON = c.bytes(), false
	w.row = c.b
	at := cut{b: w.event}
	at.byte()
	w.seq = at.uvarint()
	if c.short || at.short {
		w.fail(errPack)
		return
	}
	w.finished = w.seq > w.last
}

// fail leaves the walk at a fault, which decode tells.
func (w *walk) fail(err error) {
	w.seq, w.row, w.err = w.key, nil, fmt.Errorf("read journal row %d: %w", w.key, err)
}

// decode reads this event.
func (w *walk) decode() (ev station.Event, err error) {
	if w.err != nil {
		return ev, w.err
	}
	if w.isJSON {
		err = json.Unmarshal(w.event, &ev)
	} else {
		ev, err = w.frame()
	}
	if err != nil {
		return ev, fmt.Errorf("read journal row %d: %w", w.seq, err)
	}
	return ev, nil
}

func (w *walk) frame() (station.Event, error) {
	c := cut{b: w.event}
	flags := c.byte()
	ev := station.Event{Lane: station.LaneBulk, Seq: c.uvarint(), Type: c.text(), Subject: c.text()}
	at := c.bytes()
	if flags&packsText != 0 {
		ev.ID = c.text()
	} else {
		ev.ID = uuidText(c.take(16))
	}
	ev.Origin = station.Origin{Node: w.node, Epoch: w.epoch, Seq: ev.Seq}
	if flags&packsOrigin != 0 {
		ev.Origin = station.Origin{Node: station.NodeID(c.text()), Epoch: station.Epoch(c.text()), Seq: c.uvarint()}
	}
	if flags&packsActor != 0 {
		ev.Actor = c.text()
	}
	if c.short {
		return ev, errPack
	}
	if len(c.b) > 0 {
		ev.Data = json.RawMessage(c.b)
	}
	return ev, ev.Time.UnmarshalBinary(at)
}

// cut takes bytes apart; what is behind the end is empty, and short is set.
type cut struct {
	b     []byte
	short bool
}

func (c *cut) take(n uint64) []byte {
	if n > uint64(len(c.b)) {
		c.b, c.short = nil, true
		return nil
	}
	x := c.b[:n:n]
	c.b = c.b[n:]
	return x
}

func (c *cut) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cut) uvarint() uint64 {
	x, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.b, c.short = nil, true
		return 0
	}
	c.b = c.b[n:]
	return x
}

func (c *cut) bytes() []byte { return c.take(c.uvarint()) }
func (c *cut) text() string  { return string(c.bytes()) }

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// uuidBytes reads a UUID in the form that uuidText writes.
func uuidBytes(s string) (b [16]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return b, false
	}
	at := 0
	for _, part := range [...]string{s[:8], s[9:13], s[14:18], s[19:23], s[24:]} {
		for i := 0; i < len(part); i += 2 {
			hi, lo := nibble(part[i]), nibble(part[i+1])
			if hi > 15 || lo > 15 {
				return b, false
			}
			b[at] = hi<<4 | lo
			at++
		}
	}
	return b, true
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

func uuidText(b []byte) string {
	if len(b) != 16 {
		return ""
	}
	var t [36]byte
	hex.Encode(t[:], b[:4])
	hex.Encode(t[9:], b[4:6])
	hex.Encode(t[14:], b[6:8])
	hex.Encode(t[19:], b[8:10])
	hex.Encode(t[24:], b[10:])
	t[8], t[13], t[18], t[23] = '-', '-', '-', '-'
	return string(t[:])
}

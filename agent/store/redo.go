package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/klauspost/compress/s2"
)

// Records that are written again and again, those that Keep is given, need not
// reach a place of their own each time: where a commit has many of them, they lie
// together, compressed, in one entry of the redo, and what lies in their own places
// is older. Whoever reads looks into the redo first, which is in memory as well: a
// layer over what the database has. An entry is settled when it has become old: those
// of its records that have not been written since reach their places, and the entry
// is deleted. A kill leaves entries; opening settles them.
//
// The entries are numbered. The last one that names a record tells: its bytes, or
// that they are where they belong again, because it was written or deleted there
// since.

const (
	redoWorth   = 8    // records of a commit, from where on they are worth an entry
	redoEntries = 64   // that lie at most, before the oldest is settled
	redoRecords = 2048 // that the redo holds; more of them would cost each commit too much
	redoLasts   = 2 * time.Second
	maxRedo     = 256 << 10 // bytes of an entry before compression
	largeRecord = 64 << 10  // and larger ones have a place of their own at once
	settleBytes = 128 << 10 // that a commit settles for others, while there is no hurry
)

// What a frame of an entry says.
const (
	redoIs      = 1 // the key and the record follow
	redoSettled = 0 // the key follows
)

var errRedo = errors.New("an entry of the redo is cut off")

// redo is what the committer knows of it.
type redo struct {
	lasts time.Duration // of an entry
	now   *layer
	first uint64 // entry that has not been settled; next when there is none
	next  uint64
	// queue is what the entries name, in their order, and times when they were
	// written.
	queue []redoName
	times []time.Time
	body  []byte // of the entry that is being made
}

type redoName struct {
	key   string
	entry uint64
}

// layer is the records whose newest bytes lie in the redo. Nobody changes one that
// others have seen.
type layer struct {
	// number tells which layer belongs to a snapshot of the database: redoKey in it.
	number uint64
	rows   map[string]redoRow
}

type redoRow struct {
	entry uint64
	value []byte
}

// layers are those that a snapshot may need, the newest last: it is there before its
// commit is.
type layers struct{ list atomic.Pointer[[]*layer] }

// mostLayers bounds them: a snapshot that is older than all is taken anew.
const mostLayers = 4

func (l *layers) begin(first *layer) { l.list.Store(&[]*layer{first}) }

func (l *layers) add(next *layer) {
	list := append(slices.Clone(*l.list.Load()), next)
	list = list[max(0, len(list)-mostLayers):]
	l.list.Store(&list)
}

// rest is called when the newest is committed and empty: nobody has to look then.
func (l *layers) rest() {
	if list := *l.list.Load(); len(list) > 1 && len(list[len(list)-1].rows) == 0 {
		l.begin(list[len(list)-1])
	}
}

// snapshot is the database as it is now, and the layer over it.
func (s *Store) snapshot() (*badger.Txn, *layer, error) {
	for {
		before := s.layers.list.Load()
		snap := s.db.NewTransaction(false)
		list := s.layers.list.Load()
		if list == before && len(*list) == 1 {
			return snap, (*list)[0], nil
		}
		number, _, err := redoState(snap)
		if err != nil {
			snap.Discard()
			return nil, nil, err
		}
		for _, l := range *list {
			if l.number == number {
				return snap, l, nil
			}
		}
		snap.Discard()
	}
}

// redoState reads the number of the layer over a snapshot, and the number of the next
// entry.
func redoState(snap *badger.Txn) (number, next uint64, err error) {
	item, err := snap.Get([]byte(redoKey))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return 0, 0, nil
	}
	if err == nil {
		err = item.Value(func(b []byte) error {
			if len(b) < 16 {
				return errShort
			}
			number, next = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
			return nil
		})
	}
	return number, next, err
}

func redoEntry(n uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte(redoRealm), n))
}

// redone is what a batch does with the redo: records that go there instead of to
// their places, and entries of the database besides the writes.
type redone struct {
	layer *layer // after the commit; nil when nothing changes
	there map[string]bool
	extra map[string][]byte
}

// plan decides what goes to the redo and what is settled with a batch that is
// complete. What the redo notes here holds once the batch is committed; if it is
// not, nothing will be written any more.
func (r *redo) plan(l *load, limit, entries int) redone {
	out := redone{}
	rows := r.now.rows
	for k := range l.kept {
		if v := l.writes[k]; v != nil && len(v) < largeRecord {
			if out.there == nil {
				out.there = make(map[string]bool, len(l.kept))
			}
			out.there[k] = true
		}
	}
	if len(out.there) < redoWorth {
		out.there = nil
	}
	var settled []string // by this batch
	if len(rows) > 0 {
		for k := range l.writes {
			if _, over := rows[k]; over && !out.there[k] {
				settled = append(settled, k)
			}
		}
	}
	now := time.Now()
	if out.there == nil && settled == nil && !r.due(now) {
		return out
	}
	out.extra = map[string][]byte{}
	out.layer = &layer{number: r.now.number + 1, rows: maps.Clone(rows)}
	if out.layer.rows == nil {
		out.layer.rows = map[string]redoRow{}
	}
	r.add(l, &out, settled, now)
	r.settle(l, &out, limit, entries, now)
	out.extra[redoKey] = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, out.layer.number), r.next)
	r.now = out.layer
	return out
}

// due tells whether the oldest entry is to be settled.
func (r *redo) due(now time.Time) bool {
	return r.first < r.next && (r.next-r.first > redoEntries || now.Sub(r.times[0]) > r.lasts || len(r.now.rows) > redoRecords)
}

// add makes entries of what goes to the redo.
func (r *redo) add(l *load, out *redone, settled []string, now time.Time) {
	body := r.body[:0]
	flush := func() {
		if len(body) == 0 {
			return
		}
		out.extra[redoEntry(r.next)] = squeeze(nil, body)
		r.times = append(r.times, now)
		r.next++
		body = body[:0]
	}
	for k := range out.there {
		v := l.writes[k]
		if len(body)+len(k)+len(v) > maxRedo {
			flush()
		}
		body = append(body, redoIs)
		body = appendText(body, k)
		body = append(binary.AppendUvarint(body, uint64(len(v))), v...)
		out.layer.rows[k] = redoRow{r.next, v}
		r.queue = append(r.queue, redoName{k, r.next})
	}
	for _, k := range settled {
		if len(body)+len(k) > maxRedo {
			flush()
		}
		body = appendText(append(body, redoSettled), k)
		delete(out.layer.rows, k)
	}
	flush()
	r.body = body
}

// settle gives records of the oldest entries their places, as long as there is room
// in the transaction.
func (r *redo) settle(l *load, out *redone, limit, entries int, now time.Time) {
	size, count := 0, 0
	for k, v := range l.writes {
		if !out.there[k] {
			size += cost(k, v)
			count++
		}
	}
	for k, v := range out.extra {
		size += cost(k, v)
		count++
	}
	most := min(limit, size+settleBytes)
	if len(out.layer.rows) > 2*redoRecords || r.next-r.first > 2*redoEntries {
		most = limit
	}
	for r.first < r.next {
		if !r.due(now) && len(out.layer.rows) <= redoRecords {
			return
		}
		for len(r.queue) > 0 && r.queue[0].entry == r.first {
			k := r.queue[0].key
			if row, over := out.layer.rows[k]; over && row.entry == r.first {
				size += cost(k, row.value)
				if count++; size > most || count >= entries {
					return
				}
				out.extra[k] = row.value
				delete(out.layer.rows, k)
			}
			r.queue = r.queue[1:]
		}
		k := redoEntry(r.first)
		size += cost(k, nil)
		if count++; size > most || count >= entries {
			return
		}
		out.extra[k] = nil
		r.first++
		r.times = r.times[1:]
	}
}

// resume settles what an earlier life has left in the redo. It may be interrupted and
// begun again.
func (s *Store) resume() error {
	records := map[string][]byte{}
	var entries []string
	number, next := uint64(0), uint64(0)
	err := s.View(func(tx *Tx) (err error) {
		if number, next, err = redoState(tx.snap); err != nil {
			return err
		}
		return tx.scan(redoRealm, "", false, func(k string, b []byte) error {
			entries = append(entries, k)
			return readRedo(b, records)
		})
	})
	if err != nil {
		return fmt.Errorf("read the redo: %w", err)
	}
	s.redo.now, s.redo.first, s.redo.next = &layer{number: number}, next, next
	s.layers.begin(s.redo.now)
	keys := slices.Sorted(maps.Keys(records))
	for len(keys) > 0 {
		err := s.local(func(tx *Tx) error {
			for len(keys) > 0 && tx.size < maxRedo {
				if v := records[keys[0]]; v != nil {
					if err := tx.put(keys[0], v); err != nil {
						return err
					}
				}
				keys = keys[1:]
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("settle the redo: %w", err)
		}
	}
	// In their order: what a record was must be gone before that it was settled is.
	for part := range slices.Chunk(entries, 100) {
		err := s.local(func(tx *Tx) error {
			for _, k := range part {
				if err := tx.put(k, nil); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("settle the redo: %w", err)
		}
	}
	return nil
}

// readRedo notes in records what an entry says; nil bytes are a record that is in its
// place.
func readRedo(row []byte, records map[string][]byte) error {
	if len(row) == 0 {
		return errRedo
	}
	body, err := unsqueeze(row[0], row[1:])
	if err != nil {
		return err
	}
	c := cut{b: body}
	for len(c.b) > 0 {
		kind, k := c.byte(), c.text()
		var v []byte
		if kind == redoIs {
			v = slices.Clip(c.bytes())
		}
		if c.short || k == "" || kind > redoIs {
			return errRedo
		}
		records[k] = v
	}
	return nil
}

// squeezing is where bytes are compressed to before it is known how few they are.
var squeezing = sync.Pool{New: func() any { return new([]byte) }}

// squeeze is head, a byte that tells the form, and body, compressed where that is worth
// it.
func squeeze(head, body []byte) []byte {
	form, rest := byte(packPlain), body
	if len(body) >= packWorth {
		room, _ := squeezing.Get().(*[]byte)
		defer squeezing.Put(room)
		if most := s2.MaxEncodedLen(len(body)); cap(*room) < most {
			*room = make([]byte, most)
		}
		if small := s2.Encode((*room)[:cap(*room)], body); len(small) < len(body) {
			form, rest = packCompressed, small
		}
	}
	out := make([]byte, 0, len(head)+1+len(rest))
	return append(append(append(out, head...), form), rest...)
}

// unsqueeze is what squeeze has made of body: the form, and what lies behind it.
func unsqueeze(form byte, b []byte) ([]byte, error) {
	if form != packCompressed {
		return b, nil
	}
	if size, err := s2.DecodedLen(b); err != nil || size > maxRecord+maxPack {
		return nil, errPack
	}
	return s2.Decode(nil, b)
}

package store

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"

	"stationd/agent/station"
)

// The committer is the one goroutine that writes. Badger syncs once for each
// transaction and does not group by itself; so whatever is waiting is put into
// one transaction, whose sync all share.

// update is one waiting call of Update.
type update struct {
	lane station.Lane
	fn   func(*Tx) error
	// taken is set by whoever comes first: the committer that runs it, or the
	// caller that gives up.
	taken atomic.Bool
	done  chan error // buffered, one answer
}

// maxBatch bounds how many updates share a transaction, and thereby how long the
// first of them waits for the last.
const maxBatch = 512

// Problems of the committer.
var (
	// ErrClosed is returned after Close.
	ErrClosed = station.Errorf(503, "store.closed", "start the service again", "the store is closed")
	// ErrBroken is returned after a commit failed: what is on the disk is not
	// known until the store is opened again.
	ErrBroken = station.Errorf(503, "store.broken", "the service restarts by itself; look at the health of the disk if this comes back", "the store could not write")
)

func errTooLarge(what string, size int) error {
	return station.Errorf(413, "store.too-large", "make it smaller", "%s of %d bytes is too large for the store", what, size)
}

// Update runs fn and returns when its writes are durable. fn runs on the
// committer, serially with all others; it may be run again and must touch
// nothing but its Tx. When fn returns an error or panics, none of its writes
// are kept; the error is returned as it is.
//
// lane tells how deep into the free space the update may go; what may not be
// written gets [station.ErrNoSpace] before fn runs. When ctx ends first, its
// error is returned: the update has then either not been run and never will be,
// or it may still be committed.
func (s *Store) Update(ctx context.Context, lane station.Lane, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	u := &update{lane: lane, fn: fn, done: make(chan error, 1)}
	select {
	case s.queue <- u:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.quit:
		return ErrClosed
	}
	select {
	case err := <-u.done:
		return err
	case <-ctx.Done():
		u.taken.CompareAndSwap(false, true)
		return ctx.Err()
	case <-s.stopped:
		select {
		case err := <-u.done:
			return err
		default:
			return ErrClosed
		}
	}
}

// Ping goes through the committer like an update without writes: it returns when
// the store works.
func (s *Store) Ping(ctx context.Context) error {
	return s.Update(ctx, laneAlways, func(*Tx) error { return nil })
}

// laneAlways is the lane of what frees space or writes nothing: it is not asked
// for room.
const laneAlways station.Lane = "\x00always"

// commitLoop is the committer.
func (s *Store) commitLoop() {
	defer close(s.stopped)
	b := newBatch(s)
	waiting := make([]*update, 0, maxBatch)
	for {
		var first *update
		select {
		case first = <-s.queue:
		case <-s.quit:
			return
		}
		waiting = s.gather(append(waiting[:0], first))
		b.run(waiting)
		clear(waiting)
	}
}

// gather adds what else is waiting.
func (s *Store) gather(waiting []*update) []*update {
	for round := 0; ; round++ {
	drain:
		for len(waiting) < s.maxBatch {
			select {
			case u := <-s.queue:
				waiting = append(waiting, u)
			default:
				break drain
			}
		}
		// Those who were answered a moment ago are about to ask again; letting
		// them run first doubles the batch and costs less than a sync.
		if round == 2 || len(waiting) >= s.maxBatch {
			return waiting
		}
		runtime.Gosched()
	}
}

// batch is what is being put into one transaction.
type batch struct {
	s       *Store
	snap    *badger.Txn
	cache   *cache
	kept    map[string]any // as Tx.kept
	writes  map[string][]byte
	size    int
	journal journal
	members []*update
	// loose are the loose rows of the updates so far, one behind the other; full
	// ones lie in writes already.
	loose   []byte
	packed  packed
	tx      Tx // of the update that runs now
	limit   int
	entries int
}

func newBatch(s *Store) *batch {
	return &batch{
		s:      s,
		cache:  newCache(cacheSize),
		kept:   make(map[string]any),
		writes: make(map[string][]byte),
		tx:     Tx{writes: make(map[string][]byte)},
		// Badger refuses a transaction of this size or more; the record of the
		// journal's state and the mark at the end must fit too.
		limit:   int(s.db.MaxBatchSize()) - 8<<10,
		entries: int(s.db.MaxBatchCount()) - 64,
	}
}

func (b *batch) run(waiting []*update) {
	b.begin()
	defer b.end()
	var refused [4]error
	var asked [4]bool
	for _, u := range waiting {
		if !u.taken.CompareAndSwap(false, true) {
			continue
		}
		i := 3
		if u.lane != laneAlways {
			i = laneIndex(u.lane)
		}
		if i < 0 {
			u.done <- fmt.Errorf("update: there is no lane %q", string(u.lane))
			continue
		}
		if !asked[i] {
			asked[i], refused[i] = true, b.s.room(u.lane)
		}
		if refused[i] != nil {
			u.done <- refused[i]
			continue
		}
		if err := b.call(u.fn); err != nil {
			b.forget()
			u.done <- err
			continue
		}
		if b.tx.size > b.limit || len(b.tx.writes) > b.entries {
			b.forget()
			u.done <- errTooLarge("an update", b.tx.size)
			continue
		}
		if b.size+b.tx.size > b.limit || len(b.writes)+len(b.tx.writes) > b.entries {
			// What was read from the batch is then in the database: this
			// update's writes stay good.
			j := b.tx.journal
			b.forget()
			b.commit()
			b.begin()
			if b.s.broken.Load() != nil {
				u.done <- ErrBroken
				continue
			}
			b.tx.journal = j
		}
		for k, v := range b.tx.writes {
			b.writes[k] = v
		}
		b.takeLoose()
		b.takePacked()
		b.size += b.tx.size
		b.journal = b.tx.journal
		b.members = append(b.members, u)
	}
	b.commit()
}

// forget drops what the update that just ran has kept: its writes do not belong to
// the batch, or not to this one.
func (b *batch) forget() {
	for k := range b.tx.writes {
		delete(b.kept, k)
	}
}

// call runs one function in a transaction of its own above the batch.
func (b *batch) call(fn func(*Tx) error) (err error) {
	w := b.tx.writes
	clear(w)
	b.tx = Tx{s: b.s, snap: b.snap, cache: b.cache, kept: b.kept, below: b.writes, writes: w, loose: b.tx.loose[:0], packed: packed{frames: b.tx.packed.frames[:0]}, scratch: b.tx.scratch, journal: b.journal}
	tx := b.tx
	defer func() {
		tx.done = true
		if r := recover(); r != nil {
			b.s.log.Error("update panicked", slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("update panicked: %v", r)
		}
		b.tx.size, b.tx.loose, b.tx.packed, b.tx.scratch, b.tx.journal = tx.size, tx.loose, tx.packed, tx.scratch, tx.journal
	}()
	return fn(&tx)
}

func (b *batch) begin() {
	b.end()
	b.snap = b.s.db.NewTransaction(false)
	clear(b.writes)
	clear(b.kept)
	b.loose = nil // the cache may hold what was written
	b.packed.frames = b.packed.frames[:0]
	b.size = 0
	b.journal = b.s.journalNow()
	clear(b.members)
	b.members = b.members[:0]
}

func (b *batch) end() {
	if b.snap != nil {
		b.snap.Discard()
		b.snap = nil
	}
}

// commit writes the batch and answers its members.
func (b *batch) commit() {
	err := b.write()
	if err == nil && b.journal != b.s.journalNow() {
		b.s.watch.advance(b.journal)
	}
	for _, u := range b.members {
		u.done <- err
	}
}

func (b *batch) write() error {
	b.closeLoose()
	b.closePacked()
	if len(b.writes) == 0 && b.journal == b.s.journalNow() {
		return nil
	}
	if b.s.broken.Load() != nil {
		return ErrBroken
	}
	if b.journal != b.s.journalNow() {
		b.writes[headKey] = b.journal.encode()
	}
	err := b.s.writeAll(b.writes)
	b.s.commits.Add(1)
	if err != nil {
		b.s.log.Error("commit failed", slog.Any("error", err))
		b.s.broken.Store(&err)
		return ErrBroken.Because(err)
	}
	b.cache.wrote(b.writes, b.kept)
	b.s.rotated()
	return nil
}

// writeAll commits a set of writes in one Badger transaction.
func (s *Store) writeAll(writes map[string][]byte) error {
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	for k, v := range writes {
		var err error
		if v == nil {
			err = txn.Delete([]byte(k))
		} else {
			err = txn.Set([]byte(k), v)
		}
		if err != nil {
			return err
		}
	}
	return txn.Commit()
}

// room asks the guard, and makes sure that the next log is there.
func (s *Store) room(lane station.Lane) error {
	if s.broken.Load() != nil {
		return ErrBroken
	}
	if lane == laneAlways {
		// It may write a little; the log must be there all the same.
		return s.logs.prepare(s.guard, true)
	}
	if err := s.guard.Check(lane); err != nil {
		return err
	}
	return s.logs.prepare(s.guard, lane == station.LaneUrgent)
}

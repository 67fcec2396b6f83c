package store

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
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

// commitLoop is the committer. While one transaction is being written it puts the
// next together: what comes in that time shares the sync that follows.
func (s *Store) commitLoop() {
	defer close(s.stopped)
	b := newBatch(s)
	defer b.answering.Wait()
	defer b.end()
	waiting := make([]*update, 0, s.maxBatch)
	for {
		u := b.next()
		if u == nil {
			return
		}
		waiting = s.gather(append(waiting[:0], u))
		b.run(waiting)
		for flying := b.flight != nil; flying && len(b.load.members) < s.maxBatch; {
			select {
			case u = <-s.queue:
				waiting = s.gather(append(waiting[:0], u))
			case <-b.flight.done:
				waiting, flying = waiting[:0], false
				if len(b.load.members) < len(b.flight.load.members)/2 {
					waiting = s.gather(waiting) // more are to come than are there
				}
			case <-s.quit:
				waiting, flying = waiting[:0], false
			}
			b.run(waiting)
			flying = flying && b.flight != nil
		}
		b.commit()
		clear(waiting[:cap(waiting)])
	}
}

// next waits for an update; nil is that the store is being closed. Nothing is held
// while there is nothing to do.
func (b *batch) next() *update {
	if b.flight != nil {
		select {
		case u := <-b.s.queue:
			return u
		case <-b.flight.done:
		case <-b.s.quit:
			return nil
		}
	}
	select {
	case u := <-b.s.queue:
		return u
	default:
	}
	b.end()
	select {
	case u := <-b.s.queue:
		return u
	case <-b.s.quit:
		return nil
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

// batch is what is being put into one transaction, above the one that is being
// written.
type batch struct {
	s *Store
	// snap, and over it, is the database before the transaction that is being
	// written or was written last; under is what that one writes.
	snap   *badger.Txn
	over   *layer
	under  map[string][]byte
	cache  *cache
	load   *load
	spare  *load // of the flight, or of none
	flight *flight
	// answering is of the flights that have landed.
	answering sync.WaitGroup
	tx        Tx // of the update that runs now
	limit     int
	entries   int
}

// load is what one transaction will be.
type load struct {
	kept    map[string]any // as Tx.kept
	writes  map[string][]byte
	size    int
	journal journal
	members []*update
	// loose are the loose rows of the updates so far, one behind the other; full
	// ones lie in writes already.
	loose  []byte
	packed packed
}

// flight is a transaction that is being written.
type flight struct {
	load *load
	done chan struct{} // closed when it is written
}

func newLoad() *load {
	return &load{kept: make(map[string]any), writes: make(map[string][]byte)}
}

func newBatch(s *Store) *batch {
	b := &batch{
		s:     s,
		cache: newCache(cacheSize),
		load:  newLoad(), spare: newLoad(),
		tx: Tx{writes: make(map[string][]byte)},
		// Badger refuses a transaction of this size or more; the record of the
		// journal's state and the mark at the end must fit too.
		limit:   int(s.db.MaxBatchSize()) - 8<<10,
		entries: int(s.db.MaxBatchCount()) - 64,
	}
	b.load.journal = s.journalNow()
	return b
}

// run puts updates into the batch.
func (b *batch) run(waiting []*update) {
	if b.snap == nil {
		b.refresh()
	}
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
		if b.load.size+b.tx.size > b.limit || len(b.load.writes)+len(b.tx.writes) > b.entries {
			// What was read from the batch is then on its way: this update's
			// writes stay good.
			b.forget()
			b.commit()
		}
		b.take()
		b.load.members = append(b.load.members, u)
	}
}

// take takes over what the update that has run has written.
func (b *batch) take() {
	l := b.load
	for k, v := range b.tx.writes {
		l.writes[k] = v
	}
	l.takeLoose(&b.tx)
	l.takePacked(&b.tx, b.s)
	l.size += b.tx.size
	l.journal = b.tx.journal
}

// forget drops what the update that just ran has kept: its writes do not belong to
// the batch, or not to this one.
func (b *batch) forget() {
	for k := range b.tx.writes {
		delete(b.load.kept, k)
	}
}

// call runs one function in a transaction of its own above the batch.
func (b *batch) call(fn func(*Tx) error) (err error) {
	w := b.tx.writes
	clear(w)
	b.tx = Tx{
		s: b.s, snap: b.snap, over: b.over, under: b.under, cache: b.cache, kept: b.load.kept, below: b.load.writes, writes: w,
		loose: b.tx.loose[:0], packed: packed{frames: b.tx.packed.frames[:0]}, scratch: b.tx.scratch, journal: b.load.journal,
	}
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

// refresh looks at the database as it is now. Nothing may be on its way: Badger would
// wait for it.
func (b *batch) refresh() {
	if b.snap != nil {
		b.snap.Discard()
	}
	b.snap, b.over, b.under = b.s.db.NewTransaction(false), b.s.redo.now, nil
}

// land waits until what is on its way is written.
func (b *batch) land() {
	if b.flight == nil {
		return
	}
	<-b.flight.done
	b.flight = nil
	b.s.layers.rest()
	b.s.rotated()
}

// end waits for what is on its way, and lets go of the database.
func (b *batch) end() {
	b.land()
	if b.snap != nil {
		b.snap.Discard()
		b.snap, b.over, b.under = nil, nil, nil
	}
}

// commit sends the batch on its way, behind the one before, and begins another. The
// members are answered when it is written. If it cannot be, nothing that was built on
// it will be written either.
func (b *batch) commit() {
	b.land()
	l := b.load
	l.closeLoose()
	l.closePacked(b.s)
	b.refresh()
	now := b.s.journalNow()
	switch {
	case b.s.broken.Load() != nil:
		l.answer(ErrBroken)
	case len(l.writes) == 0 && l.journal == now:
		l.answer(nil) // what they have read is durable
	default:
		if l.journal != now {
			l.writes[headKey] = l.journal.encode()
		}
		b.send()
	}
	b.load, b.spare = b.spare, l
	b.load.reset(l.journal)
}

// send begins to write the batch.
func (b *batch) send() {
	s, l := b.s, b.load
	redone := s.redo.plan(l, b.limit, b.entries)
	if redone.layer != nil {
		s.layers.add(redone.layer)
	}
	b.cache.wrote(l.writes, l.kept)
	f := &flight{load: l, done: make(chan struct{})}
	b.flight, b.under = f, l.writes
	s.commits.Add(1)
	members := slices.Clone(l.members)
	b.answering.Add(1)
	s.writeAll(l.writes, redone, func(err error) {
		if err != nil {
			s.log.Error("commit failed", slog.Any("error", err))
			s.broken.Store(&err)
			err = ErrBroken.Because(err)
		} else if l.journal != s.journalNow() {
			s.watch.advance(l.journal)
		}
		// The disk works while the members are answered: what has gathered
		// goes on its way first.
		close(f.done)
		answer(members, err)
		b.answering.Done()
	})
}

func (l *load) answer(err error) { answer(l.members, err) }

func answer(members []*update, err error) {
	for _, u := range members {
		u.done <- err
	}
}

// reset empties l; the journal goes on from another load.
func (l *load) reset(from journal) {
	clear(l.writes)
	clear(l.kept)
	clear(l.members)
	l.loose = nil // the cache may hold what was written
	l.packed.frames = l.packed.frames[:0]
	l.members, l.size, l.journal = l.members[:0], 0, from
}

// writeAll writes in one Badger transaction, what goes to the redo there, and calls
// done, on another goroutine, when it is on the disk.
func (s *Store) writeAll(writes map[string][]byte, redone redone, done func(error)) {
	txn := s.db.NewTransaction(true)
	set := func(k string, v []byte) error {
		if v == nil {
			return txn.Delete([]byte(k))
		}
		return txn.Set([]byte(k), v)
	}
	var err error
	for k, v := range writes {
		if err == nil && !redone.there[k] {
			err = set(k, v)
		}
	}
	for k, v := range redone.extra {
		if err == nil {
			err = set(k, v)
		}
	}
	if err != nil {
		txn.Discard()
		go done(err)
		return
	}
	txn.CommitWith(done)
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

package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"

	"stationd/agent/station"
	"stationd/agent/store/disk"
)

// Store is an open store. See the package comment.
type Store struct {
	cfg   Config
	log   *slog.Logger
	lock  *dirLock
	guard *disk.Guard
	db    *badger.DB
	logs  *logs

	node   station.NodeID
	epoch  station.Epoch
	report OpenReport
	shapes *shapes
	seal   *sealing

	// reading is held by those who read, so that Close does not unmap the
	// tables under them.
	reading  sync.RWMutex
	watch    watch
	redo     redo // the committer's
	layers   layers
	queue    chan *update
	maxBatch int
	commits  atomic.Uint64
	broken   atomic.Pointer[error]

	quit    chan struct{} // closed by Close
	stopped chan struct{} // closed by the committer
	tended  sync.WaitGroup
	// manifestSize and manifestTime are of the MANIFEST that was last copied;
	// they belong to tend, and to Open and Close before and after it.
	manifestSize int64
	manifestTime time.Time
	wake         chan struct{} // the log was rotated
	closing      sync.Once
	closed       error
}

// options are what tests turn.
type options struct {
	maxBatch   int
	schema     schema
	migrations []migration
}

// Open opens the store in cfg.Dir, or makes one. See [Store.Opened] for what it
// had to do.
func Open(cfg Config, log *slog.Logger) (*Store, error) {
	return open(cfg, log, options{maxBatch: maxBatch, schema: currentSchema(), migrations: migrations()})
}

func open(cfg Config, log *slog.Logger, opt options) (_ *Store, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	lock, err := lockDir(cfg.path(lockName))
	if err != nil {
		return nil, err
	}
	s := &Store{
		cfg: cfg, log: log, lock: lock,
		guard:    disk.New(cfg.Space, cfg.Dir),
		shapes:   &shapes{},
		queue:    make(chan *update, cfg.Queue),
		maxBatch: opt.maxBatch,
		quit:     make(chan struct{}),
		stopped:  make(chan struct{}),
		wake:     make(chan struct{}, 1),
		redo:     redo{lasts: redoLasts, now: &layer{}},
	}
	s.layers.begin(s.redo.now)
	defer func() {
		if err != nil {
			if s.db != nil {
				err = errors.Join(err, s.db.Close())
				s.logs.drop()
			}
			lock.release()
		}
	}()
	if s.report.ReserveReleased, err = s.guard.Open(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := s.openCore(); err != nil {
		return nil, err
	}
	s.logs = newLogs(cfg.path(coreName))
	if err := s.logs.adopt(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := s.settle(opt); err != nil {
		return nil, err
	}
	if err := s.guard.Tend(); err != nil {
		log.Warn("reserve not taken", slog.Any("error", err))
	}
	// Each start after a kill makes a table. Where lives are too short for tend
	// to merge them, they are merged before the next one begins.
	if s.freshTables() > mostFresh {
		s.merge()
	}
	go s.commitLoop()
	s.tended.Add(1)
	go s.tend()
	return s, nil
}

// badgerOptions are the measured ones of the design.
func badgerOptions(dir string, log *slog.Logger) badger.Options {
	opt := badger.DefaultOptions(dir)
	opt.SyncWrites = true
	opt.DetectConflicts = false // there is one writer
	opt.MemTableSize = memTable
	opt.NumMemtables = 3
	opt.ValueThreshold = maxRecord + 1<<10 // everything inline
	opt.ValueLogFileSize = 1 << 20         // the least; nothing goes there
	opt.Compression = 0
	opt.BlockCacheSize = 8 << 20
	opt.IndexCacheSize = 16 << 20
	opt.BaseTableSize = 2 << 20
	opt.BaseLevelSize = 8 << 20
	// Tables are merged by tend, when there is room, and by nobody else: Badger's
	// own compactors cannot be held back, and a full disk would kill the process.
	opt.NumCompactors = 0
	opt.NumLevelZeroTables = levelZero
	// Badger would wait for its own compactors when there are so many tables, in
	// Open too: for ever.
	opt.NumLevelZeroTablesStall = 1 << 30
	opt.CompactL0OnClose = false
	opt.MetricsEnabled = false
	opt.Logger = badgerLog{log}
	return opt
}

// Close ends what runs and closes the database. Updates that are waiting get
// ErrClosed.
func (s *Store) Close() error {
	s.closing.Do(func() { s.closed = s.close() })
	return s.closed
}

func (s *Store) close() error {
	close(s.quit)
	<-s.stopped
	s.tended.Wait()
	s.reading.Lock()
	defer s.reading.Unlock()
	defer s.lock.release()
	// Closing writes the last table. Where not even the reserve has room for it
	// the log stays as it is, like after a kill: nothing is lost, and the next
	// start reads it again.
	if err := s.guard.Demand(closeNeed); err != nil {
		s.log.Warn("store left open for lack of space", slog.Any("error", err))
		return err
	}
	if s.broken.Load() != nil {
		return ErrBroken.Because(*s.broken.Load())
	}
	err := s.db.Close()
	s.logs.drop()
	s.keepManifest()
	if err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// View runs fn on what is committed now. It does not wait for writers.
func (s *Store) View(fn func(*Tx) error) error {
	s.reading.RLock()
	defer s.reading.RUnlock()
	select {
	case <-s.stopped:
		return ErrClosed
	default:
	}
	snap, over, err := s.snapshot()
	if err != nil {
		return err
	}
	tx := Tx{s: s, snap: snap, over: over, readOnly: true, journal: s.journalNow()}
	defer func() {
		tx.done = true
		tx.snap.Discard()
	}()
	return fn(&tx)
}

// Node is the name of this node.
func (s *Store) Node() station.NodeID { return s.node }

// Epoch is this life of the store.
func (s *Store) Epoch() station.Epoch { return s.epoch }

// Head is the sequence of the newest event.
func (s *Store) Head() uint64 { return s.journalNow().head }

// Changed is closed once Head is beyond after.
func (s *Store) Changed(after uint64) <-chan struct{} { return s.watch.changed(after) }

// Opened tells what Open had to do.
func (s *Store) Opened() OpenReport { return s.report }

// Space is the free space of the data disk.
func (s *Store) Space() disk.State { return s.guard.State() }

// Guard is the guard of the data disk, for others who write there.
func (s *Store) Guard() *disk.Guard { return s.guard }

func (s *Store) journalNow() journal { return s.watch.now() }

// local runs fn while the committer does not run yet.
func (s *Store) local(fn func(*Tx) error) error {
	b := newBatch(s)
	defer b.end()
	b.refresh()
	if err := b.call(fn); err != nil {
		return err
	}
	u := &update{done: make(chan error, 1)}
	b.take()
	b.load.members = append(b.load.members, u)
	b.commit()
	b.land()
	return <-u.done
}

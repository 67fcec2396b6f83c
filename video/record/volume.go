package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"stationd/agent/store/disk"
)

// A volume is a Badger database of its own. Its values lie in one value log, and
// its keys in one memtable that is never rotated, because Badger's Sync leaves
// out what was rotated. So a volume is full when either is.
const (
	mostKeys = 8 * disk.MiB
	// logSlack is allocated behind a full value log for what Badger adds.
	logSlack = disk.MiB
	// tableRoom is what opening and closing a database writes beside the value
	// log: the tables made of the memtable, the first pages of new logs.
	tableRoom = mostKeys + 4*disk.MiB
	// inline is the size below which a value lies beside its key.
	inline = 1 << 10
)

// memTable is how large the memtable of a volume is: enough for fragments of
// 25 KiB, which is what a sub-stream of a still scene makes.
func memTable(size disk.Bytes) disk.Bytes { return min(max(size/64, disk.MiB), mostKeys) }

// keysRoom is how much of the memtable is used; the rest is Badger's own.
func keysRoom(size disk.Bytes) disk.Bytes { return memTable(size) / 4 * 3 }

// volumeRoom is what a new volume takes from the disk at once.
func volumeRoom(size disk.Bytes) disk.Bytes { return size + logSlack + memTable(size) }

func badgerOptions(dir string, size disk.Bytes, log *slog.Logger) badger.Options {
	o := badger.DefaultOptions(dir)
	o.Logger = badgerLog{log}
	o.SyncWrites = false
	o.DetectConflicts = false
	o.MetricsEnabled = false
	o.NumVersionsToKeep = 1
	o.Compression = options.None
	o.BlockCacheSize = 0
	o.IndexCacheSize = 0
	o.MemTableSize = int64(memTable(size))
	o.NumMemtables = 2
	o.NumCompactors = 0
	// With nobody who merges, Badger would wait for ever at this many tables: a
	// volume whose recovery is killed again and again leaves one each time.
	o.NumLevelZeroTablesStall = 1 << 30
	o.NumGoroutines = 1
	o.CompactL0OnClose = false
	o.ValueThreshold = inline
	o.ValueLogFileSize = int64(max(size+logSlack, 2*disk.MiB))
	o.ValueLogMaxEntries = math.MaxUint32
	return o
}

// badgerLog passes on what Badger thinks worth a warning.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(f string, a ...any)   { l.say(slog.LevelError, f, a) }
func (l badgerLog) Warningf(f string, a ...any) { l.say(slog.LevelWarn, f, a) }
func (l badgerLog) Infof(string, ...any)        {}
func (l badgerLog) Debugf(string, ...any)       {}

func (l badgerLog) say(level slog.Level, f string, a []any) {
	l.log.Log(context.Background(), level, "badger", "says", strings.TrimSpace(fmt.Sprintf(f, a...)))
}

// create makes a database and allocates its blocks, so that no later write to
// its memory maps can fail for want of space.
func create(dir string, size disk.Bytes, log *slog.Logger) (db *badger.DB, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	err = faults(func() error {
		db, err = badger.Open(badgerOptions(dir, size, log))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("create volume: %w", err)
	}
	if err := allocate(dir, size); err != nil {
		return nil, errors.Join(fmt.Errorf("allocate volume: %w", err), db.Close())
	}
	return db, nil
}

// allocate gives the newest logs in dir their blocks.
func allocate(dir string, size disk.Bytes) error {
	for pattern, need := range map[string]disk.Bytes{"*.vlog": size + logSlack, "*.mem": memTable(size)} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(names) == 0 {
			return fmt.Errorf("find %s in %s: %w", pattern, dir, errors.Join(err, os.ErrNotExist))
		}
		f, err := os.OpenFile(names[len(names)-1], os.O_RDWR, 0)
		if err != nil {
			return err
		}
		if err := errors.Join(disk.Reserve(f, need), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// volume is one database: open for writing, or sealed and opened when needed.
type volume struct {
	class Class  // empty for a clip's
	seq   uint64 // the class's base added
	dir   string
	log   *slog.Logger
	used  atomic.Int64 // when last read, Unix ns
	// sealed tells that the database was closed for good.
	sealed atomic.Bool

	mu     sync.RWMutex
	db     *badger.DB
	writes bool // db is open for writing
	gone   bool
	files  []file // of the sealed database

	// Guarded by Archive.mu:
	tracks  map[string]*track
	bytes   disk.Bytes // on the disk
	created time.Time
	// sealedAt is when it was sealed, or found at the start: age by a clock that
	// nobody sets.
	sealedAt time.Time
	pins     int
	dropped  bool
	spared   bool // it holds evidence that could not be copied
	summed   sum  // of a sealed volume, once it was asked for
}

var errGone = errors.New("the volume was dropped")

// view runs fn on the database, opening it for reading when it is not open.
// Memory-mapped files fault when the disk cannot read them; that is an error.
func (v *volume) view(fn func(*badger.Txn) error) error {
	v.used.Store(time.Now().UnixNano())
	v.mu.RLock()
	for v.db == nil {
		v.mu.RUnlock()
		if err := v.open(); err != nil {
			return err
		}
		v.mu.RLock()
	}
	defer v.mu.RUnlock()
	return faults(func() error { return v.db.View(fn) })
}

// open opens a sealed volume for reading.
func (v *volume) open() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.gone:
		return errGone
	case v.db != nil:
		return nil
	case !v.sealed.Load():
		return fmt.Errorf("open volume: %w", errUnsealed)
	}
	if err := verifyFiles(v.dir, v.files); err != nil {
		return &unreadable{v, err}
	}
	o := badgerOptions(v.dir, 0, v.log)
	// Badger cannot open read-only on Windows.
	o.ReadOnly = runtime.GOOS != "windows"
	err := v.openDatabase(o)
	switch {
	case err == nil:
		return nil
	case isLocked(err):
		// Somebody else holds it: that says nothing about what is in it.
		return fmt.Errorf("open volume %s: %w", filepath.Base(v.dir), err)
	}
	return &unreadable{v, err}
}

// lockedFor is how long a directory's lock is waited for. A child process that
// is being started holds every lock of its parent until it has begun.
const lockedFor = 2 * time.Second

func (v *volume) openDatabase(o badger.Options) (err error) {
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err = faults(func() error {
			v.db, err = badger.Open(o)
			return err
		})
		if err == nil {
			return nil
		}
		v.db = nil
		if !isLocked(err) || time.Since(begun) > lockedFor {
			return err
		}
	}
}

// isLocked tells whether Badger could not get the lock of its directory. It has
// no error of its own for that.
func isLocked(err error) bool { return strings.Contains(err.Error(), "Cannot acquire directory lock") }

var errUnsealed = errors.New("it was not closed properly and is not recovered yet")

// unreadable is the error of a volume that cannot be opened.
type unreadable struct {
	v   *volume
	err error
}

func (e *unreadable) Error() string {
	return fmt.Sprintf("open volume %s: %v", filepath.Base(e.v.dir), e.err)
}
func (e *unreadable) Unwrap() error { return e.err }

// shut closes a volume that is open for reading.
func (v *volume) shut() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.db == nil || v.writes {
		return nil
	}
	db := v.db
	v.db = nil
	return db.Close()
}

// seal closes the database for good and writes down what it holds.
func (v *volume) seal(about any) (disk.Bytes, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if db := v.db; db != nil {
		v.db, v.writes = nil, false
		if err := faults(db.Close); err != nil {
			return 0, fmt.Errorf("seal volume: %w", err)
		}
	}
	files, size, err := writeSeal(v.dir, about)
	if err != nil {
		return 0, fmt.Errorf("seal volume: %w", err)
	}
	v.files = files
	v.sealed.Store(true)
	return size, nil
}

// reseal writes the seal of a sealed volume anew, with the same files.
func (v *volume) reseal(about any) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone {
		return errGone
	}
	return putSeal(v.dir, v.files, about)
}

// remove closes the database and removes it from the disk.
func (v *volume) remove() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.gone = true
	var err error
	if db := v.db; db != nil {
		v.db = nil
		if v.writes {
			// Closing it writes, which a full disk would not let it: its own blocks
			// are no longer needed.
			err = punch(v.dir, 0)
		}
		err = errors.Join(err, faults(db.Close))
	}
	return errors.Join(err, os.RemoveAll(v.dir))
}

// setAside closes the database and renames its directory to *.bad.
func (v *volume) setAside() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone {
		return nil
	}
	v.gone = true
	if db := v.db; db != nil {
		v.db = nil
		if err := faults(db.Close); err != nil {
			v.log.Warn("closing a bad volume failed", "volume", v.dir, "err", err)
		}
	}
	bad := v.dir + badSuffix
	for n := 2; ; n++ {
		if _, err := os.Lstat(bad); errors.Is(err, os.ErrNotExist) {
			break
		}
		bad = fmt.Sprintf("%s.%d%s", v.dir, n, badSuffix)
	}
	return os.Rename(v.dir, bad)
}

const badSuffix = ".bad"

// faults runs fn and turns a fault in a memory map, or a panic of the database
// over what it found on the disk, into an error.
func faults(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the database failed: %v", r)
		}
	}()
	return fn()
}

// scan rebuilds what a volume holds from its keys and headers.
func scan(db *badger.DB) (map[string]*track, error) {
	tracks := map[string]*track{}
	of := func(camera string) *track {
		t := tracks[camera]
		if t == nil {
			t = &track{}
			tracks[camera] = t
		}
		return t
	}
	read := func(txn *badger.Txn, kind byte, each func(camera string, at int64, value []byte)) {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kind}})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			item := it.Item()
			camera, at, ok := splitTimeKey(item.Key())
			if !ok {
				continue
			}
			// A value that did not reach the disk is a hole, not a failure.
			_ = item.Value(func(value []byte) error {
				each(camera, at, value)
				return nil
			})
		}
	}
	err := db.View(func(txn *badger.Txn) error {
		read(txn, kindFragment, func(camera string, at int64, value []byte) {
			if h, err := readHeader(value); err == nil {
				of(camera).add(at, at+int64(h.duration), len(value))
			}
		})
		read(txn, kindGap, func(camera string, _ int64, value []byte) {
			var g Gap
			if json.Unmarshal(value, &g) == nil {
				t := of(camera)
				t.addGap(g)
			}
		})
		read(txn, kindStep, func(camera string, _ int64, value []byte) {
			var s Step
			if json.Unmarshal(value, &s) == nil {
				t := of(camera)
				t.Steps = append(t.Steps, s)
			}
		})
		return nil
	})
	return tracks, err
}

package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"stationd/agent/station"
	"stationd/agent/store/disk"
)

// A backup is one file: a line that names the format, Badger's stream of all
// entries but the bulk lane's and the rows, and the SHA-256 of everything before it.
// The key of the secrets is not in it.

const (
	backupMagic = "stationd backup 1\n"
	backupExt   = ".backup"
	keepBackups = 2
	backupTime  = "20060102T150405.000Z"
)

// Backup writes a copy of the database to the backup directory and keeps the
// last two. It needs room and takes none from the reserve.
func (s *Store) Backup(ctx context.Context) error {
	s.reading.RLock()
	defer s.reading.RUnlock()
	select {
	case <-s.stopped:
		return ErrClosed
	default:
	}
	tables, _ := s.db.Size()
	if s.guard.Spare() < disk.Bytes(tables)+s.cfg.Space.Full+logSize {
		return station.ErrNoSpace
	}
	dir := s.cfg.path(backupName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("back up store: %w", err)
	}
	name := "core-" + time.Now().UTC().Format(backupTime) + backupExt
	if err := s.writeBackup(ctx, dir, name); err != nil {
		return fmt.Errorf("back up store: %w", err)
	}
	old, err := s.backups()
	if err != nil {
		return fmt.Errorf("back up store: %w", err)
	}
	for _, path := range old[min(keepBackups, len(old)):] {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("back up store: %w", err)
		}
	}
	return nil
}

func (s *Store) writeBackup(ctx context.Context, dir, name string) error {
	f, err := os.CreateTemp(dir, ".unfinished-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // after the rename there is nothing to remove
	sum := sha256.New()
	buf := bufio.NewWriterSize(f, 1<<20)
	w := io.MultiWriter(buf, sum)
	_, err = io.WriteString(w, backupMagic)
	if err == nil {
		bulk, rows := []byte(lanePrefix(station.LaneBulk)), []byte(rowRealm)
		stream := s.db.NewStream()
		stream.NumGo = 2
		stream.MaxSize = 4 << 20
		stream.LogPrefix = "backup"
		stream.ChooseKey = func(item *badger.Item) bool {
			return !bytes.HasPrefix(item.Key(), bulk) && !bytes.HasPrefix(item.Key(), rows)
		}
		_, err = stream.Backup(cancelled{ctx, w}, 0)
	}
	if err == nil {
		_, err = buf.Write(sum.Sum(nil))
	}
	if err := errors.Join(err, buf.Flush(), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

// cancelled is a writer that ends with a context.
type cancelled struct {
	ctx context.Context
	io.Writer
}

func (w cancelled) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.Writer.Write(b)
}

// backups lists the backups, the newest first.
func (s *Store) backups() ([]string, error) {
	list, err := filepath.Glob(filepath.Join(s.cfg.path(backupName), "core-*"+backupExt))
	slices.Sort(list)
	slices.Reverse(list)
	return list, err
}

// restore makes a database at dir from the newest good backup. Without one it
// does nothing. The database is made elsewhere and moved into place when it is
// complete; it has no epoch, so that opening it begins a new one.
func (s *Store) restore(dir string) error {
	list, err := s.backups()
	if err != nil {
		return err
	}
	for _, path := range list {
		size, err := checkBackup(path)
		if err != nil {
			s.log.Error("backup is not usable", slog.String("path", path), slog.Any("error", err))
			continue
		}
		if err := s.load(path, size, dir+".restoring"); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := os.Remove(s.cfg.path(manifestCopy)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Rename(dir+".restoring", dir); err != nil {
			return err
		}
		if err := syncDir(s.cfg.Dir); err != nil {
			return err
		}
		s.report.Restored = path
		stamp := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "core-"), backupExt)
		if at, err := time.Parse(backupTime, stamp); err == nil {
			s.report.RestoredTo = at
		}
		s.log.Warn("store restored from backup", slog.String("path", path))
		return nil
	}
	return nil
}

// checkBackup verifies a backup's sum and returns the size of what it covers.
func checkBackup(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	size := fi.Size() - sha256.Size
	if size < int64(len(backupMagic)) {
		return 0, errShort
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(f, size)); err != nil {
		return 0, err
	}
	want, err := io.ReadAll(f)
	if err != nil {
		return 0, err
	}
	if !bytes.Equal(sum.Sum(nil), want) {
		return 0, errors.New("its checksum is wrong")
	}
	return size, nil
}

func (s *Store) load(path string, size int64, dir string) error {
	if err := s.guard.Demand(disk.Bytes(2*size) + openNeed); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	magic := make([]byte, len(backupMagic))
	if _, err := io.ReadFull(f, magic); err != nil || string(magic) != backupMagic {
		return errors.New("it is of an unknown format")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	db, err := openBadger(dir, s.log)
	if err != nil {
		return err
	}
	err = db.Load(io.LimitReader(f, size-int64(len(magic))), 4)
	if err == nil {
		err = begetEpoch(db)
	}
	return errors.Join(err, db.Close())
}

// begetEpoch prepares a loaded database for a new life: no epoch, and a bulk
// lane without rows, which were not in the backup.
func begetEpoch(db *badger.DB) error {
	return db.Update(func(txn *badger.Txn) error {
		if err := txn.Delete([]byte(epochKey)); err != nil {
			return err
		}
		item, err := txn.Get([]byte(headKey))
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		b, err := item.ValueCopy(nil)
		if err != nil {
			return err
		}
		j, err := decodeJournal(b)
		if err != nil {
			return err
		}
		j.lanes[laneIndex(station.LaneBulk)] = laneState{}
		return txn.Set([]byte(headKey), j.encode())
	})
}

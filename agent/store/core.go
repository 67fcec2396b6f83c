package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"

	"stationd/agent/station"
	"stationd/agent/store/disk"
)

// openNeed is what Badger may have to write before it serves: its new log, the
// tables of the old ones.
const openNeed = disk.MinFloor

// openCore opens the database; a damaged one is set aside first, and the newest
// good backup or a new one takes its place.
func (s *Store) openCore() error {
	dir := s.cfg.path(coreName)
	if err := s.clear(dir); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if err := s.guard.Demand(openNeed); err != nil {
		return err
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := s.begin(dir); err != nil {
			return err
		}
	} else if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	found, err := inspect(dir, s.cfg.path(manifestCopy), s.log)
	if err != nil {
		return fmt.Errorf("inspect store: %w", err)
	}
	s.report.Repaired = found.repaired
	if found.damage == "" {
		s.db, err = openBadger(dir, s.log)
		if err == nil {
			s.keepManifest()
			return nil
		}
		if !damaged(err) {
			return fmt.Errorf("open store: %w", err)
		}
		found.damage = err.Error()
	}
	if err := s.setAside(dir, found.damage); err != nil {
		return fmt.Errorf("set the damaged store aside: %w", err)
	}
	if err := s.begin(dir); err != nil {
		return err
	}
	if s.db, err = openBadger(dir, s.log); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	s.keepManifest()
	return nil
}

// clear removes what an earlier start left unfinished.
func (s *Store) clear(dir string) error {
	if err := os.RemoveAll(dir + ".restoring"); err != nil {
		return err
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return sweepLogs(dir)
}

// begin fills the place of a database that is not there: from the newest good
// backup, or with nothing.
func (s *Store) begin(dir string) error {
	if err := s.restore(dir); err != nil {
		return fmt.Errorf("restore backup: %w", err)
	}
	if s.report.Restored != "" {
		if s.report.Cause == "" {
			s.report.Cause = "the database was gone"
		}
		return nil
	}
	// A copy of a MANIFEST without its database would make the new one look
	// damaged.
	if err := os.Remove(s.cfg.path(manifestCopy)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open store: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	return nil
}

// openBadger opens a database that was inspected. Badger panics over some kinds
// of damage.
func openBadger(dir string, log *slog.Logger) (db *badger.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, fmt.Errorf("badger panicked: %v", r)
		}
	}()
	return badger.Open(badgerOptions(dir, log))
}

// damaged tells damage from what the machine lacks at the moment: a database is
// not set aside because the disk is read-only.
func damaged(err error) bool {
	for _, e := range []error{
		syscall.ENOSPC, syscall.EROFS, syscall.EACCES, syscall.EPERM, syscall.EMFILE,
		syscall.ENFILE, syscall.ENOMEM, syscall.EIO, syscall.EINTR, syscall.EAGAIN,
	} {
		// Badger flattens some errors to text.
		if errors.Is(err, e) || strings.Contains(err.Error(), e.Error()) {
			return false
		}
	}
	return !strings.Contains(err.Error(), "directory lock") && !strings.Contains(err.Error(), "lock file")
}

// keepQuarantines bounds how many damaged databases are kept, so that a bad disk
// does not fill itself with them. The oldest goes first.
const keepQuarantines = 3

// setAside moves a damaged database out of the way, whole.
func (s *Store) setAside(dir, cause string) error {
	to := dir + ".quarantine-" + time.Now().UTC().Format("20060102T150405.000")
	if err := os.Rename(dir, to); err != nil {
		return err
	}
	kept := s.cfg.path(manifestCopy)
	if err := os.Rename(kept, filepath.Join(to, manifestCopy)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := syncDir(s.cfg.Dir); err != nil {
		return err
	}
	s.report.Quarantined, s.report.Cause, s.report.Repaired = to, cause, ""
	s.log.Error("damaged database set aside", slog.String("directory", to), slog.String("cause", cause))
	old, err := filepath.Glob(dir + ".quarantine-*")
	if err != nil {
		return err
	}
	slices.Sort(old)
	for ; len(old) > keepQuarantines; old = old[1:] {
		s.log.Warn("oldest quarantine removed", slog.String("directory", old[0]))
		if err := os.RemoveAll(old[0]); err != nil {
			return err
		}
	}
	return nil
}

// keepManifest copies the MANIFEST when it has changed. The copy takes its place
// if it is lost.
func (s *Store) keepManifest() {
	path := filepath.Join(s.cfg.path(coreName), badger.ManifestFilename)
	fi, err := os.Stat(path)
	if err != nil || (fi.Size() == s.manifestSize && fi.ModTime().Equal(s.manifestTime)) {
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		s.log.Warn("manifest not copied", slog.Any("error", err))
		return
	}
	// The end may be just being written.
	good := wholeRecords(text)
	if good < 0 {
		s.log.Error("manifest is damaged while the database is open", slog.String("path", path))
		return
	}
	if err := writeFile(s.cfg.path(manifestCopy), text[:good], 0o600); err != nil {
		s.log.Warn("manifest not copied", slog.Any("error", err))
		return
	}
	s.manifestSize, s.manifestTime = fi.Size(), fi.ModTime()
}

// nameFile keeps the node's name beside the database, so that it survives it.
const nameFile = "node"

func (s *Store) keptName() station.NodeID {
	b, err := os.ReadFile(s.cfg.path(nameFile))
	id := station.NodeID(strings.TrimSpace(string(b)))
	if err != nil || id.Validate() != nil {
		return ""
	}
	return id
}

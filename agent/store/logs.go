package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"stationd/agent/station"
	"stationd/agent/store/disk"
)

// Badger writes ahead to a log that it maps: NNNNN.mem, twice the memtable long,
// extended by truncation and therefore without blocks. On a full disk the first
// write to such a page is SIGBUS, and the process is gone. So the log that comes
// next is made before it is needed: an empty file of the name that Badger will
// use, with its blocks allocated behind its end. Badger finds an empty file,
// takes it for new and extends it onto those blocks.

const (
	memTable = 4 << 20
	logSize  = 2 * memTable
	logExt   = ".mem"
	// valueHeader is the size of the header of a value log.
	valueHeader = 20
	// closeNeed is what the last table needs, at most.
	closeNeed = 8 << 20
)

// logs makes the next log. It belongs to the committer.
type logs struct {
	dir  string
	next string // path of the log that was made and is not used yet
	id   int
	// made tells that next really exists.
	made bool
}

func newLogs(dir string) *logs { return &logs{dir: dir} }

// sweepLogs removes logs without content before Badger opens: the one that was
// made ahead, one that was being deleted, and a value log that was being made, in
// which there is never more than a header. Badger would refuse to open.
func sweepLogs(dir string) error {
	names, err := logIDs(dir)
	if err != nil {
		return err
	}
	empty := map[string]int64{} // below which size
	for _, id := range names {
		empty[logPath(dir, id)] = 1
	}
	values, err := filepath.Glob(filepath.Join(dir, "*.vlog"))
	if err != nil {
		return err
	}
	for _, p := range values {
		empty[p] = valueHeader
	}
	for p, size := range empty {
		if fi, err := os.Stat(p); err == nil && fi.Size() < size {
			if err := os.Remove(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// adopt allocates what Badger extended when it opened, and learns which log is
// the next.
func (l *logs) adopt() error {
	ids, err := logIDs(l.dir)
	if err != nil {
		return err
	}
	for _, id := range ids {
		l.id = max(l.id, id)
	}
	files := []string{logPath(l.dir, l.id), filepath.Join(l.dir, "DISCARD")}
	values, err := filepath.Glob(filepath.Join(l.dir, "*.vlog"))
	if err != nil {
		return err
	}
	for _, p := range append(files, values...) {
		if err := allocate(p); err != nil {
			return fmt.Errorf("allocate %s: %w", filepath.Base(p), err)
		}
	}
	l.id++
	l.next = logPath(l.dir, l.id)
	return nil
}

// prepare makes the next log unless it is there. must tells that the reserve may
// be used for it.
func (l *logs) prepare(guard *disk.Guard, must bool) error {
	if l.made {
		return nil
	}
	if must {
		if err := guard.Demand(logSize + closeNeed); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(l.next, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("make the next log: %w", err)
	}
	if err := errors.Join(disk.Reserve(f, logSize), f.Close()); err != nil {
		_ = os.Remove(l.next)
		return station.ErrNoSpace.Because(err)
	}
	l.made = true
	return nil
}

// used tells whether Badger has taken the next log into use, and goes on to the
// one after.
func (l *logs) used() bool {
	if !l.made {
		return false
	}
	fi, err := os.Stat(l.next)
	if err != nil || fi.Size() == 0 {
		return false
	}
	l.id++
	l.next, l.made = logPath(l.dir, l.id), false
	return true
}

// drop removes the log that was made ahead.
func (l *logs) drop() {
	if l != nil && l.made {
		if fi, err := os.Stat(l.next); err == nil && fi.Size() == 0 {
			_ = os.Remove(l.next) // the next Open removes it otherwise
		}
		l.made = false
	}
}

func allocate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	fi, err := f.Stat()
	if err == nil && fi.Size() > 0 {
		err = disk.Reserve(f, disk.Bytes(fi.Size()))
	}
	return errors.Join(err, f.Close())
}

func logPath(dir string, id int) string {
	return filepath.Join(dir, fmt.Sprintf("%05d%s", id, logExt))
}

func logIDs(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var ids []int
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), logExt)
		if id, err := strconv.Atoi(name); ok && err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

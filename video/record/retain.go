package record

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"stationd/agent/store/disk"
)

// The rolling record keeps two bounds: what it takes in all, and what it leaves
// free. When either is crossed the oldest goes, a whole volume at a time: first
// what cannot be read anyway, then the oldest sealed volume.

// retain drops the oldest until the record, with more bytes added, is within
// its bounds. It is false when nothing is left to drop; then recording stops
// until there is space again.
func (a *Archive) retain(more disk.Bytes) bool {
	for {
		spare := a.space.Spare()
		floor := a.cfg.MinFree
		a.mu.Lock()
		used := a.used()
		if a.stopped {
			// So that it does not stop and start at the edge.
			floor += a.cfg.MinFree / 8
		}
		fits := used+more <= a.cfg.MaxBytes && spare-more >= floor
		var oldest *volume
		if len(a.volumes) > 0 && a.volumes[0] != a.active {
			oldest = a.volumes[0]
		}
		var aside string
		for dir := range a.aside {
			if strings.HasPrefix(dir, filepath.Join(a.cfg.Dir, volumesDir)) && (aside == "" || dir < aside) {
				aside = dir
			}
		}
		if fits {
			if a.stopped && more > 0 {
				a.stopped = false
				a.log.Info("there is space again; recording goes on")
			}
			a.mu.Unlock()
			return true
		}
		a.mu.Unlock()
		switch {
		case aside != "":
			if err := os.RemoveAll(aside); err != nil {
				a.log.Error("removing a bad volume failed", "dir", aside, "err", err)
			}
			a.mu.Lock()
			delete(a.aside, aside)
			a.mu.Unlock()
		case oldest != nil:
			a.mu.Lock()
			a.stats.Dropped++
			a.mu.Unlock()
			a.drop(oldest)
		default:
			a.stop(nil)
			return false
		}
	}
}

// used is what the rolling record takes. The lock is held.
func (a *Archive) used() disk.Bytes {
	var sum disk.Bytes
	for _, v := range a.volumes {
		sum += v.bytes
	}
	for dir, size := range a.aside {
		if strings.HasPrefix(dir, filepath.Join(a.cfg.Dir, volumesDir)) {
			sum += size
		}
	}
	return sum
}

// stop says that there is no space left to record to.
func (a *Archive) stop(cause error) {
	a.mu.Lock()
	was := a.stopped
	a.stopped = true
	a.mu.Unlock()
	if !was {
		a.log.Error("recording has stopped: there is no space left", "free", a.space.Spare(), "err", cause)
	}
}

// drop forgets a volume, and removes it as soon as nobody reads it.
func (a *Archive) drop(v *volume) {
	a.mu.Lock()
	if v.dropped {
		a.mu.Unlock()
		return
	}
	v.dropped = true
	a.volumes = slices.DeleteFunc(a.volumes, func(x *volume) bool { return x == v })
	pinned := v.pins > 0
	if pinned && v.seq > 0 {
		a.leaving[v.seq] = v
	}
	a.mu.Unlock()
	if !pinned {
		a.removeVolume(v)
	}
}

func (a *Archive) removeVolume(v *volume) {
	if err := v.remove(); err != nil {
		a.log.Error("removing a volume failed", "dir", v.dir, "err", err)
	}
}

// pin keeps volumes readable though they may be dropped meanwhile. The lock is
// held.
func pin(volumes []*volume) {
	for _, v := range volumes {
		v.pins++
	}
}

// unpin ends it.
func (a *Archive) unpin(volumes []*volume) {
	var remove []*volume
	a.mu.Lock()
	for _, v := range volumes {
		if v.pins--; v.pins == 0 && v.dropped {
			remove = append(remove, v)
			delete(a.leaving, v.seq)
		}
	}
	a.mu.Unlock()
	for _, v := range remove {
		a.removeVolume(v)
	}
}

// The headroom is a file that is really allocated and that is given up when a
// volume must be closed or recovered on a disk that others have filled.
const headroom = tableRoom + 4*disk.MiB

func (a *Archive) headroomPath() string { return filepath.Join(a.cfg.Dir, headroomName) }

// freeHeadroom gives the headroom up when it is needed.
func (a *Archive) freeHeadroom() {
	if a.space.Spare() >= headroom {
		return
	}
	if err := os.Remove(a.headroomPath()); err != nil && !errors.Is(err, os.ErrNotExist) {
		a.log.Warn("giving up the headroom failed", "err", err)
	}
}

// takeHeadroom takes it again when there is plenty.
func (a *Archive) takeHeadroom() {
	path := a.headroomPath()
	if fi, err := os.Stat(path); err == nil && disk.Bytes(fi.Size()) >= headroom {
		return
	}
	if a.space.Spare() < a.cfg.MinFree {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = errors.Join(disk.Fallocate(f, headroom), f.Close())
	}
	if err != nil {
		a.log.Warn("taking the headroom failed", "err", err)
		_ = os.Remove(path) // a half one is of no use
	}
}

// Sealed volumes that nobody reads are closed after a while; at most so many are
// kept open.
const (
	idleAfter = 15 * time.Second
	mostOpen  = 16
)

func (a *Archive) closeIdle() {
	a.mu.Lock()
	var open []*volume
	each := func(v *volume) {
		if !v.mu.TryRLock() {
			return // it is being opened, for somebody who wants to read it
		}
		defer v.mu.RUnlock()
		if v.db != nil && !v.writes {
			open = append(open, v)
		}
	}
	for _, v := range a.volumes {
		each(v)
	}
	for _, c := range a.clips {
		each(c.volume)
	}
	a.mu.Unlock()
	slices.SortFunc(open, func(x, y *volume) int { return int(x.used.Load() - y.used.Load()) })
	idle := time.Now().Add(-idleAfter).UnixNano()
	for i, v := range open {
		if v.used.Load() > idle && len(open)-i <= mostOpen {
			break
		}
		if err := v.shut(); err != nil {
			a.log.Warn("closing a volume failed", "dir", v.dir, "err", err)
		}
	}
}

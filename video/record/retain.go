package record

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"stationd/agent/store/disk"
)

// Each class keeps two bounds: what it takes in all, and what it leaves free of the
// disk; some also an age. When one is crossed the oldest goes, a whole volume at a
// time: first what cannot be read anyway, then the oldest sealed volume. For free
// space the lower class gives way to the higher: the rolling record to events, both
// to evidence, and evidence to nothing.

// retain drops the oldest until a class, with more bytes added, is within its
// bounds. It is false when nothing is left to drop; a live class then stops until
// there is space again.
func (a *Archive) retain(class Class, more disk.Bytes) bool {
	for {
		spare := a.space.Spare()
		a.mu.Lock()
		floor := a.cfg.MinFree
		switch {
		case !class.live():
			floor = a.cfg.ClipsMinFree + tableRoom
		case a.stopped:
			// So that it does not stop and start at the edge.
			floor += a.cfg.MinFree / 8
		}
		// Evidence that was accepted is kept, even if it came to more than was
		// thought; its bound is asked for before.
		over := class != Evidence && a.used(class)+more > a.cfg.most(class)
		tight := spare-more < floor
		if !over && !tight {
			if class.live() && a.stopped && more > 0 {
				a.stopped = false
				a.log.Info("there is space again; recording goes on")
			}
			a.mu.Unlock()
			return true
		}
		givers := []Class{class}
		if !over {
			givers = givesWay(class)
		}
		var aside string
		var victim *volume
		for _, c := range givers {
			if aside, victim = a.asideOf(c), a.oldest(c, class.live()); aside != "" || victim != nil {
				break
			}
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
		case victim != nil:
			a.giveUp(victim, class.live())
		case class.live():
			a.stop(nil)
			return false
		default:
			return false
		}
	}
}

// givesWay are the classes that give way when the disk is short of space for one.
func givesWay(class Class) []Class {
	switch class {
	case PreRoll:
		return []Class{Continuous, PreRoll}
	case Event, Evidence:
		return []Class{Continuous, Event}
	}
	return []Class{Continuous}
}

// asideOf is a bad volume of a class; empty when there is none. The lock is held.
func (a *Archive) asideOf(class Class) (dir string) {
	for d := range a.aside {
		if filepath.Dir(d) == a.classDir(class) && (dir == "" || d < dir) {
			dir = d
		}
	}
	return dir
}

// oldest is the volume of a class that goes next; nil when none may. Whoever
// copies cannot stop for what is marked in a volume, and gains nothing from one
// that is being read: patient tells that the caller is another. The lock is held.
func (a *Archive) oldest(class Class, patient bool) *volume {
	for _, v := range a.volumes {
		switch {
		case v.class != class || v == a.active[class] || v.spared:
		case !patient && (!v.sealed.Load() || v.pins > 0 || len(a.unkeptIn(v)) > 0):
		default:
			return v
		}
	}
	return nil
}

// giveUp drops a volume, after what is marked in it was copied where that can be
// done. A volume with evidence that could not be copied is spared.
func (a *Archive) giveUp(v *volume, patient bool) {
	if patient {
		a.rescue(v)
	}
	a.mu.Lock()
	for _, m := range a.unkeptIn(v) {
		if m.Class == Evidence && m.done < m.To.UnixNano() && patient && m.blocked {
			v.spared = true
		}
	}
	spared := v.spared
	if !spared {
		a.stats.Dropped++
	}
	a.mu.Unlock()
	if spared {
		a.log.Error("a volume with evidence that could not be copied is not dropped", "volume", v.dir)
		return
	}
	a.drop(v)
	if !v.class.live() {
		a.forget(v)
	}
}

// expire drops what is older than its class may get.
func (a *Archive) expire() {
	now, _ := a.clock.index(time.Now())
	a.mu.Lock()
	var old []*volume
	for _, v := range a.volumes {
		switch {
		case v.class == PreRoll:
			// Measured by how long it lies here, so that setting the clock does not
			// touch it.
			if v.sealed.Load() && time.Since(v.sealedAt) > a.cfg.PreRoll {
				old = append(old, v)
			}
		case a.cfg.maxAge(v.class) > 0 && v != a.active[v.class] && a.age(v, now) > a.cfg.maxAge(v.class):
			old = append(old, v)
		}
	}
	a.mu.Unlock()
	for _, v := range old {
		a.giveUp(v, true)
	}
}

// age is how long ago the newest of a volume was recorded. What the clock was set
// since is not age: a clock that is wrong by years for a minute must not cost the
// record. The clock itself knows of its settings since the archive was opened,
// before any camera has written of them; of those before, gaps tell. The lock is
// held.
func (a *Archive) age(v *volume, now int64) time.Duration {
	var newest time.Time
	for _, t := range v.tracks {
		for _, s := range t.Spans {
			newest = later(newest, s.To)
		}
	}
	if newest.IsZero() {
		return 0
	}
	age := fromIndex(now).Sub(newest)
	if age <= a.cfg.maxAge(v.class) {
		return age // whatever the clock did
	}
	set := a.clock.setSince(newest.Add(-time.Second).UnixNano())
	for _, o := range a.volumes {
		if o.class != Continuous {
			continue
		}
		var most time.Duration
		for _, t := range o.tracks {
			var sum time.Duration
			for _, g := range t.Gaps {
				if g.Reason == GapClock && !g.From.Before(newest.Add(-time.Second)) && !a.clock.knows(g.From.UnixNano(), g.To.UnixNano()) {
					sum += g.To.Sub(g.From)
				}
			}
			most = max(most, sum)
		}
		set += most
	}
	return age - set
}

// used is what a class takes. The lock is held.
func (a *Archive) used(class Class) disk.Bytes {
	var sum disk.Bytes
	for _, v := range a.volumes {
		if v.class == class {
			sum += v.bytes
		}
	}
	for dir, size := range a.aside {
		if filepath.Dir(dir) == a.classDir(class) {
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
		if c.volume != nil {
			each(c.volume)
		}
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

package record

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"stationd/agent/store/disk"
)

func (a *Archive) wakeKeeper() {
	select {
	case a.keepWake <- struct{}{}:
	default:
	}
}

// keepMarked copies what is marked until ctx ends.
func (a *Archive) keepMarked(ctx context.Context) {
	tick := time.NewTicker(a.cfg.SyncEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-a.keepWake:
		case <-ctx.Done():
			return
		}
		for _, m := range a.unkept(nil) {
			if ctx.Err() != nil {
				return
			}
			a.keepMark(m)
		}
	}
}

// unkept are the marks that are not copied yet, those that touch v if it is given.
func (a *Archive) unkept(v *volume) []*marked {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unkeptIn(v)
}

// unkeptIn is unkept with the lock held.
func (a *Archive) unkeptIn(v *volume) []*marked {
	var out []*marked
	for _, m := range a.marks {
		if m.Kept {
			continue
		}
		if v != nil {
			t := v.tracks[m.Camera]
			if t == nil || !t.overlaps(m.From.Add(-lookBack), m.To) {
				continue
			}
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(x, y *marked) int { return x.From.Compare(y.From) })
	return out
}

// keepMark copies what there is of a mark by now.
func (a *Archive) keepMark(m *marked) {
	a.mu.Lock()
	from, to := m.From, m.To // a detection's grows
	done, cam, recovered := m.done, *a.camera(m.Camera), a.recovered
	a.mu.Unlock()
	if done > from.UnixNano() {
		from = fromIndex(done)
	}
	if cam.end <= done && recovered && !a.ended(m.From.UnixNano(), to.UnixNano(), cam) {
		return // nothing new
	}
	refs, volumes := a.find(m.Camera, from.Add(-lookBack), to)
	defer a.unpin(volumes)
	if done == 0 {
		refs = refs[startOf(refs, from.UnixNano()):]
	} else {
		refs = slices.DeleteFunc(refs, func(r ref) bool { return r.end() <= done })
	}
	var bytes disk.Bytes
	if err := a.keep(m.Class, m.Camera, refs); err != nil {
		a.mu.Lock()
		told := m.blocked
		m.blocked = true
		a.mu.Unlock()
		if !told {
			a.log.Warn("a marked span could not be kept yet", "camera", m.Camera, "from", m.From, "to", to, "class", m.Class, "err", err)
		}
		return
	}
	for _, r := range refs {
		bytes += r.size
	}
	a.mu.Lock()
	m.blocked = false
	if n := len(refs); n > 0 {
		m.done = max(m.done, refs[n-1].end())
	}
	m.copied += bytes
	kept := recovered && !m.passing && m.To.Equal(to) && a.ended(m.From.UnixNano(), m.To.UnixNano(), cam)
	if kept {
		m.Kept, m.Bytes = true, m.copied
		for _, v := range a.volumes {
			v.spared = false
		}
	}
	copied := m.Mark
	_, there := a.marks[m.ID]
	empty := kept && there && m.done == 0 && m.Class == Event
	if empty {
		delete(a.marks, m.ID)
	}
	a.mu.Unlock()
	if empty {
		// The camera was away: nothing would ever take the mark with it.
		if err := os.Remove(a.markPath(m.ID)); err != nil && !errors.Is(err, os.ErrNotExist) {
			a.log.Warn("removing an empty mark failed", "mark", m.ID, "err", err)
		}
		return
	}
	if kept && there {
		if err := writeChecked(a.markPath(m.ID), copied); err != nil {
			a.log.Warn("noting that a span was kept failed", "mark", m.ID, "err", err)
		}
		if copied.Class == Event {
			a.sweep()
		}
	}
}

// ended tells that nothing more will come of a span: its end is recorded, or the
// camera has been silent for so long that it will not be.
func (a *Archive) ended(from, to int64, cam camera) bool {
	now, _ := a.clock.index(time.Now())
	grace := int64(a.cfg.ClipGrace)
	// What is asked for has begun: if it begins in the future, the clock was set
	// back since. All that there is of it is there; its end may be years away.
	if from > now+grace+int64(maxFragment) {
		return true
	}
	// An end in the future is of a time before the clock was set back.
	if cam.end >= to && cam.end <= now+grace {
		return true
	}
	late := now - to
	alive := now-cam.heard <= grace+int64(maxFragment)
	return late >= grace && (!alive || late >= grace+int64(patience))
}

// rescue copies what is marked in a volume that is about to be dropped.
func (a *Archive) rescue(v *volume) {
	for _, m := range a.unkept(v) {
		a.keepMark(m)
	}
}

// sweep drops the sealed volumes of events and evidence in which nothing is wanted
// any more.
func (a *Archive) sweep() {
	a.mu.Lock()
	var idle []*volume
	for _, v := range a.volumes {
		if !v.class.live() && v.sealed.Load() && v != a.active[v.class] && !a.wanted(v) {
			idle = append(idle, v)
		}
	}
	a.mu.Unlock()
	for _, v := range idle {
		a.log.Info("nobody wants what is in a volume any more", "volume", v.dir)
		a.drop(v)
	}
}

// wanted tells whether a clip or a mark needs a volume of events or evidence. The
// lock is held.
func (a *Archive) wanted(v *volume) bool {
	for _, m := range a.marks {
		if t := v.tracks[m.Camera]; t != nil && (v.class == m.Class || v.class == Event && !m.Kept) && t.overlaps(m.From.Add(-lookBack), m.To) {
			return true
		}
	}
	for _, c := range a.clips {
		t := v.tracks[c.about.Camera]
		if t == nil || c.volume != nil || !t.overlaps(c.about.Start, c.about.End) {
			continue
		}
		if v.class == Event || !a.elsewhere(c.about, v) {
			return true
		}
	}
	return false
}

// forget notes which clips have lost their film with a volume of events that was
// dropped; see Gone.
func (a *Archive) forget(v *volume) {
	a.mu.Lock()
	var ids []string
	for id, c := range a.clips {
		if t := v.tracks[c.about.Camera]; c.volume == nil && t != nil && t.overlaps(c.about.Start, c.about.End) && !a.elsewhere(c.about, v) {
			ids = append(ids, id)
		}
	}
	for id, m := range a.marks {
		if t := v.tracks[m.Camera]; m.Kept && m.Class == v.class && t != nil && t.overlaps(m.From, m.To) && !a.covered(m.Camera, m.From, m.To, v) {
			delete(a.marks, id)
			if err := os.Remove(a.markPath(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
				a.log.Warn("removing a mark failed", "mark", id, "err", err)
			}
		}
	}
	for _, id := range ids {
		delete(a.clips, id)
		a.gone[id] = true
		a.stats.Gone++
	}
	a.mu.Unlock()
	for _, id := range ids {
		if err := os.Rename(a.filmPath(id), a.filmPath(id)+goneSuffix); err != nil {
			a.log.Warn("noting that a film is gone failed", "clip", id, "err", err)
		}
		a.log.Warn("the oldest film of an alarm was dropped to make room", "clip", id)
	}
}

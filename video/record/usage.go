package record

import (
	"cmp"
	"slices"
	"time"

	"stationd/agent/station"
	"stationd/agent/store/disk"
)

// Usage is what the record and the clips take, and how long it will last.
type Usage struct {
	// Bytes of the rolling record, of the most that it may take.
	Bytes disk.Bytes
	Most  disk.Bytes
	// Free is what is free on the disk.
	Free    disk.Bytes
	Volumes int
	// Oldest and Newest are the ends of the rolling record.
	Oldest time.Time
	Newest time.Time
	// PerDay is how much is recorded in a day, as it was in the last one; zero when
	// too little is known.
	PerDay disk.Bytes
	// DaysKept is how many days the record reaches back once its space is used
	// up, at that rate; DaysLeft is how long until then, zero when it is.
	DaysKept float64
	DaysLeft float64
	// Stopped tells that there is no space left to record to.
	Stopped bool

	Clips      int
	ClipBytes  disk.Bytes // of their files; several may share what is on the disk
	ClipsMost  disk.Bytes
	ClipsFull  bool
	Receiving  int
	AsideBytes disk.Bytes // of what could not be read
	Aside      int
	// EvidenceFull tells that a hold was refused for want of room.
	EvidenceFull bool

	// Classes are the same figures class by class, the first to give way first.
	Classes []ClassUsage
	Scrub   ScrubState

	Stats Stats
}

// ClassUsage is what one class takes, and how long it will last.
type ClassUsage struct {
	Class   Class
	Bytes   disk.Bytes
	Most    disk.Bytes
	MaxAge  time.Duration // ns; 0 is no bound
	Volumes int
	// Marks is how many spans are marked for it, and Pending how many of those are
	// not copied yet.
	Marks   int
	Pending int
	Oldest  time.Time
	Newest  time.Time
	PerDay  disk.Bytes
	// DaysKept and DaysLeft are as in Usage; of evidence, which nothing makes room
	// in, DaysLeft is how long until holds are refused.
	DaysKept float64
	DaysLeft float64
}

// CameraUsage is what one camera has in the rolling record, and how far back that
// will reach.
type CameraUsage struct {
	Camera string
	Bytes  disk.Bytes
	PerDay disk.Bytes
	Oldest time.Time
	Newest time.Time
	// Recorded is how much there is between the two.
	Recorded time.Duration
	DaysKept float64
	// Gaps and Lost are the number of gaps in the last day, and how long they were
	// together, those left out that the schedule makes.
	Gaps int
	Lost time.Duration
}

const day = 24 * time.Hour

// Class is the usage of one class.
func (u Usage) Class(c Class) ClassUsage {
	for _, x := range u.Classes {
		if x.Class == c {
			return x
		}
	}
	return ClassUsage{Class: c}
}

// Usage is as of now.
func (a *Archive) Usage() Usage {
	spare := a.space.Spare()
	a.mu.Lock()
	defer a.mu.Unlock()
	u := Usage{
		Free: spare, Stopped: a.stopped,
		Clips: len(a.clips), ClipsMost: a.cfg.EventsMaxBytes, ClipsFull: a.clipsFull, EvidenceFull: a.evidenceFull,
		Receiving: len(a.receiving), Aside: len(a.aside), Stats: a.stats, Scrub: a.scrub,
	}
	for _, c := range a.clips {
		if c.volume != nil {
			u.ClipBytes += c.volume.bytes
		} else {
			u.ClipBytes += disk.Bytes(c.about.Size)
		}
	}
	for _, size := range a.aside {
		u.AsideBytes += size
	}
	for _, c := range []Class{PreRoll, Continuous, Event, Evidence} {
		u.Classes = append(u.Classes, a.usageOf(c, spare))
	}
	c := u.Class(Continuous)
	u.Bytes, u.Most, u.Volumes, u.Oldest, u.Newest = c.Bytes, c.Most, c.Volumes, c.Oldest, c.Newest
	u.PerDay, u.DaysKept, u.DaysLeft = c.PerDay, c.DaysKept, c.DaysLeft
	return u
}

// usageOf is the usage of one class. The lock is held.
func (a *Archive) usageOf(class Class, spare disk.Bytes) ClassUsage {
	u := ClassUsage{Class: class, Bytes: a.used(class), Most: a.cfg.most(class), MaxAge: a.cfg.maxAge(class)}
	var sums []sum
	for _, v := range a.volumes {
		if v.class != class {
			continue
		}
		u.Volumes++
		s := v.summary()
		if s.bytes == 0 {
			continue
		}
		if u.Oldest.IsZero() || s.from.Before(u.Oldest) {
			u.Oldest = s.from
		}
		u.Newest = later(u.Newest, s.to)
		sums = append(sums, s)
	}
	for _, m := range a.marks {
		if m.Class == class && !m.passing {
			u.Marks++
			if !m.Kept {
				u.Pending++
			}
		}
	}
	perDay := rate(sums, u.Newest)
	if perDay == 0 || class == PreRoll {
		return u
	}
	u.PerDay = disk.Bytes(perDay)
	// Whatever is reached first bounds it: the quota, the floor, the age.
	floor := a.cfg.MinFree
	if !class.live() {
		floor = a.cfg.ClipsMinFree
	}
	room := min(u.Most, u.Bytes+max(spare-floor, 0))
	u.DaysKept = float64(room) / perDay
	if u.MaxAge > 0 {
		u.DaysKept = min(u.DaysKept, float64(u.MaxAge)/float64(day))
	}
	if left := room - u.Bytes - volumeRoom(a.cfg.volumeSize(class)); left > 0 {
		u.DaysLeft = float64(left) / perDay
	}
	return u
}

// sum is what a volume holds, of all cameras.
type sum struct {
	from, to time.Time
	bytes    int64
}

// summary sums a volume up; of a sealed one it is remembered. The archive's lock is
// held.
func (v *volume) summary() sum {
	if v.summed.bytes > 0 {
		return v.summed
	}
	var s sum
	for _, t := range v.tracks {
		s.bytes += t.Bytes
		for _, x := range t.Spans {
			if s.from.IsZero() || x.From.Before(s.from) {
				s.from = x.From
			}
			s.to = later(s.to, x.To)
		}
	}
	if v.sealed.Load() {
		v.summed = s
	}
	return s
}

// rate is how many bytes came in a day, going by the last one.
func rate(sums []sum, newest time.Time) float64 {
	var bytes int64
	var oldest time.Time
	for _, s := range sums {
		if newest.Sub(s.to) > day {
			continue
		}
		bytes += s.bytes
		if oldest.IsZero() || s.from.Before(oldest) {
			oldest = s.from
		}
	}
	span := newest.Sub(oldest)
	if bytes == 0 || span < time.Minute {
		return 0
	}
	return float64(bytes) / float64(span) * float64(day)
}

// CameraUsage is what each camera has in the rolling record.
func (a *Archive) CameraUsage() []CameraUsage {
	kept := a.Usage().DaysKept
	a.mu.Lock()
	defer a.mu.Unlock()
	all := map[string]*CameraUsage{}
	sums := map[string][]sum{}
	for _, v := range a.volumes {
		if v.class != Continuous {
			continue
		}
		for id, t := range v.tracks {
			u := all[id]
			if u == nil {
				u = &CameraUsage{Camera: id, DaysKept: kept}
				all[id] = u
			}
			u.Bytes += disk.Bytes(t.Bytes)
			s := sum{bytes: t.Bytes}
			for _, x := range t.Spans {
				u.Recorded += x.To.Sub(x.From)
				if s.from.IsZero() || x.From.Before(s.from) {
					s.from = x.From
				}
				s.to = later(s.to, x.To)
			}
			if u.Oldest.IsZero() || s.from.Before(u.Oldest) {
				u.Oldest = s.from
			}
			u.Newest = later(u.Newest, s.to)
			sums[id] = append(sums[id], s)
		}
	}
	now, _ := a.clock.index(time.Now())
	out := make([]CameraUsage, 0, len(all))
	for id, u := range all {
		u.PerDay = disk.Bytes(rate(sums[id], u.Newest))
		_, gaps := a.timeline(id, fromIndex(now).Add(-day), fromIndex(now))
		for _, g := range gaps {
			if g.Reason != GapSchedule {
				u.Gaps++
				u.Lost += g.To.Sub(g.From)
			}
		}
		out = append(out, *u)
	}
	slices.SortFunc(out, func(x, y CameraUsage) int { return cmp.Compare(x.Camera, y.Camera) })
	return out
}

// Lamps is the sign of health: whether recording goes on, whether evidence and
// clips still have room, and whether something could not be read.
func (a *Archive) Lamps() []station.Lamp {
	u := a.Usage()
	l := station.Lamp{ID: "storage", State: station.LampOK, Code: "storage.ok", Args: map[string]any{"daysLeft": u.DaysKept}}
	evidence := u.Class(Evidence)
	switch {
	case u.Stopped:
		l = station.Lamp{ID: "storage", State: station.LampBad, Code: "storage.video-stopped", Args: map[string]any{"free": u.Free}, Hint: "storage.free-space"}
	case u.EvidenceFull:
		l = station.Lamp{ID: "storage", State: station.LampBad, Code: "storage.evidence-full", Args: map[string]any{"count": evidence.Marks, "bytes": evidence.Bytes}, Hint: "storage.release-evidence"}
	case u.ClipsFull:
		l = station.Lamp{ID: "storage", State: station.LampBad, Code: "storage.clips-full", Args: map[string]any{"clips": u.Clips, "bytes": u.ClipBytes}, Hint: "storage.remove-clips"}
	case u.Aside > 0:
		l = station.Lamp{ID: "storage", State: station.LampWarn, Code: "storage.video-damaged", Args: map[string]any{"count": u.Aside}, Hint: "storage.check-disk"}
	case u.Scrub.Damaged > 0:
		l = station.Lamp{ID: "storage", State: station.LampWarn, Code: "storage.video-spots", Args: map[string]any{"count": u.Scrub.Damaged}, Hint: "storage.check-disk"}
	}
	return []station.Lamp{l}
}

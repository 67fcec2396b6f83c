package record

import (
	"slices"
	"sync"
	"time"
)

// stepAtLeast is how far the wall clock must be from the monotonic one to say
// that somebody has set it. Slewing moves both and is never seen here.
const stepAtLeast = 100 * time.Millisecond

// clock turns moments into index time: the wall time at one moment, and from
// there the monotonic time. Index time therefore runs evenly, until the wall
// clock is set; then a new era begins, on the new wall time.
type clock struct {
	now  func() time.Time
	wall func(time.Time) int64 // what the wall clock showed then, Unix ns

	mu       sync.Mutex
	anchor   time.Time
	zero     int64 // index time of the anchor
	era      era
	settings []setting // the newest, in the order in which they happened
}

// setting is one setting of the wall clock since the archive was opened: index
// time was from, and went on at to.
type setting struct{ from, to int64 }

// A clock remembers its settings of settingAtLeast and more, the newest
// mostSettings: they are asked what is age and what is not, in hours and days.
const (
	settingAtLeast = time.Minute
	mostSettings   = 256
)

// era is a stretch between two settings of the wall clock.
type era struct {
	number int
	// back tells that the clock was set back when the era began, and by is how far
	// it was set.
	back bool
	by   time.Duration
}

func newClock(now func() time.Time, wall func(time.Time) time.Time) *clock {
	c := &clock{now: now, wall: time.Time.UnixNano, anchor: now()}
	if wall != nil {
		c.wall = func(t time.Time) int64 { return wall(t).UnixNano() }
	}
	c.zero = c.wall(c.anchor)
	return c
}

// index is t in index time, and the era that index time is of.
func (c *clock) index(t time.Time) (int64, era) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	step := time.Duration(c.wall(now)-c.zero) - now.Sub(c.anchor)
	if step.Abs() >= stepAtLeast {
		if step.Abs() >= settingAtLeast {
			if len(c.settings) == mostSettings {
				c.settings = c.settings[1:]
			}
			c.settings = append(c.settings, setting{from: c.zero + int64(now.Sub(c.anchor)), to: c.wall(now)})
		}
		c.anchor, c.zero = now, c.wall(now)
		c.era = era{number: c.era.number + 1, back: step < 0, by: step}
	}
	return c.zero + int64(t.Sub(c.anchor)), c.era
}

// setSince is how far the clock was set, in all, since index time was from, as far
// as it is remembered.
func (c *clock) setSince(from int64) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var by time.Duration
	for _, s := range c.settings {
		if s.from >= from {
			by += time.Duration(s.to - s.from)
		}
	}
	return by
}

// knows tells that a gap between two index times has a remembered setting in it.
func (c *clock) knows(from, to int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.settings, func(s setting) bool { return from <= s.from && s.to <= to })
}

// timeline puts one camera's pictures, which carry the stream's timeline, onto
// index time. It follows the arrivals slowly, by the earliest of each fragment:
// a picture may come late, but never before it was taken.
type timeline struct {
	set      bool
	offset   int64 // index time minus stream time, ns
	earliest int64 // least drift of the pictures since the last settle
	seen     bool
}

// jumpAt is how far arrivals must lead for a whole fragment before the timeline
// jumps instead of following: the stream's time has lost a piece.
const jumpAt = int64(2 * time.Second)

// see takes note of a picture's arrival.
func (l *timeline) see(pts time.Duration, arrival int64) {
	if !l.set {
		l.restart(pts, arrival)
	}
	drift := arrival - l.place(pts)
	if !l.seen || drift < l.earliest {
		l.earliest, l.seen = drift, true
	}
}

// restart puts the picture where it arrived.
func (l *timeline) restart(pts time.Duration, arrival int64) {
	*l = timeline{set: true, offset: arrival - int64(pts)}
}

// place is the index time of a picture.
func (l *timeline) place(pts time.Duration) int64 { return int64(pts) + l.offset }

// late is how far behind its place the picture came.
func (l *timeline) late(pts time.Duration, arrival int64) time.Duration {
	if !l.set {
		return 0
	}
	return time.Duration(arrival - l.place(pts))
}

// settle follows the arrivals of the fragment that just ended, by at most a
// twentieth of its duration.
func (l *timeline) settle(fragment time.Duration) {
	if !l.seen {
		return
	}
	most := int64(fragment / 20)
	if l.earliest > jumpAt {
		l.offset += l.earliest
	} else {
		l.offset += min(max(l.earliest/4, -most), most)
	}
	l.seen = false
}

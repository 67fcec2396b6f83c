package record

import (
	"context"
	"fmt"
	"strings"
	"time"

	"stationd/agent/station"
)

// A camera that is recorded around events is also recorded around what it detects:
// a movement, a hand before the lens, a contact. What lies close together is one
// mark of events that grows, so that a restless tree makes one and not hundreds.

// Detection is word of something before a camera, or that it is over.
type Detection struct {
	Camera string
	// What tells it from other things that are detected there: "motion", "input/1".
	What string
	// Active is false when it is over. What has no end is told with Moment.
	Active, Moment bool
	At             time.Time
	// Before and After are how much is kept around it.
	Before, After time.Duration
}

const (
	// longestEpisode is how long a detection whose end is not told is kept for.
	longestEpisode = 10 * time.Minute
	// mostAtOnce bounds the things that go on before one camera at once.
	mostAtOnce = 32
	// ahead is by how much a mark is made longer than is needed, so that not every
	// word of a chatterer has to be written down.
	ahead = 5 * time.Second
)

// episode is what goes on before a camera: the mark of it, and what is not over.
type episode struct {
	mark  string
	going map[string]bool
}

// Detected keeps the film around what is detected, of a camera that is not recorded
// at that hour anyway. It returns when that is durable.
func (a *Archive) Detected(ctx context.Context, d Detection) error {
	if err := checkCamera(d.Camera); err != nil {
		return err
	}
	a.detecting.Lock() // one after the other: each builds on the mark before
	defer a.detecting.Unlock()
	a.mu.Lock()
	p := a.plans[d.Camera]
	a.mu.Unlock()
	if !p.recorded {
		return nil
	}
	now, e := d.At, a.episodes[d.Camera]
	if e == nil {
		e = &episode{going: map[string]bool{}}
		a.episodes[d.Camera] = e
	}
	began := d.Active && !d.Moment && !e.going[d.What]
	switch {
	case !d.Active:
		if !e.going[d.What] {
			return nil // its beginning was not told
		}
		delete(e.going, d.What)
	case !d.Moment && len(e.going) < mostAtOnce:
		e.going[d.What] = true
	}
	if d.Active && p.class(now) != PreRoll && p.class(now.Add(longestEpisode)) != PreRoll {
		return nil
	}
	to := now.Add(d.After)
	if len(e.going) > 0 {
		to = now.Add(longestEpisode)
	}
	a.mu.Lock()
	m := a.marks[e.mark]
	running := m != nil && !m.Kept && !now.Before(m.From) && !now.After(m.To)
	var next Mark
	if running {
		next = m.Mark
	}
	a.mu.Unlock()
	switch {
	case running && !d.Active:
		next.To = to
	case !d.Active:
		return nil // it went on for too long, and what is kept of it is kept
	case running && !began && !to.After(next.To):
		return nil
	case running && next.To.Sub(next.From) < 2*longestEpisode:
		next.To = to
		if len(e.going) == 0 {
			next.To = to.Add(ahead)
		}
	default:
		from := now.Add(-d.Before)
		e.mark = "seen-" + station.NewID()
		return a.Mark(ctx, Mark{ID: e.mark, Camera: d.Camera, From: from, To: to, Class: Event, Reason: strings.ToValidUTF8(d.What, ""), At: now})
	}
	return a.prolong(next)
}

// prolong gives a mark that is not kept yet another end.
func (a *Archive) prolong(m Mark) error {
	if err := writeChecked(a.markPath(m.ID), m); err != nil {
		return fmt.Errorf("prolong mark %q: %w", m.ID, err)
	}
	a.mu.Lock()
	if have := a.marks[m.ID]; have != nil && !have.Kept {
		have.To = m.To
	}
	a.mu.Unlock()
	a.wakeKeeper()
	return nil
}

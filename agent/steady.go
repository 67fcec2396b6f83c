package agent

import (
	"context"
	"sync"
	"time"

	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
)

// The node's own line of time. Deadlines lie on it, so that a clock which is set,
// or was never right, neither brings them nearer nor puts them off. While the
// program runs it follows the machine's monotonic clock. The time during which it
// did not run is told by the wall clock alone, and believed when it is plausible.

const (
	// keepSteadyEvery is how often the place on the line is stored. A kill and a
	// step of the clock together put deadlines off by so much at most.
	keepSteadyEvery = 30 * time.Second
	// longestStop is the longest time between two lives that is believed.
	longestStop = 7 * 24 * time.Hour
	// firstTick is where the line begins.
	firstTick = alarm.Tick(time.Hour)
)

// steadyMark is a place on the line as it is stored.
type steadyMark struct {
	Tick alarm.Tick `json:"tick"`
	Wall time.Time  `json:"wall"`
}

// steady is the line of this life.
type steady struct {
	mu      sync.Mutex
	elapsed func() time.Duration // since this life began
	began   alarm.Tick           // zero until it is read
	until   time.Time            // of the life before, on the wall; zero is not known
	last    alarm.Tick
}

// moment is now, on both lines of time.
func (a *Agent) moment(tx *store.Tx) (alarm.Now, error) {
	s := &a.steady
	s.mu.Lock()
	defer s.mu.Unlock()
	elapsed, wall := s.elapsed(), a.now()
	if s.began == 0 {
		mark, known, err := store.Get[steadyMark](tx, steadyKey)
		if err != nil {
			return alarm.Now{}, err
		}
		s.began = firstTick
		if known {
			s.began, s.until = mark.Tick, mark.Wall
			if stopped := wall.Sub(mark.Wall) - elapsed; stopped > 0 && stopped < longestStop {
				s.began = s.began.Add(stopped)
			}
		}
	}
	s.last = max(s.last, s.began.Add(elapsed))
	return alarm.Now{Tick: s.last, Wall: wall}, nil
}

// ranUntil is until when the program ran the last time; zero is not known. moment must
// have been asked before.
func (a *Agent) ranUntil() time.Time {
	a.steady.mu.Lock()
	defer a.steady.mu.Unlock()
	return a.steady.until
}

// markSteady stores where the line is.
func markSteady(tx *store.Tx, now alarm.Now) error {
	return store.Put(tx, steadyKey, steadyMark{Tick: now.Tick, Wall: now.Wall.Round(0)})
}

// keepSteady stores where the line is now.
func (a *Agent) keepSteady(ctx context.Context) error {
	return a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		now, err := a.moment(tx)
		if err != nil {
			return err
		}
		return markSteady(tx, now)
	})
}

// nowIn is moment outside a transaction.
func (a *Agent) nowIn() (now alarm.Now, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		now, err = a.moment(tx)
		return err
	})
	return now, err
}

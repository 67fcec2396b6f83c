package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
)

// Deadlines of alarms are records in the order of their time on the node's own
// line. One loop carries out what is due; it begins where the last life ended. A
// deadline that was moved leaves nothing behind: whoever sets one takes the one
// before away in the same transaction.

// timer is one deadline. What it means stands with what it is about.
type timer struct {
	What   string            `json:"what"`
	Sensor string            `json:"sensor,omitempty"` // or the station
	Kind   station.AlarmKind `json:"kind,omitempty"`
	// After is where to go on, for what is done a part at a time.
	After store.Key `json:"after,omitempty"`
}

// What deadlines are about.
const (
	timerCondition = "condition" // a delay, chatter, a shelf
	timerService   = "service"   // the end of a sensor's maintenance or trial
	timerFlood     = "flood"     // few alarms again
	timerRearm     = "rearm"     // further conditions are watched from now on
	timerBridge    = "bridge"    // further sensors are behind a bridge that is back
	timerNode      = "node"      // a station was silent, or away, for long enough
)

const (
	// timerPoll is the longest time between two looks: schedules begin and end by
	// the wall clock, which may be set at any time.
	timerPoll = time.Second
	// timersAtOnce bounds one transaction.
	timersAtOnce = 50
	// timerRetry is how long one that could not be met is put off.
	timerRetry = time.Minute
)

func timerKey(t timer, due alarm.Tick) store.Key {
	return key(timerTable, fmt.Sprintf("%016x", int64(due)), t.What, t.Sensor, string(t.Kind))
}

// dueOf is the time in a timer's key.
func dueOf(k store.Key) (due alarm.Tick) {
	text, _, _ := strings.Cut(strings.TrimPrefix(string(k), string(timerTable)), "/")
	_, _ = fmt.Sscanf(text, "%x", (*int64)(&due)) // we wrote it
	return due
}

// moveTimer takes the deadline at before away and sets the one at due; zero is none.
func (a *Agent) moveTimer(tx *store.Tx, t timer, before, due alarm.Tick) error {
	if before != 0 {
		if err := tx.Delete(timerKey(t, before)); err != nil {
			return err
		}
	}
	if due == 0 {
		return nil
	}
	return store.Put(tx, timerKey(t, due), t)
}

// runTimers carries out deadlines and the edges of schedules until ctx ends.
func (a *Agent) runTimers(ctx context.Context) error {
	kept := time.Time{}
	full := false
	for {
		wait, err := a.fireTimers(ctx)
		if err == nil {
			err = a.turnSchedules(ctx)
		}
		if err == nil && time.Since(kept) >= keepSteadyEvery {
			kept = time.Now()
			err = a.keepSteady(ctx)
		}
		switch {
		case err == nil:
			full = false
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, station.ErrNoSpace):
			if !full { // once; the disk's own alarm says the rest
				a.log.Error("no room for what the timers do", "err", err)
			}
			full, wait = true, timerPoll
		default:
			return err
		}
		next := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			next.Stop()
			return nil
		case <-next.C:
		}
	}
}

// fireTimers carries out what is due and returns how long to wait for the next.
func (a *Agent) fireTimers(ctx context.Context) (time.Duration, error) {
	for {
		// A look outside a transaction costs the disk nothing.
		now, err := a.nowIn()
		if err != nil {
			return 0, err
		}
		due, wait, err := a.dueTimers(now)
		if err != nil || len(due) == 0 {
			return wait, err
		}
		if err := a.fireAll(ctx, due); err != nil {
			return 0, err
		}
		if len(due) < timersAtOnce {
			return 0, nil
		}
	}
}

// fireAll carries out deadlines, in one transaction when that is possible. One that
// cannot be carried out is put off, and does not keep the others waiting.
func (a *Agent) fireAll(ctx context.Context, due []store.Key) error {
	var change reportChange
	err := a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		change = reportChange{}
		now, err := a.moment(tx)
		if err != nil {
			return err
		}
		for _, k := range due {
			t, ok, err := store.Get[timer](tx, k)
			if err != nil {
				return err
			}
			if !ok {
				continue // moved in the meantime
			}
			if err := tx.Delete(k); err != nil {
				return err
			}
			if err := a.fire(tx, now, t, &change); err != nil {
				return fmt.Errorf("deadline %s of %s: %w", t.What, t.Sensor, err)
			}
		}
		return nil
	})
	switch {
	case err == nil:
		a.afterReport(change)
		return nil
	case ctx.Err() != nil, errors.Is(err, station.ErrNoSpace), errors.Is(err, store.ErrBroken), errors.Is(err, store.ErrClosed):
		return err // it would be the same for each
	case len(due) > 1: // one of them, or all together are too large
		for _, part := range [][]store.Key{due[:len(due)/2], due[len(due)/2:]} {
			if err := a.fireAll(ctx, part); err != nil {
				return err
			}
		}
		return nil
	}
	a.log.Error("a deadline cannot be met; it is tried again", "key", string(due[0]), "after", timerRetry, "err", err)
	return a.putOff(ctx, due[0])
}

// putOff has a deadline come again after a while.
func (a *Agent) putOff(ctx context.Context, k store.Key) error {
	return a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		now, err := a.moment(tx)
		if err != nil {
			return err
		}
		t, ok, err := store.Get[timer](tx, k)
		if err == nil && ok {
			err = a.moveTimer(tx, t, 0, now.Tick.Add(timerRetry))
		}
		if err != nil {
			a.log.Error("a deadline is given up", "key", string(k), "err", err)
		}
		return tx.Delete(k)
	})
}

// dueTimers lists the deadlines that have come, and tells how long it is until
// the next look if there are none.
func (a *Agent) dueTimers(now alarm.Now) (due []store.Key, wait time.Duration, err error) {
	wait = timerPoll
	err = a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, timerTable, func(k store.Key, _ timer) error {
			if at := dueOf(k); at > now.Tick {
				wait = min(wait, time.Duration(at-now.Tick))
				return store.ErrStop
			}
			if due = append(due, k); len(due) == timersAtOnce {
				return store.ErrStop
			}
			return nil
		})
	})
	return due, wait, err
}

// fire carries out one deadline.
func (a *Agent) fire(tx *store.Tx, now alarm.Now, t timer, change *reportChange) error {
	switch t.What {
	case timerCondition:
		return a.fireCondition(tx, now, t, change)
	case timerService:
		return a.endService(tx, now, t.Sensor, change)
	case timerFlood:
		return a.endFlood(tx, now)
	case timerRearm:
		return a.rearm(tx, now, t.After, change)
	case timerNode:
		return a.nodeDue(tx, now, station.NodeID(t.Sensor), change)
	case timerBridge:
		return a.bridgeIsBack(tx, now, t.Sensor, change)
	}
	return nil // of a newer version
}

func (a *Agent) fireCondition(tx *store.Tx, now alarm.Now, t timer, change *reportChange) error {
	sensor, err := sensorOf(tx, &station.Alarm{Sensor: t.Sensor})
	if err != nil {
		return err
	}
	c, quiet, err := a.condition(tx, sensor, t.Kind)
	if err != nil || quiet {
		return err
	}
	for due := c.Due(); due != 0 && due <= now.Tick; due = c.Due() {
		m, err := a.standing(tx, sensor, t.Kind, c.Why.Timing)
		if err != nil {
			return err
		}
		out := c.Tick(now, m, a.cfg.Alarms)
		if err := a.follow(tx, now, c, out, "", change); err != nil {
			return err
		}
	}
	if c.Alarm != nil && c.ShowAt == 0 { // the bridge is away again
		if err := noteBridged(tx, sensor, c.Alarm); err != nil {
			return err
		}
	}
	return a.follow(tx, now, c, alarm.Outcome{}, "", change)
}

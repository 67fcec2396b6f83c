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
	Sensor string            `json:"sensor,omitempty"`
	Kind   station.AlarmKind `json:"kind,omitempty"`
}

// What deadlines are about.
const (
	timerCondition = "condition" // a delay, chatter, a shelf
	timerService   = "service"   // the end of a sensor's maintenance or trial
	timerFlood     = "flood"     // few alarms again
)

const (
	// timerPoll is the longest time between two looks: schedules begin and end by
	// the wall clock, which may be set at any time.
	timerPoll = time.Second
	// timersAtOnce bounds one transaction.
	timersAtOnce = 50
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
		found := len(due)
		var change reportChange
		for {
			if change, err = a.fireAll(ctx, due); !tooLarge(err) || len(due) == 1 {
				break
			}
			due = due[:len(due)/2] // more than a transaction holds; the others come with the next look
		}
		if err != nil {
			return 0, err
		}
		a.afterReport(change)
		if found < timersAtOnce && len(due) == found {
			return 0, nil
		}
	}
}

// fireAll carries out deadlines in one transaction.
func (a *Agent) fireAll(ctx context.Context, due []store.Key) (change reportChange, err error) {
	err = a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
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
	return change, err
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
	return a.follow(tx, now, c, alarm.Outcome{}, "", change)
}

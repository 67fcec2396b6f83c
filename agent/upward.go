package agent

import (
	"context"
	"slices"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// What the uplink needs of the journal.

// AnnounceTo begins to serve a target: from now on the journal is kept until the
// target has it, and what is set up already is announced. That it was announced
// is noted afterwards; an announcement that was cut off is made again.
func (a *Agent) AnnounceTo(ctx context.Context, target string, lanes ...station.Lane) error {
	told := false
	if len(lanes) == 0 {
		lanes = station.Lanes()
	}
	err := a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) (err error) {
		for _, lane := range lanes {
			c, err := tx.Cursor(target, lane)
			if err != nil {
				return err
			}
			if !c.At.IsZero() {
				continue
			}
			if err := tx.PutCursor(c); err != nil {
				return err
			}
		}
		_, told, err = store.Get[time.Time](tx, key(targetTable, target))
		return err
	})
	if err != nil || told {
		return err
	}
	if err := a.Announce(ctx); err != nil {
		return err
	}
	return a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		return store.Put(tx, key(targetTable, target), a.now())
	})
}

// Serve begins to serve a target beside the parent in the lanes that it gets. A
// web service is told of what happens from now on; another centre gets what the
// journal still holds.
func (a *Agent) Serve(ctx context.Context, target string, fromNow bool, lanes ...station.Lane) error {
	return a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		for _, lane := range lanes {
			c, err := tx.Cursor(target, lane)
			if err != nil {
				return err
			}
			if !c.At.IsZero() {
				continue
			}
			if fromNow {
				c.Seq = tx.Next() - 1
			}
			if err := tx.PutCursor(c); err != nil {
				return err
			}
		}
		return nil
	})
}

// ServeOnly forgets the cursors of targets, and of their lanes, that are no longer
// served: nothing is kept for them. It names what it has forgotten.
func (a *Agent) ServeOnly(ctx context.Context, served map[string][]station.Lane) (forgotten []string, err error) {
	err = a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		forgotten = nil
		cursors, err := tx.Cursors()
		if err != nil {
			return err
		}
		for _, c := range cursors {
			if slices.Contains(served[c.Target], c.Lane) {
				continue
			}
			if err := tx.DeleteCursor(c.Target, c.Lane); err != nil {
				return err
			}
			forgotten = append(forgotten, c.Target+"/"+string(c.Lane))
		}
		return nil
	})
	if err != nil {
		return nil, err // it may still be running
	}
	return forgotten, nil
}

// AdvanceBeside moves a cursor of a target that is not the parent: what it has got
// says nothing about alarms.
func (a *Agent) AdvanceBeside(ctx context.Context, c store.Cursor) error {
	c.At = a.now()
	return a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error { return tx.PutCursor(c) })
}

// markAtOnce bounds how many alarms are marked in one transaction: after an
// outage a cursor may move over more than one can hold.
const markAtOnce = 100

// Advance moves a cursor behind what its target has stored. Alarms that the
// target has got are marked so for the desk, before it or with it. A cursor that
// goes back to before what the journal still holds is of a target that was
// replaced: it is told everything that is set up once more.
func (a *Agent) Advance(ctx context.Context, c store.Cursor) error {
	before := store.Cursor{}
	err := a.store.View(func(tx *store.Tx) (err error) {
		before, err = tx.Cursor(c.Target, c.Lane)
		return err
	})
	if err != nil {
		return err
	}
	if before.Epoch != c.Epoch {
		before.Seq = 0 // a number of an earlier life
	}
	if c.Lane == station.LaneNormal && c.Seq < before.Seq && c.Seq+1 < a.store.Tail(c.Lane) {
		if err := a.Announce(ctx); err != nil {
			return err
		}
	}
	var raised []string
	if c.Lane != station.LaneBulk {
		if raised, err = a.raisedIn(c.Lane, before.Seq, c.Seq); err != nil {
			return err
		}
	}
	c.At = a.now()
	for ; len(raised) > markAtOnce; raised = raised[markAtOnce:] {
		err := a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
			return markReceived(tx, raised[:markAtOnce], c.At)
		})
		if err != nil {
			return err
		}
	}
	if c.Lane == station.LaneUrgent {
		// What cannot be noted is noted with a later cursor: the line must not stand
		// still for it.
		if err := a.parentConfirmed(ctx, c.Seq, c.At); err != nil {
			a.log.Error("that the parent has an alarm was not noted", "err", err)
		}
	}
	// A cursor that moves lets the journal be trimmed: whatever its lane, it may
	// use the reserve.
	return a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		if err := markReceived(tx, raised, c.At); err != nil {
			return err
		}
		return tx.PutCursor(c)
	})
}

// raisedIn lists the alarms that a lane tells were raised behind after and up to upTo.
func (a *Agent) raisedIn(lane station.Lane, after, upTo uint64) (ids []string, err error) {
	for after < upTo {
		events, err := a.store.Read(after, 500, lane)
		if err != nil {
			return nil, err
		}
		if len(events) == 0 {
			break
		}
		for _, ev := range events {
			if after = ev.Seq; after > upTo {
				break
			}
			if id, ok := strings.CutPrefix(ev.Subject, "alarm/"); ok && ev.Type == station.EventAlarmRaised {
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}

// markReceived notes that the target has got these alarms.
func markReceived(tx *store.Tx, ids []string, at time.Time) error {
	for _, id := range ids {
		alarm, ok, err := store.Get[station.Alarm](tx, key(alarmTable, id))
		if err != nil {
			return err
		}
		if !ok || !alarm.CentreAt.IsZero() {
			continue
		}
		alarm.CentreAt = at
		if err := store.Put(tx, key(alarmTable, id), alarm); err != nil {
			return err
		}
		if err := appendEvent(tx, station.LaneNormal, station.EventAlarmReceived, "alarm/"+id, "", at, alarm); err != nil {
			return err
		}
	}
	return nil
}

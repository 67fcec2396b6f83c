package agent

import (
	"context"

	"stationd/agent/station"
	"stationd/agent/store"
)

// What the uplink needs of the journal.

// Advance moves a cursor behind what its target has stored. Alarms that the
// target has got are marked so for the desk, in the same transaction.
func (a *Agent) Advance(ctx context.Context, c store.Cursor) error {
	before := store.Cursor{}
	err := a.store.View(func(tx *store.Tx) (err error) {
		before, err = tx.Cursor(c.Target, c.Lane)
		return err
	})
	if err != nil {
		return err
	}
	var raised []string
	if c.Lane == station.LaneUrgent && before.Epoch == c.Epoch {
		for after := before.Seq; after < c.Seq; {
			events, err := a.store.Read(after, 500, station.LaneUrgent)
			if err != nil {
				return err
			}
			if len(events) == 0 {
				break
			}
			for _, ev := range events {
				if after = ev.Seq; after > c.Seq {
					break
				}
				if ev.Type == station.EventAlarmRaised {
					raised = append(raised, ev.Subject[len("alarm/"):])
				}
			}
		}
	}
	c.At = a.now()
	// A cursor that moves lets the journal be trimmed: whatever its lane, it may
	// use the reserve.
	return a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		for _, id := range raised {
			alarm, ok, err := store.Get[station.Alarm](tx, key(alarmTable, id))
			if err != nil {
				return err
			}
			if !ok || !alarm.CentreAt.IsZero() {
				continue
			}
			alarm.CentreAt = c.At
			if err := store.Put(tx, key(alarmTable, id), alarm); err != nil {
				return err
			}
			if err := appendEvent(tx, station.LaneNormal, station.EventAlarmReceived, "alarm/"+id, "", c.At, alarm); err != nil {
				return err
			}
		}
		return tx.PutCursor(c)
	})
}

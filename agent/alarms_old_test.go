package agent_test

import (
	"context"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
)

// An older version ran in between: it has raised an alarm, and knows neither of
// its condition's record nor of the lists.
func TestAnAlarmOfAnOlderVersionEnds(t *testing.T) {
	l := newLife(t, t.TempDir(), time.Time{})
	l.addSensor("d", station.ClassDoor)
	l.report("d", station.KindOffline, true)
	l.report("d", station.KindOffline, false)
	l.start()() // what is here is entered
	l.report("d", station.KindOffline, true)
	al := l.live()[0]
	err := l.store.Update(context.Background(), station.LaneUrgent, func(tx *store.Tx) error {
		rec, _, err := store.Get[alarm.Record](tx, "cond/d/offline")
		if err != nil {
			return err
		}
		rec.Live, rec.Holds, rec.Entered = false, false, false
		if err := store.Put(tx, "cond/d/offline", rec); err != nil {
			return err
		}
		if err := tx.Delete(store.Key("bykind/offline/" + al.ID)); err != nil {
			return err
		}
		return tx.Delete(store.Key("bysensor/d/" + al.ID))
	})
	if err != nil {
		t.Fatal(err)
	}
	l = l.end(time.Minute)
	stop := l.start()
	l.eventually(func() bool {
		page, err := l.FindAlarms(agent.AlarmFilter{Sensor: "d", Limit: 10})
		return err == nil && len(page.Alarms) == 2
	})
	stop()
	l.report("d", station.KindOffline, false)
	if live := l.live(); len(live) != 0 {
		t.Errorf("it is heard again, and still called silent: %+v", live)
	}
}

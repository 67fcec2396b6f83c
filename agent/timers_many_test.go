package agent_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// A whole estate begins to be watched at one moment: it does not fit into one
// transaction, and must not have to.
func TestAnEstateIsArmedAtOnce(t *testing.T) {
	l := newLife(t, t.TempDir(), time.Time{})
	l.must(l.do(station.CommandPutSchedule, "night", station.Schedule{ID: "night", Name: "夜间", Windows: []station.Window{{From: "22:00", To: "06:00"}}}))
	const sensors = 300
	for i := range sensors {
		id := fmt.Sprintf("d%03d", i)
		l.addSensor(id, station.ClassDoor)
		l.report(id, station.KindDoor, true, held(station.Timing{Schedule: "night"}), func(r *station.Report) {
			r.Values = map[string]station.Value{"note": strings.Repeat("x", 2000)}
		})
	}
	l.pass(13 * time.Hour)
	for range 10 {
		l.fire()
	}
	all, err := l.AllLiveAlarms()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, al := range all {
		if al.Kind == station.KindDoor {
			n++
		}
	}
	if n != sensors {
		t.Errorf("%d of %d doors that stand open raised their alarm", n, sensors)
	}
}

// One deadline that cannot be met keeps no other waiting, and deadlines whose
// alarms are too much for one transaction are met in several.
func TestOneDeadlineDoesNotHoldUpTheOthers(t *testing.T) {
	l := newLife(t, t.TempDir(), time.Time{})
	const sensors = 48
	for i := range sensors {
		id := fmt.Sprintf("t%03d", i)
		l.addSensor(id, station.ClassTemperature)
		l.report(id, station.KindTemperature, true, held(station.Timing{For: time.Minute}), func(r *station.Report) {
			r.Values = map[string]station.Value{"note": strings.Repeat("x", 12_000)}
		})
	}
	err := l.store.Update(context.Background(), station.LaneUrgent, func(tx *store.Tx) error {
		return store.Put(tx, "cond/t007/temperature", "damaged")
	})
	if err != nil {
		t.Fatal(err)
	}
	l.pass(2 * time.Minute)
	all, err := l.AllLiveAlarms()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, al := range all {
		if al.Kind == station.KindTemperature {
			n++
		}
	}
	if n != sensors-1 {
		t.Errorf("%d alarms, want %d", n, sensors-1)
	}
	l.fire() // and the station lives on
}

// More sensors are behind a bridge than fit into one transaction; when it goes
// away once more before they are told of, they are still hidden behind it.
func TestABridgeOfManyIsBack(t *testing.T) {
	l := newLife(t, t.TempDir(), time.Time{})
	l.addSensor("b", station.ClassOther)
	const sensors = 250
	for i := range sensors {
		id := fmt.Sprintf("s%03d", i)
		l.must(l.do(station.CommandPutSensor, id, station.Sensor{
			ID: id, Name: id, Place: id, Class: station.ClassDoor, Bridge: "b",
			Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "json", Topic: "x/" + id},
		}))
	}
	l.report("b", station.KindOffline, true)
	for i := range sensors {
		l.report(fmt.Sprintf("s%03d", i), station.KindOffline, true)
	}
	shown := func() (n int) {
		for _, al := range l.live() {
			if al.Sensor != "b" && al.Sensor != "" {
				n++
			}
		}
		return n
	}
	l.report("b", station.KindOffline, false)
	l.pass(5 * time.Minute)
	l.report("b", station.KindOffline, true)
	l.pass(6 * time.Minute)
	if n := shown(); n != 0 {
		t.Fatalf("%d sensors are shown as silent while their bridge is", n)
	}
	l.report("b", station.KindOffline, false)
	l.fire()
	l.pass(11 * time.Minute)
	if n := shown(); n != sensors {
		t.Errorf("%d of %d sensors that stayed silent are shown", n, sensors)
	}
}

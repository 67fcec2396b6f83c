package agent_test

import (
	"testing"

	"stationd/agent/station"
)

// What a broker has kept while nobody took it tells how things stand. It is news where
// people may be in danger, and says that it may be old; else it is not, until the
// sensor says so again.
func TestWhatHasWaitedIsNoNews(t *testing.T) {
	r := newRig(t)
	r.addSensor("door", station.ClassDoor)
	r.addSensor("smoke", station.ClassSmoke)
	waited := func(rep *station.Report) { rep.Waited, rep.Live = true, false }
	r.report("door", station.KindTamper, true, waited)
	r.report("smoke", station.KindSmoke, true, waited)
	of := func(sensor string) (found station.Alarm) {
		for _, a := range r.live() {
			if a.Sensor == sensor {
				found = a
			}
		}
		return found
	}
	if a := of("door"); !a.Late || !a.Waited {
		t.Errorf("a cover that was opened some time: %+v", a)
	}
	if a := of("smoke"); a.ID == "" || a.Late || !a.Waited {
		t.Errorf("smoke of an unknown time must be heard, and say so: %+v", a)
	}
	r.report("door", station.KindTamper, true)
	r.report("smoke", station.KindSmoke, true)
	for _, sensor := range []string{"door", "smoke"} {
		if a := of(sensor); a.ID == "" || a.Late || a.Waited {
			t.Errorf("%s holds now: %+v", sensor, a)
		}
	}
	r.addSensor("other", station.ClassDoor)
	r.report("other", station.KindTamper, true, waited)
	r.report("other", station.KindTamper, false, waited)
	r.report("other", station.KindTamper, true)
	if a := of("other"); a.ID == "" || a.Late {
		t.Errorf("what began and ended in the past must not swallow what begins now: %+v", a)
	}
}

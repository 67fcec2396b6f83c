package agent_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"stationd/agent"
	"stationd/agent/station"
)

// TestABridgeNeedsNoName: while it is away its sensors are not reported as silent,
// so its own alarm must not wait until somebody has named it.
func TestABridgeNeedsNoName(t *testing.T) {
	r := newRig(t, func(c *agent.Config, _ *agent.Deps) { c.MaxUnknown = 0 })
	r.report("zigbee2mqtt", station.KindOffline, true, func(rep *station.Report) {
		rep.Unknown = &station.Sensor{Name: "Zigbee2MQTT", Class: station.ClassOther, SilentAfter: -1, Adopted: true}
	})
	if live := r.live(); len(live) != 1 || live[0].Kind != station.KindOffline {
		t.Fatalf("the bridge is away, and nobody is told: %+v", live)
	}
	r.report("zigbee2mqtt", station.KindOffline, false)
	if live := r.live(); len(live) != 0 {
		t.Fatalf("the bridge is back: %+v", live)
	}
}

// TestABrokerThatIsAwayIsTheStationsAlarm: nobody else would say so.
func TestABrokerThatIsAwayIsTheStationsAlarm(t *testing.T) {
	r := newRig(t)
	broker := func(rep *station.Report) { rep.Values = map[string]station.Value{"broker": "yard"} }
	r.report("", station.KindOffline, true, broker)
	r.report("", station.KindOffline, true, broker)
	live := r.live()
	if len(live) != 1 || live[0].Kind != station.KindOffline || live[0].Sensor != "" || live[0].Place != "MQTT yard" || live[0].Name == "" {
		t.Fatalf("%+v", live)
	}
	r.report("", station.KindOffline, false)
	if live := r.live(); len(live) != 0 {
		t.Fatalf("it is back: %+v", live)
	}
}

// A device that invents field after field must not grow until nothing of it can be
// stored any more, its fire least of all.
func TestASensorsStateIsBounded(t *testing.T) {
	r := newRig(t)
	r.addSensor("s", station.ClassSmoke)
	for i := range 40 {
		values := map[string]station.Value{}
		for j := range 60 {
			values[fmt.Sprintf("%d-%d-%s", i, j, strings.Repeat("x", 240))] = strings.Repeat("y", 250)
		}
		err := r.HandleReport(context.Background(), station.Report{Sensor: "s", Received: r.clock.now(), Live: true, Values: values})
		if err != nil {
			t.Fatalf("report %d: %v", i, err)
		}
	}
	r.report("s", station.KindSmoke, true)
	if len(r.live()) != 1 {
		t.Fatal("the fire is lost")
	}
}

// However often it was said that an alarm was received: it can still be judged, or
// it would never end.
func TestAnAlarmCanAlwaysBeJudged(t *testing.T) {
	r := newRig(t)
	r.addSensor("s", station.ClassSmoke)
	r.report("s", station.KindSmoke, true)
	r.report("s", station.KindSmoke, false)
	id := r.live()[0].ID
	for rec := r.answer(id, station.AnswerReceived); rec.Problem == nil; rec = r.answer(id, station.AnswerReceived) {
	}
	r.must(r.answer(id, station.AnswerFalse))
	if len(r.live()) != 0 {
		t.Error("it does not end")
	}
}

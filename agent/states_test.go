package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"stationd/agent/station"
)

// What no longer can end by itself must not stay on the desk for ever.
func TestRemovedSensorLeavesNoAlarmBehind(t *testing.T) {
	r := newRig(t)
	r.addSensor("d", station.ClassDoor)
	r.addSensor("a", station.ClassSmoke)
	r.addSensor("a2", station.ClassSmoke)
	r.report("d", station.KindDoor, true)
	r.report("d", station.KindOffline, true)
	r.report("a", station.KindSmoke, true)
	r.report("a2", station.KindSmoke, true)
	r.must(r.do(station.CommandRemoveSensor, "d", nil))
	r.must(r.do(station.CommandRemoveSensor, "a", nil))
	live := r.live()
	if len(live) != 2 {
		t.Fatalf("an alarm of a sensor that was removed stays: %+v", live)
	}
	for _, al := range live {
		if ended := !al.ReturnedAt.IsZero(); ended != (al.Sensor == "a") {
			t.Errorf("%s: ended %v", al.Sensor, ended)
		}
	}
}

// A rule that is taken away cannot say any more that its alarm is over.
func TestAlarmOfARuleThatIsGoneEnds(t *testing.T) {
	r := newRig(t)
	put := func(rules ...station.Rule) {
		t.Helper()
		r.must(r.do(station.CommandPutSensor, "x", station.Sensor{
			ID: "x", Name: "x", Class: station.ClassOther, Rules: rules,
			Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "json", Topic: "x"},
		}))
	}
	level := station.Rule{Kind: station.KindLevel, Field: "level", Op: "gt", Value: 3.0}
	water := station.Rule{Kind: station.KindWater, Field: "water", Op: "eq", Value: true}
	put(level, water)
	r.report("x", station.KindLevel, true)
	r.report("x", station.KindWater, true)
	r.report("x", station.KindSmoke, true) // by a default rule, say
	r.report("x", station.KindOffline, true)
	put(level, water)
	if n := len(r.live()); n != 4 {
		t.Fatalf("%d alarms live after a change of nothing", n)
	}
	put(water)
	kinds := map[station.AlarmKind]bool{}
	for _, al := range r.live() {
		kinds[al.Kind] = al.ReturnedAt.IsZero()
	}
	want := map[station.AlarmKind]bool{station.KindWater: true, station.KindOffline: true, station.KindSmoke: false}
	if fmt.Sprint(kinds) != fmt.Sprint(want) {
		t.Errorf("conditions that hold: %v, want %v", kinds, want)
	}
}

// What a backlog tells of before the alarm does not end it.
func TestOldNewsDoesNotEndAnAlarm(t *testing.T) {
	r := newRig(t)
	r.addSensor("d", station.ClassDoor)
	old := func(before time.Duration) func(*station.Report) {
		return func(rep *station.Report) { rep.Late, rep.DeviceTime = true, r.clock.now().Add(-before) }
	}
	r.report("d", station.KindDoor, true)
	r.report("d", station.KindDoor, false, old(time.Hour))
	if len(r.live()) != 1 {
		t.Fatal("an open door was shut by what was sent an hour before")
	}
	r.report("d", station.KindDoor, false)
	r.report("d", station.KindDoor, true, old(3*time.Hour))
	r.report("d", station.KindDoor, false, old(2*time.Hour))
	if live := r.live(); len(live) != 0 {
		t.Fatalf("a backlog that tells of an alarm and its end leaves it: %+v", live)
	}
}

// An alarm that says that the store was damaged ends when somebody has read it:
// nothing else can end it.
func TestStoreAlarmEndsWhenItIsRead(t *testing.T) {
	dir := t.TempDir()
	before := newRigOn(t, dir, nil)
	before.addSensor("a", station.ClassSmoke)
	if err := before.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "core", "MANIFEST"), []byte("no longer a manifest"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "core.manifest")); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, dir, nil)
	stop := r.start()
	defer stop()
	for len(r.live()) == 0 {
		time.Sleep(time.Millisecond)
	}
	alarm := r.live()[0]
	if alarm.Kind != station.KindStore {
		t.Fatalf("%+v", alarm)
	}
	r.must(r.answer(alarm.ID, station.AnswerReceived))
	if live := r.live(); len(live) != 0 {
		t.Fatalf("it stays for ever: %+v", live)
	}
	r.must(r.answer(alarm.ID, station.AnswerUndo))
	if live := r.live(); len(live) != 1 || live[0].State != station.StateRaised {
		t.Fatalf("taken back, it is not there again: %+v", live)
	}
}

// The receipt shows the alarm as it is after the answer.
func TestReceiptOfAnAnswer(t *testing.T) {
	r := newRig(t)
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	rec := r.must(r.answer(r.live()[0].ID, station.AnswerReceived))
	var alarm station.Alarm
	if err := json.Unmarshal(rec.Result, &alarm); err != nil || alarm.State != station.StateAcknowledged {
		t.Fatalf("%s %v", rec.Result, err)
	}
}

// An alarm must always be small enough to be stored: else its sensor is mute.
func TestAnswersAreBounded(t *testing.T) {
	r := newRig(t)
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	id := r.live()[0].ID
	note := strings.Repeat("烟", 500)
	var last station.Receipt
	for range 1000 {
		if last = r.do(station.CommandAnswerAlarm, id, station.AnswerOrder{Kind: station.AnswerCalled, Note: note}); last.Problem != nil {
			break
		}
	}
	if last.Problem == nil || last.Problem.Code != "answer.many" {
		t.Fatalf("%+v", last.Problem)
	}
	r.report("a", station.KindSmoke, false)
	if live := r.live(); len(live) != 1 || live[0].ReturnedAt.IsZero() {
		t.Fatalf("%+v", live)
	}
}

// A slip about an alarm that is over can be taken back whatever came since.
func TestUndoOfAJudgementOnAClosedAlarm(t *testing.T) {
	r := newRig(t)
	r.addSensor("d", station.ClassDoor)
	r.report("d", station.KindDoor, true)
	id := r.live()[0].ID
	r.report("d", station.KindDoor, false)
	r.must(r.answer(id, station.AnswerReal))
	r.report("d", station.KindDoor, true)
	r.must(r.answer(id, station.AnswerUndo))
	if live := r.live(); len(live) != 1 || live[0].ID == id {
		t.Fatalf("%+v", live)
	}

	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	smoke := r.live()[0].ID
	r.report("a", station.KindSmoke, false)
	r.must(r.answer(smoke, station.AnswerFalse))
	r.report("a", station.KindSmoke, true)
	if rec := r.answer(smoke, station.AnswerUndo); rec.Problem == nil || rec.Problem.Code != "answer.superseded" {
		t.Fatalf("two live alarms of one sensor and kind: %+v", rec)
	}
}

func TestRemovedCameraIsTakenFromItsSensors(t *testing.T) {
	r := newRig(t)
	for _, c := range []string{"c1", "c2"} {
		r.must(r.do(station.CommandPutCamera, c, map[string]any{"id": c, "name": c, "url": "rtsp://127.0.0.1/x"}))
	}
	sensor := station.Sensor{ID: "a", Name: "烟感", Class: station.ClassSmoke, Cameras: []string{"c1", "c2"}, Source: station.SensorSource{Broker: "embedded", Family: "json", Topic: "t"}}
	r.must(r.do(station.CommandPutSensor, "a", sensor))
	r.must(r.do(station.CommandRemoveCamera, "c1", nil))
	list, err := r.Sensors()
	if err != nil || len(list) != 1 || fmt.Sprint(list[0].Sensor.Cameras) != "[c2]" {
		t.Fatalf("%+v %v", list, err)
	}
	r.must(r.do(station.CommandPutSensor, "a", list[0].Sensor)) // as a form sends it back
}

// Everything that a station of the largest size has set up is announced.
func TestAnnounceALargeStation(t *testing.T) {
	r := newRig(t)
	const sensors = 800 // more than one transaction holds
	var wg sync.WaitGroup
	for i := range sensors {
		wg.Go(func() {
			rep := station.Report{
				Sensor: fmt.Sprintf("s%04d", i), Received: r.clock.now(), Live: true,
				Unknown: &station.Sensor{Name: strings.Repeat("名", 60), Place: strings.Repeat("地", 100), Class: station.ClassSmoke},
				Signals: []station.Signal{{Kind: station.KindSmoke, Active: true}},
			}
			if err := r.HandleReport(context.Background(), rep); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	before := r.store.Head()
	if err := r.Announce(context.Background()); err != nil {
		t.Fatal(err)
	}
	// Each sensor and its alarm, and that there are so many.
	if n := r.store.Head() - before; n != 2*sensors+1 {
		t.Errorf("%d events, want %d", n, 2*sensors+1)
	}
}

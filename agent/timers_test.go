package agent_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/station"
)

// uptime is a clock that nobody sets.
type uptime struct {
	mu sync.Mutex
	d  time.Duration
}

func (u *uptime) elapsed() time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.d
}

func (u *uptime) add(d time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.d += d
}

// life is a rig with both clocks, on a directory that lives longer than it.
type life struct {
	*rig
	up uptime
}

func newLife(t *testing.T, dir string, at time.Time) *life {
	t.Helper()
	l := &life{}
	l.rig = newRigOn(t, dir, nil, func(_ *agent.Config, d *agent.Deps) { d.Elapsed = l.up.elapsed })
	if !at.IsZero() {
		l.clock.at = at
	}
	return l
}

// pass lets time pass by both clocks and meets the deadlines.
func (l *life) pass(d time.Duration) {
	l.t.Helper()
	l.up.add(d)
	l.clock.add(d)
	l.fire()
}

func (l *life) fire() {
	l.t.Helper()
	if err := l.Turn(context.Background()); err != nil {
		l.t.Fatal(err)
	}
}

// end ends this life and begins the next one, after a while by the wall clock.
func (l *life) end(after time.Duration) *life {
	l.t.Helper()
	if err := l.store.Close(); err != nil {
		l.t.Fatal(err)
	}
	return newLife(l.t, l.dir, l.clock.now().Add(after))
}

func held(t station.Timing) func(*station.Report) {
	return func(r *station.Report) { r.Signals[0].Timing = t }
}

const year = 365 * 24 * time.Hour

// TestDelaysOutliveRestarts: a delay that runs when the program ends runs on, and
// what the clock is set to makes no difference.
func TestDelaysOutliveRestarts(t *testing.T) {
	five := held(station.Timing{For: 5 * time.Minute, Off: 5 * time.Minute})
	for name, step := range map[string]time.Duration{"right clock": 0, "a year ahead": year, "a year back": -year} {
		t.Run(name, func(t *testing.T) {
			l := newLife(t, t.TempDir(), time.Time{})
			l.addSensor("t", station.ClassTemperature)
			l.report("t", station.KindTemperature, true, five)
			l.pass(2 * time.Minute)
			l.clock.add(step) // while it runs
			l.pass(time.Minute)
			if len(l.live()) > 0 {
				t.Fatal("raised by the clock")
			}
			l = l.end(-step + time.Second) // and while it does not
			l.pass(time.Minute)
			if len(l.live()) > 0 {
				t.Fatal("raised by the clock, over a restart")
			}
			l.pass(90 * time.Second)
			if live := l.live(); len(live) != 1 || live[0].Why == nil || live[0].Place == "" {
				t.Fatalf("the alarm is lost: %+v", live)
			}
			l.report("t", station.KindTemperature, false, five)
			l = l.end(step + time.Second)
			l.pass(4 * time.Minute)
			if len(l.live()) != 1 {
				t.Fatal("ended by the clock")
			}
			l.pass(90 * time.Second)
			if len(l.live()) != 0 {
				t.Fatal("it does not end")
			}
		})
	}
}

// TestShelfEndsInTime: across restarts and steps of the clock, and what it hid is
// told of then.
func TestShelfEndsInTime(t *testing.T) {
	l := newLife(t, t.TempDir(), time.Time{})
	l.addSensor("d", station.ClassDoor)
	l.report("d", station.KindDoor, true)
	id := l.live()[0].ID
	if rec := l.do(station.CommandShelveAlarm, id, station.ShelfOrder{Minutes: 30}); rec.Problem == nil || rec.Problem.Code != "shelf.why" {
		t.Fatalf("a shelf without a reason: %+v", rec)
	}
	l.must(l.do(station.CommandShelveAlarm, id, station.ShelfOrder{Minutes: 30, Why: "搬家"}))
	if len(l.live()) != 0 {
		t.Fatal("it is shown")
	}
	l.pass(10 * time.Minute)
	l.clock.add(year)
	l = l.end(time.Minute)
	l.pass(10 * time.Minute)
	if len(l.live()) != 0 {
		t.Fatal("the shelf ended with the clock")
	}
	l.clock.add(-year)
	l.pass(10 * time.Minute)
	if live := l.live(); len(live) != 1 || live[0].ID != id || live[0].Shelf != nil {
		t.Fatalf("the shelf is over and the door is open: %+v", live)
	}
	l.must(l.do(station.CommandShelveAlarm, id, station.ShelfOrder{Minutes: 30, Why: "搬家"}))
	l.must(l.do(station.CommandUnshelveAlarm, id, nil))
	if len(l.live()) != 1 {
		t.Fatal("taken off, it is not shown")
	}
}

// TestServiceEndsInTime: a sensor in maintenance shows no alarm; when its time is
// over, what holds is shown.
func TestServiceEndsInTime(t *testing.T) {
	l := newLife(t, t.TempDir(), time.Time{})
	l.addSensor("s", station.ClassSmoke)
	l.must(l.do(station.CommandServiceSensor, "s", station.ServiceOrder{Mode: station.ServiceMaintenance, Minutes: 60, Why: "清洗"}))
	l.report("s", station.KindSmoke, true)
	if len(l.live()) != 0 {
		t.Fatal("it is being worked on")
	}
	all, err := l.AllLiveAlarms()
	if err != nil || len(all) != 1 || all[0].Suppressed != "maintenance" {
		t.Fatalf("what it said is not kept: %+v %v", all, err)
	}
	l = l.end(time.Minute)
	l.pass(time.Hour)
	if live := l.live(); len(live) != 1 || live[0].Kind != station.KindSmoke || live[0].Suppressed != "" {
		t.Fatalf("its time is over, and it shouts: %+v", live)
	}
	list, err := l.Sensors()
	if err != nil || list[0].Sensor.Service != nil {
		t.Fatalf("%+v %v", list, err)
	}
	l.must(l.do(station.CommandServiceSensor, "s", station.ServiceOrder{Mode: station.ServiceTest, Minutes: 60, Why: "演练"}))
	l.report("s", station.KindTamper, true)
	for _, al := range l.live() {
		if al.Test != (al.Kind == station.KindTamper) {
			t.Errorf("%s: test %t", al.Kind, al.Test)
		}
	}
}

// TestWhatAMaintenanceLeaves: what came and went in it is told to the person who ends
// it, and is no alarm then; what still holds is, and so is all of it when nobody but
// the clock ends it.
func TestWhatAMaintenanceLeaves(t *testing.T) {
	l := newLife(t, t.TempDir(), time.Time{})
	begin := func(id string) {
		t.Helper()
		l.must(l.do(station.CommandServiceSensor, id, station.ServiceOrder{Mode: station.ServiceMaintenance, Minutes: 60, Why: "清洗"}))
	}
	puff := func(id string, times int) {
		t.Helper()
		for range times {
			l.report(id, station.KindSmoke, true)
			l.pass(time.Minute)
			l.report(id, station.KindSmoke, false)
			l.pass(time.Minute)
		}
	}
	view := func(id string) station.ServiceView {
		t.Helper()
		v, err := l.ServiceOf(id)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, id := range []string{"worked", "burns", "before", "forgotten"} {
		l.addSensor(id, station.ClassSmoke)
	}
	l.report("before", station.KindSmoke, true)
	for _, id := range []string{"worked", "burns", "before", "forgotten"} {
		begin(id)
	}
	l.report("before", station.KindSmoke, false)
	puff("worked", 3)
	begin("worked") // it takes longer
	puff("burns", 1)
	l.report("burns", station.KindSmoke, true)
	puff("forgotten", 2)
	if n := len(l.live()); n != 0 {
		t.Fatalf("%d alarms while they are worked on", n)
	}
	if v := view("worked"); v.Times != 3 || v.Standing != 0 || v.LastAt.IsZero() || v.Service == nil {
		t.Errorf("%+v", v)
	}
	if v := view("burns"); v.Times != 2 || v.Standing != 1 {
		t.Errorf("%+v", v)
	}
	l = l.end(time.Second) // and the program is started again
	for _, id := range []string{"worked", "burns", "before"} {
		l.must(l.do(station.CommandEndService, id, nil))
	}
	live := map[string]station.Alarm{}
	for _, al := range l.live() {
		live[al.Sensor] = al
	}
	if len(live) != 2 || !live["burns"].ReturnedAt.IsZero() || live["before"].ReturnedAt.IsZero() || live["before"].Worked != 0 {
		t.Errorf("%+v", live)
	}
	page, err := l.FindAlarms(agent.AlarmFilter{Sensor: "worked", Limit: 10})
	if err != nil || len(page.Alarms) != 1 {
		t.Fatalf("%+v %v", page, err)
	}
	if al := page.Alarms[0]; al.Worked != 3 || al.Verdict() != station.AnswerTest || al.Answers[0].Name != admin.Name || al.Live() || al.Suppressed != "" {
		t.Errorf("the record does not tell of it: %+v", al)
	}
	found := false
	for _, row := range l.audit(10) {
		found = found || row.Action == station.CommandEndService && row.Subject == "sensor/worked" && strings.HasPrefix(row.Detail, "in maintenance: 3 times, last at ")
	}
	if !found {
		t.Errorf("the audit does not tell of it: %+v", l.audit(10))
	}
	// Whoever takes it back has the alarm.
	l.must(l.answer(page.Alarms[0].ID, station.AnswerUndo))
	if n := len(l.live()); n != 3 {
		t.Errorf("%d alarms", n)
	}
	l.pass(time.Hour)
	for _, al := range l.live() {
		if al.Sensor == "forgotten" && al.Worked == 2 && al.Suppressed == "" && !al.ReturnedAt.IsZero() && !al.Answered() {
			return
		}
	}
	t.Errorf("nobody has looked, and nobody is told: %+v", l.live())
}

// TestSchedules: a door that stands open when its schedule begins to watch raises
// then, and arming and disarming are told and audited.
func TestSchedules(t *testing.T) {
	l := newLife(t, t.TempDir(), time.Time{}) // Saturday, ten o'clock
	night := held(station.Timing{Schedule: "night"})
	l.must(l.do(station.CommandPutSchedule, "night", station.Schedule{
		ID: "night", Name: "夜间", Windows: []station.Window{{From: "22:00", To: "06:00"}},
		Holidays: []string{"2026-11-22"}, HolidayWindows: []station.Window{{From: "00:00", To: "24:00"}},
	}))
	l.addSensor("d", station.ClassDoor)
	l.report("d", station.KindDoor, true, night)
	l.pass(11 * time.Hour)
	if len(l.live()) != 0 {
		t.Fatal("in daytime nobody watches")
	}
	l.pass(time.Hour + time.Minute) // 22:01
	if len(l.live()) != 1 {
		t.Fatal("the door is open at night")
	}
	l.report("d", station.KindDoor, false, night)
	l.pass(12 * time.Hour) // 10:01 of a holiday
	l.report("d", station.KindDoor, true, night)
	if len(l.live()) != 1 {
		t.Fatal("on a holiday it is watched by day")
	}
	l.report("d", station.KindDoor, false, night)
	off := false
	l.must(l.do(station.CommandPutMode, "", station.ModeOrder{Mode: station.ModeJoint, Armed: &off}))
	l.pass(time.Minute)
	l.report("d", station.KindDoor, true, night)
	if len(l.live()) != 0 {
		t.Fatal("disarmed")
	}
	l.report("s", station.KindSmoke, true, func(r *station.Report) { r.Unknown = &station.Sensor{Class: station.ClassSmoke} }, night)
	if len(l.live()) != 1 {
		t.Fatal("a fire is always watched for")
	}
	m, err := l.Mode()
	if err != nil || m.Mode != station.ModeJoint || m.Armed || m.By != admin.Account || !m.Schedules["night"] {
		t.Fatalf("%+v %v", m, err)
	}
	on := true
	l.must(l.do(station.CommandPutMode, "", station.ModeOrder{Armed: &on}))
	if len(l.live()) != 2 {
		t.Fatal("armed while the door is open")
	}
	if rec := l.do(station.CommandPutSchedule, "bad", station.Schedule{ID: "bad", Windows: []station.Window{{From: "25:00", To: "06:00"}}}); rec.Problem == nil || rec.Problem.Code != "schedule.time" {
		t.Fatalf("%+v", rec)
	}
}

// TestRemovedSensorHidesNothing: an alarm that waits for a judgement is seen, even
// when its sensor was removed while it was out of sight.
func TestRemovedSensorHidesNothing(t *testing.T) {
	l := newLife(t, t.TempDir(), time.Time{})
	for _, id := range []string{"shelved", "worked-on"} {
		l.addSensor(id, station.ClassSmoke)
	}
	l.report("shelved", station.KindSmoke, true)
	l.report("shelved", station.KindSmoke, false)
	l.must(l.do(station.CommandShelveAlarm, l.live()[0].ID, station.ShelfOrder{Minutes: 30, Why: "x"}))
	l.must(l.do(station.CommandServiceSensor, "worked-on", station.ServiceOrder{Mode: station.ServiceMaintenance, Minutes: 60, Why: "x"}))
	l.report("worked-on", station.KindSmoke, true)
	if len(l.live()) != 0 {
		t.Fatalf("%+v", l.live())
	}
	for _, id := range []string{"shelved", "worked-on"} {
		l.must(l.do(station.CommandRemoveSensor, id, nil))
	}
	live := l.live()
	if len(live) != 2 {
		t.Fatalf("%+v", live)
	}
	l.must(l.do(station.CommandShelveAlarm, live[0].ID, station.ShelfOrder{Minutes: 30, Why: "x"}))
	l.pass(31 * time.Minute)
	if len(l.live()) != 2 {
		t.Fatal("the shelf of an alarm whose sensor is gone does not end")
	}
	for _, al := range l.live() {
		l.must(l.answer(al.ID, station.AnswerReal))
	}
	if len(l.live()) != 0 {
		t.Fatal("judged, and still there")
	}
}

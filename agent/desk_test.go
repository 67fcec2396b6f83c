package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// call asks the agent's routes as an account would.
func (r *rig) call(who station.Actor, method, path string, body, reply any) *station.Problem {
	r.t.Helper()
	mux := http.NewServeMux()
	for _, route := range r.Routes() {
		mux.Handle(route.Pattern, route.Handler)
	}
	text, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	req := httptest.NewRequest(method, path, bytes.NewReader(text))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, req.WithContext(station.WithActor(r.t.Context(), who)))
	if w.Code >= 400 {
		var p station.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			r.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		return &p
	}
	if reply != nil {
		if err := json.Unmarshal(w.Body.Bytes(), reply); err != nil {
			r.t.Fatalf("%s %s: %s: %v", method, path, w.Body, err)
		}
	}
	return nil
}

// TestSeveralSeats: one takes an alarm, the others see who; notes, and several
// answered at once, each with a result of its own.
func TestSeveralSeats(t *testing.T) {
	r := newRig(t)
	r.addSensor("a", station.ClassSmoke)
	r.addSensor("b", station.ClassDoor)
	r.report("a", station.KindSmoke, true)
	r.report("b", station.KindDoor, true)
	wang := station.Actor{Account: "wang", Name: "王", Role: account.RoleOperator}
	smoke := r.live()[0].ID
	at := "/api/v1/alarms/" + smoke
	var reply struct{ Alarm station.Alarm }
	if p := r.call(wang, "POST", at+"/take", station.TakeOrder{Seat: "2号"}, &reply); p != nil || reply.Alarm.TakenBy == nil || reply.Alarm.TakenBy.Seat != "2号" {
		t.Fatalf("%v %+v", p, reply)
	}
	if p := r.call(admin, "POST", at+"/take", station.TakeOrder{Seat: "1号"}, nil); p == nil || p.Code != "take.taken" {
		t.Fatalf("two have taken it: %v", p)
	}
	if p := r.call(admin, "DELETE", at+"/take", nil, &reply); p != nil {
		t.Fatal(p)
	}
	if p := r.call(admin, "POST", at+"/take", station.TakeOrder{Seat: "1号"}, nil); p != nil {
		t.Fatal(p)
	}
	var noted struct{ Alarm station.Alarm }
	if p := r.call(wang, "POST", at+"/notes", station.NoteOrder{Text: " 已联系家属 "}, &noted); p != nil || len(noted.Alarm.Notes) != 1 || noted.Alarm.Notes[0].Text != "已联系家属" || noted.Alarm.Notes[0].By != "wang" {
		t.Fatalf("%v %+v", p, noted)
	}
	if p := r.call(wang, "POST", at+"/notes", station.NoteOrder{Text: " "}, nil); p == nil || p.Code != "note.text" {
		t.Fatal(p)
	}
	door := r.live()[1].ID
	var results struct {
		Results []struct {
			ID      string
			Alarm   *station.Alarm
			Problem *station.Problem
		}
	}
	if p := r.call(wang, "POST", "/api/v1/alarms/answers", station.AnswersOrder{IDs: []string{smoke, door, "none"}, Kind: station.AnswerReceived}, &results); p != nil {
		t.Fatal(p)
	}
	for i, want := range []bool{true, true, false} {
		if res := results.Results[i]; (res.Alarm != nil) != want || (res.Problem == nil) != want {
			t.Errorf("%s: %+v", res.ID, res)
		}
	}
	// Every act is in the audit, and in the journal with who did it.
	rows, err := r.Audit(0, 50)
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range []string{station.CommandTakeAlarm, station.CommandReleaseAlarm, station.CommandNoteAlarm, station.CommandAnswerAlarm} {
		if !slices.ContainsFunc(rows, func(a station.Audit) bool { return a.Action == action && a.Result == "ok" }) {
			t.Errorf("%s is not in the audit", action)
		}
	}
	// What people did, and that the two alarms of one place are one incident.
	if n := strings.Count(strings.Join(r.types(), " "), "changed"); n != 5 {
		t.Errorf("%d changes told, want 5: %v", n, r.types())
	}
}

// TestWhatTheCentreSays is shown, and silences nothing.
func TestWhatTheCentreSays(t *testing.T) {
	r := newRig(t)
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	id := r.live()[0].ID
	parent := station.Actor{Account: "node:parent", Role: account.RoleNode}
	if rec := r.do(station.CommandSeenAlarm, id, nil); rec.Problem == nil {
		t.Fatal("an account has spoken for the centre")
	}
	r.must(r.doAs(parent, station.NewID(), station.CommandSeenAlarm, id, nil))
	r.must(r.doAs(parent, station.NewID(), station.CommandTakeOverAlarm, id, station.TakeOverOrder{}))
	v, err := r.Alarm(id)
	if err != nil || v.Centre.SeenAt.IsZero() || v.Centre.TakenAt.IsZero() || v.Alarm.State != station.StateRaised || v.State != "unacknowledged" {
		t.Fatalf("%+v %v", v, err)
	}
	r.must(r.doAs(parent, station.NewID(), station.CommandTakeOverAlarm, id, station.TakeOverOrder{Back: true}))
	if v, _ := r.Alarm(id); !v.Centre.TakenAt.IsZero() {
		t.Fatal("it was not handed back")
	}
}

// TestIncident: several sensors of one flat are one incident, and so are two that
// are near each other on a plan; another flat is not.
func TestIncident(t *testing.T) {
	r := newRig(t)
	put := func(id, place string) {
		t.Helper()
		r.must(r.do(station.CommandPutSensor, id, station.Sensor{
			ID: id, Name: id, Place: place, Class: station.ClassSmoke,
			Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "json", Topic: "t/" + id},
		}))
	}
	put("kitchen", "3号楼 1202 室 · 厨房")
	put("bed", "3号楼 1202 室 · 卧室")
	put("other", "3号楼 1203 室 · 厨房")
	r.report("kitchen", station.KindSmoke, true)
	r.report("other", station.KindSmoke, true)
	r.clock.add(time.Minute)
	r.report("bed", station.KindSmoke, true)
	var incident string
	for _, al := range r.live() {
		if (al.Incident != "") != (al.Sensor != "other") {
			t.Errorf("%s: incident %q", al.Sensor, al.Incident)
		}
		if al.Sensor == "bed" {
			incident = al.Incident
			v, err := r.Alarm(al.ID)
			if err != nil || v.Incident == nil || len(v.Incident.Alarms) != 2 {
				t.Errorf("%+v %v", v.Incident, err)
			}
		}
	}
	in, err := r.Incident(incident)
	if err != nil || in.Incident.Place != "3号楼 1202 室" || in.Incident.State != "live" || len(in.Incident.Sensors) != 2 || in.Alarms[0].Sensor != "kitchen" {
		t.Fatalf("%+v %v", in, err)
	}
	for _, al := range r.live() {
		r.report(al.Sensor, station.KindSmoke, false)
		r.must(r.answer(al.ID, station.AnswerFalse))
	}
	if in, _ := r.Incident(incident); in.Incident.State != "over" {
		t.Errorf("%+v", in.Incident)
	}
	r.clock.add(time.Hour)
	r.report("bed", station.KindSmoke, true)
	if al := r.live()[0]; al.Incident != "" {
		t.Error("an hour later it is another one")
	}

	for id, x := range map[string]float64{"near": 0.50, "nearer": 0.58, "far": 0.95} {
		r.report(id, station.KindSmoke, true, func(rep *station.Report) {
			rep.Unknown = &station.Sensor{Class: station.ClassSmoke, Position: &station.Position{Plan: "garage", X: x, Y: 0.5}}
		})
	}
	for _, al := range r.live() {
		if al.Sensor != "bed" && (al.Incident != "") != (al.Sensor != "far") {
			t.Errorf("%s on the plan: incident %q", al.Sensor, al.Incident)
		}
	}
}

// TestFlood: what comes on top of ten alarms in ten minutes is told as one; a fire
// in the middle of it is told at once, and nothing is lost.
func TestFlood(t *testing.T) {
	l := newLife(t, t.TempDir(), time.Time{})
	const doors = 40
	for i := range doors {
		l.addSensor(fmt.Sprintf("d%02d", i), station.ClassDoor)
	}
	l.addSensor("s", station.ClassSmoke)
	for i := range doors {
		l.report(fmt.Sprintf("d%02d", i), station.KindDoor, true)
		if i == doors/2 {
			l.report("s", station.KindSmoke, true)
		}
	}
	marked, fire := 0, false
	for _, al := range l.live() {
		if al.Suppressed == "flood" {
			marked++
			fire = fire || al.Kind.LifeSafety()
		}
	}
	if marked != doors-10 || fire || len(l.live()) != doors+2 {
		t.Fatalf("%d of %d are marked, the fire among them: %t", marked, len(l.live()), fire)
	}
	count := func(kind string) (n int) {
		for _, typ := range l.types() {
			if typ == kind {
				n++
			}
		}
		return n
	}
	// Upwards, urgently: the ten, the flood once, its alarm, the fire. The others
	// follow in the lane behind.
	if got := count("flood"); got != 1 {
		t.Errorf("%d summaries", got)
	}
	if got := count("raised"); got != 10+1+1 {
		t.Errorf("%d urgent alarms", got)
	}
	behind, err := l.store.Read(0, 10000, station.LaneNormal)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(slices.DeleteFunc(behind, func(e station.Event) bool { return e.Type != station.EventAlarmRaised })); n != doors-10 {
		t.Errorf("%d alarms behind", n)
	}
	l = l.end(time.Minute)
	l.pass(5 * time.Minute)
	if count("flood") != 1 {
		t.Error("told twice")
	}
	l.pass(10 * time.Minute)
	events, err := l.store.Read(0, 10000, station.LaneUrgent)
	if err != nil {
		t.Fatal(err)
	}
	var last station.Flood
	for _, ev := range events {
		if ev.Type == station.EventFlood {
			if err := json.Unmarshal(ev.Data, &last); err != nil {
				t.Fatal(err)
			}
		}
	}
	if last.Until.IsZero() || last.Alarms != doors+1 || last.Suppressed != doors-10 || last.Kinds[station.KindSmoke] != 1 {
		t.Errorf("%+v", last)
	}
	for _, al := range l.live() {
		if al.Kind == station.KindFlood {
			t.Error("the flood is over, and its alarm is not")
		}
	}
}

// TestBridgeHidesWhatIsBehindIt: one alarm and not two hundred; who is silent still
// when it has been back for a while is said to be.
func TestBridgeHidesWhatIsBehindIt(t *testing.T) {
	l := newLife(t, t.TempDir(), time.Time{})
	for _, id := range []string{"bridge", "a", "b"} {
		s := station.Sensor{ID: id, Name: id, Class: station.ClassDoor, Source: station.SensorSource{Broker: "embedded", Family: "json", Topic: "t/" + id}}
		if id != "bridge" {
			s.Bridge = "bridge"
		}
		l.must(l.do(station.CommandPutSensor, id, s))
	}
	for _, id := range []string{"bridge", "a", "b"} {
		l.report(id, station.KindOffline, true)
	}
	if live := l.live(); len(live) != 1 || live[0].Sensor != "bridge" {
		t.Fatalf("%+v", live)
	}
	l.report("bridge", station.KindOffline, false)
	l.pass(time.Minute)
	l.report("a", station.KindOffline, false)
	if live := l.live(); len(live) != 0 {
		t.Fatalf("it has just come back: %+v", live)
	}
	l.pass(10 * time.Minute)
	if live := l.live(); len(live) != 1 || live[0].Sensor != "b" {
		t.Fatalf("%+v", live)
	}
}

// TestFindAlarms: filters and pages; and a page far back costs no more than the
// first.
func TestFindAlarms(t *testing.T) {
	r := newRig(t)
	for i := range 3 {
		r.addSensor(fmt.Sprint("d", i), station.ClassDoor)
	}
	r.addSensor("s", station.ClassSmoke)
	for i := range 60 {
		id := fmt.Sprint("d", i%3)
		r.report(id, station.KindDoor, true)
		r.report(id, station.KindDoor, false)
		r.clock.add(20 * time.Second)
	}
	r.report("s", station.KindSmoke, true)
	all := func(f agent.AlarmFilter) (out []station.Alarm) {
		t.Helper()
		for {
			page, err := r.FindAlarms(f)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, page.Alarms...)
			if !page.More {
				return out
			}
			f.Before = page.Next
		}
	}
	total := all(agent.AlarmFilter{Limit: 7})
	if !slices.IsSortedFunc(total, func(x, y station.Alarm) int { return strings.Compare(y.ID, x.ID) }) {
		t.Error("not in order")
	}
	for _, c := range []struct {
		filter agent.AlarmFilter
		want   func(station.Alarm) bool
	}{
		{agent.AlarmFilter{Sensor: "d1"}, func(a station.Alarm) bool { return a.Sensor == "d1" }},
		{agent.AlarmFilter{Kind: station.KindSmoke}, func(a station.Alarm) bool { return a.Kind == station.KindSmoke }},
		{agent.AlarmFilter{Severity: station.SeverityMinor}, func(a station.Alarm) bool { return a.Severity == station.SeverityMinor }},
		{agent.AlarmFilter{Text: "烟感 D2"}, func(a station.Alarm) bool { return a.Sensor == "d2" }},
		{agent.AlarmFilter{Sensor: "d1", Kind: station.KindDoor, Text: "nothing"}, func(station.Alarm) bool { return false }},
	} {
		c.filter.Limit = 3
		got := all(c.filter)
		want := slices.DeleteFunc(slices.Clone(total), func(a station.Alarm) bool { return !c.want(a) })
		if len(got) != len(want) || len(got) > 0 && got[0].ID != want[0].ID {
			t.Errorf("%+v: %d alarms, want %d", c.filter, len(got), len(want))
		}
	}
	var page agent.AlarmPage
	if p := r.call(admin, "GET", "/api/v1/alarms?kind=door&limit=5", nil, &page); p != nil || len(page.Alarms) != 5 || page.Next != page.Alarms[4].ID {
		t.Fatalf("%v %+v", p, page)
	}
	if p := r.call(admin, "GET", "/api/v1/alarms?from=yesterday", nil, nil); p == nil || p.Code != "query.time" {
		t.Fatal(p)
	}
}

// TestPerformance counts what has been.
func TestPerformance(t *testing.T) {
	r := newRig(t)
	now := time.Now()
	r.clock.at = now.Add(-30 * time.Second)
	r.addSensor("d", station.ClassDoor)
	r.addSensor("s", station.ClassSmoke)
	for range 2 {
		r.report("d", station.KindDoor, true)
		r.report("d", station.KindDoor, false)
		r.clock.add(time.Second)
	}
	r.report("s", station.KindSmoke, true)
	r.clock.add(8 * time.Second)
	r.must(r.answer(r.live()[0].ID, station.AnswerFalse))
	var p agent.Performance
	if problem := r.call(admin, "GET", "/api/v1/performance", nil, &p); problem != nil {
		t.Fatal(problem)
	}
	n := 0
	for _, c := range p.Per10Min {
		n += c.Count
	}
	if p.Total != 3 || n != 3 || p.False != 1 || p.Unanswered != 2 || p.AckSeconds.P50 != 8 || p.AckSeconds.Max != 8 || len(p.Top) != 2 || p.Top[0].Sensor != "d" || p.BySeverity[station.SeverityCritical] != 1 {
		t.Fatalf("%+v", p)
	}
	r.clock.add(25 * time.Hour)
	if p, err := r.Performance(now.Add(-time.Hour), now.Add(time.Hour)); err != nil || len(p.Stale) != 1 {
		t.Fatalf("%+v %v", p.Stale, err)
	}
}

// TestOldAlarmsAreIndexed: those of a version that had no index are found as well.
func TestOldAlarmsAreIndexed(t *testing.T) {
	r := newRig(t)
	err := r.store.Update(context.Background(), station.LaneNormal, func(tx *store.Tx) error {
		for i := range 1200 {
			al := station.Alarm{ID: fmt.Sprintf("01a2-%04d", i), Node: "village-1", Kind: station.KindDoor, Sensor: "d", State: station.StateCleared}
			if err := store.Put(tx, store.Key("alarm/"+al.ID), al); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := r.start()
	defer stop()
	for late := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		page, err := r.FindAlarms(agent.AlarmFilter{Sensor: "d", Limit: 500, Before: "01a2-0400"})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Alarms) == 400 {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("%d alarms", len(page.Alarms))
		}
	}
}

package agent_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"stationd/agent"
	"stationd/agent/account"
	"stationd/agent/station"
)

// An answer that reuses the ID of another one must not be lost behind its
// receipt.
func TestOneIDForTwoAlarms(t *testing.T) {
	r := newRig(t)
	r.addSensor("a", station.ClassSmoke)
	r.addSensor("b", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	r.report("b", station.KindSmoke, true)
	live, id := r.live(), station.NewID()
	r.must(r.doAs(admin, id, station.CommandAnswerAlarm, live[0].ID, station.AnswerOrder{Kind: station.AnswerReceived}))
	rec := r.doAs(admin, id, station.CommandAnswerAlarm, live[1].ID, station.AnswerOrder{Kind: station.AnswerReceived})
	if rec.Problem == nil || rec.Problem.Code != "command.id" {
		t.Fatalf("the answer to one alarm is the receipt of another: %+v", rec)
	}
}

// What is changed is what the permission was asked for.
func TestBodyAndSubjectAgree(t *testing.T) {
	r := newRig(t)
	rec := r.do(station.CommandPutCamera, "mine", map[string]any{"id": "yours", "name": "x", "url": "rtsp://127.0.0.1/x"})
	if rec.Problem == nil || rec.Problem.Code != "command.subject" {
		t.Fatalf("%+v", rec)
	}
}

// The audit says what was done, not only that something was.
func TestAuditSaysWhat(t *testing.T) {
	r := newRig(t)
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	id := r.live()[0].ID
	r.must(r.answer(id, station.AnswerFalse))
	r.must(r.do(station.CommandPutAccount, "li", map[string]any{"account": "li", "name": "李", "role": account.RoleAdmin, "password": "lang genug 1"}))
	r.must(r.do(station.CommandPutAccount, "wang", map[string]any{"account": "wang", "name": "王", "role": "operator", "password": "lang genug 2"}))
	r.must(r.do(station.CommandPutAccount, "wang", map[string]any{"account": "wang", "name": "王", "role": "chief", "disabled": true}))
	rows, err := r.Audit(0, 4)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ subject, detail string }{
		{"account/wang", "role chief, disabled"},
		{"account/wang", "role operator, new password"},
		{"account/li", "role admin, new password"},
		{"alarm/" + id, "false"},
	} {
		if rows[i].Subject != want.subject || rows[i].Detail != want.detail {
			t.Errorf("row %d: %s %q, want %s %q", i, rows[i].Subject, rows[i].Detail, want.subject, want.detail)
		}
	}
}

// A refusal is written down where it would have been done, in a bounded row,
// and without what was typed into the wrong place.
func TestAuditOfRefusals(t *testing.T) {
	const password = "Streng-Geheim-99"
	r := newRig(t)
	for _, url := range []string{"viewer:" + password + "@10.0.0.9/main", "rtsp:/viewer:" + password + "@10.0.0.9", "http://viewer:" + password + "@10.0.0.9"} {
		if rec := r.do(station.CommandPutCamera, "c", map[string]any{"id": "c", "name": "x", "url": url}); rec.Problem == nil || strings.Contains(rec.Problem.Error(), password) {
			t.Errorf("%+v", rec)
		}
		if rec := r.do(station.CommandPutBroker, "b", map[string]any{"id": "b", "url": url, "topics": []string{"#"}}); rec.Problem != nil && strings.Contains(rec.Problem.Error(), password) {
			t.Errorf("%+v", rec)
		}
	}
	long := strings.Repeat("长", 50_000)
	r.do(station.CommandRemoveSensor, long, nil)
	r.do(station.CommandPutCamera, "c", map[string]any{"id": long, "name": "x", "url": "rtsp://127.0.0.1/x"})
	rows, err := r.Audit(0, 100)
	if err != nil || len(rows) < 5 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		b, err := json.Marshal(row)
		if err != nil || len(b) > 4096 || strings.Contains(string(b), password) || !strings.Contains(row.Subject, "/") {
			t.Errorf("%.300s %v", b, err)
		}
	}
}

// At a centre a station's sensor is the station's affair.
func TestAChildsSensorIsNotOurs(t *testing.T) {
	r := newRig(t)
	data, err := json.Marshal(station.Sensor{ID: "s", Name: "烟感", Class: station.ClassSmoke})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Accept(context.Background(), "east", station.LaneNormal, []agent.Arrival{{Epoch: "e", Seq: 1, Hop: 1, Event: station.Event{
		Origin: station.Origin{Node: "east", Epoch: "e", Seq: 1}, ID: "x", Type: station.EventSensorChanged, Subject: "sensor/s", Lane: station.LaneNormal, Time: r.clock.now(), Data: data,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	rec := r.do(station.CommandPutSensor, "east.s", station.Sensor{ID: "east.s", Name: "x", Class: station.ClassSmoke, Source: station.SensorSource{Broker: "embedded", Family: "json", Topic: "t"}})
	if rec.Problem == nil || rec.Problem.Code != "sensor.elsewhere" {
		t.Fatalf("a centre took a station's sensor: %+v", rec)
	}
}

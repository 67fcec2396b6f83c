package agent_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"stationd/agent"
	"stationd/agent/station"
)

// source makes somebody elsewhere who may report, and gives their token.
func (r *rig) source(id string, stations ...station.NodeID) station.AlarmSourceKey {
	r.t.Helper()
	var k station.AlarmSourceKey
	if err := json.Unmarshal(r.must(r.do(station.CommandPutSource, id, station.AlarmSource{Name: "某云 " + id, Stations: stations})).Result, &k); err != nil || k.Token == "" {
		r.t.Fatal(k, err)
	}
	return k
}

// incoming sends a body to the door for alarms from elsewhere.
func (r *rig) incoming(token, body string) (status int, taken []station.Routed, problem string) {
	r.t.Helper()
	for _, route := range r.Routes() {
		if route.Pattern != "POST /api/v1/incoming/alarms" {
			continue
		}
		req := httptest.NewRequest(http.MethodPost, "/api/v1/incoming/alarms", strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		route.Handler.ServeHTTP(w, req)
		var answer struct {
			Alarms []station.Routed
			Code   string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			r.t.Fatal(err)
		}
		return w.Code, answer.Alarms, answer.Code
	}
	r.t.Fatal("there is no such door")
	return 0, nil, ""
}

const elsewhere = `{"specversion":"1.0","id":"%s","source":"/cloud","type":"alarm","time":"2026-11-21T02:00:00Z","data":{"station":"west","device":"烟感/12","kind":"smoke","name":"李家厨房","place":"3号楼","active":%v}}`

// An alarm of a maker's cloud is stored at the centre before it is answered, goes
// down when its station is there, once and in order, and is the station's own alarm
// then, over a cut line and a restart of the centre.
func TestAlarmsFromElsewhereGoDown(t *testing.T) {
	dir, line := t.TempDir(), &cable{cut: true}
	village := line.village(t)
	centre := func(_ *agent.Config, d *agent.Deps) { d.Order = line.order }
	var first station.Routed
	var token string
	t.Run("before the restart", func(t *testing.T) {
		r := newRigOn(t, dir, nil, centre)
		r.child("west")
		stop := r.run()
		token = r.source("cloud").Token
		status, taken, problem := r.incoming(token, "["+fmt.Sprintf(elsewhere, "a1", true)+","+fmt.Sprintf(elsewhere, "a2", false)+"]")
		if status != http.StatusAccepted || len(taken) != 2 || taken[0].State != station.RouteWaiting {
			t.Fatalf("%d %+v %s", status, taken, problem)
		}
		first = taken[0]
		until(t, "it is sent", func() bool { return len(line.commands()) > 0 })
		stop()
	})
	if n := len(village.live()); n != 0 {
		t.Fatalf("%d alarms came over a line that is cut", n)
	}
	r := newRigOn(t, dir, nil, centre)
	line.lay(false)
	r.run()
	if status, again, _ := r.incoming(token, fmt.Sprintf(elsewhere, "a1", true)); status != http.StatusAccepted || again[0].ID != first.ID {
		t.Errorf("a report that is repeated is another: %d %+v", status, again)
	}
	until(t, "the station has both", func() bool {
		rows, err := r.RoutedAlarms(10)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range rows {
			if x.State != station.RouteDone {
				return false
			}
		}
		return len(rows) == 2
	})
	live := village.live()
	if len(live) != 1 || live[0].Name != "李家厨房" || live[0].Place != "3号楼" || live[0].Kind != station.KindSmoke || live[0].Count != 1 || live[0].ReturnedAt.IsZero() {
		t.Fatalf("%+v", live)
	}
	var sent []string
	for _, cmd := range line.commands() {
		if len(sent) == 0 || sent[len(sent)-1] != cmd.ID {
			sent = append(sent, cmd.ID)
		}
	}
	if len(sent) != 2 || sent[0] != first.ID {
		t.Errorf("they went down as %v", sent)
	}
}

// What cannot be taken is refused whole, with its place; who has no token is told
// nothing, and slowed down.
func TestIncomingAlarmsThatAreNotTaken(t *testing.T) {
	line := &cable{cut: true}
	r := newRig(t, func(_ *agent.Config, d *agent.Deps) { d.Order = line.order })
	r.child("west")
	r.child("east")
	token := r.source("cloud", "west").Token
	good := fmt.Sprintf(elsewhere, "a1", true)
	for _, x := range []struct{ token, body, code string }{
		{token, "rubbish", "body.invalid"},
		{token, "[]", "route.many"},
		{token, strings.Replace(good, `"1.0"`, `"2.0"`, 1), "route.version"},
		{token, strings.Replace(good, `"a1"`, `""`, 1), "setup.invalid"},
		{token, strings.Replace(good, `"smoke"`, `"Feuer!"`, 1), "setup.invalid"},
		{token, strings.Replace(good, `"west"`, `"east"`, 1), "route.station"},
		{token, "[" + good + "," + strings.Replace(strings.Replace(good, `"west"`, `"nowhere"`, 1), "a1", "a2", 1) + "]", "route.station"},
		{"", good, "source.token"},
		{"guess", good, "source.token"},
	} {
		if status, _, code := r.incoming(x.token, x.body); code != x.code || status < 400 || status >= 500 {
			t.Errorf("%.60s: %d %s, want %s", x.body, status, code, x.code)
		}
	}
	if rows, err := r.RoutedAlarms(10); err != nil || len(rows) != 0 {
		t.Errorf("something of it was taken: %+v %v", rows, err)
	}
	slowed := 0
	for range 100 {
		if _, _, code := r.incoming("guess", good); code == "login.slow-down" {
			slowed++
		}
	}
	if slowed < 50 {
		t.Errorf("who guesses tokens is slowed down %d times of 100", slowed)
	}
	if status, _, code := r.incoming(token, good); status != http.StatusAccepted {
		t.Errorf("who has a token suffers for it: %d %s", status, code)
	}
	r.must(r.do(station.CommandRemoveSource, "cloud", nil))
	if _, err := r.SourceOf(token); err == nil {
		t.Error("a source that was removed is let in")
	}
	if file := grep(t, r.dir, token); file != "" {
		t.Errorf("the token lies in %s", file)
	}
}

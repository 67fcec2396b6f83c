package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
	"stationd/agent/store/disk"
)

// ruleCore is a core that judges as a station does, its routes and its clock.
type ruleCore struct {
	*agent.Agent
	t   *testing.T
	now time.Time
	mux *http.ServeMux
}

func newRuleCore(t *testing.T) *ruleCore {
	cfg := store.DefaultConfig()
	cfg.Dir, cfg.Node = t.TempDir(), "village-1"
	cfg.Space = disk.Config{Reserve: 16 * disk.MiB, Low: 16 * disk.MiB, Full: 16 * disk.MiB, Tight: 16 * disk.MiB, Floor: 16 * disk.MiB}
	st, err := store.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &ruleCore{t: t, now: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), mux: http.NewServeMux()}
	c.Agent = agent.New(agent.DefaultConfig(), agent.Deps{Store: st, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return c.now }, Rules: judging()})
	for _, r := range c.Routes() {
		c.mux.Handle(r.Pattern, r.Handler)
	}
	for _, id := range []string{"t1", "t2"} {
		c.ask("PUT", "/api/v1/sensors/"+id, `{"name":"`+id+`","class":"temperature","source":{"broker":"embedded","family":"json","topic":"x/`+id+`"}}`, 200, nil)
	}
	return c
}

func (c *ruleCore) ask(method, path, body string, status int, into any) string {
	c.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r = r.WithContext(station.WithActor(r.Context(), station.Actor{Account: "li", Name: "李站长", Role: account.RoleAdmin}))
	w := httptest.NewRecorder()
	c.mux.ServeHTTP(w, r)
	b, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != status {
		c.t.Fatalf("%s %s: %d %s, %v", method, path, w.Code, b, err)
	}
	if into != nil {
		if err := json.Unmarshal(b, into); err != nil {
			c.t.Fatal(err)
		}
	}
	return string(b)
}

// read records a temperature.
func (c *ruleCore) read(sensor string, temperature float64, after time.Duration) {
	c.t.Helper()
	c.now = c.now.Add(after)
	r := station.Report{Sensor: sensor, Values: map[string]station.Value{"temperature": temperature, "lid.tilt": 3.0}, Received: c.now, Live: true}
	if err := c.HandleReport(context.Background(), r); err != nil {
		c.t.Fatal(err)
	}
}

// TestRuleTrial asks what a rule would have done: with the evaluator and the
// timing that it would have live.
func TestRuleTrial(t *testing.T) {
	c := newRuleCore(t)
	for range 3 { // three hot spells: 2, 2 and 2 minutes above 60, then 57, then cool
		for _, x := range []float64{20, 61, 62, 57, 20, 20} {
			c.read("t1", x, time.Minute)
		}
	}
	c.read("t2", 99, time.Minute)
	c.read("t2", 20, 10*time.Minute)
	for _, x := range []struct {
		name, body string
		alarms     int
	}{
		{"form", `{"sensor":"t1","rule":{"kind":"temperature","field":"temperature","op":"gt","value":60}}`, 3},
		{"form for all", `{"class":"temperature","rule":{"kind":"temperature","field":"temperature","op":"gt","value":60}}`, 4},
		{"a minute and a half", `{"class":"temperature","rule":{"kind":"temperature","field":"temperature","op":"gt","value":60,"for":90000000000}}`, 4},
		{"five minutes", `{"class":"temperature","rule":{"kind":"temperature","field":"temperature","op":"gt","value":60,"for":300000000000}}`, 1},
		{"expression", `{"sensor":"t1","rule":{"kind":"temperature","expr":"temperature > (active ? 55 : 61)"}}`, 3},
		{"twice within ten minutes", `{"sensor":"t1","rule":{"kind":"temperature","field":"temperature","op":"gt","value":60,"count":2,"within":600000000000}}`, 1},
		{"own field", `{"sensor":"t1","rule":{"kind":"manhole","expr":"value(\"lid.tilt\") > 5"}}`, 0},
	} {
		var got station.Trial
		c.ask("POST", "/api/v1/rules/trial", x.body, 200, &got)
		if got.Alarms != x.alarms || len(got.First) != min(20, x.alarms) || got.Readings == 0 || got.Incomplete || !strings.Contains(got.Message, "would have raised") {
			t.Errorf("%s: %+v", x.name, got)
		}
		if x.alarms > 0 && (got.First[0].Why.Field != "temperature" || got.First[0].Sensor == "") {
			t.Errorf("%s: does not say why: %+v", x.name, got.First[0])
		}
	}
	if b := c.ask("POST", "/api/v1/rules/trial", `{"sensor":"t1","rule":{"kind":"temperature","expr":"temprature > 60"}}`, 400, nil); !strings.Contains(b, "temprature") || !strings.Contains(b, `"place":"rule.expr"`) {
		t.Error(b)
	}
	c.ask("POST", "/api/v1/rules/trial", `{"sensor":"nobody","rule":{"kind":"a","field":"b","op":"eq","value":true}}`, 404, nil)
	c.ask("POST", "/api/v1/rules/trial", `{"sensor":"t1","from":"2020-01-01T00:00:00Z","rule":{"kind":"a","field":"b","op":"eq","value":true}}`, 400, nil)
}

// TestHistoryRoutes draws the readings and hands them out as a table; both end
// with the sensor.
func TestHistoryRoutes(t *testing.T) {
	c := newRuleCore(t)
	for i := range 100 {
		c.read("t1", float64(i), time.Minute)
	}
	c.now = c.now.Add(time.Minute)
	var chart struct {
		Source string
		Series []struct {
			Field  string
			Points [][4]float64
		}
	}
	c.ask("GET", "/api/v1/sensors/t1/history?fields=temperature&points=10", "", 200, &chart)
	if len(chart.Series) != 1 || len(chart.Series[0].Points) == 0 || len(chart.Series[0].Points) > 10 {
		t.Errorf("%+v", chart)
	}
	table := c.ask("GET", "/api/v1/sensors/t1/history.csv", "", 200, nil)
	if lines := strings.Split(strings.TrimSpace(table), "\n"); len(lines) != 101 || lines[0] != "\ufefftime,lid.tilt,temperature" || !strings.HasSuffix(lines[100], ",3,99") {
		t.Errorf("%d lines: %q", len(lines), lines[0])
	}
	for _, bad := range []string{"points=0", "points=2001", "from=yesterday", "from=2026-11-21T10:00:00Z&to=2026-11-20T10:00:00Z"} {
		c.ask("GET", "/api/v1/sensors/t1/history?"+bad, "", 400, nil)
	}
	c.ask("DELETE", "/api/v1/sensors/t1", "", 204, nil)
	c.ask("GET", "/api/v1/sensors/t1/history", "", 200, &chart)
	if len(chart.Series) != 0 {
		t.Error("the history outlives its sensor")
	}
}

// TestRuleTemplates gives a class its rules, and takes them away again.
func TestRuleTemplates(t *testing.T) {
	c := newRuleCore(t)
	rules := func(sensor string) (out []station.Rule) {
		t.Helper()
		r, err := c.Registry()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range r.Sensors {
			if s.ID == sensor {
				out = s.Rules
			}
		}
		return out
	}
	const put = `{"name":"冷库","class":"temperature","rules":[{"kind":"temperature","field":"temperature","op":"gt","value":-10}],"note":"first"}`
	var tpl station.RuleTemplate
	c.ask("PUT", "/api/v1/rule-templates/cold", put, 200, &tpl)
	c.ask("PUT", "/api/v1/rule-templates/cold", strings.Replace(put, "-10", "-12", 1), 200, &tpl)
	if tpl.Version != 2 || tpl.By != "li" || tpl.Rules[0].Version != 2 || tpl.Rules[0].ID == "" {
		t.Errorf("%+v", tpl)
	}
	got := rules("t1")
	if len(got) != 5 || got[0].Version != 2 || got[0].Value != -12.0 {
		t.Errorf("in force: %+v", got)
	}
	for _, kind := range []station.AlarmKind{station.KindSmoke, station.KindGas, station.KindSOS, station.KindWater} {
		found := false
		for _, r := range got {
			found = found || r.Kind == kind
		}
		if !found {
			t.Errorf("%s is not heeded any more", kind)
		}
	}
	// A sensor with rules of its own keeps them, and they count their versions.
	own := `{"name":"t2","class":"temperature","source":{"broker":"embedded","family":"json","topic":"x/t2"},"rules":[{"id":"%","kind":"temperature","field":"temperature","op":"gt","value":40},{"kind":"battery","field":"battery","op":"lt","value":5}]}`
	var s station.Sensor
	c.ask("PUT", "/api/v1/sensors/t2", strings.Replace(own, "%", "hot", 1), 200, &s)
	c.ask("PUT", "/api/v1/sensors/t2", strings.Replace(strings.Replace(own, "%", "hot", 1), "40", "45", 1), 200, &s)
	if mine := rules("t2"); len(mine) != 2 || mine[0].Version != 2 || mine[1].Version != 1 || mine[1].ID == "" {
		t.Errorf("its own: %+v", mine)
	}
	for _, bad := range []string{
		`{"name":"x","class":"temperature","rules":[{"kind":"a","field":"b","op":"eq","value":true}]}`, // the class has one
		`{"name":"x","class":"fridge","rules":[{"kind":"a","field":"b","op":"eq","value":true}]}`,
		`{"name":"x","class":"door","rules":[]}`,
		`{"name":"x","class":"door","rules":[{"kind":"a","expr":"1 +"}]}`,
		`{"name":"","class":"door","rules":[{"kind":"a","field":"b","op":"eq","value":true}]}`,
	} {
		status := 400
		if strings.Contains(bad, "temperature") {
			status = 409
		}
		c.ask("PUT", "/api/v1/rule-templates/other", bad, status, nil)
	}
	c.ask("DELETE", "/api/v1/rule-templates/cold", "", 204, nil)
	if got := rules("t1"); len(got) != 0 {
		t.Errorf("after the end: %+v", got)
	}
	var v struct {
		Template *station.RuleTemplate
		Versions []station.RuleTemplate
	}
	c.ask("GET", "/api/v1/rule-templates/cold", "", 200, &v)
	if v.Template != nil || len(v.Versions) != 3 || !v.Versions[0].Removed || v.Versions[2].Note != "first" {
		t.Errorf("what is remembered: %+v", v)
	}
	c.ask("PUT", "/api/v1/rule-templates/cold", put, 200, &tpl)
	if tpl.Version != 4 {
		t.Errorf("it counts from %d", tpl.Version)
	}
}

// TestRuleFields offers what is known, and what sensors here have said.
func TestRuleFields(t *testing.T) {
	c := newRuleCore(t)
	c.read("t1", 21, time.Minute)
	var got struct {
		Fields   []station.RuleField
		Defaults []station.Rule
	}
	c.ask("GET", "/api/v1/rules/fields?class=temperature", "", 200, &got)
	first, last := got.Fields[0], got.Fields[len(got.Fields)-1]
	if first.Name != "temperature" || first.Type != "number" || first.Unit != "°C" || len(first.Seen) != 1 || first.Seen[0] != 21.0 || !first.Known {
		t.Errorf("%+v", first)
	}
	if last.Name != "lid.tilt" || last.Known || last.Type != "number" || len(got.Defaults) == 0 {
		t.Errorf("%+v", last)
	}
	c.ask("GET", "/api/v1/rules/fields?class=fridge", "", 400, nil)
}

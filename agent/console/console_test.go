package console_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"go.uber.org/goleak"

	"stationd/agent"
	"stationd/agent/account"
	"stationd/agent/console"
	"stationd/agent/station"
	"stationd/agent/store"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// desk is a console over a real core and store.
type desk struct {
	t      *testing.T
	agent  *agent.Agent
	store  *store.Store
	server *console.Server
	http   *httptest.Server
	routes []station.Route
}

func newDesk(t *testing.T, extra ...station.Route) *desk {
	t.Helper()
	return newDeskWith(t, func(*console.Config, *console.Deps) {}, extra...)
}

func newDeskWith(t *testing.T, change func(*console.Config, *console.Deps), extra ...station.Route) *desk {
	t.Helper()
	cfg := store.DefaultConfig()
	cfg.Dir, cfg.Node = t.TempDir(), "village-1"
	log := slog.New(slog.DiscardHandler)
	st, err := store.Open(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	d := &desk{t: t, store: st, agent: agent.New(agent.DefaultConfig(), agent.Deps{Store: st, Log: log})}
	d.routes = append(d.agent.Routes(), extra...)
	ccfg, deps := console.DefaultConfig(), console.Deps{
		Node:     console.Node{ID: st.Node(), Name: "示范村工作站", Kind: "station", Version: "test"},
		Accounts: d.agent, Journal: st, Routes: d.routes, Log: log,
		Status: func() console.Status {
			return console.Status{Now: time.Now(), Lamps: []station.Lamp{{ID: "uplink", State: station.LampOff, Code: "uplink.off"}}, Nodes: []station.Node{}, Brokers: []console.BrokerStatus{}}
		},
		Ready: d.agent.Heartbeat,
	}
	change(&ccfg, &deps)
	if d.server, err = console.New(ccfg, deps); err != nil {
		t.Fatal(err)
	}
	d.http = httptest.NewServer(d.server.Handler())
	t.Cleanup(d.http.Close)
	return d
}

// visitor is a browser: it keeps its cookie.
type visitor struct {
	*desk
	cookie string
}

func (v *visitor) do(method, path, body string, change ...func(*http.Request)) (*http.Response, string) {
	v.t.Helper()
	req, err := http.NewRequest(method, v.http.URL+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	if v.cookie != "" {
		req.Header.Set("Cookie", v.cookie)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, f := range change {
		f(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, c := range resp.Cookies() {
		v.cookie = c.Name + "=" + c.Value
	}
	return resp, string(text)
}

// as signs in an account of a role, made for the purpose.
func (d *desk) as(role string) *visitor {
	d.t.Helper()
	ctx := context.Background()
	if claimed, err := d.agent.Claimed(); err != nil || !claimed {
		code, err := d.agent.Invite(ctx, "claim", "", time.Hour)
		if err != nil {
			d.t.Fatal(err)
		}
		if _, _, err := d.agent.Claim(ctx, code, station.AccountOrder{Account: "root", Name: "管理员", Password: "sehr lang 1"}, "t"); err != nil {
			d.t.Fatal(err)
		}
	}
	name := "u-" + role
	body, err := json.Marshal(map[string]any{"account": name, "name": role, "role": role, "password": "auch lang 22"})
	if err != nil {
		d.t.Fatal(err)
	}
	if r := d.agent.Handle(ctx, station.Command{ID: station.NewID(), Type: station.CommandPutAccount, Subject: name, Actor: station.System(), Body: body}); r.Problem != nil {
		d.t.Fatal(r.Problem)
	}
	link, err := d.agent.Invite(ctx, "login", name, time.Hour)
	if err != nil {
		d.t.Fatal(err)
	}
	v := &visitor{desk: d}
	if resp, text := v.do("POST", "/api/v1/login", fmt.Sprintf(`{"token":%q}`, link)); resp.StatusCode != 200 {
		d.t.Fatal(text)
	}
	return v
}

// Every route × every role: who may is let through to the handler, who may not
// is stopped before it, and what declares nothing is closed to all.
func TestRolesAndRoutes(t *testing.T) {
	undeclared := station.Route{Pattern: "GET /api/v1/undeclared", Handler: http.NotFoundHandler()}
	d := newDesk(t, undeclared)
	doc := routesOf(t, d)
	wild := regexp.MustCompile(`\{[a-z]+\}`)
	visitors := map[string]*visitor{"": {desk: d}}
	for _, role := range account.Roles() {
		visitors[role] = d.as(role)
	}
	for role, v := range visitors {
		for pattern, permission := range doc {
			method, path, _ := strings.Cut(pattern, " ")
			if path == "/api/v1/events" || path == "/api/v1/logout" {
				continue // the one never ends, the other ends the session of the others
			}
			who := station.Actor{Account: "x", Role: role}
			if role == "" {
				who = station.Actor{}
			}
			allowed := account.Authorize(who, permission, "") == nil
			if path == "/metrics" && role == "" {
				allowed = true // from loopback, as this test is
			}
			resp, text := v.do(method, wild.ReplaceAllString(path, "none"), "")
			refused := resp.Header.Get("Content-Type") == "application/problem+json"
			stopped := refused && (strings.Contains(text, `"access.denied"`) || strings.Contains(text, `"access.sign-in"`) || strings.Contains(text, `"access.undeclared"`))
			if stopped == allowed {
				t.Errorf("role %q, %s (%s): %d %.120s", role, pattern, permission, resp.StatusCode, text)
			}
		}
	}
}

func TestEveryRouteDeclaresItsPermission(t *testing.T) {
	d := newDesk(t)
	for pattern, permission := range routesOf(t, d) {
		if account.Authorize(station.System(), permission, "") != nil && permission != station.PermNode {
			t.Errorf("%s: permission %q is none", pattern, permission)
		}
	}
	for _, kind := range eventTypes(t) {
		if console.PermissionOf(kind) == station.PermAudit && !strings.HasPrefix(kind, "cityops.account.") {
			t.Errorf("event %s is not in the table of who sees it", kind)
		}
	}
}

// routesOf reads the mounted routes from the API's own description.
func routesOf(t *testing.T, d *desk) map[string]station.Permission {
	t.Helper()
	resp, err := http.Get(d.http.URL + "/api/v1/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var doc struct {
		Paths map[string]map[string]struct {
			Permission station.Permission `json:"x-permission"`
		} `json:"paths"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	out := map[string]station.Permission{}
	for path, ops := range doc.Paths {
		for method, op := range ops {
			out[strings.ToUpper(method)+" "+path] = op.Permission
		}
	}
	if len(out) < 25 {
		t.Fatalf("only %d routes described", len(out))
	}
	return out
}

// eventTypes reads the constants of the vocabulary.
func eventTypes(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("../station/event.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`"(cityops\.[a-z.]+\.v1)"`).FindAllStringSubmatch(string(b), -1)
	var out []string
	for _, m := range found {
		out = append(out, m[1])
	}
	if len(out) < 15 {
		t.Fatalf("only %d event types found", len(out))
	}
	return out
}

// The description is a valid OpenAPI 3.1 document, and what the routes answer is
// what it says.
func TestOpenAPI(t *testing.T) {
	d := newDesk(t)
	v := d.as(account.RoleAdmin)
	_, text := v.do("GET", "/api/v1/openapi.json", "")
	doc, err := libopenapi.NewDocument([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	check, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if ok, problems := check.ValidateDocument(); !ok {
		for _, p := range problems {
			t.Errorf("%s: %s %v", p.Message, p.Reason, p.SchemaValidationErrors)
		}
	}
	err = d.agent.HandleReport(context.Background(), station.Report{
		Sensor: "bare", Received: time.Now(), Live: true, Unknown: &station.Sensor{Name: "x", Class: station.ClassSmoke},
		Signals: []station.Signal{{Kind: station.KindSmoke, Active: true}}, Values: map[string]station.Value{"smoke": true, "battery": 5.0, "text": "x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	live, err := d.agent.LiveAlarms()
	if err != nil || len(live) != 1 {
		t.Fatal(live, err)
	}
	alarm := live[0].ID
	sensor := `{"name":"烟感","place":"3号楼","class":"smoke","adopted":true,"source":{"broker":"embedded","family":"json","topic":"a/b"}}`
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/api/v1/session", "", 200},
		{"PUT", "/api/v1/sensors/s1", sensor, 200},
		{"PUT", "/api/v1/cameras/c1", `{"name":"门","url":"rtsp://u:p@127.0.0.1/x","record":true}`, 200},
		{"PUT", "/api/v1/brokers/b1", `{"url":"mqtt://127.0.0.1:1883","topics":["a/#"]}`, 200},
		{"PUT", "/api/v1/devices/d1", "", 200},
		{"PUT", "/api/v1/accounts/zhang", `{"name":"张","role":"operator","password":"noch ein 33"}`, 200},
		{"GET", "/api/v1/sensors", "", 200},
		{"GET", "/api/v1/cameras", "", 200},
		{"GET", "/api/v1/brokers", "", 200},
		{"GET", "/api/v1/devices", "", 200},
		{"GET", "/api/v1/accounts", "", 200},
		{"GET", "/api/v1/nodes", "", 200},
		{"GET", "/api/v1/audit?limit=5", "", 200},
		{"GET", "/api/v1/status", "", 200},
		{"GET", "/api/v1/alarms", "", 200},
		{"GET", "/api/v1/alarms?limit=0", "", 400},
		{"GET", "/api/v1/alarms/none", "", 404},
		{"GET", "/api/v1/alarms/" + alarm, "", 200},
		{"POST", "/api/v1/alarms/" + alarm + "/answers", `{"kind":"received"}`, 200},
		{"GET", "/api/v1/alarms?live=1", "", 200},
		{"GET", "/api/v1/clips/none", "", 404},
		{"POST", "/api/v1/alarms/none/answers", `{"kind":"received"}`, 404},
		{"PUT", "/api/v1/sensors/s1", `{"name":"x","nonsense":1}`, 400},
		{"DELETE", "/api/v1/sensors/s1", "", 204},
		{"DELETE", "/api/v1/cameras/none", "", 404},
	} {
		req, err := http.NewRequest(c.method, d.http.URL+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", v.cookie)
		if c.body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != c.status {
			t.Errorf("%s %s: %d, want %d: %s", c.method, c.path, resp.StatusCode, c.status, text)
		}
		resp.Body = io.NopCloser(bytes.NewReader(text))
		if ok, problems := check.ValidateHttpResponse(req, resp); !ok {
			for _, p := range problems {
				t.Errorf("%s %s: %s: %s\n%s", c.method, c.path, p.Message, p.Reason, text)
				for _, s := range p.SchemaValidationErrors {
					t.Errorf("    %s at %s", s.Reason, s.Location)
				}
			}
		}
	}
}

func TestProblemDocument(t *testing.T) {
	d := newDesk(t)
	v := d.as(account.RoleOperator)
	resp, text := v.do("PUT", "/api/v1/cameras/x", `{}`)
	var p map[string]any
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 403 || resp.Header.Get("Content-Type") != "application/problem+json" || p["code"] != "access.denied" || p["hint"] == "" || p["type"] != "urn:stationd:problem:access.denied" || p["place"] != "camera/x" {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	if resp, text = v.do("GET", "/api/v1/nothing", ""); resp.StatusCode != 404 || !strings.Contains(text, "api.unknown") {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
}

func TestPagesAndTheirPolicy(t *testing.T) {
	d := newDesk(t)
	v := &visitor{desk: d}
	resp, text := v.do("GET", "/", "")
	if resp.StatusCode != 200 || !strings.Contains(text, "<html") {
		t.Fatalf("%d %.200s", resp.StatusCode, text)
	}
	csp := resp.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'self'", "frame-ancestors 'none'", "object-src 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("policy without %s: %s", want, csp)
		}
	}
	if strings.Contains(csp, "unsafe") {
		t.Error("the policy allows what is unsafe")
	}
	for _, path := range []string{"/../go.mod", "/%2e%2e/go.mod", "/jsconfig.json", "/web/index.html", "/nothing.js"} {
		if resp, text := v.do("GET", path, ""); resp.StatusCode == 200 && !strings.Contains(text, "<html") {
			t.Errorf("%s is served: %.80s", path, text)
		}
	}
	resp, _ = v.do("GET", "/", "", func(r *http.Request) { r.Header.Set("If-None-Match", resp.Header.Get("ETag")) })
	if resp.StatusCode != 304 {
		t.Errorf("unchanged page: %d", resp.StatusCode)
	}
}

func TestForeignHostsAndOrigins(t *testing.T) {
	d := newDesk(t)
	v := d.as(account.RoleAdmin)
	if resp, _ := v.do("GET", "/api/v1/alarms", "", func(r *http.Request) { r.Host = "evil.example" }); resp.StatusCode != 421 {
		t.Errorf("a foreign name that points here is served: %d", resp.StatusCode)
	}
	foreign := func(r *http.Request) {
		r.Header.Set("Origin", "https://evil.example")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	if resp, _ := v.do("PUT", "/api/v1/devices/x", "", foreign); resp.StatusCode != 403 {
		t.Errorf("another site may write: %d", resp.StatusCode)
	}
}

func TestClaimOverHTTP(t *testing.T) {
	d := newDesk(t)
	v := &visitor{desk: d}
	if _, text := v.do("GET", "/api/v1/session", ""); !strings.Contains(text, `"claimed":false`) {
		t.Fatal(text)
	}
	code, err := d.agent.Invite(context.Background(), "claim", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	order := `{"code":%q,"account":"li","name":"李站长","password":%q}`
	if resp, text := v.do("POST", "/api/v1/claim", fmt.Sprintf(order, code, "kurz")); resp.StatusCode != 400 || !strings.Contains(text, "password.short") {
		t.Fatal(text)
	}
	resp, text := v.do("POST", "/api/v1/claim", fmt.Sprintf(order, code, "lang genug 9"))
	if resp.StatusCode != 200 || !strings.Contains(text, `"role":"admin"`) {
		t.Fatal(text)
	}
	c := resp.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Name != "stationd-village-1" {
		t.Errorf("cookie %+v", c)
	}
	if resp, _ = v.do("POST", "/api/v1/logout", ""); resp.StatusCode != 204 {
		t.Fatal(resp.Status)
	}
	if _, text = v.do("GET", "/api/v1/session", ""); strings.Contains(text, `"actor"`) {
		t.Fatal("still signed in: " + text)
	}
	if resp, text = v.do("POST", "/api/v1/login", `{"account":"li","password":"lang genug 9"}`); resp.StatusCode != 200 {
		t.Fatal(text)
	}
}

// A stream that was cut goes on where it was: nothing is missed, nothing comes
// twice, and what the account may not see does not come.
func TestEventsResume(t *testing.T) {
	d := newDesk(t)
	v := d.as(account.RoleOperator)
	report := func(n int) {
		t.Helper()
		err := d.agent.HandleReport(context.Background(), station.Report{
			Sensor: fmt.Sprint("s", n), Received: time.Now(), Live: true,
			Unknown: &station.Sensor{Name: "x", Class: station.ClassSmoke},
			Signals: []station.Signal{{Kind: station.KindSmoke, Active: true}}, Values: map[string]station.Value{"smoke": true},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	listen := func(last string, until int) (raised []string, lastID string, kinds map[string]int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "GET", d.http.URL+"/api/v1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", v.cookie)
		if last != "" {
			req.Header.Set("Last-Event-ID", last)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		kinds = map[string]int{}
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		id, kind := "", ""
		for lines.Scan() {
			switch key, value, _ := strings.Cut(lines.Text(), ": "); key {
			case "id":
				id = value
			case "event":
				kind = value
				kinds[kind]++
				if kind == "status" && last == "" && kinds[kind] == 1 {
					report(1)
					report(2)
				}
			case "data":
				if kind == station.EventAlarmRaised {
					var ev station.Event
					var al station.Alarm
					if json.Unmarshal([]byte(value), &ev) != nil || json.Unmarshal(ev.Data, &al) != nil {
						t.Fatal(value)
					}
					raised = append(raised, al.Sensor)
					if len(raised) == until {
						return raised, id, kinds
					}
				}
			}
		}
		t.Fatalf("the stream ended after %v: %v", raised, lines.Err())
		return
	}
	first, last, _ := listen("", 2)
	report(3)
	report(4)
	d.as(account.RoleViewer) // events about accounts, which an operator may not see
	report(5)
	second, _, kinds := listen(last, 3)
	if got := strings.Join(append(first, second...), " "); got != "s1 s2 s3 s4 s5" {
		t.Errorf("heard %q", got)
	}
	if kinds["status"] == 0 || kinds[station.EventAccountChanged] != 0 {
		t.Errorf("kinds of events: %v", kinds)
	}
}

func TestHealth(t *testing.T) {
	d := newDesk(t)
	v := &visitor{desk: d}
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		if resp, text := v.do("GET", path, ""); resp.StatusCode != 200 {
			t.Errorf("%s: %d %s", path, resp.StatusCode, text)
		}
	}
	if _, text := v.do("GET", "/metrics", ""); !strings.Contains(text, "stationd_http_request_seconds") || !strings.Contains(text, "go_goroutines") {
		t.Errorf("metrics lack something:\n%.500s", text)
	}
}

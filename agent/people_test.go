package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stationd/agent/account"
	"stationd/agent/station"
)

var family = station.People{Flat: "1202", List: []station.Person{
	{Relation: "self", Name: "张秀英", Phone: "13812341234", Age: 83, Note: "听力不好"},
	{Relation: "child", Name: "李四", Phone: "+86 139-5678-5678"},
	{Relation: "keyholder", Name: "王", Phone: "55667"},
}}

// serve carries out one request as somebody, through the route that declares it.
func (r *rig) serve(who station.Actor, method, path string, body any, header ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	var raw []byte
	switch b := body.(type) {
	case nil:
	case []byte:
		raw = b
	default:
		var err error
		if raw, err = json.Marshal(body); err != nil {
			r.t.Fatal(err)
		}
	}
	mux := http.NewServeMux()
	for _, route := range r.Routes() {
		mux.Handle(route.Pattern, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if err := account.Authorize(who, route.Permission, route.Resource); err != nil {
				station.Handler(func(http.ResponseWriter, *http.Request) error { return err }).ServeHTTP(w, req)
				return
			}
			route.Handler.ServeHTTP(w, req)
		}))
	}
	req := httptest.NewRequest(method, path, bytes.NewReader(raw))
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, req.WithContext(station.WithActor(context.Background(), who)))
	return rec
}

// Names and telephones: whole for those on duty, masked for all others, sealed on
// the disk, in no event, no receipt and no audit row, and gone when they are erased.
func TestPeople(t *testing.T) {
	r := newRig(t)
	r.addSensor("sos", station.ClassSOS)
	if rec := r.serve(operator, "PUT", "/api/v1/people/sos", family); rec.Code != 200 || !strings.Contains(rec.Body.String(), "张秀英") {
		t.Fatal(rec.Code, rec.Body)
	}
	if rec := r.serve(installer, "PUT", "/api/v1/people/sos", family); rec.Code != 403 {
		t.Fatal(rec.Code, rec.Body)
	}
	r.report("sos", station.KindSOS, true)
	alarm := r.live()[0].ID

	chief := station.Actor{Account: "sun", Name: "孙", Role: account.RoleChief}
	display := station.Actor{Account: "display:1", Name: "大屏", Role: account.RoleDisplay}
	for _, c := range []struct {
		who          station.Actor
		whole, alarm bool
	}{{admin, true, true}, {chief, true, true}, {operator, true, true}, {installer, false, false}, {viewer, false, false}, {display, false, true}} {
		for path, whole := range map[string]bool{"/api/v1/people/sos": c.whole, "/api/v1/alarms/" + alarm: c.alarm} {
			text := r.serve(c.who, "GET", path, nil).Body.String()
			if got := strings.Contains(text, "张秀英") && strings.Contains(text, "13812341234") && strings.Contains(text, "听力"); got != whole {
				t.Errorf("%s sees them whole at %s: %v: %s", c.who.Role, path, got, text)
			}
			if masked := strings.Contains(text, `"张*"`) && strings.Contains(text, "138****1234") && strings.Contains(text, "****67") && strings.Contains(text, `"masked":true`); masked == whole {
				t.Errorf("%s at %s: masked %v: %s", c.who.Role, path, masked, text)
			}
		}
	}
	// When the alarm is over the display sees no more than anybody.
	r.report("sos", station.KindSOS, false)
	r.must(r.answer(alarm, station.AnswerTest))
	if text := r.serve(display, "GET", "/api/v1/alarms/"+alarm, nil).Body.String(); strings.Contains(text, "张秀英") || !strings.Contains(text, "张*") {
		t.Errorf("the display still shows them: %s", text)
	}

	// A refused order is audited; it must quote nobody.
	bad := family
	bad.List = append([]station.Person{{Name: "赵六", Phone: "Geheim"}}, bad.List...)
	r.refused(r.do(station.CommandPutPeople, "sos", bad), "setup.invalid", "list[0].phone")
	rows, err := r.Audit(0, 500)
	if err != nil {
		t.Fatal(err)
	}
	audit, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	journal := r.journal()
	secrets := []string{"张秀英", "13812341234", "李四", "5678-5678", "55667", "听力", "赵六", "Geheim"}
	for _, name := range secrets {
		if strings.Contains(string(audit), name) {
			t.Errorf("%s is in the audit", name)
		}
		if strings.Contains(journal, name) {
			t.Errorf("%s is in an event", name)
		}
	}
	if !strings.Contains(string(audit), `"people.put"`) || !strings.Contains(journal, `people/sos`) {
		t.Error("that people were written down is not told")
	}
	if err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, name := range secrets {
			if bytes.Contains(b, []byte(name)) {
				t.Errorf("%s lies open in %s", name, path)
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}

	r.must(r.doAs(operator, station.NewID(), station.CommandRemovePeople, "sos", nil))
	if p, err := r.People(admin, "sos"); err != nil || len(p.List) != 0 || p.Flat != "" {
		t.Fatalf("not erased: %+v %v", p, err)
	}
	// They go with the sensor too.
	r.must(r.do(station.CommandPutPeople, "sos", family))
	r.must(r.do(station.CommandRemoveSensor, "sos", nil))
	r.addSensor("sos", station.ClassSOS)
	if p, err := r.People(admin, "sos"); err != nil || len(p.List) != 0 {
		t.Fatalf("a new sensor has the people of the one before: %+v %v", p, err)
	}
}

// An armed screen of the duty room: by an administrator, once, across restarts,
// until it is disarmed.
func TestDisplay(t *testing.T) {
	dir := t.TempDir()
	r := newRigOn(t, dir, nil)
	ctx := context.Background()
	r.claim()
	r.refused(r.doAs(station.Actor{Account: "sun", Role: account.RoleChief}, station.NewID(), station.CommandArmDisplay, "", station.DisplayOrder{Name: "大厅"}), "account.rank", "")
	r.refused(r.do(station.CommandArmDisplay, "", station.DisplayOrder{Name: " "}), "setup.invalid", "name")
	link := result[station.DisplayLink](r, r.do(station.CommandArmDisplay, "", station.DisplayOrder{Name: "大厅屏"}))
	token, actor, err := r.LoginByLink(ctx, link.Token, "10.0.0.9")
	if err != nil || actor.Role != account.RoleDisplay || actor.Account != "display:"+link.ID || !strings.Contains(actor.Name, "大厅屏 (李站长)") {
		t.Fatalf("%+v %v", actor, err)
	}
	if _, _, err := r.LoginByLink(ctx, link.Token, "10.0.0.9"); err == nil {
		t.Fatal("the link opened two screens")
	}
	if strings.Contains(r.journal(), link.Token) {
		t.Error("the token is in the journal")
	}
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	alarm := r.live()[0].ID

	// Months later, after a restart, on a clock that was set back: still there.
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	r = newRigOn(t, dir, nil)
	r.clock.add(90 * 24 * 3600e9)
	for _, step := range []int{0, -400} {
		r.clock.add(24 * 3600e9 * 1)
		if step != 0 {
			r.clock.add(-400 * 24 * 3600e9)
		}
		if actor, err = r.Session(ctx, token, "10.0.0.9"); err != nil || actor.Account == "" {
			t.Fatalf("signed out by itself: %+v %v", actor, err)
		}
	}
	if actor.Name != "大厅屏" {
		t.Errorf("nobody is on duty, and it says %q", actor.Name)
	}
	r.must(r.doAs(actor, station.NewID(), station.CommandAnswerAlarm, alarm, station.AnswerOrder{Kind: station.AnswerReceived}))
	rows := r.audit(1)
	if rows[0].Actor.Account != "display:"+link.ID || rows[0].Actor.Name != "大厅屏" {
		t.Errorf("%+v", rows[0])
	}
	r.refused(r.doAs(actor, station.NewID(), station.CommandRemoveSensor, "a", nil), "access.denied", "")
	r.refused(r.doAs(actor, station.NewID(), station.CommandShelveAlarm, alarm, station.ShelfOrder{Minutes: 30, Why: "x"}), "access.denied", "")
	r.refused(r.doAs(actor, station.NewID(), station.CommandPutMode, "", station.ModeOrder{Mode: station.ModeLinked}), "access.denied", "")
	list, err := r.Displays()
	if err != nil || len(list) != 1 || list[0].Address != "10.0.0.9" || list[0].SeenAt.IsZero() {
		t.Errorf("%+v %v", list, err)
	}
	r.must(r.do(station.CommandDisarmDisplay, link.ID, nil))
	if actor, err := r.Session(ctx, token, "10.0.0.9"); err != nil || actor.Account != "" {
		t.Errorf("a disarmed screen is still in: %+v %v", actor, err)
	}
	// Disarmed before it was opened: the link is dead.
	link = result[station.DisplayLink](r, r.do(station.CommandArmDisplay, "", station.DisplayOrder{Name: "二"}))
	r.must(r.do(station.CommandDisarmDisplay, link.ID, nil))
	if _, _, err := r.LoginByLink(ctx, link.Token, "10.0.0.9"); err == nil {
		t.Error("the link of a disarmed screen opens")
	}
	if acc := (account.Account{Account: "x1", Name: "x", Role: account.RoleDisplay}); acc.Validate() == nil {
		t.Error("a person can be given the display's role")
	}
}

// Whom somebody has rung goes with the response to the parent and to every screen.
// Names and numbers of private persons do not.
func TestACallNamesNobody(t *testing.T) {
	r := newRig(t)
	r.addSensor("sos", station.ClassSOS)
	r.must(r.do(station.CommandPutPeople, "sos", family))
	r.report("sos", station.KindSOS, true)
	id := r.live()[0].ID
	r.must(r.do(station.CommandLogCall, id, station.CallOrder{To: "child 李四", Note: "李四 (+86 139-5678-5678) 去看张秀英"}))
	if strings.Contains(r.journal(), "李四") || strings.Contains(r.journal(), "秀英") || strings.Contains(r.journal(), "5678-5678") {
		t.Error("the journal names whom somebody rang")
	}
	resp, err := r.Response(id)
	if err != nil || resp.Calls[0].To != "child 李*" || resp.Calls[0].Note != "李* (861****5678) 去看张*" {
		t.Fatalf("%+v %v", resp.Calls, err)
	}
	viewer := station.Actor{Account: "v", Role: account.RoleViewer}
	for _, path := range []string{"/api/v1/alarms/" + id, "/api/v1/alarms/" + id + "/response"} {
		if text := r.serve(viewer, "GET", path, nil).Body.String(); strings.Contains(text, "child 李") || strings.Contains(text, "去看") {
			t.Errorf("%s tells a viewer who was rung", path)
		}
		operator := station.Actor{Account: "o", Role: account.RoleOperator}
		if text := r.serve(operator, "GET", path, nil).Body.String(); !strings.Contains(text, "child 李*") {
			t.Errorf("%s does not tell the shift who was rung: %s", path, text)
		}
	}
}

package agent_test

import (
	"strings"
	"testing"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
)

// TestWallsGroupsAndTours: data of the duty room, checked, and masked for whom a
// camera is not for; a camera that is removed leaves them.
func TestWallsGroupsAndTours(t *testing.T) {
	r, _ := sightRig(t) // gate for all, vault for the chief
	operator, chief := as(account.RoleOperator), as(account.RoleChief)
	put := func(who station.Actor, path string, body any) *station.Problem {
		return r.call(who, "PUT", path, body, nil)
	}
	for _, p := range []*station.Problem{
		put(chief, "/api/v1/walls/w1", station.Wall{Name: "大门", Layout: 4, Cameras: []string{"gate", "vault", "", "police"}}),
		put(chief, "/api/v1/camera-groups/g1", station.CameraGroup{Name: "出入口", Cameras: []string{"gate", "vault"}}),
		put(chief, "/api/v1/tours/t1", station.Tour{Name: "夜巡", Dwell: 10, Steps: []station.TourStep{{Camera: "vault"}, {Group: "g1", Dwell: 5}, {Camera: "gate"}}}),
	} {
		if p != nil {
			t.Fatal(p)
		}
	}
	var walls struct{ Walls []station.Wall }
	var groups struct{ Groups []station.CameraGroup }
	var tours struct{ Tours []station.TourView }
	look := func(who station.Actor) string {
		walls.Walls, groups.Groups, tours.Tours = nil, nil, nil
		for path, into := range map[string]any{"walls": &walls, "camera-groups": &groups, "tours": &tours} {
			if p := r.call(who, "GET", "/api/v1/"+path, nil, into); p != nil {
				t.Fatal(p)
			}
		}
		var out []string
		out = append(out, strings.Join(walls.Walls[0].Cameras, ","), strings.Join(groups.Groups[0].Cameras, ","))
		for _, s := range tours.Tours[0].Tour.Steps {
			out = append(out, s.Camera+s.Group)
		}
		return strings.Join(out, " ")
	}
	if got := look(operator); got != "gate,,,police gate g1 gate" {
		t.Errorf("the operator sees %q", got)
	}
	if got := look(chief); got != "gate,vault,,police gate,vault vault g1 gate" {
		t.Errorf("the chief sees %q", got)
	}

	for name, p := range map[string]*station.Problem{
		"layout":            put(chief, "/api/v1/walls/w2", station.Wall{Name: "x", Layout: 5}),
		"no such camera":    put(chief, "/api/v1/walls/w2", station.Wall{Name: "x", Layout: 4, Cameras: []string{"nope"}}),
		"not for them":      put(operator, "/api/v1/walls/w2", station.Wall{Name: "x", Layout: 4, Cameras: []string{"vault"}}),
		"a display decides": put(as(account.RoleDisplay), "/api/v1/walls/w2", station.Wall{Name: "x", Layout: 4}),
		"goes nowhere":      put(chief, "/api/v1/tours/t2", station.Tour{Name: "x", Dwell: 10}),
		"too quick":         put(chief, "/api/v1/tours/t2", station.Tour{Name: "x", Dwell: 1, Steps: []station.TourStep{{Camera: "gate"}}}),
		"both":              put(chief, "/api/v1/tours/t2", station.Tour{Name: "x", Dwell: 9, Steps: []station.TourStep{{Camera: "gate", Group: "g1"}}}),
		"no such group":     put(chief, "/api/v1/tours/t2", station.Tour{Name: "x", Dwell: 9, Steps: []station.TourStep{{Group: "g9"}}}),
		"hours":             put(chief, "/api/v1/tours/t2", station.Tour{Name: "x", Dwell: 9, Steps: []station.TourStep{{Camera: "gate"}}, Hours: []station.Window{{From: "25:00", To: "06:00"}}}),
		"group in use":      r.call(chief, "DELETE", "/api/v1/camera-groups/g1", nil, nil),
		"who only looks":    r.call(as(account.RoleViewer), "DELETE", "/api/v1/walls/w1", nil, nil),
	} {
		if p == nil || p.Hint == "" {
			t.Errorf("%s: %+v", name, p)
		}
	}

	r.must(r.do(station.CommandRemoveCamera, "vault", nil))
	if got := look(chief); got != "gate,,,police gate g1 gate" {
		t.Errorf("a camera that is gone leaves %q", got)
	}
	for _, path := range []string{"tours/t1", "camera-groups/g1", "walls/w1"} {
		if p := r.call(chief, "DELETE", "/api/v1/"+path, nil, nil); p != nil {
			t.Errorf("%s: %v", path, p)
		}
	}
}

// TestPatrolLog: who watched what when. A round grows while it is gone, belongs to
// whoever goes it, and is closed by its end; what was reported is there for the next
// shift.
func TestPatrolLog(t *testing.T) {
	r, _ := sightRig(t)
	chief, wang := as(account.RoleChief), as(account.RoleOperator)
	night := station.Tour{
		ID: "t1", Name: "夜巡", Dwell: 10, Confirm: station.ConfirmStep, Steps: []station.TourStep{{Camera: "gate"}, {Camera: "police"}},
		Hours: []station.Window{{From: "09:00", To: "12:00"}}, Every: 60,
	}
	r.must(r.doAs(chief, station.NewID(), station.CommandPutTour, "t1", night))
	due := func() bool {
		var list struct{ Tours []station.TourView }
		if p := r.call(wang, "GET", "/api/v1/tours", nil, &list); p != nil {
			t.Fatal(p)
		}
		return list.Tours[0].Due
	}
	if !due() {
		t.Error("at ten a tour of nine o'clock that nobody has gone is not due")
	}

	begun := r.clock.now()
	view := func(camera string, from, seconds int, result station.PatrolResult, note string) station.PatrolView {
		at := begun.Add(time.Duration(from) * time.Second)
		return station.PatrolView{Camera: camera, From: at, To: at.Add(time.Duration(seconds) * time.Second), Seconds: seconds, Times: 1, Result: result, Note: note}
	}
	put := func(who station.Actor, id string, o station.PatrolOrder) *station.Problem {
		o.Tour = "t1"
		if o.Started.IsZero() {
			o.Started = begun
		}
		return r.call(who, "PUT", "/api/v1/patrols/"+id, o, nil)
	}
	r.clock.add(30 * time.Second)
	gate, police := view("gate", 0, 10, station.PatrolNormal, ""), view("police", 10, 10, "", "")
	if p := put(wang, "p1", station.PatrolOrder{Views: []station.PatrolView{gate}}); p != nil {
		t.Fatal(p)
	}
	ended := begun.Add(21 * time.Second)
	both := []station.PatrolView{gate, police}
	for name, p := range map[string]*station.Problem{
		"another's round":        put(chief, "p1", station.PatrolOrder{Views: both}),
		"not confirmed":          put(wang, "p1", station.PatrolOrder{Views: both, Ended: ended, Complete: true}),
		"a note without words":   put(wang, "p1", station.PatrolOrder{Views: []station.PatrolView{view("gate", 0, 5, station.PatrolNote, " ")}}),
		"longer than it was":     put(wang, "p1", station.PatrolOrder{Views: []station.PatrolView{{Camera: "gate", From: begun, To: begun.Add(time.Second), Seconds: 30}}}),
		"before the round":       put(wang, "p1", station.PatrolOrder{Views: []station.PatrolView{view("gate", -20, 5, "", "")}}),
		"in the future":          put(wang, "p1", station.PatrolOrder{Views: []station.PatrolView{view("gate", 600, 5, "", "")}}),
		"a camera not for them":  put(wang, "p1", station.PatrolOrder{Views: []station.PatrolView{view("vault", 0, 5, "", "")}}),
		"complete without end":   put(wang, "p1", station.PatrolOrder{Views: both, Complete: true}),
		"a round of last week":   put(wang, "p0", station.PatrolOrder{Started: begun.AddDate(0, 0, -7)}),
		"who may see no picture": put(as(account.RoleViewer), "p0", station.PatrolOrder{}),
	} {
		if p == nil || p.Hint == "" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	both[1].Result, both[1].Note = station.PatrolReport, "门没有关"
	for range 2 { // once more, as a browser does that was not answered
		p := put(wang, "p1", station.PatrolOrder{Views: both})
		if p != nil {
			t.Fatal(p)
		}
	}
	if p := put(wang, "p1", station.PatrolOrder{Views: both, Ended: ended, Complete: true, Breaks: []station.PatrolBreak{{Alarm: "a1", From: begun.Add(5 * time.Second), To: begun.Add(9 * time.Second)}}}); p != nil {
		t.Fatal(p)
	}
	if p := put(wang, "p1", station.PatrolOrder{Views: both}); p == nil || p.Code != "patrol.over" {
		t.Errorf("a round is changed after its end: %v", p)
	}
	if due() {
		t.Error("it is due again at once")
	}
	r.clock.add(time.Hour)
	if !due() {
		t.Error("an hour later it is not due again")
	}
	r.clock.add(3 * time.Hour)
	if due() {
		t.Error("it is due outside of its hours")
	}
	var notes struct{ Notes []station.ShiftNote }
	if p := r.call(wang, "GET", "/api/v1/shift-notes", nil, &notes); p != nil || len(notes.Notes) != 1 || !strings.Contains(notes.Notes[0].Text, "门没有关") {
		t.Errorf("the next shift reads %+v %v", notes.Notes, p)
	}

	// A display goes a tour for nobody, and says so. A camera that is taken from
	// somebody is taken from the log too.
	begun = r.clock.now()
	r.clock.add(20 * time.Second)
	if p := put(as(account.RoleDisplay), "p2", station.PatrolOrder{Views: []station.PatrolView{view("gate", 0, 10, "", "")}, Ended: begun.Add(10 * time.Second), Complete: true}); p != nil {
		t.Fatal(p)
	}
	r.must(r.do(station.CommandPutCamera, "police", station.CameraOrder{Camera: station.Camera{ID: "police", Name: "相机 police", URL: "rtsp://10.0.0.9/police", Roles: []string{account.RoleChief}}}))
	list := func(who station.Actor, query string) (out []station.Patrol) {
		var page struct{ Patrols []station.Patrol }
		if p := r.call(who, "GET", "/api/v1/patrols"+query, nil, &page); p != nil {
			t.Fatal(p)
		}
		return page.Patrols
	}
	rounds := list(chief, "")
	if len(rounds) != 2 || rounds[0].ID != "p2" || !rounds[0].Unattended || rounds[1].Name != wang.Name || len(rounds[1].Views) != 2 || !rounds[1].Complete || len(rounds[1].Breaks) != 1 {
		t.Errorf("%+v", rounds)
	}
	for query, want := range map[string]int{"?result=report": 1, "?by=" + wang.Account: 1, "?camera=gate": 2, "?tour=none": 0, "?before=p2": 1, "?limit=1": 1, "?from=" + begun.UTC().Format(time.RFC3339): 1, "?to=" + begun.UTC().Format(time.RFC3339): 1} {
		if got := list(chief, query); len(got) != want {
			t.Errorf("%s finds %d", query, len(got))
		}
	}
	if seen := list(wang, ""); len(seen[1].Views) != 1 || seen[1].Unseen != 1 {
		t.Errorf("%+v", seen[1])
	}
	for who, want := range map[string]int{chief.Role: 4, wang.Role: 3} { // a header, a line for each picture
		file := r.serve(as(who), "GET", "/api/v1/patrols.csv", nil).Body.String()
		if lines := strings.Count(file, "\r\n"); lines != want || strings.Contains(file, "门没有关") != (who == chief.Role) {
			t.Errorf("%s gets %d lines:\n%s", who, lines, file)
		}
	}
	if err := r.Authorize(as(account.RoleDisplay), station.PermVideo, "patrol/p2"); err != nil {
		t.Error(err)
	}
}

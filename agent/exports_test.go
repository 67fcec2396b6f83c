package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/account"
	"stationd/agent/station"
)

// An export is ordered with a reason, by a person, once; the audit has the order, the
// sum of the file and who took it back.
func TestExports(t *testing.T) {
	refuse := errors.New("")
	r := newRig(t, func(_ *agent.Config, d *agent.Deps) {
		d.CheckExport = func(x station.Export) error {
			if x.Camera == "dark" {
				return refuse
			}
			return nil
		}
	})
	refuse = station.Errorf(404, "record.none", "look", "there is nothing")
	now := r.clock.now()
	order := station.ExportOrder{From: now.Add(-time.Hour), To: now.Add(-time.Minute), Reason: " 派出所调取 "}
	for name, c := range map[string]struct {
		who    station.Actor
		camera string
		order  station.ExportOrder
		code   string
	}{
		"without a reason": {admin, "gate", station.ExportOrder{From: order.From, To: order.To, Reason: "  "}, "invalid"},
		"a long reason":    {admin, "gate", station.ExportOrder{From: order.From, To: order.To, Reason: strings.Repeat("长", 201)}, "invalid"},
		"nothing there":    {admin, "dark", order, "record.none"},
		"a display":        {station.Actor{Account: "display:1", Role: account.RoleDisplay}, "gate", order, "access.denied"},
		"who sees no film": {station.Actor{Account: "zhao", Role: account.RoleViewer}, "gate", order, "access.denied"},
	} {
		rec := r.doAs(c.who, station.NewID(), station.CommandExport, c.camera, c.order)
		if rec.Problem == nil || !strings.Contains(rec.Problem.Code, c.code) {
			t.Errorf("%s: %+v", name, rec.Problem)
		}
	}
	changed, id := r.ExportsChanged(), station.NewID()
	rec := r.must(r.doAs(admin, id, station.CommandExport, "gate", order))
	again := r.must(r.doAs(admin, id, station.CommandExport, "gate", order))
	if string(rec.Result) != string(again.Result) {
		t.Errorf("ordered twice: %s, %s", rec.Result, again.Result)
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was told")
	}
	list, err := r.Exports()
	if err != nil || len(list) != 1 || list[0].Status != station.ExportWaiting || list[0].Reason != "派出所调取" || list[0].Name != admin.Name {
		t.Fatalf("%+v, %v", list, err)
	}
	x := list[0]
	x.Status, x.SHA256 = station.ExportReady, strings.Repeat("ab", 32)
	if kept, err := r.ExportDone(context.Background(), x); err != nil || !kept {
		t.Fatal(kept, err)
	}
	rows, err := r.Audit(0, 2)
	if err != nil || rows[0].Subject != "camera/gate" || !strings.Contains(rows[0].Detail, x.SHA256) || !strings.Contains(rows[1].Detail, "派出所调取") || rows[1].Actor.Account != admin.Account {
		t.Errorf("%+v, %v", rows, err)
	}

	if rec := r.do(station.CommandRemoveExport, "yard", station.ExportRemoval{ID: x.ID}); rec.Problem == nil {
		t.Error("removed under another camera's name")
	}
	r.must(r.do(station.CommandRemoveExport, "gate", station.ExportRemoval{ID: x.ID}))
	if kept, err := r.ExportDone(context.Background(), x); err != nil || kept {
		t.Errorf("what was taken back is there again: %v, %v", kept, err)
	}
	if got, err := r.Export(x.ID); err != nil || got.Status != station.ExportRemoved || !strings.Contains(got.Cause, admin.Name) {
		t.Errorf("%+v, %v", got, err)
	}
}

// The files that are waited for or kept are bounded; the audit has a row for each that
// was refused.
func TestManyExports(t *testing.T) {
	r := newRig(t, func(_ *agent.Config, d *agent.Deps) { d.CheckExport = func(station.Export) error { return nil } })
	now := r.clock.now()
	order := station.ExportOrder{From: now.Add(-time.Hour), To: now, Reason: "x"}
	var first station.Export
	for i := range 51 {
		rec := r.do(station.CommandExport, "gate", order)
		if (rec.Problem == nil) != (i < 50) {
			t.Fatalf("order %d: %+v", i, rec.Problem)
		}
		if i == 0 {
			if err := json.Unmarshal(rec.Result, &first); err != nil {
				t.Fatal(err)
			}
		}
		if rec.Problem != nil && (rec.Problem.Code != "export.many" || rec.Problem.Hint == "") {
			t.Errorf("%+v", rec.Problem)
		}
	}
	r.must(r.do(station.CommandRemoveExport, "gate", station.ExportRemoval{ID: first.ID}))
	r.must(r.do(station.CommandExport, "gate", order))
}

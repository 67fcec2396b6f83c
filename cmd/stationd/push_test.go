//go:build linux

package main_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"stationd/agent/station"
)

// A centre gives its stations rules over a line that is down, and is killed before
// it can. They arrive once, are judged by, and the station's people have the last
// word; a smoke detector alarms whatever the centre has made of its class.
func TestTemplatesOverALineThatIsDown(t *testing.T) {
	t.Parallel()
	broker := freePort(t)
	centre, village := newPair(t, filepath.Join(t.TempDir(), "station"), fmt.Sprintf(`
log: {level: warn}
devices: {broker: {listen: %q}}
record: {min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
`, broker))
	for _, n := range []*node{centre, village} {
		n.start()
		n.claim()
	}
	for _, s := range []struct{ id, class, field string }{{"kitchen", station.ClassSmoke, "smoke"}, {"cold", station.ClassTemperature, "temperature"}} {
		village.put("/api/v1/sensors/"+s.id, station.Sensor{
			Name: s.id, Place: "3号楼", Class: s.class,
			Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "json", Topic: "x/" + s.id, Fields: map[string]string{s.field: s.field}},
		}, nil)
	}
	eventually(t, time.Minute, "the centre knows the station", func() error {
		var v struct{ Nodes []station.Node }
		centre.get("/api/v1/nodes", &v)
		if len(v.Nodes) != 1 || !v.Nodes[0].Online {
			return fmt.Errorf("%+v", v.Nodes)
		}
		return nil
	})
	at := func(template string) (x station.TemplatePush) {
		var v struct{ Pushes []station.TemplatePush }
		centre.get("/api/v1/rule-templates/"+template+"/pushes", &v)
		if len(v.Pushes) == 1 {
			x = v.Pushes[0]
		}
		return x
	}
	village.kill()
	centre.put("/api/v1/rule-templates/cold", station.RuleTemplate{Name: "冷库", Class: station.ClassTemperature, Rules: []station.Rule{{Kind: station.KindTemperature, Field: "temperature", Op: "gt", Value: -10.0}}}, nil)
	centre.put("/api/v1/rule-templates/mute", station.RuleTemplate{Name: "静音", Class: station.ClassSmoke, Rules: []station.Rule{{Kind: station.KindSmoke, Field: "smoke", Op: "eq", Value: "never"}}}, nil)
	for _, id := range []string{"cold", "mute"} {
		if status, text, err := centre.do(http.MethodPost, "/api/v1/rule-templates/"+id+"/pushes", station.PushOrder{All: true}, nil); err != nil || status != http.StatusAccepted {
			t.Fatalf("%d %s %v", status, text, err)
		}
	}
	centre.kill()
	centre.start()
	if x := at("cold"); x.State != station.PushWaiting || x.Accepted != 0 {
		t.Fatalf("told as done: %+v", x)
	}
	village.start()
	eventually(t, time.Minute, "the station has both", func() error {
		for _, id := range []string{"cold", "mute"} {
			if x := at(id); x.State != station.PushDone || x.Accepted != 1 {
				return fmt.Errorf("%s: %+v", id, x)
			}
		}
		return nil
	})
	var v struct{ Templates []station.RuleTemplate }
	village.get("/api/v1/rule-templates", &v)
	for _, tpl := range v.Templates {
		if tpl.From == nil || tpl.From.By != "示范镇城运中心 信息员甲" || tpl.Version != 1 {
			t.Errorf("%+v", tpl)
		}
	}
	var account station.DeviceCredential
	village.put("/api/v1/devices/all", nil, &account)
	sensors := newCaller(t.Context(), &publisher{address: broker, client: "all", user: account.Username, password: account.Password, window: 1})
	sensors.call(t, "x/kitchen", `{"smoke":true}`)
	sensors.call(t, "x/cold", `{"temperature":-2}`)
	sensors.close()
	eventually(t, 30*time.Second, "both are alarms", func() error {
		kinds := map[station.AlarmKind]station.Alarm{}
		for _, al := range village.live() {
			kinds[al.Kind] = al
		}
		if kinds[station.KindSmoke].ID == "" || kinds[station.KindTemperature].ID == "" {
			return fmt.Errorf("%+v", kinds)
		}
		return nil
	})
	var audit struct{ Rows []station.Audit }
	village.get("/api/v1/audit?limit=30", &audit)
	n := 0
	for _, row := range audit.Rows {
		if row.Action == station.CommandTakeTemplate && row.Result == "ok" && row.Actor.Name == "示范镇城运中心 信息员甲" && row.Detail == "officer: version 1" {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d rows of the audit tell of it: %+v", n, audit.Rows)
	}

	// The station's people change it: the centre sees that, and does not undo it.
	village.put("/api/v1/rule-templates/cold", station.RuleTemplate{Name: "冷库", Class: station.ClassTemperature, Rules: []station.Rule{{Kind: station.KindTemperature, Field: "temperature", Op: "gt", Value: -5.0}}}, nil)
	eventually(t, time.Minute, "the centre knows that they have", func() error {
		if x := at("cold"); x.Local == nil || x.Local.Version != 2 {
			return fmt.Errorf("%+v", x)
		}
		return nil
	})
	if status, text, err := centre.do(http.MethodPost, "/api/v1/rule-templates/cold/pushes", station.PushOrder{All: true}, nil); err != nil || status != http.StatusAccepted {
		t.Fatalf("%d %s %v", status, text, err)
	}
	eventually(t, time.Minute, "the station refuses", func() error {
		if x := at("cold"); x.State != station.PushRefused || x.Problem == nil || x.Problem.Code != "template.local" || x.Problem.Place != "rule-template/cold/2" {
			return fmt.Errorf("%+v", x)
		}
		return nil
	})
	for _, n := range []*node{village, centre} {
		if code, _ := n.stop(syscall.SIGTERM, 10*time.Second); code != 0 {
			t.Errorf("%s: exit code %d", n.id, code)
		}
	}
}

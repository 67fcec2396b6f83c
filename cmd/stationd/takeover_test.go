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

// A centre takes over the alarm of a station that it cannot reach, and is killed
// before it can. It is told as done nowhere until the station has said so; then both
// show who it was, and the station is as loud as before.
func TestTakeOverOverALineThatIsDown(t *testing.T) {
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
	village.put("/api/v1/sensors/kitchen", station.Sensor{
		Name: "厨房烟感", Place: "3号楼", Class: station.ClassSmoke,
		Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "json", Topic: "smoke/kitchen", Fields: map[string]string{"smoke": "smoke"}},
	}, nil)
	var account station.DeviceCredential
	village.put("/api/v1/devices/smokes", nil, &account)
	detectors := newCaller(t.Context(), &publisher{address: broker, client: "detectors", user: account.Username, password: account.Password, window: 1})
	detectors.call(t, "smoke/kitchen", `{"smoke":true}`)
	detectors.close()
	id := village.live()[0].ID
	eventually(t, time.Minute, "the centre has the alarm", func() error { return centre.try(http.MethodGet, "/api/v1/alarms/"+id, nil, nil) })

	type view struct {
		Alarm station.Alarm
		Asked []station.Asked
	}
	at := func(n *node) (v view) {
		n.get("/api/v1/alarms/"+id, &v)
		return v
	}
	// With the line up: the tick comes by itself.
	centre.must(http.MethodPost, "/api/v1/alarms/"+id+"/seen", nil, nil)
	eventually(t, 30*time.Second, "the station knows that the centre looks", func() error {
		for _, n := range []*node{village, centre} {
			if al := at(n).Alarm; al.CentreSeenBy != "示范镇城运中心 信息员甲" || al.CentreSeenAt.IsZero() {
				return fmt.Errorf("%s: %q at %v", n.id, al.CentreSeenBy, al.CentreSeenAt)
			}
		}
		return nil
	})

	village.kill()
	if status, text, err := centre.do(http.MethodPost, "/api/v1/alarms/"+id+"/takeover", map[string]string{"note": "已联系消防"}, nil); err != nil || status != http.StatusAccepted {
		t.Fatalf("%d %s %v", status, text, err)
	}
	centre.kill()
	centre.start()
	before := at(centre)
	var wish station.Asked
	for _, x := range before.Asked {
		if x.What == station.AskedTakeOver {
			wish = x
		}
	}
	if !before.Alarm.CentreTakenAt.IsZero() || wish.State != station.AskedWaiting {
		t.Fatalf("after the restart, the station away: taken %v, wish %+v", before.Alarm.CentreTakenAt, wish)
	}
	village.start()
	eventually(t, time.Minute, "both know that the centre has taken over", func() error {
		for _, n := range []*node{village, centre} {
			if al := at(n).Alarm; al.CentreTakenBy != "示范镇城运中心 信息员甲" || al.CentreTakenAt.IsZero() {
				return fmt.Errorf("%s: %q at %v", n.id, al.CentreTakenBy, al.CentreTakenAt)
			}
		}
		for _, x := range at(centre).Asked {
			if x.State != station.AskedDone {
				return fmt.Errorf("%s is %s", x.What, x.State)
			}
		}
		return nil
	})
	if al := at(village).Alarm; al.Answered() || al.State != station.StateRaised || len(al.Notes) != 1 {
		t.Errorf("the station's alarm: %+v", al)
	}
	var resp station.Response
	village.get("/api/v1/alarms/"+id+"/response", &resp)
	if !resp.Taken || resp.Stopped != "" || resp.Next != "" {
		t.Errorf("the response: %+v", resp)
	}
	var audit struct{ Rows []station.Audit }
	village.get("/api/v1/audit?limit=20", &audit)
	found := false
	for _, row := range audit.Rows {
		found = found || row.Action == station.CommandTakeOverAlarm && row.Detail == "officer" && row.Actor.Account == "node:parent" && row.Result == "ok"
	}
	if !found {
		t.Errorf("the station's audit does not have it: %+v", audit.Rows)
	}
	for _, n := range []*node{village, centre} {
		if code, _ := n.stop(syscall.SIGTERM, 10*time.Second); code != 0 {
			t.Errorf("%s: exit code %d", n.id, code)
		}
	}
}

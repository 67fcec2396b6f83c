//go:build linux

package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"stationd/agent/station"
)

// A village below a sub-centre below a town, each enrolled by a code. An alarm of a
// maker's cloud that the town is told goes down through the middle while that is
// killed, becomes the village's own alarm, and comes up again under the village's
// name, at each tier once.
func TestThreeTiers(t *testing.T) {
	t.Parallel()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	tier := func(id, name string) *node {
		return newNode(t, id, filepath.Join(t.TempDir(), id), fmt.Sprintf(`
station: {name: %s}
devices: {broker: {listen: ""}}
video: {peer: {udp_listen: "127.0.0.1:0", tcp_listen: "127.0.0.1:0"}}
centre: {listen: %q, clips_listen: %q, hosts: [127.0.0.1]}
uplink: {retry_max: 2s}
record: {min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
`, name, freePort(t), freePort(t)))
	}
	town, sub, village := tier("town", "示范镇城运中心"), tier("sub", "东片区分中心"), enrolBox(t, "village")
	for _, n := range []*node{town, sub, village} {
		n.start()
		n.claim()
	}
	enrol := func(above, below *node, id string) {
		t.Helper()
		var ticket station.EnrolmentTicket
		above.must(http.MethodPost, "/api/v1/enrolments/"+id+"/code", station.EnrolmentOrder{}, &ticket)
		if out, err := exec.Command(path, "enrol", "--config", below.config, "--data", below.data, ticket.Addresses[0]+"/"+ticket.Code).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	enrol(town, sub, "sub")
	eventually(t, time.Minute, "the town sees the middle", func() error {
		var v struct{ Nodes []station.Node }
		if err := town.try(http.MethodGet, "/api/v1/nodes", nil, &v); err != nil {
			return err
		}
		if len(v.Nodes) != 1 || !v.Nodes[0].Online {
			return fmt.Errorf("%+v", v.Nodes)
		}
		return nil
	})
	enrol(sub, village, "village-7")
	below := func() error {
		var v struct {
			Nodes []station.Node
			Below []struct {
				station.Node
				Via station.NodeID
			}
		}
		if err := town.try(http.MethodGet, "/api/v1/nodes", nil, &v); err != nil {
			return err
		}
		if len(v.Nodes) != 1 || !v.Nodes[0].Online || len(v.Below) != 1 || v.Below[0].ID != "village-7" || v.Below[0].Via != "sub" || !v.Below[0].Online {
			return fmt.Errorf("%+v", v)
		}
		return nil
	}
	eventually(t, time.Minute, "the town knows the village below the middle", below)
	// With its name the village's cookie has changed.
	village.must(http.MethodPost, "/api/v1/login", map[string]string{"account": "officer", "password": "correct horse battery"}, nil)

	var key station.AlarmSourceKey
	town.put("/api/v1/alarm-sources/cloud", station.AlarmSource{Name: "某云"}, &key)
	report := func(id, device string) {
		t.Helper()
		body, err := json.Marshal(map[string]any{"id": id, "station": "village-7", "device": device, "kind": station.KindSmoke, "name": "烟感 " + device})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest(http.MethodPost, town.base+"/api/v1/incoming/alarms", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key.Token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			t.Fatalf("%d", resp.StatusCode)
		}
	}
	report("1", "first")
	sub.kill()
	report("2", "second")
	sub.start()
	for _, n := range []*node{village, sub, town} {
		eventually(t, time.Minute, n.id+" has both alarms, once, as the village's", func() error {
			names := []string{}
			for _, al := range n.live() {
				if al.Kind == station.KindSmoke {
					names = append(names, string(al.Node)+" "+al.Name)
				}
			}
			slices.Sort(names)
			if !slices.Equal(names, []string{"village-7 烟感 first", "village-7 烟感 second"}) {
				return fmt.Errorf("%v", names)
			}
			return nil
		})
	}
	seen := map[station.Origin]int{}
	for _, ev := range town.journal() {
		if ev.Origin.Node == "village-7" {
			if seen[ev.Origin]++; seen[ev.Origin] > 1 {
				t.Errorf("%s is in the town's journal %d times", ev.Origin, seen[ev.Origin])
			}
		}
	}
	if len(seen) == 0 {
		t.Error("nothing of the village is in the town's journal under its origin")
	}
}

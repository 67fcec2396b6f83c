//go:build linux

package main_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// newPair prepares a centre and a station below it, as two installations: each
// its own process, configuration and data, the station's certificate issued at
// the centre. Nothing runs yet. settings are YAML for the station.
func newPair(t *testing.T, stationData, settings string) (centre, village *node) {
	t.Helper()
	events, clips := freePort(t), freePort(t)
	centre = newNode(t, "town", filepath.Join(t.TempDir(), "centre"), fmt.Sprintf(`
station: {name: 示范镇城运中心}
devices: {broker: {listen: ""}}
video: {peer: {udp_listen: "127.0.0.1:0", tcp_listen: "127.0.0.1:0"}}
centre: {listen: %q, clips_listen: %q}
record: {min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
`, events, clips))
	village = newNode(t, "village-1", stationData, fmt.Sprintf(`
station: {name: 示范村工作站, alarms: {chatter_quiet: 2s}}
video: {peer: {udp_listen: "127.0.0.1:0", tcp_listen: "127.0.0.1:0"}}
uplink: {url: "mqtts://%s", retry_max: 2s}
%s`, events, settings))
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"issue", "--data", centre.data, "--out", filepath.Join(village.data, "uplink"), village.id},
		{"check", "--config", centre.config, "--data", centre.data},
		{"check", "--config", village.config, "--data", village.data},
	} {
		if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
			t.Fatalf("stationd %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	return centre, village
}

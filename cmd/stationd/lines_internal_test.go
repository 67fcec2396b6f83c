package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stationd/agent/console"
	"stationd/agent/station"
)

// TestPrintLines: what `stationd status` says of each target.
func TestPrintLines(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	r := linesReport{At: now, Lines: []console.UplinkStatus{
		{Target: "centre", URL: "mqtts://c:8883", Connected: true, Since: now.Add(-72 * time.Hour), Lanes: []console.LaneStatus{{Lane: station.LaneUrgent}, {Lane: station.LaneBulk, Backlog: 10_000, Oldest: now.Add(-2 * time.Hour), Rate: 812.4, Held: "the centre takes 2s for a batch of 128"}}},
		{Target: "street", URL: "https://s", Since: now.Add(-90 * time.Second), Lanes: []console.LaneStatus{{Lane: station.LaneUrgent, Backlog: 3, Oldest: now.Add(-30 * time.Second)}}, LastError: "the web service answers 401 Unauthorized", Hint: "compare the secrets", ErrorAt: now.Add(-5 * time.Second)},
	}}
	if err := writeLines(filepath.Join(dir, linesFile), r); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	printLines(dir, now, &out)
	want := `centre (mqtts://c:8883): connected since 3 days
  urgent  0 wait
  bulk    10000 or more wait, the oldest for 2h0m, 812 a second; slower because the centre takes 2s for a batch of 128
street (https://s): down since 2m
  urgent  3 wait, the oldest for 30s
  last error, 5s ago: the web service answers 401 Unauthorized
  remedy: compare the secrets
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
	out.Reset()
	printLines(dir, now.Add(time.Hour), &out)
	if !strings.HasPrefix(out.String(), "the lines as they were 1h0m ago:") {
		t.Errorf("stale: %s", out.String())
	}
}

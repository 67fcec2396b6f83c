package playback_test

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/agent/store/disk"
	"stationd/video/playback"
	"stationd/video/record"
)

// A month of sixteen cameras: each camera's real fragments in thirty real volumes, one
// a day, and between them the seals of all the volumes that a station would have: four
// minutes of all cameras each. What is asked of memory meets the whole month; what
// reads pictures finds real ones.
const (
	monthDays    = 30
	monthCameras = 16
	volumeLasts  = 4 * time.Minute
)

// aMonth writes the archive and opens it. Its first day begins at begin; at noon of
// each day there are twelve seconds of film of the first camera.
func aMonth(t testing.TB, begin time.Time) *archive {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "video")
	cfg := record.DefaultConfig()
	cfg.Dir = dir
	cfg.VolumeSize, cfg.MaxBytes = 2*disk.MiB, 64<<40
	cfg.MinFree, cfg.ClipsMinFree = 64*disk.MiB, 32*disk.MiB
	// Each run of the archive seals a volume, as a restart does.
	for day := range monthDays {
		a, stop := runArchive(t, cfg)
		c := a.camera("cam-0", begin.AddDate(0, 0, day).Add(12*time.Hour), film(t, "gate"))
		c.play(12 * time.Second)
		c.settle()
		c.stop()
		stop()
	}
	volumes := filepath.Join(dir, "volumes")
	real, err := os.ReadDir(volumes)
	if err != nil {
		t.Fatal(err)
	}
	// The real volumes keep their order among the others: what is of a later time has
	// the greater number.
	perDay := int(24 * time.Hour / volumeLasts)
	for day := len(real) - 1; day >= 0; day-- {
		if err := os.Rename(filepath.Join(volumes, real[day].Name()), filepath.Join(volumes, volumeName(day*perDay+perDay/2+1))); err != nil {
			t.Fatal(err)
		}
	}
	for n := range monthDays * perDay {
		if n%perDay == perDay/2 {
			continue // the real one
		}
		at := begin.Add(time.Duration(n) * volumeLasts)
		writeSeal(t, filepath.Join(volumes, volumeName(n+1)), at)
	}
	a, stop := runArchive(t, cfg)
	t.Cleanup(stop)
	return a
}

func volumeName(seq int) string { return fmt.Sprintf("v%010d", seq) }

// writeSeal writes what a sealed volume says of itself; there is nothing behind it.
func writeSeal(t testing.TB, dir string, at time.Time) {
	t.Helper()
	type span struct {
		From time.Time `json:"from"`
		To   time.Time `json:"to"`
	}
	tracks := map[string]any{}
	for c := range monthCameras {
		tracks[fmt.Sprintf("cam-%d", c)] = map[string]any{"spans": []span{{at, at.Add(volumeLasts)}}, "fragments": int(volumeLasts / (2 * time.Second)), "bytes": 60 << 20}
	}
	about, err := json.Marshal(map[string]any{"created": at, "tracks": tracks})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"version": 1, "files": []any{}, "about": json.RawMessage(about)})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%08x\n%s\n", crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)), body)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "seal"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestAMonthOfSixteenCameras asks for days and seeks, and counts what that reads.
func TestAMonthOfSixteenCameras(t *testing.T) {
	begin := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	a := aMonth(t, begin)
	p := open(t, a, playback.Deps{Now: func() time.Time { return begin.AddDate(0, 0, monthDays) }, Alarms: func(string, time.Time, time.Time, int) ([]station.Alarm, error) { return nil, nil }})
	s := serve(t, p.Routes())

	var listing []time.Duration
	for day := range monthDays {
		at := begin.AddDate(0, 0, day)
		began := time.Now()
		_, body := get(t, s.URL+"/api/v1/cameras/cam-3/timeline?from="+stamp(at)+"&to="+stamp(at.AddDate(0, 0, 1)))
		listing = append(listing, time.Since(began))
		var line playback.Timeline
		if err := json.Unmarshal(body, &line); err != nil || len(line.Recorded) == 0 || len(line.Recorded) > 4 {
			t.Fatalf("day %d: %v, %.300s", day, err, body)
		}
	}
	began := time.Now()
	_, body := get(t, s.URL+"/api/v1/cameras/cam-3/days?month=2026-11&zone=UTC")
	month := time.Since(began)
	var m playback.Month
	if err := json.Unmarshal(body, &m); err != nil || len(m.Days) != monthDays || m.Days[7].Recorded < 23*time.Hour {
		t.Fatalf("%v: %.300s", err, body)
	}
	if opened := openVolumes(t); opened != 0 {
		t.Errorf("listing has opened %d volumes", opened)
	}

	var seeks []time.Duration
	for day := range monthDays {
		at := begin.AddDate(0, 0, (day*7)%monthDays).Add(12*time.Hour + 5*time.Second)
		began := time.Now()
		reply, err := http.Get(s.URL + "/api/v1/cameras/cam-0/media?from=" + stamp(at) + "&to=" + stamp(at.Add(4*time.Second)))
		if err != nil {
			t.Fatal(err)
		}
		head := make([]byte, 64<<10)
		n, _ := reply.Body.Read(head)
		seeks = append(seeks, time.Since(began))
		reply.Body.Close()
		if from := reply.Header.Get("Record-From"); reply.StatusCode != 200 || n == 0 || !strings.HasPrefix(from, at.Add(-time.Second).Format("2006-01-02T15:04:0")) {
			t.Fatalf("seek to %s: %s, begins at %s", at, reply.Status, from)
		}
	}
	for _, list := range [][]time.Duration{listing, seeks} {
		slices.Sort(list)
	}
	t.Logf("a day's listing: median %s, most %s; a month: %s; a seek to its first bytes, each in a volume that was shut: median %s, most %s", listing[15], listing[29], month, seeks[15], seeks[29])
}

// openVolumes counts the volumes that this process has open.
func openVolumes(t testing.TB) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip("no /proc here to count with")
	}
	seen := map[string]bool{}
	for _, line := range strings.Split(string(maps), "\n") {
		if i := strings.Index(line, "/video/volumes/v"); i >= 0 && strings.HasSuffix(line, ".vlog") {
			seen[line[i:i+30]] = true
		}
	}
	return len(seen)
}

package playback_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video/playback"
	"stationd/video/record/recordtest"
	"stationd/video/videotest"
)

const (
	monthDays    = 30
	monthCameras = 16
)

// aMonth opens a month of sixteen cameras, with twelve seconds of film of the first at
// noon of each day.
func aMonth(t testing.TB, begin time.Time) *archive {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "video")
	films, err := videotest.Films()
	if err != nil {
		t.Fatal(err)
	}
	m := recordtest.Month{Begin: begin, Days: monthDays, Cameras: monthCameras, Film: films[1], Length: 12 * time.Second}
	began := time.Now()
	if err := m.Write(dir); err != nil {
		t.Fatal(err)
	}
	made := time.Since(began)
	began = time.Now()
	a, stop := runArchive(t, recordtest.Config(dir))
	t.Cleanup(stop)
	t.Logf("made in %v, opened in %v", made, time.Since(began))
	return a
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

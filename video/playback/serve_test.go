package playback_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/agent/store/disk"
	"stationd/video/playback"
	"stationd/video/record"
)

// morning is when the tests' record begins.
var morning = time.Date(2026, 11, 3, 8, 0, 0, 0, time.UTC)

// twoStretches records twenty seconds, loses the camera for half a minute and
// records twenty more.
func twoStretches(t testing.TB) (*archive, *httptest.Server) {
	t.Helper()
	a := openArchive(t)
	c := a.camera("gate", morning, film(t, "gate"))
	c.play(20 * time.Second)
	c.lose(30 * time.Second)
	c.play(20 * time.Second)
	c.settle()
	c.stop()
	p := open(t, a, playback.Deps{
		Now: func() time.Time { return morning.Add(24 * time.Hour) },
		Alarms: func(camera string, from, to time.Time, most int) ([]station.Alarm, error) {
			return []station.Alarm{{ID: "a1", Kind: station.KindSmoke, Severity: station.SeverityCritical, State: station.StateCleared, Name: "烟感", RaisedAt: morning.Add(55 * time.Second), ReturnedAt: morning.Add(60 * time.Second)}}, nil
		},
	})
	return a, serve(t, p.Routes())
}

func get(t testing.TB, url string) (*http.Response, []byte) {
	t.Helper()
	reply, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply, body
}

func near(d, want, by time.Duration) bool { return (d - want).Abs() <= by }

func TestTimeline(t *testing.T) {
	t.Parallel()
	_, s := twoStretches(t)
	reply, body := get(t, s.URL+"/api/v1/cameras/gate/timeline?from="+stamp(morning.Add(-time.Hour))+"&to="+stamp(morning.Add(time.Hour)))
	var line playback.Timeline
	if err := json.Unmarshal(body, &line); err != nil || reply.StatusCode != 200 {
		t.Fatalf("%s: %v: %s", reply.Status, err, body)
	}
	if len(line.Recorded) != 2 || len(line.Gaps) != 1 || len(line.Events) != 1 {
		t.Fatalf("%s", body)
	}
	if d := line.Recorded[0].To.Sub(line.Recorded[0].From); !near(d, 20*time.Second, 100*time.Millisecond) {
		t.Errorf("the first stretch lasts %s", d)
	}
	if g := line.Gaps[0]; g.Reason != "lost" || !near(g.To.Sub(g.From), 30*time.Second, 100*time.Millisecond) {
		t.Errorf("the gap: %+v", g)
	}

	_, body = get(t, s.URL+"/api/v1/cameras/gate/days?month=2026-11&zone=Asia/Shanghai")
	var month playback.Month
	if err := json.Unmarshal(body, &month); err != nil {
		t.Fatal(err)
	}
	if len(month.Days) != 1 || month.Days[0].Day != "2026-11-03" || !near(month.Days[0].Recorded, 40*time.Second, 200*time.Millisecond) || month.Days[0].Alarms != 1 || month.Days[0].Gaps != 1 {
		t.Errorf("%s", body)
	}
	if _, body := get(t, s.URL+"/api/v1/cameras/nobody/timeline?from="+stamp(morning)+"&to="+stamp(morning.Add(time.Hour))); !strings.Contains(string(body), `"recorded":[]`) {
		t.Errorf("a camera without a record: %s", body)
	}
}

// Settings of the clock and what is held stand on the timeline, after a restart too.
func TestTimelineTellsOfTheClockAndOfWhatIsHeld(t *testing.T) {
	t.Parallel()
	cfg := record.DefaultConfig()
	cfg.Dir, cfg.VolumeSize, cfg.MaxBytes, cfg.MinFree, cfg.ClipsMinFree = filepath.Join(t.TempDir(), "video"), 4*disk.MiB, 512*disk.MiB, 64*disk.MiB, 32*disk.MiB
	cfg.SyncEvery = 100 * time.Millisecond
	var ahead atomic.Int64
	cfg.Wall = func(at time.Time) time.Time { return at.Add(time.Duration(ahead.Load())) }
	a, stop := runArchive(t, cfg)
	c := a.camera("gate", morning, film(t, "gate"))
	c.play(20 * time.Second)
	c.stop()
	ahead.Store(int64(-5 * time.Second))
	later := morning.Add(20 * time.Second)
	again := a.camera("gate", later, film(t, "gate"))
	again.set = -5 * time.Second
	again.play(6 * time.Second)
	again.stop()
	if err := a.HoldEvidence(t.Context(), station.Hold{ID: "e1", Camera: "gate", From: morning.Add(4 * time.Second), To: morning.Add(9 * time.Second), At: morning}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the evidence is kept", func() bool { return a.Marks("gate", morning, later)[0].Kept })
	if a.EvidenceBytes("e1") == 0 {
		t.Error("the evidence takes nothing")
	}
	for range 2 {
		line, err := open(t, a, playback.Deps{}).Timeline("gate", morning.Add(-time.Hour), morning.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if len(line.Steps) != 1 || line.Steps[0].By.Round(time.Second) != -5*time.Second || !near(line.Steps[0].At.Sub(morning), 15*time.Second, 200*time.Millisecond) {
			t.Errorf("steps %+v recorded %v gaps %v", line.Steps, line.Recorded, line.Gaps)
		}
		if len(line.Held) != 1 || line.Held[0].Class != record.Evidence || line.Held[0].From.After(morning.Add(4*time.Second)) || line.Held[0].To.Before(morning.Add(9*time.Second)) {
			t.Errorf("held %+v", line.Held)
		}
		stop()
		a, stop = runArchive(t, cfg)
	}
	stop()
}

// The day ends where the zone says: at nine in the evening UTC it is tomorrow in
// Shanghai.
func TestDaysEndWithTheZone(t *testing.T) {
	t.Parallel()
	a := openArchive(t)
	c := a.camera("gate", time.Date(2026, 11, 3, 15, 59, 50, 0, time.UTC), film(t, "gate"))
	c.play(20 * time.Second)
	c.settle()
	p := open(t, a, playback.Deps{})
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.Days("gate", time.Date(2026, 11, 1, 0, 0, 0, 0, zone))
	if err != nil || len(m.Days) != 2 || !near(m.Days[0].Recorded, 10*time.Second, 100*time.Millisecond) || !near(m.Days[1].Recorded, 10*time.Second, 100*time.Millisecond) {
		t.Errorf("%+v, %v", m, err)
	}
}

// Media begins at the key picture before the moment and is one request; what it
// holds decodes.
func TestMedia(t *testing.T) {
	t.Parallel()
	_, s := twoStretches(t)
	url := s.URL + "/api/v1/cameras/gate/media?"
	reply, body := get(t, url+"from="+stamp(morning.Add(7*time.Second))+"&to="+stamp(morning.Add(15*time.Second)))
	if kind := reply.Header.Get("Content-Type"); !strings.HasPrefix(kind, `video/mp4; codecs="avc1.42c0`) {
		t.Errorf("it is served as %s", kind)
	}
	from, err := time.Parse(time.RFC3339Nano, reply.Header.Get("Record-From"))
	if err != nil || !near(from.Sub(morning), 6*time.Second, 50*time.Millisecond) {
		t.Errorf("it begins at %s, not at the key picture", reply.Header.Get("Record-From"))
	}
	if count, _ := probe(t, save(t, "media.mp4", body)); count != 250 {
		t.Errorf("%d pictures, not those of 6 to 16 s", count)
	}

	// Across the gap, at sixteen times the speed: key pictures alone.
	reply, keys := get(t, url+"keys=1&from="+stamp(morning.Add(time.Second))+"&to="+stamp(morning.Add(70*time.Second)))
	if count, seconds := probe(t, save(t, "keys.mp4", keys)); count != 20 || seconds-float64(morning.Unix()) < 69 || seconds-float64(morning.Unix()) > 71 {
		t.Errorf("%d key pictures over %v s", count, seconds)
	}
	if len(keys)*2 > len(body)*4 {
		t.Errorf("key pictures of 40 s take %d bytes, everything of 10 s %d", len(keys), len(body))
	}
	if to := reply.Header.Get("Record-To"); !strings.HasPrefix(to, "2026-11-03T08:01:1") {
		t.Errorf("go on from %s", to)
	}
	_, thinned := get(t, url+"keys=1&every=3900&from="+stamp(morning.Add(time.Second))+"&to="+stamp(morning.Add(20*time.Second)))
	if count, _ := probe(t, save(t, "thinned.mp4", thinned)); count != 5 {
		t.Errorf("%d key pictures four seconds apart", count)
	}
	if reply, body := get(t, url+"from="+stamp(morning.Add(25*time.Second))+"&to="+stamp(morning.Add(35*time.Second))); reply.StatusCode != http.StatusNoContent || len(body) != 0 {
		t.Errorf("in the gap: %s", reply.Status)
	}
}

func TestPlaylist(t *testing.T) {
	t.Parallel()
	_, s := twoStretches(t)
	url := s.URL + "/api/v1/cameras/gate/playlist.m3u8?from=" + stamp(morning.Add(5*time.Second)) + "&to=" + stamp(morning.Add(65*time.Second))
	reply, body := get(t, url)
	text := string(body)
	for what, want := range map[string]int{
		"#EXT-X-DISCONTINUITY": 1, "#EXT-X-MAP:": 1, "#EXT-X-PROGRAM-DATE-TIME:2026-11-03T08:00:": 2, "#EXTINF:2.": 16, "#EXT-X-ENDLIST": 1, "TYPE:VOD": 1, "INDEPENDENT-SEGMENTS": 1, "TARGETDURATION:2\n": 1,
	} {
		if got := strings.Count(text, what); got != want {
			t.Errorf("%q %d times, not %d, in\n%s", what, got, want, text)
		}
	}
	if kind := reply.Header.Get("Content-Type"); kind != "application/vnd.apple.mpegurl" {
		t.Error(kind)
	}
	if count, _ := probe(t, url); count != 16*50 {
		t.Errorf("ffprobe decodes %d pictures of the playlist", count)
	}
	tool(t, "ffmpeg", "-v", "warning", "-xerror", "-i", url, "-f", "null", "-")

	// A segment is kept by those who ask again.
	at := strings.Index(text, "segment/")
	segment := s.URL + "/api/v1/cameras/gate/" + text[at:at+strings.Index(text[at:], "\n")]
	reply, whole := get(t, segment)
	if reply.StatusCode != 200 || len(whole) < 1000 || reply.Header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("%s, %d bytes, %q", reply.Status, len(whole), reply.Header.Get("Cache-Control"))
	}
	again, err := http.NewRequest(http.MethodGet, segment, nil)
	if err != nil {
		t.Fatal(err)
	}
	again.Header.Set("If-None-Match", reply.Header.Get("ETag"))
	if reply, err := http.DefaultClient.Do(again); err != nil || reply.StatusCode != http.StatusNotModified {
		t.Errorf("asked again: %v, %v", reply, err)
	} else {
		reply.Body.Close()
	}
}

// A live playlist grows by appending, until the camera has been silent for long.
func TestLivePlaylist(t *testing.T) {
	t.Parallel()
	a := openArchive(t)
	c := a.camera("gate", morning, film(t, "gate"))
	now := morning.Add(20 * time.Second)
	p := open(t, a, playback.Deps{Now: func() time.Time { return now }})
	s := serve(t, p.Routes())
	c.play(20 * time.Second)
	c.settle()
	reply, body := get(t, s.URL+"/api/v1/cameras/gate/playlist.m3u8")
	if got := reply.Request.URL.Query().Get("from"); got != "2026-11-03T08:00:00Z" {
		t.Errorf("it begins at %s", got)
	}
	first := string(body)
	if !strings.Contains(first, "TYPE:EVENT") || strings.Contains(first, "ENDLIST") || strings.Count(first, "EXTINF") != 10 {
		t.Fatalf("it does not grow:\n%s", first)
	}
	c.play(6 * time.Second)
	c.settle()
	now = now.Add(6 * time.Second)
	url := reply.Request.URL.String()
	_, body = get(t, url)
	if second := string(body); !strings.HasPrefix(second, strings.TrimSpace(first)[:len(first)-200]) || strings.Count(second, "EXTINF") != 13 {
		t.Errorf("it was not appended to:\n%s", second)
	}
	now = now.Add(5 * time.Minute)
	if _, body = get(t, url); !strings.Contains(string(body), "ENDLIST") {
		t.Errorf("it grows for ever:\n%s", body)
	}
}

func TestPreviewAndSnapshot(t *testing.T) {
	_, s := twoStretches(t)
	base := s.URL + "/api/v1/cameras/gate/"
	reply, body := get(t, base+"preview?at="+stamp(morning.Add(7*time.Second)))
	if count, _ := probe(t, save(t, "still.mp4", body)); count != 1 {
		t.Errorf("%d pictures", count)
	}
	if at, err := time.Parse(time.RFC3339Nano, reply.Header.Get("Record-At")); err != nil || !near(at.Sub(morning), 6*time.Second, 50*time.Millisecond) {
		t.Errorf("taken at %s", reply.Header.Get("Record-At"))
	}
	if reply, body := get(t, base+"preview?at="+stamp(morning.Add(30*time.Second))); reply.StatusCode != 404 || !strings.Contains(string(body), "record.none") {
		t.Errorf("in the gap: %s %s", reply.Status, body)
	}
	reply, body = get(t, base+"snapshot.jpg?at="+stamp(morning.Add(7*time.Second)))
	if reply.StatusCode != 200 || !bytes.HasPrefix(body, []byte{0xff, 0xd8}) {
		t.Errorf("%s %.80s", reply.Status, body)
	}
	t.Setenv("PATH", "")
	reply, body = get(t, base+"snapshot.jpg?at="+stamp(morning.Add(7*time.Second)))
	if reply.StatusCode != http.StatusNotImplemented || !strings.Contains(string(body), "ffmpeg") {
		t.Errorf("without ffmpeg: %s %s", reply.Status, body)
	}
}

// A still of this moment is the camera's own, else ffmpeg's, else a film of one
// picture; which of them stands in a header.
func TestSnapshotOfThisMoment(t *testing.T) {
	a := openArchive(t)
	now := time.Now()
	c := a.camera("gate", now.Add(-10*time.Second), film(t, "gate"))
	c.play(9 * time.Second)
	c.settle()
	c.stop()
	jpeg := append([]byte{0xff, 0xd8, 0xff}, "the camera's own"...)
	var asked atomic.Int32
	answer := func() ([]byte, string, error) { return jpeg, "image/jpeg", nil }
	p := open(t, a, playback.Deps{Snapshot: func(ctx context.Context, camera string) ([]byte, string, error) {
		asked.Add(1)
		if _, bounded := ctx.Deadline(); !bounded || camera != "gate" {
			t.Errorf("%s is asked without a bound", camera)
		}
		return answer()
	}})
	base := serve(t, p.Routes()).URL + "/api/v1/cameras/gate/snapshot"
	check := func(url, source, kind string) {
		t.Helper()
		reply, body := get(t, url)
		if reply.StatusCode != 200 || reply.Header.Get("Picture-Source") != source || reply.Header.Get("Content-Type") != kind || len(body) == 0 {
			t.Errorf("%s: %s from %q, %q: %.100s", url, reply.Status, reply.Header.Get("Picture-Source"), reply.Header.Get("Content-Type"), body)
		}
	}
	check(base, "camera", "image/jpeg")
	check(base+".jpg", "camera", "image/jpeg")
	check(base+"?at="+stamp(now.Add(-5*time.Second)), "ffmpeg", "image/jpeg")
	if asked.Load() != 2 {
		t.Errorf("the camera was asked %d times", asked.Load())
	}
	answer = func() ([]byte, string, error) {
		return nil, "", station.Errorf(502, "onvif.snapshot", "", "it gives none")
	}
	check(base, "ffmpeg", "image/jpeg")
	answer = func() ([]byte, string, error) { return []byte("GIF89a"), "image/gif", nil }
	check(base+".jpg", "ffmpeg", "image/jpeg")
	t.Setenv("PATH", "")
	check(base, "record", "video/mp4")
	if reply, _ := get(t, base+".jpg"); reply.StatusCode != http.StatusNotImplemented {
		t.Errorf("a JPEG without a decoder: %s", reply.Status)
	}
	p2 := serve(t, open(t, a, playback.Deps{}).Routes())
	if reply, body := get(t, p2.URL+"/api/v1/cameras/hall/snapshot"); reply.StatusCode != 404 || !strings.Contains(string(body), "snapshot.none") {
		t.Errorf("a camera without a record: %s %s", reply.Status, body)
	}
}

// What cannot be used is refused, with the parameter's name and what to do.
func TestHostileQuestions(t *testing.T) {
	t.Parallel()
	_, s := twoStretches(t)
	span := "from=" + stamp(morning) + "&to=" + stamp(morning.Add(time.Minute))
	long := strings.Repeat("x", 300)
	for path, want := range map[string]struct {
		status int
		place  string
	}{
		"gate/timeline":                                                                        {400, "from"},
		"gate/timeline?from=yesterday&to=2026":                                                 {400, "from"},
		"gate/timeline?from=" + stamp(morning):                                                 {400, "to"},
		"gate/timeline?from=" + stamp(morning) + "&to=" + stamp(morning):                       {400, "to"},
		"gate/timeline?from=0001-01-01T00:00:00Z&to=" + stamp(morning):                         {400, "from"},
		"gate/timeline?from=9999-12-31T00:00:00Z&to=" + stamp(morning):                         {400, "from"},
		"gate/timeline?from=2020-01-01T00:00:00Z&to=" + stamp(morning):                         {400, "to"},
		"gate/timeline?from=" + long + "&to=" + long:                                           {400, "from"},
		long + "/timeline?" + span:                                                             {400, "id"},
		"a%00b/timeline?" + span:                                                               {400, "id"},
		"a%2fb/timeline?" + span:                                                               {400, "id"},
		"gate/days":                                                                            {400, "month"},
		"gate/days?month=2026-13":                                                              {400, "month"},
		"gate/days?month=0000-01":                                                              {400, "month"},
		"gate/days?month=2026-11&zone=../../etc/passwd":                                        {400, "zone"},
		"gate/days?month=2026-11&zone=Mars/Olympus":                                            {400, "zone"},
		"gate/media?" + span + "&every=-1":                                                     {400, "every"},
		"gate/media?" + span + "&every=999999999999999999999":                                  {400, "every"},
		"gate/media?from=" + stamp(morning) + "&to=" + stamp(morning.Add(time.Hour)):           {400, "to"},
		"gate/media?keys=1&from=" + stamp(morning) + "&to=" + stamp(morning.Add(9*time.Hour)):  {400, "to"},
		"gate/playlist.m3u8?from=" + stamp(morning) + "&to=" + stamp(morning.Add(9*time.Hour)): {400, "to"},
		"gate/playlist.m3u8?from=x":                                                            {400, "from"},
		"gate/playlist.m3u8?from=2020-01-01T00:00:00Z":                                         {404, ""},
		"nobody/playlist.m3u8?" + span:                                                         {404, ""},
		"gate/preview":                                                                         {400, "at"},
		"gate/preview?at=-1":                                                                   {400, "at"},
		"gate/snapshot.jpg?at=noon":                                                            {400, "at"},
		"gate/init/1":                                                                          {404, "1"},
		"gate/init/1-1.mp4%00":                                                                 {404, ""},
		"gate/init/99-1.mp4":                                                                   {410, ""},
		"gate/init/1-99.mp4":                                                                   {410, ""},
		"gate/init/1-4294967297.mp4":                                                           {404, ""},
		"gate/init/01-1.mp4":                                                                   {404, ""},
		"gate/init/-1-1.mp4":                                                                   {404, ""},
		"gate/segment/1-1-" + long + ".m4s":                                                    {404, ""},
		"gate/segment/1-1-99999999999999999999.m4s":                                            {404, ""},
		"gate/segment/1-1-1.m4s":                                                               {404, ""},
		"nobody/init/1-1.mp4":                                                                  {410, ""},
	} {
		reply, body := get(t, s.URL+"/api/v1/cameras/"+path)
		var p station.Problem
		if err := json.Unmarshal(body, &p); err != nil || reply.StatusCode != want.status || want.place != "" && p.Place != want.place || p.Hint == "" {
			t.Errorf("%.80s: %s, place %q, hint %q, want %v (%s)", path, reply.Status, p.Place, p.Hint, want, body)
		}
	}
}

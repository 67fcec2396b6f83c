package record_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video/videotest"
)

func TestClipCoversItsSpan(t *testing.T) {
	t.Parallel()
	a := open(t, smallConfig(t.TempDir()))
	start := time.Now().Add(-2 * time.Minute).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(time.Minute)
	c.await()
	for i, span := range [][2]time.Duration{{0, 10}, {11, 41}, {12, 13}, {29, 59}} {
		from, to := start.Add(span[0]*time.Second+300*time.Millisecond), start.Add(span[1]*time.Second)
		clip, err := a.Clip(t.Context(), clipOf(fmt.Sprint("clip", i), from, to))
		if err != nil {
			t.Fatal(err)
		}
		if clip.Status != station.ClipReady || clip.Cause != "" || clip.Gaps != 0 {
			t.Fatalf("clip %+v", clip)
		}
		const gop = 2 * time.Second
		if clip.Start.After(from) || from.Sub(clip.Start) > gop || !near(clip.End.Sub(to), 0, videotest.Interval) {
			t.Errorf("asked for %v to %v, got %v to %v", from, to, clip.Start, clip.End)
		}
		path := export(t, a, clip.ID)
		pictures, duration := probe(t, path)
		if want := clip.End.Sub(clip.Start); !near(duration, want, 2*time.Millisecond) || pictures != int(want/videotest.Interval) {
			t.Errorf("%d pictures in %v, want %v", pictures, duration, want)
		}
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(body)
		if int64(len(body)) != clip.Size || hex.EncodeToString(sum[:]) != clip.SHA256 {
			t.Errorf("size or checksum is not that of the file")
		}
		if at := strings.Index(string(body), "moov"); at < 0 || at > strings.Index(string(body), "mdat") {
			t.Errorf("the index is not in front")
		}
	}
}

func TestClipWaitsForItsEnd(t *testing.T) {
	t.Parallel()
	cfg := smallConfig(t.TempDir())
	cfg.ClipGrace = 30 * time.Second // what is asked for may lie behind a slow machine
	a := open(t, cfg)
	start := time.Now().Add(-20 * time.Second).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(10 * time.Second)
	got := make(chan station.Clip)
	go func() {
		clip, err := a.Clip(t.Context(), clipOf("c", start.Add(4*time.Second), start.Add(21*time.Second)))
		if err != nil {
			t.Error(err)
		}
		got <- clip
	}()
	c.play(8 * time.Second)
	select {
	case clip := <-got:
		t.Fatalf("it did not wait: %+v", clip)
	default:
	}
	c.play(6 * time.Second)
	if clip := <-got; clip.Status != station.ClipReady || clip.Cause != "" {
		t.Fatalf("clip %+v", clip)
	}
}

func TestClipOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	a := open(t, smallConfig(t.TempDir()))
	start := time.Now().Add(-time.Minute).Round(0)

	// Nothing at all.
	clip, err := a.Clip(t.Context(), clipOf("none", start, start.Add(10*time.Second)))
	if err != nil || clip.Status != station.ClipFailed || clip.Cause == "" {
		t.Fatalf("clip %+v, %v", clip, err)
	}

	// Recording had only just begun, and the camera went silent before the end.
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(10 * time.Second)
	c.await()
	clip, err = a.Clip(t.Context(), clipOf("late", start.Add(-10*time.Second), start.Add(20*time.Second)))
	if err != nil || clip.Status != station.ClipReady {
		t.Fatalf("clip %+v, %v", clip, err)
	}
	if !near(clip.Start.Sub(start), 0, 50*time.Millisecond) || !near(clip.End.Sub(c.now), 0, 50*time.Millisecond) {
		t.Errorf("from %v to %v", clip.Start, clip.End)
	}
	if !strings.Contains(clip.Cause, "before") || !strings.Contains(clip.Cause, "after") {
		t.Errorf("cause %q", clip.Cause)
	}
	probe(t, export(t, a, "late"))
}

func TestClipKeepsWallDistanceOverAGap(t *testing.T) {
	t.Parallel()
	a := open(t, smallConfig(t.TempDir()))
	start := time.Now().Add(-time.Minute).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(9 * time.Second)
	time.Sleep(1200 * time.Millisecond) // the recorder hands over what it has when nothing comes
	c.lose(7 * time.Second)
	c.play(10 * time.Second)
	c.await()
	clip, err := a.Clip(t.Context(), clipOf("gap", start.Add(4*time.Second), start.Add(24*time.Second)))
	if err != nil || clip.Status != station.ClipReady {
		t.Fatalf("clip %+v, %v", clip, err)
	}
	if !near(clip.Gaps, 7*time.Second, 50*time.Millisecond) {
		t.Errorf("gaps of %v", clip.Gaps)
	}
	pictures, duration := probe(t, export(t, a, "gap"))
	if !near(duration, 20*time.Second, 50*time.Millisecond) || pictures != 13*25 {
		t.Errorf("%d pictures in %v", pictures, duration)
	}
	_, gaps := a.Timeline("cam1", start, c.now)
	if len(gaps) != 1 || gaps[0].Reason != "lost" {
		t.Errorf("gaps %+v", gaps)
	}
}

func TestClipEndsWhereTheParameterSetsChange(t *testing.T) {
	t.Parallel()
	a := open(t, smallConfig(t.TempDir()))
	start := time.Now().Add(-time.Minute).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(8 * time.Second)
	c.units, c.n = encode(t, "320x240", 0), 0
	c.play(20 * time.Second)
	c.await()
	clip, err := a.Clip(t.Context(), clipOf("change", start.Add(3*time.Second), start.Add(25*time.Second)))
	if err != nil || clip.Status != station.ClipReady {
		t.Fatalf("clip %+v, %v", clip, err)
	}
	if !strings.Contains(clip.Cause, "format") || !near(clip.Start.Sub(start), 8*time.Second, 50*time.Millisecond) {
		t.Errorf("clip %+v", clip)
	}
	if pictures, _ := probe(t, export(t, a, "change")); pictures != 17*25 {
		t.Errorf("%d pictures", pictures)
	}
}

func TestClipWithBFrames(t *testing.T) {
	t.Parallel()
	a := open(t, smallConfig(t.TempDir()))
	start := time.Now().Add(-time.Minute).Round(0)
	c := newCamera(t, a, "cam1", start, nil)
	units := encode(t, "320x240", 2)
	// The stream gets the pictures in decoding order, with the times at which
	// they are shown: I P B B P B B, the B-frames before the P that they follow.
	order := showing(t)
	for n := range 500 {
		k := n % len(units)
		shown := time.Duration(n-k+order[k]) * videotest.Interval
		c.stream.Write(units[k], shown, c.now, false)
		c.now = c.now.Add(videotest.Interval)
		if n%50 == 49 {
			sent := c.now
			waitFor(t, "the recorder to follow", func() bool { return a.Behind("cam1", sent) < 100*time.Millisecond })
		}
	}
	c.await()
	clip, err := a.Clip(t.Context(), clipOf("b", start.Add(3*time.Second), start.Add(15*time.Second)))
	if err != nil || clip.Status != station.ClipReady {
		t.Fatalf("clip %+v, %v", clip, err)
	}
	pictures, duration := probe(t, export(t, a, "b"))
	if !near(duration, clip.End.Sub(clip.Start), 200*time.Millisecond) || pictures < 12*25 {
		t.Errorf("%d pictures in %v of %v", pictures, duration, clip.End.Sub(clip.Start))
	}
}

func TestClockIsSet(t *testing.T) {
	t.Parallel()
	a := open(t, smallConfig(t.TempDir()))
	start := time.Now().Add(-2 * time.Minute).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(20 * time.Second)
	a.SetClock(-10 * time.Second) // the last ten seconds come twice
	c.play(21 * time.Second)
	a.SetClock(time.Hour)
	c.play(20 * time.Second)
	time.Sleep(1200 * time.Millisecond) // until the recorder hands over the rest
	spans, gaps := a.Timeline("cam1", start.Add(-time.Hour), start.Add(2*time.Hour))
	if len(spans) != 3 || len(gaps) != 1 || gaps[0].Reason != "clock" || !near(gaps[0].To.Sub(gaps[0].From), time.Hour, 100*time.Millisecond) {
		t.Fatalf("spans %v, gaps %v", spans, gaps)
	}
	for i, want := range []time.Duration{20 * time.Second, 21 * time.Second, 20 * time.Second} {
		if d := spans[i].To.Sub(spans[i].From); !near(d, want, 100*time.Millisecond) {
			t.Errorf("span %d lasts %v", i, d)
		}
	}
	// Of the seconds that came twice, a clip has the later telling.
	clip, err := a.Clip(t.Context(), clipOf("c", start.Add(6*time.Second), start.Add(30*time.Second)))
	if err != nil || clip.Status != station.ClipReady || clip.Gaps != 0 {
		t.Fatalf("clip %+v, %v", clip, err)
	}
	if _, duration := probe(t, export(t, a, "c")); !near(duration, clip.End.Sub(clip.Start), 50*time.Millisecond) {
		t.Errorf("it lasts %v", duration)
	}
}

// TestClipFromBeforeTheClockWasSetBack: its end comes again in a year, for which
// nobody can wait.
func TestClipFromBeforeTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	a := open(t, smallConfig(t.TempDir()))
	start := time.Now().Add(-20 * time.Second).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(20 * time.Second)
	c.await()
	a.SetClock(-365 * 24 * time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	clip, err := a.Clip(ctx, clipOf("c", start.Add(2*time.Second), start.Add(10*time.Second)))
	if err != nil || clip.Status != station.ClipReady || clip.Cause != "" {
		t.Fatalf("clip %+v, %v", clip, err)
	}
	if clip, err = a.Clip(ctx, clipOf("none", start.Add(time.Hour), start.Add(time.Hour+time.Second))); err != nil || clip.Status != station.ClipFailed {
		t.Fatalf("clip %+v, %v", clip, err)
	}
}

func TestClipIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := smallConfig(dir)
	a := open(t, cfg)
	start := time.Now().Add(-time.Minute).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(20 * time.Second)
	c.await()
	asked := clipOf("once", start.Add(5*time.Second), start.Add(15*time.Second))
	var clips [4]station.Clip
	done := make(chan error, len(clips))
	for i := range clips {
		go func() {
			var err error
			clips[i], err = a.Clip(t.Context(), asked)
			done <- err
		}()
	}
	for range clips {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	c.stop()
	a.stop()
	// What a killed run left of another clip is thrown away.
	if err := os.MkdirAll(filepath.Join(dir, "clips", "half.part"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "clips", "half.part", "MANIFEST"), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	a = open(t, cfg)
	again, err := a.Clip(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range append(clips[:], again) {
		x.Start, x.End = x.Start.UTC(), x.End.UTC()
		first := clips[0]
		first.Start, first.End = first.Start.UTC(), first.End.UTC()
		if x != first {
			t.Errorf("clips differ:\n%+v\n%+v", x, first)
		}
	}
	half, err := a.Clip(t.Context(), clipOf("half", start.Add(5*time.Second), start.Add(15*time.Second)))
	if err != nil || half.SHA256 != again.SHA256 {
		t.Errorf("remade clip %+v, %v", half, err)
	}
}

func TestClipRefusesWhatItCannot(t *testing.T) {
	t.Parallel()
	cfg := smallConfig(t.TempDir())
	cfg.EventsMaxBytes = 0
	a := open(t, cfg)
	now := time.Now()
	for _, c := range []station.Clip{
		clipOf("../up", now, now.Add(time.Second)),
		clipOf("", now, now.Add(time.Second)),
		clipOf("a.part", now, now.Add(time.Second)),
		clipOf("span", now, now),
		clipOf("long", now, now.Add(2*time.Hour)),
	} {
		if _, err := a.Clip(t.Context(), c); err == nil {
			t.Errorf("clip %q was not refused", c.ID)
		}
	}
	start := time.Now().Add(-time.Minute).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(10 * time.Second)
	c.await()
	_, err := a.Clip(t.Context(), clipOf("full", start, start.Add(5*time.Second)))
	if p, ok := station.AsProblem(err); !ok || p.Code != "clips.full" {
		t.Errorf("error %v", err)
	}
	if l := a.Lamps(); l[0].Code != "storage.clips-full" {
		t.Errorf("lamps %+v", l)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Clip(ctx, clipOf("ended", now, now.Add(time.Minute))); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestClipOverHTTP(t *testing.T) {
	t.Parallel()
	a := open(t, smallConfig(t.TempDir()))
	start := time.Now().Add(-time.Minute).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(50 * time.Second)
	c.await()
	clip, err := a.Clip(t.Context(), clipOf("c1", start.Add(5*time.Second), start.Add(45*time.Second)))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, r := range a.Routes() {
		if r.Permission != station.PermVideo || strings.Contains(r.Pattern, "/clips/") && r.Resource != "clip/{id}" {
			t.Errorf("route %+v", r)
		}
		mux.Handle(r.Pattern, r.Handler)
	}
	get := func(path, header, value string) *http.Response {
		req := httptest.NewRequest("GET", path, nil)
		if header != "" {
			req.Header.Set(header, value)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, req)
		return w.Result()
	}
	whole := get("/api/v1/clips/c1/video.mp4", "", "")
	body, err := io.ReadAll(whole.Body)
	if err != nil || whole.StatusCode != 200 || int64(len(body)) != clip.Size || whole.Header.Get("Content-Type") != "video/mp4" {
		t.Fatalf("%d bytes, %v, %+v", len(body), err, whole)
	}
	if clip.Size < 1<<20+1000 {
		t.Fatalf("the clip of %d bytes has one chunk only", clip.Size)
	}
	part := get("/api/v1/clips/c1/video.mp4", "Range", "bytes=1048000-1049000")
	got, err := io.ReadAll(part.Body)
	if err != nil || part.StatusCode != 206 || string(got) != string(body[1048000:1049001]) {
		t.Errorf("range: status %d, %d bytes, %v", part.StatusCode, len(got), err)
	}
	if r := get("/api/v1/clips/c1/video.mp4", "If-None-Match", `"`+clip.SHA256+`"`); r.StatusCode != 304 {
		t.Errorf("unchanged: status %d", r.StatusCode)
	}
	if r := get("/api/v1/clips/c2/video.mp4", "", ""); r.StatusCode != 404 {
		t.Errorf("unknown: status %d", r.StatusCode)
	}
	if err := a.RemoveClip("c1"); err != nil {
		t.Error(err)
	}
	if r := get("/api/v1/clips/c1/video.mp4", "", ""); r.StatusCode != 404 {
		t.Errorf("removed: status %d", r.StatusCode)
	}
}

package playback_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stationd/agent/station"
	"stationd/agent/store/disk"
	"stationd/video/playback"
	"stationd/video/record"
	"stationd/video/stream"
	"stationd/video/videotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// archive is a real one whose writer runs.
type archive struct {
	*record.Archive
	t testing.TB
}

func openArchive(t testing.TB) *archive {
	t.Helper()
	cfg := record.DefaultConfig()
	cfg.Dir = filepath.Join(t.TempDir(), "video")
	cfg.VolumeSize = 4 * disk.MiB
	cfg.MaxBytes = 512 * disk.MiB
	cfg.MinFree, cfg.ClipsMinFree = 64*disk.MiB, 32*disk.MiB
	return openWith(t, cfg)
}

func logTo(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func openWith(t testing.TB, cfg record.Config) *archive {
	t.Helper()
	a, stop := runArchive(t, cfg)
	t.Cleanup(stop)
	return a
}

// runArchive opens an archive and runs it until stop is called.
func runArchive(t testing.TB, cfg record.Config) (_ *archive, stop func()) {
	t.Helper()
	a, err := record.Open(cfg, logTo(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	return &archive{a, t}, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := a.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

// camera records a film at moments of the test's choosing, so that an hour passes in
// a second.
type camera struct {
	a      *archive
	id     string
	stream *stream.Stream
	units  [][][]byte
	n      int
	now    time.Time
	pts    time.Duration
	set    time.Duration // the wall clock, since the film's first picture
	stop   func()
}

func (a *archive) camera(id string, from time.Time, units [][][]byte) *camera {
	a.t.Helper()
	c := &camera{a: a, id: id, stream: stream.New(stream.Config{}), units: units, now: from}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Record(ctx, id, c.stream) }()
	stopped := false
	c.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			a.t.Errorf("Record: %v", err)
		}
	}
	a.t.Cleanup(c.stop)
	eventually(a.t, "the recorder reads the stream", func() bool { return c.stream.Stats().Readers == 1 })
	return c
}

// play plays the film for so long and waits until it is written.
func (c *camera) play(d time.Duration) {
	c.a.t.Helper()
	for end := c.now.Add(d); c.now.Before(end); {
		for piece := c.now.Add(min(2*time.Second, end.Sub(c.now))); c.now.Before(piece); {
			c.stream.Write(c.units[c.n%len(c.units)], c.pts, c.now, false)
			c.n++
			c.pts += videotest.Interval
			c.now = c.now.Add(videotest.Interval)
		}
		eventually(c.a.t, "the record follows", func() bool {
			spans, _ := c.a.Timeline(c.id, c.now.Add(-time.Hour), c.now.Add(time.Hour))
			return len(spans) > 0 && c.now.Add(c.set).Sub(spans[len(spans)-1].To).Abs() < 2100*time.Millisecond
		})
	}
}

// settle waits until the last pictures are written.
func (c *camera) settle() {
	c.a.t.Helper()
	eventually(c.a.t, "the last pictures are written", func() bool {
		spans, _ := c.a.Timeline(c.id, c.now.Add(-time.Hour), c.now.Add(time.Hour))
		return len(spans) > 0 && c.now.Sub(spans[len(spans)-1].To).Abs() < 100*time.Millisecond
	})
}

// lose breaks the camera off for so long.
func (c *camera) lose(d time.Duration) {
	c.settle()
	c.stream.Lost("test")
	c.now = c.now.Add(d)
	c.n = 0
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: never", what)
		}
	}
}

func film(t testing.TB, name string) [][][]byte {
	t.Helper()
	films, err := videotest.Films()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range films {
		if f.Name == name {
			return f.Units
		}
	}
	t.Fatalf("no film %q", name)
	return nil
}

// serve serves the routes as the console would, without its doors.
func serve(t testing.TB, routes []station.Route) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.Handle(r.Pattern, r.Handler)
	}
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func open(t testing.TB, a *archive, deps playback.Deps) *playback.Playback {
	t.Helper()
	cfg := playback.DefaultConfig()
	cfg.Dir = filepath.Join(t.TempDir(), "exports")
	deps.Archive = a.Archive
	deps.Log = logTo(t)
	return playback.New(cfg, deps)
}

// tool runs ffmpeg or ffprobe; whatever it complains of is a failure.
func tool(t testing.TB, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing; install it with: apt-get install -y ffmpeg", name)
	}
	var stdout, stderr strings.Builder
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("%s %v: %v\n%s", name, args, err, stderr.String())
	}
	return stdout.String()
}

// probe decodes every picture of a file or playlist.
func probe(t testing.TB, input string) (count int, seconds float64) {
	t.Helper()
	out := tool(t, "ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames:format=duration", "-of", "default=nk=1:nw=1", input)
	fields := strings.Fields(out)
	if len(fields) < 1 {
		t.Fatalf("ffprobe said %q", out)
	}
	if _, err := fmt.Sscan(fields[0], &count); err != nil {
		t.Fatalf("ffprobe said %q: %v", out, err)
	}
	if len(fields) > 1 {
		_, _ = fmt.Sscan(fields[1], &seconds) // a live playlist has none
	}
	return count, seconds
}

func save(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// stamp is a time as the routes take it, escaped.
func stamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

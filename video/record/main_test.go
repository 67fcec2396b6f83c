package record_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stationd/agent/station"
	"stationd/agent/store/disk"
	"stationd/video/record"
	"stationd/video/stream"
	"stationd/video/videotest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("STATIOND_RECORD_CHILD"); dir != "" {
		recordUntilKilled(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// smallConfig has small volumes and asks for little of the disk.
func smallConfig(dir string) record.Config {
	cfg := record.DefaultConfig()
	cfg.Dir = dir
	cfg.VolumeSize = 2 * disk.MiB
	cfg.MaxBytes = 64 * disk.MiB
	cfg.MinFree = 64 * disk.MiB
	cfg.ClipsMinFree = 32 * disk.MiB
	cfg.ClipsMaxBytes = 256 * disk.MiB
	cfg.ClipGrace = 500 * time.Millisecond
	return cfg
}

type config = record.Config

// openStill opens an archive whose Run does not run.
func openStill(t testing.TB, cfg record.Config) *record.Archive {
	t.Helper()
	a, err := record.Open(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// running is an archive whose Run is running.
type running struct {
	*record.Archive
	t    testing.TB
	stop func()
}

func open(t testing.TB, cfg record.Config) *running {
	t.Helper()
	a, err := record.Open(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	r := &running{Archive: a, t: t}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := a.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	t.Cleanup(r.stop)
	return r
}

// camera feeds a stream with film, at moments of its own choosing, so that an
// hour can be recorded in a second.
type camera struct {
	t      testing.TB
	a      *running
	id     string
	stream *stream.Stream
	units  [][][]byte
	n      int // units played
	now    time.Time
	pts    time.Duration
	heard  time.Duration // the sound so far
	stop   func()
}

func newCamera(t testing.TB, a *running, id string, from time.Time, units [][][]byte) *camera {
	t.Helper()
	c := &camera{t: t, a: a, id: id, stream: stream.New(stream.Config{}), units: units, now: from}
	ctx, cancel := context.WithCancel(t.Context())
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
			t.Errorf("Record: %v", err)
		}
	}
	t.Cleanup(c.stop)
	waitFor(t, "the recorder to read the stream", func() bool { return c.stream.Stats().Readers == 1 })
	return c
}

// play plays the film for so long, and waits until the recorder has taken it.
func (c *camera) play(d time.Duration) {
	c.t.Helper()
	for end := c.now.Add(d); c.now.Before(end); {
		c.feed(min(2*time.Second, end.Sub(c.now)))
		sent := c.now
		waitFor(c.t, "the recorder to follow", func() bool { return c.a.Behind(c.id, sent) < 100*time.Millisecond })
	}
}

// feed plays the film for so long, at once.
func (c *camera) feed(d time.Duration) {
	for end := c.now.Add(d); c.now.Before(end); {
		c.stream.Write(c.units[c.n%len(c.units)], c.pts, c.now, false)
		c.n++
		c.pts += videotest.Interval
		c.now = c.now.Add(videotest.Interval)
	}
}

// lose breaks the camera off for so long.
func (c *camera) lose(d time.Duration) {
	c.stream.Lost("test")
	c.now = c.now.Add(d)
	c.n = 0
}

// await waits until everything but the last fragment is written.
func (c *camera) await() {
	c.t.Helper()
	waitFor(c.t, "the writer to follow", func() bool {
		spans, _ := c.a.Timeline(c.id, time.Time{}, c.now.Add(time.Hour))
		return len(spans) > 0 && c.now.Sub(spans[len(spans)-1].To) < 100*time.Millisecond
	})
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// film is what the cameras show: eight seconds, some 35 KiB each.
func film(t testing.TB) [][][]byte {
	t.Helper()
	made.Do(func() { made.units = encode(t, "352x208", 0) })
	if made.units == nil {
		t.Fatal("the film could not be made")
	}
	return made.units
}

var made struct {
	sync.Once
	units [][][]byte
}

func clipOf(id string, from, to time.Time) station.Clip {
	return station.Clip{ID: id, Node: "n1", Camera: "cam1", From: from, To: to, Status: station.ClipPending}
}

// export writes a clip to a file.
func export(t testing.TB, a *running, id string) string {
	t.Helper()
	r, err := a.OpenClip(id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	path := filepath.Join(t.TempDir(), id+".mp4")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// tool runs ffmpeg or ffprobe.
func tool(t testing.TB, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing; install it with: apt-get install -y ffmpeg", name)
	}
	cmd := exec.Command(path, args...)
	stderr, stdout := new(prefixed), new(prefixed)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err = cmd.Run()
	for line := range strings.Lines(string(*stderr)) {
		// G.711 in MP4 does not say where its loudspeakers stand.
		if !strings.Contains(line, "Guessed Channel Layout") {
			t.Fatalf("%s %v: %v\n%s", name, args, err, *stderr)
		}
	}
	if err != nil {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return string(*stdout)
}

type prefixed []byte

func (p *prefixed) Write(b []byte) (int, error) { *p = append(*p, b...); return len(b), nil }

// probe decodes every picture of the file and returns their times.
func probe(t testing.TB, path string) (count int, duration time.Duration) {
	t.Helper()
	decode(t, path)
	out := tool(t, "ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0",
		"-show_entries", "stream=nb_read_frames:format=duration", "-of", "default=nk=1:nw=1", path)
	var seconds float64
	if _, err := fmt.Sscan(out, &count, &seconds); err != nil {
		t.Fatalf("ffprobe said %q: %v", out, err)
	}
	return count, time.Duration(seconds * float64(time.Second))
}

// decode decodes the whole file; whatever the decoder says is a failure. The
// pictures keep their times: rounding them to a frame rate would not go well with
// a source that trembles.
func decode(t testing.TB, path string) {
	t.Helper()
	tool(t, "ffmpeg", "-v", "warning", "-xerror", "-i", path, "-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-f", "null", "-")
}

func near(d, want, by time.Duration) bool { return (d - want).Abs() <= by }

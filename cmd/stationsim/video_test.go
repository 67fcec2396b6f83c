package main

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video/rtsp"
	"stationd/video/stream"
)

// Cameras are served and set up, a station pulls them, viewers watch one.
func TestCamerasAndViewers(t *testing.T) {
	v := startVillage(t)
	cams := start(t, "cameras", "--listen", "127.0.0.1:0", "--count", "2", "--username", "admin", "--password-file", secretFile(t),
		"--station", v.url, "--token", v.link(t))
	eventually(t, "both cameras online", func() bool {
		online := 0
		for _, c := range v.video.States() {
			if c.Status == station.CameraOnline {
				online++
			}
		}
		return online == 2
	})
	cams.says(t, "/sim-01\n", "/sim-02\n", "set up at ")

	view := start(t, "viewers", "--station", v.url, "--camera", "sim-02", "--count", "3", "--for", "3s", "--token", v.link(t))
	if code := view.wait(t); code != exitOK {
		t.Errorf("exit %d: %s", code, view.output())
	}
	view.says(t, "3 viewers watch sim-02", "first picture     p50 ", " 0 broken", "without picture   0 of 3 viewers")

	t.Setenv("SIM_TEST_PASSWORD", officersPassword)
	blind := start(t, "viewers", "--station", v.url, "--camera", "no-such", "--count", "2", "--for", "10s", "--account", officer, "--account-password-env", "SIM_TEST_PASSWORD")
	if code := blind.wait(t); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	blind.says(t, "2 of 2 viewers saw nothing")

	cams.interrupt()
	if code := cams.wait(t); code != exitOK {
		t.Errorf("exit %d", code)
	}
	cams.says(t, "played 2 times")
}

// The addresses that are printed are those of cameras.
func TestCamerasAddresses(t *testing.T) {
	t.Parallel()
	s := start(t, "cameras", "--listen", "127.0.0.1:0", "--count", "5", "--name", "hall", "--for", "1h")
	eventually(t, "addresses", func() bool { return strings.Count(s.output(), "\n") == 5 })
	ctx, cancel := context.WithCancel(context.Background())
	var pulling sync.WaitGroup
	var cameras []*stream.Stream
	for _, address := range strings.Fields(s.output()) {
		cfg := rtsp.DefaultConfig()
		cfg.URL = address
		pictures := stream.New(stream.Config{})
		defer pictures.Close()
		cameras = append(cameras, pictures)
		pulling.Go(func() { _ = rtsp.New(cfg, pictures, slog.New(slog.DiscardHandler)).Run(ctx) })
	}
	eventually(t, "pictures of every camera", func() bool {
		return !slices.ContainsFunc(cameras, func(c *stream.Stream) bool { online, _, _ := c.State(); return !online })
	})
	cancel()
	pulling.Wait()
	for address, want := range map[[2]string]string{
		{"", "rtsp://127.0.0.1:8554/a"}:       "rtsp://127.0.0.1:8554/a",
		{"sim.local", "rtsp://[::]:8554/a"}:   "rtsp://sim.local:8554/a",
		{"10.0.0.7", "rtsp://0.0.0.0:8554/a"}: "rtsp://10.0.0.7:8554/a",
	} {
		if got := seenFrom(address[0], address[1]); got != want {
			t.Errorf("%v: %s", address, got)
		}
	}
	if got := seenFrom("", "rtsp://[::]:8554/a"); strings.Contains(got, "::") {
		t.Error(got)
	}
}

func TestMissing(t *testing.T) {
	for _, x := range []struct {
		of        []uint16
		all, lost int
	}{
		{nil, 0, 0},
		{[]uint16{7, 8, 9}, 3, 0},
		{[]uint16{65534, 65535, 0, 1}, 4, 0},
		{[]uint16{65534, 1, 5}, 8, 5},
	} {
		if all, lost := missing(x.of); all != x.all || lost != x.lost {
			t.Errorf("%v: %d, %d", x.of, all, lost)
		}
	}
}

// A viewer counts from the first picture that can be shown.
func TestSummaryOfTheBlind(t *testing.T) {
	var out strings.Builder
	err := summary(&out, []viewer{{first: time.Second, whole: 10}, {err: http.ErrHandlerTimeout}})
	if err == nil || !strings.Contains(err.Error(), "1 of 2 viewers saw nothing") {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "without picture   1 of 2") {
		t.Error(out.String())
	}
}

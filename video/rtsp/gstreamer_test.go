package rtsp_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video/stream"
)

// These tests have a server in front of them that is not ours: GStreamer's, with
// a live x264 encoder as the camera.

const gstreamerPackages = "apt-get install -y --no-install-recommends python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"

// gstreamer starts the camera and returns its port and a way to kill it.
func gstreamer(t *testing.T, env string, args ...string) (port string, kill func()) {
	t.Helper()
	// Debian's python has Debian's gi; another one may be first in PATH.
	python := ""
	for _, p := range []string{"/usr/bin/python3", "python3"} {
		const probe = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
		if exec.Command(p, "-c", probe).Run() == nil {
			python = p
			break
		}
	}
	if python == "" {
		t.Fatal("GStreamer's RTSP server is missing: " + gstreamerPackages)
	}
	cmd := exec.Command(python, append([]string{"testdata/camera.py"}, args...)...)
	cmd.Env = append(os.Environ(), env)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe() // closed when this process ends, which ends the camera
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the camera says no port: %v; if an element is missing: %s", err, gstreamerPackages)
	}
	killed := false
	kill = func() {
		if killed {
			return
		}
		killed = true
		_ = cmd.Process.Kill()
		_ = stdin.Close()
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait()
	}
	t.Cleanup(kill)
	return strings.TrimSpace(line), kill
}

func TestGStreamerCamera(t *testing.T) {
	t.Parallel()
	port, kill := gstreamer(t, "", "0", "admin", "口令 1")
	cfg := fast("rtsp://127.0.0.1:" + port + "/live")
	cfg.RequestTimeout = 5 * time.Second
	cfg.Username, cfg.Password = "admin", "口令 1"
	r := run(t, cfg)
	reader := r.stream.Read(stream.ReadOptions{})

	before := units(t, reader, -1, 60)
	for i, u := range before {
		if u.Damaged {
			t.Errorf("unit %d is damaged", i)
		}
		if len(u.Packets) == 0 || !u.Packets[len(u.Packets)-1].Marker {
			t.Errorf("unit %d does not end with a marker", i)
		}
	}
	if d := before[59].PTS - before[0].PTS; d < 2200*time.Millisecond || d > 2600*time.Millisecond {
		t.Errorf("60 pictures last %v", d)
	}
	state, next := r.await(0, station.CameraOnline)
	if state.Width != 640 || state.Height != 360 {
		t.Errorf("state %+v", state)
	}
	if p, _ := r.stream.Params(); p.Reordered {
		t.Error("B-frames where there are none")
	}

	// The camera dies and comes back; the reader stays.
	kill()
	_, next = r.await(next, station.CameraOffline)
	gstreamer(t, "", port, "admin", "口令 1")
	last := before[len(before)-1]
	for range int(r.stream.Stats().Units) - len(before) {
		last = units(t, reader, last.PTS, 1)[0]
	}
	r.await(next, station.CameraOnline)
	after := units(t, reader, last.PTS, 30)
	if !after[0].Key {
		t.Error("it does not go on with a key picture")
	}
	passed := after[0].Arrival.Sub(last.Arrival)
	if gap := after[0].PTS - last.PTS; gap < passed-300*time.Millisecond || gap > passed+300*time.Millisecond {
		t.Errorf("the timeline goes on by %v, by the clock %v have passed", gap, passed)
	}
	if n := reader.Skipped(); n != 0 {
		t.Errorf("%d units skipped", n)
	}
}

// Trap 6: B-frames are told, since WebRTC cannot carry them.
func TestGStreamerBFrames(t *testing.T) {
	t.Parallel()
	port, _ := gstreamer(t, "B_FRAMES=1", "0")
	cfg := fast("rtsp://127.0.0.1:" + port + "/live")
	cfg.RequestTimeout = 5 * time.Second
	r := run(t, cfg)
	r.await(0, station.CameraOnline)
	eventually(t, "B-frames are told", func() bool {
		p, _ := r.stream.Params()
		return p.Reordered
	})
}

package videotest

import (
	"bufio"
	_ "embed" // for the script
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// gstreamerScript says itself what it does.
//
//go:embed gstreamer.py
var gstreamerScript string

const gstreamerPackages = "apt-get install -y --no-install-recommends python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly"

// TB is what is needed of a testing.TB, so that the programs which play films do
// not carry the testing package with them.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(f func())
}

// GStreamerConfig says what kind of camera it is.
type GStreamerConfig struct {
	// Port is where it listens on loopback; empty means any free port.
	Port string
	// Username and Password are asked for when Username is set.
	Username, Password string
	// BFrames makes the encoder use them.
	BFrames bool
	// H265 makes it another encoder.
	H265 bool
	// Sound is PCMA, PCMU, AAC, LATM (AAC in another wrapping) or OPUS; "" is
	// none.
	Sound string
	// Hears is PCMA or PCMU for a loudspeaker, whose sound is appended, as it came, to
	// the file HeardIn.
	Hears, HeardIn string
}

// GStreamer is a camera that is not ours: GStreamer's RTSP server with a live
// x264 or x265 encoder, 640x360, 25 pictures and one key picture a second. Each picture
// shows when it was made, see PictureTime.
type GStreamer struct {
	Port string

	kill func()
}

// URL is the camera's address.
func (g *GStreamer) URL() string { return "rtsp://127.0.0.1:" + g.Port + "/live" }

// Kill ends it without a farewell; its sockets are closed by the system.
func (g *GStreamer) Kill() { g.kill() }

// StartGStreamer runs the camera for the length of the test.
func StartGStreamer(t TB, cfg GStreamerConfig) *GStreamer {
	t.Helper()
	// Debian's python has Debian's gi; another one may be first in PATH.
	python := ""
	for _, p := range []string{"/usr/bin/python3", "python3"} {
		const needs = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
		if exec.Command(p, "-c", needs).Run() == nil {
			python = p
			break
		}
	}
	if python == "" {
		t.Fatalf("GStreamer's RTSP server is missing: %s", gstreamerPackages)
	}
	if cfg.Port == "" {
		cfg.Port = "0"
	}
	args := []string{"-c", gstreamerScript, cfg.Port}
	if cfg.Username != "" {
		args = append(args, cfg.Username, cfg.Password)
	}
	cmd := exec.Command(python, args...)
	cmd.Env = append(os.Environ(), "SOUND="+cfg.Sound, "HEARS="+cfg.Hears, "HEARD="+cfg.HeardIn)
	if cfg.BFrames {
		cmd.Env = append(cmd.Env, "B_FRAMES=1")
	}
	if cfg.H265 {
		cmd.Env = append(cmd.Env, "CODEC=H265")
	}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe() // closed when this process ends, which ends the camera
	if err != nil {
		t.Fatalf("start the camera: %v", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("start the camera: %v", err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start the camera: %v", err)
	}
	g := &GStreamer{kill: sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = stdin.Close()
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait()
	})}
	t.Cleanup(g.kill)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the camera says no port: %v; if an element is missing: %s", err, gstreamerPackages)
	}
	g.Port = strings.TrimSpace(line)
	return g
}

// The clock in GStreamer's pictures.
const (
	clockSquare = 16 // pixels
	clockSync   = 4  // squares: black, white, black, white
	clockBits   = 32
)

// PictureTimeFilter makes ffmpeg reduce a picture of the camera to what
// PictureTime reads, ClockSize bytes of raw video: "-vf", PictureTimeFilter,
// "-f", "rawvideo".
const PictureTimeFilter = "crop=576:16:0:344,scale=36:1:flags=area,format=gray"

// ClockSize is how many bytes PictureTime reads.
const ClockSize = clockSync + clockBits

// PictureTime is when a picture was made, to the centisecond; near is some time
// within half a year of it. It is not ok when the picture shows no clock.
func PictureTime(squares []byte, near time.Time) (at time.Time, ok bool) {
	if len(squares) != ClockSize {
		return time.Time{}, false
	}
	var bits uint32
	for i, v := range squares {
		white := v > 127
		if dull := v > 64 && v < 192; dull || i < clockSync && white != (i%2 == 1) {
			return time.Time{}, false
		}
		bits <<= 1
		if white {
			bits |= 1
		}
	}
	now := uint32(near.UnixMilli() / 10)
	off := time.Duration(int32(bits-now)) * 10 * time.Millisecond
	return near.Truncate(10 * time.Millisecond).Add(off), true
}

package rtsp_test

import (
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video/stream"
	"stationd/video/videotest"
)

// These tests have a server in front of them that is not ours: GStreamer's, with
// a live x264 encoder as the camera.

func TestGStreamerCamera(t *testing.T) {
	t.Parallel()
	camera := videotest.StartGStreamer(t, videotest.GStreamerConfig{Username: "admin", Password: "口令 1"})
	cfg := fast(camera.URL())
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
	camera.Kill()
	_, next = r.await(next, station.CameraOffline)
	videotest.StartGStreamer(t, videotest.GStreamerConfig{Port: camera.Port, Username: "admin", Password: "口令 1"})
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
	cfg := fast(videotest.StartGStreamer(t, videotest.GStreamerConfig{BFrames: true}).URL())
	cfg.RequestTimeout = 5 * time.Second
	r := run(t, cfg)
	r.await(0, station.CameraOnline)
	eventually(t, "B-frames are told", func() bool {
		p, _ := r.stream.Params()
		return p.Reordered
	})
}

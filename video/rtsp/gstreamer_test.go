package rtsp_test

import (
	"context"
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

// H.265 and each kind of sound, from encoders and payloaders that are not ours.
func TestGStreamerCodecs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg   videotest.GStreamerConfig
		sound string
		rate  int
	}{
		"H.265 with G.711 A-law": {videotest.GStreamerConfig{H265: true, Sound: "PCMA"}, stream.PCMA, 8000},
		"H.264 with G.711 µ-law": {videotest.GStreamerConfig{Sound: "PCMU"}, stream.PCMU, 8000},
		"H.264 with AAC":         {videotest.GStreamerConfig{Sound: "AAC"}, stream.AAC, 16000},
		"H.264 with AAC in LATM": {videotest.GStreamerConfig{Sound: "LATM"}, stream.AAC, 16000},
		"H.264 with Opus":        {videotest.GStreamerConfig{Sound: "OPUS"}, stream.Opus, 48000},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := fast(videotest.StartGStreamer(t, c.cfg).URL())
			cfg.RequestTimeout, cfg.PictureTimeout = 10*time.Second, 5*time.Second
			r := run(t, cfg)
			reader := r.stream.Read(stream.ReadOptions{Sound: true})
			pictures, samples := 0, 0
			var first, last, picture time.Duration
			var about *stream.Sound
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			for pictures < 75 {
				u, err := reader.Next(ctx)
				if err != nil {
					t.Fatalf("after %d pictures: %v; log:\n%s", pictures, err, r.log)
				}
				if u.Sound == nil {
					if want := map[bool]string{true: stream.H265, false: stream.H264}[c.cfg.H265]; u.Params.Codec != want || u.Params.Width != 640 || u.Damaged {
						t.Fatalf("picture %d is of %+v, damaged %v", pictures, u.Params, u.Damaged)
					}
					pictures++
					picture = u.PTS
					continue
				}
				if about = u.Params.Sound; samples == 0 {
					first = u.PTS
				}
				if u.PTS < last {
					t.Errorf("sound at %v after %v", u.PTS, last)
				}
				last = u.PTS
				if d := u.PTS - picture; d < -time.Second || d > time.Second {
					t.Errorf("sound at %v beside the picture at %v", u.PTS, picture)
				}
				samples += about.Samples(u.Sound)
			}
			if about == nil || about.Codec != c.sound || about.Rate != c.rate {
				t.Fatalf("sound %+v", about)
			}
			if (c.sound == stream.AAC) != (len(about.Config) > 0) {
				t.Errorf("config %x", about.Config)
			}
			heard := time.Duration(samples) * time.Second / time.Duration(about.Rate)
			if span := last - first; heard < span-200*time.Millisecond || heard > span+200*time.Millisecond {
				t.Errorf("%v of sound within %v", heard, span)
			}
		})
	}
}

package rtsp_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video/rtsp"
	"stationd/video/stream"
	"stationd/video/videotest"
)

func serve(t *testing.T, cfg videotest.Config) *videotest.Server {
	t.Helper()
	s, err := videotest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// eventually waits for a condition that somebody else brings about.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(15 * time.Second)
	for !f() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("never: %s", what)
		}
	}
}

func TestPlays(t *testing.T) {
	t.Parallel()
	s := serve(t, videotest.Config{})
	r := run(t, fast(s.URL("gate")))
	reader := r.stream.Read(stream.ReadOptions{})
	got := units(t, reader, -1, 60)
	if !got[0].Key {
		t.Error("the first unit is no key picture")
	}
	keys := 0
	for i, u := range got {
		if u.Key {
			keys++
			if len(u.NALUs) < 3 || u.NALUs[0][0]&0x1f != 7 || u.NALUs[1][0]&0x1f != 8 {
				t.Errorf("unit %d: no parameter sets in front", i)
			}
		}
		if i > 0 {
			if d := u.PTS - got[i-1].PTS; d < 39*time.Millisecond || d > 41*time.Millisecond {
				t.Errorf("unit %d comes %v after the one before", i, d)
			}
		}
		if u.Damaged {
			t.Errorf("unit %d is damaged", i)
		}
	}
	if keys < 2 {
		t.Errorf("%d key pictures in 60", keys)
	}
	state, _ := r.await(0, station.CameraOnline)
	if state.Camera != "gate" || state.Codec != "H264" || state.Width != 640 || state.Height != 360 {
		t.Errorf("state %+v", state)
	}
	if n := s.Sessions("gate"); n != 1 {
		t.Errorf("%d sessions at the camera, want one", n)
	}
}

// Trap 13: without TEARDOWN a camera keeps the slot.
func TestLeavesTheSlot(t *testing.T) {
	t.Parallel()
	s := serve(t, videotest.Config{Slots: 1})
	t.Run("first", func(t *testing.T) {
		r := run(t, fast(s.URL("gate")))
		r.await(0, station.CameraOnline)
	})
	eventually(t, "the slot is free", func() bool { return s.Sessions("gate") == 0 })
	t.Run("second", func(t *testing.T) {
		r := run(t, fast(s.URL("gate")))
		r.await(0, station.CameraOnline)
	})
}

func TestNoSlot(t *testing.T) {
	t.Parallel()
	s := serve(t, videotest.Config{Slots: 1})
	first := run(t, fast(s.URL("gate")))
	first.await(0, station.CameraOnline)
	second := run(t, fast(s.URL("gate")))
	state, _ := second.await(0, station.CameraNoSlot)
	if state.Hint == "" || !strings.Contains(state.Cause, "453") {
		t.Errorf("state %+v", state)
	}
	if n := second.source.Stats().Attempts; n != 1 {
		t.Errorf("%d attempts; it is to be asked rarely", n)
	}
}

// The reader stays, and its timeline goes on, when the camera is cut off and
// comes back with another SSRC, sequence and timestamps.
func TestReconnects(t *testing.T) {
	t.Parallel()
	s := serve(t, videotest.Config{})
	r := run(t, fast(s.URL("gate")))
	reader := r.stream.Read(stream.ReadOptions{})
	before := units(t, reader, -1, 5)
	last := before[len(before)-1]

	s.Cut("gate")
	state, next := r.await(0, station.CameraOffline)
	if state.Cause == "" || state.Hint == "" {
		t.Errorf("state without words: %+v", state)
	}
	if online, _, cause := r.stream.State(); online || cause == "" {
		t.Errorf("stream online %v, cause %q", online, cause)
	}
	// What was sent before the cut is still read.
	for _, u := range units(t, reader, last.PTS, int(r.stream.Stats().Units)-len(before)) {
		last = u
	}
	if err := s.Restore("gate"); err != nil {
		t.Fatal(err)
	}
	r.await(next, station.CameraOnline)
	after := units(t, reader, last.PTS, 10)
	if !after[0].Key {
		t.Error("it does not go on with a key picture")
	}
	passed := after[0].Arrival.Sub(last.Arrival)
	if gap := after[0].PTS - last.PTS; gap < passed-300*time.Millisecond || gap > passed+300*time.Millisecond {
		t.Errorf("the timeline goes on by %v, by the clock %v have passed", gap, passed)
	}
}

// Bytes that come mean nothing: a camera that is connected and silent is called
// again.
func TestSilence(t *testing.T) {
	t.Parallel()
	s := serve(t, videotest.Config{})
	r := run(t, fast(s.URL("gate")))
	_, next := r.await(0, station.CameraOnline)
	s.Hang("gate")
	begin := time.Now()
	state, next := r.await(next, station.CameraOffline)
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("noticed after %v", d)
	}
	if !strings.Contains(state.Cause, "no picture") {
		t.Errorf("cause %q", state.Cause)
	}
	if err := s.Restore("gate"); err != nil {
		t.Fatal(err)
	}
	r.await(next, station.CameraOnline)
	eventually(t, "one session is left", func() bool { return s.Sessions("gate") == 1 })
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"Digest", "Basic"} {
		t.Run(way, func(t *testing.T) { testCredentials(t, way == "Basic") })
	}
}

func testCredentials(t *testing.T, basic bool) {
	const secret = "p@ss/w?rd 口令"
	s := serve(t, videotest.Config{Username: "admin", Password: secret, Basic: basic})

	cfg := fast(s.URL("gate"))
	cfg.Username, cfg.Password = "admin", secret
	good := run(t, cfg)
	good.await(0, station.CameraOnline)

	cfg.Password = "wrong-" + secret
	bad := run(t, cfg)
	state, _ := bad.await(0, station.CameraUnauthorized)
	if n := bad.source.Stats().Attempts; n != 1 {
		t.Errorf("%d attempts: the account would be locked", n)
	}

	cfg.Username, cfg.Password = "", ""
	none := run(t, cfg)
	noneState, _ := none.await(0, station.CameraUnauthorized)
	if noneState.Cause == state.Cause {
		t.Error("a missing password is not told apart from a wrong one")
	}

	all, err := json.Marshal([]rtsp.Status{state, noneState})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{good.log.String(), bad.log.String(), string(all), fmt.Sprintf("%+v", cfg)} {
		if strings.Contains(text, "p@ss") || strings.Contains(text, "p%40ss") {
			t.Errorf("the password is told: %s", text)
		}
	}
}

func TestUnknownPath(t *testing.T) {
	t.Parallel()
	s := serve(t, videotest.Config{})
	r := run(t, fast(s.URL("attic")))
	state, _ := r.await(0, station.CameraOffline)
	if !strings.Contains(state.Cause, "404") || !strings.Contains(state.Hint, "path") {
		t.Errorf("state %+v", state)
	}
}

func TestRefusesAddresses(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "http://10.0.0.1/", "rtsp://admin:secret@10.0.0.1/", "rtsp://", "rtsp://[", "rtsp://10.0.0.1:x/secret"} {
		s := rtsp.New(rtsp.Config{URL: url}, stream.New(stream.Config{}), discard)
		err := s.Run(t.Context())
		if err == nil {
			t.Errorf("%q is taken", url)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error repeats the address: %v", err)
		}
		if p, ok := station.AsProblem(err); !ok || p.Hint == "" {
			t.Errorf("%q: %v has no hint", url, err)
		}
	}
}

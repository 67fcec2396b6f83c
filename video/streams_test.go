package video_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video"
	"stationd/video/peer/peertest"
	"stationd/video/videotest"
)

func camerasOf(t *testing.T, cfg videotest.Config) *videotest.Server {
	t.Helper()
	s, err := videotest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// twoStreams is a camera with a smaller stream.
func twoStreams(s *videotest.Server, main, sub string) video.Source {
	src := source(s, "hall", main)
	src.Sub = s.URL(sub)
	return src
}

// The wall gets the smaller stream, all else the main one; there is one session
// for each, however many watch, and none for a smaller stream that nobody wants.
func TestStreamsByRole(t *testing.T) {
	rtsp := cameras(t)
	n := start(t, nil)
	n.Apply([]video.Source{twoStreams(rtsp, "corridor", "gate")}, nil)
	state := n.said.until(t, "hall", station.CameraOnline)
	if state.Sub.Status != station.CameraIdle || rtsp.Served("gate") != 0 {
		t.Errorf("the smaller stream is %+v and was called %d times", state.Sub, rtsp.Served("gate"))
	}
	wall1 := watch(t, n.whep("hall")+"?role=wall", "gate")
	wall2 := watch(t, n.whep("hall")+"?role=wall", "gate")
	focus := watch(t, n.whep("hall")+"?role=focus", "corridor")
	plain := watch(t, n.whep("hall"), "corridor")
	for _, v := range []*screen{wall1, wall2, focus, plain} {
		v.sees(t, 20)
	}
	if a, b := rtsp.Sessions("corridor"), rtsp.Sessions("gate"); a != 1 || b != 1 {
		t.Errorf("%d and %d sessions", a, b)
	}
	for _, v := range []*screen{wall1, wall2} {
		if err := v.Leave(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the smaller stream let go", func() bool { return rtsp.Sessions("gate") == 0 })
	eventually(t, "and called idle", func() bool {
		all := n.said.of("hall")
		return all[len(all)-1].Sub.Status == station.CameraIdle
	})
	focus.sees(t, 5)
	if rtsp.Served("corridor") != 1 {
		t.Errorf("the main stream was called %d times", rtsp.Served("corridor"))
	}
}

// A camera on demand is called for the first viewer and let go a while after the
// last; nobody calls it lost.
func TestOnDemand(t *testing.T) {
	rtsp := cameras(t)
	n := start(t, nil)
	src := source(rtsp, "hall", "corridor")
	src.OnDemand, src.Record = true, false
	n.Apply([]video.Source{src}, nil)
	n.said.until(t, "hall", station.CameraIdle)
	if l := n.Lamps()[0]; l.State != station.LampOK {
		t.Errorf("the lamp %+v of a camera that nobody wants", l)
	}
	if rtsp.Served("corridor") != 0 {
		t.Error("it was called")
	}
	v := watch(t, n.whep("hall"), "corridor")
	v.sees(t, 10)
	n.said.until(t, "hall", station.CameraOnline)
	if err := v.Leave(context.Background()); err != nil {
		t.Fatal(err)
	}
	n.said.until(t, "hall", station.CameraIdle)
	eventually(t, "let go", func() bool { return rtsp.Sessions("corridor") == 0 })

	// Who comes back within the linger finds it running; recording keeps it on.
	v = watch(t, n.whep("hall"), "corridor")
	v.sees(t, 5)
	src.Record = true
	n.Apply([]video.Source{src}, nil)
	if err := v.Leave(context.Background()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the session ends", func() bool { return n.hub.Usage().Sessions == 0 })
	time.Sleep(1500 * time.Millisecond) // beyond the linger
	if rtsp.Sessions("corridor") != 1 || rtsp.Served("corridor") != 2 {
		t.Errorf("%d sessions, called %d times", rtsp.Sessions("corridor"), rtsp.Served("corridor"))
	}
}

// A camera that has one session only: the wall is shown the main stream, and the
// state says why.
func TestNoSlotForTheSmallerStream(t *testing.T) {
	rtsp := camerasOf(t, videotest.Config{Slots: 1, SlotsShared: true})
	n := start(t, nil)
	n.Apply([]video.Source{twoStreams(rtsp, "corridor", "gate")}, nil)
	n.said.until(t, "hall", station.CameraOnline)
	v := watch(t, n.whep("hall")+"?role=wall", "corridor")
	v.sees(t, 30)
	eventually(t, "it is told", func() bool {
		all := n.said.of("hall")
		sub := all[len(all)-1].Sub
		return sub.Status == station.CameraOnline && strings.Contains(sub.Cause, "no session left") && sub.Hint != ""
	})
	if rtsp.Sessions("corridor") != 1 {
		t.Error("the main stream was disturbed")
	}
}

// withoutH265 makes a viewer one that cannot show it.
type withoutH265 struct{}

func (withoutH265) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = bytes.ReplaceAll(body, []byte(" H265/90000"), []byte(" H26X/90000"))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	return http.DefaultTransport.RoundTrip(r)
}

// Where the browser cannot show the main stream it gets the smaller one, and
// where there is none it is told which setting to change.
func TestMainStreamThatABrowserCannotShow(t *testing.T) {
	rtsp := camerasOf(t, videotest.Config{Paths: map[string]string{"lobby": "lobby", "gate": "gate"}})
	n := start(t, nil)
	n.Apply([]video.Source{twoStreams(rtsp, "lobby", "gate")}, nil)
	state := n.said.until(t, "hall", station.CameraOnline)
	if state.Codec != "H265" || state.Width != 320 {
		t.Errorf("state %+v", state)
	}
	http.DefaultClient.Transport = withoutH265{}
	t.Cleanup(func() { http.DefaultClient.Transport = nil })
	watch(t, n.whep("hall")+"?role=focus", "gate").sees(t, 20)

	n.Apply([]video.Source{source(rtsp, "hall", "lobby")}, nil)
	viewer, err := peertest.New(peertest.Config{Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	defer viewer.Close()
	offer, err := viewer.Offer()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Post(n.whep("hall"), "application/sdp", strings.NewReader(offer))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var p station.Problem
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusConflict || p.Code != "camera.h265" || !strings.Contains(p.Hint, "H.264") {
		t.Errorf("%s: %+v", resp.Status, p)
	}
}

// The probe page is told what each stream brings.
func TestStreamsAreMeasured(t *testing.T) {
	rtsp := camerasOf(t, videotest.Config{Sound: videotest.SoundAAC, ClockOffset: 3 * 365 * 24 * time.Hour})
	n := start(t, nil)
	n.Apply([]video.Source{twoStreams(rtsp, "corridor", "gate")}, nil)
	watch(t, n.whep("hall")+"?role=wall", "gate").sees(t, 10)
	var got station.CameraStreams
	eventually(t, "key distance and rates", func() bool {
		resp, err := http.Get(n.web.URL + "/api/v1/cameras/hall/streams")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got = station.CameraStreams{}
		if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
			t.Fatal(err)
		}
		return got.Main.Rate.KeyDistance != 0 && got.Sub.Rate.KeyDistance != 0 && got.Main.ClockOffset != 0 && got.Main.Rate.Pictures > 20
	})
	if d := got.Main.Rate.KeyDistance; d < 1900*time.Millisecond || d > 2100*time.Millisecond {
		t.Errorf("key distance %v", d)
	}
	m := got.Main
	if m.Codec != "H264" || m.Sound != "AAC" || m.Transport != station.TransportTCP || m.Rate.Bits < 50_000 || m.Rate.Bits > 2_000_000 ||
		!strings.Contains(m.Cause, "clock") || m.Hint == "" || m.ClockOffset < 1000*24*time.Hour {
		t.Errorf("main %+v", m)
	}
	if all := n.said.of("hall"); len(all) > 8 || all[len(all)-1].Sub.Rate != (station.StreamRate{}) {
		t.Errorf("%d events: measures are no events", len(all))
	}
	resp, err := http.Get(n.web.URL + "/api/v1/cameras/attic/streams")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("a camera that is not there: %s", resp.Status)
	}
}

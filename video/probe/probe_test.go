package probe_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video/probe"
	"stationd/video/stream"
	"stationd/video/videotest"
)

func prober(deps probe.Deps) *probe.Prober {
	deps.Log = slog.New(slog.DiscardHandler)
	return probe.New(probe.Config{Connect: 10 * time.Second, Watch: 4 * time.Second}, deps)
}

func source(address, sub string) probe.Source {
	return probe.Source{Camera: station.Camera{ID: "c", Name: "x", URL: address, Sub: sub, Username: "admin"}, Password: "right-horse"}
}

func examine(t *testing.T, p *probe.Prober, src probe.Source) station.ProbeReport {
	t.Helper()
	r, err := p.Probe(t.Context(), src, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.Message == "" || f.Hint == "" && f.Severity != station.FindingOK || strings.Contains(f.Message, "{") {
			t.Errorf("%+v", f)
		}
	}
	if text := fmt.Sprintf("%+v", r); strings.Contains(text, "horse") {
		t.Errorf("a password is in the report: %s", text)
	}
	return r
}

func has(r station.ProbeReport, code, where string) bool {
	for _, f := range r.Findings {
		if f.Code == code && f.Stream == where {
			return true
		}
	}
	return false
}

// A real server says each of these, and the report names it and the remedy.
func TestWhyThereIsNoPicture(t *testing.T) {
	server, err := videotest.Start(videotest.Config{Paths: map[string]string{"main": "corridor"}, Username: "admin", Password: "right-horse", Slots: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	address := func(path string) string { return server.URL(path) }
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := closed.Addr().String()
	_ = closed.Close()

	t.Run("a good stream without a smaller one", func(t *testing.T) {
		r := examine(t, prober(probe.Deps{}), source(address("main"), ""))
		if !has(r, "stream.ok", "main") || !has(r, "sub.none", "sub") || r.Main.Codec != stream.H264 || r.Main.Width == 0 || r.Main.Rate.Pictures < 5 || r.Main.Rate.KeyDistance == 0 {
			t.Errorf("%+v %+v", r.Main, r.Findings)
		}
	})
	for name, c := range map[string]struct {
		src  probe.Source
		code string
	}{
		"no such path": {source(address("other"), ""), "camera.path"},
		"closed port":  {source("rtsp://"+port+"/x", ""), "camera.port"},
		"no such host": {source("rtsp://camera.invalid/x", ""), "camera.host"},
		"no address":   {source("http://127.0.0.1/x", ""), "camera.address"},
	} {
		t.Run(name, func(t *testing.T) {
			if r := examine(t, prober(probe.Deps{}), c.src); !has(r, c.code, "main") {
				t.Errorf("%+v", r.Findings)
			}
		})
	}
	t.Run("a refused password is tried once", func(t *testing.T) {
		p := prober(probe.Deps{})
		wrong := source(address("main"), strings.Replace(address("main"), "main", "sub", 1))
		wrong.Password = "left-horse"
		for i := range 3 {
			r := examine(t, p, wrong)
			if !has(r, "camera.password", "main") || has(r, "camera.spared", "") != (i > 0) || r.Sub != nil {
				t.Errorf("%d: %+v", i, r.Findings)
			}
		}
		if r := examine(t, p, source(address("main"), "")); !has(r, "stream.ok", "main") {
			t.Errorf("the right one: %+v", r.Findings)
		}
	})
	t.Run("a kept camera that is refused is spared", func(t *testing.T) {
		p := prober(probe.Deps{State: func(string) (station.CameraState, bool) {
			return station.CameraState{Status: station.CameraUnauthorized}, true
		}})
		r, err := p.Probe(t.Context(), source("rtsp://"+port+"/x", ""), true)
		if err != nil || !has(r, "camera.spared", "") {
			t.Errorf("%+v: %v", r, err)
		}
	})
	t.Run("no slot", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		first := make(chan station.ProbeReport, 1)
		held := probe.New(probe.Config{Connect: 5 * time.Second, Watch: 20 * time.Second, RTSP: probe.DefaultConfig().RTSP}, probe.Deps{Log: slog.New(slog.DiscardHandler)})
		go func() {
			r, _ := held.Probe(ctx, source(address("main"), ""), false)
			first <- r
		}()
		for server.Sessions("main") == 0 && t.Context().Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		if r := examine(t, prober(probe.Deps{}), source(address("main"), "")); !has(r, "camera.no-slot", "main") {
			t.Errorf("%+v", r.Findings)
		}
		cancel()
		<-first
	})
	t.Run("a camera that is online is watched where it is", func(t *testing.T) {
		lent := 0
		s := stream.New(stream.Config{})
		p := prober(probe.Deps{
			State: func(string) (station.CameraState, bool) {
				return station.CameraState{Status: station.CameraOnline, ClockOffset: time.Hour}, true
			},
			Live: func(context.Context, string, station.StreamRole) (*stream.Stream, func(), error) {
				lent++
				return s, func() { lent-- }, nil
			},
		})
		films, err := videotest.Films()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := 0; ctx.Err() == nil; i++ {
				s.Write(films[0].Units[i%len(films[0].Units)], time.Duration(i)*40*time.Millisecond, time.Now(), false)
				time.Sleep(4 * time.Millisecond)
			}
		}()
		r, err := p.Probe(t.Context(), source("rtsp://"+port+"/x", ""), true)
		cancel()
		<-done
		if err != nil || !has(r, "stream.ok", "main") || !has(r, "clock.off", "main") || lent != 0 {
			t.Errorf("%+v: %v (lent %d)", r.Findings, err, lent)
		}
	})
}

// A real encoder with B-frames is found out.
func TestBFramesAreFound(t *testing.T) {
	camera := videotest.StartGStreamer(t, videotest.GStreamerConfig{BFrames: true})
	r := examine(t, prober(probe.Deps{}), probe.Source{Camera: station.Camera{ID: "c", URL: camera.URL()}})
	if !has(r, "stream.b-frames", "main") || r.Findings[0].Severity != station.FindingBad || !r.Main.BFrames {
		t.Errorf("%+v", r.Findings)
	}
}

func TestAtMostAFewAtOnce(t *testing.T) {
	p := probe.New(probe.Config{Connect: time.Second, Watch: time.Second, AtOnce: 1}, probe.Deps{Log: slog.New(slog.DiscardHandler)})
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	began := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		close(began)
		_, _ = p.Probe(t.Context(), source("rtsp://"+silent.Addr().String()+"/x", ""), false)
	}()
	<-began
	for range 100 {
		_, err := p.Probe(t.Context(), source("http://x/", ""), false)
		if problem, ok := station.AsProblem(err); ok && problem.Code == "probe.busy" {
			<-done
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("nobody had to wait")
}

// Whether somebody can talk through a camera is told, and what to change.
func TestProbeTellsOfTheLoudspeaker(t *testing.T) {
	for hears, code := range map[string]string{"": "talk.none", videotest.SoundPCMU: "talk.ok", videotest.SoundAAC: "talk.codec"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			server, err := videotest.Start(videotest.Config{Paths: map[string]string{"main": "corridor"}, Username: "admin", Password: "right-horse", Slots: 1, Hears: hears})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			r := examine(t, prober(probe.Deps{}), source(server.URL("main"), ""))
			if !has(r, code, "") || !has(r, "stream.ok", "main") {
				t.Errorf("%+v", r.Findings)
			}
		})
	}
}

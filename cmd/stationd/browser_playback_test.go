//go:build linux

package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
	"stationd/agent/store/disk"
	"stationd/video/record"
	"stationd/video/stream"
	"stationd/video/videotest"
)

// TestBrowserPlayback is an officer who looks for something in the record: a station
// whose four cameras were recorded two hours ago, with a gap and an alarm, in a
// browser that e2e/playback.mjs drives.
func TestBrowserPlayback(t *testing.T) {
	s := openPastStage(t)
	control := httptest.NewServer(s.routes())
	defer control.Close()
	browse(t, "e2e/playback.mjs", "STATIOND_RIG="+control.URL)
}

// pastStage is a station with a past.
type pastStage struct {
	t     *testing.T
	node  *node
	began time.Time    // of the record
	ahead atomic.Int64 // of the wall clock, ns
	films []videotest.Film
}

// What was recorded of each camera: so long, and what the first one lost.
const (
	pastLength = 100 * time.Second
	lostFrom   = 40 * time.Second
	lostTo     = 70 * time.Second
	pastAlarm  = 80 * time.Second

	setBack   = "clocked"
	setBackAt = 40 * time.Second
	setBackBy = 25 * time.Second

	heardLength = 30 * time.Second
)

func openPastStage(t *testing.T) *pastStage {
	t.Helper()
	films, err := videotest.Films()
	if err != nil {
		t.Fatal(err)
	}
	s := &pastStage{t: t, began: time.Now().Add(-2 * time.Hour).Truncate(time.Minute), films: films}
	data := filepath.Join(t.TempDir(), "station")
	s.recordPast(filepath.Join(data, "video"))
	s.writePast(filepath.Join(data, "store"))
	s.node = newNode(t, "village-1", data, `
station: {name: 示范村工作站}
devices: {broker: {listen: ""}}
video: {peer: {udp_listen: "127.0.0.1:0", tcp_listen: "127.0.0.1:0"}}
record: {volume_size: 16MiB, max_bytes: 512MiB, min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
`)
	s.node.start()
	return s
}

// recordPast records the films at moments that have passed.
func (s *pastStage) recordPast(dir string) {
	cfg := record.DefaultConfig()
	cfg.Dir, cfg.VolumeSize, cfg.MaxBytes = dir, 16*disk.MiB, 512*disk.MiB
	cfg.Wall = func(at time.Time) time.Time { return at.Add(time.Duration(s.ahead.Load())) }
	a, err := record.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	for i, film := range s.films {
		s.recordFilm(a, film, film.Name, pastLength, nil, i == 0)
	}
	for camera, v := range s.voices() {
		s.recordFilm(a, s.films[1], camera, heardLength, v, false)
	}
	// In the middle of the last one somebody sets the clock back.
	s.recordFilm(a, s.films[0], setBack, setBackAt, nil, false)
	s.ahead.Store(int64(-setBackBy))
	s.began = s.began.Add(setBackAt)
	s.recordFilm(a, s.films[0], setBack, setBackAt, nil, false)
	s.began = s.began.Add(-setBackAt)
	cancel()
	if err := <-done; err != nil {
		s.t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// recordFilm records a film as a camera's pictures of so long.
func (s *pastStage) recordFilm(a *record.Archive, film videotest.Film, camera string, long time.Duration, v *voice, loses bool) {
	pictures := stream.New(stream.Config{})
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Record(ctx, camera, pictures) }()
	eventually(s.t, 10*time.Second, "the recorder reads "+film.Name, func() error {
		if pictures.Stats().Readers == 0 {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	reach := func(at time.Duration) {
		want := s.began.Add(at + time.Duration(s.ahead.Load()))
		eventually(s.t, 30*time.Second, "the record of "+film.Name+" follows", func() error {
			spans, _ := a.Timeline(camera, s.began.Add(-time.Hour), s.began.Add(time.Hour))
			if len(spans) == 0 || want.Sub(spans[len(spans)-1].To).Abs() > 2100*time.Millisecond {
				return fmt.Errorf("not at %s", at)
			}
			return nil
		})
	}
	if v != nil {
		pictures.Announce(stream.Params{Codec: stream.H264, Sound: v.sound})
	}
	n, heard := 0, 0
	for at := time.Duration(0); at < long; at += videotest.Interval {
		if loses && at >= lostFrom && at < lostTo {
			if at == lostFrom {
				pictures.Lost("test")
			}
			n = 0
			continue
		}
		pictures.Write(film.Units[n%len(film.Units)], at, s.began.Add(at), false)
		for ; v != nil && time.Duration(heard)*v.long <= at; heard++ {
			pictures.WriteSound(v.frames[heard%len(v.frames)], time.Duration(heard)*v.long, s.began.Add(at))
		}
		if n++; n%50 == 0 {
			reach(at)
		}
	}
	eventually(s.t, 10*time.Second, "the last pictures of "+film.Name, func() error {
		spans, _ := a.Timeline(camera, s.began.Add(-time.Hour), s.began.Add(time.Hour))
		if len(spans) == 0 || s.began.Add(long+time.Duration(s.ahead.Load())).Sub(spans[len(spans)-1].To) > 200*time.Millisecond {
			return fmt.Errorf("not written")
		}
		return nil
	})
	cancel()
	if err := <-done; err != nil {
		s.t.Fatal(err)
	}
}

// voice is a tone beside a film.
type voice struct {
	sound  *stream.Sound
	frames [][]byte
	long   time.Duration // of a frame
}

// voices are those of two more cameras, "aac" and "alaw".
func (s *pastStage) voices() map[string]*voice {
	tone := func(args ...string) []byte {
		path := filepath.Join(s.t.TempDir(), "tone")
		if out, err := exec.Command("ffmpeg", append(append([]string{"-v", "error", "-f", "lavfi", "-i", "sine=f=440:d=8"}, args...), path)...).CombinedOutput(); err != nil {
			s.t.Fatalf("%s: %v: %s", ffmpegPackages, err, out)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		return data
	}
	alaw := &voice{sound: &stream.Sound{Codec: stream.PCMA, Rate: 8000, Channels: 1}, long: 40 * time.Millisecond}
	for b := tone("-ar", "8000", "-ac", "1", "-f", "alaw"); len(b) >= 320; b = b[320:] {
		alaw.frames = append(alaw.frames, b[:320])
	}
	aac := &voice{sound: &stream.Sound{Codec: stream.AAC, Rate: 16000, Channels: 1, Config: []byte{0x14, 0x08}}, long: 64 * time.Millisecond}
	for b := tone("-ar", "16000", "-ac", "1", "-c:a", "aac", "-f", "adts"); len(b) > 7; {
		n := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
		aac.frames, b = append(aac.frames, b[7:n]), b[n:]
	}
	return map[string]*voice{"aac": aac, "alaw": alaw}
}

// writePast lets the station have had its cameras, a sensor and an alarm.
func (s *pastStage) writePast(dir string) {
	cfg := store.DefaultConfig()
	cfg.Dir, cfg.Node = dir, "village-1"
	st, err := store.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	now := s.began
	began := time.Now()
	core := agent.New(agent.DefaultConfig(), agent.Deps{Store: st, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }, Elapsed: func() time.Duration { return time.Since(began) }})
	order := func(kind, subject string, body any) {
		raw, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		receipt := core.Handle(s.t.Context(), station.Command{ID: station.NewID(), Type: kind, Subject: subject, Actor: station.Actor{Account: "setup", Name: "安装员", Role: account.RoleAdmin}, Issued: now, Body: raw})
		if receipt.Problem != nil {
			s.t.Fatal(receipt.Problem)
		}
	}
	for _, film := range s.films {
		order(station.CommandPutCamera, film.Name, station.CameraOrder{Camera: station.Camera{ID: film.Name, Name: film.Title, Place: film.Title, URL: "rtsp://127.0.0.1:9/" + film.Name}})
	}
	order(station.CommandPutCamera, setBack, station.CameraOrder{Camera: station.Camera{ID: setBack, Name: "值班室", URL: "rtsp://127.0.0.1:9/" + setBack}})
	for _, camera := range []string{"aac", "alaw"} {
		order(station.CommandPutCamera, camera, station.CameraOrder{Camera: station.Camera{ID: camera, Name: camera, URL: "rtsp://127.0.0.1:9/" + camera}})
	}
	order(station.CommandPutSensor, "smoke-1", station.Sensor{
		ID: "smoke-1", Name: "走廊烟感", Place: "3号楼 12 层走廊", Class: station.ClassSmoke, Adopted: true, Cameras: []string{s.films[0].Name, s.films[1].Name},
		Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "json", Topic: "t/smoke-1"},
	})
	for _, active := range []bool{true, false} {
		now = s.began.Add(pastAlarm)
		if !active {
			now = now.Add(6 * time.Second)
		}
		report := station.Report{Sensor: "smoke-1", Live: true, Received: now, Values: map[string]station.Value{"smoke": active}, Signals: []station.Signal{{Kind: station.KindSmoke, Active: active, Field: "smoke", Value: active}}}
		if err := core.HandleReport(s.t.Context(), report); err != nil {
			s.t.Fatal(err)
		}
	}
	page, err := core.FindAlarms(agent.AlarmFilter{Limit: 1})
	if err != nil || len(page.Alarms) != 1 {
		s.t.Fatal(page, err)
	}
	order(station.CommandAnswerAlarm, page.Alarms[0].ID, station.AnswerOrder{Kind: station.AnswerFalse})
	if err := st.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// routes tell the script what there is.
func (s *pastStage) routes() http.Handler {
	facts := map[string]any{
		"station": claimable(s.t, s.node), "began": s.began, "length": pastLength.Seconds(), "lostFrom": lostFrom.Seconds(), "lostTo": lostTo.Seconds(), "alarm": pastAlarm.Seconds(), "setBack": setBack, "setBackAt": setBackAt.Seconds(),
	}
	var cameras []stageCamera
	for _, f := range s.films {
		cameras = append(cameras, stageCamera{Name: f.Name, Title: f.Title})
	}
	facts["cameras"] = cameras
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(facts) // a script that has gone needs none
	})
	return mux
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stationd/agent"
	"stationd/agent/console"
	"stationd/agent/station"
	"stationd/agent/store"
	"stationd/devices"
	"stationd/video"
	"stationd/video/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWrongCommandLines(t *testing.T) {
	for _, line := range []string{
		"", "nothing",
		"sensors more", "sensors --rate 5/h", "sensors --rate 0", "sensors --count 0", "sensors --for 25h", "sensors --broker host:1883",
		"sensors --name UPPER", "sensors --password-file a --password-env B", "sensors --password-env NOT_THERE_AT_ALL",
		"sensors --station http://127.0.0.1:1", "sensors --station nothing --token x",
		"cameras --count 65", "cameras --bitrate 2G", "cameras --n 0", "viewers --whep nothing", "viewers --whep http://127.0.0.1:1/whep --camera a", "viewers --whep http://127.0.0.1:1/whep --rcvbuf -1", "cameras --name ../x", "viewers", "viewers --camera a", "viewers --camera a --count 0",
	} {
		var out, errs strings.Builder
		if code := command(t.Context(), strings.Fields(line), &out, &errs); code != exitUsage || errs.Len() == 0 || out.Len() > 0 {
			t.Errorf("%q: exit %d, %q, %q", line, code, out.String(), errs.String())
		}
	}
	for _, line := range []string{"help", "sensors --help", "cameras -h", "viewers -h"} {
		var out, errs strings.Builder
		if code := command(t.Context(), strings.Fields(line), &out, &errs); code != exitOK || out.Len()+errs.Len() == 0 {
			t.Errorf("%q: exit %d, %q, %q", line, code, out.String(), errs.String())
		}
	}
}

// sim is one run of the program.
type sim struct {
	cancel context.CancelFunc
	code   chan int
	mu     sync.Mutex
	buf    bytes.Buffer
}

func start(t *testing.T, args ...string) *sim {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &sim{cancel: cancel, code: make(chan int, 1)}
	go func() { s.code <- command(ctx, args, s, s) }()
	t.Cleanup(func() { s.interrupt(); s.wait(t) })
	return s
}

// interrupt is Ctrl-C.
func (s *sim) interrupt() { s.cancel() }

// wait returns the exit code, again and again. After Ctrl-C there are five
// seconds, a run in these tests lasts less than twenty.
func (s *sim) wait(t *testing.T) int {
	t.Helper()
	select {
	case code := <-s.code:
		s.code <- code
		return code
	case <-time.After(30 * time.Second):
		t.Fatalf("still running; it said:\n%s", s.output())
		return 0
	}
}

func (s *sim) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(b)
}

func (s *sim) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// says fails when a piece of text is missing from the output.
func (s *sim) says(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(s.output(), text) {
			t.Errorf("it does not say %q:\n%s", text, s.output())
		}
	}
}

// village is a real station in this process: core, sensors, cameras, console.
type village struct {
	agent   *agent.Agent
	devices *devices.Set
	video   *video.Set
	url     string
}

func startVillage(t *testing.T) *village {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	sc := store.DefaultConfig()
	sc.Dir = filepath.Join(t.TempDir(), "store")
	sc.Space.Low = 512 << 20
	st, err := store.Open(sc, log)
	if err != nil {
		t.Fatal(err)
	}
	v := &village{}
	v.agent = agent.New(agent.DefaultConfig(), agent.Deps{Store: st, Log: log, Apply: v.apply, CameraOf: map[string]func(string) string{"whep": func(id string) string { return v.video.CameraOf(id) }}})
	dc := devices.DefaultConfig()
	dc.Broker.Listen = "127.0.0.1:0"
	v.devices = devices.New(dc, devices.Deps{Node: st.Node(), Sink: v.agent, Log: log})
	vc := video.DefaultConfig()
	vc.Peer.UDPListen, vc.Peer.TCPListen = "127.0.0.1:0", "127.0.0.1:0"
	hub := peer.New(vc.Peer, log)
	v.video = video.New(vc, video.Deps{Hub: hub, Events: v.agent, Log: log})
	con, err := console.New(console.DefaultConfig(), console.Deps{
		Node: console.Node{ID: st.Node(), Name: "示范村", Kind: "station"}, Accounts: v.agent, Journal: st,
		Routes: append(v.agent.Routes(), v.video.Routes()...),
		Status: func() console.Status { return console.Status{} }, Ready: v.agent.Heartbeat, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(con.Handler())
	v.url = web.URL

	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{v.agent.Run, v.devices.Run, hub.Run, v.video.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		web.Close()
		cancel()
		running.Wait()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	<-v.devices.Ready()
	<-hub.Ready()
	<-v.video.Ready()
	return v
}

func (v *village) apply(r agent.Registry) {
	v.devices.Apply(devices.Registry{Sensors: r.Sensors, States: r.States, Accounts: r.Accounts})
	var sources []video.Source
	for _, c := range r.Cameras {
		sources = append(sources, video.Source{Camera: c.Camera, Password: c.Password})
	}
	v.video.Apply(sources, nil)
}

const officer, officersPassword = "officer", "seven lamps on the quay"

// link claims the station the first time, and returns a new sign-in link.
func (v *village) link(t *testing.T) string {
	t.Helper()
	claimed, err := v.agent.Claimed()
	if err == nil && !claimed {
		var code string
		if code, err = v.agent.Invite(t.Context(), "claim", "", time.Minute); err == nil {
			_, _, err = v.agent.Claim(t.Context(), code, station.AccountOrder{Account: officer, Name: "信息员甲", Password: officersPassword}, "test")
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	token, err := v.agent.Invite(t.Context(), "login", officer, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return v.url + "/#login=" + token
}

func (v *village) broker() string { return "mqtt://" + v.devices.Addr().String() }

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for late := time.Now().Add(15 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("%s: not in time", what)
		}
	}
}

// A station's refusal is told in its own words.
func TestRefusedSignIn(t *testing.T) {
	v := startVillage(t)
	link := v.link(t)
	s := start(t, "viewers", "--station", v.url, "--camera", "hall", "--token", link+"x")
	if code := s.wait(t); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	s.says(t, "this link or code was used already or has expired", "ask for a new one")
}

func TestUnreadableAnswer(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html>")
	}))
	defer web.Close()
	s := start(t, "cameras", "--listen", "127.0.0.1:0", "--station", web.URL, "--token", "x")
	if code := s.wait(t); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	s.says(t, "502")
}

// jsonOf reads what a message says.
func jsonOf(t *testing.T, b []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Error(err)
	}
	return v
}

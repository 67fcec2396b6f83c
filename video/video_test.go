package video_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stationd/agent/station"
	"stationd/video"
	"stationd/video/peer"
	"stationd/video/peer/peertest"
	"stationd/video/stream"
	"stationd/video/videotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a station or a centre: a hub, a set and its routes over HTTP.
type node struct {
	*video.Set
	hub  *peer.Hub
	web  *httptest.Server
	said *events
	tape *recorder

	notes     notes
	forbidden atomic.Bool // to talk through cameras
}

func start(t *testing.T, remote video.Remote) *node {
	t.Helper()
	return startWith(t, remote, func(cfg *video.Config) {
		cfg.RTSP.RetryMin, cfg.RTSP.RetryMax = 50*time.Millisecond, 200*time.Millisecond
	})
}

func startWith(t *testing.T, remote video.Remote, set func(*video.Config)) *node {
	t.Helper()
	return startAsking(t, remote, nil, set)
}

// startAsking is startWith for a node that can ask cameras for key pictures.
func startAsking(t *testing.T, remote video.Remote, keys video.KeyAsker, set func(*video.Config)) *node {
	t.Helper()
	cfg := video.DefaultConfig()
	cfg.Peer.UDPListen, cfg.Peer.TCPListen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Linger, cfg.LegTimeout, cfg.LegLinger = time.Second, 3*time.Second, time.Second
	set(&cfg)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	n := &node{hub: peer.New(cfg.Peer, log), said: newEvents(), tape: newRecorder()}
	n.Set = video.New(cfg, video.Deps{
		Hub: n.hub, Archive: n.tape, Events: n.said, Remote: remote, Keys: keys, Note: n.notes.note,
		MayTalk: func(station.Actor, string) bool { return !n.forbidden.Load() }, Log: log,
	})

	mux := http.NewServeMux()
	for _, r := range n.Routes() {
		mux.Handle(r.Pattern, r.Handler)
	}
	n.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		actor := station.Actor{Account: r.Header.Get("Test-Account")}
		mux.ServeHTTP(w, r.WithContext(station.WithActor(r.Context(), actor)))
	}))

	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{n.hub.Run, n.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		n.web.Close()
		http.DefaultClient.CloseIdleConnections()
		running.Wait()
	})
	<-n.hub.Ready()
	<-n.Ready()
	return n
}

func (n *node) whep(camera string) string { return n.web.URL + "/api/v1/cameras/" + camera + "/whep" }

// events notes the states that it is told.
type events struct {
	mu   sync.Mutex
	all  []station.CameraState
	news chan struct{}
}

func newEvents() *events { return &events{news: make(chan struct{}, 1)} }

func (e *events) HandleCameraState(_ context.Context, s station.CameraState) error {
	e.mu.Lock()
	e.all = append(e.all, s)
	e.mu.Unlock()
	select {
	case e.news <- struct{}{}:
	default:
	}
	return nil
}

func (e *events) of(camera string) []station.CameraState {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []station.CameraState
	for _, s := range e.all {
		if s.Camera == camera {
			out = append(out, s)
		}
	}
	return out
}

// until waits until the newest state of a camera is status.
func (e *events) until(t *testing.T, camera string, status station.CameraStatus) station.CameraState {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		if s := e.of(camera); len(s) > 0 && s[len(s)-1].Status == status {
			return s[len(s)-1]
		}
		select {
		case <-e.news:
		case <-late:
			t.Fatalf("%s is not %s, but %+v", camera, status, e.of(camera))
		}
	}
}

// recorder counts who is recorded.
type recorder struct {
	mu   sync.Mutex
	now  map[string]int
	ever map[string]int
}

func newRecorder() *recorder { return &recorder{now: map[string]int{}, ever: map[string]int{}} }

func (r *recorder) Record(ctx context.Context, camera string, _ *stream.Stream) error {
	r.mu.Lock()
	r.now[camera]++
	r.ever[camera]++
	r.mu.Unlock()
	<-ctx.Done()
	r.mu.Lock()
	r.now[camera]--
	r.mu.Unlock()
	return nil
}

func (r *recorder) counts(camera string) (now, ever int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now[camera], r.ever[camera]
}

// screen is a browser that counts whole pictures of a film.
type screen struct {
	*peertest.Viewer
	mu      sync.Mutex
	whole   int
	strange int
	first   time.Duration
	film    map[string]bool
}

func watch(t *testing.T, whep string, of ...string) *screen {
	t.Helper()
	s := &screen{film: map[string]bool{}}
	films, err := videotest.Films()
	if err != nil {
		t.Fatal(err)
	}
	porch, err := videotest.Porch()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(films, porch) {
		for _, u := range f.Units {
			for _, n := range u {
				s.film[string(n)] = s.film[string(n)] || slices.Contains(of, f.Name)
			}
		}
	}
	began := time.Now()
	s.Viewer, err = peertest.New(peertest.Config{Repair: true, Loopback: true, OnPicture: func(p peertest.Picture) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.whole == 0 {
			s.first = time.Since(began)
		}
		ok := p.Whole && (s.whole > 0 || p.Key)
		for _, n := range p.NALUs {
			ok = ok && s.film[string(n)]
		}
		if ok {
			s.whole++
		} else {
			s.strange++
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Watch(context.Background(), http.DefaultClient, whep); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *screen) counts() (whole, strange int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.whole, s.strange
}

// sees waits for n more pictures.
func (s *screen) sees(t *testing.T, n int) {
	t.Helper()
	from, _ := s.counts()
	eventually(t, "pictures", func() bool { whole, _ := s.counts(); return whole >= from+n })
	if _, strange := s.counts(); strange > 0 {
		t.Errorf("%d pictures were not of the film", strange)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for late := time.Now().Add(15 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("%s: not in time", what)
		}
	}
}

func cameras(t *testing.T) *videotest.Server {
	t.Helper()
	s, err := videotest.Start(videotest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func source(s *videotest.Server, id, film string) video.Source {
	return video.Source{Camera: station.Camera{ID: id, Node: "here", URL: s.URL(film), Record: true}}
}

func TestWatchLosesAndRegainsTheCamera(t *testing.T) {
	rtsp := cameras(t)
	n := start(t, nil)
	n.Apply([]video.Source{source(rtsp, "hall", "corridor")}, nil)
	online := n.said.until(t, "hall", station.CameraOnline)
	if online.Width != 640 || online.Height != 360 || online.Codec != "H264" || online.Node != "here" {
		t.Errorf("state %+v", online)
	}

	v := watch(t, n.whep("hall"), "corridor")
	v.sees(t, 30)
	t.Logf("first picture after %v", v.first)
	if v.first > time.Second {
		t.Errorf("the first picture came after %v", v.first)
	}

	rtsp.Cut("corridor")
	lost := n.said.until(t, "hall", station.CameraOffline)
	if lost.Cause == "" || lost.Hint == "" {
		t.Errorf("state without cause or hint: %+v", lost)
	}
	if l := n.Lamps(); len(l) != 1 || l[0].Code != "cameras.lost" || l[0].State != station.LampBad {
		t.Errorf("lamps %+v", l)
	}
	if err := rtsp.Restore("corridor"); err != nil {
		t.Fatal(err)
	}
	n.said.until(t, "hall", station.CameraOnline)
	v.sees(t, 30) // on the same connection
	if l := n.Lamps(); l[0].Code != "cameras.ok" {
		t.Errorf("lamps %+v", l)
	}
	if got := len(n.said.of("hall")); got > 5 {
		t.Errorf("%d events: %+v", got, n.said.of("hall"))
	}

	if err := v.Leave(context.Background()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the session ends", func() bool { return n.hub.Usage().Sessions == 0 })
}

func TestApplyDisturbsOnlyWhatChanged(t *testing.T) {
	rtsp := cameras(t)
	n := start(t, nil)
	hall, gate := source(rtsp, "hall", "corridor"), source(rtsp, "gate", "gate")
	n.Apply([]video.Source{hall, gate}, nil)
	n.said.until(t, "hall", station.CameraOnline)
	n.said.until(t, "gate", station.CameraOnline)
	v := watch(t, n.whep("hall"), "corridor", "garage")
	v.sees(t, 5)

	hall.URL, hall.Name = rtsp.URL("garage"), "Hall"
	gate.Name, gate.Record = "Gate", false
	n.Apply([]video.Source{hall, gate}, nil)
	eventually(t, "the garage called", func() bool { return rtsp.Sessions("garage") == 1 })
	eventually(t, "the corridor let go", func() bool { return rtsp.Sessions("corridor") == 0 })
	v.sees(t, 25)
	if rtsp.Served("gate") != 1 {
		t.Errorf("the gate was called %d times", rtsp.Served("gate"))
	}
	eventually(t, "the gate's record stopped", func() bool { now, _ := n.tape.counts("gate"); return now == 0 })
	if now, ever := n.tape.counts("hall"); now != 1 || ever != 1 {
		t.Errorf("the hall is recorded %d times, was %d times", now, ever)
	}

	n.Apply(nil, nil)
	eventually(t, "the viewer sent away", func() bool { return n.hub.Usage().Sessions == 0 })
	eventually(t, "the cameras let go", func() bool { return rtsp.Sessions("garage")+rtsp.Sessions("gate") == 0 })
	if got := n.Lamps()[0].Code; got != "cameras.none" {
		t.Errorf("lamp %s", got)
	}
}

func TestOffersThatAreRefused(t *testing.T) {
	rtsp := cameras(t)
	n := start(t, nil)
	n.Apply([]video.Source{
		source(rtsp, "hall", "corridor"),
		{Camera: station.Camera{ID: "bad", URL: "rtsp://user:secret@host/"}},
	}, nil)
	n.said.until(t, "bad", station.CameraUnsupported)
	for _, c := range []struct {
		name, camera, media, body string
		status                    int
		code                      string
	}{
		{"no camera", "attic", "application/sdp", "v=0\r\n", 404, "camera.unknown"},
		{"no remote camera", "there.attic", "application/sdp", "v=0\r\n", 404, "camera.unknown"},
		{"a path", "..%2f..%2fetc", "application/sdp", "v=0\r\n", 404, "camera.unknown"},
		{"not sdp", "hall", "application/json", "{}", 415, "whep.media-type"},
		{"no type", "hall", "", "v=0\r\n", 415, "whep.media-type"},
		{"nonsense", "hall", "application/sdp", "v=0\r\nm=video 9 x H264/90000 \r\n", 400, "video.offer"},
		{"empty", "hall", "application/sdp; charset=utf-8", "", 400, "video.offer"},
		{"too large", "hall", "application/sdp", strings.Repeat("v", 65<<10), 413, "whep.too-large"},
		{"no H.264", "hall", "application/sdp", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n", 415, "video.format"},
		{"a camera that cannot be used", "bad", "application/sdp", "v=0\r\n", 409, "camera.unsupported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, err := http.Post(n.whep(c.camera), c.media, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			var p station.Problem
			if err := json.Unmarshal(b, &p); err != nil {
				t.Fatalf("%s: %s", resp.Status, b)
			}
			if resp.StatusCode != c.status || p.Code != c.code || p.Message == "" || p.Hint == "" {
				t.Errorf("%s: %+v", resp.Status, p)
			}
			if bytes.Contains(b, []byte("secret")) {
				t.Errorf("a password is told: %s", b)
			}
		})
	}
	if got := n.hub.Usage().Sessions; got != 0 {
		t.Errorf("%d sessions", got)
	}
}

// Somebody else's session is not there.
func TestOnlyTheViewerEndsItsSession(t *testing.T) {
	rtsp := cameras(t)
	n := start(t, nil)
	n.Apply([]video.Source{source(rtsp, "hall", "corridor")}, nil)
	v, err := peertest.New(peertest.Config{Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	offer, err := v.Offer()
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, account, body string) *http.Response {
		t.Helper()
		req, err := http.NewRequest(method, n.web.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/sdp")
		req.Header.Set("Test-Account", account)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	resp := ask("POST", "/api/v1/cameras/hall/whep", "lin", offer)
	session := resp.Header.Get("Location")
	if resp.StatusCode != 201 || !strings.HasPrefix(session, "/api/v1/whep/") || resp.Header.Get("Content-Type") != "application/sdp" {
		t.Fatalf("%s, %v", resp.Status, resp.Header)
	}
	for _, c := range []struct {
		path, account string
		status        int
	}{
		{session, "wang", 404},
		{"/api/v1/whep/nonsense", "lin", 404},
		{session, "lin", 204},
	} {
		if resp := ask("DELETE", c.path, c.account, ""); resp.StatusCode != c.status {
			t.Errorf("%s asks for %s: %s", c.account, c.path, resp.Status)
		}
	}
	eventually(t, "the session ends", func() bool { return n.hub.Usage().Sessions == 0 })
}

// Every route declares what it needs: to talk through a camera is more than to see it, and
// so is to know who else does.
func TestRoutesDeclareTheirPermission(t *testing.T) {
	for _, r := range video.New(video.DefaultConfig(), video.Deps{}).Routes() {
		want := station.PermVideo
		switch {
		case strings.Contains(r.Pattern, "talk"):
			want = station.PermAnswer
		case strings.HasSuffix(r.Pattern, "/viewers"): // who watches is for who sets up
			want = station.PermConfigure
		}
		if r.Permission != want || r.Summary == "" {
			t.Errorf("%s: %q", r.Pattern, r.Permission)
		}
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	if err := video.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	cfg := video.DefaultConfig()
	cfg.LegTimeout, cfg.TalkMost = 0, time.Second
	cfg.Peer.MaxSessions = 0
	cfg.Peer.UDPListen = "x"
	cfg.RTSP.RetryMax = time.Millisecond
	err := cfg.Validate()
	for _, key := range []string{"leg_timeout", "talk_most", "peer.max_sessions", "peer.udp_listen", "rtsp.retry_max"} {
		if err == nil || !strings.Contains(err.Error(), key+": ") {
			t.Errorf("%s is not named in %v", key, err)
		}
	}
}

package video_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video"
	"stationd/video/peer/peertest"
	"stationd/video/videotest"
)

// loud are cameras that have loudspeakers.
func loud(t *testing.T, cfg videotest.Config) *videotest.Server {
	t.Helper()
	s, err := videotest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// mouth is a browser whose microphone hears a tone of 440 Hz.
type mouth struct {
	*peertest.Talker
	t        *testing.T
	node     *node
	account  string
	location string
	muLaw    bool
	stop     context.CancelFunc
	says     sync.WaitGroup
}

func (n *node) mouth(t *testing.T, account, mime string) *mouth {
	t.Helper()
	talker, err := peertest.NewTalker(mime)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &mouth{Talker: talker, t: t, node: n, account: account, muLaw: strings.HasSuffix(mime, "PCMU"), stop: stop}
	m.says.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i += 160 {
			select {
			case <-tick.C:
				_ = m.Say(videotest.Beep(m.muLaw, 440, i, 160)) // before the connection stands nobody hears it
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() {
		stop()
		m.says.Wait()
		m.Close()
	})
	return m
}

// ask posts the offer, and returns the status and the problem's code.
func (m *mouth) ask(camera string) (int, station.Problem) {
	m.t.Helper()
	offer, err := m.Offer()
	if err != nil {
		m.t.Fatal(err)
	}
	resp := m.do(http.MethodPost, "/api/v1/cameras/"+camera+"/talk", []byte(offer))
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	var p station.Problem
	if resp.StatusCode != http.StatusCreated {
		if err := json.Unmarshal(body, &p); err != nil {
			m.t.Fatalf("%s: %s", resp.Status, body)
		}
		return resp.StatusCode, p
	}
	m.location = resp.Header.Get("Location")
	if err := m.Take(string(body)); err != nil {
		m.t.Fatal(err)
	}
	return resp.StatusCode, p
}

func (m *mouth) do(method, path string, body []byte) *http.Response {
	m.t.Helper()
	req, err := http.NewRequest(method, m.node.web.URL+path, bytes.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/sdp")
	req.Header.Set("Test-Account", m.account)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	return resp
}

// hangUp deletes the talk.
func (m *mouth) hangUp() int {
	m.t.Helper()
	resp := m.do(http.MethodDelete, m.location, nil)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// talks tells what is known of a camera's loudspeaker and who talks.
func (n *node) talks(camera string) (codec string, now station.Talking) {
	for _, s := range n.States() {
		if s.Camera == camera {
			return s.Talk, s.Talking
		}
	}
	return "", station.Talking{}
}

// What is said in a browser is heard at the camera: as the codec that it takes,
// under its number, in order, in time.
func TestAVoiceReachesTheCamera(t *testing.T) {
	for _, c := range []struct {
		hears, mime string
		payloadType uint8
	}{{videotest.SoundPCMA, "audio/PCMA", 8}, {videotest.SoundPCMU, "audio/PCMU", 106}} {
		t.Run(c.hears, func(t *testing.T) {
			cams := loud(t, videotest.Config{Hears: c.hears, Sound: videotest.SoundPCMA})
			n := start(t, nil)
			n.Apply([]video.Source{source(cams, "gate", "gate")}, nil)
			eventually(t, "the loudspeaker is known", func() bool { codec, _ := n.talks("gate"); return codec == c.hears })

			m := n.mouth(t, "zhang", c.mime)
			if status, p := m.ask("gate"); status != http.StatusCreated {
				t.Fatalf("%d %+v", status, p)
			}
			if _, who := n.talks("gate"); who.Account != "zhang" || time.Until(who.Until) > time.Minute || time.Until(who.Until) < 50*time.Second {
				t.Errorf("talking: %+v", who)
			}
			eventually(t, "a second of voice", func() bool { return len(cams.Heard("gate")) >= 50 })
			said := cams.Heard("gate")
			if share := videotest.Tone(videotest.Speech(said[10:]), m.muLaw, 440); share < 0.7 {
				t.Errorf("only %.2f of what was heard is the tone", share)
			}
			for i, p := range said {
				if p.PayloadType != c.payloadType {
					t.Fatalf("packet %d is of type %d", i, p.PayloadType)
				}
				if i == 0 {
					continue
				}
				if step := p.SequenceNumber - said[i-1].SequenceNumber; step != 1 {
					t.Errorf("packet %d: sequence steps by %d", i, step)
				}
				if step := int32(p.Timestamp - said[i-1].Timestamp); step < 160 || step%160 != 0 {
					t.Errorf("packet %d: timestamp steps by %d", i, step)
				}
				if p.SSRC != said[0].SSRC {
					t.Errorf("packet %d is of another source", i)
				}
			}
			last := said[len(said)-1]
			if took, spoken := last.At.Sub(said[0].At), time.Duration(last.Timestamp-said[0].Timestamp)*time.Second/8000; (took - spoken).Abs() > 500*time.Millisecond {
				t.Errorf("%v of voice came within %v", spoken, took)
			}
			if status := m.hangUp(); status != http.StatusNoContent {
				t.Errorf("hang up: %d", status)
			}
			eventually(t, "nobody talks", func() bool { _, who := n.talks("gate"); return who == station.Talking{} })
			eventually(t, "the camera's session is over", func() bool { return cams.Sessions("gate") == 1 })
		})
	}
}

// A camera that is not ours hears it too, while it sends its pictures.
func TestAVoiceReachesGStreamer(t *testing.T) {
	for _, c := range []struct{ hears, mime string }{{videotest.SoundPCMA, "audio/PCMA"}, {videotest.SoundPCMU, "audio/PCMU"}} {
		t.Run(c.hears, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "heard")
			cam := videotest.StartGStreamer(t, videotest.GStreamerConfig{Hears: c.hears, HeardIn: file, Username: "admin", Password: "secret"})
			n := start(t, nil)
			n.Apply([]video.Source{{Camera: station.Camera{ID: "gate", Node: "here", URL: cam.URL(), Username: "admin"}, Password: "secret"}}, nil)
			n.said.until(t, "gate", station.CameraOnline)
			eventually(t, "the loudspeaker is known", func() bool { codec, _ := n.talks("gate"); return codec == c.hears })
			heard := func() []byte {
				b, _ := os.ReadFile(file) // there is none before the first word
				return b
			}
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("heard %d bytes; the audit: %q", len(heard()), n.notes.all())
				}
			})
			// On a full machine GStreamer's server now and then starts a talk's session
			// without its loudspeaker; who is not heard talks again.
			muLaw := false
			for try := 1; len(heard()) <= 8000; try++ {
				m := n.mouth(t, "zhang", c.mime)
				if status, p := m.ask("gate"); status != http.StatusCreated {
					t.Fatalf("%d %+v", status, p)
				}
				muLaw = m.muLaw
				for late := time.Now().Add(15 * time.Second); len(heard()) <= 8000 && time.Now().Before(late); {
					time.Sleep(10 * time.Millisecond) // its encoders take whole cores
				}
				if len(heard()) > 8000 {
					break
				}
				t.Logf("talk %d was not heard", try)
				if try == 3 {
					t.Fatal("a second of voice: not in three talks")
				}
				m.hangUp()
				eventually(t, "nobody talks", func() bool { _, who := n.talks("gate"); return who == station.Talking{} })
			}
			if share := videotest.Tone(heard(), muLaw, 440); share < 0.7 {
				t.Errorf("only %.2f of what was heard is the tone", share)
			}
			if state := n.States()[0]; state.Status != station.CameraOnline {
				t.Errorf("the pictures: %+v", state)
			}
		})
	}
}

// One person talks at a time; who it is, is told. Whoever is not it cannot end it.
func TestOneTalksAtATime(t *testing.T) {
	cams := loud(t, videotest.Config{Hears: videotest.SoundPCMA})
	n := start(t, nil)
	n.Apply([]video.Source{source(cams, "gate", "gate"), source(cams, "garage", "garage")}, nil)
	first, second := n.mouth(t, "zhang", "audio/PCMA"), n.mouth(t, "li", "audio/PCMA")
	if status, p := first.ask("gate"); status != http.StatusCreated {
		t.Fatalf("%d %+v", status, p)
	}
	if status, p := second.ask("gate"); status != http.StatusConflict || p.Code != "talk.held" || p.Args["name"] != "zhang" || p.Hint == "" {
		t.Errorf("a second one: %d %+v", status, p)
	}
	if n.TalkThrough(first.location[strings.LastIndex(first.location, "/")+1:]) != "gate" {
		t.Error("it is not known through what they talk")
	}
	second.location = first.location
	if status := second.hangUp(); status != http.StatusNotFound {
		t.Errorf("somebody else hangs up: %d", status)
	}
	again := n.mouth(t, "zhang", "audio/PCMA")
	if status, p := again.ask("gate"); status != http.StatusCreated {
		t.Errorf("who talks already begins anew: %d %+v", status, p)
	}
	if again.location == first.location || len(n.notes.all()) != 3 {
		t.Errorf("the first one goes on: %q", n.notes.all())
	}
	first = again
	third := n.mouth(t, "wang", "audio/PCMA")
	if status, p := third.ask("garage"); status != http.StatusCreated {
		t.Errorf("through another camera: %d %+v", status, p)
	}
	if status := first.hangUp(); status != http.StatusNoContent {
		t.Errorf("hang up: %d", status)
	}
	eventually(t, "the next one may", func() bool { _, who := n.talks("gate"); return who == station.Talking{} })
	fourth := n.mouth(t, "li", "audio/PCMA")
	if status, p := fourth.ask("gate"); status != http.StatusCreated {
		t.Errorf("after it ended: %d %+v", status, p)
	}
}

// However a talk ends, both its ends are closed, the loudspeaker is free, and the
// audit says who talked, from when to when, and why it ended.
func TestHowATalkEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(n *node, cams *videotest.Server, m *mouth)
		word string
	}{
		"let go":           {func(_ *node, _ *videotest.Server, m *mouth) { m.hangUp() }, "let go"},
		"the browser left": {func(_ *node, _ *videotest.Server, m *mouth) { m.stop(); m.says.Wait(); m.Close() }, "the peer is gone"},
		"the time is over": {func(*node, *videotest.Server, *mouth) {}, "longest time"},
		"no right": {func(n *node, _ *videotest.Server, _ *mouth) {
			n.forbidden.Store(true)
			n.EndViews(func(station.Actor, string) bool { return true })
		}, "may no longer talk"},
		"no right, unnoticed":    {func(n *node, _ *videotest.Server, _ *mouth) { n.forbidden.Store(true) }, "may no longer talk"},
		"the camera has gone":    {func(_ *node, cams *videotest.Server, _ *mouth) { cams.Cut("gate") }, "closed the connection"},
		"the camera was removed": {func(n *node, _ *videotest.Server, _ *mouth) { n.Apply(nil, nil) }, "removed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cams := loud(t, videotest.Config{Hears: videotest.SoundPCMA})
			n := startWith(t, nil, func(cfg *video.Config) { cfg.TalkMost = 5 * time.Second })
			n.Apply([]video.Source{source(cams, "gate", "gate")}, nil)
			m := n.mouth(t, "zhang", "audio/PCMA")
			if status, p := m.ask("gate"); status != http.StatusCreated {
				t.Fatalf("%d %+v", status, p)
			}
			eventually(t, "it is heard", func() bool { return len(cams.Heard("gate")) > 5 })
			c.end(n, cams, m)
			eventually(t, "the audit has its end", func() bool { return len(n.notes.all()) == 2 })
			rows := n.notes.all()
			if !strings.HasPrefix(rows[0], "zhang camera.talk camera/gate began") || !strings.HasPrefix(rows[1], "zhang camera.talk.end camera/gate ") || !strings.Contains(rows[1], c.word) {
				t.Errorf("the audit: %q", rows)
			}
			eventually(t, "the loudspeaker is free", func() bool { _, who := n.talks("gate"); return who == station.Talking{} })
			if used := n.hub.Usage().Sessions; used != 0 {
				t.Errorf("%d sessions are left", used)
			}
			eventually(t, "the camera's session is over", func() bool { return cams.Sessions("gate") <= 1 })
		})
	}
}

// A camera that takes no voice, or none that can be sent, or has no session for it,
// says so, and its pictures go on.
func TestCamerasThatTakeNoVoice(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  videotest.Config
		talk string // as its state tells
		code string
		word string
	}{
		"551":         {videotest.Config{Hears: videotest.SoundPCMA, Stern: true}, "", "talk.none", "no voice"},
		"AAC":         {videotest.Config{Hears: videotest.SoundAAC}, "AAC", "talk.codec", "AAC"},
		"one session": {videotest.Config{Hears: videotest.SoundPCMA, Slots: 1}, "PCMA", "camera.no-slot", "no free session"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cams := loud(t, c.cfg)
			n := start(t, nil)
			n.Apply([]video.Source{source(cams, "gate", "gate")}, nil)
			n.said.until(t, "gate", station.CameraOnline)
			eventually(t, "it is known what it takes", func() bool { codec, _ := n.talks("gate"); return codec == c.talk })
			m := n.mouth(t, "zhang", "audio/PCMA")
			if status, p := m.ask("gate"); status < 400 || p.Code != c.code || !strings.Contains(p.Message, c.word) || p.Hint == "" {
				t.Errorf("%d %+v", status, p)
			}
			if _, who := n.talks("gate"); who != (station.Talking{}) {
				t.Errorf("%+v talks", who)
			}
			if used := n.hub.Usage().Sessions; used != 0 {
				t.Errorf("%d sessions are left", used)
			}
			if rows := n.notes.all(); len(rows) != 0 {
				t.Errorf("the audit: %q", rows)
			}
			if cams.Served("gate") != 1 || n.States()[0].Status != station.CameraOnline {
				t.Errorf("the pictures were disturbed: %d sessions, %+v", cams.Served("gate"), n.States()[0])
			}
		})
	}
}

// What is posted that is no voice is refused, and the loudspeaker stays free.
func TestVoicesThatAreRefused(t *testing.T) {
	cams := loud(t, videotest.Config{Hears: videotest.SoundPCMA})
	n := start(t, nil)
	n.Apply([]video.Source{source(cams, "gate", "gate")}, []station.Camera{{ID: "village.gate", Node: "village"}})
	m := n.mouth(t, "zhang", "audio/PCMA")
	for _, c := range []struct {
		camera, body string
		status       int
		code         string
	}{
		{"attic", "v=0", 404, "camera.unknown"},
		{"village.gate", "v=0", 409, "talk.remote"},
		{"gate", "", 400, "video.offer"},
		{"gate", "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n", 415, "talk.format"},
		{"gate", strings.Repeat("v=0\r\n", 20000), 413, "whep.too-large"},
	} {
		resp := m.do(http.MethodPost, "/api/v1/cameras/"+c.camera+"/talk", []byte(c.body))
		var p station.Problem
		if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != c.status || p.Code != c.code || p.Hint == "" {
			t.Errorf("%s %.20q: %d %+v", c.camera, c.body, resp.StatusCode, p)
		}
	}
	if status, p := m.ask("gate"); status != http.StatusCreated {
		t.Errorf("then a voice: %d %+v", status, p)
	}

	silent := startWith(t, nil, func(cfg *video.Config) { cfg.TalkMost = 0 })
	silent.Apply([]video.Source{source(cams, "gate", "gate")}, nil)
	if status, p := silent.mouth(t, "zhang", "audio/PCMA").ask("gate"); status != 409 || p.Code != "talk.off" {
		t.Errorf("switched off: %d %+v", status, p)
	}
}

// notes are the rows of the audit.
type notes struct {
	mu   sync.Mutex
	rows []string
}

func (k *notes) note(_ context.Context, who station.Actor, action, subject, detail string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rows = append(k.rows, strings.Join([]string{who.Account, action, subject, detail}, " "))
	return nil
}

func (k *notes) all() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.rows)
}

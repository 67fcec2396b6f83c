package video_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
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
			if share := videotest.Tone(said[10:], m.muLaw, 440); share < 0.7 {
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

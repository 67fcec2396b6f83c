package mse_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"stationd/video/mse"
	"stationd/video/stream"
	"stationd/video/videotest"
)

// quiet is a frame of Opus, 20 ms of silence.
var quiet = []byte{0xfc, 0xff, 0xfe}

// heard writes so many pictures with the sound between them.
func (p *page) heard(t *testing.T, from, count int, frame []byte) {
	t.Helper()
	films, err := videotest.Films()
	if err != nil {
		t.Fatal(err)
	}
	for n := from; n < from+count; n++ {
		at := time.Duration(n) * videotest.Interval
		arrived := p.began.Add(at)
		p.stream.Write(films[0].Units[n%len(films[0].Units)], at, arrived, false)
		for k := range 2 {
			if frame != nil {
				p.stream.WriteSound(frame, at+time.Duration(k)*20*time.Millisecond, arrived)
			}
		}
	}
}

// begin reads up to the next format.
func begin(t *testing.T, c *websocket.Conn) (f mse.Format) {
	t.Helper()
	for {
		kind, b, err := c.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if kind == websocket.TextMessage {
			if err := json.Unmarshal(b, &f); err != nil {
				t.Fatal(err)
			}
			return f
		}
	}
}

// Opus goes with the picture and ffprobe decodes both; sound that ceases takes the
// picture along to nowhere: from the next key picture on there is none.
func TestSoundGoesWithThePicture(t *testing.T) {
	p := open(t)
	p.stream.Announce(stream.Params{Codec: stream.H264, Sound: &stream.Sound{Codec: stream.Opus, Rate: 48000, Channels: 2}})
	p.heard(t, 0, 75, quiet)
	p.url += "?sound=OPUS"
	c, err := p.dial(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if f := begin(t, c); f.Type != `video/mp4; codecs="avc1.42c01e, opus"` || f.Sound != stream.Opus || f.LeftOut != "" {
		t.Fatalf("format %+v", f)
	}
	var film []byte
	for range 1 + 24 {
		kind, b, err := c.ReadMessage()
		if err != nil || kind != websocket.BinaryMessage {
			t.Fatal(kind, err)
		}
		film = append(film, b...)
	}
	cmd := exec.Command("ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=codec_name,nb_read_frames", "-of", "csv=p=0", "-")
	cmd.Stdin = strings.NewReader(string(film))
	out, err := cmd.CombinedOutput()
	if got := strings.Fields(string(out)); err != nil || len(got) != 2 || got[0] != "h264,24" || !strings.HasPrefix(got[1], "opus,4") {
		t.Errorf("%v: %s", err, out)
	}
	p.heard(t, 75, 125, nil)
	if f := begin(t, c); f.Sound != "" || f.LeftOut != stream.Opus {
		t.Errorf("the picture waits for sound that does not come: %+v", f)
	}
	p.heard(t, 200, 40, quiet)
	for range 20 { // it has heard of it
		if _, _, err := c.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
	p.heard(t, 240, 20, quiet)
	if f := begin(t, c); f.Sound != stream.Opus {
		t.Errorf("the sound is back and is not sent: %+v", f)
	}
}

// G.711 is left out and named; so is what the browser does not play.
func TestSoundThatIsLeftOut(t *testing.T) {
	for codec, plays := range map[string]string{stream.PCMA: stream.PCMA, stream.Opus: stream.AAC} {
		p := open(t)
		rate := 8000
		if codec == stream.Opus {
			rate = 48000
		}
		p.stream.Announce(stream.Params{Codec: stream.H264, Sound: &stream.Sound{Codec: codec, Rate: rate, Channels: 1}})
		p.heard(t, 0, 30, quiet)
		p.url += "?sound=" + plays
		c, err := p.dial(t, "")
		if err != nil {
			t.Fatal(err)
		}
		if f := begin(t, c); f.Type != `video/mp4; codecs="avc1.42c01e"` || f.Sound != "" || f.LeftOut != codec {
			t.Errorf("%s: %+v", codec, f)
		}
	}
}

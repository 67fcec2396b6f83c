package mse_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"stationd/video/mse"
	"stationd/video/stream"
	"stationd/video/videotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wrapped hides the connection as the console's own wrapper does.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type page struct {
	url    string
	stream *stream.Stream
	began  time.Time
	mu     sync.Mutex
	last   *mse.Socket
	serve  sync.WaitGroup
}

func open(t *testing.T) *page {
	p := &page{stream: stream.New(stream.Config{}), began: time.Now()}
	ctx, cancel := context.WithCancel(context.Background())
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := mse.Open(wrapped{w}, r, ctx)
		if err != nil {
			return
		}
		s.Plays(func(codec string) bool { return codec == r.URL.Query().Get("sound") })
		p.mu.Lock()
		p.last = s
		p.mu.Unlock()
		p.serve.Add(1)
		defer p.serve.Done()
		_ = s.Serve(p.stream)
	}))
	t.Cleanup(func() { cancel(); p.serve.Wait(); web.Close(); p.stream.Close() })
	p.url = "ws" + strings.TrimPrefix(web.URL, "http")
	return p
}

func (p *page) dial(t *testing.T, origin string) (*websocket.Conn, error) {
	h := http.Header{}
	if origin != "" {
		h.Set("Origin", origin)
	}
	c, _, err := websocket.DefaultDialer.Dial(p.url, h)
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	}
	return c, err
}

// play writes so many pictures of a film.
func (p *page) play(t *testing.T, film, from, count int) {
	films, err := videotest.Films()
	if err != nil {
		t.Fatal(err)
	}
	units := films[film].Units
	for n := from; n < from+count; n++ {
		p.stream.Write(units[n%len(units)], time.Duration(n)*videotest.Interval, time.Now(), false)
	}
}

// What comes over the socket, put end to end, is a film that ffprobe plays.
func TestWhatComesIsAFilm(t *testing.T) {
	p := open(t)
	p.play(t, 0, 0, 75)
	c, err := p.dial(t, "")
	if err != nil {
		t.Fatal(err)
	}
	kind, text, err := c.ReadMessage()
	var f mse.Format
	if err != nil || kind != websocket.TextMessage || json.Unmarshal(text, &f) != nil || f.Type != `video/mp4; codecs="avc1.42c01e"` || f.Width != 640 {
		t.Fatalf("%v %s", err, text)
	}
	var film []byte
	for range 1 + 24 { // the last one waits for the one behind it
		kind, b, err := c.ReadMessage()
		if err != nil || kind != websocket.BinaryMessage {
			t.Fatal(kind, err)
		}
		film = append(film, b...)
	}
	cmd := exec.Command("ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames,width", "-of", "csv=p=0", "-")
	cmd.Stdin = strings.NewReader(string(film))
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "640,24" {
		t.Errorf("%v: %s", err, out)
	}
}

// A browser that takes nothing in skips, and goes on at a key picture; the
// writer never waits for it.
func TestSlowSocketSkips(t *testing.T) {
	p := open(t)
	p.play(t, 0, 0, 1)
	c, err := p.dial(t, "")
	if err != nil {
		t.Fatal(err)
	}
	big := make([]byte, 200_000)
	for n := 1; ; n++ {
		slice := append([]byte{0x41, 0x80}, big...)
		if n%25 == 0 {
			slice[0] = 0x65
		}
		began := time.Now()
		p.stream.Write([][]byte{slice}, time.Duration(n)*videotest.Interval, time.Now(), false)
		if took := time.Since(began); took > 2*time.Second {
			t.Fatalf("the camera waited %v", took)
		}
		p.mu.Lock()
		s := p.last
		p.mu.Unlock()
		if s != nil && s.Skipped() > 0 {
			break
		}
		if n > 2000 {
			t.Fatal("nothing skipped")
		}
		time.Sleep(time.Millisecond)
		if n%500 == 0 { // what waits is taken in bit by bit, as over a thin line
			if _, _, err := c.ReadMessage(); err != nil {
				t.Fatal(err)
			}
		}
		if n > 60 && n%20 == 0 {
			if _, _, err := c.ReadMessage(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A page of another site gets no socket, nor does what is no socket.
func TestSocketsOfOurOwnPagesAlone(t *testing.T) {
	p := open(t)
	if _, err := p.dial(t, "http://elsewhere.example"); err == nil {
		t.Error("a foreign page got a socket")
	}
	if _, err := p.dial(t, "http"+strings.TrimPrefix(p.url, "ws")); err != nil {
		t.Errorf("our own page got none: %v", err)
	}
}

// While the camera is away nothing comes, and what comes first then is a key
// picture; with other sets a new beginning comes before it.
func TestNothingStaleAfterALoss(t *testing.T) {
	p := open(t)
	p.play(t, 0, 0, 30)
	p.stream.Lost("cut")
	c, err := p.dial(t, "")
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if _, b, err := c.ReadMessage(); err == nil {
		t.Fatalf("%d bytes of a lost camera", len(b))
	}
	d, err := p.dial(t, "")
	if err != nil {
		t.Fatal(err)
	}
	p.play(t, 1, 50, 3)
	if kind, b, err := d.ReadMessage(); err != nil || kind != websocket.TextMessage {
		t.Fatalf("%v: %s", err, b)
	}
}

package peer_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stationd/video/peer"
	"stationd/video/peer/peertest"
	"stationd/video/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A film is pictures that can be told apart: sets of a real encoder, and slices
// that carry their number and a pattern.
var (
	sps = []byte{0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x47, 0xfe, 0xc8}
	pps = []byte{0x68, 0xce, 0x3c, 0x80}
)

const frame = 40 * time.Millisecond

// picture is number n of a film with a key picture every gop.
func picture(n, gop, size int) [][]byte {
	slice := make([]byte, size)
	for i := range slice {
		slice[i] = byte(n + i*7)
	}
	slice[0] = 0x41
	if n%gop == 0 {
		slice[0] = 0x65
	}
	slice[1] = 0x80
	number(slice, n)
	if n%gop == 0 {
		return [][]byte{sps, pps, slice}
	}
	return [][]byte{slice}
}

// number writes n where no start code can come of it; numberOf reads it.
func number(slice []byte, n int) {
	binary.BigEndian.PutUint16(slice[2:], uint16(n>>8)|0x8080)
	binary.BigEndian.PutUint16(slice[4:], uint16(n&0x7f)|uint16(n&0x80)<<1|0x8080)
}

func numberOf(slice []byte) int {
	lo := binary.BigEndian.Uint16(slice[4:])
	return int(binary.BigEndian.Uint16(slice[2:])&^0x8080)<<8 | int(lo&0x7f) | int(lo>>1&0x80)
}

// film writes pictures of size bytes into s in real time until the test ends.
type film struct {
	s    *stream.Stream
	gop  int
	size func(n int) int

	mu   sync.Mutex
	held bool
	n    int
	sent map[int][]byte
}

func play(t testing.TB, s *stream.Stream, gop int, size func(int) int) *film {
	f := &film{s: s, gop: gop, size: size, sent: map[int][]byte{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(frame)
		defer tick.Stop()
		for {
			f.write()
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return f
}

func (f *film) write() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held {
		return
	}
	p := picture(f.n, f.gop, f.size(f.n))
	f.sent[f.n] = p[len(p)-1]
	f.s.Write(p, time.Duration(f.n)*frame, time.Now(), false)
	f.n++
}

func (f *film) hold(held bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = held
	if !held {
		f.n += f.gop - f.n%f.gop // comes back with a key picture
	}
}

func (f *film) slice(n int) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent[n]
}

func (f *film) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// until waits until n pictures have been shown.
func (f *film) until(n int) {
	for f.count() < n {
		time.Sleep(frame / 4)
	}
}

func small(n int) int {
	if n%25 == 0 {
		return 30000
	}
	return 3000
}

// hub starts a Hub on loopback ports of its own.
func hub(t testing.TB, change func(*peer.Config)) *peer.Hub {
	cfg := peer.DefaultConfig()
	cfg.UDPListen, cfg.TCPListen = "127.0.0.1:0", "127.0.0.1:0"
	if change != nil {
		change(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	h := peer.New(cfg, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	select {
	case <-h.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return h
}

// got is a picture that a viewer put together.
type got struct {
	n   int
	key bool
	at  time.Time
	ts  uint32
}

// viewer notes what a browser sees of a film.
type viewer struct {
	*peertest.Viewer
	t     testing.TB
	film  *film
	sess  *peer.Session
	began time.Time
	news  chan struct{}

	mu       sync.Mutex
	pictures []got
	broken   int
}

type viewerOptions struct {
	peertest.Config
	answer func(string) string
}

// watch connects a viewer.
func watch(t testing.TB, h *peer.Hub, f *film, s *stream.Stream, o viewerOptions) *viewer {
	t.Helper()
	v := &viewer{t: t, film: f, news: make(chan struct{}, 1), began: time.Now()}
	o.Loopback, o.OnPicture = true, v.picture
	var err error
	if v.Viewer, err = peertest.New(o.Config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	offer, err := v.Offer()
	if err != nil {
		t.Fatal(err)
	}
	if v.sess, err = h.Watch(context.Background(), offer, s); err != nil {
		t.Fatal(err)
	}
	answer := v.sess.Answer
	if o.answer != nil {
		answer = o.answer(answer)
	}
	if err := v.Take(answer); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *viewer) picture(p peertest.Picture) {
	v.mu.Lock()
	defer v.mu.Unlock()
	slice := p.NALUs[len(p.NALUs)-1]
	if !p.Whole || len(slice) < 6 || p.Key && (len(p.NALUs) != 3 || !bytes.Equal(p.NALUs[0], sps) || !bytes.Equal(p.NALUs[1], pps)) {
		v.broken++
		return
	}
	n := numberOf(slice)
	if v.film != nil && !bytes.Equal(slice, v.film.slice(n)) {
		v.broken++
		return
	}
	v.pictures = append(v.pictures, got{n: n, key: p.Key, at: p.At, ts: p.Timestamp})
	select {
	case v.news <- struct{}{}:
	default:
	}
}

func (v *viewer) seen() ([]got, int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.pictures), v.broken
}

// until waits until ok says so.
func (v *viewer) until(d time.Duration, what string, ok func(p []got) bool) []got {
	v.t.Helper()
	late := time.After(d)
	for {
		p, broken := v.seen()
		if ok(p) {
			return p
		}
		select {
		case <-v.news:
		case <-late:
			v.t.Fatalf("%s: not after %v, with %d pictures, %d broken, state %v", what, d, len(p), broken, v.State())
		}
	}
}

func atLeast(n int) func([]got) bool { return func(p []got) bool { return len(p) >= n } }

func wait(t testing.TB, d time.Duration, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(d):
		t.Fatalf("%s: not after %v", what, d)
	}
}

func describe(p []got) string {
	var s []string
	for _, g := range p {
		s = append(s, fmt.Sprint(g.n))
	}
	return fmt.Sprint(s)
}

// repairing is a viewer that asks for what it missed, as browsers do.
var repairing = viewerOptions{Config: peertest.Config{Repair: true}}

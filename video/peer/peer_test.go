package peer_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
	"go.uber.org/goleak"

	"stationd/video/peer"
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

// viewer is a browser made of pion: it offers, receives, asks for what is
// missing, and puts pictures together.
type viewer struct {
	t     testing.TB
	pc    *webrtc.PeerConnection
	sess  *peer.Session
	began time.Time

	mu       sync.Mutex
	pictures []got
	broken   int
	seqs     []uint16
	track    *webrtc.TrackRemote
	check    func(n int) []byte
	news     chan struct{}
}

type viewerOptions struct {
	setting func(*webrtc.SettingEngine)
	answer  func(string) string
	media   bool // ask for what is missing, as browsers do
	audio   bool
}

func newViewer(t testing.TB, o viewerOptions) *viewer {
	t.Helper()
	m := &webrtc.MediaEngine{}
	if err := m.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	reg := &interceptor.Registry{}
	if o.media {
		if err := webrtc.RegisterDefaultInterceptors(m, reg); err != nil {
			t.Fatal(err)
		}
	}
	var set webrtc.SettingEngine
	set.SetIncludeLoopbackCandidate(true)
	set.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() && ip.To4() != nil })
	if o.setting != nil {
		o.setting(&set)
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(reg), webrtc.WithSettingEngine(set))
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	v := &viewer{t: t, pc: pc, news: make(chan struct{}, 1), check: func(int) []byte { return nil }}
	t.Cleanup(func() { _ = pc.GracefulClose() })
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		v.mu.Lock()
		v.track = track
		v.mu.Unlock()
		v.receive(track)
	})
	kinds := []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo}
	if o.audio {
		kinds = append(kinds, webrtc.RTPCodecTypeAudio)
	}
	for _, k := range kinds {
		if _, err := pc.AddTransceiverFromKind(k, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func (v *viewer) offer() string {
	offer, err := v.pc.CreateOffer(nil)
	if err != nil {
		v.t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(v.pc)
	if err := v.pc.SetLocalDescription(offer); err != nil {
		v.t.Fatal(err)
	}
	<-gathered
	return v.pc.LocalDescription().SDP
}

func (v *viewer) take(answer string) {
	if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		v.t.Fatal(err)
	}
}

// watch connects a viewer.
func watch(t testing.TB, h *peer.Hub, s *stream.Stream, o viewerOptions) *viewer {
	t.Helper()
	v := newViewer(t, o)
	v.began = time.Now()
	sess, err := h.Watch(context.Background(), v.offer(), s)
	if err != nil {
		t.Fatal(err)
	}
	v.sess = sess
	answer := sess.Answer
	if o.answer != nil {
		answer = o.answer(answer)
	}
	v.take(answer)
	return v
}

// receive puts pictures together from packets in order of sequence, waiting up
// to half a second for a missing one.
func (v *viewer) receive(track *webrtc.TrackRemote) {
	waiting := map[uint16]*rtp.Packet{}
	var next uint16
	started := false
	var missing time.Time
	var depack codecs.H264Packet
	var au []byte
	whole := true
	for {
		if started && len(waiting) > 0 {
			_ = track.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		} else {
			_ = track.SetReadDeadline(time.Time{})
		}
		p, _, err := track.ReadRTP()
		if err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				p = nil
			} else {
				return
			}
		}
		if p != nil && len(p.Payload) > 0 {
			if !started {
				started, next = true, p.SequenceNumber
			}
			if int16(p.SequenceNumber-next) >= 0 {
				waiting[p.SequenceNumber] = p
			}
		}
		for len(waiting) > 0 {
			p, ok := waiting[next]
			if !ok {
				if missing.IsZero() {
					missing = time.Now()
				}
				if time.Since(missing) < 500*time.Millisecond {
					break
				}
				next++ // given up
				whole = false
				continue
			}
			missing = time.Time{}
			delete(waiting, next)
			next++
			v.mu.Lock()
			v.seqs = append(v.seqs, p.SequenceNumber)
			v.mu.Unlock()
			b, err := depack.Unmarshal(p.Payload)
			if err != nil {
				whole = false
			}
			au = append(au, b...)
			if p.Marker {
				v.picture(au, whole, p.Timestamp)
				au, whole, depack = nil, true, codecs.H264Packet{}
			}
		}
	}
}

func (v *viewer) picture(au []byte, whole bool, ts uint32) {
	nalus := bytes.Split(au, []byte{0, 0, 0, 1})
	slice := nalus[len(nalus)-1]
	g := got{at: time.Now(), ts: ts, n: -1}
	if len(slice) >= 6 {
		g.n = numberOf(slice)
		g.key = slice[0]&0x1f == 5
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if want := v.check(g.n); want != nil && !bytes.Equal(want, slice) {
		whole = false
	}
	if g.key && (len(nalus) != 4 || !bytes.Equal(nalus[1], sps) || !bytes.Equal(nalus[2], pps)) {
		whole = false
	}
	if !whole {
		v.broken++
		return
	}
	v.pictures = append(v.pictures, g)
	select {
	case v.news <- struct{}{}:
	default:
	}
}

// until waits until ok says so.
func (v *viewer) until(d time.Duration, what string, ok func(p []got) bool) []got {
	v.t.Helper()
	late := time.After(d)
	for {
		v.mu.Lock()
		p := slices.Clone(v.pictures)
		v.mu.Unlock()
		if ok(p) {
			return p
		}
		select {
		case <-v.news:
		case <-late:
			v.t.Fatalf("%s: not after %v, with %d pictures, %d broken, state %v", what, d, len(p), v.broken, v.pc.ConnectionState())
		}
	}
}

func (v *viewer) askKey() {
	v.mu.Lock()
	ssrc := uint32(v.track.SSRC())
	v.mu.Unlock()
	if err := v.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: ssrc}}); err != nil {
		v.t.Error(err)
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

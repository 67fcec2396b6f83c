package restream_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stationd/agent/station"
	"stationd/video/restream"
	"stationd/video/stream"
	"stationd/video/videotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house has an account that may see the gate and nothing else.
type house struct {
	mu     sync.Mutex
	visits map[string]bool
	shut   bool
	big    int // bytes that each picture is made larger by
	gate   *stream.Stream
	show   func(n int) [][]byte // the gate's pictures; nil is a film of H.264
	about  stream.Params
	hear   func(n int) []byte // the sound of 40 ms; nil is a hum of G.711
}

const account, password = "platform", "seven lamps on the quay"

func (h *house) Enter(_ context.Context, name string, given station.Secret, _ string) (string, error) {
	if name != account || given.Reveal() != password {
		return "", errors.New("wrong")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	id := fmt.Sprint("visit ", len(h.visits))
	h.visits[id] = true
	return id, nil
}

func (h *house) May(_ context.Context, visit, _, camera string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.visits[visit] || h.shut || camera != "gate" {
		return errors.New("may not")
	}
	return nil
}

func (h *house) Leave(_ context.Context, visit string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.visits, visit)
}

func (h *house) inside() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.visits)
}

func (h *house) Watch(_ context.Context, camera string, _ station.StreamRole) (*stream.Stream, func(), error) {
	if camera != "gate" {
		return nil, nil, station.ErrNotFound
	}
	return h.gate, func() {}, nil
}

// open serves a film with sound.
func open(t *testing.T, change func(*restream.Config)) (*house, *restream.Server) {
	return openHouse(t, &house{}, change, nil)
}

func openHouse(t *testing.T, h *house, change func(*restream.Config), tlsConfig *tls.Config) (*house, *restream.Server) {
	h.visits, h.gate = map[string]bool{}, stream.New(stream.Config{})
	cfg := restream.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	if change != nil {
		change(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	s := restream.New(cfg, restream.Deps{Guard: h, Cameras: h, TLS: tlsConfig, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	running.Go(func() { h.film(ctx) })
	t.Cleanup(func() { cancel(); running.Wait(); h.gate.Close() })
	select {
	case <-s.Ready():
	case <-time.After(10 * time.Second):
		t.Fatal("it does not listen")
	}
	return h, s
}

// film plays the gate, with a hum of G.711 beside it.
func (h *house) film(ctx context.Context) {
	to := h.gate
	films, err := videotest.Films()
	if err != nil {
		panic(err)
	}
	about := h.about
	if h.show == nil {
		about = stream.Params{Codec: stream.H264, Sound: &stream.Sound{Codec: stream.PCMA, Rate: 8000, Channels: 1}}
	}
	to.Announce(about)
	tick := time.NewTicker(videotest.Interval)
	defer tick.Stop()
	for n := 0; ; n++ {
		at := time.Duration(n) * videotest.Interval
		if h.show != nil {
			to.Write(h.show(n), at, time.Now(), false)
			if frame := h.hear(n); frame != nil {
				to.WriteSound(frame, at, time.Now())
			}
			select {
			case <-tick.C:
				continue
			case <-ctx.Done():
				return
			}
		}
		unit := slices.Clone(films[1].Units[n%len(films[1].Units)])
		h.mu.Lock()
		last := len(unit) - 1
		unit[last] = append(slices.Clone(unit[last]), bytes.Repeat([]byte{1}, h.big)...)
		h.mu.Unlock()
		to.Write(unit, at, time.Now(), false)
		hum := make([]byte, 320)
		for i := range hum {
			hum[i] = 0xd5 ^ byte(i%16)
		}
		to.WriteSound(hum, at, time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func address(s *restream.Server, user, path string) string {
	return "rtsp://" + user + s.Addrs()[0].String() + "/" + path
}

const signedIn = account + ":seven%20lamps%20on%20the%20quay@"

// ffmpeg is what most other software is made of: several at once get pictures
// and sound of the one stream, over TCP and over UDP.
func TestFFmpegPullsTheRestream(t *testing.T) {
	h, s := open(t, func(c *restream.Config) { c.UDPListen = "127.0.0.1:28050" })
	var pulling sync.WaitGroup
	for _, transport := range []string{"tcp", "udp", "tcp"} {
		pulling.Go(func() {
			out, err := exec.Command("ffprobe", "-v", "error", "-rtsp_transport", transport, "-show_entries", "stream=codec_name", "-show_packets",
				"-read_intervals", "%+2", "-of", "json", address(s, signedIn, "gate/sub")).CombinedOutput()
			var got struct {
				Streams []struct {
					Codec string `json:"codec_name"`
				}
				Packets []struct {
					Kind string `json:"codec_type"`
				}
			}
			if json.Unmarshal(out, &got) != nil || err != nil {
				t.Errorf("%s: %v: %s", transport, err, out)
				return
			}
			count := map[string]int{}
			for _, p := range got.Packets {
				count[p.Kind]++
			}
			if len(got.Streams) != 2 || got.Streams[0].Codec != "h264" || got.Streams[1].Codec != "pcm_alaw" || count["video"] < 20 || count["audio"] < 20 {
				t.Errorf("%s: %+v, %v", transport, got.Streams, count)
			}
		})
	}
	pulling.Wait()
	eventually(t, "everybody signed out", func() bool { u := s.Usage(); return h.inside() == 0 && u.Consumers == 0 && u.Connections == 0 })
}

// Who has not signed in, or may not see the camera, gets nothing; who is shut
// out later is hung up on by the next request.
func TestWhoMayPullTheRestream(t *testing.T) {
	h, s := open(t, nil)
	basic := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(account+":"+password)) + "\r\n"
	wrong := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(account+":guess")) + "\r\n"
	for _, x := range []struct{ path, header, answer string }{
		{"gate", "", "401"},
		{"gate", wrong, "401"},
		{"gate", basic, "200"},
		{"gate/sub", basic, "200"},
		{"hall", basic, "403"},
		{"gate/other", basic, "404"},
		{"", basic, "404"},
		{"gate", "Authorization: Digest username=\"platform\", realm=\"x\", nonce=\"x\", uri=\"x\", response=\"x\"\r\n", "401"},
	} {
		c := dial(t, s)
		if got := c.ask(t, "DESCRIBE", x.path, x.header); got != x.answer {
			t.Errorf("%q with %q: %s, not %s", x.path, x.header, got, x.answer)
		}
		_ = c.Close()
	}
	c := dial(t, s)
	defer func() { _ = c.Close() }()
	for _, m := range []string{"ANNOUNCE", "RECORD"} {
		if got := c.ask(t, m, "gate", basic); got == "200" {
			t.Errorf("%s is taken", m)
		}
	}
	d := dial(t, s)
	defer func() { _ = d.Close() }()
	if got := d.ask(t, "DESCRIBE", "gate", basic); got != "200" {
		t.Fatal(got)
	}
	h.mu.Lock()
	h.shut = true
	h.mu.Unlock()
	if got := d.ask(t, "SETUP", "gate/trackID=0", basic+"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"); got != "403" {
		t.Errorf("shut out, and answered %s", got)
	}
	if s.Usage().Refused != 3 {
		t.Errorf("%+v", s.Usage())
	}
}

// A consumer that reads nothing is skipped, and the others are not held up; what
// it gets when it reads again has no hole in its numbers.
func TestSlowConsumerSkipsToAKeyPicture(t *testing.T) {
	h, s := open(t, nil)
	h.mu.Lock()
	h.big = 60_000
	h.mu.Unlock()
	basic := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(account+":"+password)) + "\r\n"
	c := dial(t, s)
	defer func() { _ = c.Close() }()
	_ = c.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	c.play(t, basic)
	eventually(t, "pictures skipped", func() bool { return s.Usage().Skipped > 10 })
	other := dial(t, s)
	defer func() { _ = other.Close() }()
	other.play(t, basic)
	if n := other.packets(t, 200); !contiguous(n) {
		t.Error("the other consumer lost packets")
	}
	if n := c.packets(t, 3000); !contiguous(n) {
		t.Error("the slow consumer's numbers have holes")
	}
}

// Connections are bounded, and one that says nothing goes by itself.
func TestConnectionsAreBounded(t *testing.T) {
	_, s := open(t, func(c *restream.Config) { c.MaxConnections = 3 })
	var all []*client
	for range 5 {
		all = append(all, dial(t, s))
	}
	eventually(t, "two are turned away", func() bool { return s.Usage().Turned == 2 })
	for _, c := range all {
		_ = c.Close()
	}
	eventually(t, "all have gone", func() bool { return s.Usage().Connections == 0 })
	if got := dial(t, s).ask(t, "OPTIONS", "gate", ""); got != "200" {
		t.Error(got)
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	err := restream.Config{Listen: "x", ListenTLS: "y", UDPListen: ":8051"}.Validate()
	for _, key := range []string{"listen", "listen_tls", "udp_listen", "max_connections"} {
		if err == nil || !strings.Contains(fmt.Sprint(station.Faults(err)), key) {
			t.Errorf("%s is not named in %v", key, err)
		}
	}
}

// client speaks RTSP by hand.
type client struct {
	net.Conn
	in   *bufio.Reader
	base string
	seq  int
	id   string
}

func dial(t *testing.T, s *restream.Server) *client {
	t.Helper()
	c, err := net.Dial("tcp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	return &client{Conn: c, in: bufio.NewReader(c), base: "rtsp://" + s.Addrs()[0].String() + "/"}
}

// ask sends a request and returns the status of the answer.
func (c *client) ask(t *testing.T, method, path, header string) string {
	t.Helper()
	c.seq++
	if c.id != "" {
		header += "Session: " + c.id + "\r\n"
	}
	fmt.Fprintf(c, "%s %s%s RTSP/1.0\r\nCSeq: %d\r\n%s\r\n", method, c.base, path, c.seq, header)
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return err.Error()
		}
		if !strings.HasPrefix(line, "RTSP/1.0 ") {
			continue
		}
		code, length := strings.Fields(line)[1], 0
		for {
			h, err := c.in.ReadString('\n')
			if err != nil || h == "\r\n" {
				break
			}
			if v, ok := strings.CutPrefix(h, "Session: "); ok {
				c.id, _, _ = strings.Cut(strings.TrimSpace(v), ";")
			}
			_, _ = fmt.Sscanf(h, "Content-Length: %d", &length)
		}
		_, _ = c.in.Discard(length)
		return code
	}
}

func (c *client) play(t *testing.T, basic string) {
	t.Helper()
	for _, x := range [][3]string{
		{"SETUP", "gate/trackID=0", basic + "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"}, {"PLAY", "gate/", basic},
	} {
		if got := c.ask(t, x[0], x[1], x[2]); got != "200" {
			t.Fatalf("%s: %s", x[0], got)
		}
	}
}

// packets reads so many packets of the picture, and returns their numbers.
func (c *client) packets(t *testing.T, n int) []uint16 {
	t.Helper()
	var out []uint16
	for len(out) < n {
		var head [4]byte
		for i := range head {
			b, err := c.in.ReadByte()
			if err != nil {
				t.Fatalf("after %d packets: %v", len(out), err)
			}
			head[i] = b
		}
		size := int(head[2])<<8 | int(head[3])
		body := make([]byte, size)
		for i := range body {
			b, err := c.in.ReadByte()
			if err != nil {
				t.Fatal(err)
			}
			body[i] = b
		}
		if head[0] == '$' && head[1] == 0 && size > 12 {
			out = append(out, uint16(body[2])<<8|uint16(body[3]))
		}
	}
	return out
}

func contiguous(n []uint16) bool {
	for i := range n[1:] {
		if n[i+1] != n[i]+1 {
			return false
		}
	}
	return !slices.Contains(n[1:], n[0])
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for late := time.Now().Add(60 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("%s: not in time", what)
		}
	}
}

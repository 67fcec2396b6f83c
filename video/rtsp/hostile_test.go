package rtsp_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtp"

	"stationd/agent/station"
	"stationd/video/stream"
	"stationd/video/videotest"
)

// What cameras do wrong, by mistake or on purpose.

func TestStatusCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, answer string
		want           station.CameraStatus
	}{
		{"DESCRIBE", "RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"x\", nonce=\"y\"\r\n", station.CameraUnauthorized},
		{"DESCRIBE", "RTSP/1.0 403 Forbidden\r\n", station.CameraUnauthorized},
		{"DESCRIBE", "RTSP/1.0 404 Not Found\r\n", station.CameraOffline},
		{"SETUP", "RTSP/1.0 453 Not Enough Bandwidth\r\n", station.CameraNoSlot},
		{"DESCRIBE", "RTSP/1.0 503 Service Unavailable\r\n", station.CameraNoSlot},
		{"SETUP", "RTSP/1.0 461 Unsupported Transport\r\n", station.CameraUnsupported},
		{"SETUP", "RTSP/1.0 200 OK\r\nSession: 1\r\nTransport: RTP/AVP;unicast;client_port=8000-8001;server_port=9000-9001\r\n", station.CameraUnsupported},
		{"PLAY", "RTSP/1.0 500 Internal Server Error\r\n", station.CameraOffline},
	} {
		t.Run(c.method+strings.Fields(c.answer)[1], func(t *testing.T) {
			t.Parallel()
			cam := newFakeCamera(t)
			cam.answer = func(method, _ string) string {
				if method == c.method {
					return c.answer
				}
				return ""
			}
			cfg := fast(cam.url())
			cfg.Username, cfg.Password = "admin", "hunter2"
			r := run(t, cfg)
			state, _ := r.await(0, c.want)
			if state.Cause == "" || state.Hint == "" {
				t.Errorf("no words: %+v", state)
			}
			if c.want != station.CameraOffline && r.source.Stats().Attempts != 1 {
				t.Error("asked again at once")
			}
			if strings.Contains(r.log.String(), "hunter2") {
				t.Error("the log tells the password")
			}
		})
	}
}

func TestOtherFormats(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sdp, word string }{
		"H265 with DONs": {"m=video 0 RTP/AVP 96\r\na=control:v\r\na=rtpmap:96 H265/90000\r\na=fmtp:96 sprop-max-don-diff=2\r\n", "interleaved"},
		"MJPEG":          {"m=video 0 RTP/AVP 26\r\na=control:v\r\n", "M-JPEG"},
		"audio only":     {"m=audio 0 RTP/AVP 8\r\na=control:a\r\n", "no video"},
		"no media":       {"", ""},
		"interleaved": {
			"m=video 0 RTP/AVP 96\r\na=control:v\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=2\r\n",
			"interleaved",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cam := newFakeCamera(t)
			cam.sdp = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n" + c.sdp
			r := run(t, fast(cam.url()))
			state, _ := r.await(0, station.CameraUnsupported)
			if !strings.Contains(state.Cause, c.word) || state.Hint == "" {
				t.Errorf("state %+v", state)
			}
		})
	}
}

// Only what is used is set up, and everything is torn down.
func TestManners(t *testing.T) {
	t.Parallel()
	cam := newFakeCamera(t)
	cam.play = func(p *player) { p.forever() }
	t.Run("play", func(t *testing.T) {
		r := run(t, fast(cam.url()+"?channel=1&subtype=0"))
		r.await(0, station.CameraOnline)
	})
	if n := cam.count("DESCRIBE " + cam.url() + "?channel=1&subtype=0"); n != 1 {
		t.Error("the address was changed")
	}
	if n := cam.count("SETUP"); n != 2 {
		t.Errorf("%d tracks were set up, want picture and sound", n)
	}
	eventually(t, "TEARDOWN", func() bool { return cam.count("TEARDOWN") == 1 })
}

// A muted camera is not asked for its sound; one that refuses it, or would put it
// where the picture comes, is watched without.
func TestWithoutSound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		mute   bool
		setups int
	}{
		"muted":             {"", true, 1},
		"refused":           {"RTSP/1.0 404 Not Found\r\n", false, 2},
		"on one channel":    {"RTSP/1.0 200 OK\r\nSession: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n", false, 3},
		"no transport":      {"RTSP/1.0 200 OK\r\nSession: 1\r\n", false, 3},
		"other than wished": {"RTSP/1.0 200 OK\r\nSession: 1\r\nTransport: RTP/AVP;unicast;server_port=1-2\r\n", false, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cam := newFakeCamera(t)
			cam.play = func(p *player) { p.forever() }
			cam.answer = func(method, url string) string {
				if method == "SETUP" && strings.HasSuffix(url, "audio") {
					return c.answer
				}
				return ""
			}
			cfg := fast(cam.url())
			cfg.Mute = c.mute
			r := run(t, cfg)
			state, _ := r.await(0, station.CameraOnline)
			if state.Sound != "" || cam.count("SETUP") != c.setups {
				t.Errorf("sound %q after %d set-ups, want %d", state.Sound, cam.count("SETUP"), c.setups)
			}
		})
	}
}

// A camera may move us to another path of its own, but not to another host: that
// would take the password there.
func TestRedirect(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		location string
		want     station.CameraStatus
	}{
		"own path":   {"rtsp://HOST/other", station.CameraOnline},
		"other host": {"rtsp://192.0.2.7:554/live", station.CameraUnsupported},
		"loop":       {"rtsp://HOST/live", station.CameraUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cam := newFakeCamera(t)
			cam.play = func(p *player) { p.forever() }
			cam.answer = func(method, url string) string {
				if method == "DESCRIBE" && strings.HasSuffix(url, "/live") {
					return "RTSP/1.0 302 Found\r\nLocation: " + strings.ReplaceAll(c.location, "HOST", cam.l.Addr().String()) + "\r\n"
				}
				return ""
			}
			cfg := fast(cam.url())
			var dialled atomic.Int32
			cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				dialled.Add(1)
				if address != cam.l.Addr().String() {
					t.Errorf("dialled %s", address)
				}
				return (&net.Dialer{}).DialContext(ctx, network, address)
			}
			r := run(t, cfg)
			r.await(0, c.want)
			if n := dialled.Load(); n > 3 {
				t.Errorf("dialled %d times", n)
			}
		})
	}
}

// Trap 10: a camera that restarts its encoder goes on with another SSRC. The
// library reports every packet as an error, for ever; bytes keep coming.
func TestSSRCChange(t *testing.T) {
	t.Parallel()
	cam := newFakeCamera(t)
	var sessions atomic.Int32
	cam.play = func(p *player) {
		if sessions.Add(1) == 1 {
			p.pictures(20)
			p.change = func(k *rtp.Packet) bool { k.SSRC = 0x2222; return true }
		}
		p.forever()
	}
	r := run(t, fast(cam.url()))
	reader := r.stream.Read(stream.ReadOptions{})
	units(t, reader, -1, 60)
	if n := sessions.Load(); n != 2 {
		t.Errorf("%d sessions, want a second one", n)
	}
}

// Trap 9: a sequence that starts anew, on the same connection, is no loss of
// 60,000 packets, and no reason to connect again.
func TestSequenceReset(t *testing.T) {
	t.Parallel()
	cam := newFakeCamera(t)
	cam.play = func(p *player) {
		p.pictures(20)
		p.change = func(k *rtp.Packet) bool { k.SequenceNumber += 30000; return true }
		p.forever()
	}
	r := run(t, fast(cam.url()))
	reader := r.stream.Read(stream.ReadOptions{})
	got := units(t, reader, -1, 40)
	if !got[20].Key {
		t.Error("it does not go on with a key picture")
	}
	if st := r.source.Stats(); st.Attempts != 1 || st.PacketsLost != 0 {
		t.Errorf("stats %+v", st)
	}
}

// Trap 11: a lost packet damages its picture and all that build on it. Viewers
// are held until the next key picture; the record has them, marked.
func TestLoss(t *testing.T) {
	t.Parallel()
	cam := newFakeCamera(t)
	cam.play = func(p *player) {
		p.pictures(20)
		lost := false
		p.change = func(k *rtp.Packet) bool {
			keep := lost
			lost = true
			return keep
		}
		p.forever()
	}
	r := run(t, fast(cam.url()))
	viewer := r.stream.Read(stream.ReadOptions{})
	record := r.stream.Read(stream.ReadOptions{Record: true})

	seen := units(t, viewer, -1, 21)
	if !seen[20].Key || viewer.Skipped() != 29 && viewer.Skipped() != 30 {
		t.Errorf("the viewer goes on with key %v after %d skipped", seen[20].Key, viewer.Skipped())
	}
	kept := units(t, record, -1, 60)
	damaged := 0
	for i, u := range kept {
		if u.Damaged {
			damaged++
			if i < 20 {
				t.Errorf("unit %d is damaged", i)
			}
		}
	}
	if uint64(damaged) != viewer.Skipped() || record.Skipped() != 0 {
		t.Errorf("the record has %d damaged units and skipped %d, the viewer skipped %d", damaged, record.Skipped(), viewer.Skipped())
	}
	if n := r.source.Stats().PacketsLost; n != 1 {
		t.Errorf("%d packets lost", n)
	}
}

// Traps 1 and 5: packets of 60 KB, parameter sets only in the SDP.
func TestBigPacketsAndSetsInSDP(t *testing.T) {
	t.Parallel()
	cam := newFakeCamera(t)
	cam.play = func(p *player) {
		p.film = withoutSets(p.film)
		p.coder.PayloadMaxSize = 65000
		p.forever()
	}
	r := run(t, fast(cam.url()))
	reader := r.stream.Read(stream.ReadOptions{})
	for i, u := range units(t, reader, -1, 60) {
		if u.Key && (u.NALUs[0][0]&0x1f != 7 || u.NALUs[1][0]&0x1f != 8) {
			t.Errorf("unit %d has no parameter sets", i)
		}
		for _, p := range u.Packets {
			if len(p.Payload) > stream.MaxPayload {
				t.Errorf("unit %d has a payload of %d bytes", i, len(p.Payload))
			}
		}
	}
}

// Trap 7: the camera's clock is set by hours while it runs.
func TestTimestampJump(t *testing.T) {
	t.Parallel()
	cam := newFakeCamera(t)
	cam.play = func(p *player) {
		p.pictures(20)
		p.time += 90000 * 3600 * 5
		p.pictures(20)
		p.time -= 90000 * 3600 * 3
		p.forever()
	}
	r := run(t, fast(cam.url()))
	reader := r.stream.Read(stream.ReadOptions{})
	got := units(t, reader, -1, 60) // which only go forward
	if d := got[59].PTS; d > 5*time.Second {
		t.Errorf("60 pictures last %v", d)
	}
	if n := r.source.Stats().Attempts; n != 1 {
		t.Errorf("%d attempts", n)
	}
}

// The timestamp of 32 bits wraps every thirteen hours.
func TestTimestampWrap(t *testing.T) {
	t.Parallel()
	cam := newFakeCamera(t)
	cam.play = func(p *player) {
		p.time = 0xffffffff - 30*3600
		p.forever()
	}
	r := run(t, fast(cam.url()))
	got := units(t, r.stream.Read(stream.ReadOptions{}), -1, 60)
	for i := 1; i < len(got); i++ {
		if d := got[i].PTS - got[i-1].PTS; d < 39*time.Millisecond || d > 41*time.Millisecond {
			t.Errorf("unit %d comes %v after the one before", i, d)
		}
	}
	if n := r.stream.Stats().Jumps; n != 0 {
		t.Errorf("%d jumps", n)
	}
}

// Trap 5: the size changes in the middle of a session, with parameter sets in
// the stream alone.
func TestSizeChangesInBand(t *testing.T) {
	t.Parallel()
	porch, err := videotest.Porch()
	if err != nil {
		t.Fatal(err)
	}
	cam := newFakeCamera(t)
	cam.play = func(p *player) {
		p.pictures(50)
		p.film, p.n = porch, 0
		p.forever()
	}
	r := run(t, fast(cam.url()))
	got := units(t, r.stream.Read(stream.ReadOptions{}), -1, 100)
	for i, u := range got {
		want := 640
		if i >= 50 {
			want = 320
		}
		if u.Params.Width != want || u.Damaged {
			t.Errorf("unit %d is %d wide, damaged %v", i, u.Params.Width, u.Damaged)
		}
	}
	if !got[50].Key || r.source.Stats().Attempts != 1 {
		t.Errorf("key %v, %d attempts", got[50].Key, r.source.Stats().Attempts)
	}
	eventually(t, "the size is told", func() bool { return r.source.State().Width == 320 })
}

func TestNoMarkers(t *testing.T) {
	t.Parallel()
	cam := newFakeCamera(t)
	cam.play = func(p *player) {
		p.change = func(k *rtp.Packet) bool { k.Marker = false; return true }
		p.forever()
	}
	r := run(t, fast(cam.url()))
	for i, u := range units(t, r.stream.Read(stream.ReadOptions{}), -1, 60) {
		if u.Damaged {
			t.Errorf("unit %d is damaged", i)
		}
	}
}

// A camera that never sends a key picture cannot be watched by anybody.
func TestNoKeyPictures(t *testing.T) {
	t.Parallel()
	cam := newFakeCamera(t)
	cam.play = func(p *player) {
		p.film.Units = p.film.Units[1:20]
		p.forever()
	}
	cfg := fast(cam.url())
	cfg.KeyTimeout = 300 * time.Millisecond
	r := run(t, cfg)
	state, _ := r.await(0, station.CameraUnsupported)
	if !strings.Contains(state.Cause, "key picture") {
		t.Errorf("state %+v", state)
	}
}

// Nor can one that keeps its parameter sets to itself.
func TestNoParameterSets(t *testing.T) {
	t.Parallel()
	cam := newFakeCamera(t)
	cam.sdp, _, _ = strings.Cut(cam.sdp, "a=fmtp")
	cam.play = func(p *player) {
		p.film = withoutSets(p.film)
		p.forever()
	}
	cfg := fast(cam.url())
	cfg.KeyTimeout = 500 * time.Millisecond
	r := run(t, cfg)
	r.await(0, station.CameraUnsupported)
	if online, _, _ := r.stream.State(); online {
		t.Error("the stream is online without a picture")
	}
}

// Bytes that are no RTP, no H.264 and no RTSP end in a state, not in a crash.
func TestGarbage(t *testing.T) {
	t.Parallel()
	for name, send := range map[string]func(p *player){
		"not RTP": func(p *player) {
			for {
				if _, err := p.conn.Write([]byte{'$', 0, 0, 3, 1, 2, 3}); err != nil {
					return
				}
			}
		},
		"empty fragments": func(p *player) {
			for seq := uint16(0); ; seq++ {
				k := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SequenceNumber: seq}, Payload: []byte{0x7c, 0x05}}
				if seq == 0 {
					k.Payload[1] |= 0x80
				}
				if !p.packet(k) {
					return
				}
			}
		},
		"other payload type": func(p *player) {
			p.change = func(k *rtp.Packet) bool { k.PayloadType = 97; return true }
			p.forever()
		},
		"endless answer": func(p *player) {
			for {
				if _, err := p.conn.Write([]byte("RTSP/1.0 200 OK\r\nX: " + strings.Repeat("y", 4000))); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cam := newFakeCamera(t)
			cam.play = send
			cfg := fast(cam.url())
			cfg.RequestTimeout = 500 * time.Millisecond
			r := run(t, cfg)
			r.await(0, station.CameraOffline)
		})
	}
}

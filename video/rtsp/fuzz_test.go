package rtsp_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video/rtsp"
	"stationd/video/stream"
)

// FuzzAnswers lets a camera answer with whatever bytes it likes: the input is
// one answer for each request, separated by 0xff, after which it sends the rest.
// No panic, no request to another host, and the session ends.
func FuzzAnswers(f *testing.F) {
	const options = "RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: DESCRIBE, SETUP, PLAY\r\n\r\n"
	describe := func(sdp string) string {
		return fmt.Sprintf("RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", len(sdp), sdp)
	}
	const head = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n"
	const setup = "RTSP/1.0 200 OK\r\nCSeq: 3\r\nSession: 1;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
	const setup2 = "RTSP/1.0 200 OK\r\nCSeq: 4\r\nSession: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=2-3\r\n\r\n"
	const play = "RTSP/1.0 200 OK\r\nCSeq: 5\r\n\r\n"
	const play4 = "RTSP/1.0 200 OK\r\nCSeq: 4\r\n\r\n"
	h264 := head + "m=video 0 RTP/AVP 96\r\na=control:v\r\na=rtpmap:96 H264/90000\r\n"
	h265 := head + "m=video 0 RTP/AVP 96\r\na=control:v\r\na=rtpmap:96 H265/90000\r\n" +
		"m=audio 0 RTP/AVP 97\r\na=control:a\r\na=rtpmap:97 MPEG4-GENERIC/16000/1\r\na=fmtp:97 streamtype=5;mode=AAC-hbr;config=1408;sizelength=13;indexlength=3;indexdeltalength=3\r\n"
	join := func(parts ...string) []byte { return []byte(strings.Join(parts, "\xff")) }
	rtp := "$\x00\x00\x10\x80\xe0\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x65\x88\x80\x40"
	aac := "$\x02\x00\x14\x80\xe1\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x10\x00\x20\x01\x02\x03\x04"
	f.Add(join(options, describe(h264), setup, play4, rtp))
	f.Add(join(options, describe(h265), setup, setup2, play, rtp+aac))
	f.Add(join(options, "RTSP/1.0 302 Found\r\nCSeq: 2\r\nLocation: rtsp://192.0.2.1/x\r\n\r\n"))
	f.Add(join(options, "RTSP/1.0 401 Unauthorized\r\nCSeq: 2\r\nWWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\r\n\r\n", "RTSP/1.0 401 Unauthorized\r\nCSeq: 3\r\n\r\n"))
	f.Add(join(options, describe(head+"a=control:rtsp://192.0.2.1/y\r\nm=video 0 RTP/AVP 96\r\na=control:rtsp://192.0.2.2/v\r\na=rtpmap:96 H264/90000\r\n"), setup, play4))
	f.Add(join(options, describe(h264), "RTSP/1.0 200 OK\r\nCSeq: 3\r\nSession: 1\r\nTransport: RTP/AVP;unicast;source=192.0.2.3;server_port=1-2\r\n\r\n"))
	f.Add(join(options, describe(h264), setup, play4, "$\x00\xff\xff"+strings.Repeat("x", 300)))
	f.Add(join("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", options, "$\x00\x00\x01x"))

	f.Fuzz(func(t *testing.T, in []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		cfg := rtsp.Config{
			Camera: "x", URL: "rtsp://10.0.0.1:554/live?a=b", Username: "admin", Password: "hunter2",
			RequestTimeout: 50 * time.Millisecond, PictureTimeout: 30 * time.Millisecond, KeyTimeout: 30 * time.Millisecond,
			RetryMin: time.Hour, RetryMax: time.Hour, RetryDenied: time.Hour,
		}
		cameras := sync.WaitGroup{}
		defer cameras.Wait()
		cfg.Dial = answering(ctx, t, &cameras, in)
		ended := make(chan struct{}, 1)
		to := stream.New(stream.Config{})
		s := rtsp.New(cfg, to, slog.New(slog.DiscardHandler))
		s.OnState(func(st rtsp.Status) {
			if strings.Contains(st.Cause+st.Hint, "hunter2") {
				t.Error("the password is told")
			}
			if st.Status != station.CameraOnline {
				select {
				case ended <- struct{}{}:
				default:
				}
			}
		})
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		select {
		case <-ended:
		case <-ctx.Done():
			t.Error("the session does not end")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// answering dials a camera that gives one answer for each request, parted by 0xff,
// and reads until ctx ends.
func answering(ctx context.Context, t *testing.T, cameras *sync.WaitGroup, in []byte) func(context.Context, string, string) (net.Conn, error) {
	answers := bytes.Split(in, []byte{0xff})
	var dials atomic.Int32
	return func(_ context.Context, network, address string) (net.Conn, error) {
		if network != "tcp" || !strings.HasPrefix(address, "10.0.0.1:") {
			t.Errorf("dialled %s %s", network, address)
		}
		if dials.Add(1) > 6 {
			return nil, errors.New("enough")
		}
		ours, theirs := net.Pipe()
		cameras.Go(func() {
			defer theirs.Close()
			stop := context.AfterFunc(ctx, func() { theirs.Close() })
			defer stop()
			r := bufio.NewReader(theirs)
			for _, a := range answers {
				for { // a request
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					if line == "\r\n" {
						break
					}
				}
				if _, err := theirs.Write(a); err != nil {
					return
				}
			}
			for { // what else is sent is read
				if _, err := r.ReadByte(); err != nil {
					return
				}
			}
		})
		return addressed{ours}, nil
	}
}

// FuzzVoice does the same to who would talk through the camera.
func FuzzVoice(f *testing.F) {
	const options = "RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: DESCRIBE, SETUP, PLAY\r\n\r\n"
	describe := func(sdp string) string {
		sdp = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n" + sdp
		return fmt.Sprintf("RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", len(sdp), sdp)
	}
	const setup = "RTSP/1.0 200 OK\r\nCSeq: 3\r\nSession: 1;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
	const play = "RTSP/1.0 200 OK\r\nCSeq: 4\r\n\r\n"
	join := func(parts ...string) []byte { return []byte(strings.Join(parts, "\xff")) }
	back := "m=audio 0 RTP/AVP 8 0\r\na=control:back\r\na=sendonly\r\n"
	f.Add(join(options, describe(back), setup, play, "$\x00\x00\x10\x80\xe0\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x65\x88\x80\x40"))
	f.Add(join(options, describe("m=audio 0 RTP/AVP 97\r\na=control:b\r\na=sendonly\r\na=rtpmap:97 opus/48000/2\r\n"), setup, play))
	f.Add(join(options, describe("m=audio 0 RTP/AVP 97\r\na=control:b\r\na=sendonly\r\na=rtpmap:97 PCMA/16000/2\r\n"), setup, play))
	f.Add(join(options, describe("m=audio 0 RTP/AVP 97\r\na=sendonly\r\na=rtpmap:97 MPEG4-GENERIC/16000/1\r\na=fmtp:97 streamtype=5;mode=AAC-hbr;config=1408;sizelength=13;indexlength=3;indexdeltalength=3\r\n")))
	f.Add(join(options, describe("m=audio 0 RTP/AVP\r\na=sendonly\r\n")))
	f.Add(join(options, describe("m=video 0 RTP/AVP 96\r\na=sendonly\r\na=rtpmap:96 H264/90000\r\n"+strings.Replace(back, "8 0", "99", 1))))
	f.Add(join(options, describe(strings.Replace(back, "control:back", "control:rtsp://192.0.2.1/back", 1)), setup, play))
	f.Add(join(options, describe(back), strings.Replace(setup, "RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/AVP;unicast;source=192.0.2.3;server_port=1-2", 1)))
	f.Add(join(options, "RTSP/1.0 551 Option not supported\r\nCSeq: 2\r\nUnsupported: www.onvif.org/ver20/backchannel\r\n\r\n"))
	f.Add(join(options, "RTSP/1.0 302 Found\r\nCSeq: 2\r\nLocation: rtsp://192.0.2.1/x\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		cameras := sync.WaitGroup{}
		defer cameras.Wait()
		defer cancel()
		cfg := rtsp.Config{
			Camera: "x", URL: "rtsp://10.0.0.1:554/live?a=b", Username: "admin", Password: "hunter2", RequestTimeout: 50 * time.Millisecond,
			Dial: answering(ctx, t, &cameras, in),
		}
		log := slog.New(slog.DiscardHandler)
		l, err := rtsp.Ask(ctx, cfg, log)
		if l.Codec != "" && l.NotSpoken() != nil || err != nil && l != (rtsp.Loudspeaker{}) {
			t.Errorf("%+v with %v", l, err)
		}
		v, err := rtsp.Call(ctx, cfg, log)
		if err != nil {
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the password is told")
			}
			return
		}
		talk, hush := context.WithTimeout(ctx, 30*time.Millisecond)
		defer hush()
		for i := range 20 {
			v.Say(make([]byte, 160), uint32(160*i))
		}
		_ = v.Run(talk)
	})
}

// FuzzBackchannel: whatever a camera describes, one track with one format is left of
// it or none, and its words are short and plain.
func FuzzBackchannel(f *testing.F) {
	for _, s := range []string{
		"", "v=0", "m=", "m=audio 0 RTP/AVP 8\na=sendonly", "v=0\r\nm=audio 0 RTP/AVP 8 0 97\r\na=sendonly\r\na=rtpmap:97 opus/48000/2\r\n",
		"v=0\r\nm=audio 0 RTP/AVP 97\r\na=sendonly\r\na=rtpmap:97 x\x00y/1\r\na=fmtp:97 a=b\r\nm=video 0 RTP/AVP 96\r\n",
		"v=0\r\nm=audio 0 RTP/SAVP 8\r\na=sendonly\r\n", "v=0\r\nm=audio 0 RTP/AVP -1 128 999999999999999999999 ÿ\r\na=sendonly\r\na=rtpmap:-1 PCMA/8000\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, sdp []byte) {
		kept, l := rtsp.OnlyBackchannel(sdp)
		tracks := strings.Count("\n"+string(kept), "\nm=")
		if l.Codec != "" && (tracks != 1 || l.Other != "") || l.Codec == "" && tracks != 0 {
			t.Errorf("%+v with %d tracks of %q: %q", l, tracks, sdp, kept)
		}
		if len(kept) > 2*len(sdp)+16 || len(l.Other) > 40 || strings.ContainsFunc(l.Other, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%+v of %q", l, sdp)
		}
		if again, same := rtsp.OnlyBackchannel(kept); l.Codec != "" && (same != l || !bytes.Equal(again, kept)) {
			t.Errorf("cut again it is %q, %+v", again, same)
		}
	})
}

// addressed gives a pipe the addresses that the library expects of TCP.
type addressed struct{ net.Conn }

func (addressed) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 554} }
func (addressed) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 40000} }

// A camera that never ends what it says costs a bounded time and memory.
func TestEndless(t *testing.T) {
	for name, say := range map[string]func(conn net.Conn) error{
		"headers": func(conn net.Conn) error {
			if _, err := fmt.Fprint(conn, "RTSP/1.0 200 OK\r\n"); err != nil {
				return err
			}
			for i := 0; ; i++ {
				if _, err := fmt.Fprintf(conn, "X-%d: %s\r\n", i, strings.Repeat("y", 1000)); err != nil {
					return err
				}
			}
		},
		"one header": func(conn net.Conn) error {
			for {
				if _, err := fmt.Fprint(conn, "RTSP/1.0 200 OK\r\nX: "+strings.Repeat("y", 1<<16)); err != nil {
					return err
				}
			}
		},
		"a description": func(conn net.Conn) error {
			if _, err := fmt.Fprint(conn, "RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: 9999999999\r\n\r\n"); err != nil {
				return err
			}
			for {
				if _, err := fmt.Fprint(conn, strings.Repeat("a=x\r\n", 1000)); err != nil {
					return err
				}
			}
		},
		"drop by drop": func(conn net.Conn) error {
			for i := 0; ; i++ {
				if _, err := conn.Write([]byte{"RTSP/1.0 200 OK\r\nX: yyyyyyyy"[min(i, 27)]}); err != nil {
					return err
				}
				time.Sleep(20 * time.Millisecond)
			}
		},
		"interleaved frames of 64 KiB": func(conn net.Conn) error {
			frame := append([]byte{'$', 0, 0xff, 0xff}, make([]byte, 0xffff)...)
			for {
				if _, err := conn.Write(frame); err != nil {
					return err
				}
			}
		},
		"answers to nothing": func(conn net.Conn) error {
			for {
				if _, err := fmt.Fprint(conn, "RTSP/1.0 200 OK\r\nCSeq: 99\r\n\r\n"); err != nil {
					return err
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var talks sync.WaitGroup
			talks.Go(func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					talks.Go(func() {
						defer conn.Close()
						_ = say(conn)
					})
				}
			})
			t.Cleanup(func() { l.Close(); talks.Wait() })
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			cfg := fast("rtsp://" + l.Addr().String() + "/live")
			cfg.RequestTimeout = 500 * time.Millisecond
			r := run(t, cfg)
			began := time.Now()
			state, _ := r.await(0, station.CameraOffline)
			runtime.ReadMemStats(&after)
			if d := time.Since(began); d > 10*time.Second {
				t.Errorf("it took %v", d)
			}
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
				t.Errorf("%d MB more are held", grown>>20)
			}
			if state.Cause == "" || state.Hint == "" {
				t.Errorf("state %+v", state)
			}
		})
	}
}

package rtsp_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video/rtsp"
	"stationd/video/videotest"
)

// loudspeaker starts a camera and gives how it is called.
func loudspeaker(t *testing.T, cfg videotest.Config) (*videotest.Server, rtsp.Config) {
	t.Helper()
	s, err := videotest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	c := fast(s.URL("gate"))
	c.Username, c.Password = cfg.Username, station.Secret(cfg.Password)
	return s, c
}

// speak runs a voice until the test ends it, which tells how it ended.
func speak(t *testing.T, v *rtsp.Voice) (end func() error) {
	t.Helper()
	ctx, hush := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	over := false
	end = func() error {
		over = true
		hush()
		return <-done
	}
	t.Cleanup(func() {
		if !over {
			_ = end()
		}
	})
	return end
}

// What a camera takes is known by asking it, which takes none of its sessions; a
// camera that has never heard of the question is none the worse for it.
func TestAskForTheLoudspeaker(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  videotest.Config
		want rtsp.Loudspeaker
		code string // of the refusal
	}{
		"A-law":     {videotest.Config{Hears: videotest.SoundPCMA, Sound: videotest.SoundAAC}, rtsp.Loudspeaker{Codec: "PCMA"}, ""},
		"µ-law":     {videotest.Config{Hears: videotest.SoundPCMU, Username: "admin", Password: "secret"}, rtsp.Loudspeaker{Codec: "PCMU"}, ""},
		"Opus":      {videotest.Config{Hears: videotest.SoundOpus}, rtsp.Loudspeaker{Codec: "OPUS"}, ""},
		"AAC":       {videotest.Config{Hears: videotest.SoundAAC}, rtsp.Loudspeaker{Other: "AAC"}, "talk.codec"},
		"none":      {videotest.Config{Sound: videotest.SoundPCMA}, rtsp.Loudspeaker{}, "talk.none"},
		"551":       {videotest.Config{Hears: videotest.SoundPCMA, Stern: true}, rtsp.Loudspeaker{}, "talk.none"},
		"UDP alone": {videotest.Config{Hears: videotest.SoundPCMA, UDP: true, NoTCP: true}, rtsp.Loudspeaker{Codec: "PCMA"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, cfg := loudspeaker(t, c.cfg)
			l, err := rtsp.Ask(t.Context(), cfg, discard)
			if err != nil || l != c.want {
				t.Errorf("%+v, %v", l, err)
			}
			if s.Sessions("gate") != 0 || s.Served("gate") != 0 {
				t.Error("asking took a session")
			}
			v, err := rtsp.Call(t.Context(), cfg, discard)
			if c.code != "" {
				p, _ := station.AsProblem(err)
				if p == nil || p.Code != c.code || p.Hint == "" || c.want.Other != "" && !strings.Contains(p.Message, c.want.Other) {
					t.Errorf("call: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			end := speak(t, v)
			for i := range 25 {
				v.Say(videotest.Beep(false, 440, 160*i, 160), uint32(1000+160*i))
				time.Sleep(10 * time.Millisecond) // as a voice comes
			}
			for late := time.Now().Add(10 * time.Second); len(s.Heard("gate")) < 20; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(late) {
					t.Fatalf("%d packets were heard", len(s.Heard("gate")))
				}
			}
			if err := end(); err != nil {
				t.Error(err)
			}
			for late := time.Now().Add(10 * time.Second); s.Sessions("gate") != 0; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(late) {
					t.Fatal("the session is not torn down")
				}
			}
		})
	}
}

// What real cameras write of their backchannel: what can be used of it is.
func TestOddBackchannels(t *testing.T) {
	t.Parallel()
	const video = "m=video 0 RTP/AVP 96\r\na=control:v\r\na=rtpmap:96 H264/90000\r\n"
	const back = "a=control:back\r\na=sendonly\r\n"
	for name, c := range map[string]struct {
		sdp  string
		want rtsp.Loudspeaker
	}{
		// A doorbell's (go2rtc#49): its AAC has no configuration.
		"eight formats": {
			video + "m=audio 0 RTP/AVP 97 98 100 0 101 8 102 103\r\n" + back +
				"a=rtpmap:97 MPEG4-GENERIC/16000\r\na=rtpmap:98 MPEG4-GENERIC/8000\r\na=rtpmap:100 PCMU/16000\r\na=rtpmap:0 PCMU/8000\r\n" +
				"a=rtpmap:101 PCMA/16000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:102 L16/8000\r\na=rtpmap:103 L16/16000\r\n",
			rtsp.Loudspeaker{Codec: "PCMU"},
		},
		"AAC without a configuration": {"m=audio 0 RTP/AVP 97\r\n" + back + "a=rtpmap:97 MPEG4-GENERIC/16000\r\n", rtsp.Loudspeaker{Other: "AAC"}},
		"a broken picture beside it":  {"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/abc\r\nm=audio 0 RTP/AVP 8\r\n" + back, rtsp.Loudspeaker{Codec: "PCMA"}},
		"a picture to be sent":        {video + "a=sendonly\r\n", rtsp.Loudspeaker{}},
		"another sample rate":         {"m=audio 0 RTP/AVP 97\r\n" + back + "a=rtpmap:97 PCMA/16000/1\r\n", rtsp.Loudspeaker{Other: "G.711 with another sample rate"}},
		"a number of its own":         {"m=audio 0 RTP/AVP 99\n" + strings.ReplaceAll(back, "\r", "") + "a=rtpmap:99 pcma/8000\n", rtsp.Loudspeaker{Codec: "PCMA"}},
		"Opus, then G.711":            {"m=audio 0 RTP/AVP 111 8\r\n" + back + "a=rtpmap:111 opus/48000/2\r\n", rtsp.Loudspeaker{Codec: "PCMA"}},
		"Opus":                        {"m=audio 0 RTP/AVP 111\r\n" + back + "a=rtpmap:111 opus/48000/2\r\n", rtsp.Loudspeaker{Codec: "OPUS"}},
		"in its second track":         {"m=audio 0 RTP/AVP 2\r\n" + back + "m=audio 0 RTP/AVP 0\r\n" + back, rtsp.Loudspeaker{Codec: "PCMU"}},
		"no format":                   {"m=audio 0 RTP/AVP\r\n" + back, rtsp.Loudspeaker{}},
		"nothing described":           {"m=audio 0 RTP/AVP 120\r\n" + back, rtsp.Loudspeaker{Other: "payload type 120"}},
		"a long name":                 {"m=audio 0 RTP/AVP 120\r\n" + back + "a=rtpmap:120 <script>" + strings.Repeat("x", 4000) + "/8000\r\n", rtsp.Loudspeaker{Other: "<SCRIPT>XXXXXXXXXXXXXXXX"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cam := newFakeCamera(t)
			cam.sdp = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n" + c.sdp
			l, err := rtsp.Ask(t.Context(), fast(cam.url()), discard)
			if err != nil || l != c.want {
				t.Errorf("%+v, %v", l, err)
			}
			if cam.count("SETUP") != 0 {
				t.Error("asking set something up")
			}
			if l.Codec == "" {
				return
			}
			v, err := rtsp.Call(t.Context(), fast(cam.url()), discard)
			if err != nil {
				t.Fatal(err)
			}
			v.Close()
			for late := time.Now().Add(10 * time.Second); cam.count("TEARDOWN") != 1; time.Sleep(time.Millisecond) {
				if time.Now().After(late) {
					t.Fatal("it is not torn down")
				}
			}
			if n := cam.count("SETUP"); n != 1 {
				t.Errorf("set up %d times", n)
			}
		})
	}
}

// Why a camera cannot be talked to is said as for its pictures.
func TestCallsThatFail(t *testing.T) {
	t.Parallel()
	s, cfg := loudspeaker(t, videotest.Config{Hears: videotest.SoundPCMA, Username: "admin", Password: "secret", Slots: 1})
	wrong := cfg
	wrong.Password = "wrong"
	if _, err := rtsp.Call(t.Context(), wrong, discard); !isProblem(err, "camera.unauthorized") {
		t.Errorf("wrong password: %v", err)
	}
	v, err := rtsp.Call(t.Context(), cfg, discard)
	if err != nil {
		t.Fatal(err)
	}
	end := speak(t, v)
	if _, err := rtsp.Call(t.Context(), cfg, discard); !isProblem(err, "camera.no-slot") {
		t.Errorf("one session too many: %v", err)
	}
	s.Cut("gate")
	for late := time.Now().Add(10 * time.Second); s.Sessions("gate") != 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the camera is not gone")
		}
	}
	if err := end(); err != nil && !isProblem(err, "camera.offline") {
		t.Errorf("the camera has gone: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := rtsp.Call(ctx, cfg, discard); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
}

func isProblem(err error, code string) bool {
	p, ok := station.AsProblem(err)
	return ok && p.Code == code && p.Hint != ""
}

// However a browser numbers what it says, the camera gets one timeline that goes
// forward, and no faster than time does.
func TestAVoiceGoesForward(t *testing.T) {
	t.Parallel()
	s, cfg := loudspeaker(t, videotest.Config{Hears: videotest.SoundPCMA})
	v, err := rtsp.Call(t.Context(), cfg, discard)
	if err != nil {
		t.Fatal(err)
	}
	end := speak(t, v)
	piece := make([]byte, 160)
	said := uint32(0)
	for i, at := range []uint32{4294967200, 64, 224, 224, 100, 2000, 3_000_000_000, 3_000_000_160, 0, 160} {
		v.Say(piece, at)
		said++
		for late := time.Now().Add(10 * time.Second); len(s.Heard("gate")) < i+1; time.Sleep(time.Millisecond) {
			if time.Now().After(late) {
				t.Fatalf("packet %d was not heard", i)
			}
		}
	}
	v.Say(nil, 320)
	v.Say(make([]byte, 4000), 320)
	for range 1000 { // much faster than anybody speaks
		v.Say(piece, 320+160*said)
		said++
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	heard := s.Heard("gate")
	for i, p := range heard[1:] {
		if step := int32(p.Timestamp - heard[i].Timestamp); step < 160 || step > 8000+2000 { // what was left out of the flood is missing
			t.Errorf("timestamp steps by %d", step)
		}
		if p.SequenceNumber != heard[i].SequenceNumber+1 {
			t.Errorf("sequence number %d after %d", p.SequenceNumber, heard[i].SequenceNumber)
		}
	}
	count := v.Count()
	if len(heard) > 80 || count.Dropped < 900 {
		t.Errorf("%d were heard, %+v", len(heard), count)
	}
}

// A camera that reads nothing of what is said is hung up; until then little waits
// for it, and the newest.
func TestACameraThatDoesNotRead(t *testing.T) {
	t.Parallel()
	cam := newFakeCamera(t)
	cam.deaf = true
	cam.sdp = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=audio 0 RTP/AVP 8\r\na=control:back\r\na=sendonly\r\n"
	cfg := fast(cam.url())
	cfg.RequestTimeout = 500 * time.Millisecond
	v, err := rtsp.Call(t.Context(), cfg, discard)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	began := time.Now()
	go func() { done <- v.Run(context.Background()) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
			v.Say(make([]byte, 160), uint32(160*i))
			continue
		case err = <-done:
		case <-time.After(60 * time.Second):
			t.Fatal("it goes on")
		}
		break
	}
	if !isProblem(err, "camera.offline") || !errors.Is(err, os.ErrDeadlineExceeded) && !strings.Contains(err.Error(), "timeout") {
		t.Errorf("it ended with %v", err)
	}
	count := v.Count()
	t.Logf("%v, %+v", time.Since(began), count)
	if count.Dropped == 0 {
		t.Errorf("nothing was left out: %+v", count)
	}
}

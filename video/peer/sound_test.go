package peer_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"testing"
	"time"

	"stationd/video/peer/peertest"
	"stationd/video/stream"
)

// hum writes sound beside a film until the test ends.
func hum(t *testing.T, s *stream.Stream, sound stream.Sound, frame func(n int) []byte) {
	s.Announce(stream.Params{Codec: stream.H264, SPS: sps, PPS: pps, Sound: &sound})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			s.WriteSound(frame(n), time.Duration(n)*20*time.Millisecond, time.Now())
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// G.711 and Opus pass beside the picture to who offers to hear; nobody else is
// sent any, and AAC nobody.
func TestSoundBesideThePicture(t *testing.T) {
	h := hub(t, nil)
	tone := func(int) []byte { return make([]byte, 160) }
	opus := func(int) []byte { return []byte{0xfc, 1, 2, 3} } // CELT, 20 ms
	for _, x := range []struct {
		sound  stream.Sound
		frame  func(int) []byte
		offers bool
		hears  string
	}{
		{stream.Sound{Codec: stream.PCMA, Rate: 8000, Channels: 1}, tone, true, "audio/PCMA"},
		{stream.Sound{Codec: stream.PCMU, Rate: 8000, Channels: 1}, tone, true, "audio/PCMU"},
		{stream.Sound{Codec: stream.Opus, Rate: 48000, Channels: 2}, opus, true, "audio/opus"},
		{stream.Sound{Codec: stream.PCMA, Rate: 8000, Channels: 1}, tone, false, ""},
		{stream.Sound{Codec: stream.AAC, Rate: 48000, Channels: 2, Config: []byte{0x11, 0x90}}, tone, true, ""},
	} {
		t.Run(x.sound.Codec+" "+x.hears, func(t *testing.T) {
			s := stream.New(stream.Config{})
			defer s.Close()
			f := play(t, s, 25, small)
			hum(t, s, x.sound, x.frame)
			v := watch(t, h, f, s, viewerOptions{Config: peertest.Config{Audio: x.offers}})
			v.until(20*time.Second, "pictures", atLeast(30))
			if x.hears != "" {
				v.untilHeard(t, 30)
			}
			mime, heard := v.Heard()
			if mime != x.hears || (len(heard) > 0) != (x.hears != "") {
				t.Fatalf("heard %d packets of %q", len(heard), mime)
			}
			for i := range heard {
				if i > 0 && heard[i].SequenceNumber != heard[i-1].SequenceNumber+1 {
					t.Errorf("the sound has a hole at %d", i)
				}
			}
		})
	}
}

func (v *viewer) untilHeard(t *testing.T, n int) {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, heard := v.Heard(); len(heard) >= n {
			return
		}
		if time.Now().After(late) {
			t.Fatal("nothing is heard")
		}
	}
}

// film265 writes pictures of H.265, whose sets are an encoder's, until ctx ends.
func film265(ctx context.Context, s *stream.Stream) {
	unhex := func(x string) []byte {
		b, err := hex.DecodeString(x)
		if err != nil {
			panic(err)
		}
		return b
	}
	s.Announce(stream.Params{
		Codec: stream.H265, VPS: unhex("40010c01ffff01600000030090000003000003003fba0240"),
		SPS: unhex("42010101600000030090000003000003003fa005020171f2e5ba4a4c2f016808000003000800000300c840"), PPS: unhex("4401c073c189"),
	})
	tick := time.NewTicker(frame)
	defer tick.Stop()
	for n := 0; ; n++ {
		const idr, trail = 20, 1
		slice := bytes.Repeat([]byte{0xab}, 3000)
		if slice[0], slice[1], slice[2] = trail<<1, 1, 0x80; n%25 == 0 {
			slice[0] = idr << 1
		}
		s.Write([][]byte{slice}, time.Duration(n)*frame, time.Now(), false)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// H.265 goes to browsers that offer it; the others are told what to do.
func TestH265ToThoseWhoTakeIt(t *testing.T) {
	h := hub(t, nil)
	s := stream.New(stream.Config{})
	defer s.Close()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		film265(ctx, s)
	}()
	defer func() { cancel(); <-done }()
	for late := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if p, ok := s.Params(); ok && p.Codec == stream.H265 {
			break
		}
		if time.Now().After(late) {
			t.Fatal("no picture")
		}
	}
	v, err := peertest.New(peertest.Config{Loopback: true, Codec: "H265"})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	offer, err := v.Offer()
	if err != nil {
		t.Fatal(err)
	}
	sess, err := h.Watch(context.Background(), offer, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Take(sess.Answer); err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if n, _ := v.Sequences(); len(n) > 50 {
			break
		}
		if time.Now().After(late) {
			t.Fatal("no packets of H.265")
		}
	}
	if got := v.Codec(); got != "video/H265" {
		t.Errorf("it is %s", got)
	}

	old, err := peertest.New(peertest.Config{Loopback: true, Codec: "H264"})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if offer, err = old.Offer(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Watch(context.Background(), offer, s); err == nil {
		t.Error("H.265 was promised to a browser that does not take it")
	}
}

// A voice comes in as it was said, in order, in the kind that the camera takes.
func TestAVoiceComesIn(t *testing.T) {
	h := hub(t, nil)
	for codec, mime := range map[string]string{stream.PCMA: "audio/PCMA", stream.PCMU: "audio/PCMU", stream.Opus: "audio/opus"} {
		talker, err := peertest.NewTalker(mime)
		if err != nil {
			t.Fatal(err)
		}
		defer talker.Close()
		offer, err := talker.Offer()
		if err != nil {
			t.Fatal(err)
		}
		heard := make(chan byte, 256)
		sess, err := h.Talk(context.Background(), offer, codec, func(payload []byte, _ uint32) {
			select {
			case heard <- payload[0]:
			default:
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := talker.Take(sess.Answer); err != nil {
			t.Fatal(err)
		}
		wait(t, 10*time.Second, "connection", sess.Connected())
		last := -1
		for n := 0; n < 100 && last < 20; n++ {
			if err := talker.Say(bytes.Repeat([]byte{byte(n)}, 160)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond) // as fast as one speaks
			for len(heard) > 0 {
				got := int(<-heard)
				if got <= last {
					t.Fatalf("%d after %d", got, last)
				}
				last = got
			}
		}
		if last < 20 {
			t.Errorf("%s: heard no more than number %d", codec, last)
		}
		sess.Close()
		wait(t, 10*time.Second, "end", sess.Done())
	}
	if _, err := h.Talk(context.Background(), "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n", stream.PCMA, nil); err == nil {
		t.Error("an offer without a voice was taken")
	}
}

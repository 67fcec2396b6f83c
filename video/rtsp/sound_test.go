package rtsp

import (
	"bytes"
	"slices"
	"testing"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/sdp"
	"github.com/pion/rtp"

	"stationd/video/stream"
)

var (
	talk = opener{size: 13, index: 3, delta: 3}
	fa   = []byte{1, 2, 3}
	fb   = []byte{4, 5}
)

// units makes a payload of RFC 3640; sizes may lie.
func unitsOf(frames ...[]byte) []byte {
	out := []byte{0, byte(16 * len(frames))}
	for _, f := range frames {
		out = append(out, byte(len(f)>>5), byte(len(f)<<3))
	}
	return append(out, slices.Concat(frames...)...)
}

func TestOpenAAC(t *testing.T) {
	long := bytes.Repeat([]byte{7}, 1500)
	adts := append([]byte{0xff, 0xf1, 0x50, 0x80, 0x01, 0x5f, 0xfc}, fa...)
	adts[4], adts[5] = byte(len(adts)>>3), byte(len(adts)<<5)|0x1f
	half := func(from, to int) []byte {
		return append([]byte{0, 16, byte(len(long) >> 5), byte(len(long) & 31 << 3)}, long[from:to]...)
	}
	for name, c := range map[string]struct {
		o       opener
		packets []*rtp.Packet
		want    [][]byte
	}{
		"one":                {talk, []*rtp.Packet{packet(1, 0, true, unitsOf(fa)...)}, nalus(fa)},
		"two":                {talk, []*rtp.Packet{packet(1, 0, true, unitsOf(fa, fb)...)}, nalus(fa, fb)},
		"with ADTS":          {talk, []*rtp.Packet{packet(1, 0, true, unitsOf(adts)...)}, nalus(fa)},
		"in pieces":          {talk, []*rtp.Packet{packet(1, 0, false, half(0, 1000)...), packet(2, 0, true, half(1000, 1500)...)}, nalus(long)},
		"a piece is lost":    {talk, []*rtp.Packet{packet(1, 0, false, half(0, 1000)...), packet(3, 0, true, unitsOf(fa)...)}, nalus(fa)},
		"cut":                {talk, []*rtp.Packet{packet(1, 0, true, unitsOf(fa, fb)[:8]...)}, nil},
		"no header":          {talk, []*rtp.Packet{packet(1, 0, true, 0)}, nil},
		"headers beyond all": {talk, []*rtp.Packet{packet(1, 0, true, 0xff, 0xff, 1, 2)}, nil},
		"interleaved":        {talk, []*rtp.Packet{packet(1, 0, true, 0, 16, 0, 3<<3|1, 1, 2, 3)}, nil},
		"LATM":               {opener{subframes: 1}, []*rtp.Packet{packet(1, 0, true, append([]byte{3}, fa...)...)}, nalus(fa)},
		"LATM in pieces":     {opener{subframes: 1}, []*rtp.Packet{packet(1, 0, false, 3, 1), packet(2, 0, true, 2, 3)}, nalus(fa)},
		"LATM, long":         {opener{subframes: 1}, []*rtp.Packet{packet(1, 0, true, append([]byte{255, 255, 255, 255, 255, 225}, long...)...)}, nalus(long)},
		"LATM of two":        {opener{subframes: 2}, []*rtp.Packet{packet(1, 0, true, append(append([]byte{3}, fa...), append([]byte{2}, fb...)...)...)}, nalus(fa, fb)},
		"LATM that lies":     {opener{subframes: 1}, []*rtp.Packet{packet(1, 0, true, 9, 1)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			open := c.o.generic
			if c.o.subframes > 0 {
				open = c.o.latm
			}
			var got [][]byte
			for _, p := range c.packets {
				frames, err := open(p)
				if err == nil {
					got = append(got, frames...)
				}
			}
			if !slices.EqualFunc(got, c.want, bytes.Equal) {
				t.Errorf("got %x, want %x", got, c.want)
			}
		})
	}
}

// Over the wrap of the timestamp, over repeated and lost packets, sound lies where
// it belongs.
func TestSoundTicks(t *testing.T) {
	var at []int64
	e := ear{sound: &stream.Sound{Codec: stream.PCMA, Rate: 8000, Channels: 1}, open: whole, emit: func(_ []byte, ticks int64) { at = append(at, ticks) }}
	frame := make([]byte, 160)
	for _, p := range []*rtp.Packet{
		packet(65534, 0xffffffff-159, false, frame...), packet(65535, 0, false, frame...),
		packet(65535, 0, false, frame...), packet(1, 320, false, frame...), packet(0, 160, false, frame...),
		packet(40000, 480, false, frame...),
	} {
		e.push(p)
	}
	if want := []int64{0, 160, 480, 640}; !slices.Equal(at, want) || e.lost != 1 {
		t.Errorf("at %v, want %v; %d lost", at, want, e.lost)
	}
}

// FuzzSound takes a track's description and a row of packets: sequence step, length,
// payload.
func FuzzSound(f *testing.F) {
	row := func(payloads ...[]byte) []byte {
		var out []byte
		for _, p := range payloads {
			out = append(append(out, 0x81, byte(len(p))), p...)
		}
		return out
	}
	const aac = "m=audio 0 RTP/AVP 97\r\na=control:a\r\na=rtpmap:97 MPEG4-GENERIC/16000/1\r\na=fmtp:97 streamtype=5;mode=AAC-hbr;config=1408;sizelength=13;indexlength=3;indexdeltalength=3\r\n"
	const latm = "m=audio 0 RTP/AVP 97\r\na=control:a\r\na=rtpmap:97 MP4A-LATM/16000/1\r\na=fmtp:97 cpresent=0;config=400028103fc0\r\n"
	f.Add(aac, row(unitsOf(fa, fb), unitsOf(fa)))
	f.Add(aac, []byte{1, 6, 0, 16, 0xff, 0xf8, 1, 2, 1, 4, 0, 16, 0, 8})
	f.Add(latm, row([]byte{3, 1, 2, 3}))
	f.Add("m=audio 0 RTP/AVP 8\r\na=control:a\r\n", row(fa))
	f.Add("m=audio 0 RTP/AVP 97\r\na=control:a\r\na=rtpmap:97 opus/48000/2\r\n", row([]byte{0xf8, 0xff, 0xfe}))
	f.Fuzz(func(t *testing.T, about string, in []byte) {
		var raw sdp.SessionDescription
		if raw.Unmarshal([]byte("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n"+about)) != nil {
			return
		}
		var desc description.Session
		if desc.Unmarshal(&raw) != nil {
			return
		}
		_, _, _, _ = choose(&desc)
		_, _, e := findSound(&desc)
		if e == nil {
			return
		}
		total := len(in)
		e.emit = func(frame []byte, _ int64) {
			if len(frame) == 0 || len(frame) > maxFrame || len(frame) > total {
				t.Fatalf("a frame of %d bytes out of %d", len(frame), total)
			}
		}
		to := stream.New(stream.Config{})
		to.Announce(stream.Params{Codec: stream.H264, Sound: e.sound})
		if e.sound.Channels < 1 {
			return // refused by the stream
		}
		var seq uint16
		for len(in) >= 2 {
			seq += uint16(in[0] & 0x7f)
			n := min(int(in[1]), len(in)-2)
			e.push(packet(seq, uint32(seq)*160, in[0]&0x80 != 0, in[2:2+n:2+n]...))
			in = in[2+n:]
		}
	})
}

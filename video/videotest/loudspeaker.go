package videotest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"
)

// SoundPCMU is what a camera takes for its loudspeaker, beside SoundPCMA, SoundAAC and
// SoundOpus.
const SoundPCMU = "PCMU"

// backchannel is how a client that asks for it may send sound; see the ONVIF
// Streaming Specification, 5.3.
func backchannel(kind string) (*description.Media, error) {
	var f format.Format
	switch kind {
	case "":
		return nil, nil
	case SoundPCMA:
		f = &format.G711{PayloadTyp: 8, SampleRate: 8000, ChannelCount: 1}
	case SoundPCMU:
		// Under a number of its own, as some cameras have it.
		f = &format.G711{PayloadTyp: 106, MULaw: true, SampleRate: 8000, ChannelCount: 1}
	case SoundOpus:
		f = &format.Opus{PayloadTyp: 107, ChannelCount: 1}
	case SoundAAC:
		f = &format.MPEG4Audio{
			PayloadTyp: 108, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3,
			Config: &mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 16000, ChannelCount: 1},
		}
	default:
		return nil, fmt.Errorf("loudspeaker for %q is not known", kind)
	}
	return &description.Media{Type: description.MediaTypeAudio, IsBackChannel: true, Formats: []format.Format{f}}, nil
}

// Said is a packet that came for a camera's loudspeaker.
type Said struct {
	rtp.Packet
	At time.Time
}

// mostSaid bounds what a camera remembers: two minutes.
const mostSaid = 6000

// asksBack tells whether a request wants the backchannel.
func asksBack(req *base.Request) bool {
	return slices.Contains(req.Header["Require"], "www.onvif.org/ver20/backchannel")
}

// listen notes what a session says.
func (h *handler) listen(c *camera, session *gortsplib.ServerSession) {
	if c.back == nil {
		return
	}
	session.OnPacketRTPAny(func(m *description.Media, _ format.Format, p *rtp.Packet) {
		if !m.IsBackChannel {
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(c.said) < mostSaid {
			c.said = append(c.said, Said{*p, time.Now()})
		}
	})
}

// Heard is what a camera's loudspeaker was sent since Start.
func (s *Server) Heard(path string) []Said {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.cameras[strings.Trim(path, "/")]; c != nil {
		return slices.Clone(c.said)
	}
	return nil
}

// Speech is what was said, one byte a sample where it is G.711.
func Speech(said []Said) []byte {
	var out []byte
	for _, p := range said {
		out = append(out, p.Payload...)
	}
	return out
}

// Tone is which share of G.711 is a tone of so many hertz: 1 of the tone alone, next
// to nothing of silence or noise.
func Tone(g711 []byte, muLaw bool, hertz float64) float64 {
	var re, im float64
	for n, b := range g711 {
		v, at := sample(b, muLaw), 2*math.Pi*hertz*float64(n)/8000
		re += v * math.Cos(at)
		im += v * math.Sin(at)
	}
	all := Loudness(g711, muLaw)
	if n := float64(len(g711)); all > 1000 { // or it is silence, with the steps of its coding
		return 2 * (re*re + im*im) / (n * n * all)
	}
	return 0
}

// Loudness is the mean square of G.711, of samples of 16 bits.
func Loudness(g711 []byte, muLaw bool) float64 {
	var all float64
	for _, b := range g711 {
		v := sample(b, muLaw)
		all += v * v
	}
	return all / float64(max(len(g711), 1))
}

func sample(b byte, muLaw bool) float64 {
	if muLaw {
		return fromMuLaw(b)
	}
	return fromALaw(b)
}

// Beep is n samples of a tone as G.711 from the given one on, to be said.
func Beep(muLaw bool, hertz float64, from, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		v := int(8000 * math.Sin(2*math.Pi*hertz*float64(from+i)/8000))
		if muLaw {
			out[i] = mulaw(v)
		} else {
			out[i] = alaw(v)
		}
	}
	return out
}

// fromALaw is a sample of 16 bits (ITU-T G.711).
func fromALaw(b byte) float64 {
	b ^= 0x55
	v := int(b&0x0f)<<4 + 8
	if e := b >> 4 & 7; e > 0 {
		v = (v + 0x100) << (e - 1)
	}
	if b&0x80 == 0 {
		v = -v
	}
	return float64(v)
}

// fromMuLaw is a sample of 16 bits (ITU-T G.711).
func fromMuLaw(b byte) float64 {
	b = ^b
	v := (int(b&0x0f)<<3+0x84)<<(b>>4&7) - 0x84
	if b&0x80 != 0 {
		v = -v
	}
	return float64(v)
}

// mulaw codes a sample of 16 bits (ITU-T G.711).
func mulaw(sample int) byte {
	sign := byte(0)
	if sample < 0 {
		sample, sign = -sample, 0x80
	}
	sample = min(sample, 32635) + 0x84
	e := byte(7)
	for mask := 0x4000; sample&mask == 0 && e > 0; mask >>= 1 {
		e--
	}
	return ^(sign | e<<4 | byte(sample>>(e+3))&0x0f)
}

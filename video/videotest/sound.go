package videotest

import (
	"fmt"
	"math"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"
)

// The kinds of sound that a camera may have beside its film, a tone of 440 Hz.
const (
	SoundPCMA = "PCMA"
	SoundAAC  = "AAC"
	SoundOpus = "OPUS" // silence
)

// voice is a sound track: frames that are played round and round.
type voice struct {
	format  format.Format
	frames  [][]byte
	samples int // of each frame
	head    func(frame []byte) []byte
}

func newVoice(kind string) (*voice, error) {
	switch kind {
	case "":
		return nil, nil
	case SoundPCMA:
		v := &voice{format: &format.G711{PayloadTyp: 8, SampleRate: 8000, ChannelCount: 1}, samples: 320}
		for i := range 5 { // whole waves: 440 Hz over 200 ms are 88
			frame := make([]byte, v.samples)
			for k := range frame {
				frame[k] = alaw(int(8000 * math.Sin(2*math.Pi*440*float64(i*v.samples+k)/8000)))
			}
			v.frames = append(v.frames, frame)
		}
		return v, nil
	case SoundAAC:
		data, err := filmFiles.ReadFile("films/tone.aac")
		if err != nil {
			return nil, fmt.Errorf("read sound: %w", err)
		}
		var packets mpeg4audio.ADTSPackets
		if err := packets.Unmarshal(data); err != nil {
			return nil, fmt.Errorf("read sound: %w", err)
		}
		v := &voice{samples: 1024, head: func(frame []byte) []byte {
			return append([]byte{0, 16, byte(len(frame) >> 5), byte(len(frame) << 3)}, frame...)
		}}
		for _, p := range packets {
			v.frames = append(v.frames, p.AU)
		}
		v.format = &format.MPEG4Audio{
			PayloadTyp: 97, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3,
			Config: &mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: packets[0].SampleRate, ChannelCount: packets[0].ChannelCount},
		}
		return v, nil
	case SoundOpus:
		return &voice{format: &format.Opus{PayloadTyp: 97, ChannelCount: 2}, frames: [][]byte{{0xf8, 0xff, 0xfe}}, samples: 960}, nil
	}
	return nil, fmt.Errorf("sound %q is not known", kind)
}

// packet makes the n-th packet, which begins at at.
func (v *voice) packet(n int, base uint32) *rtp.Packet {
	payload := v.frames[n%len(v.frames)]
	if v.head != nil {
		payload = v.head(payload)
	}
	return &rtp.Packet{
		Header: rtp.Header{
			Version: 2, PayloadType: v.format.PayloadType(), SequenceNumber: uint16(n),
			Timestamp: base + uint32(n*v.samples), Marker: true,
		},
		Payload: payload,
	}
}

// due is when the n-th frame is to be sent, after the first.
func (v *voice) due(n int) time.Duration {
	return time.Duration(n) * time.Duration(v.samples) * time.Second / time.Duration(v.format.ClockRate())
}

// alaw codes a sample of 16 bits (ITU-T G.711).
func alaw(sample int) byte {
	sign := byte(0x80)
	if sample < 0 {
		sample, sign = -sample-1, 0
	}
	sample >>= 3
	var code byte
	if sample < 32 {
		code = byte(sample >> 1)
	} else {
		exponent := 1
		for sample >= 64 {
			sample >>= 1
			exponent++
		}
		code = byte(exponent<<4 | sample>>1&0x0f)
	}
	return (sign | code) ^ 0x55
}

package stream

import (
	"time"

	"github.com/pion/rtp"
)

// Unit is one picture: an H.264 or H.265 access unit; or a piece of the sound
// beside it. It is shared by all readers and must not be changed.
type Unit struct {
	// NALUs are without start codes. A key unit begins with its parameter sets.
	NALUs [][]byte
	// Sound is one frame of sound, as Params.Sound describes; NALUs is nil then,
	// and Key false. Only readers that asked for sound are given such units.
	Sound []byte
	// Packets are NALUs cut for RTP: payloads of at most MaxPayload bytes, the
	// marker on the last, Timestamp = PTS at 90 kHz modulo 2³². Sequence numbers
	// are contiguous over the whole stream; a reader that is not given every
	// unit must number its own. SSRC is 0 and PayloadType is PayloadType.
	// Packets of sound are numbered apart, and their Timestamp counts with the
	// sound's rate; AAC has none.
	Packets []*rtp.Packet
	// PTS is the place on the stream's timeline, which starts at 0 with the
	// first unit and goes on across losses of the source. It only grows, unless
	// Params.Reordered is set.
	PTS time.Duration
	// Arrival is when the unit was received, by this machine's clock.
	Arrival time.Time
	// Params are the stream's as they were with this unit: it is of this codec,
	// size and sound, whatever the stream has come to meanwhile. They must not be
	// changed. The pointer stays the same for as long as they do.
	Params *Params
	// Key tells that decoding can start here: an IDR picture, or with H.265 any
	// intra random access point.
	Key bool
	// Damaged tells that part of it, or of a picture that it builds on, is
	// missing. Only readers with Record see such units.
	Damaged bool

	size    int
	after   uint64 // of sound: number of the picture that it comes before
	leading bool   // needs pictures from before the key picture
}

// Size is how many bytes the NALUs, or the sound, have together.
func (u *Unit) Size() int { return u.size }

// The codecs of pictures.
const (
	H264 = "H264"
	H265 = "H265"
)

// The codecs of sound.
const (
	PCMA = "PCMA" // G.711 A-law
	PCMU = "PCMU" // G.711 µ-law
	AAC  = "AAC"  // one access unit of MPEG-4 audio, without ADTS
	Opus = "OPUS" // one packet
)

// Params describes the picture and the sound beside it.
type Params struct {
	// Codec is H264 or H265.
	Codec string
	// VPS (of H.265 alone), SPS and PPS are the parameter sets in force; must not
	// be changed.
	VPS, SPS, PPS []byte
	// Sound describes the sound; nil where there is none.
	Sound *Sound
	// Width and Height are of the visible picture; 0 when the SPS is unreadable.
	Width, Height int
	// Reordered tells that pictures are not sent in the order in which they are
	// shown (B-frames). Such a stream can be recorded, but not be sent over
	// WebRTC, and its PTS goes back now and then.
	Reordered bool
}

// Profile is the profile-level-id of RFC 6184, as it stands in an SDP: "42c01f";
// empty for H.265.
func (p Params) Profile() string {
	if p.Codec == H265 || len(p.SPS) < 4 {
		return ""
	}
	const hex = "0123456789abcdef"
	out := make([]byte, 0, 6)
	for _, b := range p.SPS[1:4] {
		out = append(out, hex[b>>4], hex[b&15])
	}
	return string(out)
}

// Sound describes the sound of a stream. It must not be changed.
type Sound struct {
	Codec string
	// Rate is in samples a second, which is also the clock of its packets'
	// timestamps: 8000 for G.711, 48000 for Opus.
	Rate     int
	Channels int
	// Config is the AudioSpecificConfig of AAC (ISO/IEC 14496-3), else nil.
	Config []byte
}

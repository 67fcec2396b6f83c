package stream

import (
	"time"

	"github.com/pion/rtp"
)

// Unit is one picture: an H.264 access unit. It is shared by all readers and
// must not be changed.
type Unit struct {
	// NALUs are without start codes. A key unit begins with its parameter sets.
	NALUs [][]byte
	// Packets are NALUs cut for RTP: payloads of at most MaxPayload bytes, the
	// marker on the last, Timestamp = PTS at 90 kHz modulo 2³². Sequence numbers
	// are contiguous over the whole stream; a reader that is not given every
	// unit must number its own. SSRC is 0 and PayloadType is PayloadType.
	Packets []*rtp.Packet
	// PTS is the place on the stream's timeline, which starts at 0 with the
	// first unit and goes on across losses of the source. It only grows, unless
	// Params.Reordered is set.
	PTS time.Duration
	// Arrival is when the unit was received, by this machine's clock.
	Arrival time.Time
	// Key tells that decoding can start here (an IDR picture).
	Key bool
	// Damaged tells that part of it, or of a picture that it builds on, is
	// missing. Only readers with Record see such units.
	Damaged bool

	size int
}

// Size is how many bytes the NALUs have together.
func (u *Unit) Size() int { return u.size }

// Params describes the picture.
type Params struct {
	// Codec is "H264".
	Codec string
	// SPS and PPS are the parameter sets in force; must not be changed.
	SPS, PPS []byte
	// Width and Height are of the visible picture; 0 when the SPS is unreadable.
	Width, Height int
	// Reordered tells that pictures are not sent in the order in which they are
	// shown (B-frames). Such a stream can be recorded, but not be sent over
	// WebRTC, and its PTS goes back now and then.
	Reordered bool
}

// Profile is the profile-level-id of RFC 6184, as it stands in an SDP: "42c01f".
func (p Params) Profile() string {
	if len(p.SPS) < 4 {
		return ""
	}
	const hex = "0123456789abcdef"
	out := make([]byte, 0, 6)
	for _, b := range p.SPS[1:4] {
		out = append(out, hex[b>>4], hex[b&15])
	}
	return string(out)
}

package stream

import (
	"bytes"
	"time"

	"github.com/pion/rtp"
)

// maxSoundFrame is the largest frame of sound, in bytes.
const maxSoundFrame = 8 << 10

// What is kept of the sound goes with the pictures that it lies between; these
// bound it should there be none, 80 s of G.711 in frames of 10 ms.
const (
	maxSounds     = 8192
	maxSoundBytes = 4 << 20
)

// packetTime is the longest packet of G.711, in parts of a second.
const packetTime = 50

func (s *Sound) usable() bool {
	switch s.Codec {
	case PCMA, PCMU, AAC, Opus:
		return s.Rate >= 4000 && s.Rate <= 192000 && s.Channels >= 1 && s.Channels <= 8
	}
	return false
}

func (s *Sound) equal(o *Sound) bool {
	if s == nil || o == nil {
		return s == o
	}
	return s.Codec == o.Codec && s.Rate == o.Rate && s.Channels == o.Channels && bytes.Equal(s.Config, o.Config)
}

// Samples is how long a frame is, in samples of each channel.
func (s *Sound) Samples(frame []byte) int {
	switch s.Codec {
	case AAC:
		return aacSamples(s.Config)
	case Opus:
		return opusSamples(frame)
	}
	return len(frame) / s.Channels
}

// aacSamples reads an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) as far as
// is needed.
func aacSamples(config []byte) int {
	r := bits{data: config}
	object := r.read(5)
	if object == 31 {
		object = 32 + r.read(6)
	}
	if object == 5 || object == 29 { // its clock counts twice as many
		return 2048
	}
	if r.read(4) == 15 {
		r.read(24)
	}
	r.read(4)
	if r.flag() && !r.short {
		return 960
	}
	return 1024
}

// opusSamples reads the head of a packet (RFC 6716, 3.1 and 3.2).
func opusSamples(packet []byte) int {
	if len(packet) == 0 {
		return 0
	}
	toc := packet[0]
	var frame int
	switch config := toc >> 3; {
	case config < 12: // SILK: 10, 20, 40, 60 ms
		frame = []int{480, 960, 1920, 2880}[config&3]
	case config < 16: // hybrid: 10, 20 ms
		frame = []int{480, 960}[config&1]
	default: // CELT: 2.5, 5, 10, 20 ms
		frame = 120 << (config & 3)
	}
	switch toc & 3 {
	case 0:
		return frame
	case 3:
		if len(packet) < 2 {
			return 0
		}
		return min(frame*int(packet[1]&0x3f), 5760)
	}
	return 2 * frame
}

// packets cuts a frame for RTP: G.711 into even pieces of at most 20 ms, Opus as
// it is. AAC is not sent that way.
func (s *Sound) packets(frame []byte, at int64, gap bool, seq uint16) []*rtp.Packet {
	step := len(frame)
	switch s.Codec {
	case AAC:
		return nil
	case PCMA, PCMU:
		samples, most := len(frame)/s.Channels, max(min(s.Rate/packetTime, MaxPayload/s.Channels), 1)
		n := max((samples+most-1)/most, 1)
		step = max((samples+n-1)/n*s.Channels, 1)
	}
	if step > MaxPayload {
		return nil
	}
	n := (len(frame) + step - 1) / step
	packets, out := make([]rtp.Packet, n), make([]*rtp.Packet, n)
	for i := range packets {
		from := i * step
		to := min(from+step, len(frame))
		packets[i] = rtp.Packet{
			Header: rtp.Header{
				Version: 2, PayloadType: PayloadType, SequenceNumber: seq + uint16(i),
				Timestamp: uint32(at + int64(from/s.Channels)), Marker: gap && i == 0,
			},
			Payload: frame[from:to:to],
		}
		out[i] = &packets[i]
	}
	return out
}

// WriteSound hands in one frame of the sound that was announced, in order. It
// never blocks. The stream keeps the slice. pts is on the source's clock of the
// pictures, or on one of its own. Sound without pictures is of no use: until
// there are some, it is refused.
func (s *Stream) WriteSound(frame []byte, pts time.Duration, arrival time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if s.waiting || s.sound.sound == nil || len(frame) == 0 || len(frame) > maxSoundFrame {
		s.stats.SoundsRefused++
		return
	}
	about := s.sound.sound
	at, gap, ok := s.sound.place(pts, int64(about.Samples(frame)), arrival, &s.timeline)
	if !ok {
		s.stats.SoundsRefused++
		return
	}
	u := &Unit{
		Sound:   frame,
		Packets: about.packets(frame, at, gap, s.soundSeq),
		PTS:     fromClock(at, int64(about.Rate)),
		Arrival: arrival,
		Params:  s.params,
		size:    len(frame),
		after:   s.log.head,
	}
	s.soundSeq += uint16(len(u.Packets))
	s.publishSound(u)
}

func (s *Stream) publishSound(u *Unit) {
	s.sounds.add(u)
	s.stats.Sounds++
	s.trimSounds()
	for _, r := range s.readers {
		if r.asleep && r.opts.Sound {
			r.wake()
		}
	}
}

// trimSounds lets go of the sound whose pictures are no longer kept, and of what
// exceeds the bounds.
func (s *Stream) trimSounds() {
	l := &s.sounds
	for l.len() > 0 && (l.at(l.tail).after < s.log.tail || l.len() > maxSounds || l.bytes > maxSoundBytes) {
		l.drop()
	}
}

// takeSound returns the sound that comes before the reader's next picture, if it
// is still to be given.
func (r *Reader) takeSound() *Unit {
	if !r.opts.Sound || r.needKey {
		return nil
	}
	l := &r.s.sounds
	r.passSounds(l.tail)
	if r.nextSound == l.head || l.at(r.nextSound).after > r.next {
		return nil
	}
	u := l.at(r.nextSound)
	r.nextSound++
	return u
}

// beginSound leaves out the sound from before picture n.
func (r *Reader) beginSound(n uint64) {
	if !r.opts.Sound {
		return
	}
	l := &r.s.sounds
	r.passSounds(l.tail)
	to := r.nextSound
	for to < l.head && l.at(to).after <= n {
		to++
	}
	r.passSounds(to)
}

// passSounds skips the sound before number n.
func (r *Reader) passSounds(n uint64) {
	if n <= r.nextSound {
		return
	}
	if r.began {
		r.s.stats.SoundsSkipped += n - r.nextSound
	}
	r.nextSound = n
}

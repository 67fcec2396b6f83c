package rtsp

import (
	"errors"
	"fmt"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtp"

	"stationd/video/stream"
)

// ear turns the packets of a sound track into frames: G.711 and Opus as they
// are, AAC out of RFC 3640 or LATM. A hostile camera can make it hold at most
// one frame of maxFrame bytes.
type ear struct {
	sound *stream.Sound
	// open takes a payload apart; it returns a slice of whole frames.
	open func(p *rtp.Packet) ([][]byte, error)
	// emit takes a frame and its place on the track's clock, without wraps.
	emit func(frame []byte, ticks int64)

	started   bool
	next      uint16
	timestamp uint32
	ticks     int64
	lost      uint64
}

const maxFrame = 8 << 10

var (
	errFrame = errors.New("malformed sound")
	errMore  = errors.New("the frame goes on")
)

// listen returns an ear for a track, nil for one that we cannot use.
func listen(f format.Format) *ear {
	switch f := f.(type) {
	case *format.G711:
		codec := stream.PCMA
		if f.MULaw {
			codec = stream.PCMU
		}
		return &ear{sound: &stream.Sound{Codec: codec, Rate: f.SampleRate, Channels: f.ChannelCount}, open: whole}
	case *format.Opus:
		if f.ChannelCount > 2 {
			return nil
		}
		return &ear{sound: &stream.Sound{Codec: stream.Opus, Rate: 48000, Channels: f.ChannelCount}, open: whole}
	case *format.MPEG4Audio:
		if f.Config == nil || f.SizeLength < 1 || f.SizeLength > 16 || f.IndexLength < 0 || f.IndexLength > 16 ||
			f.IndexDeltaLength < 0 || f.IndexDeltaLength > 16 {
			return nil
		}
		config, err := f.Config.Marshal()
		if err != nil {
			return nil
		}
		o := opener{size: f.SizeLength, index: f.IndexLength, delta: f.IndexDeltaLength}
		return &ear{sound: &stream.Sound{Codec: stream.AAC, Rate: f.ClockRate(), Channels: f.Config.ChannelCount, Config: config}, open: o.generic}
	case *format.MPEG4AudioLATM:
		// With the configuration among the frames they would have to be read by bits.
		if f.CPresent || f.StreamMuxConfig == nil || len(f.StreamMuxConfig.Programs) != 1 || len(f.StreamMuxConfig.Programs[0].Layers) != 1 {
			return nil
		}
		about := f.StreamMuxConfig.Programs[0].Layers[0].AudioSpecificConfig
		if about == nil {
			return nil
		}
		config, err := about.Marshal()
		if err != nil {
			return nil
		}
		o := opener{subframes: int(f.StreamMuxConfig.NumSubFrames) + 1}
		return &ear{sound: &stream.Sound{Codec: stream.AAC, Rate: f.ClockRate(), Channels: about.ChannelCount, Config: config}, open: o.latm}
	}
	return nil
}

// findSound returns the first sound track that we can use, and its ear.
func findSound(desc *description.Session) (*description.Media, format.Format, *ear) {
	for _, m := range desc.Medias {
		if m.Type != description.MediaTypeAudio || m.IsBackChannel {
			continue
		}
		for _, f := range m.Formats {
			if e := listen(f); e != nil {
				return m, f, e
			}
		}
	}
	return nil, nil, nil
}

// push takes one packet. It keeps the payload.
func (e *ear) push(p *rtp.Packet) {
	if e.started {
		ahead := p.SequenceNumber - e.next
		if -ahead <= maxLate && ahead != 0 {
			return // repeated, or too late
		}
		if ahead <= maxGap {
			e.lost += uint64(ahead)
		}
		e.ticks += int64(int32(p.Timestamp - e.timestamp))
	}
	e.started, e.next, e.timestamp = true, p.SequenceNumber+1, p.Timestamp
	frames, err := e.open(p)
	if err != nil {
		return
	}
	at := e.ticks
	for _, f := range frames {
		if len(f) > 0 && len(f) <= maxFrame {
			e.emit(f, at)
		}
		at += int64(e.sound.Samples(f))
	}
}

// whole is a payload that is one frame.
func whole(p *rtp.Packet) ([][]byte, error) { return [][]byte{p.Payload}, nil }

// opener takes AAC out of its packets.
type opener struct {
	size, index, delta int // bits of an AU header's fields
	subframes          int

	partial []byte // what is there of a frame that goes on
	length  int    // that it will have
	next    uint16
}

// generic reads RFC 3640, high bit-rate mode.
func (o *opener) generic(p *rtp.Packet) ([][]byte, error) {
	b := p.Payload
	if len(b) < 2 {
		return nil, errFrame
	}
	bits := int(b[0])<<8 | int(b[1])
	head := (bits + 7) / 8
	if len(b) < 2+head {
		return nil, errFrame
	}
	sizes, err := o.sizes(b[2:2+head], bits)
	if err != nil {
		return nil, err
	}
	b = b[2+head:]
	if len(sizes) == 1 && (sizes[0] > len(b) || o.partial != nil) {
		return o.piece(p, b, sizes[0])
	}
	o.partial = nil
	frames := make([][]byte, 0, len(sizes))
	for _, n := range sizes {
		if n > len(b) {
			return frames, errFrame
		}
		frames = append(frames, withoutADTS(b[:n:n]))
		b = b[n:]
	}
	return frames, nil
}

// sizes reads the AU headers.
func (o *opener) sizes(b []byte, bits int) ([]int, error) {
	var sizes []int
	at := 0
	read := func(n int) int {
		v := 0
		for range n {
			v = v<<1 | int(b[at>>3]>>(7-at&7))&1
			at++
		}
		return v
	}
	for at < bits {
		other := o.delta
		if at == 0 {
			other = o.index
		}
		if at+o.size+other > bits {
			return nil, errFrame
		}
		n := read(o.size)
		if read(other) != 0 {
			return nil, fmt.Errorf("%w: interleaved", errFrame)
		}
		sizes = append(sizes, n)
	}
	if len(sizes) == 0 {
		return nil, errFrame
	}
	return sizes, nil
}

// piece takes a part of a frame that is longer than a packet; each part tells
// the length of the whole, or, as some have it, its own.
func (o *opener) piece(p *rtp.Packet, b []byte, length int) ([][]byte, error) {
	if o.partial == nil || p.SequenceNumber != o.next {
		if length <= len(b) {
			o.partial = nil
			return [][]byte{withoutADTS(b[:length:length])}, nil
		}
		o.partial, o.length = make([]byte, 0, min(length, maxFrame)), length
	}
	if len(o.partial)+len(b) > maxFrame {
		o.partial = nil
		return nil, errFrame
	}
	o.partial = append(o.partial, b...)
	o.next = p.SequenceNumber + 1
	if !p.Marker && len(o.partial) < o.length {
		return nil, errMore
	}
	frame := o.partial
	o.partial = nil
	return [][]byte{withoutADTS(frame)}, nil
}

// withoutADTS takes off the header that some cameras leave on.
func withoutADTS(b []byte) []byte {
	if len(b) < 7 || b[0] != 0xff || b[1]&0xf6 != 0xf0 {
		return b
	}
	head := 7
	if b[1]&1 == 0 {
		head = 9
	}
	if n := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5; n != len(b) || n < head {
		return b
	}
	return b[head:]
}

// latm reads RFC 6416 without in-band configuration.
func (o *opener) latm(p *rtp.Packet) ([][]byte, error) {
	if o.partial != nil && p.SequenceNumber != o.next {
		o.partial = nil
		if !p.Marker {
			return nil, errFrame
		}
	}
	if len(o.partial)+len(p.Payload) > maxFrame {
		o.partial = nil
		return nil, errFrame
	}
	b := p.Payload
	if o.partial != nil || !p.Marker {
		o.partial = append(o.partial, p.Payload...)
		o.next = p.SequenceNumber + 1
		if !p.Marker {
			return nil, errMore
		}
		b, o.partial = o.partial, nil
	}
	var frames [][]byte
	for range o.subframes {
		n := 0
		for {
			if len(b) == 0 {
				return frames, errFrame
			}
			part := int(b[0])
			n += part
			b = b[1:]
			if part != 255 {
				break
			}
		}
		if n > len(b) {
			return frames, errFrame
		}
		frames = append(frames, b[:n:n])
		b = b[n:]
	}
	return frames, nil
}

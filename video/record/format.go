package record

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4"

	"stationd/video/stream"
)

// The tracks of a fragment.
const (
	pictureTrack = 1
	soundTrack   = 2
)

// format is what one must know to decode a fragment: how its pictures are coded,
// and the sound beside them. It does not change once made.
type format struct {
	codec         string
	vps, sps, pps []byte
	sound         *stream.Sound // nil where there is none
	segment       []byte        // the init segment, made when it is first asked for
}

// samePicture tells whether the pictures of both can stand in one film.
func (f *format) samePicture(o *format) bool {
	return o != nil && f.codec == o.codec && bytes.Equal(f.vps, o.vps) && bytes.Equal(f.sps, o.sps) && bytes.Equal(f.pps, o.pps)
}

func sameSound(x, y *stream.Sound) bool {
	if x == nil || y == nil {
		return x == y
	}
	return x == y || x.Codec == y.Codec && x.Rate == y.Rate && x.Channels == y.Channels && bytes.Equal(x.Config, y.Config)
}

// with is the same pictures with another sound.
func (f *format) with(sound *stream.Sound) *format {
	if sameSound(f.sound, sound) {
		return f
	}
	return &format{codec: f.codec, vps: f.vps, sps: f.sps, pps: f.pps, sound: sound}
}

// formatOf is the format of a key unit's pictures, without sound: the parameter
// sets in it, else those that the stream knows. When that is the format before, it
// is before that is returned.
func formatOf(u *stream.Unit, known stream.Params, before *format) *format {
	first, second := stream.H264, stream.H265
	if known.Codec == stream.H265 {
		first, second = second, first
	}
	f, ok := setsIn(u, first)
	if !ok {
		// The stream may have changed since the unit was written.
		if f, ok = setsIn(u, second); !ok {
			f = &format{codec: first, vps: known.VPS, sps: known.SPS, pps: known.PPS}
		}
	}
	if before != nil && before.samePicture(f) {
		return before.with(nil)
	}
	f.vps, f.sps, f.pps = bytes.Clone(f.vps), bytes.Clone(f.sps), bytes.Clone(f.pps)
	return f
}

// setsIn are the parameter sets in a unit of a codec; false when some are missing.
func setsIn(u *stream.Unit, codec string) (*format, bool) {
	f := &format{codec: codec}
	for _, n := range u.NALUs {
		if len(n) < 2 {
			continue
		}
		set := &f.sps
		if codec == stream.H265 {
			switch h265.NALUType(n[0] >> 1 & 0x3f) {
			case h265.NALUType_VPS_NUT:
				set = &f.vps
			case h265.NALUType_SPS_NUT:
			case h265.NALUType_PPS_NUT:
				set = &f.pps
			default:
				continue
			}
		} else {
			switch h264.NALUType(n[0] & 0x1f) {
			case h264.NALUTypeSPS:
			case h264.NALUTypePPS:
				set = &f.pps
			default:
				continue
			}
		}
		if *set == nil {
			*set = n
		}
	}
	return f, f.sps != nil && f.pps != nil && (codec == stream.H264 || f.vps != nil)
}

// pictures is the format of the pictures in the words of the MP4 library.
func (f *format) pictures() mp4.Codec {
	if f.codec == stream.H265 {
		return &mp4.CodecH265{VPS: f.vps, SPS: f.sps, PPS: f.pps}
	}
	return &mp4.CodecH264{SPS: f.sps, PPS: f.pps}
}

// soundCodec is the sound in the words of the MP4 library. It has none for G.711,
// which is written as PCM and then renamed: see rename.
func soundCodec(s *stream.Sound) (mp4.Codec, error) {
	switch s.Codec {
	case stream.AAC:
		var c mpeg4audio.AudioSpecificConfig
		if err := c.Unmarshal(s.Config); err != nil {
			return nil, fmt.Errorf("read the AAC configuration: %w", err)
		}
		return &mp4.CodecMPEG4Audio{Config: c}, nil
	case stream.Opus:
		return &mp4.CodecOpus{ChannelCount: s.Channels}, nil
	case stream.PCMA, stream.PCMU:
		return &mp4.CodecLPCM{BitDepth: 16, SampleRate: s.Rate, ChannelCount: s.Channels}, nil
	}
	return nil, fmt.Errorf("sound %q is not known", s.Codec)
}

// usable tells whether the sound can be kept.
func usable(s *stream.Sound) bool {
	if s == nil || s.Rate < 4000 || s.Rate > 192000 || s.Channels < 1 || s.Channels > 8 {
		return false
	}
	c, err := soundCodec(s)
	if err != nil {
		return false
	}
	// What cannot be written is found here, and not when the pictures wait for it.
	var b seekablebuffer.Buffer
	segment := fmp4.Init{Tracks: []*fmp4.InitTrack{{ID: soundTrack, TimeScale: uint32(s.Rate), Codec: c}}}
	return segment.Marshal(&b) == nil
}

// initSegment is what a player needs before the fragments of this format.
func (f *format) initSegment() ([]byte, error) {
	if f.segment != nil {
		return f.segment, nil
	}
	var b seekablebuffer.Buffer
	segment := fmp4.Init{Tracks: []*fmp4.InitTrack{{ID: pictureTrack, TimeScale: timeScale, Codec: f.pictures()}}}
	if f.sound != nil {
		c, err := soundCodec(f.sound)
		if err != nil {
			return nil, fmt.Errorf("make init segment: %w", err)
		}
		segment.Tracks = append(segment.Tracks, &fmp4.InitTrack{ID: soundTrack, TimeScale: uint32(f.sound.Rate), Codec: c})
	}
	if err := segment.Marshal(&b); err != nil {
		return nil, fmt.Errorf("make init segment: %w", err)
	}
	f.segment = b.Bytes()
	rename(f.segment, f.sound)
	return f.segment, nil
}

// formatIn reads the format in an init segment.
func formatIn(segment []byte) (*format, error) {
	plain, law := restore(segment)
	var i fmp4.Init
	if err := i.Unmarshal(bytes.NewReader(plain)); err != nil {
		return nil, fmt.Errorf("read init segment: %w", err)
	}
	f := &format{segment: segment}
	for _, t := range i.Tracks {
		switch c := t.Codec.(type) {
		case *mp4.CodecH264:
			f.codec, f.sps, f.pps = stream.H264, c.SPS, c.PPS
		case *mp4.CodecH265:
			f.codec, f.vps, f.sps, f.pps = stream.H265, c.VPS, c.SPS, c.PPS
		case *mp4.CodecMPEG4Audio:
			config, err := c.Config.Marshal()
			if err != nil {
				return nil, fmt.Errorf("read init segment: %w", err)
			}
			f.sound = &stream.Sound{Codec: stream.AAC, Rate: int(t.TimeScale), Channels: c.Config.ChannelCount, Config: config}
		case *mp4.CodecOpus:
			f.sound = &stream.Sound{Codec: stream.Opus, Rate: int(t.TimeScale), Channels: c.ChannelCount}
		case *mp4.CodecLPCM:
			f.sound = &stream.Sound{Codec: law, Rate: int(t.TimeScale), Channels: c.ChannelCount}
		}
	}
	if f.codec == "" || f.sound != nil && f.sound.Codec == "" {
		return nil, fmt.Errorf("read init segment: %w", errCorrupt)
	}
	return f, nil
}

// The sample entries that the MP4 library writes are put right by changing names,
// which moves nothing: PCM's to G.711's, its description to free space; and that
// of H.265 to the one that Apple's players insist on.
const (
	entryPCM   = "ipcm"
	entryALaw  = "alaw"
	entryULaw  = "ulaw"
	aboutPCM   = "pcmC"
	aboutNone  = "free"
	entryHEVC  = "hev1"
	entryHEVC1 = "hvc1"
)

// rename puts the names in a movie's header right.
func rename(b []byte, sound *stream.Sound) {
	for name, inside := range entries(b) {
		switch {
		case string(name) == entryHEVC:
			copy(name, entryHEVC1)
		case string(name) == entryPCM && sound != nil && (sound.Codec == stream.PCMA || sound.Codec == stream.PCMU):
			copy(name, entryALaw)
			if sound.Codec == stream.PCMU {
				copy(name, entryULaw)
			}
			replace(inside, aboutPCM, aboutNone)
		}
	}
}

// restore undoes it on a copy, for the library to read, and tells which G.711 it
// was.
func restore(segment []byte) (plain []byte, law string) {
	plain = slices.Clone(segment)
	for name, inside := range entries(plain) {
		switch string(name) {
		case entryALaw:
			law = stream.PCMA
		case entryULaw:
			law = stream.PCMU
		default:
			continue
		}
		copy(name, entryPCM)
		replace(inside, aboutNone, aboutPCM)
	}
	return plain, law
}

// audioEntry is how much stands in a sound's sample entry before its boxes.
const audioEntry = 28

func replace(inside []byte, old, new string) {
	if len(inside) < audioEntry {
		return
	}
	for name := range boxes(inside[audioEntry:]) {
		if string(name) == old {
			copy(name, new)
		}
	}
}

// boxes yields the name and the inside of each box in b, both as slices of b.
func boxes(b []byte) func(yield func(name, inside []byte) bool) {
	return func(yield func(name, inside []byte) bool) {
		for len(b) >= 8 {
			size := int(uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]))
			if size < 8 {
				return
			}
			end := min(size, len(b)) // of the film's data only the beginning is here
			if !yield(b[4:8], b[8:end]) {
				return
			}
			b = b[end:]
		}
	}
}

// entries yields the sample entries of all tracks of a movie's header.
func entries(b []byte) func(yield func(name, inside []byte) bool) {
	path := []string{"moov", "trak", "mdia", "minf", "stbl", "stsd"}
	var walk func(b []byte, depth int, yield func(name, inside []byte) bool) bool
	walk = func(b []byte, depth int, yield func(name, inside []byte) bool) bool {
		for name, inside := range boxes(b) {
			switch {
			case depth == len(path):
				if !yield(name, inside) {
					return false
				}
			case string(name) != path[depth]:
			case depth == len(path)-1:
				if len(inside) >= 8 && !walk(inside[8:], depth+1, yield) {
					return false
				}
			case !walk(inside, depth+1, yield):
				return false
			}
		}
		return true
	}
	return func(yield func(name, inside []byte) bool) { walk(b, 0, yield) }
}

var errNoSamples = errors.New("it has no pictures")

// samplesIn takes a stored fragment apart: its pictures, and its sound.
func samplesIn(data []byte) (pictures, sound *fmp4.PartTrack, err error) {
	var parts fmp4.Parts
	if err := parts.Unmarshal(data); err != nil {
		return nil, nil, fmt.Errorf("read fragment: %w", err)
	}
	if len(parts) != 1 {
		return nil, nil, fmt.Errorf("read fragment: %w", errCorrupt)
	}
	for _, t := range parts[0].Tracks {
		switch t.ID {
		case pictureTrack:
			pictures = t
		case soundTrack:
			sound = t
		}
	}
	if pictures == nil || len(pictures.Samples) == 0 {
		return nil, nil, fmt.Errorf("read fragment: %w", errNoSamples)
	}
	return pictures, sound, nil
}

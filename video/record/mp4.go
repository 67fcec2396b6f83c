package record

import (
	"fmt"
	"io"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/pmp4"

	"stationd/video/stream"
)

// film is a clip that is being put together: the pictures, each at its moment on
// the wall, so that time in the file is time on the wall, and the sound likewise.
//
// Its bytes are never written to the disk. What a player reads is a header of its
// own and, behind that, pieces of the fragments, which lie where they were kept;
// several clips of the same minute share them.
type film struct {
	format   *format // of the pictures; its sound is the film's
	to       int64
	pictures []*pmp4.Sample
	at       []int64 // decode time of each picture, index time in ticks
	sound    []*pmp4.Sample
	soundAt  []int64 // the same, in ticks of the sound's rate
	lastEnd  int64   // ns
	first    int64   // ns
	gaps     time.Duration
	size     int64

	sources []*source
	pieces  []piece // as they were written
}

// source is a fragment whose samples are in the film.
type source struct {
	start int64
	crc   uint32 // of the fragment
	load  func() ([]byte, error)
	used  int // samples of it
	given int // of them
	data  []byte
}

// piece is a stretch of a fragment.
type piece struct {
	source uint32 // its place in the list
	offset uint32 // in the fragment
	length uint32
}

// add puts in what of a fragment begins before the film's end. data is read again
// when the film is written: a clip is longer than memory.
func (f *film) add(start, end int64, data []byte, load func() ([]byte, error)) error {
	pictures, sound, err := samplesIn(data)
	if err != nil {
		return err
	}
	src := &source{start: start, crc: sumOf(data), load: load}
	number := uint32(len(f.sources))
	f.sources = append(f.sources, src)
	if len(f.pictures) == 0 {
		f.first = start
	} else if gap := start - f.lastEnd; gap >= int64(gapAtLeast) {
		f.gaps += time.Duration(gap)
	}
	at := stream.ToTicks(time.Duration(start))
	to := stream.ToTicks(time.Duration(f.to))
	for _, s := range pictures.Samples {
		if at >= to {
			end = min(end, start+int64(stream.FromTicks(at-stream.ToTicks(time.Duration(start)))))
			break
		}
		// Following the camera's clock may make fragments overlap a little.
		if n := len(f.at); n > 0 && at <= f.at[n-1] {
			f.at = append(f.at, f.at[n-1]+1)
		} else {
			f.at = append(f.at, at)
		}
		f.pictures = append(f.pictures, f.sample(src, number, data, s))
		at += int64(s.Duration)
	}
	if sound != nil && f.format.sound != nil {
		f.addSound(sound, end, func(s *fmp4.Sample) *pmp4.Sample { return f.sample(src, number, data, s) })
	}
	f.lastEnd = end
	return nil
}

// addSound puts in the sound of a fragment that begins before end.
func (f *film) addSound(t *fmp4.PartTrack, end int64, sample func(*fmp4.Sample) *pmp4.Sample) {
	rate := int64(f.format.sound.Rate)
	first, last := ticksAt(f.first, rate), ticksAt(end, rate)
	at := int64(t.BaseTime)
	for _, s := range t.Samples {
		// Sound from before the first picture has no place in the film.
		if at >= first && at < last && len(s.Payload) > 0 {
			if n := len(f.soundAt); n == 0 || at > f.soundAt[n-1] {
				f.soundAt = append(f.soundAt, at)
				f.sound = append(f.sound, sample(s))
			}
		}
		at += int64(s.Duration)
	}
}

// ticksAt is an index time in ticks of a rate.
func ticksAt(at, rate int64) int64 {
	const second = int64(time.Second)
	return at/second*rate + at%second*rate/second
}

// sample is a fragment's sample in the film. Its payload is part of data, and is
// there again in what is loaded later.
func (f *film) sample(src *source, number uint32, data []byte, s *fmp4.Sample) *pmp4.Sample {
	size := uint32(len(s.Payload))
	offset := uint32(cap(data) - cap(s.Payload))
	src.used++
	f.size += int64(size)
	return &pmp4.Sample{
		Duration: s.Duration, PTSOffset: s.PTSOffset, IsNonSyncSample: s.IsNonSyncSample, PayloadSize: size,
		GetPayload: func() ([]byte, error) {
			data, err := src.read()
			if err != nil {
				return nil, err
			}
			if int64(offset)+int64(size) > int64(len(data)) {
				return nil, errCorrupt
			}
			f.note(piece{number, offset, size})
			return data[offset : offset+size], nil
		},
	}
}

// read gives the fragment, which stays in memory until all of its samples were
// written.
func (s *source) read() ([]byte, error) {
	if s.data == nil {
		data, err := s.load()
		if err != nil {
			return nil, err
		}
		if sumOf(data) != s.crc {
			return nil, errCorrupt
		}
		s.data = data
	}
	data := s.data
	if s.given++; s.given == s.used {
		s.data, s.given = nil, 0
	}
	return data, nil
}

// note takes down what is written.
func (f *film) note(p piece) {
	if n := len(f.pieces); n > 0 {
		last := &f.pieces[n-1]
		if last.source == p.source && last.offset+last.length == p.offset {
			last.length += p.length
			return
		}
	}
	f.pieces = append(f.pieces, p)
}

// write makes the film, the index in front, and returns what stands before the
// first sample; w is given everything.
func (f *film) write(w io.Writer) (head []byte, err error) {
	last := len(f.pictures) - 1
	for i := range last {
		f.pictures[i].Duration = uint32(f.at[i+1] - f.at[i])
	}
	end := stream.ToTicks(time.Duration(f.lastEnd))
	f.pictures[last].Duration = uint32(max(end-f.at[last], 1))
	p := pmp4.Presentation{Tracks: []*pmp4.Track{{
		ID: pictureTrack, TimeScale: timeScale, Samples: f.pictures,
		// With B-frames the first picture is shown later than it is decoded.
		TimeOffset: -f.pictures[0].PTSOffset,
		Codec:      f.format.pictures(),
	}}}
	if len(f.sound) > 0 {
		t, err := f.soundTrack()
		if err != nil {
			return nil, err
		}
		p.Tracks = append(p.Tracks, t)
	}
	f.pieces = nil
	h := &headed{w: w, f: f}
	if err := p.Marshal(h); err != nil {
		return nil, fmt.Errorf("make MP4: %w", err)
	}
	return h.head, nil
}

// soundTrack is the film's sound, in which a hole is silence of its length.
func (f *film) soundTrack() (*pmp4.Track, error) {
	codec, err := soundCodec(f.format.sound)
	if err != nil {
		return nil, fmt.Errorf("make MP4: %w", err)
	}
	for i := range len(f.sound) - 1 {
		f.sound[i].Duration = uint32(f.soundAt[i+1] - f.soundAt[i])
	}
	rate := int64(f.format.sound.Rate)
	return &pmp4.Track{
		ID: soundTrack, TimeScale: uint32(rate), Samples: f.sound, Codec: codec,
		TimeOffset: int32(f.soundAt[0] - ticksAt(f.first, rate)),
	}, nil
}

// headed keeps what the library writes before it asks for the first sample: the
// index and the head of the data, whose names are put right.
type headed struct {
	w    io.Writer
	f    *film
	head []byte
	gone bool // head was written
}

func (h *headed) Write(p []byte) (int, error) {
	if len(h.f.pieces) == 0 {
		h.head = append(h.head, p...)
		return len(p), nil
	}
	if !h.gone {
		h.gone = true
		rename(h.head, h.f.format.sound)
		if _, err := h.w.Write(h.head); err != nil {
			return 0, err
		}
	}
	return h.w.Write(p)
}

// mostFilm is what a film may come to: its offsets have 32 bits.
const mostFilm = int64(4<<30 - 64<<20)

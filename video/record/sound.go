package record

import (
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"

	"stationd/video/stream"
)

// Sound lies in the same fragments as the pictures, as a second track. It never
// harms them: a frame that cannot be kept is left out, a fragment without sound
// is of a format without sound, and a sound that begins or changes is taken up at
// the next key picture, where a player may be given a new init segment.

// frame is a piece of sound in a fragment that is being cut.
type frame struct {
	data []byte
	pts  time.Duration
	long int64 // in ticks of the sound's rate
}

const (
	// soundSlack is how far a frame may lie from where the ones before it end
	// without its being moved: the network's trembling would be heard.
	soundSlack = 60 * time.Millisecond
	// largestFrame is more than any codec makes.
	largestFrame = 64 << 10
	// mostFrames is more than two seconds of the shortest frames that there are.
	mostFrames = 2000
)

// soundLine is the sound of one camera on its way into fragments.
type soundLine struct {
	sound  *stream.Sound
	known  bool // whether sound is usable was looked at
	usable bool
	frames []frame
	size   int
	next   int64 // where the frames so far end, index time in ticks of the rate
}

// announce takes over what the stream says of its sound.
func (l *soundLine) announce(s *stream.Sound) {
	if l.known && sameSound(l.sound, s) {
		return
	}
	*l = soundLine{sound: s, known: true, usable: usable(s)}
}

// add takes a frame.
func (l *soundLine) add(u *stream.Unit) {
	if !l.usable || len(u.Sound) > largestFrame || len(l.frames) >= mostFrames {
		return
	}
	if long := l.duration(u.Sound); long > 0 {
		l.frames = append(l.frames, frame{u.Sound, u.PTS, long})
		l.size += len(u.Sound)
	}
}

// duration is how long a frame lasts, in ticks of the rate; zero when it is none.
func (l *soundLine) duration(data []byte) int64 {
	switch l.sound.Codec {
	case stream.AAC:
		const samples = 1024
		if len(data) > 0 {
			return samples
		}
	case stream.PCMA, stream.PCMU:
		return int64(len(data) / l.sound.Channels)
	case stream.Opus:
		const clock = 48000
		if len(data) > 0 {
			return opus.PacketDuration2(data) * int64(l.sound.Rate) / clock
		}
	}
	return 0
}

// drop forgets the frames that were not written.
func (l *soundLine) drop() { l.frames, l.size = nil, 0 }

// cut makes a track of the frames; nil when there are none. place tells where in
// index time a moment of the stream lies.
func (l *soundLine) cut(place func(time.Duration) int64) *fmp4.PartTrack {
	frames := l.frames
	l.drop()
	if len(frames) == 0 {
		return nil
	}
	rate := int64(l.sound.Rate)
	slack := ticksAt(int64(soundSlack), rate)
	base := ticksAt(place(frames[0].pts), rate)
	if off := l.next - base; off <= slack && off >= -slack {
		base = l.next
	}
	t := &fmp4.PartTrack{ID: soundTrack, BaseTime: uint64(base), Samples: make([]*fmp4.Sample, 0, len(frames))}
	l.next = base
	for i, f := range frames {
		long := f.long
		if i+1 < len(frames) {
			// A hole in the sound: the frame before it lasts until the one behind it.
			if hole := ticksAt(place(frames[i+1].pts), rate) - (l.next + long); hole > slack {
				long += hole
			}
		}
		t.Samples = append(t.Samples, &fmp4.Sample{Duration: uint32(long), Payload: f.data})
		l.next += long
	}
	return t
}

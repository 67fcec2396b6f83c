package mse

import (
	"fmt"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4"

	"stationd/video/stream"
)

// missing is how long sound that was announced may not come. A media source plays
// only what it has of both: a picture would wait for the sound.
const missing = 1500 * time.Millisecond

// mostWaiting bounds the frames of sound that wait for a picture.
const mostWaiting = 256

// voice is the sound beside the picture.
type voice struct {
	sent    *stream.Sound  // what was announced to the browser; nil is none
	waiting []*stream.Unit // since the last fragment
	heard   time.Duration  // of the newest frame
	began   time.Duration
	ceased  bool // it was announced and does not come
}

// hear takes in a frame.
func (v *voice) hear(u *stream.Unit) {
	v.heard, v.ceased = u.PTS, false
	if v.sent != nil && u.Params != nil && same(u.Params.Sound, v.sent) && len(v.waiting) < mostWaiting {
		v.waiting = append(v.waiting, u)
	}
}

// of is the sound that is to go with a picture; nil is none.
func (v *voice) of(u *stream.Unit, plays func(string) bool) *stream.Sound {
	s := u.Params.Sound
	if v.sent != nil && u.PTS-max(v.heard, v.began) > missing {
		v.ceased = true
	}
	if s == nil || v.ceased || s.Codec != stream.AAC && s.Codec != stream.Opus || plays == nil || !plays(s.Codec) {
		return nil
	}
	if same(s, v.sent) {
		return v.sent
	}
	return s
}

// begin announces the sound, or that there is none.
func (v *voice) begin(s *stream.Sound, at time.Duration) { v.sent, v.waiting, v.began = s, nil, at }

// take is the track of what has come since the last fragment; nil where nothing has.
func (v *voice) take() *fmp4.PartTrack {
	frames := v.waiting
	v.waiting = nil
	if v.sent == nil || len(frames) == 0 {
		return nil
	}
	rate := int64(v.sent.Rate)
	place := func(at time.Duration) int64 { return (int64(at)*rate + int64(time.Second)/2) / int64(time.Second) }
	t := &fmp4.PartTrack{ID: 2, BaseTime: uint64(max(place(frames[0].PTS), 0))}
	for i, u := range frames {
		long := int64(v.sent.Samples(u.Sound))
		if i+1 < len(frames) { // a frame that was lost is a pause
			long = max(place(frames[i+1].PTS)-place(u.PTS), 1)
		}
		t.Samples = append(t.Samples, &fmp4.Sample{Duration: uint32(max(long, 1)), Payload: u.Sound})
	}
	return t
}

func same(a, b *stream.Sound) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Codec == b.Codec && a.Rate == b.Rate && a.Channels == b.Channels && string(a.Config) == string(b.Config)
}

func codecOf(s *stream.Sound) (mp4.Codec, error) {
	if s.Codec == stream.Opus {
		return &mp4.CodecOpus{ChannelCount: s.Channels}, nil
	}
	c := &mp4.CodecMPEG4Audio{}
	if err := c.Config.Unmarshal(s.Config); err != nil {
		return nil, fmt.Errorf("read the configuration of AAC: %w", err)
	}
	return c, nil
}

// soundName is the codec in a media type (RFC 6381).
func soundName(s *stream.Sound) string {
	if s.Codec == stream.Opus {
		return "opus"
	}
	var c mpeg4audio.AudioSpecificConfig
	if err := c.Unmarshal(s.Config); err != nil {
		return "mp4a.40.2"
	}
	kind := int(c.Type)
	if c.ExtensionType != 0 {
		kind = int(c.ExtensionType)
	}
	return fmt.Sprintf("mp4a.40.%d", kind)
}

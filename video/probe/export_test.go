package probe

import (
	"time"

	"stationd/agent/station"
)

// Seen is a measure as tests make one.
type Seen struct {
	Codec, Sound  string
	Width, Height int
	BFrames       bool
	Rate, Bits    float64
	GOP           time.Duration
	AtLeast       bool
	Transport     station.Transport
	Clock         time.Duration
	Damaged       int
}

// Judge judges what was seen of two streams; sub may be nil.
func Judge(c station.Camera, main Seen, sub *Seen) []station.Finding {
	if sub == nil {
		return judge(c, main.measure(), measure{})
	}
	return judge(c, main.measure(), sub.measure())
}

func (s Seen) measure() measure {
	const span = 10 * time.Second
	return measure{
		codec: s.Codec, sound: s.Sound, width: s.Width, height: s.Height, bFrames: s.BFrames, pictures: int(s.Rate*span.Seconds()) + 1, bytes: int(s.Bits * span.Seconds() / 8),
		span: span, gop: s.GOP, atLeast: s.AtLeast, keys: 3, transport: s.Transport, clock: s.Clock, damaged: s.Damaged,
	}
}

// Sentences are the codes that have words.
func Sentences() []string {
	var out []string
	for code := range sentences() {
		out = append(out, code)
	}
	return out
}

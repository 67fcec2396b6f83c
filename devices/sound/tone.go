package sound

import (
	"encoding/binary"
	"math"
	"time"

	"stationd/agent/station"
)

// The form of the samples: what every sound card takes.
const (
	rate     = 48000
	channels = 2
)

// Phrase is what is played in one go, and the silence after it.
type Phrase struct {
	Notes []Note
	Gap   time.Duration
	// Gain is 0 to 1, before the configured volume.
	Gain float64
}

// Note is one tone; frequency 0 is silence.
type Note struct {
	Hertz  float64
	Length time.Duration
}

// The tones. 800 and 1000 Hz lie where ears are keen and cheap loudspeakers
// loud; two of them in turn are told from any telephone.
const (
	low, high = 800, 1000
	chime     = 660
)

// Insistence is the phrase for an alarm of that severity that has waited so long
// for an answer; ok is false for severities that do not sound.
func Insistence(s station.Severity, waited time.Duration) (p Phrase, ok bool) {
	switch s {
	case station.SeverityCritical:
		p = Phrase{Notes: twoTone(4), Gap: time.Second, Gain: 0.5}
		if waited >= 30*time.Second {
			p = Phrase{Notes: twoTone(6), Gap: 500 * time.Millisecond, Gain: 0.75}
		}
		if waited >= 2*time.Minute {
			p = Phrase{Notes: twoTone(8), Gain: 1}
		}
		return p, true
	case station.SeverityMajor:
		beep := Note{chime, 150 * time.Millisecond}
		p = Phrase{Notes: []Note{beep, {0, 100 * time.Millisecond}, beep}, Gap: 10 * time.Second, Gain: 0.4}
		if waited >= 2*time.Minute {
			p.Gap, p.Gain = 5*time.Second, 0.6
		}
		return p, true
	}
	return Phrase{}, false
}

func twoTone(pairs int) (notes []Note) {
	for range pairs {
		notes = append(notes, Note{low, 250 * time.Millisecond}, Note{high, 250 * time.Millisecond})
	}
	return notes
}

// trial is what somebody hears who tries the sound out.
func trial() Phrase {
	return Phrase{Notes: []Note{{chime, 200 * time.Millisecond}, {low, 200 * time.Millisecond}, {high, 300 * time.Millisecond}}, Gain: 0.5}
}

// hush is a moment of silence, with which the output is tried.
func hush() Phrase { return Phrase{Notes: []Note{{0, 100 * time.Millisecond}}} }

// Length is how long the notes last, the gap not counted.
func (p Phrase) Length() (d time.Duration) {
	for _, n := range p.Notes {
		d += n.Length
	}
	return d
}

// Samples are the notes as signed 16-bit little-endian samples, two channels of
// the same at 48 kHz. volume is 0 to 1.
func (p Phrase) Samples(volume float64) []byte {
	const fade = rate / 200 // 5 ms, so that a note does not begin with a click
	var out []byte
	for _, n := range p.Notes {
		count := int(n.Length.Seconds() * rate)
		for i := range count {
			edge := min(1, float64(i)/fade, float64(count-1-i)/fade)
			v := p.Gain * volume * edge * math.Sin(2*math.Pi*n.Hertz*float64(i)/rate)
			sample := uint16(int16(v * math.MaxInt16))
			for range channels {
				out = binary.LittleEndian.AppendUint16(out, sample)
			}
		}
	}
	return out
}

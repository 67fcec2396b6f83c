package stream

import "time"

// Sound has a clock of its own. A camera's two clocks may count from the same
// moment, which makes lips and words fit exactly, or from moments of their own
// choice, which says nothing. The soundline puts frames of sound on the
// pictures' timeline:
//
//   - Where a frame's timestamp, on the pictures' clock, agrees with the moment
//     of its arrival within sameClock, the clocks are taken for one.
//   - Otherwise frames are placed by their arrival: by the least delayed one of
//     each window, since the network only ever adds.
//   - Frames follow each other without a hole or an overlap for as long as the
//     result is right within lipSync; then one step puts it right. A step back
//     costs the frames that would be heard twice.
//
// It counts in samples, so that the timestamps of packets are exact.
type soundline struct {
	sound *Sound

	started bool
	shared  bool  // the clocks are one
	offset  int64 // out = in + offset
	end     int64 // of the last frame

	// The least offset that an arrival of the running window tells.
	windowEnd time.Time
	windowMin int64
	windowHas bool
}

const (
	sameClock = ClockRate
	notSame   = 3 * ClockRate
	lipSync   = ClockRate * 40 / 1000
)

// follow makes the line of another sound, which goes on where this one is.
func (l *soundline) follow(to *Sound) soundline {
	next := soundline{sound: to}
	if l.sound != nil && to != nil {
		next.end = scale(l.end, int64(to.Rate), int64(l.sound.Rate))
	}
	return next
}

// breakOff tells that the source was lost.
func (l *soundline) breakOff() { l.started, l.shared, l.windowHas = false, false, false }

// place returns the first sample of a frame on the timeline, and whether a gap
// is before it; ok is false for a frame that is to be dropped.
func (l *soundline) place(pts time.Duration, samples int64, arrival time.Time, pictures *timeline) (out int64, gap, ok bool) {
	rate := int64(l.sound.Rate)
	in, ticks := toClock(pts, rate), ToTicks(pts)
	arrived := ToTicks(arrival.Sub(pictures.epoch)) - ticks // as an offset in ticks
	want := l.want(arrived, pictures.offset, arrival)
	if have := scale(l.offset, ClockRate, rate); !l.started || far(want, have, lipSync) {
		l.started, gap = true, true
		l.offset = scale(want, rate, ClockRate)
	}
	out = in + l.offset
	if out < l.end {
		if out+samples <= l.end {
			return 0, false, false
		}
		l.offset += l.end - out
		out = l.end
	}
	if out < 0 {
		return 0, false, false
	}
	l.end = out + samples
	return out, gap, true
}

// want is the right offset, in ticks.
func (l *soundline) want(arrived, pictures int64, arrival time.Time) int64 {
	limit := int64(sameClock)
	if l.shared {
		limit = notSame
	}
	if l.shared = !far(arrived, pictures, limit); l.shared {
		l.windowHas = false
		return pictures
	}
	have := scale(l.offset, ClockRate, int64(l.sound.Rate))
	if !l.started || far(arrived, have, sameClock) {
		l.windowHas = false
		have = arrived
	}
	switch {
	case !l.windowHas:
		l.windowHas, l.windowMin, l.windowEnd = true, arrived, arrival.Add(slewWindow)
	case arrival.After(l.windowEnd):
		l.windowHas = false
		return min(l.windowMin, arrived)
	default:
		l.windowMin = min(l.windowMin, arrived)
	}
	return have
}

func far(a, b, most int64) bool { return a-b > most || b-a > most }

// scale is n·to/from, without overflow for centuries.
func scale(n, to, from int64) int64 { return n/from*to + n%from*to/from }

// toClock rounds to the nearest tick of a clock, fromClock is the time of a tick.
func toClock(d time.Duration, rate int64) int64 {
	s, rest := int64(d/time.Second), int64(d%time.Second)
	half := int64(time.Second / 2)
	if rest < 0 {
		half = -half
	}
	return s*rate + (rest*rate+half)/int64(time.Second)
}

func fromClock(n, rate int64) time.Duration {
	return time.Duration(n/rate)*time.Second + time.Duration(n%rate)*time.Second/time.Duration(rate)
}

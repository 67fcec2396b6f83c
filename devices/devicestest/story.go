package devicestest

import (
	"iter"
	"math/rand/v2"
	"time"
)

// Beat is one thing that happens in an estate.
type Beat struct {
	// At is when, since the beginning.
	At   time.Duration
	What What
	// Unit speaks, for Reading and Malformed; Line breaks or comes back.
	Unit, Line int
	Moment     Moment // At in it is not set: it is when the beat is played
}

// What happens at a beat.
type What int

// The things that happen.
const (
	Reading   What = iota // a unit says how it is
	Malformed             // a unit sends what nobody can read
	Break                 // a line breaks without a word, so that its will goes out
	Return                // it comes back
)

// Story is what is told about an estate.
type Story struct {
	Seed uint64
	// Rate is how many readings a second all units make together.
	Rate float64
	// AlarmEvery is the mean time between two alarms; zero is none.
	AlarmEvery time.Duration
	// StormEvery is how often StormSize units alarm within a few seconds, as when
	// a thunderstorm passes; zero is never.
	StormEvery time.Duration
	StormSize  int
	// BreakEvery is how often a line breaks for ten seconds; zero is never.
	BreakEvery time.Duration
	// MalformedEvery is one malformed message in so many; zero is none.
	MalformedEvery int
}

// alarmLasts is how many of its own readings a unit goes on alarming.
const alarmLasts = 3

// breakLasts is how long a broken line stays away.
const breakLasts = 10 * time.Second

// Beats tells the story, without end, in the order of time. The same estate and
// story give the same beats.
func (e *Estate) Beats(s Story) iter.Seq[Beat] {
	return func(yield func(Beat) bool) {
		t := &telling{
			Story: s, estate: e, r: rand.New(rand.NewPCG(s.Seed, 0x73746f72)), // "stor"
			serial: make([]int, len(e.Units)), alarm: make([]int, len(e.Units)), battery: make([]int, len(e.Units)), broken: map[int]time.Duration{},
		}
		for i := range t.battery {
			t.battery[i] = 20 + t.r.IntN(80)
		}
		t.able = e.alarming()
		order := t.r.Perm(len(e.Units))
		step := time.Duration(float64(time.Second) / s.Rate)
		for at := time.Duration(0); ; at += step {
			if !t.happenings(at, yield) {
				return
			}
			n := int(at/step) % len(order)
			if !t.say(at, order[n], yield) {
				return
			}
		}
	}
}

// alarming are the units that can alarm.
func (e *Estate) alarming() []int {
	var out []int
	for i, u := range e.Units {
		if u.Kind != "" {
			out = append(out, i)
		}
	}
	return out
}

type telling struct {
	Story
	estate *Estate
	r      *rand.Rand
	able   []int // units that can alarm

	serial, alarm, battery []int
	broken                 map[int]time.Duration // lines that are away, until when
	nextAlarm, nextStorm   time.Duration
	nextBreak              time.Duration
	said                   int
}

// happenings tells what is due beside the readings.
func (t *telling) happenings(at time.Duration, yield func(Beat) bool) bool {
	due := func(next *time.Duration, every time.Duration) bool {
		if every <= 0 {
			return false
		}
		if *next == 0 {
			*next = every
		}
		if at < *next {
			return false
		}
		*next += every/2 + time.Duration(t.r.Int64N(int64(every)))
		return true
	}
	for line, until := range t.broken {
		if at < until {
			continue
		}
		delete(t.broken, line)
		if !yield(Beat{At: at, What: Return, Line: line}) {
			return false
		}
	}
	if len(t.able) > 0 && due(&t.nextAlarm, t.AlarmEvery) && !t.raise(at, t.able[t.r.IntN(len(t.able))], yield) {
		return false
	}
	if len(t.able) > 0 && due(&t.nextStorm, t.StormEvery) {
		for range t.StormSize {
			if !t.raise(at, t.able[t.r.IntN(len(t.able))], yield) {
				return false
			}
		}
	}
	if len(t.broken) == 0 && due(&t.nextBreak, t.BreakEvery) {
		line := t.r.IntN(len(t.estate.Lines))
		t.broken[line] = at + breakLasts
		return yield(Beat{At: at, What: Break, Line: line})
	}
	return true
}

func (t *telling) raise(at time.Duration, unit int, yield func(Beat) bool) bool {
	t.alarm[unit] = alarmLasts + 1
	return t.say(at, unit, yield)
}

// say lets one unit speak, unless its line is away.
func (t *telling) say(at time.Duration, unit int, yield func(Beat) bool) bool {
	if _, away := t.broken[t.estate.Units[unit].Line]; away {
		return true
	}
	t.said++
	t.serial[unit]++
	if t.serial[unit]%50 == 0 && t.battery[unit] > 1 {
		t.battery[unit]--
	}
	b := Beat{At: at, Unit: unit, Moment: Moment{
		Alarm: t.alarm[unit] > 0, Battery: t.battery[unit], Serial: t.serial[unit], Value: t.r.Float64(),
	}}
	if t.MalformedEvery > 0 && t.said%t.MalformedEvery == 0 {
		b.What = Malformed
		return yield(b)
	}
	t.alarm[unit] = max(t.alarm[unit]-1, 0)
	return yield(b)
}

package stream

import "time"

// RTP counts video time in ticks of 90 kHz, of which most are no whole number of
// nanoseconds. These two convert without drift: ToTicks(FromTicks(n)) == n.

// ToTicks rounds to the nearest tick.
func ToTicks(d time.Duration) int64 {
	s, rest := int64(d/time.Second), int64(d%time.Second)
	half := int64(time.Second / 2)
	if rest < 0 {
		half = -half
	}
	return s*ClockRate + (rest*ClockRate+half)/int64(time.Second)
}

// FromTicks is the time of a tick, cut to the nanosecond.
func FromTicks(n int64) time.Duration {
	s, rest := n/ClockRate, n%ClockRate
	return time.Duration(s)*time.Second + time.Duration(rest)*time.Second/ClockRate
}

package stream

import "time"

// RTP counts video time in ticks of 90 kHz, of which most are no whole number of
// nanoseconds. These two convert without drift: ToTicks(FromTicks(n)) == n.

// ToTicks rounds to the nearest tick.
func ToTicks(d time.Duration) int64 { return toClock(d, ClockRate) }

// FromTicks is the time of a tick, cut to the nanosecond.
func FromTicks(n int64) time.Duration { return fromClock(n, ClockRate) }

package devices

import "time"

// A device's own time tells old news from new, unless its clock is slow: then all
// it says would be old news, and a fire would call nobody. What comes out of a
// backlog comes in a burst, its messages of different ages. What a slow clock
// stamps comes at the pace of the stamps, always of the same age.

const (
	// oldest is the greatest age of a backlog; beyond it a clock was never set.
	oldest = 30 * 24 * time.Hour
	// slowPace is the shortest time over which messages tell of a slow clock, however
	// many they are, slowDrift the most by which their ages may differ.
	slowPace  = time.Minute
	slowDrift = 30 * time.Second
)

// slowClock is what is known of a device's clock. The zero value takes it for right.
type slowClock struct {
	at   time.Time     // of the first message of the run of those that are as old
	age  time.Duration // of that message
	slow time.Duration // how far the clock is behind; zero while it is right
}

// late tells whether a message of that age is old news, where older than after may
// be. It is called once for each message that has a time.
func (c *slowClock) late(now time.Time, age, after time.Duration) bool {
	before := *c
	same := !before.at.IsZero() && (age-before.age).Abs() <= slowDrift
	if !same {
		c.at, c.age = now, age
	}
	switch {
	case age <= after || age >= oldest:
		c.slow = 0
		return false
	case before.slow != 0 && (age-before.slow).Abs() <= after:
		return false
	case same && now.Sub(before.at) >= slowPace:
		c.slow = age
		return false
	}
	return true
}

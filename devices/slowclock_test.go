package devices

import (
	"testing"
	"time"
)

// TestSlowClock: what a device with a slow clock says is news all the same, and a
// backlog stays one.
func TestSlowClock(t *testing.T) {
	const after = 5 * time.Minute
	start := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }

	var slow slowClock
	for i, want := range []bool{true, false, false, false} {
		if got := slow.late(at(600*i), time.Hour+time.Duration(i)*time.Second, after); got != want {
			t.Errorf("message %d of a clock that is an hour slow: late %t", i, got)
		}
	}
	if slow.late(at(1801), time.Hour, after) {
		t.Error("and one a second later")
	}
	if slow.late(at(1900), time.Second, after) || !slow.late(at(1901), time.Hour, after) {
		t.Error("its clock was set, and what comes of an hour ago is old")
	}

	var hasty slowClock // a detector that alarms every ten seconds
	for i := range 12 {
		if got := hasty.late(at(10*i), time.Hour, after); got != (i < 6) {
			t.Errorf("message %d of an alarm that is said again and again: late %t", i, got)
		}
	}

	var backlog slowClock
	for i := range 20 {
		if !backlog.late(at(i), time.Hour-time.Duration(i)*time.Minute, after) {
			t.Errorf("message %d of a backlog was taken for news", i)
		}
	}
	var unset slowClock
	if unset.late(at(0), 50*365*24*time.Hour, after) || unset.late(at(0), -time.Hour, after) {
		t.Error("a clock that was never set, or is ahead, says nothing of age")
	}
}

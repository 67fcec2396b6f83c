package agent

import (
	"testing"
	"time"

	"stationd/agent/station"
)

// TestRefusalsThatCouldNotBeTold: they are told when the disk has room again.
func TestRefusalsThatCouldNotBeTold(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	var r refusals
	r.add(at(1))
	r.add(at(2))
	d := r.take()
	r.add(at(3))
	r.give(d)
	if got, want := r.take(), (station.Dropped{Count: 3, From: at(1), To: at(3)}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := r.take(); got.Count != 0 {
		t.Errorf("told twice: %+v", got)
	}
}

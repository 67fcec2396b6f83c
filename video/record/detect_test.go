package record_test

import (
	"slices"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video/record"
)

// What moves is kept from before it began until after it was over, as one mark
// however often it is told, and after a restart; nothing else is.
func TestDetectionsAreKept(t *testing.T) {
	t.Parallel()
	cfg := smallConfig(t.TempDir())
	cfg.SyncEvery = 100 * time.Millisecond
	cfg.ClipGrace = time.Minute // a minute is played in a second, and lies behind
	a := open(t, cfg)
	plans := []station.Camera{{ID: "cam1", Record: true, Recording: station.RecordEvents}, {ID: "cam2", Record: true}}
	a.Apply(plans)
	start := time.Now().Add(-75 * time.Second).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	say := func(what string, active, moment bool) {
		t.Helper()
		for _, id := range []string{"cam1", "cam2"} {
			d := record.Detection{Camera: id, What: what, Active: active, Moment: moment, At: c.now, Before: 5 * time.Second, After: 4 * time.Second}
			if err := a.Detected(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.play(20 * time.Second)
	say("motion", false, false) // it was over before we listened
	began := c.now
	say("motion", true, false)
	c.play(4 * time.Second)
	say("input/1", true, false)
	say("motion", true, false)
	c.play(2 * time.Second)
	say("motion", false, false)
	c.play(3 * time.Second)
	say("input/1", false, false)
	over := c.now
	c.play(2 * time.Second)
	say("line", true, true) // it goes on
	over = later(over, c.now)
	c.play(20 * time.Second)
	lone := c.now
	say("line", true, true)
	c.play(20 * time.Second)
	c.await()
	waitFor(t, "both to be kept", func() bool {
		m := a.Marks("", start, c.now)
		return len(m) == 2 && !slices.ContainsFunc(m, func(m record.Mark) bool { return m.Camera != "cam1" || !m.Kept })
	})
	want := []record.Span{{From: began.Add(-5 * time.Second), To: over.Add(4 * time.Second)}, {From: lone.Add(-5 * time.Second), To: lone.Add(4 * time.Second)}}
	check := func() {
		t.Helper()
		got := a.Held(record.Event, "cam1", start, c.now)
		if len(got) != len(want) {
			t.Fatalf("%d stretches are kept: %v", len(got), got)
		}
		for i, s := range got {
			// A fragment at either end, and what a mark is ahead by.
			if s.From.After(want[i].From) || s.To.Before(want[i].To) || want[i].From.Sub(s.From) > 4*time.Second || s.To.Sub(want[i].To) > 9*time.Second {
				t.Errorf("kept is %v, wanted %v", s, want[i])
			}
		}
	}
	check()
	if got := a.Held(record.Event, "cam2", start, c.now); len(got) > 0 {
		t.Errorf("a camera that is always recorded has %v twice", got)
	}
	c.stop()
	a.stop()
	a = open(t, cfg)
	a.Apply(plans)
	check()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// A camera that was away leaves no mark behind, and a movement whose end nobody
// tells is kept for ten minutes.
func TestDetectionsThatLeaveNothing(t *testing.T) {
	t.Parallel()
	cfg := smallConfig(t.TempDir())
	cfg.SyncEvery = 100 * time.Millisecond
	a := open(t, cfg)
	a.Apply([]station.Camera{{ID: "away", Record: true, Recording: station.RecordEvents}, {ID: "off"}})
	at := time.Now().Add(-time.Hour)
	for _, id := range []string{"away", "off"} {
		if err := a.Detected(t.Context(), record.Detection{Camera: id, What: "motion", Active: true, At: at, Before: time.Second, After: time.Second}); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, "the empty mark to go", func() bool { return len(a.Marks("", time.Time{}, time.Now())) == 0 })
	now := time.Now()
	if err := a.Detected(t.Context(), record.Detection{Camera: "away", What: "motion", Active: true, At: now, Before: time.Second, After: time.Second}); err != nil {
		t.Fatal(err)
	}
	if m := a.Marks("away", now, now.Add(time.Hour)); len(m) != 1 || m[0].To.Sub(now) != 10*time.Minute {
		t.Errorf("marks %+v", m)
	}
}

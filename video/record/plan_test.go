package record_test

import (
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/agent/store/disk"
	"stationd/video/record"
)

// An events camera keeps nothing but its pre-roll and what alarms ask for; the
// pre-roll is there after a restart.
func TestEventsCameraKeepsWhatAlarmsAskFor(t *testing.T) {
	t.Parallel()
	cfg := smallConfig(t.TempDir())
	a := open(t, cfg)
	a.Apply([]station.Camera{{ID: "cam1", Record: true, Recording: station.RecordEvents}})
	start := time.Now().Add(-3 * time.Minute).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(40 * time.Second)
	c.await()
	if u := a.Usage(); u.Class(record.Continuous).Volumes != 0 || u.Class(record.PreRoll).Volumes == 0 {
		t.Errorf("classes %+v", u.Classes)
	}
	c.stop()
	a.stop()

	// What came before the restart is in the film of the alarm after it.
	a = open(t, cfg)
	a.Apply([]station.Camera{{ID: "cam1", Record: true, Recording: station.RecordEvents}})
	waitFor(t, "the pre-roll", func() bool { s, _ := a.Timeline("cam1", start, c.now); return len(s) == 1 })
	clip, err := a.Clip(t.Context(), clipOf("alarm", start.Add(20*time.Second), start.Add(35*time.Second)))
	if err != nil || clip.Status != station.ClipReady || clip.Cause != "" || clip.Gaps != 0 {
		t.Fatalf("clip %+v, %v", clip, err)
	}
	probe(t, export(t, a, "alarm"))
	// So is a movement.
	d := newCamera(t, a, "cam1", time.Now().Add(-time.Minute).Round(0), film(t))
	mark := record.Mark{ID: "motion", Camera: "cam1", From: d.now.Add(2 * time.Second), To: d.now.Add(24 * time.Second), Class: record.Event}
	d.play(30 * time.Second)
	d.await()
	if err := a.Mark(t.Context(), mark); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the movement to be kept", func() bool { m := a.Marks("cam1", start, d.now); return len(m) == 1 && m[0].Kept })
	days := a.Days("cam1", start.Add(-24*time.Hour), d.now.Add(24*time.Hour))
	var events time.Duration
	for _, day := range days {
		events += day.Events
	}
	if events < 35*time.Second || events > 50*time.Second {
		t.Errorf("%v are kept as events: %+v", events, days)
	}
}

// The pre-roll is a few minutes, whatever the clock says.
func TestPreRollIsDropped(t *testing.T) {
	t.Parallel()
	cfg := smallConfig(t.TempDir())
	cfg.PreRoll = 10 * time.Second
	cfg.SyncEvery = 100 * time.Millisecond
	a := open(t, cfg)
	a.Apply([]station.Camera{{ID: "cam1", Record: true, Recording: station.RecordEvents}})
	start := time.Now().Add(-time.Minute).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(20 * time.Second)
	c.await()
	a.SetClock(10 * 365 * 24 * time.Hour)
	c.play(2 * time.Second)
	if _, ok := a.Seek("cam1", start); !ok {
		t.Error("setting the clock cost the pre-roll")
	}
	c.stop()
	waitFor(t, "the pre-roll to go", func() bool { return a.Usage().Class(record.PreRoll).Bytes == 0 })
}

// A camera is recorded in its hours; the switch is at a key picture, nothing is
// missing at it, and what the schedule leaves out has its reason.
func TestRecordingHours(t *testing.T) {
	t.Parallel()
	cfg := smallConfig(t.TempDir())
	cfg.PreRoll = 10 * time.Second
	cfg.SyncEvery = 100 * time.Millisecond
	a := open(t, cfg)
	now := time.Now().Truncate(time.Minute)
	clock := func(d time.Duration) string { return now.Add(d).Format("15:04") }
	a.Apply([]station.Camera{{ID: "cam1", Record: true, Recording: station.RecordHours, RecordHours: []station.Window{
		{From: clock(-10 * time.Minute), To: clock(-8 * time.Minute)},
		{From: clock(-6 * time.Minute), To: clock(-5 * time.Minute)},
	}}})
	start := now.Add(-9*time.Minute + 500*time.Millisecond)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(5 * time.Minute)
	c.await()
	// All of it can be played across both switches as long as the pre-roll has it.
	if spans, gaps := a.Timeline("cam1", start, c.now); len(spans) != 1 || len(gaps) != 0 {
		t.Errorf("spans %v, gaps %v", spans, gaps)
	}
	last := start
	for f, err := range a.Fragments("cam1", start, c.now) {
		if err != nil || f.Gap != 0 || !near(f.Start.Sub(last), 0, 100*time.Millisecond) || !f.Key {
			t.Fatalf("fragment %v at %v, gap %v, %v", f.Key, f.Start, f.Gap, err)
		}
		last = f.Start.Add(f.Duration)
	}
	c.stop()
	waitFor(t, "the pre-roll to go", func() bool { return a.Usage().Class(record.PreRoll).Bytes == 0 })
	spans, gaps := a.Timeline("cam1", start, c.now)
	if len(spans) != 2 || len(gaps) != 1 || gaps[0].Reason != record.GapSchedule {
		t.Fatalf("spans %v, gaps %v", spans, gaps)
	}
	for i, want := range []time.Time{now.Add(-8 * time.Minute), now.Add(-5 * time.Minute)} {
		if d := spans[i].To.Sub(want); d < 0 || d > 2100*time.Millisecond {
			t.Errorf("span %d ends %v after its hour", i, d)
		}
	}
}

// Recording goes on when the clock is set into and out of the hours.
func TestRecordingHoursAndAClockThatIsSet(t *testing.T) {
	t.Parallel()
	a := open(t, smallConfig(t.TempDir()))
	now := time.Now()
	a.Apply([]station.Camera{{ID: "cam1", Record: true, Recording: station.RecordHours, RecordHours: []station.Window{
		{From: now.Add(2 * time.Hour).Format("15:04"), To: now.Add(4 * time.Hour).Format("15:04")},
	}}})
	start := now.Add(-time.Minute).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(10 * time.Second) // outside
	a.SetClock(3 * time.Hour)
	c.play(10 * time.Second) // inside
	a.SetClock(-3 * time.Hour)
	c.play(10 * time.Second) // outside again
	time.Sleep(1200 * time.Millisecond)
	u := a.Usage()
	if u.Stats.Fragments < 15 || u.Stats.Skipped != 0 {
		t.Errorf("stats %+v", u.Stats)
	}
	if got := u.Class(record.Continuous); got.Oldest.Before(start.Add(2*time.Hour)) || got.Newest.Sub(got.Oldest) < 9*time.Second {
		t.Errorf("the hours have %+v", got)
	}
	steps := a.Steps("cam1", start.Add(-24*time.Hour), start.Add(24*time.Hour))
	if len(steps) != 2 || !near(steps[0].By+steps[1].By, 0, time.Second) {
		t.Errorf("steps %+v", steps)
	}
}

// A clock that is wrong by years for a while does not cost what was recorded.
func TestMaxAge(t *testing.T) {
	t.Parallel()
	cfg := smallConfig(t.TempDir())
	cfg.VolumeSize = disk.MiB
	cfg.MaxAge = time.Hour
	cfg.SyncEvery = 100 * time.Millisecond
	a := open(t, cfg)
	start := time.Now().Add(-3 * time.Hour).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(3 * time.Minute) // too old
	c.lose(2*time.Hour + 50*time.Minute)
	c.play(3 * time.Minute) // young
	c.await()
	waitFor(t, "the old to go", func() bool { return a.Usage().Oldest.After(start.Add(time.Minute)) })
	young := start.Add(2*time.Hour + 53*time.Minute)
	// Before anything of the new time was recorded, and after.
	a.SetClock(3 * 365 * 24 * time.Hour)
	time.Sleep(3 * cfg.SyncEvery)
	for _, when := range []string{"before", "after"} {
		if got := a.Usage().Oldest; got.After(young.Add(time.Second)) {
			t.Errorf("the clock was set, and %s the next picture only what is from %v on is left, of what began at %v", when, got, young)
		}
		c.play(10 * time.Second)
		waitFor(t, "the new time", func() bool { return a.Usage().Newest.After(start.Add(365 * 24 * time.Hour)) })
		time.Sleep(3 * cfg.SyncEvery)
	}
	// Set back, it is as old as it is.
	a.SetClock(-3 * 365 * 24 * time.Hour)
	time.Sleep(3 * cfg.SyncEvery)
	if got := a.Usage().Oldest; got.After(young.Add(time.Second)) {
		t.Errorf("the clock was set back, and only what is from %v on is left, of what began at %v", got, young)
	}
}

func TestSeekAndDays(t *testing.T) {
	t.Parallel()
	a := open(t, smallConfig(t.TempDir()))
	start := time.Now().Add(-30 * time.Minute).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(2 * time.Minute)
	time.Sleep(1200 * time.Millisecond)
	c.lose(5 * time.Minute)
	c.play(2 * time.Minute)
	c.await()
	for _, x := range []struct{ at, want time.Duration }{
		{-time.Hour, 0},
		{0, 0},
		{3 * time.Second, 2 * time.Second},
		{61*time.Second + 900*time.Millisecond, 60 * time.Second},
		{4 * time.Minute, 7 * time.Minute},
		{8 * time.Minute, 8 * time.Minute},
	} {
		f, ok := a.Seek("cam1", start.Add(x.at))
		if !ok || !f.Key || !near(f.Start.Sub(start), x.want, 100*time.Millisecond) || len(f.Data) == 0 {
			t.Errorf("at %v: %v, key %v, found %v", x.at, f.Start.Sub(start), f.Key, ok)
		}
	}
	if _, ok := a.Seek("cam1", c.now.Add(time.Hour)); ok {
		t.Error("something was found after the end")
	}
	if _, ok := a.Seek("cam2", start); ok {
		t.Error("something was found of a camera that is not there")
	}
	var recorded time.Duration
	gaps := 0
	for _, d := range a.Days("cam1", start.Add(-48*time.Hour), start.Add(48*time.Hour)) {
		recorded += d.Recorded
		gaps += d.Gaps
	}
	if !near(recorded, 4*time.Minute, 3*time.Second) || gaps != 1 {
		t.Errorf("%v recorded, %d gaps", recorded, gaps)
	}
}

// Damage on the disk is found before anybody looks for it, and is a gap then.
func TestScrub(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start, end := recorded(t, dir, 30*time.Second)
	damageLog(t, dir, 0.5)
	cfg := smallConfig(dir)
	cfg.ScrubRate = 256 * disk.MiB
	a := open(t, cfg)
	waitFor(t, "the scrub", func() bool { return !a.Usage().Scrub.Passed.IsZero() })
	if u := a.Usage(); u.Scrub.Damaged != 1 || u.Scrub.Read < 300*disk.KiB {
		t.Errorf("scrub %+v", u.Scrub)
	}
	spans, gaps := a.Timeline("cam1", start, end)
	if len(spans) != 2 || len(gaps) != 1 || gaps[0].Reason != record.GapDamaged || !near(gaps[0].To.Sub(gaps[0].From), 2*time.Second, 50*time.Millisecond) {
		t.Errorf("spans %v, gaps %v", spans, gaps)
	}
	if l := a.Lamps()[0]; l.Code != "storage.video-spots" || l.State != station.LampWarn {
		t.Errorf("lamp %+v", l)
	}
	a.stop()
	cfg.ScrubRate = 0
	a = open(t, cfg)
	waitFor(t, "the last pass to be known", func() bool { return !a.Usage().Scrub.Passed.IsZero() })
	if _, gaps := a.Timeline("cam1", start, end); len(gaps) != 1 || a.Usage().Scrub.Damaged != 1 {
		t.Errorf("after the restart: gaps %v, scrub %+v", gaps, a.Usage().Scrub)
	}
}

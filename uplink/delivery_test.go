package uplink_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/uplink"
	"stationd/uplink/centre"
	"stationd/uplink/uplinktest"
)

// checkExactly demands that what was stored is what was written, once and in
// order.
func checkExactly(t *testing.T, lane station.Lane, got, want []station.Event) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("lane %s: %d events stored, %d written", lane, len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i].Origin != want[i].Origin || got[i].ID != want[i].ID {
			t.Fatalf("lane %s: event %d is %s, want %s", lane, i, got[i].Origin, want[i].Origin)
		}
	}
}

// TestExactlyOnceUnderChaos lets everything fail at once: the line loses,
// doubles, swaps, delays and breaks in both directions, the centre fails before
// and after its commits and is restarted, the station is restarted, cursors are
// not always stored.
func TestExactlyOnceUnderChaos(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3, 4} {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			chaos(t, seed)
		})
	}
}

func chaos(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	w := uplinktest.NewWorld(t)
	failing := func(p float64) func(bool) error {
		inner := rand.New(rand.NewPCG(seed, 8))
		return func(bool) error { // called with the station's batches serialised
			if inner.Float64() < p {
				return errors.New("disk trouble")
			}
			return nil
		}
	}
	if os.Getenv("CHAOSLOG") != "" {
		w.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	w.Inbox.Fail = failing(0.01)
	w.Start()
	j := uplinktest.NewJournal(node)
	cfg := w.Station(node)
	cfg.Window = uplink.Window{Events: 64, Bytes: 32 << 10, BatchEvents: 8, BatchBytes: 4096}
	cfg.AckTimeout = 100 * time.Millisecond
	line := uplinktest.NewLine(w.Dialer(cfg), seed, uplinktest.Faults{Lose: 0.03, Double: 0.05, Swap: 0.05, Break: 0.01, Delay: time.Millisecond})
	start := func() (*uplink.Uplink, func()) {
		u := uplink.New(cfg, uplink.Deps{Journal: j, Dialer: line, Log: w.Log})
		return u, uplinktest.Run(t, u)
	}
	u, stop := start()
	want := map[station.Lane][]station.Event{}
	for round := range 24 {
		for _, lane := range station.Lanes() {
			n := 1 + r.IntN(60)
			want[lane] = append(want[lane], j.Append(lane, "alarm/x", n)...)
		}
		switch round % 4 {
		case 1:
			stop()
			u, stop = start()
		case 2:
			w.Stop()
			w.Start()
		case 3:
			line.Cut()
		}
		// Let some of it through, at random.
		goal := w.Inbox.Count(node, station.LaneNormal) + r.IntN(30)
		deadline := time.Now().Add(300 * time.Millisecond)
		for w.Inbox.Count(node, station.LaneNormal) < goal && time.Now().Before(deadline) {
			<-time.After(5 * time.Millisecond)
		}
	}
	line.Mend()
	for _, lane := range station.Lanes() {
		last := want[lane][len(want[lane])-1].Seq
		uplinktest.Eventually(t, 30*time.Second, "everything is acknowledged", func() bool { return u.Received(lane) == last })
	}
	for _, lane := range station.Lanes() {
		checkExactly(t, lane, w.Inbox.Events(node, lane), want[lane])
	}
	t.Logf("broken %d times; %+v", line.Breaks.Load(), w.Centre.Nodes())
}

// TestAlarmOvertakesBacklog fills the bulk lane, and lets an alarm pass it. The
// line's slowness is the inbox's: each batch takes five milliseconds.
func TestAlarmOvertakesBacklog(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Inbox.Fail = func(committed bool) error {
		if !committed {
			<-time.After(5 * time.Millisecond)
		}
		return nil
	}
	j := uplinktest.NewJournal(node)
	const backlog = 100_000
	j.Append(station.LaneBulk, "sensor/1", backlog)
	w.Start()
	u := uplink.New(w.Station(node), uplink.Deps{Journal: j, Log: w.Log})
	uplinktest.Run(t, u)
	uplinktest.Eventually(t, 10*time.Second, "the backlog moves", func() bool { return w.Inbox.Count(node, station.LaneBulk) > 1000 })
	var worst time.Duration
	for range 20 {
		before := w.Inbox.Count(node, station.LaneBulk)
		began := time.Now()
		ev := j.Append(station.LaneUrgent, "alarm/1", 1)[0]
		uplinktest.Eventually(t, 10*time.Second, "the alarm is acknowledged", func() bool { return u.Received(station.LaneUrgent) == ev.Seq })
		worst = max(worst, time.Since(began))
		if passed := w.Inbox.Count(node, station.LaneBulk) - before; passed > 4*cfgWindow {
			t.Errorf("%d readings went before the alarm", passed)
		}
	}
	if w.Inbox.Count(node, station.LaneBulk) >= backlog {
		t.Fatal("the backlog drained before the alarms were through; nothing was shown")
	}
	t.Logf("slowest of 20 alarms through a backlog: %s", worst)
}

const cfgWindow = 1024

// TestRestoredStation gives the station a new epoch in the middle: its journal is
// set back to a backup and goes on with numbers that were used before.
func TestRestoredStation(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Start()
	cfg := w.Station(node)
	j := uplinktest.NewJournal(node)
	run := func(j *uplinktest.Journal, last uint64) {
		t.Helper()
		u := uplink.New(cfg, uplink.Deps{Journal: j, Log: w.Log})
		stop := uplinktest.Run(t, u)
		uplinktest.Eventually(t, 10*time.Second, "everything is acknowledged", func() bool { return u.Received(station.LaneUrgent) == last })
		uplinktest.Eventually(t, time.Second, "the cursor is stored", func() bool {
			c, err := j.Cursor("centre", station.LaneUrgent)
			return err == nil && c.Seq == last
		})
		stop()
	}
	want := j.Append(station.LaneUrgent, "alarm/1", 50)
	run(j, 50)
	want = append(want, j.Append(station.LaneUrgent, "alarm/2", 50)...)
	backup := j.Backup() // with a cursor at 50
	run(j, 100)
	want = append(want, j.Append(station.LaneUrgent, "alarm/3", 30)...) // will be gone from the station
	run(j, 130)

	j = backup.Restored()
	again := j.Append(station.LaneUrgent, "alarm/4", 40) // 101 to 140 once more, in another life
	want = append(want, again...)
	run(j, 140)
	checkExactly(t, station.LaneUrgent, w.Inbox.Events(node, station.LaneUrgent), want)

	// A store that was made anew starts at 1, and nothing is a duplicate.
	j = uplinktest.NewJournal(node)
	want = append(want, j.Append(station.LaneUrgent, "alarm/5", 10)...)
	run(j, 10)
	checkExactly(t, station.LaneUrgent, w.Inbox.Events(node, station.LaneUrgent), want)
}

// TestRestoredCentre sets the centre back: it gets again what it lost, as far as
// the journal reaches, and Status tells what is gone for good.
func TestRestoredCentre(t *testing.T) {
	for _, tc := range []struct {
		name string
		trim uint64
		lost uint64
	}{{"journal reaches", 0, 0}, {"journal trimmed", 120, 20}} {
		t.Run(tc.name, func(t *testing.T) {
			w := uplinktest.NewWorld(t)
			w.Start()
			j := uplinktest.NewJournal(node)
			want := j.Append(station.LaneUrgent, "alarm/1", 100)
			u := uplink.New(w.Station(node), uplink.Deps{Journal: j, Log: w.Log})
			uplinktest.Run(t, u)
			all := func(seq uint64) {
				t.Helper()
				uplinktest.Eventually(t, 10*time.Second, "everything is acknowledged", func() bool { return u.Received(station.LaneUrgent) == seq })
			}
			all(100)
			backup := w.Inbox.Copy()
			want = append(want, j.Append(station.LaneUrgent, "alarm/1", 100)...)
			all(200)
			w.Stop()
			if tc.trim > 0 {
				j.Trim(station.LaneUrgent, tc.trim)
				want = slices.Concat(want[:100], want[tc.trim:])
			}
			w.Inbox = backup
			w.Start()
			want = append(want, j.Append(station.LaneUrgent, "alarm/1", 5)...)
			all(205)
			checkExactly(t, station.LaneUrgent, w.Inbox.Events(node, station.LaneUrgent), want)
			if got := u.Status().Lanes[0].Lost; got != tc.lost {
				t.Errorf("status tells %d lost, want %d", got, tc.lost)
			}
		})
	}
}

// TestReplacedCentre puts an empty centre in the place of one that had
// acknowledged everything.
func TestReplacedCentre(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Start()
	j := uplinktest.NewJournal(node)
	want := j.Append(station.LaneNormal, "sensor/1", 100)
	var slow atomic.Bool // the disk
	j.AdvanceErr = func() error {
		if slow.Load() {
			time.Sleep(100 * time.Millisecond)
		}
		return nil
	}
	u := uplink.New(w.Station(node), uplink.Deps{Journal: j, Log: w.Log})
	uplinktest.Run(t, u)
	uplinktest.Eventually(t, 10*time.Second, "everything is acknowledged", func() bool { return u.Received(station.LaneNormal) == 100 })
	j.Append(station.LaneUrgent, "alarm/1", 1)
	uplinktest.Eventually(t, 10*time.Second, "the alarm is acknowledged", func() bool { return u.Received(station.LaneUrgent) == 101 })
	w.Stop()
	w.Inbox = uplinktest.NewInbox()
	slow.Store(true)
	before := len(j.Advanced())
	w.Start()
	uplinktest.Eventually(t, 10*time.Second, "everything is there again", func() bool { return w.Inbox.Count(node, station.LaneNormal) == 100 })
	checkExactly(t, station.LaneNormal, w.Inbox.Events(node, station.LaneNormal), want)
	// The journal must hear of it, however fast the new parent is: it has to tell
	// again what it does not hold any more.
	if !slices.ContainsFunc(j.Advanced()[before:], func(c uplink.Cursor) bool { return c.Lane == station.LaneNormal && c.Seq == 0 }) {
		t.Error("the cursor was not set back")
	}
}

// TestRefusingCentre: a centre that cannot store acknowledges nothing, says why,
// and gets everything when it can.
func TestRefusingCentre(t *testing.T) {
	w := uplinktest.NewWorld(t)
	full := make(chan struct{})
	w.Inbox.Fail = func(bool) error {
		select {
		case <-full:
			return nil
		default:
			return station.ErrNoSpace
		}
	}
	w.Start()
	j := uplinktest.NewJournal(node)
	want := j.Append(station.LaneUrgent, "alarm/1", 20)
	u := uplink.New(w.Station(node), uplink.Deps{Journal: j, Log: w.Log})
	uplinktest.Run(t, u)
	uplinktest.Eventually(t, 10*time.Second, "the refusal is shown", func() bool { return u.Status().Hint == station.ErrNoSpace.Hint })
	if n := u.Received(station.LaneUrgent); n != 0 {
		t.Fatalf("%d acknowledged by a centre that stored nothing", n)
	}
	close(full)
	uplinktest.Eventually(t, 10*time.Second, "everything is acknowledged", func() bool { return u.Received(station.LaneUrgent) == 20 })
	checkExactly(t, station.LaneUrgent, w.Inbox.Events(node, station.LaneUrgent), want)
	if st := u.Status(); st.LastError != "" {
		t.Errorf("the refusal is still shown: %q", st.LastError)
	}
}

// TestSetBackJournal: a journal that was set back without a new epoch would be
// taken for duplicates. It is not sent, and Status says what to do.
func TestSetBackJournal(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Start()
	j := uplinktest.NewJournal(node)
	backup := j.Backup()
	j.Append(station.LaneUrgent, "alarm/1", 20)
	u := uplink.New(w.Station(node), uplink.Deps{Journal: j, Log: w.Log})
	stop := uplinktest.Run(t, u)
	uplinktest.Eventually(t, 10*time.Second, "everything is acknowledged", func() bool { return u.Received(station.LaneUrgent) == 20 })
	stop()
	backup.Append(station.LaneUrgent, "alarm/2", 5)
	u = uplink.New(w.Station(node), uplink.Deps{Journal: backup, Log: w.Log})
	uplinktest.Run(t, u)
	uplinktest.Eventually(t, 10*time.Second, "the fault is shown", func() bool { return u.Lamps()[0].Hint == "uplink.ahead" })
	if u.Received(station.LaneUrgent) != 0 || w.Inbox.Count(node, station.LaneUrgent) != 20 {
		t.Error("events were sent, or taken for acknowledged")
	}
}

// TestOversizedEvent: an event that is too large loses its data, not its place.
func TestOversizedEvent(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Start()
	j := uplinktest.NewJournal(node)
	huge := append(append([]byte{'"'}, slices.Repeat([]byte{'x'}, 1<<20)...), '"')
	j.Put(station.Event{Lane: station.LaneUrgent, Type: station.EventReading, Subject: "sensor/1", Data: huge})
	j.Append(station.LaneUrgent, "alarm/1", 1)
	u := uplink.New(w.Station(node), uplink.Deps{Journal: j, Log: w.Log})
	uplinktest.Run(t, u)
	uplinktest.Eventually(t, 10*time.Second, "both are acknowledged", func() bool { return u.Received(station.LaneUrgent) == 2 })
	if got := w.Inbox.Events(node, station.LaneUrgent); len(got) != 2 || got[0].Data != nil || got[1].Data == nil {
		t.Errorf("stored %d events", len(got))
	}
}

var _ centre.Inbox = (*uplinktest.Inbox)(nil)

package agent_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// TestAdvanceOverMoreThanATransactionHolds: after an outage, the parent
// acknowledges some hundred alarms at once.
func TestAdvanceOverMoreThanATransactionHolds(t *testing.T) {
	r := newRig(t)
	const alarms = 900
	var all sync.WaitGroup // together they share the disk's syncs
	for i := range alarms {
		id := fmt.Sprintf("s%d", i)
		all.Go(func() {
			err := r.HandleReport(context.Background(), station.Report{
				Sensor: id, Received: r.clock.now(), Signals: []station.Signal{{Kind: station.KindSmoke, Active: true}},
				Unknown: &station.Sensor{Name: "烟感 " + id, Place: "3号楼 1202 室 · 厨房", Class: station.ClassSmoke},
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	c := store.Cursor{Target: "centre", Lane: station.LaneUrgent, Epoch: r.store.Epoch(), Seq: r.store.Head(), Hop: alarms}
	if err := r.Advance(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	marked := 0
	for _, al := range r.live() {
		if !al.CentreAt.IsZero() && al.Kind == station.KindSmoke { // and that there are so many is another
			marked++
		}
	}
	if marked != alarms {
		t.Errorf("%d alarms of %d are marked as received", marked, alarms)
	}
	if n, _, err := r.store.Backlog("centre", station.LaneUrgent, 10); err != nil || n != 0 {
		t.Errorf("the cursor did not move: backlog %d, %v", n, err)
	}
}

// TestAnnouncementThatWasCutOff: a station that is killed, or whose disk is full,
// in the middle of it must not think that the parent was told.
func TestAnnouncementThatWasCutOff(t *testing.T) {
	dir := t.TempDir()
	set := newRigOn(t, dir, nil)
	set.addSensor("a", station.ClassSmoke)
	if err := set.store.Close(); err != nil {
		t.Fatal(err)
	}
	full := newRigOn(t, dir, tight)
	if err := full.AnnounceTo(t.Context(), "centre"); !errors.Is(err, station.ErrNoSpace) {
		t.Fatalf("the disk is not tight: %v", err)
	}
	if err := full.store.Close(); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, dir, nil)
	before := r.store.Head()
	for range 2 {
		if err := r.AnnounceTo(t.Context(), "centre"); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.store.Head() - before; n != 1 {
		t.Errorf("the sensor was announced %d times, want once", n)
	}
}

// TestAReplacedParentIsToldWhatIsSetUp: what was set up long ago has left the
// journal.
func TestAReplacedParentIsToldWhatIsSetUp(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRigOn(t, dir, func(c *store.Config) { c.KeepJournal = time.Minute })
		r.must(r.do(station.CommandPutCamera, "gate", map[string]any{"id": "gate", "name": "北门", "url": "rtsp://127.0.0.1/x"}))
		told := func(when string, want int) {
			t.Helper()
			events, err := r.store.Read(0, 1000, station.LaneNormal)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, ev := range events {
				if ev.Type == station.EventCameraChanged {
					n++
				}
			}
			if n != want {
				t.Errorf("%s: the journal tells of the camera %d times, want %d", when, n, want)
			}
		}
		advance := func(seq uint64) {
			t.Helper()
			c := store.Cursor{Target: "centre", Lane: station.LaneNormal, Epoch: r.store.Epoch(), Seq: seq, Hop: seq}
			if err := r.Advance(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		head := r.store.Head()
		advance(head)
		advance(0)
		told("a parent that was set back, and the journal has all", 1)
		advance(head)
		time.Sleep(2 * time.Minute)
		if _, err := r.store.Trim(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		told("after a while", 0)
		advance(0)
		told("a parent that lost everything", 1)
	})
}

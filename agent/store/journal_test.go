package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

func seqs(rows []station.Event) string {
	var s string
	for _, ev := range rows {
		s += fmt.Sprint(ev.Seq, " ")
	}
	return s
}

func TestReadMergesLanes(t *testing.T) {
	s := openStore(t, config(t.TempDir()))
	u, n, b := station.LaneUrgent, station.LaneNormal, station.LaneBulk
	for _, lane := range []station.Lane{u, b, n, b, u, n} { // 1 to 6
		fillLane(t, s, lane, 1)
	}
	for _, x := range []struct {
		after uint64
		limit int
		lanes []station.Lane
		want  string
	}{
		{0, 10, nil, "1 2 3 4 5 6 "},
		{0, 4, nil, "1 2 3 4 "},
		{2, 10, []station.Lane{u, n}, "3 5 6 "},
		{0, 10, []station.Lane{b}, "2 4 "},
		{4, 10, []station.Lane{b}, ""},
		{6, 10, nil, ""},
		{^uint64(0), 10, nil, ""},
		{0, 0, nil, ""},
	} {
		rows, err := s.Read(x.after, x.limit, x.lanes...)
		if err != nil || seqs(rows) != x.want {
			t.Errorf("after %d, limit %d, lanes %v: %q %v, want %q", x.after, x.limit, x.lanes, seqs(rows), err, x.want)
		}
	}
	if _, err := s.Read(0, 1, "express"); err == nil {
		t.Error("there is no such lane")
	}
	foreign := station.Origin{Node: "child", Epoch: "e", Seq: 77}
	update(t, s, func(tx *store.Tx) error {
		ev, err := tx.Append(station.Event{Origin: foreign, ID: "id", Type: "t", Lane: u, Time: time.Unix(9, 0)})
		if ev.Seq != 7 || ev.Origin != foreign || ev.ID != "id" || !ev.Time.Equal(time.Unix(9, 0)) {
			t.Errorf("what came from elsewhere stays as it is: %+v", ev)
		}
		return err
	})
}

func TestChanged(t *testing.T) {
	s := openStore(t, config(t.TempDir()))
	ahead, now, again := s.Changed(1), s.Changed(0), s.Changed(0)
	if now != again {
		t.Error("those who wait for the same share a channel")
	}
	fillLane(t, s, station.LaneBulk, 1)
	<-now
	select {
	case <-ahead:
		t.Error("the head is not beyond 1 yet")
	default:
	}
	<-s.Changed(0)
	fillLane(t, s, station.LaneBulk, 1)
	<-ahead
}

func TestCursorsHoldTheJournal(t *testing.T) {
	cfg := config(t.TempDir())
	cfg.KeepJournal = time.Minute
	cfg.BulkCap = 1000
	s := openStore(t, cfg)
	ctx := context.Background()
	fillLane(t, s, station.LaneUrgent, 10) // 1 to 10
	fillLane(t, s, station.LaneBulk, 1500) // 11 to 1510
	update(t, s, func(tx *store.Tx) error {
		c, err := tx.Cursor("centre", station.LaneUrgent)
		if c.Seq != 0 || c.Epoch != s.Epoch() || err != nil {
			t.Errorf("a cursor begins at 0 of this epoch: %+v %v", c, err)
		}
		c.Seq, c.Hop = 4, 4
		must(t, tx.PutCursor(c))
		return tx.PutCursor(store.Cursor{Target: "centre", Lane: station.LaneBulk, Epoch: s.Epoch(), Seq: 110})
	})
	n, oldest, err := s.Backlog("centre", station.LaneUrgent, 100)
	if n != 6 || time.Since(oldest) > time.Minute || err != nil {
		t.Errorf("backlog: %d %v %v", n, oldest, err)
	}
	if n, _, _ := s.Backlog("centre", station.LaneBulk, 100); n != 100 {
		t.Errorf("backlog, at most 100: %d", n)
	}
	// 500 are beyond the cap, 100 of which the centre has.
	d, err := s.Trim(ctx, nil)
	if err != nil || d.Count != 400 || d.Reason != "cap" || d.FromSeq != 111 || d.ToSeq != 510 || d.Targets != "centre" || d.From.IsZero() || d.To.Before(d.From) {
		t.Errorf("trim: %+v %v", d, err)
	}
	if rows, err := s.Read(0, 2000, station.LaneBulk); err != nil || len(rows) != 1000 || rows[0].Seq != 511 {
		t.Errorf("left: %d %v", len(rows), err)
	}
	if rows, _ := s.Read(0, 20, station.LaneUrgent); len(rows) != 10 {
		t.Errorf("young rows stay: %d", len(rows))
	}
	if d, err := s.Trim(ctx, nil); err != nil || d.Count != 0 {
		t.Errorf("a second time: %+v %v", d, err)
	}
	// An old epoch's cursor says nothing about this one's rows.
	update(t, s, func(tx *store.Tx) error {
		return tx.PutCursor(store.Cursor{Target: "centre", Lane: station.LaneUrgent, Epoch: "old", Seq: 9})
	})
	if n, _, _ := s.Backlog("centre", station.LaneUrgent, 100); n != 10 {
		t.Errorf("backlog behind an old epoch: %d", n)
	}
	must(t, s.Close())
	again := openStore(t, cfg)
	if rows, err := again.Read(0, 2000, station.LaneBulk); err != nil || len(rows) != 1000 {
		t.Errorf("after a restart: %d %v", len(rows), err)
	}
}

// TestTrimByAge runs on the bubble's clock.
func TestTrimByAge(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(dir)
		cfg.KeepJournal = time.Hour
		s, err := store.Open(cfg, quiet())
		must(t, err)
		defer s.Close()
		fillLane(t, s, station.LaneUrgent, 2500)
		update(t, s, func(tx *store.Tx) error {
			return tx.PutCursor(store.Cursor{Target: "centre", Lane: station.LaneUrgent, Epoch: s.Epoch(), Seq: 2400})
		})
		time.Sleep(2 * time.Hour)
		fillLane(t, s, station.LaneUrgent, 1)
		_, err = s.Trim(t.Context(), nil)
		must(t, err)
		rows, err := s.Read(0, 3000)
		if err != nil || len(rows) != 101 || rows[0].Seq != 2401 {
			t.Errorf("what the centre has not stays: %d %v", len(rows), err)
		}
		update(t, s, func(tx *store.Tx) error {
			all, err := tx.Cursors()
			for _, c := range all {
				err = errors.Join(err, tx.DeleteCursor(c.Target, c.Lane))
			}
			return err
		})
		_, err = s.Trim(t.Context(), nil)
		must(t, err)
		rows, err = s.Read(0, 3000)
		if err != nil || len(rows) != 1 || rows[0].Seq != 2501 {
			t.Errorf("without a target the age decides: %s %v", seqs(rows), err)
		}
		if s.Head() != 2501 {
			t.Errorf("head %d", s.Head())
		}
	})
}

// TestTrimBulkByAge: readings that nobody fetches go at their age, and it is noted in
// the same transaction by whom they were missed; alarms of any age stay.
func TestTrimBulkByAge(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(dir)
		cfg.KeepJournal, cfg.BulkAge = time.Hour, 48*time.Hour
		s, err := store.Open(cfg, quiet())
		must(t, err)
		defer s.Close()
		fillLane(t, s, station.LaneUrgent, 5)
		fillLane(t, s, station.LaneBulk, 2500)
		update(t, s, func(tx *store.Tx) error {
			var all error
			for target, seq := range map[string]uint64{"centre": 105, "dead": 0, "quick": 2505} {
				for _, lane := range []station.Lane{station.LaneUrgent, station.LaneBulk} {
					all = errors.Join(all, tx.PutCursor(store.Cursor{Target: target, Lane: lane, Epoch: s.Epoch(), Seq: seq}))
				}
			}
			return all
		})
		time.Sleep(49 * time.Hour)
		fillLane(t, s, station.LaneBulk, 10)
		var noted station.Dropped
		d, err := s.Trim(t.Context(), func(_ *store.Tx, d station.Dropped) error {
			noted = noted.Plus(d)
			return nil
		})
		must(t, err)
		if d != noted || d.Count != 2500 || d.FromSeq != 6 || d.ToSeq != 2505 || d.Reason != "age" || d.Targets != "centre dead" && d.Targets != "dead centre" {
			t.Errorf("dropped %+v, noted %+v", d, noted)
		}
		if rows, err := s.Read(0, 100); err != nil || len(rows) != 15 {
			t.Errorf("left: %s %v", seqs(rows), err)
		}
	})
}

package record_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/agent/store/disk"
	"stationd/video/record"
)

// Three alarms of the same minute share its film.
func TestClipsShareTheirFilm(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := open(t, smallConfig(dir))
	start := time.Now().Add(-2 * time.Minute).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(time.Minute)
	c.await()
	var bodies [][]byte
	var kept uint64
	for i, span := range [][2]time.Duration{{10, 40}, {12, 42}, {20, 30}} {
		clip, err := a.Clip(t.Context(), clipOf(fmt.Sprint("clip", i), start.Add(span[0]*time.Second), start.Add(span[1]*time.Second)))
		if err != nil || clip.Status != station.ClipReady || clip.Cause != "" {
			t.Fatalf("clip %+v, %v", clip, err)
		}
		path := export(t, a, clip.ID)
		decode(t, path)
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, body)
		switch u := a.Usage(); i {
		case 0:
			kept = u.Stats.Kept
		case 1: // two seconds more
			if more := u.Stats.Kept - kept; more > kept/8 {
				t.Errorf("the second clip took %d bytes more, the first %d", more, kept)
			}
			kept = u.Stats.Kept
		case 2:
			if u.Stats.Kept != kept {
				t.Errorf("the third clip took %d bytes more", u.Stats.Kept-kept)
			}
		}
	}
	// Each goes its own way; the others stay bit for bit, over a restart too.
	if err := a.RemoveClip("clip1"); err != nil {
		t.Fatal(err)
	}
	c.stop()
	a.stop()
	a = open(t, smallConfig(dir))
	for i, id := range []string{"clip0", "", "clip2"} {
		if id == "" {
			continue
		}
		if body, err := os.ReadFile(export(t, a, id)); err != nil || !bytes.Equal(body, bodies[i]) {
			t.Errorf("clip %s is not what it was: %v", id, err)
		}
	}
	for _, id := range []string{"clip0", "clip2"} {
		if err := a.RemoveClip(id); err != nil {
			t.Fatal(err)
		}
	}
	if u := a.Usage(); u.Class(record.Event).Bytes != 0 {
		t.Errorf("nobody wants it, and it is still there: %+v", u.Class(record.Event))
	}
}

// Events make room for newer ones, whole volumes at a time, and it is told which
// clips lost their film; evidence stays.
func TestEventsRollAndEvidenceStays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := smallConfig(dir)
	cfg.VolumeSize = disk.MiB
	cfg.MaxBytes = 8 * disk.MiB
	cfg.EventsMaxBytes = 8 * disk.MiB
	a := open(t, cfg)
	start := time.Now().Add(-2 * time.Hour).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	var bodies [][]byte
	var held []string
	for n := 0; a.Usage().Stats.Gone < 12; n++ {
		c.play(20 * time.Second)
		c.await()
		id := fmt.Sprintf("clip%03d", n)
		from, to := c.now.Add(-18*time.Second), c.now.Add(-4*time.Second)
		clip, err := a.Clip(t.Context(), clipOf(id, from, to))
		if err != nil || clip.Status != station.ClipReady {
			t.Fatalf("clip %+v, %v", clip, err)
		}
		if u := a.Usage().Class(record.Event); u.Bytes > cfg.EventsMaxBytes {
			t.Fatalf("events take %v", u.Bytes)
		}
		if n%5 == 2 {
			mark := record.Mark{ID: "hold-" + id, Camera: "cam1", From: from, To: to, Class: record.Evidence, Reason: "案件", By: "张三"}
			if err := a.Mark(t.Context(), mark); err != nil {
				t.Fatal(err)
			}
			body, err := os.ReadFile(export(t, a, id))
			if err != nil {
				t.Fatal(err)
			}
			held, bodies = append(held, id), append(bodies, body)
		}
	}
	gone := a.Gone()
	if len(gone) < 12 || len(held) < 3 {
		t.Fatalf("%d gone, %d held", len(gone), len(held))
	}
	for _, id := range gone {
		if a.HasClip(id) {
			t.Errorf("clip %s is gone and there", id)
		}
		if err := a.GoneTold(id); err != nil {
			t.Error(err)
		}
	}
	c.stop()
	a.stop()
	a = open(t, cfg)
	if g := a.Gone(); len(g) != 0 {
		t.Errorf("told twice: %v", g)
	}
	for i, id := range held {
		if body, err := os.ReadFile(export(t, a, id)); err != nil || !bytes.Equal(body, bodies[i]) {
			t.Errorf("held clip %s is not what it was: %v", id, err)
		}
	}
	// Released, it goes.
	for _, m := range a.Marks("", time.Time{}, time.Now().Add(time.Hour)) {
		if !m.Kept {
			t.Errorf("mark %+v is not kept", m)
		}
		if err := a.Release(m.ID); err != nil {
			t.Error(err)
		}
	}
	for _, id := range held {
		if a.HasClip(id) {
			if err := a.RemoveClip(id); err != nil {
				t.Error(err)
			}
		}
	}
	if u := a.Usage().Class(record.Evidence); u.Bytes != 0 {
		t.Errorf("evidence takes %+v", u)
	}
}

// A hold that does not fit is refused, before anything is lost by it.
func TestEvidenceBeyondItsQuotaIsRefused(t *testing.T) {
	t.Parallel()
	cfg := smallConfig(t.TempDir())
	cfg.EvidenceMaxBytes = 8 * disk.MiB
	a := open(t, cfg)
	start := time.Now().Add(-10 * time.Minute).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(3 * time.Minute)
	c.await()
	mark := record.Mark{ID: "m1", Camera: "cam1", From: start.Add(10 * time.Second), To: start.Add(40 * time.Second), Class: record.Evidence, Reason: "因", By: "甲"}
	if err := a.Mark(t.Context(), mark); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the copy", func() bool { return a.Marks("cam1", start, c.now)[0].Kept })
	mark.ID, mark.To = "m2", start.Add(24*time.Hour)
	err := a.Mark(t.Context(), mark)
	if p, ok := station.AsProblem(err); !ok || p.Code != "evidence.full" {
		t.Fatalf("error %v", err)
	}
	if l := a.Lamps()[0]; l.Code != "storage.evidence-full" || l.State != station.LampBad {
		t.Errorf("lamp %+v", l)
	}
	if m := a.Marks("cam1", start, c.now); len(m) != 1 || m[0].ID != "m1" || m[0].By != "甲" {
		t.Errorf("marks %+v", m)
	}
	if err := a.Release("m1"); err != nil {
		t.Fatal(err)
	}
	if l := a.Lamps()[0]; l.Code != "storage.ok" {
		t.Errorf("lamp %+v", l)
	}
	for name, m := range map[string]record.Mark{
		"class":  {ID: "x", Camera: "cam1", From: start, To: c.now, Class: record.Continuous},
		"span":   {ID: "x", Camera: "cam1", From: start, To: start, Class: record.Event},
		"id":     {ID: "../x", Camera: "cam1", From: start, To: c.now, Class: record.Event},
		"camera": {ID: "x", From: start, To: c.now, Class: record.Event},
	} {
		if err := a.Mark(t.Context(), m); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}

//go:build unix

package record_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/agent/store/disk"
)

// onDisk is how many bytes the files below dir really take.
func onDisk(t testing.TB, dir string) disk.Bytes {
	t.Helper()
	var sum disk.Bytes
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // dropped meanwhile
		}
		if fi, err := d.Info(); err == nil {
			sum += disk.Bytes(fi.Sys().(*syscall.Stat_t).Blocks) * 512
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestQuotaThroughSeveralTurnovers(t *testing.T) {
	t.Parallel()
	cfg := smallConfig(t.TempDir())
	cfg.VolumeSize = disk.MiB
	cfg.MaxBytes = 8 * disk.MiB
	a := open(t, cfg)
	start := time.Now().Add(-time.Hour).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	var clips []string
	var bodies [][]byte
	var most disk.Bytes
	for n := 0; a.Usage().Stats.Bytes < 10*uint64(cfg.MaxBytes); n++ { // ten turnovers
		c.play(10 * time.Second)
		u := a.Usage()
		got := onDisk(t, filepath.Join(cfg.Dir, "volumes"))
		most = max(most, got)
		if u.Bytes > cfg.MaxBytes || got > cfg.MaxBytes+cfg.VolumeSize {
			t.Fatalf("the record takes %v, says %v, and may take %v", got, u.Bytes, cfg.MaxBytes)
		}
		if n%20 == 10 {
			id := fmt.Sprint("clip", n)
			clip, err := a.Clip(t.Context(), clipOf(id, c.now.Add(-20*time.Second), c.now.Add(-5*time.Second)))
			if err != nil || clip.Status != station.ClipReady {
				t.Fatalf("clip %+v, %v", clip, err)
			}
			body, err := os.ReadFile(export(t, a, id))
			if err != nil {
				t.Fatal(err)
			}
			clips, bodies = append(clips, id), append(bodies, body)
		}
	}
	u := a.Usage()
	t.Logf("recorded %d bytes, dropped %d volumes, at most %v on the disk, %d clips", u.Stats.Bytes, u.Stats.Dropped, most, len(clips))
	if u.Stats.Dropped < 16 || len(clips) < 3 {
		t.Errorf("%d volumes dropped, %d clips", u.Stats.Dropped, len(clips))
	}
	if u.Oldest.Before(start.Add(time.Minute)) || u.DaysKept <= 0 {
		t.Errorf("usage %+v", u)
	}
	if n := u.Stats.Skipped + u.Stats.Damaged + u.Stats.SetAside; n != 0 {
		t.Errorf("stats %+v", u.Stats)
	}
	// The spans of the clips, and behind them one unbroken span of what is left.
	if spans, _ := a.Timeline("cam1", start, c.now); len(spans) != len(clips) && len(spans) != len(clips)+1 || c.now.Sub(spans[len(spans)-1].From) < time.Minute {
		t.Errorf("spans %v", spans)
	}
	c.stop()
	a.stop()
	a = open(t, cfg)
	for i, id := range clips {
		body, err := os.ReadFile(export(t, a, id))
		if err != nil || !bytes.Equal(body, bodies[i]) {
			t.Errorf("clip %s is not what it was: %v", id, err)
		}
	}
}

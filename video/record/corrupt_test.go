package record_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
)

// recorded records for so long into several volumes and closes the archive.
func recorded(t *testing.T, dir string, d time.Duration) (start, end time.Time) {
	t.Helper()
	a := open(t, smallConfig(dir))
	start = time.Now().Add(-10 * time.Minute).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(d)
	c.await()
	c.stop()
	a.stop()
	return start, c.now
}

func damage(t *testing.T, path string, at float64, with string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(with), int64(at*float64(fi.Size()))); err != nil {
		t.Fatal(err)
	}
}

// damageLog damages the one volume that there is.
func damageLog(t *testing.T, dir string, at float64) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "volumes", "v*", "*.vlog"))
	if err != nil || len(logs) != 1 {
		t.Fatal(logs, err)
	}
	damage(t, logs[0], at, "this is not what was written")
}

func TestDamagedFragmentIsLeftOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start, end := recorded(t, dir, 30*time.Second)
	damageLog(t, dir, 0.5)
	a := open(t, smallConfig(dir))
	holes, count := 0, 0
	for f, err := range a.Fragments("cam1", start, end) {
		if err != nil {
			t.Fatal(err)
		}
		count++
		if f.Gap > 0 {
			holes++
		}
	}
	if n := a.Usage().Stats.Damaged; n != 1 || holes != 1 || count != 14 {
		t.Errorf("%d damaged, %d holes, %d fragments", n, holes, count)
	}
	clip, err := a.Clip(t.Context(), clipOf("c", start, end))
	if err != nil || clip.Status != station.ClipReady || !near(clip.Gaps, 2*time.Second, 50*time.Millisecond) {
		t.Fatalf("clip %+v, %v", clip, err)
	}
	if pictures, duration := probe(t, export(t, a, "c")); pictures != 700 || !near(duration, 30*time.Second, 50*time.Millisecond) {
		t.Errorf("%d pictures in %v", pictures, duration)
	}
}

func TestVolumeThatCannotBeOpenedIsSetAside(t *testing.T) {
	t.Parallel()
	for name, break1 := range map[string]func(t *testing.T, dir string){
		"manifest": func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, "MANIFEST"), 10); err != nil {
				t.Fatal(err)
			}
		},
		"table": func(t *testing.T, dir string) {
			tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
			if err != nil || len(tables) == 0 {
				t.Fatal(tables, err)
			}
			damage(t, tables[0], 0.5, "!!!!")
		},
		"log": func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "000001.vlog")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			start, end := recorded(t, dir, 150*time.Second)
			volumes, err := filepath.Glob(filepath.Join(dir, "volumes", "v*"))
			if err != nil || len(volumes) < 3 {
				t.Fatal(volumes, err)
			}
			break1(t, volumes[1])
			a := open(t, smallConfig(dir))
			count := 0
			for _, err := range a.Fragments("cam1", start, end) {
				if err != nil {
					t.Fatal(err)
				}
				count++
			}
			if u := a.Usage(); u.Aside != 1 || u.Stats.SetAside != 1 || count < 20 || count > 60 {
				t.Errorf("%d fragments, usage %+v", count, u)
			}
			if l := a.Lamps()[0]; l.State != station.LampWarn || l.Code != "storage.video-damaged" {
				t.Errorf("lamp %+v", l)
			}
			if _, err := os.Stat(volumes[1] + ".bad"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestVolumeWithoutSealIsRecovered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start, end := recorded(t, dir, 30*time.Second)
	seals, err := filepath.Glob(filepath.Join(dir, "volumes", "v*", "seal"))
	if err != nil || len(seals) != 1 {
		t.Fatal(seals, err)
	}
	damage(t, seals[0], 0.3, "x")
	a := open(t, smallConfig(dir))
	waitFor(t, "the recovery", func() bool { return len(a.Cameras()) == 1 })
	spans, _ := a.Timeline("cam1", start, end)
	if len(spans) != 1 || !near(spans[0].To.Sub(spans[0].From), 30*time.Second, 50*time.Millisecond) {
		t.Errorf("spans %v", spans)
	}
}

func TestDamagedClipIsSetAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start, _ := recorded(t, dir, 20*time.Second)
	a := open(t, smallConfig(dir))
	for _, id := range []string{"c1", "c2"} {
		if _, err := a.Clip(t.Context(), clipOf(id, start, start.Add(10*time.Second))); err != nil {
			t.Fatal(err)
		}
	}
	a.stop()
	damage(t, filepath.Join(dir, "films", "c1"), 0.5, "!!!!")
	a = open(t, smallConfig(dir))
	if n := a.Usage().Stats.SetAside; n != 1 {
		t.Errorf("%d are set aside", n)
	}
	if got := strings.Join(a.Clips(), " "); got != "c2" {
		t.Errorf("clips %s", got)
	}
	// It is made again, as long as the record has it.
	c, err := a.Clip(t.Context(), clipOf("c1", start, start.Add(10*time.Second)))
	if err != nil || c.Status != station.ClipReady {
		t.Errorf("clip %+v, %v", c, err)
	}
}

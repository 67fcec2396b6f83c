package record_test

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"stationd/agent/store/disk"
)

// month writes the seals of thirty days of sixteen cameras at 2 Mbit/s: some 330
// volumes of a gigabyte a day, each with a span of every camera and now and then a
// gap. The films are not there; the index is what is tried.
func month(t testing.TB, dir string, start time.Time) (volumes int) {
	t.Helper()
	const cameras, days, perDay = 16, 30, 330
	step := 24 * time.Hour / perDay
	type object = map[string]any
	for n := range days * perDay {
		from := start.Add(time.Duration(n) * step)
		tracks := object{}
		for c := range cameras {
			spans := []object{{"from": from, "to": from.Add(step)}}
			var gaps []object
			if (n+c)%40 == 0 {
				spans = []object{{"from": from, "to": from.Add(step / 2)}, {"from": from.Add(step/2 + 5*time.Second), "to": from.Add(step)}}
				gaps = []object{{"from": from.Add(step / 2), "to": from.Add(step/2 + 5*time.Second), "reason": "lost"}}
			}
			tracks[fmt.Sprintf("cam%02d", c)] = object{"spans": spans, "gaps": gaps, "fragments": 121, "bytes": 65 << 20}
		}
		about, err := json.Marshal(object{"created": from, "tracks": tracks})
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(object{"version": 1, "about": json.RawMessage(about), "files": []object{
			{"name": "000001.vlog", "size": 1 << 30}, {"name": "000001.sst", "size": 300000, "crc": 1}, {"name": "MANIFEST", "size": 50, "crc": 2}, {"name": "KEYREGISTRY", "size": 28, "crc": 3},
		}})
		if err != nil {
			t.Fatal(err)
		}
		v := filepath.Join(dir, "volumes", fmt.Sprintf("v%010d", n+1))
		if err := os.MkdirAll(v, 0o700); err != nil {
			t.Fatal(err)
		}
		body = fmt.Appendf(nil, "%08x\n%s\n", crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)), body)
		if err := os.WriteFile(filepath.Join(v, "seal"), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return days * perDay
}

func monthConfig(dir string) (cfg config) {
	cfg = smallConfig(dir)
	cfg.VolumeSize = disk.GiB
	cfg.MaxBytes = 100 * disk.TiB
	cfg.PreRollMaxBytes = disk.GiB
	cfg.ScrubRate = 0
	return cfg
}

// A month of sixteen cameras is opened in a moment, takes little memory, and a day
// of it is listed without touching what lies on the disk.
func TestIndexOfAMonth(t *testing.T) {
	dir := t.TempDir()
	start := time.Now().Add(-30 * 24 * time.Hour).Truncate(time.Second)
	volumes := month(t, dir, start)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	a := openStill(t, monthConfig(dir))
	runtime.GC()
	runtime.ReadMemStats(&after)
	perDay := float64(after.HeapAlloc-before.HeapAlloc) / (16 * 30)
	t.Logf("%d volumes; %.0f KiB of memory for a camera's day", volumes, perDay/1024)
	if perDay > 256<<10 {
		t.Errorf("a camera's day takes %.0f bytes of memory", perDay)
	}
	if got := len(a.Cameras()); got != 16 {
		t.Fatalf("%d cameras", got)
	}
	noon := start.Add(15 * 24 * time.Hour)
	listing := func() {
		spans, gaps := a.Timeline("cam07", noon, noon.Add(24*time.Hour))
		if len(spans) != len(gaps)+1 || len(gaps) < 7 || len(gaps) > 9 {
			t.Fatalf("%d spans, %d gaps", len(spans), len(gaps))
		}
	}
	// What a listing costs follows what it lists, not what there is.
	if n := testing.AllocsPerRun(10, listing); n > 40 {
		t.Errorf("a day's listing allocates %v times", n)
	}
	if days := a.Days("cam07", start, start.Add(30*24*time.Hour)); len(days) < 30 || len(days) > 31 {
		t.Errorf("%d days", len(days))
	}
	files, err := os.ReadDir(filepath.Join(dir, "volumes", "v0000000001"))
	if err != nil || len(files) != 1 {
		t.Errorf("the index touched the volumes: %v, %v", files, err)
	}
}

func BenchmarkOpenMonth(b *testing.B) {
	dir := b.TempDir()
	month(b, dir, time.Now().Add(-30*24*time.Hour))
	for b.Loop() {
		openStill(b, monthConfig(dir))
	}
}

func BenchmarkListDay(b *testing.B) {
	dir := b.TempDir()
	start := time.Now().Add(-30 * 24 * time.Hour)
	month(b, dir, start)
	a := openStill(b, monthConfig(dir))
	for b.Loop() {
		a.Timeline("cam07", start.Add(15*24*time.Hour), start.Add(16*24*time.Hour))
	}
}

func BenchmarkDaysOfMonth(b *testing.B) {
	dir := b.TempDir()
	start := time.Now().Add(-30 * 24 * time.Hour)
	month(b, dir, start)
	a := openStill(b, monthConfig(dir))
	for b.Loop() {
		a.Days("cam07", start, start.Add(30*24*time.Hour))
	}
}

// BenchmarkSeek goes to moments all over a record of two hours in small volumes.
func BenchmarkSeek(b *testing.B) {
	a := open(b, smallConfig(b.TempDir()))
	start := time.Now().Add(-2 * time.Hour)
	c := newCamera(b, a, "cam1", start, film(b))
	c.play(50 * time.Minute)
	c.await()
	n := 0
	for b.Loop() {
		if _, ok := a.Seek("cam1", start.Add(time.Duration(n*7919%3000)*time.Second)); !ok {
			b.Fatal("not found")
		}
		n++
	}
}

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
	"stationd/video/record"
)

// month writes the seals of thirty days of sixteen cameras at 2 Mbit/s: some 330
// volumes of a gigabyte a day, each with a span of every camera and now and then a
// gap. The films are not there; the index is what is tried.
func month(t testing.TB, dir string, start time.Time) (seals [][]byte) {
	t.Helper()
	const cameras, days, perDay = 16, 30, 330
	const step = 24 * time.Hour / perDay
	span := func(b []byte, from, to time.Time) []byte {
		b = append(from.AppendFormat(append(b, `{"from":"`...), time.RFC3339Nano), `","to":"`...)
		return append(to.AppendFormat(b, time.RFC3339Nano), `"`...)
	}
	root := filepath.Join(dir, "volumes")
	if err := os.MkdirAll(root, 0o700); err != nil {
		t.Fatal(err)
	}
	for n := range days * perDay {
		from := start.Add(time.Duration(n) * step)
		b := []byte(`{"version":1,"files":[{"name":"000001.vlog","size":1073741824},{"name":"000001.sst","size":300000,"crc":1},{"name":"MANIFEST","size":50,"crc":2},{"name":"KEYREGISTRY","size":28,"crc":3}],"about":{"created":"`)
		b = append(from.AppendFormat(b, time.RFC3339Nano), `","tracks":{`...)
		for c := range cameras {
			b = fmt.Appendf(b, `"cam%02d":{"spans":[`, c)
			if (n+c)%40 == 0 {
				half := from.Add(step / 2)
				b = append(span(b, from, half), `},`...)
				b = append(span(b, half.Add(5*time.Second), from.Add(step)), `}],"gaps":[`...)
				b = append(span(b, half, half.Add(5*time.Second)), `,"reason":"lost"`...)
			} else {
				b = span(b, from, from.Add(step))
			}
			b = append(b, `}],"fragments":121,"bytes":68157440},`...)
		}
		b = append(b[:len(b)-1], `}}}`...)
		v := filepath.Join(root, fmt.Sprintf("v%010d", n+1))
		if err := os.Mkdir(v, 0o700); err != nil {
			t.Fatal(err)
		}
		seals = append(seals, b)
		b = fmt.Appendf(nil, "%08x\n%s\n", crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)), b)
		if err := os.WriteFile(filepath.Join(v, "seal"), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return seals
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
	seals := month(t, dir, start)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	a := openStill(t, monthConfig(dir))
	opening := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	for range 2 { // the best of three: others use the disk too
		began = time.Now()
		openStill(t, monthConfig(dir))
		opening = min(opening, time.Since(began))
	}
	// Opening costs little more than it would take to read the same seals as any JSON,
	// one after the other, out of memory: so much is asked of every machine.
	began = time.Now()
	for i, text := range seals {
		var what any
		if err := json.Unmarshal(text, &what); err != nil {
			t.Fatal(err)
		}
		if i%100 > 0 {
			continue
		}
		if quick, agree, err := record.ReadSealText(text); !quick || !agree || err != nil {
			t.Fatalf("quick %v, agree %v, %v: %s", quick, agree, err, text)
		}
	}
	plain := time.Since(began)
	if opening > plain*3/2 {
		t.Errorf("opening took %v; to read the seals as JSON, %v", opening, plain)
	}
	perDay := float64(after.HeapAlloc-before.HeapAlloc) / (16 * 30)
	t.Logf("%d volumes: opened in %v (their seals as JSON: %v); %.0f KiB of memory for a camera's day", len(seals), opening, plain, perDay/1024)
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

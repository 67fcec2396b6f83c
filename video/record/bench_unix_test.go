//go:build unix

package record_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"stationd/agent/store/disk"
)

// heavy is two seconds of a camera with 8 Mbit/s: the film's parameter sets, and
// pictures of which only the first bytes are true.
func heavy(b *testing.B) [][][]byte {
	r := rand.New(rand.NewPCG(3, 4))
	source := film(b)[:50]
	units := make([][][]byte, len(source))
	for i, unit := range source {
		size := 34 << 10
		if i == 0 {
			size = 300 << 10
		}
		for _, n := range unit {
			if t := n[0] & 0x1f; t == 1 || t == 5 {
				big := make([]byte, size)
				for k := range big {
					big[k] = byte(1 + r.UintN(255)) // no start codes
				}
				copy(big, n[:min(len(n), 64)])
				n = big
			}
			units[i] = append(units[i], n)
		}
	}
	return units
}

// BenchmarkRecord measures a camera's way from the stream into a volume on the
// disk: MB/s, the share of one core that 50 Mbit/s of cameras would take, and
// bytes on the disk for each byte of H.264.
func BenchmarkRecord(b *testing.B) {
	cfg := smallConfig(b.TempDir())
	cfg.VolumeSize = 256 * disk.MiB
	cfg.MaxBytes = 8 * disk.GiB
	a := open(b, cfg)
	units := heavy(b)
	c := newCamera(b, a, "cam1", time.Now().Add(-100*time.Hour), units)
	size := 0
	for _, unit := range units {
		for _, n := range unit {
			size += len(n)
		}
	}
	c.play(2 * time.Second)
	b.SetBytes(int64(size))
	cpu, written := cpuTime(b), writtenBytes(b)
	for b.Loop() {
		c.play(2 * time.Second)
	}
	c.await()
	spent := cpuTime(b) - cpu
	bytes := float64(size) * float64(b.N)
	const line = 50e6 / 8
	b.ReportMetric(100*spent.Seconds()/(bytes/line), "%core@50Mbit/s")
	c.stop()
	a.stop()
	b.ReportMetric((writtenBytes(b)-written)/bytes, "written-bytes/byte")
	b.ReportMetric(float64(onDisk(b, filepath.Join(cfg.Dir, "volumes")))/(bytes+float64(size)), "disk-bytes/byte")
}

// BenchmarkClip measures making a clip of 30 s at 8 Mbit/s, durable.
func BenchmarkClip(b *testing.B) {
	cfg := smallConfig(b.TempDir())
	cfg.VolumeSize = 256 * disk.MiB
	cfg.MaxBytes = 8 * disk.GiB
	cfg.ClipsMaxBytes = 8 * disk.GiB
	a := open(b, cfg)
	start := time.Now().Add(-time.Hour)
	c := newCamera(b, a, "cam1", start, heavy(b))
	c.play(time.Minute)
	c.await()
	for b.Loop() {
		clip, err := a.Clip(b.Context(), clipOf("c", start.Add(10*time.Second), start.Add(40*time.Second)))
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(clip.Size)
		if err := a.RemoveClip("c"); err != nil {
			b.Fatal(err)
		}
	}
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// writtenBytes is what the process has sent to the disk, memory maps included;
// zero where the system does not tell.
func writtenBytes(b testing.TB) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	}
	return 0
}

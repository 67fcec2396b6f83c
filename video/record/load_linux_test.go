package record_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"stationd/agent/store/disk"
	"stationd/video/record"
)

// gop is two seconds of a camera with so many bits a second: the film's pictures,
// of which only the first bytes are true.
func gop(t testing.TB, bits int) [][][]byte {
	t.Helper()
	source := film(t)[:50]
	perGop := bits / 8 * 2
	units := make([][][]byte, len(source))
	for i, unit := range source {
		size := perGop * 4 / 5 / 49
		if i == 0 {
			size = perGop / 5
		}
		for _, n := range unit {
			if k := n[0] & 0x1f; k == 1 || k == 5 {
				big := make([]byte, size)
				for j := range big {
					big[j] = byte(1 + (j*31+i)%254) // no start codes
				}
				copy(big, n[:min(len(n), 64)])
				n = big
			}
			units[i] = append(units[i], n)
		}
	}
	return units
}

// status reads a figure of the process in KiB.
func status(t testing.TB, name string) float64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("%s is not told", name)
	return 0
}

// TestLoad records sixteen cameras of 2 Mbit/s, and twelve of 4: what is written to
// the disk is hardly more than the film, the memory stays what it was after the
// first minute, and the quota holds. With STATIOND_LONG it lasts twenty minutes at
// the pace of the cameras, in volumes as a station has them; otherwise 72 seconds of
// film in small ones, as fast as it goes.
func TestLoad(t *testing.T) {
	for _, x := range []struct{ cameras, bits int }{{16, 2e6}, {12, 4e6}} {
		t.Run(fmt.Sprintf("%d of %d Mbit/s", x.cameras, x.bits/1e6), func(t *testing.T) {
			cfg := smallConfig(t.TempDir())
			cfg.VolumeSize, cfg.MaxBytes = 48*disk.MiB, 192*disk.MiB
			cfg.ScrubRate = 0
			length, long := 72*time.Second, os.Getenv("STATIOND_LONG") != ""
			if long {
				cfg.VolumeSize, cfg.MaxBytes = record.DefaultConfig().VolumeSize, 7*record.DefaultConfig().VolumeSize/2
				length = 20 * time.Minute
			}
			third := length / 3 // by then the memory is what it will be
			if long {
				third = time.Minute
			}
			a := open(t, cfg)
			units := gop(t, x.bits)
			size := 0
			for _, u := range units {
				for _, n := range u {
					size += len(n)
				}
			}
			start := time.Now().Add(-length)
			if long {
				start = time.Now()
			}
			streams := make([]*camera, x.cameras)
			for i := range streams {
				streams[i] = newCamera(t, a, fmt.Sprintf("cam%02d", i), start, units)
			}
			written := writtenBytes(t)
			var minute float64
			fed := 0
			for at := time.Duration(0); at < length; at += 2 * time.Second {
				for _, c := range streams {
					c.feed(2 * time.Second)
					fed += size
				}
				if long {
					time.Sleep(time.Until(start.Add(at + 2*time.Second)))
				}
				for _, c := range streams {
					sent := c.now
					waitFor(t, "the recorder to follow", func() bool { return a.Behind(c.id, sent) < 100*time.Millisecond })
				}
				if at == third {
					minute = status(t, "RssAnon")
				}
				if u := a.Usage(); u.Bytes > cfg.MaxBytes {
					t.Fatalf("the record takes %v", u.Bytes)
				}
			}
			end := status(t, "RssAnon")
			if got := onDisk(t, filepath.Join(cfg.Dir, "volumes")); got > cfg.MaxBytes+cfg.VolumeSize {
				t.Errorf("%v are on the disk", got)
			}
			for _, c := range streams {
				c.stop()
			}
			a.stop()
			amplified := (writtenBytes(t) - written) / float64(fed)
			u := a.Usage()
			t.Logf("%d MiB of film, %.3f bytes written for each, memory %.0f MiB early on and %.0f at the end, %d volumes dropped",
				fed>>20, amplified, minute/1024, end/1024, u.Stats.Dropped)
			if amplified > 1.15 || amplified < 0.9 {
				t.Errorf("%.3f bytes are written for each of the film", amplified)
			}
			if end > 1.3*minute+16<<10 {
				t.Errorf("memory grew from %.0f to %.0f KiB", minute, end)
			}
			if u.Stats.Skipped+u.Stats.SetAside+u.Stats.Damaged != 0 || u.Stats.Dropped == 0 {
				t.Errorf("stats %+v", u.Stats)
			}
		})
	}
}

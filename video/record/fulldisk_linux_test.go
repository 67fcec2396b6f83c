package record_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"stationd/agent/station"
	"stationd/agent/store/disk"
	"stationd/video/record"
)

// mounted makes a file system of its own on a loop device.
func mounted(t *testing.T, size disk.Bytes) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts a file system on a loop device; run it as root: sudo -E go test ./video/record")
	}
	image := filepath.Join(t.TempDir(), "disk")
	dir := t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, int64(size)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", image},
		{"mount", "-o", "loop", image, dir},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%sit needs mkfs.ext4 (apt-get install -y e2fsprogs) and loop devices (in a container: --privileged)", strings.Join(args, " "), err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
		}
	})
	return dir
}

func free(t testing.TB, dir string) disk.Bytes {
	t.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	return disk.Bytes(s.Bavail) * disk.Bytes(s.Bsize)
}

// fill writes what is free now but for so much, or to the last byte when that is
// nothing. What is freed meanwhile is left alone, or it would eat the record.
func fill(t testing.TB, dir string, left disk.Bytes) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "filler"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 64<<10)
	much := free(t, dir) - left
	for written := disk.Bytes(0); len(buf) > 0 && (left == 0 || written < much); {
		n, err := f.Write(buf)
		if err != nil {
			buf = buf[:len(buf)/2]
		}
		written += disk.Bytes(n)
	}
	if err := f.Sync(); err != nil && left > 0 {
		t.Fatal(err)
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := mounted(t, 256*disk.MiB)
	cfg := smallConfig(filepath.Join(dir, "record"))
	cfg.VolumeSize = 8 * disk.MiB
	cfg.MaxBytes = disk.GiB
	cfg.SyncEvery = 100 * time.Millisecond
	a := open(t, cfg)
	start := time.Now().Add(-5 * time.Hour).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))

	// Others fill the disk: the oldest goes, and recording goes on.
	c.play(20 * time.Minute)
	before := a.Usage()
	fill(t, dir, cfg.MinFree-8*disk.MiB)
	c.play(5 * time.Minute)
	u := a.Usage()
	t.Logf("before: %d volumes; with little space: %d volumes, %d dropped, %v free", before.Volumes, u.Volumes, u.Stats.Dropped, u.Free)
	if before.Stats.Dropped != 0 || u.Stats.Dropped == 0 || u.Stopped || u.Stats.Skipped != 0 {
		t.Errorf("before %+v, then %+v", before, u)
	}

	// To the last byte: everything goes, recording stops and says so. What is
	// written meanwhile goes to blocks that are there already.
	for range 20 {
		fill(t, dir, 0)
		c.feed(10 * time.Second)
		time.Sleep(cfg.SyncEvery)
	}
	waitFor(t, "recording to stop", func() bool {
		fill(t, dir, 0)
		return a.Lamps()[0].Code == "storage.video-stopped"
	})
	c.feed(10 * time.Second)
	if u = a.Usage(); u.Volumes != 0 || !u.Stopped {
		t.Errorf("stopped: %+v", u)
	}
	if _, err := a.Clip(t.Context(), clipOf("c1", c.now.Add(-time.Minute), c.now.Add(-30*time.Second))); err != nil {
		t.Errorf("a clip of nothing: %v", err)
	}

	// There is space again: recording goes on by itself, and the gap says why.
	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}
	resumed := c.now
	c.play(time.Minute)
	waitFor(t, "the lamp", func() bool { return a.Lamps()[0].Code == "storage.ok" })
	_, gaps := a.Timeline("cam1", start, c.now)
	if len(gaps) == 0 || gaps[len(gaps)-1].Reason != record.GapSpace || gaps[len(gaps)-1].To.After(resumed.Add(5*time.Second)) {
		t.Errorf("gaps %+v", gaps)
	}
	clip, err := a.Clip(t.Context(), clipOf("c2", c.now.Add(-40*time.Second), c.now.Add(-10*time.Second)))
	if err != nil || clip.Status != station.ClipReady {
		t.Fatalf("clip %+v, %v", clip, err)
	}
	probe(t, export(t, a, "c2"))
}

func TestStartOnAFullDisk(t *testing.T) {
	t.Parallel()
	dir := mounted(t, 256*disk.MiB)
	cfg := smallConfig(filepath.Join(dir, "record"))
	for round := range 3 {
		// A run is killed on a disk that is full to the last byte.
		child(t, cfg.Dir, 2500*time.Millisecond, func() { fill(t, dir, 0) })
		fill(t, dir, 0)
		began := time.Now()
		a := open(t, cfg)
		waitFor(t, "the start", func() bool { u := a.Usage(); return u.Stopped || u.Free > 0 })
		t.Logf("round %d: after %v %+v", round, time.Since(began), a.Usage())
		if u := a.Usage(); u.Stats.SetAside != 0 {
			t.Errorf("usage %+v", u)
		}
		a.stop()
		if round == 1 {
			continue // again on the full disk
		}
		if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
			t.Fatal(err)
		}
		a = open(t, cfg)
		c := newCamera(t, a, "cam1", time.Now().Add(-time.Minute), film(t))
		c.play(10 * time.Second)
		a.stop()
	}
}

// A clip is worth more than the rolling record.
func TestRecordGivesWayToClip(t *testing.T) {
	t.Parallel()
	dir := mounted(t, 200*disk.MiB)
	cfg := smallConfig(filepath.Join(dir, "record"))
	cfg.MaxBytes = disk.GiB
	cfg.ClipsMinFree = cfg.MinFree - 4*disk.MiB
	a := open(t, cfg)
	start := time.Now().Add(-5 * time.Hour).Round(0)
	c := newCamera(t, a, "cam1", start, film(t))
	c.play(15 * time.Minute)
	fill(t, dir, cfg.MinFree+6*disk.MiB)
	was := a.Usage()
	clip, err := a.Clip(t.Context(), clipOf("c", c.now.Add(-80*time.Second), c.now.Add(-10*time.Second)))
	if err != nil || clip.Status != station.ClipReady || clip.Cause != "" {
		t.Fatalf("clip %+v, %v", clip, err)
	}
	if u := a.Usage(); u.Volumes >= was.Volumes || u.Stats.Skipped != 0 {
		t.Errorf("before %+v, after %+v", was, u)
	}
	probe(t, export(t, a, "c"))
}

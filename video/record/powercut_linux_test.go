package record_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/agent/store/disk"
)

// TestPowerCut copies the disk as it is while the recorder stands still, without
// what the system has not written yet, and starts from the copy.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	image := filepath.Join(t.TempDir(), "image")
	mount := mountedOn(t, image, 160*disk.MiB)
	for cut, alive := range []time.Duration{4300 * time.Millisecond, 7100 * time.Millisecond} {
		dir := filepath.Join(mount, "record-"+strconv.Itoa(cut))
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "STATIOND_RECORD_CHILD="+dir)
		cmd.Stderr = t.Output()
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var last int64
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			var first int64
			for lines := bufio.NewScanner(out); lines.Scan(); {
				last, _ = strconv.ParseInt(lines.Text(), 10, 64)
				if first == 0 {
					first = last
				}
				if last-first > int64(alive) {
					_ = cmd.Process.Signal(syscall.SIGSTOP)
					return
				}
			}
		}()
		<-heard
		copied := filepath.Join(t.TempDir(), "image")
		if b, err := exec.Command("cp", "--sparse=always", image, copied).CombinedOutput(); err != nil {
			t.Fatalf("cp: %v\n%s", err, b)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()

		began := time.Now()
		a := open(t, smallConfig(filepath.Join(attach(t, copied), filepath.Base(dir))))
		lastAt := time.Unix(0, last)
		waitFor(t, "the recovery", func() bool { s, _ := a.Timeline("cam1", time.Time{}, lastAt); return len(s) > 0 })
		took := time.Since(began)
		spans, _ := a.Timeline("cam1", time.Time{}, lastAt.Add(time.Hour))
		lost := lastAt.Sub(spans[len(spans)-1].To)
		t.Logf("cut after %v: %v lost, open after %v", alive, lost, took)
		if lost > 4*time.Second+200*time.Millisecond || len(spans) != 1 {
			t.Errorf("%v are lost, spans %v", lost, spans)
		}
		if u := a.Usage(); u.Stats.SetAside != 0 || u.Aside != 0 {
			t.Errorf("a power cut is no damage: %+v", u.Stats)
		}
		clip, err := a.Clip(t.Context(), clipOf("c", spans[0].From, spans[0].To))
		if err != nil || clip.Status != station.ClipReady {
			t.Fatalf("clip %+v, %v", clip, err)
		}
		probe(t, export(t, a, "c"))
		a.stop()
	}
}

// mountedOn makes a file system in a file of a given name.
func mountedOn(t *testing.T, image string, size disk.Bytes) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts a file system on a loop device; run it as root: sudo -E go test ./video/record")
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, int64(size)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-m", "0", image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v\n%s", err, out)
	}
	return attach(t, image)
}

func attach(t *testing.T, image string) string {
	t.Helper()
	dir := t.TempDir()
	args := []string{"mount", "-o", "loop", image, dir}
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
		}
	})
	return dir
}

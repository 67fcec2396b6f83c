package store_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"stationd/agent/station"
)

// smallDisk mounts a file system of its own.
func smallDisk(t *testing.T, size int64) (mount string) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	root(t, "mkfs.ext4", "-q", "-m", "0", image)
	return mountImage(t, image)
}

// root runs what only root may.
func root(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s\nThis test mounts a small disk: run it as root on a machine with loop devices and e2fsprogs (sudo -E make test).",
			name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func mountImage(t *testing.T, image string) (mount string) {
	t.Helper()
	mount = filepath.Join(filepath.Dir(image), "mount")
	if err := os.Mkdir(mount, 0o700); err != nil {
		t.Fatal(err)
	}
	device := root(t, "losetup", "-f", "--show", image)
	t.Cleanup(func() { _ = exec.Command("losetup", "-d", device).Run() })
	root(t, "mount", device, mount)
	t.Cleanup(func() {
		if err := exec.Command("umount", mount).Run(); err != nil {
			_ = exec.Command("umount", "-l", mount).Run()
		}
	})
	return mount
}

// fill writes a file until nothing more fits.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, n := range []int{1 << 20, 4096} {
		chunk := make([]byte, n)
		for {
			if _, err := f.Write(chunk); errors.Is(err, syscall.ENOSPC) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = f.Sync()
}

// desk watches what a child of kind "full" says.
type desk struct {
	t     *testing.T
	acked map[int]int
	lines chan string
	cmd   *exec.Cmd
	in    io.WriteCloser
}

func (d *desk) start(dir string) {
	d.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"="+dir, childKind+"=full")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if d.in, err = cmd.StdinPipe(); err != nil {
		d.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		rest := ""
		buf := make([]byte, 1<<16)
		for {
			n, err := out.Read(buf)
			rest += string(buf[:n])
			for {
				line, after, ok := strings.Cut(rest, "\n")
				if !ok {
					break
				}
				lines <- line
				rest = after
			}
			if err != nil {
				return
			}
		}
	}()
	d.cmd, d.lines = cmd, lines
}

// until reads on until done says so, n times in a row or not.
func (d *desk) until(what string, n int, done func(word string, w int, rest string) bool) {
	d.t.Helper()
	limit := time.After(2 * time.Minute) // a loaded machine is slow, not wrong
	last := ""
	for n > 0 {
		select {
		case line, ok := <-d.lines:
			if !ok {
				d.t.Fatalf("waiting for %s: the child ended: %v", what, d.cmd.Wait())
			}
			last = line
			if d.note(line, done) {
				n--
			}
			_, _ = d.in.Write([]byte{'\n'})
		case <-limit:
			d.t.Fatalf("waiting for %s, %d more: it did not come; last was %q", what, n, last)
		}
	}
}

func (d *desk) note(line string, done func(string, int, string) bool) bool {
	d.t.Helper()
	var word, rest string
	w := -1
	_, _ = fmt.Sscan(line, &word, &w, &rest)
	switch word {
	case "ack":
		var n int
		if _, err := fmt.Sscan(rest, &n); err == nil {
			d.acked[w] = n
		}
	case "error":
		d.t.Fatalf("the child says: %s", line)
	case "open":
		rest = strings.TrimPrefix(line, "open ")
	}
	return done != nil && done(word, w, rest)
}

func (d *desk) drain() {
	for line := range d.lines {
		d.note(line, nil)
	}
}

func TestFullDisk(t *testing.T) {
	mount := smallDisk(t, 96<<20)
	dir, filler := filepath.Join(mount, "data"), filepath.Join(mount, "filler")
	urgent, normal, bulk := 0, 1, 2 // the order of station.Lanes
	if lanes := station.Lanes(); lanes[0] != station.LaneUrgent || lanes[2] != station.LaneBulk {
		t.Fatal(lanes)
	}
	d := &desk{t: t, acked: make(map[int]int)}
	is := func(word string, lane int) func(string, int, string) bool {
		return func(w string, l int, _ string) bool { return w == word && l == lane }
	}

	d.start(dir)
	d.until("bulk taken in", 50, is("ack", bulk))
	fill(t, filler)
	d.until("bulk refused", 1, is("refused", bulk))
	d.until("normal refused", 1, is("refused", normal))
	d.until("urgent taken in on the reserve", 200, is("ack", urgent))

	t.Log("kill on the full disk, start again on it")
	_ = d.cmd.Process.Kill()
	d.drain()
	_ = d.cmd.Wait()
	d.start(dir)
	d.until("opened", 1, func(w string, _ int, _ string) bool { return w == "open" })
	d.until("urgent taken in after the start", 50, is("ack", urgent))
	d.until("bulk refused after the start", 1, is("refused", bulk))

	t.Log("until the reserve is used up")
	d.until("urgent refused", 3, func(w string, l int, level string) bool { return w == "refused" && l == urgent })

	t.Log("space returns")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	d.until("urgent taken in again", 50, is("ack", urgent))
	d.until("bulk taken in again", 50, is("ack", bulk))

	t.Log("a start on a full disk with the reserve whole")
	d.until("the reserve is taken again", 1, func(string, int, string) bool {
		fi, err := os.Stat(filepath.Join(dir, "reserve"))
		return err == nil && fi.Size() == int64(fullConfig(dir).Space.Reserve)
	})
	_ = d.cmd.Process.Kill()
	d.drain()
	_ = d.cmd.Wait()
	fill(t, filler)
	d.start(dir)
	d.until("opened by releasing the reserve", 1, func(w string, _ int, rest string) bool { return w == "open" && rest == "true" })
	d.until("urgent taken in", 20, is("ack", urgent))
	_ = os.Remove(filler)
	_ = d.in.Close()
	d.drain()
	if err := d.cmd.Wait(); err != nil {
		t.Fatalf("the child did not end well: %v", err)
	}

	cfg := fullConfig(dir)
	s := openStore(t, cfg)
	verify(t, s, d.acked)
	t.Logf("acknowledged: %v", d.acked)
}

// TestPowerCut copies the disk as it is while the writer stands still, without
// what the system has not written yet, and starts from the copy.
func TestPowerCut(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(image)
	must(t, err)
	must(t, errors.Join(f.Truncate(160<<20), f.Close()))
	root(t, "mkfs.ext4", "-q", "-m", "0", image)
	mount := mountImage(t, image)
	for cut := range 3 {
		dir := filepath.Join(mount, fmt.Sprint("data-", cut))
		cmd, lines := startChild(t, "crash", dir)
		acked := make(map[int]int)
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			for lines.Scan() {
				var w, n int
				if _, err := fmt.Sscan(lines.Text(), &w, &n); err == nil {
					acked[w] = n
				}
				if len(acked) == writers && acked[0] == 100+150*cut {
					_ = cmd.Process.Signal(syscall.SIGSTOP)
					return
				}
			}
		}()
		<-heard
		copied := filepath.Join(t.TempDir(), "image")
		root(t, "cp", "--sparse=always", image, copied)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		s := openStore(t, config(filepath.Join(mountImage(t, copied), filepath.Base(dir))))
		verify(t, s, acked)
		if r := s.Opened(); r.Quarantined != "" || r.Restored != "" {
			t.Errorf("a power cut is no damage: %+v", r)
		}
		must(t, s.Close())
		must(t, os.RemoveAll(dir))
	}
}

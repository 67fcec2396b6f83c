package record_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video/record"
	"stationd/video/stream"
	"stationd/video/videotest"
)

// recordUntilKilled is what the child of TestKill does: it records a camera and
// says when each picture came.
func recordUntilKilled(dir string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	a, err := record.Open(smallConfig(dir), slog.New(slog.NewTextHandler(os.Stderr, nil)))
	fail(err)
	films, err := videotest.Films()
	fail(err)
	go func() { fail(a.Run(context.Background())) }()
	s := stream.New(stream.Config{})
	go func() { fail(a.Record(context.Background(), "cam1", s)) }()
	began := time.Now()
	tick := time.NewTicker(videotest.Interval)
	for n := 0; ; n++ {
		now := <-tick.C
		s.Write(films[0].Units[n%len(films[0].Units)], now.Sub(began), now, false)
		fmt.Println(now.UnixNano())
	}
}

// child runs recordUntilKilled and kills it after a while; it returns when the
// last picture came.
func child(t *testing.T, dir string, alive time.Duration, before func()) time.Time {
	t.Helper()
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
	timer := time.AfterFunc(alive, func() {
		if before != nil {
			before()
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
	})
	defer timer.Stop()
	var last int64
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if last, err = strconv.ParseInt(lines.Text(), 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	err = cmd.Wait()
	if cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return time.Unix(0, last)
}

func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var lasts []time.Time
	for _, alive := range []time.Duration{3300 * time.Millisecond, 4700 * time.Millisecond, 6100 * time.Millisecond} {
		last := child(t, dir, alive, nil)
		lasts = append(lasts, last)

		a := open(t, smallConfig(dir))
		waitFor(t, "the recovery", func() bool {
			spans, _ := a.Timeline("cam1", last.Add(-3*time.Second), last)
			return len(spans) > 0
		})
		spans, _ := a.Timeline("cam1", time.Time{}, last.Add(time.Hour))
		end := spans[len(spans)-1].To
		t.Logf("after %v: %d volumes, lost %v", alive, a.Usage().Volumes, last.Sub(end))
		if lost := last.Sub(end); lost > 2*time.Second+2*videotest.Interval {
			t.Errorf("%v are lost", lost)
		}
		if n := a.Usage().Stats.SetAside; n != 0 {
			t.Errorf("%d volumes were set aside", n)
		}
		a.stop()
	}

	// Playback and a clip across the holes.
	a := open(t, smallConfig(dir))
	spans, gaps := a.Timeline("cam1", time.Time{}, time.Now())
	if len(spans) != 3 || len(gaps) != 2 || gaps[0].Reason != record.GapRestart {
		t.Errorf("spans %v, gaps %v", spans, gaps)
	}
	var film bytes.Buffer
	var init record.InitID
	holes := 0
	for f, err := range a.Fragments("cam1", spans[0].From, time.Now()) {
		if err != nil {
			t.Fatal(err)
		}
		if film.Len() == 0 {
			segment, err := a.Init(f.Init)
			if err != nil {
				t.Fatal(err)
			}
			film.Write(segment)
		}
		if f.Gap > 0 {
			holes++
			if !f.Key {
				t.Error("no key picture after a hole")
			}
		}
		init = f.Init
		film.Write(f.Data)
	}
	if holes != 2 || init.Volume < 3 {
		t.Errorf("%d holes, last volume %d", holes, init.Volume)
	}
	path := filepath.Join(t.TempDir(), "film.mp4")
	if err := os.WriteFile(path, film.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	decode(t, path)

	clip, err := a.Clip(t.Context(), clipOf("hole", lasts[0].Add(-2*time.Second), lasts[1].Add(-time.Second)))
	if err != nil || clip.Status != station.ClipReady || clip.Gaps == 0 {
		t.Fatalf("clip %+v, %v", clip, err)
	}
	_, duration := probe(t, export(t, a, "hole"))
	if !near(duration, clip.End.Sub(clip.Start), 20*time.Millisecond) {
		t.Errorf("duration %v of %v", duration, clip.End.Sub(clip.Start))
	}
}

// Package recordtest makes archives as stations have them after a month, so that
// tests need not wait for one.
package recordtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"stationd/video/record"
	"stationd/video/stream"
	"stationd/video/videotest"
)

// Month is the record of Cameras cameras over Days days: the seals of all the volumes
// that a station would have, four minutes of all cameras each; and at noon of each day
// a real volume with Length of real film of the first camera. What is asked of memory
// meets the whole month; what reads pictures finds real ones.
type Month struct {
	Begin   time.Time // of the first day
	Days    int
	Cameras int
	Film    videotest.Film
	Length  time.Duration
}

// Camera is the ID of the n-th camera.
func Camera(n int) string { return fmt.Sprintf("cam-%d", n) }

// Noon is when the real film of a day begins.
func (m Month) Noon(day int) time.Time { return m.Begin.AddDate(0, 0, day).Add(12 * time.Hour) }

const (
	volumeLasts = 4 * time.Minute
	perDay      = int(24 * time.Hour / volumeLasts)
	atOnce      = 6 // days are filmed at a time: a disk that syncs slowly lets them wait side by side
)

// Config is how the archive in dir is to be opened: nothing of it is dropped, and no
// scrub looks for what the seals without volumes promise.
func Config(dir string) record.Config {
	cfg := record.DefaultConfig()
	cfg.Dir = dir
	cfg.VolumeSize, cfg.MaxBytes = 8<<20, 64<<40
	cfg.MinFree, cfg.ClipsMinFree = 64<<20, 32<<20
	cfg.ScrubRate = 0
	return cfg
}

// Write makes the archive in dir, which nobody has open.
func (m Month) Write(dir string) error {
	volumes := filepath.Join(dir, "volumes")
	if err := os.MkdirAll(volumes, 0o700); err != nil {
		return err
	}
	errs := make([]error, m.Days)
	gate := make(chan struct{}, atOnce)
	var filming sync.WaitGroup
	for day := range m.Days {
		filming.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			errs[day] = m.film(day, filepath.Join(dir, fmt.Sprintf("filming-%d", day)), filepath.Join(volumes, volumeName(day*perDay+perDay/2)))
		})
	}
	for n := range m.Days * perDay {
		if n%perDay == perDay/2 {
			continue // the real one
		}
		first := 0
		if n%perDay == perDay/2-1 || n%perDay == perDay/2+1 {
			first = 1 // or who plays the film would read on in what is not there
		}
		if err := m.seal(filepath.Join(volumes, volumeName(n)), m.Begin.Add(time.Duration(n)*volumeLasts), first); err != nil {
			errs = append(errs, err)
			break
		}
	}
	filming.Wait()
	return errors.Join(errs...)
}

// volumeName is that of the n-th volume of the month.
func volumeName(n int) string { return fmt.Sprintf("v%010d", n+1) }

// film records a day's film with an archive of its own and takes the volume from it.
func (m Month) film(day int, dir, volume string) (err error) {
	defer func() {
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	a, err := record.Open(Config(dir), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	err = m.play(ctx, a, m.Noon(day))
	cancel()
	if err := errors.Join(err, <-ran, a.Close()); err != nil {
		return err
	}
	return os.Rename(filepath.Join(dir, "volumes", volumeName(0)), volume)
}

// play plays the film to the archive as fast as it is written.
func (m Month) play(ctx context.Context, a *record.Archive, from time.Time) error {
	pictures := stream.New(stream.Config{})
	recording, stop := context.WithCancel(ctx)
	recorded := make(chan error, 1)
	go func() { recorded <- a.Record(recording, Camera(0), pictures) }()
	defer func() { stop(); <-recorded }()
	if err := until("the recorder reads", func() bool { return pictures.Stats().Readers == 1 }); err != nil {
		return err
	}
	written := func(to time.Time, but time.Duration) error {
		return until("the record follows", func() bool {
			spans, _ := a.Timeline(Camera(0), from.Add(-time.Hour), from.Add(time.Hour))
			return len(spans) > 0 && to.Sub(spans[len(spans)-1].To) <= but
		})
	}
	for n, at := 0, time.Duration(0); at < m.Length; n, at = n+1, at+videotest.Interval {
		pictures.Write(m.Film.Units[n%len(m.Film.Units)], at, from.Add(at), false)
		if n%50 == 49 { // a reader that is far behind would skip
			if err := written(from.Add(at), 2100*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return written(from.Add(m.Length), 100*time.Millisecond)
}

func until(what string, holds func() bool) error {
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%s: never", what)
		}
	}
	return nil
}

// seal writes what a sealed volume says of itself and of the cameras from the first on;
// there is nothing behind it.
func (m Month) seal(dir string, at time.Time, first int) error {
	tracks := map[string]any{}
	for n := first; n < m.Cameras; n++ {
		tracks[Camera(n)] = map[string]any{
			"spans":     []record.Span{{From: at, To: at.Add(volumeLasts)}},
			"fragments": int(volumeLasts / (2 * time.Second)), "bytes": 60 << 20,
		}
	}
	body, err := json.Marshal(map[string]any{"version": 1, "files": []any{}, "about": map[string]any{"created": at, "tracks": tracks}})
	if err != nil {
		return err
	}
	text := fmt.Appendf(nil, "%08x\n%s\n", crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)), body)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "seal"), text, 0o600)
}

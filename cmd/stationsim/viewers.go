package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"stationd/video/peer/peertest"
)

// viewers watches a camera at the station's console as so many browsers would,
// and measures how soon pictures come and what of them is lost.
func viewers(ctx context.Context, args []string, out, errs io.Writer) error {
	flags := newFlags("viewers", "watch a camera of a station over WebRTC", errs)
	var at stationFlags
	camera := flags.String("camera", "", "the camera's `ID`; at a centre station.camera")
	count := flags.Int("count", 10, "`number` of viewers, at most 64")
	span := flags.Duration("for", time.Minute, "how long, at most 1h")
	at.add(flags, "http://127.0.0.1:8480")
	if err := parse(flags, args); err != nil {
		return err
	}
	if err := errors.Join(within("count", *count, 1, 64), within("for", *span, time.Second, time.Hour)); err != nil {
		return err
	}
	if *camera == "" {
		return wrongUsage("name the camera with --camera")
	}
	s, err := at.signIn(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	fmt.Fprintf(out, "%d viewers watch %s at %s for %s\n", *count, *camera, at.url, *span)

	ctx, cancel := context.WithTimeout(ctx, *span)
	defer cancel()
	all := make([]viewer, *count)
	var watching sync.WaitGroup
	for i := range all {
		watching.Go(func() { all[i].watch(ctx, s, *camera) })
	}
	watching.Wait()
	return summary(out, all)
}

// viewer is what one browser sees. Its fields are guarded by mu while pictures
// come, and free when watch has returned.
type viewer struct {
	mu      sync.Mutex
	began   time.Time
	first   time.Duration // until the first whole picture; 0 when none came
	last    time.Time
	whole   int
	broken  int           // pictures of which something was missing
	pause   time.Duration // the longest between two pictures
	packets int           // that should have come
	lost    int           // that did not, even when asked for again
	err     error
}

// watch watches until ctx ends.
func (v *viewer) watch(ctx context.Context, s *stationAPI, camera string) {
	browser, err := peertest.New(peertest.Config{Repair: true, Loopback: s.local(), OnPicture: v.see})
	if err != nil {
		v.err = err
		return
	}
	v.mu.Lock()
	v.began = time.Now()
	v.mu.Unlock()
	if err := browser.Watch(ctx, s.http, s.path("cameras", camera, "whep")); err != nil {
		v.err = err
		browser.Close()
		return
	}
	<-ctx.Done()
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := browser.Leave(leaving); err != nil {
		v.err = err
	}
	browser.Close()
	sequences, _ := browser.Sequences()
	v.packets, v.lost = missing(sequences)
}

// see takes a picture in.
func (v *viewer) see(p peertest.Picture) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case !p.Whole:
		v.broken++
		return
	case v.first == 0 && !p.Key:
		return // nothing can be shown yet
	case v.first == 0:
		v.first = p.At.Sub(v.began)
	default:
		v.pause = max(v.pause, p.At.Sub(v.last))
	}
	v.whole++
	v.last = p.At
}

// missing is how many packets there were from the first sequence number to the
// last, and how many of those are not there.
func missing(sequences []uint16) (all, lost int) {
	for i, s := range sequences {
		if i > 0 {
			lost += int(s - sequences[i-1] - 1)
		}
	}
	return len(sequences) + lost, lost
}

// summary prints what all saw, and returns an error when one saw nothing.
func summary(out io.Writer, all []viewer) error {
	var (
		first         latencies
		pictures      int
		broken        int
		packets, lost int
		pause         time.Duration
		blind         int
		cause         error
	)
	for i := range all {
		v := &all[i]
		if v.first > 0 {
			first.add(v.first)
		} else {
			blind++
		}
		if v.err != nil {
			cause = v.err
		}
		pictures += v.whole
		broken += v.broken
		packets += v.packets
		lost += v.lost
		pause = max(pause, v.pause)
	}
	fmt.Fprintf(out, "\nfirst picture     p50 %s  p95 %s  max %s\n", brief(first.quantile(50)), brief(first.quantile(95)), brief(first.most))
	fmt.Fprintf(out, "pictures          %d whole, %d broken; longest pause %s\n", pictures, broken, brief(pause))
	fmt.Fprintf(out, "packets           %d, of which %d lost for good\n", packets, lost)
	fmt.Fprintf(out, "without picture   %d of %d viewers\n", blind, len(all))
	switch {
	case cause != nil:
		return fmt.Errorf("%d of %d viewers saw nothing; the last fault: %w", blind, len(all), cause)
	case blind > 0:
		return fmt.Errorf("%d of %d viewers saw nothing", blind, len(all))
	}
	return nil
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"stationd/video/peer/peertest"
)

// viewers watches a camera as so many browsers would, at the station's console
// or at any WHEP server, and measures how soon pictures come, what of them is
// lost and what they cost a server of this machine.
func viewers(ctx context.Context, args []string, out, errs io.Writer) error {
	flags := newFlags("viewers", "watch a camera over WebRTC", errs)
	var (
		at stationFlags
		w  watching
	)
	flags.StringVar(&w.camera, "camera", "", "the camera's `ID`; at a centre station.camera")
	flags.StringVar(&w.whep, "whep", "", "watch at this `address` of a WHEP server in place of --camera; no sign-in is needed there")
	flags.IntVar(&w.count, "count", 10, "`number` of viewers, at most 64")
	flags.IntVar(&w.count, "n", 10, "the same")
	flags.DurationVar(&w.span, "for", time.Minute, "how long all of them watch, at most 1h")
	flags.DurationVar(&w.ramp, "ramp", 0, "in which time they come one after the other; 0 is 200ms for each")
	flags.IntVar(&w.pid, "pid", 0, "measure what they cost the process of this `ID` (Linux)")
	flags.IntVar(&w.receiveBuffer, "rcvbuf", 0, "receive buffer of a viewer's socket in `bytes`; 212992 is what Linux gives")
	flags.BoolVar(&w.repair, "repair", true, "ask for lost packets again, as browsers do")
	at.add(flags, "http://127.0.0.1:8480")
	if err := parse(flags, args); err != nil {
		return err
	}
	if err := errors.Join(
		within("count", w.count, 1, 64), within("for", w.span, time.Second, time.Hour), within("ramp", w.ramp, 0, time.Hour),
		within("rcvbuf", w.receiveBuffer, 0, 64<<20),
	); err != nil {
		return err
	}
	if (w.camera == "") == (w.whep == "") {
		return wrongUsage("name what to watch with --camera or --whep")
	}
	if w.ramp == 0 {
		w.ramp = time.Duration(w.count) * 200 * time.Millisecond
	}
	if w.whep != "" {
		u, err := url.Parse(w.whep)
		if err != nil || u.Host == "" {
			return wrongUsage("--whep: %q is no address such as http://127.0.0.1:8889/gate/whep", w.whep)
		}
		w.local = isLocal(u.Hostname())
	}
	w.client = http.DefaultClient
	if w.whep == "" || at.token != "" || at.account != "" {
		s, err := at.signIn(ctx)
		if err != nil {
			return err
		}
		defer s.close()
		w.client = s.http
		if w.whep == "" {
			w.whep, w.local = s.path("cameras", w.camera, "whep"), s.local()
		}
	} else {
		defer http.DefaultClient.CloseIdleConnections()
	}
	fmt.Fprintf(out, "%d viewers watch %s for %s\n", w.count, cmp.Or(w.camera, w.whep), w.span)
	return w.run(ctx, out)
}

// watching is one run.
type watching struct {
	camera, whep  string
	count         int
	span, ramp    time.Duration
	pid           int
	receiveBuffer int
	repair        bool
	client        *http.Client
	local         bool // the server is on this machine
}

// settle is how long a server is left alone before its memory is looked at.
const settle = 3 * time.Second

// run has the viewers come and go, and prints what they saw.
func (w *watching) run(ctx context.Context, out io.Writer) error {
	watch, leave := context.WithCancel(ctx)
	defer leave()
	all := make([]viewer, w.count)
	var there sync.WaitGroup
	// Not in step with the key pictures of the camera, which come every second or
	// two.
	apart := w.ramp / time.Duration(w.count)
	var one, many, begun process
	var err error
	for i := range all {
		if i == 1 && w.pid != 0 {
			wait(ctx, time.Now().Add(settle))
			one, err = measure(w.pid)
		}
		if i > 0 {
			wait(ctx, time.Now().Add(apart))
		}
		if ctx.Err() != nil || err != nil {
			break
		}
		there.Go(func() { all[i].watch(watch, w) })
	}
	if w.pid != 0 && err == nil {
		wait(ctx, time.Now().Add(settle))
		begun, err = measure(w.pid)
	}
	wait(ctx, time.Now().Add(w.span))
	if w.pid != 0 && err == nil {
		many, err = measure(w.pid)
	}
	leave()
	there.Wait()
	seen := summary(out, all)
	if w.pid != 0 && err == nil {
		w.cost(out, one, begun, many)
	}
	return errors.Join(seen, err)
}

// cost prints what the viewers cost the server: one is with one viewer, begun
// when all had come, and many before they left.
func (w *watching) cost(out io.Writer, one, begun, many process) {
	minutes := many.at.Sub(begun.at).Minutes() * float64(w.count)
	fmt.Fprintf(out, "processor         %.3f s per stream-minute\n", (many.cpu-begun.cpu).Seconds()/minutes)
	fmt.Fprintf(out, "memory            %.1f MB", mega(many.rss))
	if w.count > 1 {
		fmt.Fprintf(out, "; %.1f MB with one viewer, %.2f MB for each added", mega(one.rss), mega(many.rss-one.rss)/float64(w.count-1))
	}
	fmt.Fprintln(out)
}

func mega(n int64) float64 { return float64(n) / 1e6 }

// viewer is what one browser sees. Its fields are guarded by mu while pictures
// come, and free when watch has returned.
type viewer struct {
	mu      sync.Mutex
	shown   time.Time // when the first whole picture was there
	first   time.Duration
	last    time.Time
	whole   int
	broken  int           // pictures of which something was missing
	pause   time.Duration // the longest between two pictures
	packets int           // that should have come
	lost    int           // that did not, even when asked for again
	err     error
}

// watch watches until ctx ends.
func (v *viewer) watch(ctx context.Context, w *watching) {
	browser, err := peertest.New(peertest.Config{Repair: w.repair, Loopback: w.local, ReceiveBuffer: w.receiveBuffer, OnPicture: v.see})
	if err != nil {
		v.err = err
		return
	}
	if err := browser.Watch(ctx, w.client, w.whep); err != nil {
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
	if !v.shown.IsZero() {
		v.first = v.shown.Sub(browser.Posted())
	}
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
	case v.shown.IsZero() && !p.Key:
		return // nothing can be shown yet
	case v.shown.IsZero():
		v.shown = p.At
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
	fmt.Fprintf(out, "\nfirst picture     p50 %s  p95 %s  max %s after the offer was posted\n", brief(first.quantile(50)), brief(first.quantile(95)), brief(first.most))
	fmt.Fprintf(out, "pictures          %d whole, %d broken; longest pause %s\n", pictures, broken, brief(pause))
	fmt.Fprintf(out, "packets           %d, of which %d lost for good (%.2f %%)\n", packets, lost, 100*float64(lost)/float64(max(packets, 1)))
	fmt.Fprintf(out, "without picture   %d of %d viewers\n", blind, len(all))
	switch {
	case cause != nil:
		return fmt.Errorf("%d of %d viewers saw nothing; the last fault: %w", blind, len(all), cause)
	case blind > 0:
		return fmt.Errorf("%d of %d viewers saw nothing", blind, len(all))
	}
	return nil
}

package video_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video"
	"stationd/video/stream"
	"stationd/video/videotest"
)

// Acceptance: what a camera does to its viewers and its recording, and how soon
// they go on once it answers again. The camera's clock is years off all the
// while. A viewer's connection is never made anew, and neither is the recorder's.

// watcher reads a stream as the recorder does.
type watcher struct {
	units chan *stream.Unit
}

func follow(t *testing.T, n *node, camera string) *watcher {
	t.Helper()
	s, release, err := n.Watch(t.Context(), camera, station.RoleRecord)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := &watcher{units: make(chan *stream.Unit, 10_000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r := s.Read(stream.ReadOptions{Record: true})
		defer r.Close()
		for {
			u, err := r.Next(ctx)
			if err != nil {
				if !errors.Is(err, io.EOF) && ctx.Err() == nil {
					t.Error(err)
				}
				return
			}
			w.units <- u
		}
	}()
	t.Cleanup(func() { cancel(); <-done; release() })
	return w
}

// after is the first unit that came after a moment.
func (w *watcher) after(t *testing.T, at time.Time) *stream.Unit {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case u := <-w.units:
			if u.Arrival.After(at) {
				return u
			}
		case <-late:
			t.Fatal("the recording does not go on")
		}
	}
}

func TestOutages(t *testing.T) {
	t.Run("of a camera that begins with a key picture", func(t *testing.T) {
		t.Parallel()
		testOutages(t, true, false)
	})
	t.Run("of a camera that has to be asked for one", func(t *testing.T) {
		t.Parallel()
		testOutages(t, false, true)
	})
}

func testOutages(t *testing.T, keyOnPlay, asked bool) {
	rtsp := camerasOf(t, videotest.Config{
		Paths: map[string]string{"hall": "corridor"}, ClockOffset: -11 * 365 * 24 * time.Hour, Sound: videotest.SoundPCMA,
		KeyOnPlay: keyOnPlay,
	})
	var keys video.KeyAsker
	if asked {
		keys = rtsp
	}
	n := startAsking(t, nil, keys, func(*video.Config) {}) // with the times that a station has
	src := source(rtsp, "hall", "hall")
	n.Apply([]video.Source{src}, nil)
	n.said.until(t, "hall", station.CameraOnline)
	w := follow(t, n, "hall")
	v := watch(t, n.whep("hall"), "corridor", "porch")
	began := time.Now()
	v.sees(t, 25*11) // a good session, longer than ten seconds
	last := w.after(t, began)

	for _, c := range []struct {
		name   string
		outage func() // until the camera answers again
	}{
		{"cut for three seconds", func() {
			rtsp.Cut("hall")
			time.Sleep(3 * time.Second)
		}},
		{"hung for eight seconds", func() {
			rtsp.Hang("hall")
			time.Sleep(8 * time.Second)
		}},
		{"started again with another SSRC and size", func() {
			rtsp.Cut("hall")
			if err := rtsp.Become("hall", "porch"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
		}},
	} {
		c.outage()
		if err := rtsp.Restore("hall"); err != nil {
			t.Fatal(err)
		}
		back := time.Now()
		whole, _ := v.counts()
		eventually(t, c.name+": the viewer sees again", func() bool { now, _ := v.counts(); return now > whole })
		seen := time.Since(back)
		u := w.after(t, back)
		kept := u.Arrival.Sub(back)
		t.Logf("%s: seen again after %v, recorded after %v", c.name, seen.Round(time.Millisecond), kept.Round(time.Millisecond))
		if seen > time.Second || kept > time.Second {
			t.Errorf("%s: seen again after %v, recorded after %v; want a second at most", c.name, seen, kept)
		}
		if !u.Key || u.Damaged || u.PTS <= last.PTS {
			t.Errorf("%s: it goes on with key %v, damaged %v, at %v after %v", c.name, u.Key, u.Damaged, u.PTS, last.PTS)
		}
		// The timeline goes by the node's clock, whatever the camera's says.
		if off := u.Arrival.Sub(last.Arrival) - (u.PTS - last.PTS); off < -300*time.Millisecond || off > 300*time.Millisecond {
			t.Errorf("%s: the timeline is %v off", c.name, off)
		}
		began := time.Now()
		v.sees(t, 25*2)
		last = w.after(t, began)
	}
	if _, strange := v.counts(); strange > 0 {
		t.Errorf("%d pictures were not of the film", strange)
	}
	if all := n.said.of("hall"); all[len(all)-1].Width != 320 {
		t.Errorf("the size is told as %+v", all[len(all)-1])
	}
	if now, ever := n.tape.counts("hall"); now != 1 || ever != 1 {
		t.Errorf("the recorder was begun %d times", ever)
	}
	if got := n.hub.Usage().Sessions; got != 1 {
		t.Errorf("%d viewers", got)
	}
}

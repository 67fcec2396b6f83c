package stream_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"stationd/video/stream"
)

// clocked writes pictures whose timestamps and arrivals the test decides. Time
// in the bubble is the arrival.
type clocked struct {
	t    *testing.T
	s    *stream.Stream
	r    *stream.Reader
	last time.Duration
	n    int
}

func newClocked(t *testing.T) *clocked {
	c := &clocked{t: t, s: stream.New(stream.Config{}), last: -1}
	c.r = c.s.Read(stream.ReadOptions{})
	return c
}

// at writes one picture and returns its place on the timeline, which must be
// behind the last one.
func (c *clocked) at(pts time.Duration) time.Duration {
	c.t.Helper()
	got := c.loose(pts)
	if got <= c.last {
		c.t.Fatalf("picture %d is at %v, after %v", c.n, got, c.last)
	}
	c.last = got
	return got
}

// loose does not ask for order.
func (c *clocked) loose(pts time.Duration) time.Duration {
	c.t.Helper()
	c.n++
	if c.n%25 == 1 {
		c.s.Write([][]byte{sps360, pps360, slice(5, 50)}, pts, time.Now(), false)
	} else {
		c.s.Write([][]byte{slice(1, 50)}, pts, time.Now(), false)
	}
	u, err := c.r.Next(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	if want := uint32(stream.ToTicks(u.PTS)); u.Packets[0].Timestamp != want {
		c.t.Fatalf("RTP timestamp %d, PTS says %d", u.Packets[0].Timestamp, want)
	}
	return u.PTS
}

// run writes n pictures at their pace, timestamps going on from pts.
func (c *clocked) run(pts time.Duration, n int) time.Duration {
	c.t.Helper()
	for range n {
		c.at(pts)
		pts += frame
		time.Sleep(frame)
	}
	return pts
}

func near(t *testing.T, what string, got, want, tolerance time.Duration) {
	t.Helper()
	if d := got - want; d > tolerance || d < -tolerance {
		t.Errorf("%s: %v, want %v ± %v", what, got, want, tolerance)
	}
}

func TestTicks(t *testing.T) {
	for n := int64(-200_000); n < 200_000; n += 7 {
		if m := stream.ToTicks(stream.FromTicks(n)); m != n {
			t.Fatalf("%d becomes %d", n, m)
		}
	}
	const month = 31 * 24 * time.Hour
	if n := stream.ToTicks(month); n != 31*24*3600*90000 {
		t.Errorf("a month is %d ticks", n)
	}
	if d := stream.FromTicks(31*24*3600*90000 + 1); d != month+11111 {
		t.Errorf("a month and a tick is %v", d)
	}
}

func TestTimelineKeepsTheSpacing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t)
		// The network delivers in bursts of five; the spacing is the camera's.
		pts := 100 * time.Hour
		var before time.Duration
		for i := range 100 {
			got := c.at(pts)
			if i > 0 {
				near(t, "distance", got-before, frame, time.Microsecond)
			}
			before = got
			pts += frame
			if i%5 == 4 {
				time.Sleep(5 * frame)
			}
		}
		near(t, "all", c.last, 99*frame, time.Millisecond)
	})
}

// A stray timestamp moves nothing.
func TestTimelineStray(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t)
		pts := c.run(0, 50)
		for _, stray := range []time.Duration{5 * time.Hour, -5 * time.Hour, -300 * time.Millisecond} {
			c.at(pts + stray)
			time.Sleep(frame)
			pts = c.run(pts+frame, 50)
			near(t, "afterwards", c.last, pts-frame, time.Millisecond)
		}
		if n := c.s.Stats().Jumps; n != 0 {
			t.Errorf("%d jumps", n)
		}
	})
}

// A camera whose clock is set: after three pictures that agree, its new base.
func TestTimelineJump(t *testing.T) {
	for name, jump := range map[string]time.Duration{
		"hours ahead": 5 * time.Hour, "hours back": -5 * time.Hour, "a little back": -700 * time.Millisecond, "six seconds": 6 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClocked(t)
				pts := c.run(10*time.Hour, 50)
				pts = c.run(pts+jump, 50)
				near(t, "the end", c.last, 99*frame, frame)
				before := c.last
				near(t, "spacing again", c.at(pts)-before, frame, time.Microsecond)
				if n := c.s.Stats().Jumps; n != 1 {
					t.Errorf("%d jumps", n)
				}
			})
		})
	}
}

// Timestamps that stand still: the pictures are placed by their arrival.
func TestTimelineStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t)
		for range 250 {
			c.at(time.Hour)
			time.Sleep(frame)
		}
		near(t, "the end", c.last, 249*frame, 2*frame)
	})
}

// A camera that pauses is no camera whose clock was set.
func TestTimelinePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t)
		pts := c.run(0, 50)
		time.Sleep(9 * time.Second)
		before := c.last
		near(t, "after the pause", c.at(pts+9*time.Second)-before, 9*time.Second+frame, time.Millisecond)
		if n := c.s.Stats().Jumps; n != 0 {
			t.Errorf("%d jumps", n)
		}
	})
}

func TestTimelineAcrossLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t)
		c.run(time.Hour, 50)
		before := c.last
		c.s.Lost("off")
		time.Sleep(30 * time.Second)
		c.n = 0
		c.run(7*time.Second, 50) // the camera counts from another base
		near(t, "by the clock", c.last, before+30*time.Second+50*frame, time.Millisecond)

		// At once: a picture later.
		before = c.last
		c.s.Lost("off")
		c.n = 0
		if got := c.at(0) - before; got < frame-time.Millisecond {
			t.Errorf("goes on after %v", got)
		}
	})
}

// A camera's clock that is wrong by 100 ppm does not carry the timeline away: it
// is pulled back, by no more than 500 ppm.
func TestTimelineSlew(t *testing.T) {
	for name, ppm := range map[string]int64{"fast": 100, "slow": -100, "very fast": 450} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClocked(t)
				begin := time.Now()
				step := frame + frame*time.Duration(ppm)/1e6
				before := c.at(0)
				for n := time.Duration(1); n < 90_000; n++ { // an hour
					time.Sleep(frame)
					got := c.at(n * step)
					d := got - before - step
					if most := step*500/1e6 + 12*time.Microsecond; d > most || d < -most {
						t.Fatalf("pulled by %v at once, want at most %v", d, most)
					}
					before = got
				}
				near(t, "after an hour", c.last, time.Since(begin), 40*time.Millisecond)
			})
		})
	}
}

// The network's jitter is no clock.
func TestTimelineJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t)
		for n := range 5000 {
			late := time.Duration(n*7919%150) * time.Millisecond // up to 150 ms, always the same row
			time.Sleep(frame - late%frame)
			got := c.at(time.Duration(n) * frame)
			near(t, "place", got, time.Duration(n)*frame, 30*time.Millisecond)
			time.Sleep(late % frame)
		}
	})
}

// A camera that counts forty times too fast is held back.
func TestTimelineRunaway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t)
		begin := time.Now()
		for n := range time.Duration(5000) {
			c.at(n * 1600 * time.Millisecond)
			time.Sleep(frame)
		}
		if ahead := c.last - time.Since(begin); ahead > 15*time.Second {
			t.Errorf("runs %v ahead", ahead)
		}
	})
}

// B-frames come in decoding order: 0 120 40 80 240 160 200.
func TestReordered(t *testing.T) {
	order := []time.Duration{0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11}
	write := func(s *stream.Stream, sps, pps []byte) []time.Duration {
		r := s.Read(stream.ReadOptions{})
		var got []time.Duration
		for i, n := range order {
			nalus := [][]byte{slice(1, 50)}
			if i == 0 {
				nalus = [][]byte{sps, pps, slice(5, 50)}
			}
			s.Write(nalus, n*frame, time.Now(), false)
			time.Sleep(frame)
			u, err := r.Next(context.Background())
			if err != nil {
				return nil
			}
			got = append(got, u.PTS)
		}
		return got
	}
	t.Run("are told", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := stream.New(stream.Config{})
			got := write(s, spsHigh, ppsHigh)
			if p, _ := s.Params(); !p.Reordered {
				t.Error("not told")
			}
			for i := 7; i < len(got); i++ { // once they are known
				near(t, "place", got[i], order[i]*frame, time.Millisecond)
			}
			s.Lost("off")
			if p, _ := s.Params(); p.Reordered {
				t.Error("still told after the loss")
			}
		})
	})
	// A stream that promises none has a bad clock instead.
	t.Run("baseline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := stream.New(stream.Config{})
			got := write(s, sps360, pps360)
			if p, _ := s.Params(); p.Reordered {
				t.Error("told for the baseline profile")
			}
			for i := 1; i < len(got); i++ {
				if got[i] <= got[i-1] {
					t.Errorf("picture %d is at %v after %v", i, got[i], got[i-1])
				}
			}
		})
	})
}

package stream_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"stationd/video/stream"
)

// live writes pictures at their pace from a goroutine, until the bubble's test
// ends.
func live(ctx context.Context, f *feed, gop int) {
	for n := 0; ctx.Err() == nil; n++ {
		if n%gop == 0 {
			f.key()
		} else {
			f.other(1)
		}
	}
}

type given struct {
	at   time.Duration // since the reader began
	late time.Duration // since the unit arrived
	u    *stream.Unit
}

// watch begins to read in the middle of a GOP of two seconds, and reads n units.
func watch(t *testing.T, size int, opts stream.ReadOptions, n int) []given {
	t.Helper()
	f := newFeed(stream.Config{})
	f.size = size
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		live(ctx, f, 50)
	}()
	time.Sleep(75*frame + frame/2) // 26 pictures are cached
	begin := time.Now()
	r := f.s.Read(opts)
	var out []given
	for range n {
		u, err := r.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, given{time.Since(begin), time.Since(u.Arrival), u})
	}
	if r.Skipped() != 0 {
		t.Errorf("%d skipped", r.Skipped())
	}
	cancel()
	<-done
	return out
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := watch(t, 5000, stream.ReadOptions{FromCache: true, Pace: true}, 100)
		if got[0].at != 0 || !got[0].u.Key {
			t.Errorf("the first picture comes after %v", got[0].at)
		}
		caughtUp := 1
		for ; got[caughtUp].late > 0; caughtUp++ {
			if d := got[caughtUp].at - got[caughtUp-1].at; d < frame/8-time.Millisecond {
				t.Errorf("unit %d comes %v after the one before: a burst", caughtUp, d)
			}
		}
		// One second behind, seven seconds gained per second: 150 ms.
		if at := got[caughtUp].at; at > 250*time.Millisecond {
			t.Errorf("it takes %v to catch up", at)
		}
		// From then on, units come when they are made.
		for i := caughtUp; i < len(got); i++ {
			if got[i].late != 0 {
				t.Errorf("unit %d comes %v late", i, got[i].late)
			}
		}
	})
}

// Without Pace, what is cached comes at once.
func TestNoPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := watch(t, 5000, stream.ReadOptions{FromCache: true}, 30)
		if got[25].at != 0 {
			t.Errorf("26 cached units take %v", got[25].at)
		}
	})
}

// Large pictures are held back to 5,000 packets a second, so that a receiver
// with the kernel's default buffer is not overrun.
func TestPaceBoundsPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := watch(t, 60_000, stream.ReadOptions{FromCache: true, Pace: true}, 40)
		for i := 1; i < 20; i++ {
			need := time.Duration(len(got[i-1].u.Packets)) * time.Second / 5000
			if d := got[i].at - got[i-1].at; d < need {
				t.Errorf("unit %d comes %v after one of %d packets", i, d, len(got[i-1].u.Packets))
			}
		}
	})
}

// A reader that is paced is behind for a while; that is no reason to skip, even
// when its capacity is smaller than the cache.
func TestPaceWithSmallCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := watch(t, 5000, stream.ReadOptions{FromCache: true, Pace: true, Capacity: 5}, 60)
		for i := 1; i < len(got); i++ {
			if d := got[i].u.PTS - got[i-1].u.PTS; d != frame {
				t.Fatalf("unit %d is %v after the one before", i, d)
			}
		}
	})
}

func TestPaceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(stream.Config{PaceSpeed: 1})
		f.key()
		f.other(10)
		r := f.s.Read(stream.ReadOptions{FromCache: true, Pace: true})
		ctx, cancel := context.WithTimeout(t.Context(), 3*frame+time.Millisecond)
		defer cancel()
		n := 0
		for {
			if _, err := r.Next(ctx); err != nil {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Next: %v", err)
				}
				break
			}
			n++
		}
		if n != 4 {
			t.Errorf("%d units in three pictures' time", n)
		}
		if d := r.Behind(); d != 7*frame {
			t.Errorf("behind by %v", d)
		}
	})
}

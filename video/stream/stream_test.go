package stream_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"stationd/video/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const frame = 40 * time.Millisecond

// Real parameter sets, of x264.
var (
	sps360  = unhex("6742c01ed900a02ff97011000003000100000300320f162e48") // constrained baseline 640x360
	pps360  = unhex("68cb83cb20")
	spsHigh = unhex("67640028acd940780227e5c044000003000400000300c83c60c658") // high 1920x1080 with B-frames
	ppsHigh = unhex("68ebe3cb22c0")
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// slice makes a slice NALU of a size; kind 5 is IDR, 1 any other.
func slice(kind byte, size int) []byte {
	n := bytes.Repeat([]byte{0xab}, max(size, 3))
	n[0], n[1] = 0x60|kind, 0x88
	return n
}

// feed writes pictures at their pace in a bubble's time.
type feed struct {
	s    *stream.Stream
	pts  time.Duration
	size int
}

func newFeed(cfg stream.Config) *feed {
	return &feed{s: stream.New(cfg), pts: time.Hour, size: 500}
}

func (f *feed) write(damaged bool, nalus ...[]byte) {
	f.s.Write(nalus, f.pts, time.Now(), damaged)
	f.pts += frame
	time.Sleep(frame)
}

func (f *feed) key() { f.write(false, sps360, pps360, slice(5, f.size)) }

func (f *feed) other(n int) {
	for range n {
		f.write(false, slice(1, f.size))
	}
}

// drain reads until the reader would wait.
func drain(t *testing.T, r *stream.Reader) []*stream.Unit {
	t.Helper()
	var out []*stream.Unit
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		u, err := r.Next(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, u)
	}
}

// pattern shows units in short: K key, . other, lower case x damaged.
func pattern(units []*stream.Unit) string {
	var b []byte
	for _, u := range units {
		switch {
		case u.Damaged && u.Key:
			b = append(b, 'X')
		case u.Damaged:
			b = append(b, 'x')
		case u.Key:
			b = append(b, 'K')
		default:
			b = append(b, '.')
		}
	}
	return string(b)
}

func TestBeginsWithAKeyPicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(stream.Config{})
		r := f.s.Read(stream.ReadOptions{Record: true})
		f.other(5)
		if online, _, cause := f.s.State(); online || cause == "" {
			t.Errorf("online %v, cause %q before any key picture", online, cause)
		}
		f.key()
		f.other(3)
		got := drain(t, r)
		if p := pattern(got); p != "K..." {
			t.Errorf("got %s", p)
		}
		if got[0].PTS != 0 || got[3].PTS != 3*frame {
			t.Errorf("PTS %v … %v, want 0 … %v", got[0].PTS, got[3].PTS, 3*frame)
		}
		if online, since, _ := f.s.State(); !online || !since.Equal(got[0].Arrival) {
			t.Errorf("online %v since %v", online, since)
		}
		if n := f.s.Stats().Refused; n != 5 {
			t.Errorf("%d refused", n)
		}
	})
}

func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(stream.Config{})
		f.key()
		f.other(3)
		f.key()
		f.other(7)
		with := f.s.Read(stream.ReadOptions{FromCache: true})
		without := f.s.Read(stream.ReadOptions{})
		if p := pattern(drain(t, with)); p != "K......." {
			t.Errorf("from the cache: %s", p)
		}
		f.other(1)
		f.key()
		f.other(1)
		if p := pattern(drain(t, without)); p != "K." {
			t.Errorf("without the cache: %s", p)
		}
		if p := pattern(drain(t, with)); p != ".K." {
			t.Errorf("after the cache: %s", p)
		}
		if with.Skipped() != 0 || without.Skipped() != 0 {
			t.Errorf("skipped %d and %d", with.Skipped(), without.Skipped())
		}
	})
}

func TestCacheIsBounded(t *testing.T) {
	for name, cfg := range map[string]stream.Config{
		"units": {CacheUnits: 10},
		"bytes": {CacheBytes: 10 * 500},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFeed(cfg)
				f.key()
				f.other(30)
				r := f.s.Read(stream.ReadOptions{FromCache: true})
				if p := pattern(drain(t, r)); p != "" {
					t.Errorf("got %s out of a cache that is too long", p)
				}
				if n := stream.Held(f.s); n > 10 {
					t.Errorf("%d units are held", n)
				}
				f.key()
				if p := pattern(drain(t, r)); p != "K" {
					t.Errorf("got %s", p)
				}
			})
		})
	}
}

// A new viewer must never be shown an old picture as a live one.
func TestCacheIsClearedWhenTheSourceIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(stream.Config{})
		old := f.s.Read(stream.ReadOptions{})
		f.key()
		f.other(3)
		f.s.Lost("the camera is off")
		if online, _, cause := f.s.State(); online || cause != "the camera is off" {
			t.Errorf("online %v, cause %q", online, cause)
		}
		r := f.s.Read(stream.ReadOptions{FromCache: true})
		if p := pattern(drain(t, r)); p != "" {
			t.Errorf("got %s of a lost source", p)
		}
		f.other(4) // the source is back, in the middle of two key pictures
		f.key()
		f.other(1)
		if p := pattern(drain(t, r)); p != "K." {
			t.Errorf("got %s", p)
		}
		if p := pattern(drain(t, old)); p != "K...K." {
			t.Errorf("the reader from before got %s", p)
		}
		if n := f.s.Stats().Losses; n != 1 {
			t.Errorf("%d losses", n)
		}
	})
}

func TestDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(stream.Config{})
		viewer := f.s.Read(stream.ReadOptions{})
		record := f.s.Read(stream.ReadOptions{Record: true})
		f.key()
		f.other(2)
		f.write(true, slice(1, 100))
		f.other(2)
		f.write(true, sps360, pps360, slice(5, 100)) // a key picture with a hole
		late := f.s.Read(stream.ReadOptions{FromCache: true})
		f.other(1)
		f.key()
		f.other(1)
		if p := pattern(drain(t, viewer)); p != "K..K." {
			t.Errorf("viewer: %s", p)
		}
		if p := pattern(drain(t, record)); p != "K..xxxXxK." {
			t.Errorf("record: %s", p)
		}
		if p := pattern(drain(t, late)); p != "K." {
			t.Errorf("after a damaged key picture: %s", p)
		}
		if viewer.Skipped() != 5 || record.Skipped() != 0 {
			t.Errorf("skipped %d and %d", viewer.Skipped(), record.Skipped())
		}
		if st := f.s.Stats(); st.Damaged != 5 {
			t.Errorf("stats %+v", st)
		}
	})
}

// A reader that does not keep up goes on with a key picture; the writer and the
// others do not notice.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(stream.Config{})
		slow := f.s.Read(stream.ReadOptions{Capacity: 20})
		record := f.s.Read(stream.ReadOptions{Capacity: 30, Record: true})
		fast := f.s.Read(stream.ReadOptions{Capacity: 200})
		for range 10 { // 100 units, a key picture every ten
			f.key()
			f.other(9)
		}
		f.key()
		f.other(2)
		if p := pattern(drain(t, slow)); p != "K.." {
			t.Errorf("the viewer got %s, want the newest key picture and on", p)
		}
		if p := pattern(drain(t, record)); p != "K.........K.." {
			t.Errorf("the record got %s, want all that it may be behind by half", p)
		}
		if slow.Skipped() != 100 || record.Skipped() != 90 {
			t.Errorf("skipped %d and %d", slow.Skipped(), record.Skipped())
		}
		if n := len(drain(t, fast)); n != 103 || fast.Skipped() != 0 {
			t.Errorf("the fast one got %d and skipped %d", n, fast.Skipped())
		}
		f.other(25)
		f.key()
		if p := pattern(drain(t, slow)); p != "K" || slow.Skipped() != 125 {
			t.Errorf("then it got %s and skipped %d", p, slow.Skipped())
		}
		if n := f.s.Stats().Skipped; n != 215 {
			t.Errorf("the stream counts %d skipped", n)
		}
	})
}

// With no key picture to go on with, a slow reader waits for one.
func TestSlowReaderWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(stream.Config{})
		r := f.s.Read(stream.ReadOptions{Capacity: 10})
		f.key()
		drain(t, r)
		f.other(30)
		if p := pattern(drain(t, r)); p != "" {
			t.Errorf("got %s", p)
		}
		f.other(2)
		f.key()
		f.other(1)
		if p := pattern(drain(t, r)); p != "K." || r.Skipped() != 32 {
			t.Errorf("got %s, skipped %d", p, r.Skipped())
		}
	})
}

// What is held is bounded by the capacities, and in bytes whatever they are.
func TestLogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(stream.Config{LogBytes: 100_000, CacheBytes: 50_000})
		idle := f.s.Read(stream.ReadOptions{Capacity: 30})
		for range 20 {
			f.key()
			f.other(9)
			if n := stream.Held(f.s); n > 31 {
				t.Fatalf("%d units are held for a capacity of 30", n)
			}
		}
		idle.Close()
		f.key()
		f.other(1)
		if n := stream.Held(f.s); n != 2 {
			t.Errorf("%d units are held for nobody", n)
		}
		f.s.Read(stream.ReadOptions{Capacity: 1 << 20})
		f.size = 10_000
		for range 5 {
			f.key()
			f.other(9)
		}
		if n := stream.HeldBytes(f.s); n > 100_000 {
			t.Errorf("%d bytes are held", n)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(stream.Config{})
		waiting := f.s.Read(stream.ReadOptions{})
		behind := f.s.Read(stream.ReadOptions{})
		gone := f.s.Read(stream.ReadOptions{})
		f.key()
		drain(t, waiting)
		ends := make(chan error)
		go func() {
			_, err := waiting.Next(t.Context())
			ends <- err
		}()
		synctest.Wait()
		gone.Close()
		gone.Close()
		if _, err := gone.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("a closed reader: %v", err)
		}
		changed := f.s.Changed()
		f.s.Close()
		f.s.Close()
		if err := <-ends; !errors.Is(err, io.EOF) {
			t.Errorf("a waiting reader: %v", err)
		}
		if u, err := behind.Next(t.Context()); err != nil || !u.Key {
			t.Errorf("a reader that was behind: %v, %v", u, err)
		}
		if _, err := behind.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("a reader that was behind, then: %v", err)
		}
		<-changed
		f.key() // is ignored
		if _, err := f.s.Read(stream.ReadOptions{}).Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("a late reader: %v", err)
		}
	})
}

func TestNextEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(stream.Config{})
		r := f.s.Read(stream.ReadOptions{})
		ctx, cancel := context.WithCancel(t.Context())
		ends := make(chan error)
		go func() {
			_, err := r.Next(ctx)
			ends <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-ends; !errors.Is(err, context.Canceled) {
			t.Errorf("Next: %v", err)
		}
		f.key() // the reader is still good
		if _, err := r.Next(t.Context()); err != nil {
			t.Errorf("Next: %v", err)
		}
	})
}

func TestChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(stream.Config{})
		closed := func(ch <-chan struct{}) bool {
			select {
			case <-ch:
				return true
			default:
				return false
			}
		}
		ch := f.s.Changed()
		f.s.Announce(stream.Params{SPS: sps360, PPS: pps360})
		if !closed(ch) {
			t.Error("silent about the SDP's parameter sets")
		}
		p, ok := f.s.Params()
		if !ok || p.Codec != "H264" || p.Width != 640 || p.Height != 360 || p.Profile() != "42c01e" {
			t.Errorf("params %+v, %v", p, ok)
		}
		ch = f.s.Changed()
		f.key()
		if !closed(ch) {
			t.Error("silent about going online")
		}
		ch = f.s.Changed()
		f.other(3)
		f.key()
		if closed(ch) {
			t.Error("speaks although nothing has changed")
		}
		f.write(false, spsHigh, ppsHigh, slice(5, 100))
		if !closed(ch) {
			t.Error("silent about another picture size")
		}
		if p, _ := f.s.Params(); p.Width != 1920 || p.Height != 1080 || !bytes.Equal(p.PPS, ppsHigh) {
			t.Errorf("params %+v", p)
		}
		ch = f.s.Changed()
		f.s.Lost("off")
		if !closed(ch) {
			t.Error("silent about the loss")
		}
	})
}

// Readers come and go while it is written, lost and asked about; for the race
// detector.
func TestTogether(t *testing.T) {
	s := stream.New(stream.Config{})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 50 {
				r := s.Read(stream.ReadOptions{Capacity: 4 + i, FromCache: i%2 == 0, Record: i%3 == 0})
				last := time.Duration(-1)
				for range n {
					u, err := r.Next(t.Context())
					if errors.Is(err, io.EOF) {
						return
					}
					if err != nil || u.PTS <= last {
						t.Errorf("PTS %v after %v, %v", u.PTS, last, err)
						return
					}
					last = u.PTS
				}
				_, _ = r.Skipped(), r.Behind()
				r.Close()
			}
		})
	}
	all.Go(func() {
		for {
			changed := s.Changed()
			_, _ = s.Params()
			if _, _, cause := s.State(); cause == "closed" {
				return
			}
			<-changed
		}
	})
	for n := range 5000 {
		nalus := [][]byte{slice(1, 50)}
		if n%10 == 0 {
			nalus = [][]byte{sps360, pps360, slice(5, 50)}
		}
		s.Write(nalus, time.Duration(n)*frame, time.Now(), n%37 == 0)
		if n%500 == 499 {
			s.Lost("off")
		}
	}
	s.Close()
	all.Wait()
	if n := s.Stats().Readers; n > 8 {
		t.Errorf("%d readers are left", n)
	}
}

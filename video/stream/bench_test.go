package stream_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"stationd/video/stream"
)

// A 1080p camera at 4 Mbit/s and 25 pictures a second: a picture of 20 KB in 17
// packets. Figures are per packet and reader.
const benchSize = 20_000

var readerCounts = []int{1, 10, 100}

// prepared is a finished unit, so that making it is not measured.
func prepared(tb testing.TB) (key, other *stream.Unit) {
	p := newTap()
	key = p.write(sps360, pps360, slice(5, benchSize))
	other = p.write(slice(1, benchSize))
	if key == nil || other == nil {
		tb.Fatal("no units")
	}
	return key, other
}

// perPacket reports the time and the allocations of b.N units, each handed to a
// number of readers.
func perPacket(b *testing.B, packets, readers int, run func()) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	run()
	b.StopTimer()
	runtime.ReadMemStats(&after)
	n := float64(b.N) * float64(packets) * float64(readers)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/packet")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/n, "allocs/packet")
}

// BenchmarkFanout hands finished units to readers that are always there: the
// cost of the fan-out itself.
func BenchmarkFanout(b *testing.B) {
	for _, n := range readerCounts {
		b.Run(fmt.Sprintf("readers=%d", n), func(b *testing.B) {
			key, other := prepared(b)
			s := stream.New(stream.Config{})
			readers := make([]*stream.Reader, n)
			for i := range readers {
				readers[i] = s.Read(stream.ReadOptions{})
			}
			ctx := b.Context()
			i := 0
			step := func() {
				u := other
				if i%50 == 0 {
					u = key
				}
				i++
				stream.Publish(s, u)
				for _, r := range readers {
					if _, err := r.Next(ctx); err != nil {
						b.Fatal(err)
					}
				}
			}
			for range 200 {
				step() // until the log has its size
			}
			b.ReportAllocs()
			perPacket(b, len(other.Packets), n, func() {
				for range b.N {
					step()
				}
			})
		})
	}
}

// BenchmarkFanoutWakes is the same with every reader asleep in a goroutine of
// its own: the scheduler's cost is in it.
func BenchmarkFanoutWakes(b *testing.B) {
	for _, n := range readerCounts {
		b.Run(fmt.Sprintf("readers=%d", n), func(b *testing.B) {
			key, other := prepared(b)
			s := stream.New(stream.Config{})
			var all sync.WaitGroup
			took := make(chan struct{}, n)
			for range n {
				r := s.Read(stream.ReadOptions{})
				all.Go(func() {
					for {
						if _, err := r.Next(context.Background()); err != nil {
							return
						}
						took <- struct{}{}
					}
				})
			}
			i := 0
			step := func() {
				u := other
				if i%50 == 0 {
					u = key
				}
				i++
				stream.Publish(s, u)
				for range n {
					<-took
				}
			}
			for range 200 {
				step()
			}
			b.ReportAllocs()
			perPacket(b, len(other.Packets), n, func() {
				for range b.N {
					step()
				}
			})
			s.Close()
			all.Wait()
		})
	}
}

// BenchmarkWrite is the whole way in, once per camera: normalising, placing on
// the timeline, cutting into packets.
func BenchmarkWrite(b *testing.B) {
	s := stream.New(stream.Config{})
	key := [][]byte{sps360, pps360, slice(5, benchSize)}
	other := [][]byte{slice(1, benchSize)}
	now := time.Now()
	b.ReportAllocs()
	b.SetBytes(benchSize)
	perPacket(b, 17, 1, func() {
		for i := range b.N {
			nalus := other
			if i%50 == 0 {
				nalus = key
			}
			at := time.Duration(i) * frame
			s.Write(nalus, at, now.Add(at), false)
		}
	})
}

// What the benchmark shows is also held: nothing is allocated per reader.
func TestFanoutAllocatesNothing(t *testing.T) {
	key, other := prepared(t)
	s := stream.New(stream.Config{})
	readers := make([]*stream.Reader, 100)
	for i := range readers {
		readers[i] = s.Read(stream.ReadOptions{})
	}
	ctx := t.Context()
	i := 0
	step := func() {
		u := other
		if i%50 == 0 {
			u = key
		}
		i++
		stream.Publish(s, u)
		for _, r := range readers {
			if _, err := r.Next(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 200 {
		step()
	}
	if n := testing.AllocsPerRun(500, step); n != 0 {
		t.Errorf("%v allocations per unit for 100 readers", n)
	}
}

package store_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"stationd/agent/station"
	"stationd/agent/store"
)

// benchUpdate is one reading: a record and its event, durable.
func benchUpdate(b *testing.B, writers, batch int) {
	s, err := store.OpenAs(config(b.TempDir()), quiet(), store.Schema{}, nil, batch)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	before := s.Commits()
	b.ResetTimer()
	var wg sync.WaitGroup
	for w := range writers {
		n := b.N / writers
		if w < b.N%writers {
			n++
		}
		wg.Go(func() {
			for range n {
				if _, err := count(s, station.LaneNormal, w, 200); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
	if c := s.Commits() - before; c > 0 {
		b.ReportMetric(float64(b.N)/float64(c), "updates/commit")
	}
}

func BenchmarkUpdate(b *testing.B) {
	b.Run("writers=1", func(b *testing.B) { benchUpdate(b, 1, 0) })
	b.Run("writers=64", func(b *testing.B) { benchUpdate(b, 64, 0) })
	b.Run("writers=64/grouping=off", func(b *testing.B) { benchUpdate(b, 64, 1) })
	b.Run("writers=1/grouping=off", func(b *testing.B) { benchUpdate(b, 1, 1) })
}

// BenchmarkFsync is what the same disk can do at most without grouping.
func BenchmarkFsync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "f"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(8 << 20); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 600)
	for i := range b.N {
		if _, err := f.WriteAt(buf, int64(i%10000)*600); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "syncs/s")
}

// BenchmarkRead reads a lane of ten rows that lies behind many of another, some
// of which were trimmed.
func BenchmarkRead(b *testing.B) {
	const others = 200_000
	cfg := config(b.TempDir())
	cfg.BulkCap = others / 2
	s := openStore(b, cfg)
	fillLane(b, s, station.LaneBulk, others/2)
	fillLane(b, s, station.LaneUrgent, 10)
	fillLane(b, s, station.LaneBulk, others/2)
	for _, trim := range []string{"kept", "trimmed"} {
		if trim == "trimmed" {
			if _, err := s.Trim(context.Background(), nil); err != nil {
				b.Fatal(err)
			}
		}
		b.Run("lane=urgent/others="+trim, func(b *testing.B) {
			for b.Loop() {
				rows, err := s.Read(0, 100, station.LaneUrgent)
				if err != nil || len(rows) != 10 {
					b.Fatal(len(rows), err)
				}
			}
		})
		b.Run("lane=bulk/others="+trim, func(b *testing.B) {
			for b.Loop() {
				rows, err := s.Read(0, 10, station.LaneBulk)
				if err != nil || len(rows) != 10 {
					b.Fatal(len(rows), err)
				}
			}
		})
	}
}

func fillLane(t testing.TB, s *store.Store, lane station.Lane, n int) {
	t.Helper()
	for n > 0 {
		m := min(n, 1000)
		err := s.Update(context.Background(), lane, func(tx *store.Tx) error {
			for range m {
				if _, err := tx.Append(station.Event{Type: "test.row", Lane: lane}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		n -= m
	}
}

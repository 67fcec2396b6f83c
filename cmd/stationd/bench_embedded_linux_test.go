package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/station"
	"stationd/agent/store"
	"stationd/devices"
	"stationd/devices/devicestest"
)

// turnstile is a core that can be made to store one report after the other, each
// with a sync of its own.
type turnstile struct {
	core   *agent.Agent
	singly atomic.Bool
	turn   sync.Mutex
}

func (s *turnstile) HandleReport(ctx context.Context, r station.Report) error {
	if s.singly.Load() {
		s.turn.Lock()
		defer s.turn.Unlock()
	}
	return s.core.HandleReport(ctx, r)
}

// BenchmarkEmbedded is twenty publishers at the built-in broker, each of which
// waits until its message is acknowledged, that is stored, before it sends the
// next. Each b.N is a turn: a second with a sync for each message, a second as it
// is. The middle of the turns counts; the publishers' time is in the processor's.
func BenchmarkEmbedded(b *testing.B) {
	const publishers = 20
	cfg := quietPorts(demoConfig(b.TempDir(), "bench", "bench", 0))
	cfg.settle()
	st, err := store.Open(cfg.Store, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			b.Error(err)
		}
	}()
	core := agent.New(cfg.Station, agent.Deps{Store: st, Log: slog.New(slog.DiscardHandler)})
	password := furnishBench(b, core, publishers)
	known, err := core.Registry()
	if err != nil {
		b.Fatal(err)
	}
	sink := &turnstile{core: core}
	set := devices.New(cfg.Devices, devices.Deps{Node: "bench", Sink: sink, Log: slog.New(slog.DiscardHandler)})
	set.Apply(devices.Registry{Sensors: known.Sensors, Accounts: known.Accounts})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() {
		if err := set.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	<-set.Ready()
	var publish [publishers]publisher
	for p := range publish {
		c, err := devicestest.Connect(ctx, devicestest.Config{URL: "mqtt://" + set.Addr().String(), ClientID: fmt.Sprint("bench-", p), Username: "bench", Password: password}, nil)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Disconnect(0)
		publish[p] = func(topic, payload string) func() error {
			token := c.Publish(topic, 1, false, payload)
			return func() error { <-token.Done(); return token.Error() }
		}
	}
	l := load{publishers, func(p, _ int) error { return publish[p](leakTopic(p), leakPayload(false))() }}
	turn := func(singly bool) drained {
		sink.singly.Store(singly)
		before, cpu, began := set.Stats().Reports, benchCPU(b), time.Now()
		l.run(b, func(int, int) bool { return time.Since(began) < time.Second })
		n := float64(set.Stats().Reports - before)
		return drained{rate: n / time.Since(began).Seconds(), own: float64((benchCPU(b) - cpu).Microseconds()) / n}
	}
	b.ResetTimer()
	var rates, times, costs []float64
	for range b.N {
		sha, fsync := benchSHA(b), benchFsync(b)
		singly, grouped := turn(true), turn(false)
		b.Logf("%.0f msg/s, %.1f times one sync each (%.0f/s); processor %.0f µs a message with its publisher; this machine: %.0f fsync/s, SHA-256 %.0f MB/s",
			grouped.rate, grouped.rate/singly.rate, singly.rate, grouped.own, fsync, sha)
		rates, times, costs = append(rates, grouped.rate), append(times, grouped.rate/singly.rate), append(costs, grouped.own)
	}
	b.StopTimer()
	for unit, all := range map[string][]float64{"msg/s": rates, "x-singly": times, "cpu-µs/msg": costs} {
		slices.Sort(all)
		b.ReportMetric(all[len(all)/2], unit)
	}
	b.ReportMetric(0, "ns/op")
}

package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
	"time"

	"stationd/agent/station"
)

// The figures of the whole wiring. What the machine can do is measured in the
// same run, and whatever waits for the disk carries its ratio to a plain fsync
// of the same disk a moment later: the ratios hold where absolute figures tell
// of the machine and its neighbours. The disk is that of TMPDIR.

// BenchmarkMachine is what the others are to be compared with: the processor,
// and how many writes a second the disk makes durable one after the other.
func BenchmarkMachine(b *testing.B) {
	b.Run("cpu=sha256", func(b *testing.B) {
		block := make([]byte, 1<<20)
		b.SetBytes(int64(len(block)))
		for b.Loop() {
			sha256.Sum256(block)
		}
	})
	b.Run("disk=fsync", func(b *testing.B) {
		f := newRawFile(b)
		for b.Loop() {
			if err := f.write(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(perSecond(b), "fsyncs/s")
	})
}

// BenchmarkReadings commits readings through the core to a real store, each with
// its sensor's state and its event. One commit each is what a lock around the
// same call makes of it.
func BenchmarkReadings(b *testing.B) {
	a := benchCore(b, 64)
	var lock sync.Mutex
	grouped := func(p, i int) error { return a.HandleReport(b.Context(), leakReading(p, i)) }
	each := func(p, i int) error {
		lock.Lock()
		defer lock.Unlock()
		return grouped(p, i)
	}
	for _, publishers := range []int{1, 64} {
		for _, bm := range []struct {
			commit string
			load   load
		}{{"each", load{publishers, each}}, {"grouped", load{publishers, grouped}}} {
			b.Run(fmt.Sprintf("publishers=%d/commit=%s", publishers, bm.commit), func(b *testing.B) {
				b.ReportAllocs()
				bm.load.measure(b)
				if bm.commit == "grouped" {
					bm.load.compare(b, load{publishers, each}, "x-each")
				}
			})
		}
	}
}

// BenchmarkBroker publishes readings with QoS 1 to the broker of a whole
// station, each publisher over a connection of its own. A publication counts
// once it is acknowledged, that is stored. A publisher waits for each of its
// publications, or lets twenty be on their way, as a Zigbee bridge may.
func BenchmarkBroker(b *testing.B) {
	n, password := benchStation(b, b.TempDir(), nil)
	for _, bm := range []struct{ publishers, window int }{{1, 1}, {1, 20}, {20, 1}, {64, 1}} {
		b.Run(fmt.Sprintf("publishers=%d/window=%d", bm.publishers, bm.window), func(b *testing.B) {
			publish := make([]publisher, bm.publishers)
			under := make([][]func() error, bm.publishers)
			for p := range publish {
				publish[p] = benchConnect(b, n, password)
			}
			before := n.devices.Stats().Reports
			b.ReportAllocs()
			load{bm.publishers, func(p, _ int) error {
				under[p] = append(under[p], publish[p](leakTopic(p), leakPayload(false)))
				if len(under[p]) < bm.window {
					return nil
				}
				oldest := under[p][0]
				under[p] = under[p][1:]
				return oldest()
			}}.measure(b)
			if stored := n.devices.Stats().Reports - before; int(stored) < b.N-bm.window {
				b.Errorf("%d of %d readings are stored", stored, b.N)
			}
		})
	}
}

// benchSamples is the least number of alarms whose times are looked at: the 99th
// percentile of fewer is chance.
const benchSamples = 300

// BenchmarkAlarmToCentre is the time from a sensor's publication to the moment
// when the station holds the centre's acknowledgement, which the centre gives
// when it has stored the event: a whole station and a whole centre, joined by
// mutual TLS, one alarm after the other. With line=busy, others publish 200
// readings a second meanwhile, which go to the centre too.
func BenchmarkAlarmToCentre(b *testing.B) {
	dir := b.TempDir()
	centre := benchNode(b, quietPorts(demoCentre(dir)))
	n, password := benchStation(b, dir, centre)
	for _, line := range []string{"quiet", "busy"} {
		b.Run("line="+line, func(b *testing.B) {
			if line == "busy" {
				benchNoise(b, n, password)
			}
			publish := benchConnect(b, n, password)
			var stored, known []time.Duration
			alarm := false
			one := func() {
				alarm = !alarm
				before := n.store.Head()
				began := time.Now()
				if err := publish(leakTopic(0), leakPayload(alarm))(); err != nil {
					b.Fatal(err)
				}
				stored = append(stored, time.Since(began))
				awaitCentre(b, n, alarmEvent(b, n, before))
				known = append(known, time.Since(began))
			}
			one() // the first opens the lane
			one()
			stored, known = nil, nil
			for b.Loop() {
				one()
			}
			for len(known) < benchSamples {
				one()
			}
			if alarm {
				one()
			}
			b.ReportMetric(quantile(known, 50), "p50-ms")
			b.ReportMetric(quantile(known, 99), "p99-ms")
			b.ReportMetric(quantile(stored, 50), "puback-p50-ms")
			b.ReportMetric(quantile(stored, 99), "puback-p99-ms")
			b.ReportMetric(float64(len(known)), "samples")
		})
	}
}

// alarmEvent is the event of the alarm's last change after a place in the
// journal.
func alarmEvent(b *testing.B, n *node, after uint64) uint64 {
	events, err := n.store.Read(after, 100, station.LaneUrgent)
	if err != nil {
		b.Fatal(err)
	}
	for _, ev := range events {
		if ev.Type == station.EventAlarmRaised || ev.Type == station.EventAlarmCleared {
			return ev.Seq
		}
	}
	b.Fatalf("no alarm among %d events", len(events))
	return 0
}

// awaitCentre polls: what is measured takes a hundred times longer than a step.
func awaitCentre(b *testing.B, n *node, seq uint64) {
	for late := time.Now().Add(time.Minute); n.uplink.Received(station.LaneUrgent) < seq; time.Sleep(20 * time.Microsecond) {
		if time.Now().After(late) {
			b.Fatal("the centre has not acknowledged the alarm")
		}
	}
}

// benchNoise publishes 200 readings a second, at most as fast as they are
// stored, until the benchmark ends.
func benchNoise(b *testing.B, n *node, password station.Secret) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for p := range 10 {
		publish := benchConnect(b, n, password)
		all.Go(func() {
			for tick := time.NewTicker(50 * time.Millisecond); ; {
				select {
				case <-ctx.Done():
					tick.Stop()
					return
				case <-tick.C:
				}
				if err := publish(leakTopic(1+p), leakPayload(false))(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	b.Cleanup(func() {
		cancel()
		all.Wait()
	})
}

package uplink_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/uplink"
	"stationd/uplink/uplinktest"
)

// BenchmarkAlarmToCentre is the time from an alarm's commit at the station until
// the station knows that the centre has it durably; over a real broker with
// mutual TLS, one alarm at a time.
func BenchmarkAlarmToCentre(b *testing.B) {
	for _, tc := range []struct {
		name string
		sync bool
	}{{"inbox=memory", false}, {"inbox=fsync", true}} {
		b.Run(tc.name, func(b *testing.B) {
			w, j, u := benchWorld(b, tc.sync)
			j.Append(station.LaneUrgent, "alarm/0", 1)
			await(b, u, station.LaneUrgent, 1)
			took := make([]time.Duration, 0, b.N)
			b.ResetTimer()
			for range b.N {
				began := time.Now()
				ev := j.Append(station.LaneUrgent, "alarm/1", 1)[0]
				await(b, u, station.LaneUrgent, ev.Seq)
				took = append(took, time.Since(began))
			}
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			_ = w
		})
	}
}

// BenchmarkDrain is how fast a backlog goes.
func BenchmarkDrain(b *testing.B) {
	for _, tc := range []struct {
		name string
		sync bool
	}{{"inbox=memory", false}, {"inbox=fsync", true}} {
		b.Run(tc.name, func(b *testing.B) {
			_, j, u := benchWorld(b, tc.sync)
			j.Append(station.LaneNormal, "sensor/0", 1)
			await(b, u, station.LaneNormal, 1)
			b.ResetTimer()
			j.Append(station.LaneNormal, "sensor/1", b.N)
			await(b, u, station.LaneNormal, uint64(b.N)+1)
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(u.Status().Sent)/float64(b.N+1), "B/event")
		})
	}
}

// BenchmarkTransports is how fast a backlog of alarms goes by each transport, what
// an alarm costs on the wire, and how many rows of the journal are read for one
// that is delivered.
func BenchmarkTransports(b *testing.B) {
	for _, transport := range []string{"mqtts", "wss", "webhook"} {
		b.Run(transport, func(b *testing.B) {
			j := uplinktest.NewJournal(node)
			var cfg uplink.Config
			if transport == "webhook" {
				service := uplinktest.NewService(b)
				cfg = uplink.DefaultConfig().Beside(uplink.Target{Name: "web", URL: service.URL(), SecretFile: service.SecretFile()})
			} else {
				w := uplinktest.NewWorld(b)
				w.Start()
				cfg = w.Rig(transport, node).Config
				cfg.AckTimeout = 10 * time.Second
			}
			u := uplink.New(cfg, uplink.Deps{Journal: j, Log: slog.New(slog.DiscardHandler)})
			uplinktest.Run(b, u)
			j.Append(station.LaneUrgent, "alarm/0", 1)
			await(b, u, station.LaneUrgent, 1)
			sent, read := u.Status().Sent, j.Rows()
			b.ResetTimer()
			j.Append(station.LaneUrgent, "alarm/1", b.N)
			await(b, u, station.LaneUrgent, uint64(b.N)+1)
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(u.Status().Sent-sent)/float64(b.N), "wire-B/alarm")
			b.ReportMetric(float64(j.Rows()-read)/float64(b.N), "rows-read/event")
		})
	}
}

func benchWorld(b *testing.B, sync bool) (*uplinktest.World, *uplinktest.Journal, *uplink.Uplink) {
	w := uplinktest.NewWorld(b)
	if sync {
		f, err := os.Create(filepath.Join(b.TempDir(), "inbox"))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = f.Close() })
		w.Inbox.Sync = f
	}
	w.Start()
	j := uplinktest.NewJournal(node)
	cfg := w.Station(node)
	cfg.AckTimeout = 10 * time.Second
	u := uplink.New(cfg, uplink.Deps{Journal: j, Log: w.Log})
	uplinktest.Run(b, u)
	return w, j, u
}

// await polls: the figure that counts is some hundred times larger than the step.
func await(b *testing.B, u *uplink.Uplink, lane station.Lane, seq uint64) {
	deadline := time.Now().Add(time.Minute)
	for u.Received(lane) < seq {
		if time.Now().After(deadline) {
			b.Fatal("not acknowledged")
		}
		time.Sleep(10 * time.Microsecond)
	}
}

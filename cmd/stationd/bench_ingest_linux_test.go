package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/devices/devicestest"
	"stationd/devices/mqtt"
)

// How fast a station takes in what waits for it at a real Mosquitto, as after a
// night without it: each message is acknowledged to Mosquitto when it is stored.
// The messages are there before the clock starts, so that their publishers take
// no part of the machine; Mosquitto does. It is set up as docs/mosquitto.md says.
//
// Every turn measures what the machine can do at that moment, what Mosquitto and
// paho give when nothing is done with a message, one sync for each message, and
// the station as it is. Where others use the machine too, the processor time of a
// message and the ratios tell more than the rates.

const (
	ingestSensors = 500
	ingestBacklog = 50_000 // messages that wait
	ingestSingly  = 2_000  // of them where each has a sync of its own
)

// BenchmarkIngest makes one turn for each b.N and reports the middle of the turns:
// run it with -benchtime 5x.
func BenchmarkIngest(b *testing.B) {
	tune()
	m := devicestest.StartMosquitto(b, "max_inflight_messages 0", "autosave_on_changes false", "autosave_interval 1", "max_queued_bytes 67108864")
	rig := &ingestRig{b: b, broker: m}
	rig.connect()
	stationed := rig.station("grouped", 0)
	singly := rig.station("singly", 1)
	ceiling := rig.bare()
	b.ResetTimer()
	var turns []ingestTurn
	for range b.N {
		var t ingestTurn
		t.sha = benchSHA(b)
		t.fsync = benchFsync(b)
		t.bare = rig.drain(ceiling, ingestBacklog)
		t.singly = rig.drain(singly, ingestSingly)
		t.grouped = rig.drain(stationed, ingestBacklog)
		turns = append(turns, t)
		b.Logf("%.0f msg/s, %.1f times one sync each (%.0f/s), %.0f %% of the bare client (%.0f/s); processor %.0f µs a message, Mosquitto's %.0f (bare %.0f and %.0f); this machine: %.0f fsync/s, SHA-256 %.0f MB/s",
			t.grouped.rate, t.times(), t.singly.rate, 100*t.grouped.rate/t.bare.rate, t.bare.rate,
			t.grouped.own, t.grouped.broker, t.bare.own, t.bare.broker, t.fsync, t.sha)
	}
	b.StopTimer()
	middle := func(of func(ingestTurn) float64) float64 {
		var all []float64
		for _, t := range turns {
			all = append(all, of(t))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	b.ReportMetric(middle(func(t ingestTurn) float64 { return t.grouped.rate }), "msg/s")
	b.ReportMetric(middle(ingestTurn.times), "x-singly")
	b.ReportMetric(middle(func(t ingestTurn) float64 { return t.grouped.rate / t.bare.rate }), "of-bare")
	b.ReportMetric(middle(func(t ingestTurn) float64 { return t.grouped.own }), "cpu-µs/msg")
	b.ReportMetric(middle(func(t ingestTurn) float64 { return t.grouped.broker }), "mosquitto-µs/msg")
	b.ReportMetric(middle(func(t ingestTurn) float64 { return t.bare.rate }), "bare-msg/s")
	b.ReportMetric(middle(func(t ingestTurn) float64 { return t.bare.own }), "bare-µs/msg")
	b.ReportMetric(middle(func(t ingestTurn) float64 { return t.fsync }), "fsync/s")
	b.ReportMetric(middle(func(t ingestTurn) float64 { return t.sha }), "sha256-MB/s")
	b.ReportMetric(0, "ns/op")
}

// ingestTurn is what one turn found.
type ingestTurn struct {
	sha, fsync            float64
	bare, singly, grouped drained
}

func (t ingestTurn) times() float64 { return t.grouped.rate / t.singly.rate }

// drained is how a backlog was taken in: messages a second, and microseconds of
// processor a message, of this process and of Mosquitto.
type drained struct{ rate, own, broker float64 }

// ingestRig is a Mosquitto, its publishers and those who take from it.
type ingestRig struct {
	b       *testing.B
	broker  *devicestest.Mosquitto
	clients [4]publisher
}

func (r *ingestRig) connect() {
	for i := range r.clients {
		c, err := devicestest.Connect(r.b.Context(), devicestest.Config{URL: r.broker.URL(), ClientID: fmt.Sprint("bench-", i)}, nil)
		if err != nil {
			r.b.Fatal(err)
		}
		r.b.Cleanup(func() { c.Disconnect(0) })
		r.clients[i] = func(topic, payload string) func() error {
			token := c.Publish(topic, 1, false, payload)
			return func() error { <-token.Done(); return token.Error() }
		}
	}
}

// fill publishes n messages below a branch and returns when Mosquitto has them.
func (r *ingestRig) fill(branch string, n int) {
	var all sync.WaitGroup
	for c, publish := range r.clients {
		all.Go(func() {
			var under []func() error
			for i := c; i < n; i += len(r.clients) {
				under = append(under, publish(fmt.Sprintf("%s/outside-%03d", branch, i%ingestSensors), leakPayload(false)))
				if len(under) >= 100 {
					_ = under[0]()
					under = under[1:]
				}
			}
			for _, wait := range under {
				_ = wait()
			}
		})
	}
	all.Wait()
}

// taker takes from Mosquitto what comes below its branch.
type taker struct {
	branch string
	link   func(up bool)
	taken  func() uint64
}

// drain lets n messages wait and takes them.
func (r *ingestRig) drain(t taker, n int) drained {
	r.fill(t.branch, n)
	before, own, broker, began := t.taken(), benchCPU(r.b), r.brokerCPU(), time.Now()
	t.link(true)
	for t.taken()-before < uint64(n) {
		time.Sleep(time.Millisecond)
	}
	took := time.Since(began)
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(n) }
	d := drained{float64(n) / took.Seconds(), each(benchCPU(r.b) - own), each(r.brokerCPU() - broker)}
	t.link(false)
	return d
}

// station is a whole station that takes in the branch of its name; workers is how
// many messages it takes at once, zero what is usual.
func (r *ingestRig) station(branch string, workers int) taker {
	cfg := quietPorts(demoConfig(r.b.TempDir(), "bench-"+station.NodeID(branch), "示范村工作站", 0))
	if workers > 0 {
		cfg.Devices.Link.Workers = workers
	}
	cfg.Devices.Zigbee2MQTT = []string{branch}
	n := benchNode(r.b, cfg)
	order := func(kind, subject string, body any) {
		raw, err := json.Marshal(body)
		if err != nil {
			r.b.Fatal(err)
		}
		receipt := n.agent.Handle(r.b.Context(), station.Command{ID: station.NewID(), Type: kind, Subject: subject, Actor: station.System(), Issued: time.Now(), Body: raw})
		if receipt.Problem != nil {
			r.b.Fatal(receipt.Problem)
		}
	}
	for p := range ingestSensors {
		id := fmt.Sprintf("outside-%03d", p)
		order(station.CommandPutSensor, id, station.Sensor{
			ID: id, Name: "地库水浸", Place: "地下车库 · 东侧集水井", Class: station.ClassWater,
			Source: station.SensorSource{Broker: "mosquitto", Family: "zigbee2mqtt", Topic: branch + "/" + id},
		})
	}
	t := taker{branch: branch, taken: func() uint64 { return n.devices.Stats().Reports }}
	t.link = func(up bool) {
		if up {
			order(station.CommandPutBroker, "mosquitto", station.BrokerOrder{Broker: station.Broker{ID: "mosquitto", URL: r.broker.URL(), Topics: []string{branch + "/#"}}})
		} else {
			order(station.CommandRemoveBroker, "mosquitto", nil)
		}
		benchEventually(r.b, "the link to Mosquitto goes up or down", func() bool {
			for _, l := range n.devices.Links() {
				if l.Broker == "mosquitto" {
					return l.Connected == up
				}
			}
			return !up
		})
	}
	t.link(true) // leaves a session there
	t.link(false)
	return t
}

// bare is the station's client with nothing behind it: what Mosquitto and paho
// give on this machine.
func (r *ingestRig) bare() taker {
	var taken atomic.Uint64
	take := func(context.Context, mqtt.Message) error { taken.Add(1); return nil }
	target := mqtt.Target{ID: "bare", URL: r.broker.URL(), ClientID: "bench-bare", Topics: []string{"bare/#"}}
	var stop func()
	t := taker{branch: "bare", taken: taken.Load}
	t.link = func(up bool) {
		if !up {
			stop()
			return
		}
		ctx, cancel := context.WithCancel(r.b.Context())
		link := mqtt.New(mqtt.DefaultConfig(), target, take, slog.New(slog.DiscardHandler))
		ended := make(chan error, 1)
		go func() { ended <- link.Run(ctx) }()
		stop = func() {
			cancel()
			if err := <-ended; err != nil {
				r.b.Error(err)
			}
		}
		benchEventually(r.b, "the bare link goes up", func() bool { return link.Status().Connected })
	}
	t.link(true)
	t.link(false)
	return t
}

// brokerCPU is the processor time that Mosquitto has taken.
func (r *ingestRig) brokerCPU() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.broker.Pid()))
	if err != nil {
		r.b.Fatal(err)
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	var ticks int64
	for _, f := range fields[11:13] { // in user mode and in the system
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			r.b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100)
}

// benchCPU is the processor time that this process has taken.
func benchCPU(b *testing.B) time.Duration { return cpuOf(b, syscall.RUSAGE_SELF) }

func cpuOf(b *testing.B, who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchSHA is how many megabytes this machine hashes in a second of processor time,
// whoever else uses it.
func benchSHA(b *testing.B) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const thread = 1 // RUSAGE_THREAD
	block := make([]byte, 1<<20)
	n, before, began := 0, cpuOf(b, thread), time.Now()
	for time.Since(began) < 200*time.Millisecond {
		sha256.Sum256(block)
		n++
	}
	return float64(n) * float64(len(block)) / 1e6 / (cpuOf(b, thread) - before).Seconds()
}

// benchFsync is how many writes a second the disk makes durable now.
func benchFsync(b *testing.B) float64 {
	f := newRawFile(b)
	defer func() { _ = f.file.Close() }()
	n, began := 0, time.Now()
	for time.Since(began) < 300*time.Millisecond {
		if err := f.write(); err != nil {
			b.Fatal(err)
		}
		n++
	}
	return float64(n) / time.Since(began).Seconds()
}

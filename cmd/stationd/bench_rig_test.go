package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"stationd/agent"
	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
	"stationd/devices/devicestest"
)

// What is published: a leak detector behind Zigbee2MQTT. What alarms is that
// somebody opens it: that ends by itself, so that it can be raised again and again.

func leakID(p int) string { return fmt.Sprintf("water-%02d", p) }

func leakTopic(p int) string { return "zigbee2mqtt/" + leakID(p) }

func leakPayload(open bool) string {
	return fmt.Sprintf(`{"battery":88,"battery_low":false,"last_seen":%d,"linkquality":117,"tamper":%t,"water_leak":false}`, time.Now().UnixMilli(), open)
}

// leakReading is what devices makes of such a payload.
func leakReading(p, i int) station.Report {
	now := time.Now()
	return station.Report{
		Sensor: leakID(p), Received: now, DeviceTime: now, Live: true,
		Link: "embedded/" + leakID(p), Packet: uint16(i%65535 + 1), Fingerprint: uint64(p)<<32 | uint64(i+1),
		Values: map[string]station.Value{"battery": 88.0, "battery_low": false, "linkquality": 117.0, "tamper": false, "water": false},
		Signals: []station.Signal{
			{Kind: station.KindTamper, Field: "tamper", Value: false},
			{Kind: station.KindBattery, Field: "battery_low", Value: false},
			{Kind: station.KindWater, Field: "water", Value: false},
		},
	}
}

// furnishBench registers the sensors and the publishers' account.
func furnishBench(b *testing.B, a *agent.Agent, sensors int) station.Secret {
	order := func(kind, subject string, body any) station.Receipt {
		raw, err := json.Marshal(body)
		if err != nil {
			b.Fatal(err)
		}
		r := a.Handle(b.Context(), station.Command{ID: station.NewID(), Type: kind, Subject: subject, Actor: station.System(), Issued: time.Now(), Body: raw})
		if r.Problem != nil {
			b.Fatal(r.Problem)
		}
		return r
	}
	for p := range sensors {
		order(station.CommandPutSensor, leakID(p), station.Sensor{
			ID: leakID(p), Name: "地库水浸", Place: "地下车库 · 东侧集水井", Class: station.ClassWater,
			Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "zigbee2mqtt", Topic: leakTopic(p)},
		})
	}
	var cred station.DeviceCredential
	if err := json.Unmarshal(order(station.CommandPutDevice, "bench", nil).Result, &cred); err != nil {
		b.Fatal(err)
	}
	return station.Secret(cred.Password)
}

func benchCore(b *testing.B, sensors int) *agent.Agent {
	cfg := demoConfig(b.TempDir(), "bench", "bench", 0)
	cfg.settle()
	st, err := store.Open(cfg.Store, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := st.Close(); err != nil {
			b.Error(err)
		}
	})
	a := agent.New(cfg.Station, agent.Deps{Store: st, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	furnishBench(b, a, sensors)
	return a
}

// benchStation runs a whole station, below a centre if there is one.
func benchStation(b *testing.B, dir string, centre *node) (*node, station.Secret) {
	cfg := quietPorts(demoConfig(filepath.Join(dir, "station"), "bench-village", "示范村工作站", 0))
	if centre != nil {
		cfg = quietPorts(demoStation(dir, centre.centre.MQTTAddr()))
		if err := demoCertificate(centre.cfg.Data, filepath.Join(cfg.Data, uplinkFolder), cfg.Node); err != nil {
			b.Fatal(err)
		}
	}
	// One alarm after the other, hundreds a minute, are what is measured here.
	cfg.Station.Alarms = alarm.Limits{Chatter: 100, ChatterWithin: time.Second, ChatterQuiet: time.Second, Flood: 1000, FloodWithin: time.Second}
	n := benchNode(b, cfg)
	password := furnishBench(b, n.agent, 64)
	// The rooms learn a moment later what was set up, the account last.
	benchEventually(b, "the broker lets the publishers in", func() bool {
		c, err := devicestest.Connect(b.Context(), benchClient(n, password), nil)
		if err == nil {
			c.Disconnect(0)
		}
		return err == nil
	})
	benchEventually(b, "the station reaches the centre", func() bool { return n.uplink == nil || n.uplink.Status().Connected })
	return n, password
}

func benchEventually(b *testing.B, what string, ok func() bool) {
	for late := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			b.Fatalf("%s: not in time", what)
		}
	}
}

// benchNode runs a node until the benchmark ends.
func benchNode(b *testing.B, cfg Config) *node {
	ctx, cancel := context.WithCancel(context.Background())
	g, ctx := errgroup.WithContext(ctx)
	b.Cleanup(func() {
		cancel()
		if err := g.Wait(); err != nil {
			b.Error(err)
		}
	})
	n, err := startDemoNode(ctx, g, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// quietPorts keeps out of the way of a demo that runs on the same machine.
func quietPorts(cfg Config) Config {
	cfg.Console.Listen, cfg.Devices.Broker.Listen = "127.0.0.1:0", "127.0.0.1:0"
	return cfg
}

// publisher publishes with QoS 1; what it returns waits for the acknowledgement.
type publisher func(topic, payload string) (acknowledged func() error)

func benchClient(n *node, password station.Secret) devicestest.Config {
	return devicestest.Config{URL: "mqtt://" + n.devices.Addr().String(), ClientID: station.NewID(), Username: "bench", Password: password}
}

func benchConnect(b *testing.B, n *node, password station.Secret) publisher {
	c, err := devicestest.Connect(b.Context(), benchClient(n, password), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Disconnect(0) })
	return func(topic, payload string) func() error {
		token := c.Publish(topic, 1, false, payload)
		return func() error {
			<-token.Done()
			return token.Error()
		}
	}
}

// load is a number of publishers, each of which makes one call after the other.
type load struct {
	publishers int
	call       func(p, i int) error
}

// run makes the publishers call while more says so, and returns how many calls
// were made.
func (l load) run(b *testing.B, more func(p, i int) bool) int {
	var all sync.WaitGroup
	var calls atomic.Int64
	for p := range l.publishers {
		all.Go(func() {
			i := 0
			for ; more(p, i); i++ {
				if err := l.call(p, i); err != nil {
					b.Error(err)
					break
				}
			}
			calls.Add(int64(i))
		})
	}
	all.Wait()
	return int(calls.Load())
}

// measure makes b.N calls and reports them as readings.
func (l load) measure(b *testing.B) {
	b.ResetTimer()
	l.run(b, func(p, i int) bool { return p+i*l.publishers < b.N })
	b.StopTimer()
	b.ReportMetric(perSecond(b), "readings/s")
	f := newRawFile(b)
	l.compare(b, load{1, func(int, int) error { return f.write() }}, "x-fsync")
}

// compare reports how many times faster l is than other. Both take short turns,
// and the middle of the turns' ratios counts: the disk has neighbours that
// stall it for a while now and then.
func (l load) compare(b *testing.B, other load, metric string) {
	const turns, span = 9, 100 * time.Millisecond
	if b.Elapsed() < 3*span {
		return // the testing package is finding out how long one call takes
	}
	rate := func(l load) float64 {
		began := time.Now()
		calls := l.run(b, func(int, int) bool { return time.Since(began) < span })
		return float64(calls) / time.Since(began).Seconds()
	}
	var ratios []float64
	for range turns {
		ratios = append(ratios, rate(l)/rate(other))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[turns/2], metric)
}

func perSecond(b *testing.B) float64 { return float64(b.N) / b.Elapsed().Seconds() }

// rawFile is a file of whole blocks that are there already, so that a write costs
// its fsync and no more.
type rawFile struct {
	file *os.File
	next int64
}

const (
	rawBlock  = 4096
	rawBlocks = 1024
)

func newRawFile(b *testing.B) *rawFile {
	file, err := os.Create(filepath.Join(b.TempDir(), "disk"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = file.Close() })
	if _, err := file.Write(make([]byte, rawBlock*rawBlocks)); err != nil {
		b.Fatal(err)
	}
	if err := file.Sync(); err != nil {
		b.Fatal(err)
	}
	return &rawFile{file: file}
}

func (f *rawFile) write() error {
	var block [rawBlock]byte
	if _, err := f.file.WriteAt(block[:], f.next%rawBlocks*rawBlock); err != nil {
		return err
	}
	f.next++
	return f.file.Sync()
}

// quantile is in milliseconds.
func quantile(took []time.Duration, percent int) float64 {
	took = slices.Sorted(slices.Values(took))
	return float64(took[(len(took)-1)*percent/100]) / float64(time.Millisecond)
}

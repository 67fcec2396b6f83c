package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"stationd/agent"
	"stationd/agent/station"
	"stationd/agent/store"
	"stationd/devices"
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

// leanPublisher speaks MQTT with as little processor as can be, because at a station
// it is other machines that publish.
func leanPublisher(b *testing.B, broker, id string, password station.Secret) publisher {
	c, err := net.Dial("tcp", broker)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	hello, ok := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	if !ok {
		b.Fatal("no CONNECT")
	}
	hello.ProtocolName, hello.ProtocolVersion, hello.CleanSession, hello.Keepalive = "MQTT", 4, true, 600
	hello.ClientIdentifier = id
	hello.UsernameFlag, hello.Username, hello.PasswordFlag, hello.Password = true, "bench", true, []byte(password.Reveal())
	if err := hello.Write(c); err != nil {
		b.Fatal(err)
	}
	in := bufio.NewReader(c)
	if answer, err := packets.ReadPacket(in); err != nil || answer.(*packets.ConnackPacket).ReturnCode != 0 {
		b.Fatalf("%v, %v", answer, err)
	}
	message, ok := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	if !ok {
		b.Fatal("no PUBLISH")
	}
	message.Qos = 1
	return func(topic, payload string) func() error {
		message.MessageID = message.MessageID%65535 + 1
		message.TopicName, message.Payload = topic, []byte(payload)
		if err := message.Write(c); err != nil {
			return func() error { return err }
		}
		return func() error {
			answer, err := packets.ReadPacket(in)
			if ack, ok := answer.(*packets.PubackPacket); err == nil && (!ok || ack.MessageID != message.MessageID) {
				err = fmt.Errorf("%v instead of an acknowledgement of %d", answer, message.MessageID)
			}
			return err
		}
	}
}

// BenchmarkEmbedded is twenty publishers at the built-in broker, each of which
// waits until its message is acknowledged, that is stored, before it sends the
// next. Each b.N is a turn: a second with a sync for each message, a second as it
// is. The middle of the turns counts; the publishers' time is in the processor's.
func BenchmarkEmbedded(b *testing.B) {
	const publishers = 20
	tune()
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
		publish[p] = leanPublisher(b, set.Addr().String(), fmt.Sprint("bench-", p), password)
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

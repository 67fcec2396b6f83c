package main

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/devices/broker"
	"stationd/devices/payload"
)

// The sensors are set up at a real station, which raises their alarms and has a
// state of each at the end.
func TestSensorsAtAStation(t *testing.T) {
	v := startVillage(t)
	s := start(t, "sensors", "--broker", v.broker(), "--station", v.url, "--token", v.link(t),
		"--count", "16", "--per-connection", "6", "--rate", "100/s", "--alarm-every", "300ms", "--for", "2s")
	if code := s.wait(t); code != exitOK {
		t.Errorf("exit %d", code)
	}
	s.says(t, "16 sensors on 3 connections", "not acknowledged  0", "left out          0", "puback, readings  p50 ", "puback, alarms    p50 ", "on the desk       p50 ")
	sensors, err := v.agent.Sensors()
	if err != nil {
		t.Fatal(err)
	}
	if len(sensors) != 16 {
		t.Errorf("the station has %d sensors", len(sensors))
	}
	for _, sn := range sensors {
		if !strings.HasPrefix(sn.Sensor.ID, "sim-") || sn.State.LastSeen.IsZero() {
			t.Errorf("%+v", sn)
		}
	}
	alarms, err := v.agent.LiveAlarms()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[station.AlarmKind]bool{}
	for _, a := range alarms {
		kinds[a.Kind] = true
	}
	if len(alarms) < 4 || !kinds[station.KindSmoke] || !kinds[station.KindGas] || !kinds[station.KindSOS] {
		t.Errorf("%d alarms of %v", len(alarms), kinds)
	}
}

// post is a broker that lets one account in and takes in what take says.
func post(t *testing.T, take func(broker.Message) error) (url string) {
	t.Helper()
	cfg := broker.DefaultConfig()
	cfg.Listen, cfg.Hold = "127.0.0.1:0", 50*time.Millisecond
	b := broker.New(cfg, broker.Hooks{
		Authenticate: func(c broker.ConnectInfo) bool { return c.Username == "u" && c.Password == "secret" },
		MayPublish:   func(broker.Client, string) bool { return true },
		Publish:      func(_ context.Context, m broker.Message) error { return take(m) },
	}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	<-b.Ready()
	return "mqtt://" + b.Addr().String()
}

func secretFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// What is published is what the decoders of real devices read, at the rate that
// was asked for, and Ctrl-C ends it.
func TestSensorsPublishAndEnd(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	said := map[string]payload.Reading{}
	messages, clients := 0, map[string]bool{}
	sensors := map[string]station.Sensor{}
	for _, sn := range newFleet("own", "z2m", 8, 3).sensors() {
		sensors[sn.Source.Topic] = sn
	}
	url := post(t, func(m broker.Message) error {
		mu.Lock()
		defer mu.Unlock()
		messages++
		clients[m.Client.ID] = true
		sn, known := sensors[m.Topic]
		if !known || m.QoS != 1 {
			t.Errorf("%s with QoS %d", m.Topic, m.QoS)
			return nil
		}
		var decoder payload.Decoder = payload.Zigbee2MQTT{Base: "z2m"}
		if sn.Source.Family == payload.FamilyJSON {
			var err error
			if decoder, err = payload.NewJSON(sn.Source.Fields); err != nil {
				t.Error(err)
			}
		}
		r, err := decoder.Decode(m.Topic, m.Payload)
		if err != nil {
			t.Errorf("%s: %v: %v", m.Topic, jsonOf(t, m.Payload), err)
		}
		said[m.Topic] = r
		return nil
	})
	s := start(t, "sensors", "--broker", url, "--username", "u", "--password-file", secretFile(t),
		"--name", "own", "--base", "z2m", "--count", "8", "--per-connection", "3", "--rate", "6000/m", "--alarm-every", "0", "--for", "1h")
	began := time.Now()
	count := func() (int, int) { mu.Lock(); defer mu.Unlock(); return messages, len(said) }
	eventually(t, "messages of every sensor", func() bool { n, of := count(); return n >= 100 && of == 8 })
	took := time.Since(began)
	s.interrupt()
	if code := s.wait(t); code != exitOK {
		t.Errorf("exit %d", code)
	}
	if ended := time.Since(began) - took; ended > 5*time.Second {
		t.Errorf("it ended after %v", ended)
	}
	if took < 800*time.Millisecond {
		t.Errorf("a hundred messages at 100/s took %v", took)
	}
	s.says(t, "publish 100/s", "not acknowledged  0")
	if len(clients) != 3 {
		t.Errorf("clients %v", clients)
	}
}

// A broken connection loses nothing, and makes nothing acknowledged that was not.
func TestSensorsOverABrokenConnection(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	taken, refused, again := 0, 0, 0
	url := post(t, func(m broker.Message) error {
		mu.Lock()
		defer mu.Unlock()
		if m.Duplicate {
			again++
		}
		if taken >= 10 && refused < 3 {
			refused++
			return errors.New("not now")
		}
		taken++
		return nil
	})
	s := start(t, "sensors", "--broker", url, "--username", "u", "--password-file", secretFile(t),
		"--count", "8", "--rate", "20/s", "--for", "4s")
	if code := s.wait(t); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mu.Lock()
	defer mu.Unlock()
	if refused != 3 || again < 3 {
		t.Errorf("%d refused, %d sent again", refused, again)
	}
	s.says(t, "not acknowledged  0")
}

func TestWire(t *testing.T) {
	var got []uint16
	w := &wire{acknowledged: func(id uint16) { got = append(got, id) }}
	long := append([]byte{0x30, 0x80, 0x01}, make([]byte, 128)...) // a message of 128 bytes
	for _, packet := range [][]byte{{0x20, 2, 0, 0}, {0x40, 2, 0x12, 0x34}, {0xd0, 0}, long, {0x40, 2, 0, 7}} {
		for _, c := range packet {
			w.take(c)
		}
	}
	if len(got) != 2 || got[0] != 0x1234 || got[1] != 7 {
		t.Errorf("%x", got)
	}
}

// What is not acknowledged is counted, and makes the run a failed one.
// (Not in parallel with the last tests: the client that was refused sleeps for a
// while yet before it notices that it was disconnected.)
func TestSensorsUnacknowledged(t *testing.T) {
	url := post(t, func(m broker.Message) error {
		if strings.Contains(m.Topic, "gas") {
			return errors.New("no room")
		}
		return nil
	})
	s := start(t, "sensors", "--broker", url, "--username", "u", "--password-file", secretFile(t),
		"--count", "8", "--per-connection", "1", "--rate", "40/s", "--for", "1s")
	if code := s.wait(t); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	s.says(t, "publications were not acknowledged")
	if strings.Contains(s.output(), "not acknowledged  0") {
		t.Error(s.output())
	}
}

func TestSensorsTurnedAway(t *testing.T) {
	t.Parallel()
	url := post(t, func(broker.Message) error { return nil })
	s := start(t, "sensors", "--broker", url, "--username", "nobody")
	if code := s.wait(t); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	s.says(t, "connect to "+url)
}

func TestLatencies(t *testing.T) {
	var l latencies
	if l.String() != "none" || l.quantile(99) != 0 {
		t.Errorf("of nothing: %v", &l)
	}
	for i := range 1000 {
		l.add(time.Duration(i+1) * time.Millisecond)
	}
	for percent, want := range map[float64]time.Duration{50: 500 * time.Millisecond, 99: 990 * time.Millisecond, 100: time.Second} {
		if got := l.quantile(percent); math.Abs(float64(got-want)) > 0.03*float64(want) {
			t.Errorf("%v%%: %v", percent, got)
		}
	}
	l.add(1000 * time.Hour)
	l.add(-time.Second)
	if l.most != 1000*time.Hour || l.count != 1002 {
		t.Errorf("%d, at most %v", l.count, l.most)
	}
}

// An estate is set up at a real station and plays with breaks, storms and
// malformed messages; whatever the broker was given is acknowledged.
func TestEstateAtAStation(t *testing.T) {
	v := startVillage(t)
	s := start(t, "sensors", "--profile", "estate-60", "--seed", "3", "--broker", v.broker(), "--station", v.url, "--token", v.link(t),
		"--rate", "150/s", "--alarm-every", "100ms", "--storm-every", "1s", "--break-every", "900ms", "--malformed-every", "40", "--for", "4s")
	if code := s.wait(t); code != exitOK {
		t.Errorf("exit %d", code)
	}
	s.says(t, "an estate of 60 sensors on ", "seed 3", "not acknowledged  0")
	sensors, err := v.agent.Sensors()
	if err != nil {
		t.Fatal(err)
	}
	if len(sensors) < 60 {
		t.Errorf("the station has %d sensors", len(sensors))
	}
	alarms, err := v.agent.LiveAlarms()
	if err != nil {
		t.Fatal(err)
	}
	if len(alarms) == 0 {
		t.Error("no sensor's alarm was understood")
	}
}

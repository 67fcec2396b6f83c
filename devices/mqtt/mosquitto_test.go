package mqtt_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/devices/devicestest"
	"stationd/devices/mqtt"
)

// TestTheRecommendedMosquitto: TLS, names and bounds as documented, and of more
// messages than Mosquitto would keep by itself none is lost over its restart.
func TestTheRecommendedMosquitto(t *testing.T) {
	m := devicestest.StartDocumented(t, filepath.Join("..", "..", "docs", "mosquitto.md"), "station", "meter")
	cfg := config()
	cfg.CAFile = m.Authority
	to := mqtt.Target{ID: "yard", URL: m.Secure, Username: "station", Password: station.Secret(devicestest.Password("station")), ClientID: "stationd-test", Topics: []string{"zigbee2mqtt/#", "devices/#"}}
	var got taken
	l, stop := start(t, cfg, to, got.take)
	eventually(t, "the link by TLS", connected(l))
	eventually(t, "the broker's version", func() bool { return strings.Contains(l.Status().Version, "mosquitto") })
	stop()

	for name, bad := range map[string]func(*mqtt.Config, *mqtt.Target){
		"broker.login":       func(_ *mqtt.Config, to *mqtt.Target) { to.Password = "wrong" },
		"broker.certificate": func(cfg *mqtt.Config, _ *mqtt.Target) { cfg.CAFile = "" },
	} {
		cfg, to := cfg, to
		bad(&cfg, &to)
		x, stop := start(t, cfg, to, new(taken).take)
		eventually(t, name, func() bool { p := x.Status().Problem; return p != nil && p.Code == name })
		stop()
	}

	device, err := devicestest.Connect(t.Context(), devicestest.Config{URL: m.URL(), Username: "meter", Password: station.Secret(devicestest.Password("meter")), ClientID: "meter"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	const n = 1500
	for i := range n {
		device.Publish("devices/meter/up", 1, false, fmt.Sprint(i)).Wait()
	}
	device.Publish("devices/other/up", 1, false, "forged").Wait()
	device.Publish("zigbee2mqtt/a", 1, false, "forged").Wait()
	device.Disconnect(100)
	m.Stop()
	m.Start()
	l, _ = start(t, cfg, to, got.take)
	eventually(t, "everything that was kept", func() bool { return len(got.all()) >= n })
	for i, x := range got.all() {
		if x.Topic != "devices/meter/up" || string(x.Payload) != fmt.Sprint(i) {
			t.Fatalf("message %d is %q of %s", i, x.Payload, x.Topic)
		}
	}
	if w := l.Status().Warnings; len(w) > 0 {
		t.Errorf("warned of: %v", w)
	}
}

// warned waits for the first warning.
func warned(t *testing.T, l *mqtt.Link) (p *station.Problem) {
	t.Helper()
	eventually(t, "a warning", func() bool {
		if all := l.Status().Warnings; len(all) > 0 {
			p = all[0]
		}
		return p != nil
	})
	if p.Hint == "" {
		t.Errorf("%s is without a remedy", p.Code)
	}
	return p
}

func TestABrokerThatWouldDropAlarmsIsFoundOut(t *testing.T) {
	t.Run("it keeps few", func(t *testing.T) {
		m := devicestest.StartMosquitto(t, "max_queued_messages 100", "autosave_on_changes false", "autosave_interval 300")
		cfg := config()
		cfg.ProbeAfter = time.Millisecond
		var got taken
		l, _ := start(t, cfg, target(m, "#"), got.take)
		if p := warned(t, l); p.Code != "broker.keeps-few" && p.Code != "broker.drops" {
			t.Errorf("warned of %s", p.Code)
		}
		if n := len(got.all()); n > 0 {
			t.Errorf("%d messages of the probe were taken for a device's", n)
		}
	})
	t.Run("it keeps all", func(t *testing.T) {
		m := devicestest.StartMosquitto(t, "autosave_on_changes false", "autosave_interval 300")
		cfg := config()
		cfg.ProbeAfter = time.Millisecond
		l, _ := start(t, cfg, target(m, "a/#"), new(taken).take)
		eventually(t, "the probe's end", l.Probed)
		if w := l.Status().Warnings; len(w) > 0 {
			t.Errorf("warned of %v", w)
		}
	})
	t.Run("it forgets", func(t *testing.T) {
		m := devicestest.StartMosquitto(t, "persistence false")
		l, _ := start(t, config(), target(m, "a/#"), new(taken).take)
		eventually(t, "connect", connected(l))
		m.Stop()
		eventually(t, "loss", func() bool { return !l.Status().Connected })
		m.Start()
		if p := warned(t, l); p.Code != "broker.forgets" {
			t.Errorf("warned of %s", p.Code)
		}
	})
}

// What a broker has kept is told from what comes now, by a mark: since when it may have
// lain there, also over a restart of the program, and whoever may not publish the mark
// hears everything as new after a while.
func TestWhatHasWaitedAtTheBroker(t *testing.T) {
	m := devicestest.StartMosquitto(t)
	to := mqtt.Target{ID: "yard", URL: m.URL(), ClientID: "stationd-test", Topics: []string{"zigbee2mqtt/#"}}
	device, err := devicestest.Connect(t.Context(), devicestest.Config{URL: m.URL(), ClientID: "device"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Disconnect(0)
	var got taken
	publish := func(bodies ...string) {
		t.Helper()
		for _, body := range bodies {
			device.Publish("zigbee2mqtt/a", 1, false, body).Wait()
		}
	}
	// hears waits for as many more messages as are given and holds their ages against
	// what is right.
	hears := func(l *mqtt.Link, right func(time.Duration) bool, bodies ...string) {
		t.Helper()
		eventually(t, fmt.Sprint(bodies), func() bool { return len(got.all()) >= len(bodies) })
		for i, x := range got.all() {
			if string(x.Payload) != bodies[i] || !right(x.Waited) {
				t.Errorf("%q may have waited %v", x.Payload, x.Waited)
			}
		}
		got.forget()
	}
	fresh := func(d time.Duration) bool { return d == 0 }

	l, stop := start(t, config(), to, got.take)
	eventually(t, "the link", connected(l))
	publish("first")
	hears(l, fresh, "first") // there was no session yet
	stop()

	away := time.Now()
	to.UpUntil = away
	publish("kept 1", "kept 2")
	l, stop = start(t, config(), to, got.take)
	eventually(t, "what was kept", func() bool { return len(got.all()) == 2 })
	hears(l, func(d time.Duration) bool { return d > 0 && d <= time.Since(away) }, "kept 1", "kept 2")
	eventually(t, "the mark", func() bool {
		publish("now")
		eventually(t, "it", func() bool { return len(got.all()) == 1 })
		d := got.all()[0].Waited
		got.forget()
		return d == 0
	})
	m.Stop() // the link itself goes down and comes back
	eventually(t, "the link goes down", func() bool { return !l.Status().Connected })
	m.Start()
	eventually(t, "the link comes back", connected(l))
	stop()
	got.forget() // the last "now" comes again where its acknowledgement was cut off

	to.UpUntil = time.Time{}
	publish("kept 3")
	l, stop = start(t, config(), to, got.take)
	hears(l, func(d time.Duration) bool { return d == mqtt.Forever }, "kept 3")
	stop()
}

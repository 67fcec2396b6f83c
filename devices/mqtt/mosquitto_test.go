package mqtt_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/devices/devicestest"
	"stationd/devices/mqtt"
)

// documented is a Mosquitto set up as docs/mosquitto.md says, word for word but for
// where its files and ports are.
func documented(t *testing.T) (m *devicestest.Mosquitto, secure string, ca string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "mosquitto.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string) string {
		found := regexp.MustCompile("(?s)```" + kind + "\n(.*?)```").FindSubmatch(page)
		if found == nil {
			t.Fatalf("the page has no %s", kind)
		}
		return string(found[1])
	}
	dir := t.TempDir()
	for _, sub := range []string{"certs", "data"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	ca = devicestest.ServerCertificate(t, filepath.Join(dir, "certs"))
	passwords := filepath.Join(dir, "passwords")
	for i, who := range []string{"station", "zigbee", "meter"} {
		args := []string{"-b", passwords, who, "secret-" + who}
		if i == 0 {
			args = slices.Insert(args, 0, "-c")
		}
		if out, err := exec.Command("mosquitto_passwd", args...).CombinedOutput(); err != nil {
			t.Fatalf("mosquitto_passwd: %v: %s", err, out)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "acl"), []byte(block("acl")), 0o600); err != nil {
		t.Fatal(err)
	}
	plain, secure := devicestest.FreePort(t), devicestest.FreePort(t)
	conf := block("conf")
	for from, to := range map[string]string{
		"listener 1883 127.0.0.1": "listener " + plain + " 127.0.0.1", "listener 8883": "listener " + secure + " 127.0.0.1",
		"/etc/mosquitto/": dir + "/", "/var/lib/mosquitto/": dir + "/data/",
	} {
		if !strings.Contains(conf, from) {
			t.Fatalf("the page's configuration lacks %q", from)
		}
		conf = strings.ReplaceAll(conf, from, to)
	}
	return devicestest.StartMosquittoWith(t, conf, net.JoinHostPort("127.0.0.1", plain)), "mqtts://127.0.0.1:" + secure, ca
}

// TestTheRecommendedMosquitto: TLS, names and bounds as documented, and of more
// messages than Mosquitto would keep by itself none is lost over its restart.
func TestTheRecommendedMosquitto(t *testing.T) {
	m, secure, ca := documented(t)
	cfg := config()
	cfg.CAFile = ca
	to := mqtt.Target{ID: "yard", URL: secure, Username: "station", Password: "secret-station", ClientID: "stationd-test", Topics: []string{"zigbee2mqtt/#", "devices/#"}}
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

	device, err := devicestest.Connect(t.Context(), devicestest.Config{URL: m.URL(), Username: "meter", Password: "secret-meter", ClientID: "meter"}, nil)
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

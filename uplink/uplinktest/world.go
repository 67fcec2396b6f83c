package uplinktest

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/uplink"
	"stationd/uplink/centre"
	"stationd/uplink/pki"
	"stationd/uplink/transport/mqtt"
)

// World is an authority, and a centre that can be stopped and started again at
// the same addresses with the same inbox.
type World struct {
	Authority *pki.Authority
	Inbox     *Inbox
	Clips     *ClipStore
	Live      centre.Live
	// Enrolments, when set, decide who may come in.
	Enrolments centre.Enrolments
	Config     centre.Config
	Log        *slog.Logger

	t      testing.TB
	dir    string
	stop   func()
	Centre *centre.Centre
}

// NewWorld makes the authority and the centre's certificate. Start starts it.
func NewWorld(t testing.TB) *World {
	t.Helper()
	w := &World{t: t, dir: t.TempDir(), Inbox: NewInbox(), Clips: NewClipStore(), Log: slog.New(slog.DiscardHandler)}
	var err error
	if w.Authority, err = pki.Open(w.dir + "/ca"); err != nil {
		t.Fatal(err)
	}
	f, err := w.Authority.EnsureServer(w.dir+"/centre", []string{"127.0.0.1", "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	w.Config = centre.DefaultConfig()
	w.Config.Listen, w.Config.ClipsListen = "127.0.0.1:0", "127.0.0.1:0"
	w.Config.Certificate, w.Config.Key, w.Config.Authority = f.Certificate, f.Key, f.Authority
	t.Cleanup(w.Stop)
	return w
}

// Start starts the centre, the second time at the addresses of the first.
func (w *World) Start() {
	w.t.Helper()
	c := centre.New(w.Config, centre.Deps{Node: "centre", Version: "test", Inbox: w.Inbox, Clips: w.Clips, Live: w.Live, Enrolments: w.Enrolments, Log: w.Log})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	select {
	case <-c.Ready():
	case err := <-done:
		cancel()
		w.t.Fatalf("centre: %v", err)
	}
	w.Centre = c
	w.Config.Listen, w.Config.ClipsListen = c.MQTTAddr().String(), c.HTTPAddr().String()
	w.stop = func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				w.t.Errorf("centre: %v", err)
			}
		case <-time.After(10 * time.Second):
			w.t.Error("the centre does not stop")
		}
	}
}

// Stop stops the centre, if it runs.
func (w *World) Stop() {
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

// Files is node's certificate.
func (w *World) Files(node station.NodeID) pki.Files {
	w.t.Helper()
	f, err := w.Authority.EnsureNode(w.dir+"/"+string(node), node)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// Station is an uplink's configuration for node, with the patience of a test.
func (w *World) Station(node station.NodeID) uplink.Config {
	f := w.Files(node)
	cfg := uplink.DefaultConfig()
	cfg.URL = "mqtts://" + w.Config.Listen
	cfg.Certificate, cfg.Key, cfg.Authority = f.Certificate, f.Key, f.Authority
	cfg.AckTimeout, cfg.ConnectTimeout = 300*time.Millisecond, 5*time.Second
	cfg.RetryMin, cfg.RetryMax = 5*time.Millisecond, 50*time.Millisecond
	return cfg
}

// Dialer is the real transport of a configuration.
func (w *World) Dialer(cfg uplink.Config) *mqtt.Dialer {
	host, _, err := net.SplitHostPort(w.Config.Listen)
	if err != nil {
		w.t.Fatal(err)
	}
	mc := mqtt.DefaultConfig()
	mc.URL, mc.ConnectTimeout = cfg.URL, cfg.ConnectTimeout
	mc.TLS = func() (*tls.Config, error) {
		return pki.ClientTLS(pki.Files{Certificate: cfg.Certificate, Key: cfg.Key, Authority: cfg.Authority}, host)
	}
	return mqtt.New(mc, w.Log)
}

// Run runs an uplink; the function that it returns stops it and waits.
func Run(t testing.TB, u *uplink.Uplink) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("uplink: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the uplink does not stop")
		}
	}
	t.Cleanup(stop)
	return stop
}

// Eventually waits until ok holds.
func Eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within %s: %s", within, what)
		case <-tick.C:
		}
	}
}

func logFor(testing.TB) *slog.Logger { return slog.New(slog.DiscardHandler) }

// Rig is the centre behind a transport of its own: mqtts or wss.
func (w *World) Rig(scheme string, node station.NodeID) Rig {
	w.t.Helper()
	cfg := w.Station(node)
	if scheme == "wss" {
		cfg.URL = "wss://" + w.Config.ClipsListen
	}
	return Rig{
		Config: cfg, Dialer: w.Dialer(cfg), Down: w.Stop, Up: w.Start,
		Got: func(lane station.Lane) []string { return idsOf(w.Inbox.Events(node, lane)) },
	}
}

// Behind puts a broker at addr between stations and the centre, which Start then
// listens to. It gives the configuration for a Mosquitto, whose access list binds
// each to its own topics by its certificate; the caller runs it, and adds it to the
// rig's Down and Up.
func (w *World) Behind(node station.NodeID, addr string) (mosquitto string, r Rig) {
	w.t.Helper()
	own, err := w.Authority.EnsureNode(w.dir+"/relay", "centre")
	if err != nil {
		w.t.Fatal(err)
	}
	acl := w.dir + "/acl"
	const list = `
user centre
topic readwrite cityops/v1/#

pattern write cityops/v1/%u/hello
pattern write cityops/v1/%u/events/#
pattern write cityops/v1/%u/receipts
pattern write cityops/v1/%u/signal/up
pattern write cityops/v1/%u/status
pattern write cityops/v1/%u/health
pattern read cityops/v1/%u/welcome
pattern read cityops/v1/%u/acks
pattern read cityops/v1/%u/commands
pattern read cityops/v1/%u/signal/down
`
	if err := os.WriteFile(acl, []byte(list), 0o600); err != nil {
		w.t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		w.t.Fatal(err)
	}
	mosquitto = strings.Join([]string{
		"listener " + port + " 127.0.0.1", "allow_anonymous false", "acl_file " + acl,
		"cafile " + w.Config.Authority, "certfile " + w.Config.Certificate, "keyfile " + w.Config.Key,
		"require_certificate true", "use_identity_as_username true", "max_packet_size 2097152",
	}, "\n")
	w.Config.Relay = centre.RelayConfig{URL: "mqtts://" + addr, Certificate: own.Certificate, Key: own.Key, Authority: own.Authority}
	cfg := w.Station(node)
	cfg.URL = w.Config.Relay.URL
	return mosquitto, Rig{
		Config: cfg, Dialer: w.Dialer(cfg), Down: w.Stop, Up: w.Start,
		Got: func(lane station.Lane) []string { return idsOf(w.Inbox.Events(node, lane)) },
	}
}

func idsOf(events []station.Event) []string {
	ids := make([]string, len(events))
	for i, ev := range events {
		ids[i] = ev.ID
	}
	return ids
}

package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/uplink/centre"
	"stationd/uplink/pki"
	"stationd/uplink/uplinktest"
)

// Fifty stations at a real centre's door, one more that floods, sends what is too large
// and what cannot be read, and speaks in others' names: whatever the fifty wrote is
// there, once and in order, and nothing of what the one said of others.
func TestFiftyStationsAndOneThatMisbehaves(t *testing.T) {
	dir := t.TempDir()
	ca, err := pki.Open(filepath.Join(dir, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := ca.EnsureServer(filepath.Join(dir, "centre"), []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := centre.DefaultConfig()
	cfg.Listen, cfg.Certificate, cfg.Key, cfg.Authority = "127.0.0.1:0", files.Certificate, files.Key, files.Authority
	inbox := uplinktest.NewInbox()
	c := centre.New(cfg, centre.Deps{Node: "centre", Inbox: inbox, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-c.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	sim := stationsConfig{
		url: "mqtts://" + c.MQTTAddr().String(), ca: filepath.Join(dir, "ca"), work: filepath.Join(dir, "stations"),
		n: 50, rate: 1000, alarm: 50 * time.Millisecond, last: 3 * time.Second, bad: misdeeds, log: slog.New(slog.DiscardHandler),
	}
	f, err := sim.run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events, alarms %v, readings %v, misdeeds %v", f.written, &f.urgent, &f.others, f.misdeeds)
	if f.left != 0 || f.held != f.written || f.written < 2500 {
		t.Errorf("%d written, %d durable, %d left", f.written, f.held, f.left)
	}
	for _, m := range misdeeds {
		if f.misdeeds[m] == 0 {
			t.Errorf("nobody tried: %s", m)
		}
	}
	got := 0
	for i := range sim.n {
		for _, lane := range station.Lanes() {
			last := uint64(0)
			for _, ev := range inbox.Events(stationName(i), lane) {
				if ev.Origin.Seq <= last || ev.Origin.Node != stationName(i) {
					t.Fatalf("%s %s: %d of %s after %d", stationName(i), lane, ev.Origin.Seq, ev.Origin.Node, last)
				}
				last = ev.Origin.Seq
				got++
			}
		}
	}
	if got != f.written {
		t.Errorf("the centre holds %d of %d", got, f.written)
	}
	if n := inbox.Count(villainName, station.LaneUrgent); n != 0 {
		t.Errorf("%d events of who misbehaves were stored", n)
	}
}

package agent_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/station"
	"stationd/agent/store"
	"stationd/agent/store/disk"
)

// huge is more than any test machine has.
const huge = disk.Bytes(1 << 50)

// tight makes a store believe that its disk has room for what is urgent alone.
func tight(c *store.Config) { c.Space.Low, c.Space.Full, c.Space.Tight = huge, huge, huge }

// start runs the agent until stop, which fails the test when it had ended by
// itself.
func (r *rig) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return func() {
		r.t.Helper()
		cancel()
		if err := <-done; err != nil {
			r.t.Error("the core ended by itself: ", err)
		}
	}
}

// A service manager that starts a station on a full disk must not start it in a
// circle.
func TestStartsOnATightDisk(t *testing.T) {
	dir := t.TempDir()
	before := newRigOn(t, dir, nil)
	if err := before.NodeSeen(context.Background(), "east", station.Presence{Online: true}); err != nil {
		t.Fatal(err)
	}
	if err := before.store.Close(); err != nil {
		t.Fatal(err)
	}
	applied := make(chan agent.Registry, 1)
	r := newRigOn(t, dir, tight, func(_ *agent.Config, d *agent.Deps) {
		d.Apply = func(reg agent.Registry) { applied <- reg }
	})
	if err := r.NodeSeen(context.Background(), "west", station.Presence{Online: true}); !errors.Is(err, station.ErrNoSpace) {
		t.Fatalf("the disk is not tight: %v", err)
	}
	if err := r.NodesOffline(context.Background()); err != nil {
		t.Fatal(err)
	}
	stop := r.start()
	defer stop()
	select {
	case <-applied:
	case <-time.After(10 * time.Second):
		t.Fatal("sensors are not listened to on a tight disk")
	}
	for len(r.live()) == 0 { // the disk alarm itself
		time.Sleep(time.Millisecond)
	}
}

// Whoever is to be told of the full disk must get in.
func TestSignInOnATightDisk(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	before := newRigOn(t, dir, nil)
	code, err := before.Invite(ctx, "claim", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := before.Claim(ctx, code, station.AccountOrder{Account: "li", Name: "李", Password: "lang genug 1"}, "1.1.1.1"); err != nil {
		t.Fatal(err)
	}
	if err := before.store.Close(); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, dir, tight)
	token, _, err := r.Login(ctx, "li", "lang genug 1", "1.1.1.1")
	if err != nil {
		t.Fatal(err)
	}
	for range 20 { // a session in use stays
		r.clock.add(5 * time.Minute)
		if who, err := r.Session(ctx, token, "1.1.1.1"); err != nil || who.Account != "li" {
			t.Fatal("the session in use has ended: ", who, err)
		}
	}
	if err := r.Logout(ctx, token); err != nil {
		t.Fatal(err)
	}
}

// The reserve is for alarms, not for detectors that say once more that all is
// well.
func TestReserveIsForNews(t *testing.T) {
	dir := t.TempDir()
	before := newRigOn(t, dir, nil)
	before.addSensor("a", station.ClassSmoke)
	before.addSensor("d", station.ClassDoor)
	before.report("a", station.KindSmoke, false)
	before.report("d", station.KindDoor, false)
	if err := before.store.Close(); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, dir, tight)
	try := func(sensor string, kind station.AlarmKind, active bool) error {
		return r.HandleReport(context.Background(), station.Report{
			Sensor: sensor, Live: true, Received: r.clock.now(), Values: map[string]station.Value{string(kind): active},
			Signals: []station.Signal{{Kind: kind, Active: active, Field: string(kind), Value: active}},
		})
	}
	if err := try("a", station.KindSmoke, false); !errors.Is(err, station.ErrNoSpace) {
		t.Errorf("no smoke, once more: %v", err)
	}
	for _, active := range []bool{true, true, false} {
		if err := try("a", station.KindSmoke, active); err != nil {
			t.Errorf("smoke %v: %v", active, err)
		}
	}
	if live := r.live(); len(live) != 1 || live[0].ReturnedAt.IsZero() {
		t.Errorf("the end of the smoke was not taken in: %+v", live)
	}
	if err := try("a", station.KindSmoke, false); !errors.Is(err, station.ErrNoSpace) {
		t.Errorf("no smoke, once more: %v", err)
	}
	for _, active := range []bool{true, false} {
		if err := try("d", station.KindDoor, active); err != nil {
			t.Errorf("door %v: %v", active, err)
		}
	}
	if len(r.live()) != 1 {
		t.Error("the door's alarm has not ended")
	}
}

// What the parent has may be trimmed only when the cursor says so: on a full
// disk of all times it must move.
func TestCursorMovesOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	before := newRigOn(t, dir, nil)
	before.addSensor("a", station.ClassTemperature)
	before.report("a", station.KindTemperature, false)
	if err := before.store.Close(); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, dir, tight)
	for _, lane := range station.Lanes() {
		c := store.Cursor{Target: "centre", Lane: lane, Epoch: r.store.Epoch(), Seq: 1, Hop: 1}
		if err := r.Advance(context.Background(), c); err != nil {
			t.Errorf("%s: %v", lane, err)
		}
	}
}

// A lost key makes cameras dark. It must not make the station deaf.
func TestRunsWithoutTheKeyOfTheSecrets(t *testing.T) {
	dir := t.TempDir()
	before := newRigOn(t, dir, nil)
	before.addSensor("a", station.ClassSmoke)
	before.must(before.do(station.CommandPutCamera, "gate", map[string]any{"id": "gate", "name": "门", "url": "rtsp://u:geheim-1@10.0.0.9/x", "record": true}))
	before.must(before.do(station.CommandPutBroker, "b", map[string]any{"id": "b", "url": "mqtt://u:geheim-2@10.0.0.8", "topics": []string{"#"}}))
	if err := before.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "secret.key")); err != nil {
		t.Fatal(err)
	}
	applied := make(chan agent.Registry, 1)
	r := newRigOn(t, dir, nil, func(_ *agent.Config, d *agent.Deps) {
		d.Apply = func(reg agent.Registry) { applied <- reg }
	})
	stop := r.start()
	defer stop()
	select {
	case reg := <-applied:
		if len(reg.Sensors) != 1 || len(reg.Cameras) != 1 || len(reg.Brokers) != 1 {
			t.Errorf("%+v", reg)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was set up")
	}
	r.report("a", station.KindSmoke, true)
	if len(r.live()) != 1 {
		t.Error("no alarm")
	}
}

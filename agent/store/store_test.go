package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"go.uber.org/goleak"

	"stationd/agent/station"
	"stationd/agent/store"
	"stationd/agent/store/disk"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVar); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// config is for tests: its watermarks let a nearly full machine run them.
func config(dir string) store.Config {
	cfg := store.DefaultConfig()
	cfg.Dir = dir
	cfg.Space = disk.Config{Reserve: 16 * disk.MiB, Low: 16 * disk.MiB, Full: 16 * disk.MiB, Tight: 16 * disk.MiB, Floor: 16 * disk.MiB}
	return cfg
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func openStore(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(cfg, quiet())
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func update(t testing.TB, s *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.Update(context.Background(), station.LaneUrgent, fn); err != nil {
		t.Fatalf("update: %v", err)
	}
}

type door struct {
	Name string `json:"name"`
	Open bool   `json:"open,omitempty"`
}

func TestRecordsAndJournalTogether(t *testing.T) {
	cfg := config(t.TempDir())
	cfg.Node = "gate-1"
	s := openStore(t, cfg)
	if !s.Opened().Fresh || s.Node() != "gate-1" || s.Epoch() == "" {
		t.Fatalf("a new store is fresh and has a name and an epoch: %+v %q %q", s.Opened(), s.Node(), s.Epoch())
	}
	grown := s.Changed(0)
	var ev station.Event
	update(t, s, func(tx *store.Tx) error {
		if err := store.Put(tx, "door/a", door{Name: "A"}); err != nil {
			return err
		}
		var err error
		ev, err = tx.Append(station.Event{Type: "t", Subject: "door/a", Lane: station.LaneUrgent})
		return err
	})
	<-grown
	if ev.Seq != 1 || ev.Origin != (station.Origin{Node: "gate-1", Epoch: s.Epoch(), Seq: 1}) || ev.ID == "" || ev.Time.IsZero() {
		t.Fatalf("append fills in: %+v", ev)
	}
	wrong := errors.New("no")
	err := s.Update(context.Background(), station.LaneNormal, func(tx *store.Tx) error {
		if _, ok, err := store.Get[door](tx, "door/a"); !ok || err != nil {
			t.Errorf("get in update: %v %v", ok, err)
		}
		_ = tx.Delete("door/a")
		_, _ = tx.Append(station.Event{Type: "t", Lane: station.LaneBulk})
		return wrong
	})
	if err != wrong {
		t.Fatalf("the function's own error comes back: %v", err)
	}
	if s.Head() != 1 {
		t.Fatalf("a failed update leaves no row, head %d", s.Head())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := openStore(t, cfg)
	if again.Head() != 1 || again.Epoch() != s.Epoch() || again.Opened().Fresh {
		t.Fatalf("opened again: head %d, epoch %q, %+v", again.Head(), again.Epoch(), again.Opened())
	}
	err = again.View(func(tx *store.Tx) error {
		d, ok, err := store.Get[door](tx, "door/a")
		if !ok || d.Name != "A" {
			return fmt.Errorf("record: %+v %v %v", d, ok, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := again.Read(0, 10)
	if err != nil || len(rows) != 1 || rows[0].ID != ev.ID {
		t.Fatalf("read: %v %v", rows, err)
	}
}

func TestUpdateEndsWithItsContext(t *testing.T) {
	s := openStore(t, config(t.TempDir()))
	ctx, cancel := context.WithCancel(context.Background())
	running, release := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- s.Update(context.Background(), station.LaneUrgent, func(*store.Tx) error {
			close(running)
			<-release
			return nil
		})
	}()
	<-running
	second := make(chan error, 1)
	go func() {
		second <- s.Update(ctx, station.LaneUrgent, func(*store.Tx) error {
			t.Error("a cancelled update was run")
			return nil
		})
	}()
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(context.Background()); err != nil {
		t.Fatal(err)
	}
}

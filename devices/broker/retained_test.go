package broker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"stationd/devices/broker"
)

// run runs a broker until the returned function is called.
func run(t *testing.T, cfg broker.Config, hooks broker.Hooks, log io.Writer) (*broker.Broker, func()) {
	t.Helper()
	b := broker.New(cfg, hooks, slog.New(slog.NewTextHandler(log, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	select {
	case <-b.Ready():
	case <-time.After(30 * time.Second):
		t.Fatal("it is not ready")
	}
	return b, stop
}

// retainedBy is what a new subscriber is told at once.
func retainedBy(t *testing.T, b *broker.Broker, id, filter string) map[string]string {
	t.Helper()
	in := newInbox()
	c := connect(t, options(b, id))
	wait(t, c.Subscribe(filter, 1, in.handle))
	wait(t, c.Subscribe("end", 1, in.handle))
	got := map[string]string{}
	if err := b.Publish("end", []byte("x"), false, 1); err != nil {
		t.Fatal(err)
	}
	for {
		m := in.next(t)
		if m.Topic() == "end" {
			return got
		}
		if !m.Retained() {
			t.Errorf("%s is not marked as retained", m.Topic())
		}
		got[m.Topic()] = string(m.Payload())
	}
}

func TestRetainedMessagesOutliveTheBroker(t *testing.T) {
	cfg := config()
	path := filepath.Join(t.TempDir(), "broker", "retained")
	cfg.Retained = broker.NewFile(path)
	var taken atomic.Int32
	hooks := allow(broker.Hooks{
		Publish: func(context.Context, broker.Message) error { taken.Add(1); return nil },
		MaySubscribe: func(c broker.Client, filter string) bool {
			return c.ID != "confined" || !strings.HasPrefix(filter, "secret")
		},
	})
	var log bytes.Buffer
	b, stop := run(t, cfg, hooks, &log)
	p := connect(t, options(b, "p").SetWill("room/1/will", "gone", 1, true))
	for topic, payload := range map[string]string{"room/1": "on", "room/2": "deleted", "secret/1": "s", "$sys/cloud": "c", "room/binary": "\x00\xff"} {
		wait(t, p.Publish(topic, 1, true, payload))
	}
	wait(t, p.Publish("room/1", 1, true, "off"))
	wait(t, p.Publish("room/2", 1, true, ""))
	wait(t, p.Publish("room/3", 1, false, "not retained"))
	if err := b.Publish("siren/1", []byte("by the server"), true, 1); err != nil {
		t.Fatal(err)
	}
	settle(t, p)
	stop() // with p connected: what its will says is not true after a restart

	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	before := taken.Load()
	b, stop = run(t, cfg, hooks, &log)
	want := map[string]string{"room/1": "off", "secret/1": "s", "room/binary": "\x00\xff", "siren/1": "by the server"}
	if got := retainedBy(t, b, "c", "#"); !maps.Equal(got, want) {
		t.Errorf("brought back %q", got)
	}
	delete(want, "secret/1")
	if got := retainedBy(t, b, "confined", "#"); !maps.Equal(got, want) {
		t.Errorf("who may not read it was told %q", got)
	}
	if taken.Load() != before {
		t.Errorf("%d messages from the store were taken in as new", taken.Load()-before)
	}
	wait(t, connect(t, options(b, "p2")).Publish("room/1", 1, true, ""))
	stop()
	b, stop = run(t, cfg, hooks, &log)
	delete(want, "room/1")
	if got := retainedBy(t, b, "c", "#"); len(got) != 3 || got["room/1"] != "" {
		t.Errorf("after a message was deleted: %q", got)
	}
	stop()
	if strings.Contains(log.String(), "level=WARN") {
		t.Error(log.String())
	}
}

func TestADamagedSnapshotIsSetAside(t *testing.T) {
	cfg := config()
	path := filepath.Join(t.TempDir(), "retained")
	cfg.Retained = broker.NewFile(path)
	b, stop := run(t, cfg, allow(broker.Hooks{}), io.Discard)
	p := connect(t, options(b, "p"))
	for i := range 20 {
		wait(t, p.Publish(fmt.Sprintf("t/%d", i), 1, true, "value"))
	}
	settle(t, p)
	stop()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 0x40
		return b
	}
	for name, tc := range map[string]struct {
		content []byte
		least   int // topics that are brought back
		most    int
	}{
		"empty":        {nil, 0, 0},
		"other file":   {[]byte("GIF89a, something else altogether, and some more"), 0, 0},
		"cut off":      {good[:len(good)/2], 5, 12},
		"without end":  {good[:len(good)-8], 20, 20},
		"bit in title": {flip(3), 0, 0},
		"bit in last":  {flip(len(good) - 20), 19, 19},
		"length":       {flip(29), 0, 0},
		"more":         {append(bytes.Clone(good[:len(good)-8]), 0xff, 0xff, 0xff, 0xf0, 1, 2, 3, 4), 20, 20},
	} {
		t.Run(name, func(t *testing.T) {
			if err := errors.Join(os.WriteFile(path, tc.content, 0o600), os.RemoveAll(path+".damaged")); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			b, stop := run(t, cfg, allow(broker.Hooks{}), &log)
			if got := retainedBy(t, b, "c", "#"); len(got) < tc.least || len(got) > tc.most {
				t.Errorf("brought back %d, want %d to %d", len(got), tc.least, tc.most)
			}
			stop()
			aside, err := os.ReadFile(path + ".damaged")
			if err != nil || !bytes.Equal(aside, tc.content) || !strings.Contains(log.String(), "damaged") {
				t.Errorf("not set aside (%v) or not said: %s", err, &log)
			}
			if _, err := os.Stat(path); err != nil && tc.most > 0 {
				t.Errorf("no new one was written: %v", err)
			}
		})
	}
}

// fullDisk is a Store on a disk without space.
type fullDisk struct{ tried chan struct{} }

func (fullDisk) Open() (io.ReadCloser, error) { return nil, fs.ErrNotExist }
func (fullDisk) SetAside() (string, error)    { return "", fs.ErrNotExist }
func (d fullDisk) Replace(func(io.Writer) error) error {
	select {
	case d.tried <- struct{}{}:
	default:
	}
	return syscall.ENOSPC
}

func TestAFullDiskCostsTheSnapshotOnly(t *testing.T) {
	t.Parallel()
	cfg := config()
	disk := fullDisk{make(chan struct{}, 1)}
	cfg.Retained = disk
	var log bytes.Buffer
	b, stop := run(t, cfg, allow(broker.Hooks{}), &log)
	p := connect(t, options(b, "p"))
	wait(t, p.Publish("a", 1, true, "x"))
	select {
	case <-disk.tried: // while it runs, not only at the end
	case <-time.After(time.Minute):
		t.Fatal("nothing was stored")
	}
	wait(t, p.Publish("a", 1, true, "y"))
	settle(t, p)
	if got := retainedBy(t, b, "c", "#"); got["a"] != "y" {
		t.Errorf("retained %q", got)
	}
	stop()
	if !strings.Contains(log.String(), "retained messages cannot be stored") {
		t.Error("it is not said")
	}
}

func TestRetainedBytesAreBounded(t *testing.T) {
	cfg := config()
	cfg.MaxRetainedBytes = 10_000
	b := start(t, cfg, allow(broker.Hooks{}))
	p := connect(t, options(b, "p"))
	large := strings.Repeat("x", 4000)
	for _, topic := range []string{"a", "b", "c"} {
		wait(t, p.Publish(topic, 1, true, large))
	}
	settle(t, p)
	if got := retainedBy(t, b, "c1", "#"); len(got) != 2 || b.Stats().Unretained != 1 {
		t.Errorf("%d retained, %+v", len(got), b.Stats())
	}
	// What no longer fits is not told in its old form.
	wait(t, p.Publish("a", 1, true, large+large))
	settle(t, p)
	if got := retainedBy(t, b, "c2", "#"); len(got) != 1 || got["b"] == "" || b.Stats().Unretained != 2 {
		t.Errorf("%d retained, %+v", len(got), b.Stats())
	}
	w := connectWithWill(t, b, "c", large+large)
	_ = w.Close()
	wait(t, p.Publish("d", 1, true, "small"))
	for deadline := time.Now().Add(10 * time.Second); b.Stats().Unretained < 3; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("wills are not bounded: %+v", b.Stats())
		}
	}
}

package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stationd/devices/devicestest"
	"stationd/devices/mqtt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func config() mqtt.Config {
	cfg := mqtt.DefaultConfig()
	cfg.RetryMin, cfg.RetryMax = 20*time.Millisecond, 200*time.Millisecond
	return cfg
}

func target(m *devicestest.Mosquitto, topics ...string) mqtt.Target {
	return mqtt.Target{ID: "yard", URL: m.URL(), Topics: topics, ClientID: "stationd-test"}
}

// start runs a link and returns what stops it.
func start(t *testing.T, cfg mqtt.Config, to mqtt.Target, take func(context.Context, mqtt.Message) error) (*mqtt.Link, func()) {
	t.Helper()
	l := mqtt.New(cfg, to, take, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("Run: %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Error("Run does not return")
			}
		})
	}
	t.Cleanup(stop)
	return l, stop
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

func connected(l *mqtt.Link) func() bool { return func() bool { return l.Status().Connected } }

// taken gathers what was taken.
type taken struct {
	mu   sync.Mutex
	msgs []mqtt.Message
}

func (x *taken) take(_ context.Context, m mqtt.Message) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.msgs = append(x.msgs, m)
	return nil
}

func (x *taken) all() []mqtt.Message {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([]mqtt.Message(nil), x.msgs...)
}

func (x *taken) forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.msgs = nil
}

func TestAcknowledgedOnlyAfterTakeReturned(t *testing.T) {
	broker := devicestest.StartMosquitto(t)
	entered := make(chan mqtt.Message, 10)
	l, stop := start(t, config(), target(broker, "a/#"), func(ctx context.Context, m mqtt.Message) error {
		entered <- m
		<-ctx.Done() // stopped before it was stored
		return ctx.Err()
	})
	eventually(t, "connect", connected(l))
	broker.Publish("a/1", "smoke")
	if m := <-entered; m.Topic != "a/1" || m.QoS != 1 || m.Duplicate {
		t.Errorf("got %+v", m)
	}
	stop()

	var got taken
	start(t, config(), target(broker, "a/#"), got.take)
	eventually(t, "redelivery", func() bool { return len(got.all()) == 1 })
	if m := got.all()[0]; string(m.Payload) != "smoke" || !m.Duplicate {
		t.Errorf("redelivered as %+v", m)
	}
}

func TestTakenOnceWhenAcknowledged(t *testing.T) {
	broker := devicestest.StartMosquitto(t)
	var first, second taken
	l, stop := start(t, config(), target(broker, "a/#"), first.take)
	eventually(t, "connect", connected(l))
	broker.Publish("a/1", "x")
	eventually(t, "message", func() bool { return l.Status().Taken == 1 })
	stop()
	l, _ = start(t, config(), target(broker, "a/#"), second.take)
	eventually(t, "connect", connected(l))
	broker.Publish("a/2", "mark")
	eventually(t, "mark", func() bool { return len(second.all()) > 0 })
	if m := second.all()[0]; m.Topic != "a/2" {
		t.Errorf("an acknowledged message came again: %+v", m)
	}
}

func TestMessagesKeptByTheBrokerWhileTheLinkWasDown(t *testing.T) {
	broker := devicestest.StartMosquitto(t)
	var got taken
	l, stop := start(t, config(), target(broker, "a/#"), got.take)
	eventually(t, "connect", connected(l))
	stop()
	for i := range 30 { // more than Mosquitto's window of 20
		broker.Publish("a/1", fmt.Sprint(i))
	}
	start(t, config(), target(broker, "a/#"), got.take)
	eventually(t, "the kept messages", func() bool { return len(got.all()) == 30 })
	for i, m := range got.all() {
		if string(m.Payload) != fmt.Sprint(i) {
			t.Fatalf("message %d is %q: out of order", i, m.Payload)
		}
	}
}

func TestResubscribesAfterTheBrokerRestarted(t *testing.T) {
	// Without persistence the broker forgets the session and its subscriptions.
	broker := devicestest.StartMosquitto(t, "persistence false")
	var got taken
	l, _ := start(t, config(), target(broker, "a/#", "b/+/state"), got.take)
	eventually(t, "connect", connected(l))
	since := l.Status().Since
	broker.Stop()
	eventually(t, "loss", func() bool { return !l.Status().Connected })
	if p := l.Status().Problem; p == nil || p.Hint == "" {
		t.Errorf("a lost link without a remedy: %v", p)
	}
	broker.Start()
	eventually(t, "reconnect", connected(l))
	if s := l.Status(); !s.Since.After(since) || s.Problem != nil {
		t.Errorf("status %+v", s)
	}
	broker.Publish("a/1", "1")
	broker.Publish("b/2/state", "2")
	eventually(t, "messages", func() bool { return len(got.all()) == 2 })
}

func TestABlockedSinkDoesNotBreakTheConnection(t *testing.T) {
	broker := devicestest.StartMosquitto(t)
	release := make(chan struct{})
	var got taken
	cfg := config()
	cfg.KeepAlive = time.Second
	l, _ := start(t, cfg, target(broker, "a/#"), func(ctx context.Context, m mqtt.Message) error {
		select {
		case <-release:
		case <-ctx.Done():
			return ctx.Err()
		}
		return got.take(ctx, m)
	})
	eventually(t, "connect", connected(l))
	since := l.Status().Since
	for i := range 25 {
		broker.Publish("a/1", fmt.Sprint(i))
	}
	time.Sleep(3500 * time.Millisecond) // several keepalives, which is what is tested
	if s := l.Status(); !s.Connected || !s.Since.Equal(since) {
		t.Errorf("the connection was lost: %+v", s)
	}
	close(release)
	eventually(t, "messages", func() bool { return len(got.all()) == 25 })
}

func TestARefusedMessageIsTriedAgainInOrder(t *testing.T) {
	broker := devicestest.StartMosquitto(t)
	var got taken
	failures := 3
	l, _ := start(t, config(), target(broker, "a/#"), func(ctx context.Context, m mqtt.Message) error {
		if string(m.Payload) == "alarm" {
			if failures--; failures >= 0 {
				return errors.New("full")
			}
		}
		return got.take(ctx, m)
	})
	eventually(t, "connect", connected(l))
	broker.Publish("a/1", "alarm")
	broker.Publish("a/1", "after")
	eventually(t, "both", func() bool { return len(got.all()) == 2 })
	msgs := got.all()
	if string(msgs[0].Payload) != "alarm" || !msgs[0].Duplicate || string(msgs[1].Payload) != "after" {
		t.Errorf("got %+v", msgs)
	}
	if s := l.Status(); s.Retries != 3 || s.Taken != 2 {
		t.Errorf("status %+v", s)
	}
}

func TestAnOverfullQueueLosesNothingOfQoS1(t *testing.T) {
	broker := devicestest.StartMosquitto(t, "max_inflight_messages 0")
	cfg := config()
	cfg.Queue, cfg.Workers = 64, 1
	release := make(chan struct{})
	var got taken
	l, _ := start(t, cfg, target(broker, "a/#"), func(ctx context.Context, m mqtt.Message) error {
		select {
		case <-release:
		case <-ctx.Done():
			return ctx.Err()
		}
		return got.take(ctx, m)
	})
	eventually(t, "connect", connected(l))
	sim, err := devicestest.Connect(t.Context(), devicestest.Config{URL: broker.URL(), ClientID: "p"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Disconnect(100)
	const n = 200
	for i := range n {
		sim.Publish("a/1", 1, false, fmt.Sprint(i)).Wait()
	}
	eventually(t, "overflow", func() bool { return l.Status().Deferred > 0 })
	close(release)
	// Some may come twice, and say so: acknowledgements that were under way
	// when the connection ended did not arrive.
	next := 0
	eventually(t, "all messages", func() bool {
		next = 0
		for _, m := range got.all() {
			switch {
			case string(m.Payload) == fmt.Sprint(next):
				next++
			case !m.Duplicate:
				t.Fatalf("%q came instead of %d, and not as a duplicate", m.Payload, next)
			}
		}
		return next == n
	})
}

func TestDiagnosis(t *testing.T) {
	broker := devicestest.StartMosquitto(t, "allow_anonymous false")
	nobody := target(broker, "a/#")
	nobody.URL = "mqtt://127.0.0.1:1" // nothing listens on port 1
	noTLS := target(broker, "a/#")
	noTLS.URL = "mqtts://" + broker.Addr
	noScheme := target(broker, "a/#")
	noScheme.URL = broker.Addr
	for code, to := range map[string]mqtt.Target{
		"broker.login":   target(broker, "a/#"),
		"broker.refused": nobody,
		"broker.url":     noScheme,
	} {
		t.Run(code, func(t *testing.T) {
			l, _ := start(t, config(), to, new(taken).take)
			eventually(t, "diagnosis", func() bool { p := l.Status().Problem; return p != nil && p.Code == code })
			if l.Status().Problem.Hint == "" {
				t.Error("no remedy")
			}
		})
	}
	t.Run("no TLS there", func(t *testing.T) {
		l, _ := start(t, config(), noTLS, new(taken).take)
		eventually(t, "diagnosis", func() bool {
			p := l.Status().Problem
			return p != nil && p.Code != "broker.connecting" && p.Hint != ""
		})
	})
}

func TestTwoLinksOfOneName(t *testing.T) {
	broker := devicestest.StartMosquitto(t)
	a, _ := start(t, config(), target(broker, "a/#"), new(taken).take)
	b, _ := start(t, config(), target(broker, "a/#"), new(taken).take)
	eventually(t, "the diagnosis that they fight", func() bool {
		for _, l := range []*mqtt.Link{a, b} {
			if p := l.Status().Problem; p != nil && p.Code == "broker.thrown-out" {
				return true
			}
		}
		return false
	})
}

func TestValidate(t *testing.T) {
	if err := mqtt.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	if err := (mqtt.Config{CAFile: "/nowhere"}).Validate(); err == nil {
		t.Error("an empty configuration passes")
	}
}

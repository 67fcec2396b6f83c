package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"

	"stationd/devices/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// allow lets everybody do everything.
func allow(h broker.Hooks) broker.Hooks {
	if h.Authenticate == nil {
		h.Authenticate = func(broker.ConnectInfo) bool { return true }
	}
	if h.MayPublish == nil {
		h.MayPublish = func(broker.Client, string) bool { return true }
	}
	if h.MaySubscribe == nil {
		h.MaySubscribe = func(broker.Client, string) bool { return true }
	}
	return h
}

func config() broker.Config {
	cfg := broker.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	cfg.Hold = 200 * time.Millisecond
	return cfg
}

// start runs a broker for the length of the test.
func start(t *testing.T, cfg broker.Config, hooks broker.Hooks) *broker.Broker {
	t.Helper()
	return startLogging(t, cfg, hooks, slog.New(slog.DiscardHandler))
}

func startLogging(t *testing.T, cfg broker.Config, hooks broker.Hooks, log *slog.Logger) *broker.Broker {
	t.Helper()
	b := broker.New(cfg, hooks, log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
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
	select {
	case <-b.Ready():
	case err := <-done:
		t.Fatalf("Run: %v", err)
	}
	return b
}

func options(b *broker.Broker, id string) *paho.ClientOptions {
	return paho.NewClientOptions().AddBroker("tcp://" + b.Addr().String()).SetClientID(id).
		SetAutoReconnect(false).SetConnectTimeout(5 * time.Second).SetOrderMatters(true)
}

// connect connects a client for the length of the test.
func connect(t *testing.T, o *paho.ClientOptions) paho.Client {
	t.Helper()
	c := paho.NewClient(o)
	wait(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(20) })
	return c
}

func wait(t *testing.T, tok paho.Token) {
	t.Helper()
	if !tok.WaitTimeout(5 * time.Second) {
		t.Fatal("no answer from the broker")
	}
	if err := tok.Error(); err != nil {
		t.Fatal(err)
	}
}

// inbox gathers what a client receives.
type inbox struct {
	c chan paho.Message
}

func newInbox() *inbox { return &inbox{c: make(chan paho.Message, 1000)} }

func (i *inbox) handle(_ paho.Client, m paho.Message) { i.c <- m }

func (i *inbox) next(t *testing.T) paho.Message {
	t.Helper()
	select {
	case m := <-i.c:
		return m
	case <-time.After(5 * time.Second):
		t.Fatal("no message came")
		return nil
	}
}

func (i *inbox) empty(t *testing.T) {
	t.Helper()
	select {
	case m := <-i.c:
		t.Fatalf("unexpected message %q on %q", m.Payload(), m.Topic())
	case <-time.After(100 * time.Millisecond):
	}
}

func TestNoAcknowledgementBeforeThePublishHookReturned(t *testing.T) {
	for _, qos := range []byte{1, 2} {
		t.Run(fmt.Sprintf("QoS %d", qos), func(t *testing.T) {
			entered, release := make(chan broker.Message, 1), make(chan struct{})
			b := start(t, config(), allow(broker.Hooks{Publish: func(ctx context.Context, m broker.Message) error {
				entered <- m
				<-release
				return nil
			}}))
			c := connect(t, options(b, "sensor"))
			tok := c.Publish("a/b", qos, false, "1")
			m := <-entered
			if m.Client.ID != "sensor" || m.Topic != "a/b" || string(m.Payload) != "1" || m.QoS != qos || m.PacketID == 0 {
				t.Errorf("got %+v", m)
			}
			if tok.WaitTimeout(200 * time.Millisecond) {
				t.Fatal("acknowledged before the hook returned")
			}
			close(release)
			wait(t, tok)
		})
	}
}

func TestARefusedMessageIsNotAcknowledgedAndComesAgain(t *testing.T) {
	var mu sync.Mutex
	var seen []broker.Message
	b := start(t, config(), allow(broker.Hooks{Publish: func(_ context.Context, m broker.Message) error {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, m)
		if len(seen) == 1 {
			return errors.New("no")
		}
		return nil
	}}))
	o := options(b, "sensor").SetCleanSession(false).SetAutoReconnect(true).SetMaxReconnectInterval(50 * time.Millisecond)
	o.SetStore(paho.NewOrderedMemoryStore()) // paho's default one sends again in any order
	lost := make(chan struct{}, 10)
	o.SetConnectionLostHandler(func(paho.Client, error) { lost <- struct{}{} })
	c := connect(t, o)
	begun := time.Now()
	first := c.Publish("a", 1, false, "first")
	second := c.Publish("a", 1, false, "second")
	<-lost
	if held := time.Since(begun); held < 200*time.Millisecond {
		t.Errorf("disconnected after %s, before the hold ended", held)
	}
	wait(t, first)
	wait(t, second)
	deadline := time.Now().Add(5 * time.Second)
	for {
		mu.Lock()
		got := append([]broker.Message(nil), seen...)
		mu.Unlock()
		if len(got) >= 3 {
			if string(got[1].Payload) != "first" || !got[1].Duplicate || got[1].PacketID != got[0].PacketID {
				t.Errorf("sent again as %+v", got[1])
			}
			if string(got[2].Payload) != "second" {
				t.Errorf("then came %+v", got[2])
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the message did not come again: %d calls", len(got))
		}
		time.Sleep(10 * time.Millisecond)
	}
	if st := b.Stats(); st.Refused != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestErrLaterDoesNotStopWhatIsBehindIt(t *testing.T) {
	cfg := config()
	cfg.MaxLater = 2
	b := start(t, cfg, allow(broker.Hooks{Publish: func(_ context.Context, m broker.Message) error {
		if string(m.Payload) == "bulk" {
			return fmt.Errorf("full: %w", broker.ErrLater)
		}
		return nil
	}}))
	lost := make(chan struct{})
	c := connect(t, options(b, "bridge").SetConnectionLostHandler(func(paho.Client, error) { close(lost) }))
	var bulk []paho.Token
	for range 4 {
		bulk = append(bulk, c.Publish("t", 1, false, "bulk"))
	}
	wait(t, c.Publish("t", 1, false, "alarm"))
	for _, tok := range bulk[:2] {
		if tok.WaitTimeout(time.Millisecond) {
			t.Error("put off and acknowledged")
		}
	}
	wait(t, bulk[2])
	wait(t, bulk[3])
	select {
	case <-lost:
	case <-time.After(5 * time.Second):
		t.Fatal("the client was not disconnected, so it will never send again")
	}
	if st := b.Stats(); st.Later != 2 || st.Dropped != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestStopWhileHooksBlock(t *testing.T) {
	entered := make(chan struct{})
	b := start(t, config(), allow(broker.Hooks{Publish: func(ctx context.Context, m broker.Message) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	}}))
	c := connect(t, options(b, "sensor"))
	tok := c.Publish("a", 1, false, "x")
	<-entered
	if tok.WaitTimeout(10 * time.Millisecond) {
		t.Error("acknowledged")
	}
} // the cleanup stops the broker and fails when it hangs

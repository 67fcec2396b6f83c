package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stationd/devices/broker"
)

// What MQTT 3.1.1 asks of a server, as far as devices rely on it.

// settle waits until what p published has gone out to everybody. mochi
// acknowledges before that, but handles one client's messages one by one.
func settle(t *testing.T, p paho.Client) {
	t.Helper()
	wait(t, p.Unsubscribe("nothing"))
}

func TestRetainedMessages(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{}))
	p := connect(t, options(b, "p"))
	wait(t, p.Publish("room/1", 1, true, "kept"))
	wait(t, p.Publish("room/2", 1, true, "deleted"))
	wait(t, p.Publish("room/2", 1, true, ""))
	settle(t, p)
	in := newInbox()
	c := connect(t, options(b, "c"))
	wait(t, c.Subscribe("room/+", 1, in.handle))
	if m := in.next(t); m.Topic() != "room/1" || string(m.Payload()) != "kept" || !m.Retained() {
		t.Errorf("got %q on %q, retained %v", m.Payload(), m.Topic(), m.Retained())
	}
	in.empty(t)
	wait(t, p.Publish("room/1", 1, true, "new"))
	if m := in.next(t); m.Retained() {
		t.Error("a new message is marked as retained")
	}
}

func TestRetainedMessagesAreBounded(t *testing.T) {
	cfg := config()
	cfg.MaxRetained = 2
	b := start(t, cfg, allow(broker.Hooks{}))
	p := connect(t, options(b, "p"))
	for i := range 5 {
		wait(t, p.Publish(fmt.Sprintf("t/%d", i), 1, true, "x"))
	}
	wait(t, p.Publish("t/0", 1, true, "again")) // a known topic may change
	settle(t, p)
	in := newInbox()
	wait(t, connect(t, options(b, "c")).Subscribe("#", 1, in.handle))
	got := map[string]string{}
	for range 2 {
		m := in.next(t)
		got[m.Topic()] = string(m.Payload())
	}
	in.empty(t)
	if got["t/0"] != "again" || got["t/1"] != "x" || b.Stats().Unretained != 3 {
		t.Errorf("got %v, stats %+v", got, b.Stats())
	}
}

func TestQoS2IsHandledOnce(t *testing.T) {
	n := 0
	b := start(t, config(), allow(broker.Hooks{Publish: func(_ context.Context, m broker.Message) error {
		n++
		return nil
	}}))
	in := newInbox()
	wait(t, connect(t, options(b, "c")).Subscribe("a", 2, in.handle))
	wait(t, connect(t, options(b, "p")).Publish("a", 2, false, "x"))
	if m := in.next(t); m.Qos() != 2 {
		t.Errorf("QoS %d", m.Qos())
	}
	in.empty(t)
	if n != 1 {
		t.Errorf("taken in %d times", n)
	}
}

func TestQoSIsTheLesserOfBoth(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{}))
	p := connect(t, options(b, "p"))
	for _, q := range []struct{ sub, pub, want byte }{{0, 2, 0}, {1, 2, 1}, {2, 1, 1}, {1, 0, 0}} {
		in := newInbox()
		c := connect(t, options(b, "c"))
		wait(t, c.Subscribe("a", q.sub, in.handle))
		wait(t, p.Publish("a", q.pub, false, "x"))
		if m := in.next(t); m.Qos() != q.want {
			t.Errorf("subscribed at %d, published at %d: delivered at %d", q.sub, q.pub, m.Qos())
		}
		c.Disconnect(50)
		settle(t, p)
	}
}

func TestASessionIsResumed(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{}))
	in := newInbox()
	o := options(b, "c").SetCleanSession(false).SetDefaultPublishHandler(in.handle)
	c := paho.NewClient(o)
	wait(t, c.Connect())
	wait(t, c.Subscribe("a/#", 1, nil))
	c.Disconnect(50)
	p := connect(t, options(b, "p"))
	wait(t, p.Publish("a/1", 1, false, "meanwhile"))
	wait(t, p.Publish("b", 1, false, "elsewhere"))
	settle(t, p)
	c = paho.NewClient(o)
	tok := c.Connect().(*paho.ConnectToken)
	wait(t, tok)
	defer c.Disconnect(50)
	if !tok.SessionPresent() {
		t.Error("the session is not present")
	}
	if m := in.next(t); string(m.Payload()) != "meanwhile" {
		t.Errorf("got %q", m.Payload())
	}
	in.empty(t)
}

func TestACleanSessionForgets(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{}))
	c := paho.NewClient(options(b, "c").SetCleanSession(false))
	wait(t, c.Connect())
	wait(t, c.Subscribe("a", 1, nil))
	c.Disconnect(50)
	in := newInbox()
	c = paho.NewClient(options(b, "c").SetCleanSession(true).SetDefaultPublishHandler(in.handle))
	tok := c.Connect().(*paho.ConnectToken)
	wait(t, tok)
	defer c.Disconnect(50)
	if tok.SessionPresent() {
		t.Error("the session is present")
	}
	wait(t, connect(t, options(b, "p")).Publish("a", 1, false, "x"))
	in.empty(t)
}

func TestWildcards(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{}))
	p := connect(t, options(b, "p"))
	for filter, want := range map[string]string{
		"a/+/c": "a/b/c",
		"a/#":   "a a/b a/b/c a/b/d/e",
		"+/b":   "a/b /b",
		"#":     "a a/b a/b/c a/b/d/e /b",
		"/+":    "/b",
	} {
		in := newInbox()
		c := connect(t, options(b, "c"))
		wait(t, c.Subscribe(filter, 1, in.handle))
		for _, topic := range []string{"a", "a/b", "a/b/c", "a/b/d/e", "/b"} {
			wait(t, p.Publish(topic, 1, false, "x"))
		}
		settle(t, p)
		var got []string
		for range strings.Fields(want) {
			got = append(got, in.next(t).Topic())
		}
		in.empty(t)
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, want %s", filter, got, want)
		}
		c.Disconnect(50)
	}
}

func TestOverlappingSubscriptionsDeliverOnce(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{}))
	in := newInbox()
	c := connect(t, options(b, "c").SetDefaultPublishHandler(in.handle))
	wait(t, c.SubscribeMultiple(map[string]byte{"a/#": 2, "a/+": 1}, nil))
	wait(t, connect(t, options(b, "p")).Publish("a/1", 2, false, "x"))
	if m := in.next(t); m.Qos() != 2 {
		t.Errorf("QoS %d, want the greatest", m.Qos())
	}
	in.empty(t)
}

func TestUnsubscribe(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{}))
	in := newInbox()
	c := connect(t, options(b, "c"))
	wait(t, c.Subscribe("a", 1, in.handle))
	wait(t, c.Unsubscribe("a"))
	wait(t, connect(t, options(b, "p")).Publish("a", 1, false, "x"))
	in.empty(t)
}

func TestSysTopicsAreOff(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{}))
	in := newInbox()
	wait(t, connect(t, options(b, "c")).Subscribe("$SYS/#", 1, in.handle))
	in.empty(t)
}

func TestTheOlderOfTwoConnectionsIsClosed(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{}))
	lost := make(chan struct{})
	connect(t, options(b, "c").SetConnectionLostHandler(func(paho.Client, error) { close(lost) }))
	connect(t, options(b, "c"))
	select {
	case <-lost:
	case <-time.After(5 * time.Second):
		t.Fatal("both are connected")
	}
}

// raw is a connection that is spoken to byte by byte.
func raw(t *testing.T, b *broker.Broker) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	return c
}

var connectPacket = []byte{0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, 1, 'r'}

func TestBrokenPacketsEndTheConnectionAndNothingElse(t *testing.T) {
	cfg := config()
	cfg.MaxPacket = 2048
	b := start(t, cfg, allow(broker.Hooks{}))
	for name, data := range map[string][]byte{
		"not MQTT":              []byte("GET / HTTP/1.1\r\n\r\n"),
		"publish before":        {0x30, 5, 0, 1, 'a', 'x', 'y'},
		"second CONNECT":        append(bytes.Clone(connectPacket), connectPacket...),
		"wildcard topic":        append(bytes.Clone(connectPacket), 0x32, 7, 0, 3, 'a', '/', '#', 0, 1),
		"QoS 3":                 append(bytes.Clone(connectPacket), 0x36, 5, 0, 1, 'a', 0, 1),
		"endless length":        append(bytes.Clone(connectPacket), 0x30, 0xff, 0xff, 0xff, 0xff, 0xff),
		"too large":             append(bytes.Clone(connectPacket), 0x30, 0x80, 0x80, 0x01),
		"subscribe without QoS": append(bytes.Clone(connectPacket), 0x82, 5, 0, 1, 0, 1, 'a'),
	} {
		t.Run(name, func(t *testing.T) {
			c := raw(t, b)
			_, _ = c.Write(data)
			if _, err := io.ReadAll(c); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("the connection is not closed: %v", err)
			}
		})
	}
	wait(t, connect(t, options(b, "well")).Publish("a", 1, false, "x"))
}

func TestWhoSendsNothingIsClosed(t *testing.T) {
	cfg := config()
	cfg.ConnectTimeout = 100 * time.Millisecond
	b := start(t, cfg, allow(broker.Hooks{}))
	if _, err := io.ReadAll(raw(t, b)); err != nil {
		t.Errorf("the connection is not closed: %v", err)
	}
}

func TestStopsAlthoughSomebodyNeverIntroducedHimself(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{}))
	raw(t, b)
	c := raw(t, b)
	_, _ = c.Write(connectPacket)
	_, _ = io.ReadFull(c, make([]byte, 4))
} // the cleanup of start fails when Run does not return

func TestTopics(t *testing.T) {
	for _, x := range []struct {
		outer, inner string
		want         bool
	}{
		{"#", "a/b", true},
		{"#", "#", true},
		{"#", "+/a", true},
		{"#", "$SYS/x", false},
		{"+/x", "$SYS/x", false},
		{"a/#", "a", true},
		{"a/#", "a/b/c", true},
		{"a/#", "b", false},
		{"a/#", "#", false},
		{"a/#", "a/+", true},
		{"a/+", "a/b", true},
		{"a/+", "a", false},
		{"a/+", "a/b/c", false},
		{"a/+", "a/#", false},
		{"a/+/c", "a/+/c", true},
		{"a/b", "a/+", false},
		{"a", "a/b", false},
		{"+", "/a", false},
		{"/+", "/a", true},
		{"+/+", "/a", true},
	} {
		if got := broker.Covers(x.outer, x.inner); got != x.want {
			t.Errorf("Covers(%q, %q) = %v", x.outer, x.inner, got)
		}
	}
	if broker.Match("a/#", "a/+") || !broker.Match("a/#", "a/b") {
		t.Error("Match")
	}
	for f, want := range map[string]bool{"a/#": true, "#": true, "+/a/+": true, "": false, "a#": false, "#/a": false, "a/b+": false, "a\x00": false} {
		if broker.ValidFilter(f) != want {
			t.Errorf("ValidFilter(%q) = %v", f, !want)
		}
	}
}

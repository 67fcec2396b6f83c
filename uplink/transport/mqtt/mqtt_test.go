package mqtt_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stationd/uplink/protocol"
	"stationd/uplink/transport"
	"stationd/uplink/uplinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func call(session string) transport.Call {
	return transport.Call{Node: "a", Session: session, Will: []byte(`{"protocol":1,"session":"` + session + `"}`)}
}

// TestLost: a connection that broke says so, on every way out.
func TestLost(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Start()
	d := w.Dialer(w.Station("a"))
	conn, err := d.Dial(t.Context(), call("SESSION-1"))
	if err != nil {
		t.Fatal(err)
	}
	if conn.Err() != nil {
		t.Errorf("a fresh connection: %v", conn.Err())
	}
	w.Stop()
	for range conn.Receive() {
	}
	if err := conn.Err(); !errors.Is(err, transport.ErrLost) {
		t.Errorf("lost: %v", err)
	}
	if err := conn.Send(t.Context(), transport.Message{Channel: protocol.ChannelReceipts}); !errors.Is(err, transport.ErrLost) {
		t.Errorf("send on a lost connection: %v", err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if _, err := d.Dial(t.Context(), call("SESSION-2")); err == nil {
		t.Error("dialled a centre that is not there")
	}
}

// TestDialEnds: dialling a line that swallows everything ends with its context,
// and leaves nothing behind.
func TestDialEnds(t *testing.T) {
	w := uplinktest.NewWorld(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	w.Config.Listen = ln.Addr().String()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := w.Dialer(w.Station("a")).Dial(ctx, call("SESSION-1")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dial: %v", err)
	}
}

// TestRefused: with another node's session name the centre turns us away.
func TestRefused(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Start()
	c := call("SESSION-1")
	c.Node = "b" // the certificate is a's
	if _, err := w.Dialer(w.Station("a")).Dial(t.Context(), c); err == nil {
		t.Error("a dialled as b")
	}
}

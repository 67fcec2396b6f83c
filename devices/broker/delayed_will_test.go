package broker_test

import (
	"context"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"stationd/devices/broker"
)

// connectV5 introduces an MQTT 5 client whose will waits delay seconds and whose
// session lasts expiry seconds beyond its connection (MQTT 5.0, 3.1.2 and 3.1.3).
func connectV5(t *testing.T, b *broker.Broker, id string, delay, expiry uint32) net.Conn {
	t.Helper()
	text := func(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }
	body := append(text("MQTT"), 5, 0b0000_1110, 0, 60) // will of QoS 1, clean start
	body = append(body, 5, 17)
	body = binary.BigEndian.AppendUint32(body, expiry)
	body = append(body, text(id)...)
	body = append(body, 5, 24)
	body = binary.BigEndian.AppendUint32(body, delay)
	body = append(body, text("will/"+id)...)
	body = append(body, text("gone")...)
	c, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Write(append([]byte{1 << 4, byte(len(body))}, body...)); err != nil {
		t.Fatal(err)
	}
	ack := make([]byte, 4)
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(ack); err != nil || ack[0] != 2<<4 || ack[3] != 0 {
		t.Fatalf("CONNACK % x: %v", ack, err)
	}
	return c
}

// TestDelayedWill: a will comes once, after its delay or at the end of the
// session, whichever is sooner, also when both are at the same moment.
func TestDelayedWill(t *testing.T) {
	came := make(chan broker.Message, 10)
	b := start(t, config(), allow(broker.Hooks{Publish: func(_ context.Context, m broker.Message) error {
		came <- m
		return nil
	}}))
	for _, tc := range []struct {
		id            string
		delay, expiry uint32
		least         time.Duration
	}{{"delay-first", 1, 60, time.Second}, {"session-first", 60, 1, time.Second}, {"together", 1, 1, time.Second}, {"no-session", 60, 0, 0}} {
		t.Run(tc.id, func(t *testing.T) {
			c := connectV5(t, b, tc.id, tc.delay, tc.expiry)
			cut := time.Now()
			_ = c.Close()
			select {
			case m := <-came:
				if !m.Will || m.Topic != "will/"+tc.id || string(m.Payload) != "gone" {
					t.Errorf("came %+v", m)
				}
				if took := time.Since(cut); took < tc.least-100*time.Millisecond {
					t.Errorf("it came after %v", took)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("the will did not come")
			}
		})
	}
	select {
	case m := <-came:
		t.Errorf("came again: %+v", m)
	case <-time.After(2500 * time.Millisecond):
	}
}

package broker_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mochi-mqtt/server/v2/packets"

	"stationd/devices/broker"
)

// wire is a packet as it is sent.
func wire(f *testing.F, version byte, pk packets.Packet) []byte {
	f.Helper()
	pk.ProtocolVersion = version
	var buf bytes.Buffer
	var err error
	switch pk.FixedHeader.Type {
	case packets.Connect:
		err = pk.ConnectEncode(&buf)
	case packets.Publish:
		err = pk.PublishEncode(&buf)
	case packets.Subscribe:
		pk.FixedHeader.Qos = 1
		err = pk.SubscribeEncode(&buf)
	}
	if err != nil {
		f.Fatal(err)
	}
	return buf.Bytes()
}

// FuzzConnection has a stranger send whatever it likes, before and after it has
// introduced itself as the protocol asks. The broker lives on, and takes in nothing
// under a name that is no topic.
func FuzzConnection(f *testing.F) {
	hello := map[bool][]byte{}
	for five, version := range map[bool]byte{false: 4, true: 5} {
		hello[five] = wire(f, version, packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connect}, Connect: packets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, ClientIdentifier: "stranger", Keepalive: 30}})
		f.Add(five, false, hello[five])
		f.Add(five, true, wire(f, version, packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1, Retain: true}, TopicName: "a/b", PacketID: 1, Payload: []byte("x")}))
		f.Add(five, true, wire(f, version, packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe}, PacketID: 2, Filters: packets.Subscriptions{{Filter: "a/+", Qos: 1}, {Filter: "$share/g/#"}}}))
		f.Add(five, true, append(wire(f, version, packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 2}, TopicName: "a", PacketID: 3}), 0x62, 2, 0, 3, 0x40, 2, 0, 9, 0xe0, 0))
	}
	f.Add(true, true, []byte{0x30, 0xff, 0xff, 0xff, 0x7f})
	f.Add(true, true, []byte{0x82, 5, 0, 0, 0xff, 0xff, 0xff})
	cfg := config()
	cfg.MaxHalfOpen, cfg.MaxPerAddress = 10_000, 0
	strange := make(chan string, 1)
	b := broker.New(cfg, allow(broker.Hooks{Publish: func(_ context.Context, m broker.Message) error {
		if m.Topic == "" || !utf8.ValidString(m.Topic) || strings.ContainsAny(m.Topic, "+#\x00") {
			select {
			case strange <- m.Topic:
			default:
			}
		}
		return nil
	}}), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	f.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.Error(err)
		}
	})
	<-b.Ready()
	f.Fuzz(func(t *testing.T, five, introduced bool, data []byte) {
		c, err := net.Dial("tcp", b.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if introduced {
			_, _ = c.Write(hello[five])
		}
		_, _ = c.Write(data) // a broker that has enough closes
		_ = c.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, c); errors.Is(err, context.DeadlineExceeded) {
			t.Error("the connection is held open for nobody")
		}
		select {
		case topic := <-strange:
			t.Errorf("taken in on %q", topic)
		default:
		}
	})
}

// FuzzTopics holds the three questions about topics to each other.
func FuzzTopics(f *testing.F) {
	for _, s := range [][3]string{{"a/+/#", "a/b", "a/b/c"}, {"#", "$SYS/x", "/"}, {"+", "", "+/"}, {"a/#", "a", "a/#/b"}} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, filter, inner, topic string) {
		if len(filter)+len(inner)+len(topic) > 1000 || !broker.ValidFilter(filter) || !broker.ValidFilter(inner) || !broker.ValidTopic(topic) {
			return
		}
		if broker.Covers(filter, inner) && broker.Match(inner, topic) && !broker.Match(filter, topic) {
			t.Errorf("%q covers %q, and does not match %q", filter, inner, topic)
		}
	})
}

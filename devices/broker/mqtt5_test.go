package broker_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"stationd/devices/broker"
)

// What MQTT 5 asks of a server, as far as it matters to devices and to those who
// read what they say. The numbers are those of its requirements.

func TestV5Greeting(t *testing.T) {
	cfg := config()
	cfg.MaxPacket = 4096
	cfg.SessionExpiry = time.Hour
	b := start(t, cfg, allow(broker.Hooks{Authenticate: func(c broker.ConnectInfo) bool { return c.Username != "wrong" }}))
	p := dial(t, b, 5)
	ack := p.greet("", func(pk *packets.Packet) {
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 100_000, true
	})
	props := ack.Properties
	if ack.ReasonCode != 0 || props.AssignedClientID == "" { // MQTT-3.2.2-16
		t.Errorf("reason %#x, assigned id %q", ack.ReasonCode, props.AssignedClientID)
	}
	if props.MaximumPacketSize != 4096 || props.TopicAliasMaximum != 0 || props.ReceiveMaximum == 0 {
		t.Errorf("announced: packets of %d, %d aliases, receive maximum %d", props.MaximumPacketSize, props.TopicAliasMaximum, props.ReceiveMaximum)
	}
	if !props.SessionExpiryIntervalFlag || props.SessionExpiryInterval != 3600 { // MQTT-3.2.2.3.2
		t.Errorf("a session longer than allowed was answered with %d", props.SessionExpiryInterval)
	}
	bad := dial(t, b, 5).greet("bad", func(pk *packets.Packet) {
		pk.Connect.UsernameFlag, pk.Connect.Username = true, []byte("wrong")
	})
	if bad.ReasonCode != packets.ErrBadUsernameOrPassword.Code && bad.ReasonCode != packets.ErrNotAuthorized.Code {
		t.Errorf("a wrong name is refused with %#x", bad.ReasonCode)
	}
}

func TestV5WhatIsNotAllowedIsSaid(t *testing.T) {
	refuse := errors.New("no room")
	b := start(t, config(), allow(broker.Hooks{
		MayPublish:   func(_ broker.Client, topic string) bool { return topic != "forbidden" },
		MaySubscribe: func(_ broker.Client, filter string) bool { return filter != "forbidden" },
		Publish: func(_ context.Context, m broker.Message) error {
			if m.Topic == "full" {
				return refuse
			}
			return nil
		},
	}))
	p := dial(t, b, 5)
	p.greet("c", nil)
	for qos, kind := range map[byte]byte{1: packets.Puback, 2: packets.Pubrec} {
		p.publish("forbidden", "x", qos, 7, nil)
		if ack := p.next(kind); ack.ReasonCode != packets.ErrNotAuthorized.Code || ack.PacketID != 7 {
			t.Errorf("publish at QoS %d: %#x", qos, ack.ReasonCode)
		}
	}
	// MQTT 5 hides what exists: everything that is denied looks alike (3.9.3).
	if code := p.subscribe(packets.Subscription{Filter: "forbidden", Qos: 1}, 0); code < 0x80 {
		t.Errorf("subscribe: %#x", code)
	}
	if code := p.subscribe(packets.Subscription{Filter: "a/#/b", Qos: 1}, 0); code < 0x80 {
		t.Errorf("a broken filter: %#x", code)
	}
	if code := p.subscribe(packets.Subscription{Filter: "a", Qos: 1}, 0); code != 1 {
		t.Errorf("an allowed filter: %#x", code)
	}
	p.publish("a", "x", 1, 8, nil) // and the connection goes on
	for range 2 {
		if pk, _, err := p.receive(); err != nil || pk.FixedHeader.Type == packets.Puback && pk.ReasonCode >= 0x80 {
			t.Errorf("came %+v, %v", pk.FixedHeader, err)
		}
	}
	p.publish("full", "x", 1, 9, nil) // a message that is not stored is never acknowledged
	if pk, _, err := p.receive(); err == nil && pk.FixedHeader.Type == packets.Puback && pk.ReasonCode < 0x80 {
		t.Error("a refused message was acknowledged")
	}
}

func TestV5SessionExpiry(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{}))
	lasting := func(seconds uint32) func(*packets.Packet) {
		return func(pk *packets.Packet) {
			pk.Connect.Clean = false
			pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = seconds, true
		}
	}
	for _, tc := range []struct {
		id      string
		seconds uint32
		away    time.Duration
		present bool
	}{{"lasts", 600, 0, true}, {"ends with its connection", 0, 0, false}, {"expires", 1, 4 * time.Second, false}} {
		t.Run(tc.id, func(t *testing.T) {
			t.Parallel()
			p := dial(t, b, 5)
			p.greet(tc.id, lasting(tc.seconds))
			p.subscribe(packets.Subscription{Filter: "for/" + tc.id, Qos: 1}, 0)
			p.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}})
			if _, err := io.ReadAll(p); err != nil {
				t.Fatal(err)
			}
			time.Sleep(tc.away)
			if ack := dial(t, b, 5).greet(tc.id, lasting(600)); ack.SessionPresent != tc.present {
				t.Errorf("session present: %v", ack.SessionPresent)
			}
		})
	}
}

func TestV5TopicAliasIsRefusedAsAnnounced(t *testing.T) {
	var taken int
	b := start(t, config(), allow(broker.Hooks{Publish: func(context.Context, broker.Message) error { taken++; return nil }}))
	p := dial(t, b, 5)
	p.greet("c", nil)
	p.publish("a", "x", 1, 1, func(pk *packets.Packet) { pk.Properties.TopicAlias, pk.Properties.TopicAliasFlag = 1, true })
	pk, _, err := p.receive()
	if err == nil && (pk.FixedHeader.Type != packets.Disconnect || pk.ReasonCode != packets.ErrTopicAliasInvalid.Code) { // MQTT-3.2.2-18
		t.Errorf("came %s, %#x", packets.PacketNames[pk.FixedHeader.Type], pk.ReasonCode)
	}
	if taken > 0 {
		t.Error("it was taken in")
	}
}

func TestV5MaximumPacketSize(t *testing.T) {
	cfg := config()
	cfg.MaxPacket = 2048
	b := start(t, cfg, allow(broker.Hooks{}))
	p := dial(t, b, 5)
	p.greet("large", nil)
	p.publish("a", strings.Repeat("x", 4096), 1, 1, nil)
	if pk, _, err := p.receive(); err == nil && (pk.FixedHeader.Type != packets.Disconnect || pk.ReasonCode != packets.ErrPacketTooLarge.Code) {
		t.Errorf("came %s, %#x", packets.PacketNames[pk.FixedHeader.Type], pk.ReasonCode)
	}
	// Nobody is sent more than he said he can take (MQTT-3.1.2-24).
	small := dial(t, b, 5)
	small.greet("small", func(pk *packets.Packet) { pk.Properties.MaximumPacketSize = 100 })
	small.subscribe(packets.Subscription{Filter: "a"}, 0)
	if err := b.Publish("a", []byte(strings.Repeat("x", 200)), false, 0); err != nil {
		t.Fatal(err)
	}
	small.silent(b, "a")
}

func TestV5ReceiveMaximum(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{}))
	p := dial(t, b, 5)
	p.greet("c", func(pk *packets.Packet) { pk.Properties.ReceiveMaximum = 2 })
	p.subscribe(packets.Subscription{Filter: "a", Qos: 1}, 0)
	p.subscribe(packets.Subscription{Filter: "b", Qos: 0}, 0)
	for range 4 {
		if err := b.Publish("a", []byte("x"), false, 1); err != nil {
			t.Fatal(err)
		}
	}
	first, second := p.next(packets.Publish), p.next(packets.Publish)
	p.silent(b, "b") // MQTT-3.3.4-9: the rest waits
	for _, pk := range []packets.Packet{first, second} {
		p.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: pk.PacketID})
	}
	for range 2 {
		if pk := p.next(packets.Publish); pk.TopicName != "a" {
			t.Errorf("came %s", pk.TopicName)
		}
	}
}

func TestV5PropertiesAreHandedOn(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{}))
	p, c := dial(t, b, 5), dial(t, b, 5)
	p.greet("p", nil)
	c.greet("c", nil)
	c.subscribe(packets.Subscription{Filter: "a/#", Qos: 1}, 11)
	c.subscribe(packets.Subscription{Filter: "a/+", Qos: 1}, 12)
	user := []packets.UserProperty{{Key: "zone", Val: "一楼"}, {Key: "zone", Val: "二楼"}}
	p.publish("a/1", "x", 1, 1, func(pk *packets.Packet) {
		pk.Properties.User, pk.Properties.ContentType, pk.Properties.ResponseTopic = user, "text/plain", "answers"
		pk.Properties.CorrelationData = []byte{1, 2}
		pk.Properties.PayloadFormat, pk.Properties.PayloadFormatFlag = 1, true
	})
	got := c.next(packets.Publish).Properties
	if len(got.User) != 2 || got.User[0] != user[0] || got.User[1] != user[1] { // in order, MQTT-3.3.2-17 and -18
		t.Errorf("user properties %v", got.User)
	}
	if got.ContentType != "text/plain" || got.ResponseTopic != "answers" || string(got.CorrelationData) != "\x01\x02" || got.PayloadFormat != 1 {
		t.Errorf("properties %+v", got)
	}
	if ids := got.SubscriptionIdentifier; len(ids) != 2 || ids[0]+ids[1] != 23 { // MQTT-3.3.4-3 and -4
		t.Errorf("subscription identifiers %v", ids)
	}
}

func TestV5RetainHandling(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{}))
	if err := b.Publish("a", []byte("kept"), true, 0); err != nil {
		t.Fatal(err)
	}
	p := dial(t, b, 5)
	p.greet("c", nil)
	for _, tc := range []struct {
		handling byte
		again    bool
		want     bool
	}{{0, false, true}, {0, true, true}, {1, true, false}, {2, true, false}} { // MQTT-3.3.1-9 to -11
		p.subscribe(packets.Subscription{Filter: "a", RetainHandling: tc.handling}, 0)
		if tc.want {
			if pk := p.next(packets.Publish); !pk.FixedHeader.Retain || string(pk.Payload) != "kept" {
				t.Errorf("handling %d: %+v", tc.handling, pk.FixedHeader)
			}
		}
		p.silent(b, "a")
	}
	fresh := dial(t, b, 5)
	fresh.greet("fresh", nil)
	fresh.subscribe(packets.Subscription{Filter: "a", RetainHandling: 1}, 0)
	fresh.next(packets.Publish)
	// Retain as published: the flag comes as it was sent (MQTT-3.3.1-13).
	as := dial(t, b, 5)
	as.greet("as", nil)
	as.subscribe(packets.Subscription{Filter: "new", RetainAsPublished: true}, 0)
	if err := b.Publish("new", []byte("x"), true, 0); err != nil {
		t.Fatal(err)
	}
	if pk := as.next(packets.Publish); !pk.FixedHeader.Retain {
		t.Error("the flag is lost")
	}
}

func TestV5NoLocal(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{}))
	p := dial(t, b, 5)
	p.greet("c", nil)
	p.subscribe(packets.Subscription{Filter: "a", NoLocal: true}, 0)
	p.publish("a", "mine", 0, 0, nil)
	p.publish("elsewhere", "x", 1, 1, nil) // its answer tells that the first was handled
	p.next(packets.Puback)
	p.silent(b, "a") // MQTT-3.8.3-3
}

func TestV5MessageExpiry(t *testing.T) {
	t.Parallel()
	b := start(t, config(), allow(broker.Hooks{}))
	p := dial(t, b, 5)
	p.greet("p", nil)
	last := func(seconds uint32) func(*packets.Packet) {
		return func(pk *packets.Packet) {
			pk.FixedHeader.Retain = true
			pk.Properties.MessageExpiryInterval = seconds
		}
	}
	p.publish("a/short", "x", 1, 1, last(1))
	p.next(packets.Puback)
	p.publish("a/long", "x", 1, 2, last(600))
	p.next(packets.Puback)
	p.publish("a/ever", "x", 1, 3, func(pk *packets.Packet) { pk.FixedHeader.Retain = true })
	p.next(packets.Puback)
	time.Sleep(4 * time.Second)
	c := dial(t, b, 5)
	c.greet("c", nil)
	c.subscribe(packets.Subscription{Filter: "a/+"}, 0)
	got := map[string]uint32{}
	for range 2 {
		pk := c.next(packets.Publish)
		got[pk.TopicName] = pk.Properties.MessageExpiryInterval
	}
	c.silent(b, "a/mark")
	// What is left of it is said (MQTT-3.3.2-6).
	if _, ever := got["a/ever"]; !ever || got["a/long"] == 0 || got["a/long"] > 599 {
		t.Errorf("came %v", got)
	}
}

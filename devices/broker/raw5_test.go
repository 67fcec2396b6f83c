package broker_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"stationd/devices/broker"
)

// peer is an MQTT client whose packets a test writes and reads one by one.
type peer struct {
	net.Conn
	t       *testing.T
	version byte
}

// dial opens a connection that speaks the version: 4 is MQTT 3.1.1, 5 is MQTT 5.
func dial(t *testing.T, b *broker.Broker, version byte) *peer {
	t.Helper()
	p := &peer{Conn: raw(t, b), t: t, version: version}
	_ = p.SetDeadline(time.Now().Add(30 * time.Second))
	return p
}

// send writes a packet.
func (p *peer) send(pk packets.Packet) {
	p.t.Helper()
	pk.ProtocolVersion = p.version
	pk.Mods.AllowResponseInfo = true
	var buf bytes.Buffer
	var err error
	switch pk.FixedHeader.Type {
	case packets.Connect:
		err = pk.ConnectEncode(&buf)
	case packets.Publish:
		err = pk.PublishEncode(&buf)
	case packets.Puback:
		err = pk.PubackEncode(&buf)
	case packets.Pubrel:
		err = pk.PubrelEncode(&buf)
	case packets.Subscribe:
		pk.FixedHeader.Qos = 1
		err = pk.SubscribeEncode(&buf)
	case packets.Disconnect:
		err = pk.DisconnectEncode(&buf)
	default:
		p.t.Fatalf("no packet of type %d is sent", pk.FixedHeader.Type)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.Write(buf.Bytes()); err != nil {
		p.t.Logf("the connection is closed: %v", err) // what follows finds it
	}
}

// receive reads the next packet, whole, and its size in bytes.
func (p *peer) receive() (pk packets.Packet, size int, err error) {
	p.t.Helper()
	one := make([]byte, 1)
	read := func() byte {
		if err == nil {
			_, err = io.ReadFull(p.Conn, one)
		}
		return one[0]
	}
	first := read()
	length, shift := 0, 0
	for more := true; more && err == nil; shift += 7 {
		c := read()
		length |= int(c&0x7f) << shift
		more = c&0x80 != 0
		size++
	}
	if err != nil {
		return pk, 0, err
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(p.Conn, body); err != nil {
		return pk, 0, err
	}
	pk.ProtocolVersion = p.version
	if err := pk.FixedHeader.Decode(first); err != nil {
		return pk, 0, err
	}
	pk.FixedHeader.Remaining = length
	switch pk.FixedHeader.Type {
	case packets.Connack:
		err = pk.ConnackDecode(body)
	case packets.Publish:
		err = pk.PublishDecode(body)
	case packets.Puback:
		err = pk.PubackDecode(body)
	case packets.Pubrec:
		err = pk.PubrecDecode(body)
	case packets.Pubcomp:
		err = pk.PubcompDecode(body)
	case packets.Suback:
		err = pk.SubackDecode(body)
	case packets.Disconnect:
		err = pk.DisconnectDecode(body)
	default:
		p.t.Fatalf("a packet of type %d came", pk.FixedHeader.Type)
	}
	return pk, 1 + size + length, err
}

// next is the next packet, which must be of that type.
func (p *peer) next(kind byte) packets.Packet {
	p.t.Helper()
	pk, _, err := p.receive()
	if err != nil || pk.FixedHeader.Type != kind {
		p.t.Fatalf("came %s, reason %#x (%v), want %s", packets.PacketNames[pk.FixedHeader.Type], pk.ReasonCode, err, packets.PacketNames[kind])
	}
	return pk
}

// greet connects; change adds to the CONNECT.
func (p *peer) greet(id string, change func(*packets.Packet)) packets.Packet {
	p.t.Helper()
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, Keepalive: 60, ClientIdentifier: id},
	}
	if change != nil {
		change(&pk)
	}
	p.send(pk)
	return p.next(packets.Connack)
}

// subscribe asks for one filter and returns the reason code.
func (p *peer) subscribe(sub packets.Subscription, identifier int) byte {
	p.t.Helper()
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe}, PacketID: 100, Filters: packets.Subscriptions{sub}}
	if identifier > 0 {
		pk.Properties.SubscriptionIdentifier = []int{identifier}
	}
	p.send(pk)
	ack := p.next(packets.Suback)
	if len(ack.ReasonCodes) != 1 {
		p.t.Fatalf("SUBACK %v", ack.ReasonCodes)
	}
	return ack.ReasonCodes[0]
}

// publish sends a message.
func (p *peer) publish(topic, payload string, qos byte, id uint16, change func(*packets.Packet)) {
	p.t.Helper()
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos}, TopicName: topic, Payload: []byte(payload), PacketID: id,
	}
	if change != nil {
		change(&pk)
	}
	p.send(pk)
}

// silent fails when something came: it has another message sent to p, which must
// be the next one.
func (p *peer) silent(b *broker.Broker, topic string) {
	p.t.Helper()
	if err := b.Publish(topic, []byte("mark"), false, 0); err != nil {
		p.t.Fatal(err)
	}
	if pk := p.next(packets.Publish); string(pk.Payload) != "mark" {
		p.t.Errorf("unexpected message %q on %q", pk.Payload, pk.TopicName)
	}
}

func connectWithWill(t *testing.T, b *broker.Broker, topic, payload string) *peer {
	t.Helper()
	p := dial(t, b, 4)
	p.greet("will of "+topic, func(pk *packets.Packet) {
		pk.Connect.WillFlag, pk.Connect.WillRetain, pk.Connect.WillQos = true, true, 1
		pk.Connect.WillTopic, pk.Connect.WillPayload = topic, []byte(payload)
	})
	return p
}

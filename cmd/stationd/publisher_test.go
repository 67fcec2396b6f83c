//go:build linux

package main_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"
)

// publisher is a sensor's MQTT client, written out because the tests must know
// to the byte what was acknowledged; libraries take a message for delivered when
// its connection was lost (paho.mqtt.golang#458). It does what the standard
// wants of QoS 1: what was not acknowledged is sent again on the next
// connection, in the old order, under the old identifier, with DUP.
type publisher struct {
	address, client, user, password string
	window                          int                                                                  // unacknowledged at most
	dial                            func(ctx context.Context, network, address string) (net.Conn, error) // nil is the ordinary way

	unacked []*publication
	lastID  uint16
	resent  int
}

// publication is one message; acked is called with the broker's PUBACK.
type publication struct {
	topic   string
	payload []byte
	acked   func()

	id   uint16
	sent bool
}

// run publishes what comes from feed, and returns nil when feed is closed and
// everything is acknowledged.
func (p *publisher) run(ctx context.Context, feed <-chan *publication) error {
	for {
		err := p.session(ctx, feed)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %d unacknowledged: %w", p.client, len(p.unacked), err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20*time.Millisecond + rand.N(60*time.Millisecond)):
		}
	}
}

// session is one connection. It returns nil when there is nothing left to do.
func (p *publisher) session(ctx context.Context, feed <-chan *publication) error {
	dial := p.dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 2 * time.Second}).DialContext
	}
	conn, err := dial(ctx, "tcp", p.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := p.connect(conn); err != nil {
		return err
	}
	acks, broken := make(chan uint16), make(chan error, 1)
	done := make(chan struct{})
	defer close(done)
	go func() { broken <- readAcks(conn, acks, done) }()

	for _, m := range p.unacked {
		if err := p.send(conn, m); err != nil {
			return err
		}
	}
	for {
		if feed == nil && len(p.unacked) == 0 {
			_, _ = conn.Write([]byte{0xe0, 0}) // DISCONNECT
			return nil
		}
		more := feed
		if len(p.unacked) >= p.window {
			more = nil
		}
		select {
		case err := <-broken:
			return err
		case id := <-acks:
			p.acknowledge(id)
		case m, ok := <-more:
			if !ok {
				feed = nil
				continue
			}
			p.lastID = max(p.lastID+1, 1)
			m.id = p.lastID
			p.unacked = append(p.unacked, m)
			if err := p.send(conn, m); err != nil {
				return err
			}
		}
	}
}

func (p *publisher) acknowledge(id uint16) {
	for i, m := range p.unacked {
		if m.id == id {
			p.unacked = append(p.unacked[:i:i], p.unacked[i+1:]...)
			if m.acked != nil {
				m.acked()
			}
			return
		}
	}
}

// connect introduces the client, which keeps its session.
func (p *publisher) connect(conn net.Conn) error {
	flags := byte(0)
	body := mqttString(nil, p.client)
	if p.user != "" {
		flags |= 0xc0
		body = mqttString(mqttString(body, p.user), p.password)
	}
	head := append(mqttString(nil, "MQTT"), 4, flags, 0, 0)
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write(mqttPacket(0x10, append(head, body...))); err != nil {
		return err
	}
	var connack [4]byte
	if _, err := io.ReadFull(conn, connack[:]); err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Time{})
	if connack[0] != 0x20 || connack[3] != 0 {
		return fmt.Errorf("CONNACK % x", connack)
	}
	return nil
}

func (p *publisher) send(conn net.Conn, m *publication) error {
	head := byte(0x32) // PUBLISH, QoS 1
	if m.sent {
		head |= 0x08 // DUP
		p.resent++
	}
	m.sent = true
	body := binary.BigEndian.AppendUint16(mqttString(nil, m.topic), m.id)
	_ = conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, err := conn.Write(mqttPacket(head, append(body, m.payload...)))
	return err
}

// readAcks passes PUBACKs on until the connection ends or nobody wants them.
func readAcks(conn net.Conn, acks chan<- uint16, done <-chan struct{}) error {
	r := bufio.NewReader(conn)
	for {
		var packet [4]byte
		if _, err := io.ReadFull(r, packet[:]); err != nil {
			return err
		}
		if packet[0] != 0x40 || packet[1] != 2 {
			return fmt.Errorf("% x is no PUBACK", packet)
		}
		select {
		case acks <- binary.BigEndian.Uint16(packet[2:]):
		case <-done:
			return errors.New("ended")
		}
	}
}

func mqttString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func mqttPacket(head byte, body []byte) []byte {
	b := []byte{head}
	n := len(body)
	for ; n > 127; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(append(b, byte(n)), body...)
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stationd/devices/devicestest"
)

// line is one connection to the broker, which comes back when it breaks. What
// was acknowledged is read from the wire: the library takes a message for
// delivered as soon as it has sent it again on a new connection
// (paho.mqtt.golang#458).
type line struct {
	client paho.Client
	// away makes every attempt to connect fail.
	away atomic.Bool

	mu      sync.Mutex
	waiting map[uint16]chan struct{} // by packet identifier
	wire    net.Conn
}

// openLine connects. greet, where there is one, may add a last will and what is
// said after each connecting.
func openLine(ctx context.Context, cfg devicestest.Config, greet func(*line, *paho.ClientOptions)) (*line, error) {
	l := &line{waiting: map[uint16]chan struct{}{}}
	options := paho.NewClientOptions().SetCustomOpenConnectionFn(func(to *url.URL, o paho.ClientOptions) (net.Conn, error) {
		if l.away.Load() {
			return nil, errors.New("the simulated line is broken")
		}
		var c net.Conn
		var err error
		d := net.Dialer{Timeout: 5 * time.Second}
		if to.Scheme == "ssl" {
			c, err = tls.DialWithDialer(&d, "tcp", to.Host, o.TLSConfig)
		} else {
			c, err = d.Dial("tcp", to.Host)
		}
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		l.wire = c
		l.mu.Unlock()
		return &wire{Conn: c, acknowledged: l.acknowledged}, nil
	})
	if greet != nil {
		greet(l, options)
	}
	var err error
	l.client, err = devicestest.Connect(ctx, cfg, options)
	return l, err
}

// publish publishes with QoS 1. The channel is closed when the broker has
// acknowledged.
func (l *line) publish(topic string, payload []byte, retain bool) (<-chan struct{}, error) {
	l.mu.Lock() // also against an acknowledgement that is faster than we are
	defer l.mu.Unlock()
	token, ok := l.client.Publish(topic, 1, retain, payload).(*paho.PublishToken)
	if !ok {
		return nil, errors.New("publish: an unknown kind of token")
	}
	if id := token.MessageID(); id != 0 {
		done := make(chan struct{})
		l.waiting[id] = done
		return done, nil
	}
	return nil, token.Error()
}

func (l *line) acknowledged(id uint16) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if done := l.waiting[id]; done != nil {
		close(done)
		delete(l.waiting, id)
	}
}

// breakOff cuts the line without a word, so that the last will goes out, and keeps
// it cut until comeBack.
func (l *line) breakOff() {
	l.away.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wire != nil {
		_ = l.wire.Close()
	}
}

func (l *line) comeBack() { l.away.Store(false) }

// close leaves a moment for what is on its way.
func (l *line) close() { l.client.Disconnect(250) }

// wire is a connection that tells of each PUBACK.
type wire struct {
	net.Conn
	acknowledged func(id uint16)

	// Of the packet that is being read:
	kind   byte
	part   part
	length int // of what follows the length, as far as it is known
	read   int // of that
	id     uint16
}

type part int

const (
	inKind part = iota
	inLength
	inRest
)

const puback = 4

// Read reads, and looks at what was read.
func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	for _, c := range b[:n] {
		w.take(c)
	}
	return n, err
}

func (w *wire) take(c byte) {
	switch w.part {
	case inKind:
		w.kind, w.part, w.length, w.read, w.id = c>>4, inLength, 0, 0, 0
	case inLength: // seven bits a byte, the lowest first
		w.length |= int(c&0x7f) << (7 * w.read)
		w.read++
		switch {
		case c&0x80 != 0:
		case w.length == 0:
			w.part = inKind
		default:
			w.part, w.read = inRest, 0
		}
	case inRest:
		if w.read < 2 {
			w.id = w.id<<8 | uint16(c)
		}
		if w.read++; w.read == w.length {
			if w.kind == puback {
				w.acknowledged(w.id)
			}
			w.part = inKind
		}
	}
}

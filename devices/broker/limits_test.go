package broker_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stationd/devices/broker"
)

func TestAFloodIsHeldBackAndNothingOfQoS1IsLost(t *testing.T) {
	var taken atomic.Int32
	cfg := config()
	cfg.MaxRate, cfg.MaxBurst = 100, 10
	b := start(t, cfg, allow(broker.Hooks{Publish: func(context.Context, broker.Message) error { taken.Add(1); return nil }}))
	flooder, calm := connect(t, options(b, "flooder")), connect(t, options(b, "calm"))
	begun := time.Now()
	var all []paho.Token
	for range 60 {
		all = append(all, flooder.Publish("a", 1, false, "x"))
	}
	wait(t, calm.Publish("a", 1, false, "x")) // the other is held back alone
	for _, tok := range all {
		wait(t, tok)
	}
	if took := time.Since(begun); took < 450*time.Millisecond || taken.Load() != 61 || b.Stats().Held == 0 {
		t.Errorf("%d taken in after %s, %+v", taken.Load(), took, b.Stats())
	}
}

func TestAFloodOfQoS0IsDroppedButForAlarms(t *testing.T) {
	var readings, alarms atomic.Int32
	cfg := config()
	cfg.MaxRate, cfg.MaxBurst = 10, 10
	b := start(t, cfg, allow(broker.Hooks{Publish: func(_ context.Context, m broker.Message) error {
		switch {
		case string(m.Payload) == "smoke":
			alarms.Add(1)
		case m.Flood:
			return broker.ErrFlood
		default:
			readings.Add(1)
		}
		return nil
	}}))
	c := connect(t, options(b, "flooder"))
	for range 100 {
		c.Publish("a", 0, false, "x")
		c.Publish("a", 0, false, "smoke")
	}
	for deadline := time.Now().Add(10 * time.Second); alarms.Load() < 100 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	if st := b.Stats(); alarms.Load() != 100 || st.Flooded < 50 || uint64(readings.Load())+st.Flooded != 100 {
		t.Errorf("%d alarms, %d readings, %+v", alarms.Load(), readings.Load(), st)
	}
}

// closed tells whether a connection is closed by the other side.
func closed(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, err := c.Read(make([]byte, 1))
	return errors.Is(err, io.EOF) || err != nil && strings.Contains(err.Error(), "reset")
}

func TestHalfOpenConnectionsAreBounded(t *testing.T) {
	cfg := config()
	cfg.MaxHalfOpen, cfg.ConnectTimeout = 4, time.Minute
	b := start(t, cfg, allow(broker.Hooks{}))
	c := connect(t, options(b, "well"))
	idle := []net.Conn{raw(t, b), raw(t, b)}
	if !closed(raw(t, b)) {
		t.Fatal("one address may have more than half of the half-open connections")
	}
	wait(t, c.Publish("a", 1, false, "x")) // who was let in does not count
	_ = idle[0].Close()
	for deadline := time.Now().Add(10 * time.Second); ; {
		last := paho.NewClient(options(b, "next"))
		if tok := last.Connect(); tok.WaitTimeout(5*time.Second) && tok.Error() == nil {
			last.Disconnect(20)
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody is let in any more")
		}
	}
	if b.Stats().Turned == 0 {
		t.Error("not counted")
	}
}

func TestConnectionsOfOneAddressAreBounded(t *testing.T) {
	cfg := config()
	cfg.MaxPerAddress = 2
	b := start(t, cfg, allow(broker.Hooks{}))
	connect(t, options(b, "a"))
	connect(t, options(b, "b"))
	refused(t, options(b, "c"))
	if b.Stats().Turned == 0 {
		t.Error("not counted")
	}
}

// TestAStrangersPacketIsSmall: what comes before a client is let in must not fill
// the memory, however large the packets of those inside may be.
func TestAStrangersPacketIsSmall(t *testing.T) {
	cfg := config()
	cfg.MaxPacket = 8 << 20
	b := start(t, cfg, allow(broker.Hooks{}))
	c := raw(t, b)
	_, _ = c.Write([]byte{0x10, 0x80, 0x80, 0x80, 0x02}) // a CONNECT of 4 MiB
	sent := 0
	for range 64 {
		n, err := c.Write(bytes.Repeat([]byte{'x'}, 64<<10))
		sent += n
		if err != nil {
			break
		}
	}
	if !closed(c) {
		t.Errorf("the connection is open after %d bytes", sent)
	}
	wait(t, connect(t, options(b, "in")).Publish("a", 1, false, strings.Repeat("x", 1<<20)))
}

func TestTLSBesidePlain(t *testing.T) {
	ca, caKey := certificate(t, "ca", nil, nil)
	cert, key := certificate(t, "server", ca, caKey)
	cfg := config()
	cfg.ListenTLS = "127.0.0.1:0"
	cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}}
	b := start(t, cfg, allow(broker.Hooks{}))
	wait(t, connect(t, options(b, "plain")).Publish("a", 1, false, "x"))
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	o := options(b, "secure").SetTLSConfig(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
	o.Servers = nil
	o.AddBroker("ssl://" + b.AddrTLS().String())
	wait(t, connect(t, o).Publish("a", 1, false, "x"))
	o = options(b, "plain on the TLS port")
	o.Servers = nil
	refused(t, o.AddBroker("tcp://"+b.AddrTLS().String()))
	old := options(b, "old").SetTLSConfig(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}) //nolint:gosec // it must be turned away
	old.Servers = nil
	refused(t, old.AddBroker("ssl://"+b.AddrTLS().String()))
}

// TestASlowClientIsCutOff: who subscribes and does not read costs nobody else
// anything.
func TestASlowClientIsCutOff(t *testing.T) {
	cfg := config()
	cfg.WriteTimeout, cfg.MaxQueued = 200*time.Millisecond, 16
	b := start(t, cfg, allow(broker.Hooks{}))
	slow := raw(t, b)
	_, _ = slow.Write(connectPacket)
	_, _ = slow.Write([]byte{0x82, 6, 0, 1, 0, 1, 'a', 0})
	_, _ = io.ReadFull(slow, make([]byte, 4+5))
	if tcp, ok := slow.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4096)
	}
	p := connect(t, options(b, "p"))
	body := strings.Repeat("x", 100_000)
	for i := 0; b.Stats().Clients > 1; i++ {
		wait(t, p.Publish("a", 1, false, body))
		if i > 2000 {
			t.Fatal("the slow client is still there")
		}
	}
	wait(t, p.Publish("b", 1, false, "x"))
}

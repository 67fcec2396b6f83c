package broker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stationd/devices/broker"
)

func refused(t *testing.T, o *paho.ClientOptions) {
	t.Helper()
	c := paho.NewClient(o)
	tok := c.Connect()
	if !tok.WaitTimeout(5*time.Second) || tok.Error() == nil {
		c.Disconnect(10)
		t.Error("let in")
	}
}

func TestNobodyIsAllowedAnythingByDefault(t *testing.T) {
	b := start(t, config(), broker.Hooks{})
	refused(t, options(b, "c"))
}

func TestNameAndPassword(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{Authenticate: func(c broker.ConnectInfo) bool {
		return c.Username == "z2m" && c.Password.Reveal() == "right" && c.ClientID != "" && c.Remote != ""
	}}))
	refused(t, options(b, "c").SetUsername("z2m").SetPassword("wrong"))
	refused(t, options(b, "c"))
	connect(t, options(b, "c").SetUsername("z2m").SetPassword("right"))
}

func TestWhatAClientMayPublishAndSubscribe(t *testing.T) {
	var taken atomic.Int32
	b := start(t, config(), allow(broker.Hooks{
		MayPublish:   func(_ broker.Client, topic string) bool { return strings.HasPrefix(topic, "mine/") },
		MaySubscribe: func(_ broker.Client, filter string) bool { return broker.Covers("mine/#", filter) },
		Publish:      func(context.Context, broker.Message) error { taken.Add(1); return nil },
	}))
	lost := make(chan struct{})
	c := connect(t, options(b, "c").SetConnectionLostHandler(func(paho.Client, error) { close(lost) }))
	tok := c.Subscribe("#", 1, nil).(*paho.SubscribeToken)
	if tok.WaitTimeout(5*time.Second) && tok.Error() == nil && tok.Result()["#"] != 0x80 {
		t.Error("may subscribe to everything")
	}
	wait(t, c.Subscribe("mine/+", 1, nil))
	c.Publish("theirs/0", 0, false, "x")
	wait(t, c.Publish("mine/1", 1, false, "x"))
	c.Publish("theirs/1", 1, false, "x")
	<-lost // who publishes what he may not is thrown out
	if n := taken.Load(); n != 1 {
		t.Errorf("%d messages taken in", n)
	}
	if n := b.Stats().Denied; n != 2 {
		t.Errorf("%d were counted as denied", n)
	}
	refused(t, options(b, "w").SetWill("theirs/x", "bye", 1, false))
}

func TestAWillReachesThePublishHook(t *testing.T) {
	wills := make(chan broker.Message, 4)
	b := start(t, config(), allow(broker.Hooks{Publish: func(_ context.Context, m broker.Message) error {
		wills <- m
		return nil
	}}))
	in := newInbox()
	wait(t, connect(t, options(b, "s")).Subscribe("bridge/state", 1, in.handle))

	polite := paho.NewClient(options(b, "polite").SetWill("bridge/state", "gone", 1, true))
	wait(t, polite.Connect())
	polite.Disconnect(50)

	var conn net.Conn
	o := options(b, "rude").SetWill("bridge/state", "offline", 1, true)
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
		var err error
		conn, err = net.Dial("tcp", b.Addr().String())
		return conn, err
	})
	rude := paho.NewClient(o)
	wait(t, rude.Connect())
	_ = conn.Close()
	defer rude.Disconnect(50)

	select {
	case m := <-wills:
		if !m.Will || m.Client.ID != "rude" || string(m.Payload) != "offline" || !m.Retain || m.PacketID != 0 {
			t.Errorf("got %+v", m)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("no will")
	}
	if m := in.next(t); string(m.Payload()) != "offline" {
		t.Errorf("subscribers got %q", m.Payload())
	}
	late := newInbox()
	wait(t, connect(t, options(b, "l")).Subscribe("bridge/state", 1, late.handle))
	if m := late.next(t); !m.Retained() {
		t.Error("the will is not retained")
	}
}

func TestTheServersOwnClientCannotBeReplaced(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{}))
	refused(t, options(b, "inline"))
	in := newInbox()
	wait(t, connect(t, options(b, "c")).Subscribe("cmd", 1, in.handle))
	if err := b.Publish("cmd", []byte("x"), false, 1); err != nil {
		t.Fatal(err)
	}
	if m := in.next(t); m.Qos() != 1 || string(m.Payload()) != "x" {
		t.Errorf("got %q at QoS %d", m.Payload(), m.Qos())
	}
	for _, topic := range []string{"", "a/#", "+"} {
		if b.Publish(topic, nil, false, 0) == nil {
			t.Errorf("published to %q", topic)
		}
	}
}

func TestAClientIDBelongsToItsAccount(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{}))
	mine := options(b, "c").SetUsername("a").SetCleanSession(false)
	c := paho.NewClient(mine)
	wait(t, c.Connect())
	wait(t, c.Subscribe("a", 1, nil))
	refused(t, options(b, "c").SetUsername("b"))
	c.Disconnect(50)
	for b.Stats().Clients > 0 {
		time.Sleep(time.Millisecond)
	}
	c = paho.NewClient(options(b, "c").SetUsername("b").SetCleanSession(false))
	tok := c.Connect().(*paho.ConnectToken)
	wait(t, tok)
	defer c.Disconnect(50)
	if tok.SessionPresent() {
		t.Error("inherits the session of another account")
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

func TestBounds(t *testing.T) {
	cfg := config()
	cfg.MaxClients, cfg.MaxSessions = 2, 3
	said := &lines{}
	b := startLogging(t, cfg, allow(broker.Hooks{}), slog.New(slog.NewTextHandler(said, nil)))
	a := paho.NewClient(options(b, "a").SetCleanSession(false))
	wait(t, a.Connect())
	connect(t, options(b, "b"))
	for range 3 {
		refused(t, options(b, "c"))
	}
	for said.count("too many are connected") == 0 { // a door that is shut in silence is a fault that nobody finds
		time.Sleep(time.Millisecond)
	}
	if n := said.count("too many are connected"); n > 1 {
		t.Errorf("said %d times", n)
	}
	a.Disconnect(50)
	for b.Stats().Clients > 1 {
		time.Sleep(time.Millisecond)
	}
	connect(t, options(b, "c"))
	if st := b.Stats(); st.Clients != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestConnectedAndDisconnectedComeInOrder(t *testing.T) {
	events := make(chan string, 100)
	b := start(t, config(), allow(broker.Hooks{
		Connected:    func(c broker.Client) { events <- "+" + c.ID },
		Disconnected: func(c broker.Client) { events <- "-" + c.ID },
	}))
	connect(t, options(b, "c"))
	last := paho.NewClient(options(b, "c")) // replaces it
	wait(t, last.Connect())
	last.Disconnect(50)
	var got []string
	for len(got) < 4 {
		select {
		case e := <-events:
			got = append(got, e)
		case <-time.After(5 * time.Second):
			t.Fatalf("got only %v", got)
		}
	}
	if s := strings.Join(got, " "); s != "+c -c +c -c" {
		t.Errorf("got %s", s)
	}
}

func TestDisconnect(t *testing.T) {
	b := start(t, config(), allow(broker.Hooks{}))
	lost := make(chan struct{})
	connect(t, options(b, "a").SetUsername("removed").SetConnectionLostHandler(func(paho.Client, error) { close(lost) }))
	other := connect(t, options(b, "b").SetUsername("kept"))
	b.Disconnect(func(c broker.Client) bool { return c.Username == "removed" })
	<-lost
	wait(t, other.Publish("a", 1, false, "x"))
}

func TestClientCertificates(t *testing.T) {
	ca, caKey := certificate(t, "ca", nil, nil)
	serverCert, serverKey := certificate(t, "server", ca, caKey)
	clientCert, clientKey := certificate(t, "station-7", ca, caKey)
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	cfg := config()
	cfg.TLS = &tls.Config{
		MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		Certificates: []tls.Certificate{{Certificate: [][]byte{serverCert.Raw}, PrivateKey: serverKey}},
	}
	b := start(t, cfg, allow(broker.Hooks{
		Authenticate: func(c broker.ConnectInfo) bool { return c.Cert != nil && c.Cert.Subject.CommonName == c.ClientID },
		Publish: func(_ context.Context, m broker.Message) error {
			if m.Client.Cert == nil || m.Client.Cert.Subject.CommonName != "station-7" {
				return errors.New("without its certificate")
			}
			return nil
		},
	}))
	secure := func(id string, with ...tls.Certificate) *paho.ClientOptions {
		return options(b, id).SetTLSConfig(&tls.Config{RootCAs: pool, Certificates: with, MinVersion: tls.VersionTLS12})
	}
	own := tls.Certificate{Certificate: [][]byte{clientCert.Raw}, PrivateKey: clientKey}
	for _, o := range []*paho.ClientOptions{secure("station-7", own), secure("station-8", own), secure("station-7")} {
		o.Servers = nil
		o.AddBroker("ssl://" + b.Addr().String())
		if o.ClientID == "station-7" && len(o.TLSConfig.Certificates) == 1 {
			wait(t, connect(t, o).Publish("a", 1, false, "x"))
			continue
		}
		refused(t, o)
	}
	refused(t, options(b, "station-7")) // without TLS
}

func certificate(t *testing.T, name string, issuer *x509.Certificate, issuerKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if issuer == nil {
		tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
		issuer, issuerKey = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, issuer, &key.PublicKey, issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func TestValidate(t *testing.T) {
	if err := broker.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	err := broker.Config{Listen: "nonsense"}.Validate()
	for _, key := range []string{"listen", "max_clients", "hold", "write_timeout"} {
		if err == nil || !strings.Contains(fmt.Sprint(err), key+":") {
			t.Errorf("%s is not named in %v", key, err)
		}
	}
}

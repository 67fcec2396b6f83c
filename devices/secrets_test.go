package devices_test

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"stationd/agent/station"
	"stationd/devices"
	"stationd/devices/devicestest"
)

// paper is a log that can be read while it is written.
type paper struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.Write(b)
}

func (p *paper) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.String()
}

// TestCredentialsAreNowhere: whatever goes wrong with a connection, at the built-in
// broker or towards one outside, neither the log at its most talkative nor anything
// that is shown has a password in it.
func TestCredentialsAreNowhere(t *testing.T) {
	const wrong, inURL, toOutside, stray = "wR0ng-pass-7141", "1n-the-url-8252", "0utside-pass-9363", "str4y-pass-1474"
	account, right := devicestest.Account("lamp")
	cfg := config()
	cfg.Broker.ListenTLS = "127.0.0.1:0"
	cfg.Broker.ConnectTimeout = 2 * time.Second
	cfg.Broker.MaxPacket = 2048
	rig := httptest.NewTLSServer(nil) // has a certificate that nobody trusts
	defer rig.Close()
	cfg.Broker.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: rig.TLS.Certificates}
	log := &paper{}
	s := devices.New(cfg, devices.Deps{Node: "n1", Sink: &desk{}, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	s.Apply(devices.Registry{Accounts: []station.BrokerAccount{account}})
	start(t, s)
	plain, secure := s.Addr().String(), s.AddrTLS().String()

	// Towards brokers outside: a wrong password, one in the URL, in a URL that
	// cannot be read, a certificate that is not trusted, no TLS at all.
	link := func(id, url string) devices.BrokerLink {
		return devices.BrokerLink{Broker: station.Broker{ID: id, URL: url, Username: "lamp", Topics: []string{"x/#"}}, Password: toOutside}
	}
	brokers := []devices.BrokerLink{
		link("login", "mqtt://"+plain),
		link("in-url", "mqtt://lamp:"+inURL+"@"+plain),
		link("odd-url", "mqtt://lamp:"+inURL+"%zz?#@"+plain+"?password="+inURL),
		link("untrusted", "mqtts://"+secure),
		link("no-tls", "mqtts://"+plain),
		link("closed", "mqtt://127.0.0.1:1"),
	}
	s.Apply(devices.Registry{Accounts: []station.BrokerAccount{account}, Brokers: brokers})
	var shown []string
	for _, b := range brokers {
		if err := s.CheckBroker(b.Broker); err != nil {
			shown = append(shown, err.Error())
		}
	}

	// Towards us.
	greeting := func(password string) []byte {
		pk, _ := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
		pk.ProtocolName, pk.ProtocolVersion, pk.CleanSession, pk.Keepalive = "MQTT", 4, true, 60
		pk.ClientIdentifier, pk.UsernameFlag, pk.Username, pk.PasswordFlag, pk.Password = "raw", true, "lamp", true, []byte(password)
		var b bytes.Buffer
		if err := pk.Write(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	cut := greeting(wrong)
	will := slices.Clone(greeting(wrong))
	will[9] |= 0b0010_0100 // announces a will that is not there
	for name, tc := range map[string]struct {
		address string
		sent    []byte
	}{
		"a wrong password":        {plain, greeting(wrong)},
		"without TLS to TLS":      {secure, greeting(wrong)},
		"broken off":              {plain, cut[:len(cut)-4]},
		"a will without one":      {plain, will},
		"introduced twice":        {plain, append(greeting(right.Reveal()), greeting(stray)...)},
		"right, then nonsense":    {plain, append(greeting(right.Reveal()), 0xff, 0xff, 0xff, 0xff, 0xff)},
		"right, then a large one": {plain, append(greeting(right.Reveal()), 0x30, 0xff, 0xff, 0x7f)},
	} {
		nc, err := net.Dial("tcp", tc.address)
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := nc.Write(tc.sent); err != nil {
			t.Fatal(err)
		}
		for buf := make([]byte, 512); ; { // until we are cut off
			if _, err := nc.Read(buf); err != nil {
				if ne, ok := err.(net.Error); ok && ne.Timeout() {
					t.Errorf("%s: not cut off", name)
				}
				break
			}
		}
		_ = nc.Close()
	}
	ok := device(t, s, "lamp", right) // and what is well
	acked(t, ok.Publish("lamp/1/state", 1, false, `{"on":`))
	acked(t, ok.Publish("zigbee2mqtt/lamp", 1, true, `{"on":`))

	eventually(t, "the links fail", func() bool {
		bad := 0
		for _, l := range s.Links() {
			if l.Problem != nil && l.Problem.Code != "broker.connecting" {
				bad++
			}
		}
		return bad == len(brokers) && strings.Contains(log.String(), "TLS handshake failed")
	})
	for _, what := range []any{s.Links(), s.Oddities(), s.Stats(), s.Lamps(), brokers[0]} {
		b, err := json.Marshal(what)
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, string(b), fmt.Sprintf("%+v %v", what, what))
	}
	for _, l := range s.Links() {
		if l.Problem == nil {
			continue // the built-in one
		}
		shown = append(shown, l.Problem.Error(), fmt.Sprintf("%+v", *l.Problem))
	}
	var bench json.RawMessage
	call(t, s, "GET /api/v1/workbench/topics", "", nil, &bench)
	shown = append(shown, string(bench))
	if !strings.Contains(string(bench), "lamp/1/state") {
		t.Errorf("the workbench has nothing: %s", bench)
	}
	call(t, s, "GET /api/v1/workbench/messages", "?topic=lamp/1/state", nil, &bench)
	shown = append(shown, string(bench), log.String())
	for _, secret := range []string{wrong, inURL, toOutside, stray, right.Reveal()} {
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)), strings.Trim(fmt.Sprint([]byte(secret)), "[]")} {
			for _, text := range shown {
				if at := strings.Index(text, form); at >= 0 {
					t.Errorf("%s is told: …%.300s", secret, text[max(0, at-200):])
				}
			}
		}
	}
}

package centre_test

import (
	"crypto/tls"
	"encoding/json"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"

	"stationd/agent/station"
	"stationd/uplink/pki"
	"stationd/uplink/protocol"
	"stationd/uplink/uplinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const session = "SESSION23456"

// client connects to the centre's broker by hand, as node's certificate allows.
func client(t *testing.T, w *uplinktest.World, node station.NodeID, clientID string) (paho.Client, error) {
	t.Helper()
	cfg, err := pki.ClientTLS(w.Files(node), "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return connect(t, w, cfg, clientID)
}

func connect(t *testing.T, w *uplinktest.World, cfg *tls.Config, clientID string) (paho.Client, error) {
	t.Helper()
	o := paho.NewClientOptions().AddBroker("ssl://" + w.Config.Listen).SetClientID(clientID).SetProtocolVersion(4).
		SetTLSConfig(cfg).SetAutoReconnect(false).SetConnectTimeout(5 * time.Second)
	c := paho.NewClient(o)
	tok := c.Connect()
	if !tok.WaitTimeout(5 * time.Second) {
		t.Fatal("no answer")
	}
	if tok.Error() == nil {
		t.Cleanup(func() { c.Disconnect(50) })
	}
	return c, tok.Error()
}

func TestStrangersAtTheDoor(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Start()
	if _, err := client(t, w, "a", "a."+session); err != nil {
		t.Fatalf("the station itself: %v", err)
	}
	for _, id := range []string{"a", "b." + session, "a.x", "a." + session + "/#", ""} {
		if _, err := client(t, w, "a", id); err == nil {
			t.Errorf("let in as %q", id)
		}
	}
	other, err := pki.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f, err := other.EnsureNode(t.TempDir(), "a")
	if err != nil {
		t.Fatal(err)
	}
	f.Authority = w.Authority.AuthorityFile()
	cfg, err := pki.ClientTLS(f, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, w, cfg, "a."+session); err == nil {
		t.Error("a certificate of another authority was let in")
	}
	cfg.Certificates = nil
	if _, err := connect(t, w, cfg, "a."+session); err == nil {
		t.Error("somebody without a certificate was let in")
	}
	for i := range 7 {
		if _, err := client(t, w, "a", "a.SESSION-"+string(rune('0'+i))); err != nil {
			t.Fatal(err)
		}
	}
	// A connection counts a moment after its CONNACK.
	for i := range 20 {
		if _, err := client(t, w, "a", "a.SESSIONS-"+string(rune('a'+i))); err != nil {
			return
		}
	}
	t.Error("one station may have any number of connections")
}

// TestTopicsAreBound tries every channel of another station, and the wrong
// direction of the own.
func TestTopicsAreBound(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Start()
	c, err := client(t, w, "a", "a."+session)
	if err != nil {
		t.Fatal(err)
	}
	var forbidden []string
	allowed := map[string]bool{}
	for _, ch := range protocol.DownChannels() {
		allowed[protocol.Topic{Node: "a", Channel: ch}.String()] = true
		forbidden = append(forbidden, protocol.Topic{Node: "b", Channel: ch}.String())
	}
	for _, ch := range []protocol.Channel{protocol.ChannelHello, protocol.ChannelReceipts, protocol.ChannelSignalUp, protocol.ChannelStatus} {
		forbidden = append(forbidden, protocol.Topic{Node: "a", Channel: ch}.String(), protocol.Topic{Node: "b", Channel: ch}.String())
	}
	for _, lane := range station.Lanes() {
		forbidden = append(forbidden, protocol.Topic{Node: "b", Channel: protocol.ChannelEvents, Lane: lane}.String())
	}
	forbidden = append(forbidden, "#", "+/#", "cityops/#", "cityops/v1/#", "cityops/v1/+/acks", "cityops/v1/a/#", "cityops/v1/a/+", "$SYS/#", "$share/g/cityops/v1/b/acks", "other")
	subscribe := func(filter string) byte {
		tok := c.Subscribe(filter, 1, nil)
		if !tok.WaitTimeout(5 * time.Second) {
			t.Fatalf("no answer to %s", filter)
		}
		for _, code := range tok.(*paho.SubscribeToken).Result() { // one; paho shortens the name of shared ones
			return code
		}
		return 0
	}
	for filter := range allowed {
		if code := subscribe(filter); code == 0x80 {
			t.Errorf("own %s is refused", filter)
		}
	}
	for _, filter := range forbidden {
		if code := subscribe(filter); code != 0x80 {
			t.Errorf("%s is allowed with code %#x", filter, code)
		}
	}

	// Station b is there and hears everything that is meant for it.
	b, err := client(t, w, "b", "b."+session)
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan paho.Message, 100)
	for _, ch := range protocol.DownChannels() {
		if tok := b.Subscribe(protocol.Topic{Node: "b", Channel: ch}.String(), 0, func(_ paho.Client, m paho.Message) { heard <- m }); !tok.WaitTimeout(5 * time.Second) {
			t.Fatal("no answer")
		}
	}
	hello := func(node station.NodeID, s string) []byte {
		m, err := protocol.Encode(protocol.Hello{Versions: []int{1}, Node: node, Session: s, Epoch: "00aa", Time: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	ev := protocol.Envelope{Epoch: "00aa", Hop: 1, Event: station.Event{Seq: 1, ID: "x", Type: "t", Lane: station.LaneUrgent, Time: time.Now(), Origin: station.Origin{Node: "b", Epoch: "00aa", Seq: 1}}}
	batch, err := protocol.EncodeBatch("b", []protocol.Envelope{ev})
	if err != nil {
		t.Fatal(err)
	}
	// a tries to speak as b, and as the centre.
	for _, m := range []struct {
		topic   string
		payload []byte
	}{
		{"cityops/v1/b/hello", hello("b", session)},
		{"cityops/v1/b/events/urgent", batch},
		{"cityops/v1/b/acks", []byte(`{}`)},
		{"cityops/v1/b/commands", []byte(`{}`)},
		{"cityops/v1/b/welcome", []byte(`{}`)},
		{"cityops/v1/b/signal/down", []byte(`{}`)},
		{"cityops/v1/b/status", []byte(`{"protocol":1,"online":false,"session":"` + session + `"}`)},
		{"cityops/v1/b/events/normal", batch},
		{"cityops/v1/b/events/bulk", batch},
		{"cityops/v1/b/receipts", []byte(`{"protocol":1,"receipt":{"command":"x"}}`)},
		{"cityops/v1/b/signal/up", []byte(`{}`)},
		{"cityops/v1/a/acks", []byte(`{}`)},
		{"cityops/v1/a/commands", []byte(`{}`)},
		{"cityops/v1/a/welcome", []byte(`{}`)},
		{"cityops/v1/a/signal/down", []byte(`{}`)},
		{"other", []byte(`{}`)},
	} {
		tok := c.Publish(m.topic, 0, false, m.payload)
		tok.WaitTimeout(5 * time.Second)
		if !c.IsConnected() {
			if c, err = client(t, w, "a", "a."+session); err != nil {
				t.Fatal(err)
			}
		}
	}
	// b's own hello proves that what came before it has been dealt with.
	b.Publish("cityops/v1/b/hello", 0, false, hello("b", session))
	var welcome protocol.Welcome
	select {
	case m := <-heard:
		if m.Topic() != "cityops/v1/b/welcome" {
			t.Fatalf("b heard %s %s", m.Topic(), m.Payload())
		}
		if err := json.Unmarshal(m.Payload(), &welcome); err != nil || welcome.Marks[station.LaneUrgent].Seq != 0 {
			t.Errorf("welcome %s", m.Payload())
		}
	case <-time.After(5 * time.Second):
		t.Fatal("no welcome")
	}
	if n := w.Inbox.Count("b", station.LaneUrgent); n != 0 {
		t.Errorf("%d events stored that b never sent", n)
	}
	if len(heard) > 0 {
		t.Errorf("b heard what only the centre may say")
	}
}

// TestLiesInPayloads: under the right topic, the payload may still lie.
func TestLiesInPayloads(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Start()
	c, err := client(t, w, "a", "a."+session)
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan paho.Message, 100)
	for _, ch := range []string{"welcome", "acks"} {
		c.Subscribe("cityops/v1/a/"+ch, 0, func(_ paho.Client, m paho.Message) { heard <- m }).WaitTimeout(5 * time.Second)
	}
	ask := func(topic string, payload string) (code string, raw string) {
		t.Helper()
		c.Publish("cityops/v1/a/"+topic, 0, false, payload)
		select {
		case m := <-heard:
			var answer struct{ Problem *station.Problem }
			if err := json.Unmarshal(m.Payload(), &answer); err != nil {
				t.Fatal(err)
			}
			if answer.Problem != nil {
				code = answer.Problem.Code
			}
			return code, string(m.Payload())
		case <-time.After(5 * time.Second):
			t.Fatalf("no answer to %s %s", topic, payload)
			return "", ""
		}
	}
	const ev = `[{"specversion":"1.0","id":"x","source":"/nodes/a","type":"t","time":"2026-11-21T00:00:00Z","lane":"urgent","epoch":"00aa","seq":"%","hop":"%"}]`
	event := func(seq, hop string) string {
		s := ev
		for _, v := range []string{seq, hop} {
			i := 0
			for s[i] != '%' {
				i++
			}
			s = s[:i] + v + s[i+1:]
		}
		return s
	}
	for _, step := range []struct{ name, topic, payload, code string }{
		{"events before hello", "events/urgent", event("1", "1"), "uplink.no-session"},
		{"another node's hello", "hello", `{"versions":[1],"node":"b","session":"` + session + `","epoch":"00aa","time":"2026-11-21T00:00:00Z"}`, "uplink.malformed"},
		{"another session's hello", "hello", `{"versions":[1],"node":"a","session":"OTHERSESSION","epoch":"00aa","time":"2026-11-21T00:00:00Z"}`, "uplink.malformed"},
		{"a version of the future", "hello", `{"versions":[7],"node":"a","session":"` + session + `","epoch":"00aa","time":"2026-11-21T00:00:00Z"}`, "uplink.version"},
		{"hello", "hello", `{"versions":[1,7],"node":"a","session":"` + session + `","epoch":"00aa","time":"2026-11-21T00:00:00Z"}`, ""},
		{"rubbish", "events/urgent", "rubbish", "uplink.malformed"},
		{"another lane", "events/bulk", event("1", "1"), "uplink.malformed"},
		{"first", "events/urgent", event("5", "1"), ""},
		{"again", "events/urgent", event("5", "1"), ""},
		{"gap", "events/urgent", event("9", "3"), ""},
		{"next", "events/urgent", event("9", "2"), ""},
	} {
		code, raw := ask(step.topic, step.payload)
		if code != step.code {
			t.Errorf("%s: answered %s, want problem %q", step.name, raw, step.code)
		}
		var ack protocol.Ack
		if json.Unmarshal([]byte(raw), &ack) == nil && step.name == "gap" && (ack.Expect != 2 || ack.Hop != 1 || ack.Seq != 5) {
			t.Errorf("gap: answered %s", raw)
		}
	}
	if n := w.Inbox.Count("a", station.LaneUrgent); n != 2 {
		t.Errorf("%d events stored, want 2", n)
	}
	if n := w.Centre.Nodes()[0]; n.Duplicates != 1 || n.Gaps != 1 || n.Events != 2 {
		t.Errorf("counted %+v", n)
	}
}

package notify_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stationd/agent/station"
	"stationd/devices/notify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "Geheim/4711+key"

func sender(change ...func(*notify.Config, *notify.Deps)) *notify.Sender {
	cfg, deps := notify.DefaultConfig(), notify.Deps{}
	for _, f := range change {
		f(&cfg, &deps)
	}
	return notify.New(cfg, deps)
}

func message() station.Message {
	at := time.Date(2026, 11, 21, 2, 3, 4, 0, time.FixedZone("CST", 8*3600))
	return station.Message{
		Key: "019aa-key", Station: "示范村工作站", At: at, Link: "https://station.example.org/answer/abc",
		Alarm: station.Alarm{ID: "a1", Kind: station.KindSmoke, Severity: station.SeverityCritical, Name: "烟感 <1>", Place: "3号楼 1202 室 & 厨房", RaisedAt: at},
	}
}

// request is what a server was asked.
type request struct {
	method, path, query string
	header              http.Header
	body                string
}

// server answers with what reply says, and remembers what it was asked. It speaks
// TLS under an authority of its own.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	asked []request
}

func serve(t *testing.T, reply http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.asked = append(s.asked, request{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Clone(), string(body)})
		s.mu.Unlock()
		reply(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(s.Close)
	return s
}

func (s *server) requests() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]request(nil), s.asked...)
}

func (s *server) authority() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

func (s *server) channel(kind string) station.ChannelLink {
	return station.ChannelLink{Secret: secret, Channel: station.Channel{ID: "c", Name: "渠道", Kind: kind, URL: s.URL, Authority: s.authority()}}
}

func answers(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func fails(t *testing.T, d station.Delivery, err error, code string, final bool) *station.Problem {
	t.Helper()
	p, ok := station.AsProblem(err)
	if !ok || p.Code != code || p.Hint == "" || d.Final != final {
		t.Fatalf("%+v, final %v; want %s, final %v", err, d.Final, code, final)
	}
	if strings.Contains(p.Error(), "4711") {
		t.Fatalf("the secret is told: %v", p)
	}
	return p
}

func TestRobot(t *testing.T) {
	s := serve(t, answers(`{"errcode":0,"errmsg":"ok"}`))
	ch := s.channel(station.ChannelRobot)
	m := message()
	if d, err := sender().Send(t.Context(), ch, m); err != nil || d.State != "sent" {
		t.Fatal(d, err)
	}
	m.To = "13800000001, 13800000002"
	if _, err := sender().Send(t.Context(), ch, m); err != nil {
		t.Fatal(err)
	}
	asked := s.requests()
	if r := asked[0]; r.path != "/cgi-bin/webhook/send" || r.query != "key=Geheim%2F4711%2Bkey" || r.method != "POST" {
		t.Errorf("%+v", r)
	}
	var markdown struct {
		Type     string `json:"msgtype"`
		Markdown struct {
			Content string `json:"content"`
		} `json:"markdown"`
	}
	if err := json.Unmarshal([]byte(asked[0].body), &markdown); err != nil || markdown.Type != "markdown" ||
		!strings.Contains(markdown.Markdown.Content, "烟感报警 3号楼 1202 室 &amp; 厨房") || !strings.Contains(markdown.Markdown.Content, "(https://station.example.org/answer/abc)") {
		t.Errorf("%s %v", asked[0].body, err)
	}
	var text struct {
		Text struct {
			Content string   `json:"content"`
			Mobiles []string `json:"mentioned_mobile_list"`
		} `json:"text"`
	}
	if err := json.Unmarshal([]byte(asked[1].body), &text); err != nil || len(text.Text.Mobiles) != 2 || !strings.Contains(text.Text.Content, "地点：3号楼") {
		t.Errorf("%s %v", asked[1].body, err)
	}
}

func TestRobotRefuses(t *testing.T) {
	for _, c := range []struct {
		reply, code string
		final       bool
		after       time.Duration
	}{
		{`{"errcode":45009,"errmsg":"api freq out of limit"}`, "notify.busy", false, time.Minute},
		{`{"errcode":93000,"errmsg":"invalid webhook url, key Geheim/4711+key"}`, "notify.refused", true, 0},
		{`{"errcode":-1,"errmsg":"system busy"}`, "notify.busy", false, 0},
		{`{"errcode":12345,"errmsg":"new"}`, "notify.refused", false, 0},
		{`<html>`, "notify.refused", false, 0},
	} {
		s := serve(t, answers(c.reply))
		d, err := sender().Send(t.Context(), s.channel(station.ChannelRobot), message())
		fails(t, d, err, c.code, c.final)
		if d.RetryAfter != c.after {
			t.Errorf("%s: again after %s", c.reply, d.RetryAfter)
		}
	}
}

// An application's token is kept, and fetched anew when it has expired early.
func TestApplication(t *testing.T) {
	var tokens, sends atomic.Int32
	expired := atomic.Bool{}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cgi-bin/gettoken":
			if r.URL.Query().Get("corpid") != "corp" || r.URL.Query().Get("corpsecret") != secret {
				fmt.Fprint(w, `{"errcode":40001,"errmsg":"invalid credential"}`)
				return
			}
			fmt.Fprintf(w, `{"errcode":0,"access_token":"token-%d","expires_in":7200}`, tokens.Add(1))
		case "/cgi-bin/message/send":
			sends.Add(1)
			switch {
			case expired.Load() && r.URL.Query().Get("access_token") == "token-1":
				fmt.Fprint(w, `{"errcode":42001,"errmsg":"access_token expired"}`)
			default:
				fmt.Fprint(w, `{"errcode":0,"errmsg":"ok","msgid":"m"}`)
			}
		}
	})
	now := time.Now()
	send := sender(func(_ *notify.Config, d *notify.Deps) { d.Now = func() time.Time { return now } })
	ch := s.channel(station.ChannelApp)
	ch.Username, ch.Agent = "corp", 1000002
	m := message()
	m.To = "zhangsan"
	for range 2 {
		if _, err := send.Send(t.Context(), ch, m); err != nil {
			t.Fatal(err)
		}
	}
	if tokens.Load() != 1 {
		t.Errorf("%d tokens for two messages", tokens.Load())
	}
	expired.Store(true)
	if _, err := send.Send(t.Context(), ch, m); err != nil || tokens.Load() != 2 || sends.Load() != 4 {
		t.Fatalf("%v, %d tokens, %d tries", err, tokens.Load(), sends.Load())
	}
	now = now.Add(2 * time.Hour)
	if _, err := send.Send(t.Context(), ch, m); err != nil || tokens.Load() != 3 {
		t.Errorf("an old token is used: %v %d", err, tokens.Load())
	}
	var card struct {
		To   string `json:"touser"`
		Card struct {
			Title, Description, URL string
		} `json:"textcard"`
		Twice int `json:"enable_duplicate_check"`
	}
	for _, r := range s.requests() {
		if r.method == "POST" {
			if err := json.Unmarshal([]byte(r.body), &card); err != nil {
				t.Fatal(err)
			}
		}
	}
	if card.To != "zhangsan" || card.Twice != 1 || card.Card.URL != m.Link || !strings.Contains(card.Card.Description, "烟感 &lt;1&gt;") {
		t.Errorf("%+v", card)
	}

	wrong := ch
	wrong.Secret = "another"
	d, err := send.Send(t.Context(), wrong, m)
	fails(t, d, err, "notify.refused", true)
}

func TestApplicationToNobody(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cgi-bin/gettoken" {
			fmt.Fprint(w, `{"errcode":0,"access_token":"token-4711","expires_in":7200}`)
			return
		}
		fmt.Fprint(w, `{"errcode":0,"errmsg":"ok","invaliduser":"zhangsan token-4711"}`)
	})
	ch := s.channel(station.ChannelApp)
	ch.Username, ch.Agent = "corp", 1
	m := message()
	m.To = "zhangsan"
	d, err := sender().Send(t.Context(), ch, m)
	fails(t, d, err, "notify.refused", true)
}

func TestTextMessage(t *testing.T) {
	s := serve(t, answers(`{"code":0,"data":[{"status":"OK"}]}`))
	ch := s.channel(station.ChannelSMS)
	ch.URL += "/send"
	ch.Request = &station.Request{
		Type: "json", Body: `{"phone":"{to}","content":"{text}","sign":"{secret}","id":"{key}"}`,
		Headers: map[string]string{"X-Token": "{secret}"}, Field: "data.0.status", Value: "OK",
	}
	m := message()
	m.To = "13800000001"
	m.Alarm.Place = `a "quoted" place`
	if d, err := sender().Send(t.Context(), ch, m); err != nil || d.State != "sent" {
		t.Fatal(d, err)
	}
	var body map[string]string
	r := s.requests()[0]
	if err := json.Unmarshal([]byte(r.body), &body); err != nil {
		t.Fatal(r.body, err)
	}
	if body["phone"] != m.To || body["sign"] != secret || body["id"] != m.Key || r.header.Get("X-Token") != secret ||
		body["content"] != `【示范村工作站】烟感报警，a "quoted" place，烟感 <1>，02:03:04。收到请点 https://station.example.org/answer/abc` {
		t.Errorf("%v", body)
	}

	ch.Request = &station.Request{Type: "form", Fields: map[string]string{"mobile": "{to}", "msg": "{text}", "pw": "{secret}"}, Field: "code", Value: "0"}
	if _, err := sender().Send(t.Context(), ch, m); err != nil {
		t.Fatal(err)
	}
	ch.Request.Method = "GET"
	if _, err := sender().Send(t.Context(), ch, m); err != nil {
		t.Fatal(err)
	}
	asked := s.requests()
	if !strings.Contains(asked[1].body, "pw=Geheim%2F4711%2Bkey") || asked[1].header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("%+v", asked[1])
	}
	if asked[2].method != "GET" || !strings.Contains(asked[2].query, "mobile=13800000001") || asked[2].body != "" {
		t.Errorf("%+v", asked[2])
	}
	ch.Request.Value = "200"
	d, err := sender().Send(t.Context(), ch, m)
	fails(t, d, err, "notify.refused", false)
}

func TestWebhook(t *testing.T) {
	s := serve(t, answers("ok"))
	ch := s.channel(station.ChannelWebhook)
	m := message()
	d, err := sender().Send(t.Context(), ch, m)
	if err != nil || d.State != "delivered" {
		t.Fatal(d, err)
	}
	m.Off = true
	if _, err := sender().Send(t.Context(), ch, m); err != nil {
		t.Fatal(err)
	}
	r := s.requests()[0]
	at := r.header.Get("X-Stationd-Timestamp")
	if want := "sha256=" + notify.Sign(secret, at, []byte(r.body)); r.header.Get("X-Stationd-Signature") != want || r.header.Get("Idempotency-Key") != m.Key {
		t.Errorf("%v", r.header)
	}
	for i, want := range []string{"alarm", "end"} {
		var body struct {
			Type  string
			Alarm *station.Alarm
		}
		if err := json.Unmarshal([]byte(s.requests()[i].body), &body); err != nil || body.Type != want || body.Alarm.ID != "a1" {
			t.Errorf("%s %v", s.requests()[i].body, err)
		}
	}
}

// What another side may do to us.
func TestHostileAnswers(t *testing.T) {
	elsewhere := serve(t, answers("ok"))
	for name, c := range map[string]struct {
		reply http.HandlerFunc
		code  string
		final bool
		after time.Duration
	}{
		"points elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, "notify.refused", true, 0},
		"says a gigabyte": {func(w http.ResponseWriter, _ *http.Request) {
			junk := strings.Repeat("x", 1<<16)
			for range 1 << 14 {
				if _, err := io.WriteString(w, junk); err != nil {
					return
				}
			}
		}, "notify.refused", false, 0},
		"says it in the header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		}, "notify.unreachable", false, 0},
		"never answers": {func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			panic(http.ErrAbortHandler) // not even now
		}, "notify.unreachable", false, 0},
		"answers a byte at a time": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, "x")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(50 * time.Millisecond)
			}
		}, "notify.unreachable", false, 0},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "notify.unreachable", false, 0},
		"busy": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, "notify.busy", false, 7 * time.Second},
		"busy for a year": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "31536000")
			w.WriteHeader(http.StatusTooManyRequests)
		}, "notify.busy", false, 10 * time.Minute},
		"forbidden, and repeats the secret": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "no: %s\n\x1b[31m", secret)
		}, "notify.refused", true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, c.reply)
			send := sender(func(c *notify.Config, _ *notify.Deps) { c.Timeout = 2 * time.Second })
			begun := time.Now()
			d, err := send.Send(t.Context(), s.channel(station.ChannelWebhook), message())
			p := fails(t, d, err, c.code, c.final)
			if d.RetryAfter != c.after {
				t.Errorf("again after %s, want %s", d.RetryAfter, c.after)
			}
			if strings.ContainsFunc(p.Message, func(r rune) bool { return r < ' ' }) || len(p.Message) > 1000 {
				t.Errorf("%q", p.Message)
			}
			if time.Since(begun) > 15*time.Second {
				t.Errorf("took %s", time.Since(begun))
			}
		})
	}
	if n := len(elsewhere.requests()); n != 0 {
		t.Errorf("a redirection was followed %d times", n)
	}
}

// The address of a robot has its key inside; nothing that fails may tell it.
func TestNoSecretInErrors(t *testing.T) {
	s := serve(t, answers("ok"))
	for _, kind := range []string{station.ChannelRobot, station.ChannelApp, station.ChannelWebhook} {
		ch := s.channel(kind)
		ch.Username, ch.Agent, ch.Authority = "corp", 1, "" // its certificate is not trusted
		d, err := sender().Send(t.Context(), ch, message())
		fails(t, d, err, "notify.unreachable", false)
		ch.URL = "http://127.0.0.1:1"
		d, err = sender().Send(t.Context(), ch, message())
		fails(t, d, err, "notify.unreachable", false)
	}
	if len(s.requests()) != 0 {
		t.Error("a server that is not trusted was told something")
	}
}

func TestSiren(t *testing.T) {
	var got []string
	var fail error
	send := sender(func(_ *notify.Config, d *notify.Deps) {
		d.Publish = func(_ context.Context, broker, topic string, payload []byte, retain bool) error {
			got = append(got, fmt.Sprintf("%s %s %s %t", broker, topic, payload, retain))
			return fail
		}
	})
	ch := station.ChannelLink{Channel: station.Channel{Kind: station.ChannelMQTT, Siren: &station.Siren{Broker: "embedded", Topic: "siren/set", On: `{"state":"ON"}`, Off: "OFF", Retain: true}}}
	m := message()
	for _, m.Off = range []bool{false, true} {
		if _, err := send.Send(t.Context(), ch, m); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{`embedded siren/set {"state":"ON"} true`, "embedded siren/set OFF true"}; strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q", got)
	}
	fail = errors.New("broker away")
	d, err := send.Send(t.Context(), ch, m)
	fails(t, d, err, "notify.unreachable", false)
	d, err = sender().Send(t.Context(), ch, m)
	fails(t, d, err, "notify.setup", true)
}

// Every fault of a channel has its place and a remedy.
func TestCheck(t *testing.T) {
	good := map[string]station.Channel{
		"robot":   {Kind: station.ChannelRobot, URL: "https://qyapi.weixin.qq.com"},
		"app":     {Kind: station.ChannelApp, URL: "https://qyapi.weixin.qq.com", Username: "corp", Agent: 1},
		"sms":     {Kind: station.ChannelSMS, URL: "http://10.0.0.3/sms", Request: &station.Request{Type: "form", Fields: map[string]string{"a": "{to}{text}"}}},
		"mail":    {Kind: station.ChannelMail, URL: "smtp://mail.example.org:587", From: "station@example.org"},
		"webhook": {Kind: station.ChannelWebhook, URL: "https://example.org/hook"},
		"siren":   {Kind: station.ChannelMQTT, Siren: &station.Siren{Broker: "embedded", Topic: "siren/set", On: "1", Off: "0"}},
	}
	for name, ch := range good {
		if err := notify.Check(ch); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for place, c := range map[string]struct {
		from   string
		change func(*station.Channel)
	}{
		"url":            {"robot", func(c *station.Channel) { c.URL = "ftp://x" }},
		"authority":      {"robot", func(c *station.Channel) { c.Authority = "x" }},
		"username":       {"app", func(c *station.Channel) { c.Username = "" }},
		"agent":          {"app", func(c *station.Channel) { c.Agent = 0 }},
		"request":        {"sms", func(c *station.Channel) { c.Request.Fields = map[string]string{"a": "{to}"} }},
		"request.fields": {"sms", func(c *station.Channel) { c.Request = &station.Request{Type: "form"} }},
		"request.type":   {"sms", func(c *station.Channel) { c.Request = &station.Request{Type: "xml"} }},
		"request.body":   {"sms", func(c *station.Channel) { c.Request = &station.Request{Type: "json", Body: "{to}"} }},
		"request.method": {"sms", func(c *station.Channel) { c.Request = &station.Request{Type: "form", Method: "PUT"} }},
		"from":           {"mail", func(c *station.Channel) { c.From = "x" }},
		"siren.topic":    {"siren", func(c *station.Channel) { c.Siren.Topic = "a/#" }},
		"siren.broker":   {"siren", func(c *station.Channel) { c.Siren.Broker = "" }},
		"siren.on":       {"siren", func(c *station.Channel) { c.Siren.Off = "" }},
		"siren":          {"siren", func(c *station.Channel) { c.Siren = nil }},
		"kind":           {"webhook", func(c *station.Channel) { c.Kind = "pigeon" }},
		"request.headers": {"sms", func(c *station.Channel) {
			c.Request.Fields["a"] = "{to}{text}"
			c.Request.Headers = map[string]string{"a": "b\r\nc"}
		}},
	} {
		ch := good[c.from]
		if ch.Request != nil {
			copied := *ch.Request
			ch.Request = &copied
		}
		if ch.Siren != nil {
			copied := *ch.Siren
			ch.Siren = &copied
		}
		c.change(&ch)
		if p, ok := station.AsProblem(notify.Check(ch)); !ok || p.Place != place || p.Hint == "" {
			t.Errorf("%s: %v", place, p)
		}
	}
}

// Several alarms at once are named in one message.
func TestOtherAlarmsAreNamed(t *testing.T) {
	s := serve(t, answers(`{"errcode":0}`))
	m := message()
	m.OtherCount, m.Others = 12, []station.Alarm{{Kind: station.KindGas, Place: "5号楼"}}
	if _, err := sender().Send(t.Context(), s.channel(station.ChannelRobot), m); err != nil {
		t.Fatal(err)
	}
	if body := s.requests()[0].body; !strings.Contains(body, "另有12件告警") || !strings.Contains(body, "燃气报警 5号楼") {
		t.Error(body)
	}
}

package agent_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/station"
)

// page asks for the page of a link, by the routes of the core.
func page(r *rig, method, url string, header ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	mux := http.NewServeMux()
	for _, route := range r.Routes() {
		if strings.Contains(route.Pattern, "/answer/") {
			if route.Permission != station.PermPublic {
				r.t.Fatal(route.Pattern, route.Permission)
			}
			mux.Handle(route.Pattern, route.Handler)
		}
	}
	req := httptest.NewRequest(method, url, nil)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, req)
	return w
}

// linkTo is the link that the first contact is sent about the one live alarm.
func linkTo(r *rig, out *outbox) (alarm, link string) {
	r.t.Helper()
	r.contacts()
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	r.clock.add(31 * time.Second)
	r.run()
	until(r.t, "the message", func() bool { return len(out.list()) == 1 })
	return r.live()[0].ID, out.all()[0].Link
}

// The link shows what, where and when, and answers only when the button is
// pressed: what looks at links beforehand answers nothing.
func TestSignedLink(t *testing.T) {
	out := &outbox{}
	r := responding(t, out)
	alarm, link := linkTo(r, out)
	w := page(r, "GET", link)
	text := w.Body.String()
	if w.Code != 200 || !strings.Contains(text, "烟感报警") || !strings.Contains(text, "3号楼 1202 室") || !strings.Contains(text, "2026-11-21 10:00:00") || !strings.Contains(text, "<form method=\"post\">") {
		t.Fatalf("%d %s", w.Code, text)
	}
	if p := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(p, "default-src 'none'; style-src 'sha256-") || strings.Contains(p, "unsafe") || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%v", w.Header())
	}
	if strings.Contains(text, "<script") || strings.Contains(text, "src=") {
		t.Error("the page loads something")
	}
	if en := page(r, "GET", link, "Accept-Language", "en-GB,en;q=0.9").Body.String(); !strings.Contains(en, "Smoke alarm") || !strings.Contains(en, "I have seen it") {
		t.Error(en)
	}
	if len(r.live()[0].Answers) != 0 {
		t.Fatal("looking at the link answers")
	}
	for range 2 { // pressed twice
		if w := page(r, "POST", link); w.Code != 200 || !strings.Contains(w.Body.String(), "已记下") {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	al := r.live()[0]
	if len(al.Answers) != 1 || al.Answers[0].By != "contact:first" || al.Answers[0].Name != "联系人 first" || al.Answers[0].Kind != station.AnswerReceived {
		t.Fatalf("%+v", al.Answers)
	}
	rows, err := r.Audit(0, 1)
	if err != nil || rows[0].Action != station.CommandAnswerAlarm || rows[0].Actor.Account != "contact:first" || rows[0].Actor.Name != "联系人 first" || rows[0].Actor.Address == "" {
		t.Errorf("%+v %v", rows, err)
	}
	resp := r.response(alarm)
	if told(resp) != "first:answered" || resp.Stopped != "answered" {
		t.Errorf("%+v", resp)
	}
}

func TestLinksThatDoNotHold(t *testing.T) {
	out := &outbox{}
	r := responding(t, out, func(c *agent.Config, _ *agent.Deps) { c.AnswerURL = "https://station.example.org/" })
	_, link := linkTo(r, out)
	at := strings.LastIndex(link, "/") + 1
	token := link[at:]
	flip := func(i int) string {
		b := []byte(token)
		b[i] = map[bool]byte{true: 'B', false: 'A'}[b[i] == 'A']
		return string(b)
	}
	for name, token := range map[string]string{
		"nothing": "x", "changed at the front": flip(3), "changed contact": flip(30), "changed sum": flip(len(token) - 3),
		"cut off": token[:len(token)-4], "longer": token + "AAAA", "not base64": strings.Repeat("*", 60),
	} {
		if w := page(r, "POST", link[:at]+token); w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "1202") {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	if len(r.live()[0].Answers) != 0 {
		t.Fatal("a link that does not hold answers")
	}
	// Guessing is slowed, for who guesses.
	slow := 0
	for range 30 {
		if page(r, "GET", link[:at]+"guess").Code == http.StatusTooManyRequests {
			slow++
		}
	}
	if slow < 15 {
		t.Errorf("%d of 30 guesses were slowed", slow)
	}
	if w := page(r, "GET", link); w.Code != 200 {
		t.Errorf("the right link suffers from it: %d", w.Code)
	}
	// It ends by its time, and with its contact.
	r.clock.add(24*time.Hour + time.Minute)
	if w := page(r, "POST", link); w.Code == 200 {
		t.Error("a link answers after its time")
	}
	r.clock.add(-24 * time.Hour)
	r.must(r.do(station.CommandRemoveContact, "first", nil))
	if w := page(r, "POST", link); w.Code != http.StatusNotFound {
		t.Errorf("a contact that was removed answers: %d", w.Code)
	}
}

// A link is for one alarm: it is no way to others, or to other commands.
func TestAContactMayOnlyAnswer(t *testing.T) {
	r := newRig(t)
	who := station.Actor{Account: "contact:x", Role: "contact"}
	for name, p := range agent.CommandPermissions() {
		rec := r.doAs(who, station.NewID(), name, "nothing", map[string]any{})
		denied := rec.Problem != nil && rec.Problem.Code == "access.denied"
		if denied == (p == station.PermAnswer) {
			t.Errorf("%s: %v", name, rec.Problem)
		}
	}
}

// Without an address there are no links, and messages go out all the same.
func TestNoAddressNoLinks(t *testing.T) {
	out := &outbox{}
	r := responding(t, out, func(c *agent.Config, _ *agent.Deps) { c.AnswerURL = "" })
	if _, link := linkTo(r, out); link != "" {
		t.Error(link)
	}
	for _, bad := range []string{"station", "ftp://x", "https://user@x", "https://x/path", "https://x?q"} {
		cfg := agent.DefaultConfig()
		cfg.AnswerURL = bad
		if p, ok := station.AsProblem(cfg.Validate()); !ok || p.Place != "answer_url" {
			t.Errorf("%s: %v", bad, p)
		}
	}
}

// FuzzLink: a token says nothing but what was signed, bit for bit.
func FuzzLink(f *testing.F) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	const alarm = "01a230d7-3d1b-7529-869d-680ada70b2d9"
	token := agent.SignLink("key", alarm, "first", at)
	f.Add(token)
	f.Add(token + "A")
	f.Add(token[:40] + "\n" + token[40:])
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		id, contact, err := agent.ReadLink("key", text, at)
		if err == nil && (text != token || id != alarm || contact != "first") {
			t.Errorf("%q is believed: %s %s", text, id, contact)
		}
	})
}

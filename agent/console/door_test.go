package console_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stationd/agent/account"
	"stationd/agent/console"
	"stationd/agent/station"
)

// Whoever is signed in and turned away from changing something has a row.
func TestRefusalsAreAudited(t *testing.T) {
	d := newDesk(t)
	v := d.as(account.RoleViewer)
	v.do("PUT", "/api/v1/cameras/gate", `{}`)
	v.do("GET", "/api/v1/accounts", "") // to look is not to change
	rows, err := d.agent.Audit(0, 1)
	if err != nil || len(rows) != 1 || rows[0].Action != "PUT /api/v1/cameras/{id}" || rows[0].Subject != "camera/gate" || rows[0].Result != "access.denied" || rows[0].Actor.Account != "u-viewer" {
		t.Fatalf("%+v %v", rows, err)
	}
}

// A stream ends with the account it was opened by.
func TestStreamEndsWithTheAccount(t *testing.T) {
	d := newDesk(t)
	v := d.as(account.RoleOperator)
	req, err := http.NewRequest("GET", d.http.URL+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", v.cookie)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	r := d.agent.Handle(context.Background(), station.Command{
		ID: station.NewID(), Type: station.CommandPutAccount, Subject: "u-operator", Actor: station.System(),
		Body: []byte(`{"account":"u-operator","name":"x","role":"operator","disabled":true}`),
	})
	if r.Problem != nil {
		t.Fatal(r.Problem)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, lines)
		ended <- err
	}()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Second):
		resp.Body.Close()
		<-ended
		t.Fatal("the stream of an account that was closed goes on")
	}
	if resp, _ := v.do("GET", "/api/v1/alarms", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a closed account still reads: %d", resp.StatusCode)
	}
}

// The door that everybody can knock at tells nothing of the inside.
func TestNotReadyTellsNoSecrets(t *testing.T) {
	d := newDeskWith(t, func(_ *console.Config, deps *console.Deps) {
		deps.Ready = func(context.Context) error { return errors.New("open /var/lib/stationd/store: input/output error") }
	})
	v := &visitor{desk: d}
	if resp, text := v.do("GET", "/readyz", ""); resp.StatusCode != 503 || strings.Contains(text, "/var") {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
}

// A node that nobody has claimed is not offered to the network. It moves there
// with the claim, even if the browser that claimed it has gone meanwhile.
func TestMovesWithTheClaim(t *testing.T) {
	certs := httptest.NewTLSServer(nil)
	defer certs.Close()
	d := newDeskWith(t, func(cfg *console.Config, deps *console.Deps) {
		cfg.Listen, cfg.TLS = "0.0.0.0:0", console.TLSAuto
		deps.TLS = &tls.Config{Certificates: certs.TLS.Certificates, MinVersion: tls.VersionTLS12}
		deps.Log = slog.New(slog.DiscardHandler)
	})
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- d.server.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}()
	<-d.server.Ready()
	if addr := d.server.Addr().(*net.TCPAddr); !addr.IP.IsLoopback() {
		t.Fatalf("an unclaimed console listens on %s", addr)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	get := func() string {
		resp, err := client.Get(d.server.URL() + "/api/v1/session")
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return fmt.Sprint(string(text), err)
	}
	if text := get(); !strings.Contains(text, `"claimed":false`) {
		t.Fatal(text)
	}
	code, err := d.agent.Invite(ctx, "claim", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.agent.Claim(ctx, code, station.AccountOrder{Account: "li", Name: "李", Password: "lang genug 9"}, "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	if addr := d.server.Addr().(*net.TCPAddr); !addr.IP.IsLoopback() {
		t.Fatalf("it moved before anybody knew: %s", addr)
	}
	get()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if addr := d.server.Addr().(*net.TCPAddr); !addr.IP.IsLoopback() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a claimed console stays on loopback")
		}
	}
	if text := get(); !strings.Contains(text, `"claimed":true`) {
		t.Error(text)
	}

	// Over HTTPS the cookie is bound to it.
	link, err := d.agent.Invite(ctx, "login", "li", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Post(d.server.URL()+"/api/v1/login", "application/json", strings.NewReader(fmt.Sprintf(`{"token":%q}`, link)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	c := resp.Cookies()
	if len(c) != 1 || c[0].Name != "__Host-stationd-village-1" || !c[0].Secure || !c[0].HttpOnly || c[0].SameSite != http.SameSiteStrictMode || c[0].Path != "/" || c[0].Domain != "" {
		t.Errorf("cookie %+v", c)
	}
	if resp.Header.Get("Strict-Transport-Security") == "" {
		t.Error("browsers are not told to stay on HTTPS")
	}
	resp, err = client.Get(d.server.URL() + "/api/v1/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); !strings.Contains(string(text), `"__Host-stationd-village-1"`) {
		t.Error("the description names another cookie than the one that is set")
	}
}

func TestConfigFaults(t *testing.T) {
	for _, c := range []struct {
		place  string
		change func(*console.Config)
	}{
		{"listen", func(c *console.Config) { c.Listen = "127.0.0.1" }},
		{"listen", func(c *console.Config) { c.Listen = "127.0.0.1:84800" }},
		{"listen", func(c *console.Config) { c.Listen = "127.0.0.1:" }},
		{"tls", func(c *console.Config) { c.Listen = ":8480" }},
		{"tls", func(c *console.Config) { c.TLS = "yes" }},
		{"hosts[1]", func(c *console.Config) { c.Hosts = []string{"station.lan", "station.lan:8480"} }},
		{"hosts[0]", func(c *console.Config) { c.Hosts = []string{"https://station.lan"} }},
	} {
		cfg := console.DefaultConfig()
		c.change(&cfg)
		faults := station.Faults(cfg.Validate())
		if len(faults) != 1 {
			t.Errorf("%s: %v", c.place, faults)
			continue
		}
		if p, ok := station.AsProblem(faults[0]); !ok || p.Place != c.place || p.Hint == "" {
			t.Errorf("%s: %v", c.place, faults[0])
		}
	}
	cfg := console.DefaultConfig()
	cfg.Hosts = []string{"station.lan", "::1"}
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
}

// Who guesses is slowed down by where they are, not by where they say they are.
func TestForwardingHeadersAreNotBelieved(t *testing.T) {
	d := newDesk(t)
	v := &visitor{desk: d}
	status := 0
	for i := 0; i < 60 && status != http.StatusTooManyRequests; i++ { // a slow machine gives time for more than ten
		resp, _ := v.do("POST", "/api/v1/login", `{"account":"nobody","password":"x"}`, func(r *http.Request) {
			r.Header.Set("X-Forwarded-For", fmt.Sprint("10.0.0.", i))
			r.Header.Set("X-Real-IP", fmt.Sprint("10.0.0.", i))
			r.Header.Set("Forwarded", fmt.Sprint("for=10.0.0.", i))
		})
		status = resp.StatusCode
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("the last guess: %d", status)
	}
	rows, err := d.agent.Audit(0, 1)
	if err != nil || len(rows) != 1 || rows[0].Actor.Address != "127.0.0.1" {
		t.Errorf("%+v %v", rows, err)
	}
}

func TestBodyTooLarge(t *testing.T) {
	d := newDesk(t)
	v := d.as(account.RoleAdmin)
	body := fmt.Sprintf(`{"name":%q}`, strings.Repeat("x", station.MaxBody))
	if resp, text := v.do("PUT", "/api/v1/sensors/s", body); resp.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(text, "body.too-large") {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
}

// A display never signs out: its cookie lives as long as browsers let one, and anew
// with every load of the page.
func TestDisplayKeepsItsCookie(t *testing.T) {
	d := newDesk(t)
	boss := d.as(account.RoleAdmin)
	_, text := boss.do("POST", "/api/v1/displays", `{"name":"大厅屏"}`)
	var link station.DisplayLink
	if err := json.Unmarshal([]byte(text), &link); err != nil || link.Token == "" {
		t.Fatal(text, err)
	}
	screen := &visitor{desk: d}
	for _, resp := range []*http.Response{
		first(screen.do("POST", "/api/v1/login", `{"token":"`+link.Token+`"}`)), first(screen.do("GET", "/api/v1/session", "")),
	} {
		if resp.StatusCode != http.StatusOK || len(resp.Cookies()) != 1 || resp.Cookies()[0].MaxAge < 300*24*3600 {
			t.Fatalf("%d %+v", resp.StatusCode, resp.Cookies())
		}
	}
	if resp, text := screen.do("GET", "/api/v1/session", ""); !strings.Contains(text, `"role":"display"`) || !strings.Contains(text, "大厅屏") {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	if resp, _ := screen.do("PUT", "/api/v1/cards/smoke", `{}`); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a display edits the cards: %d", resp.StatusCode)
	}
	if resp, text := boss.do("DELETE", "/api/v1/displays/"+link.ID, ""); resp.StatusCode != http.StatusNoContent {
		t.Fatal(resp.StatusCode, text)
	}
	if resp, _ := screen.do("GET", "/api/v1/alarms", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a disarmed display still reads: %d", resp.StatusCode)
	}
}

func first(resp *http.Response, _ string) *http.Response { return resp }

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/video/videotest"
)

// guarded is a running station whose log and answers are kept.
type guarded struct {
	*node
	t      *testing.T
	client *http.Client
	mu     sync.Mutex
	log    bytes.Buffer
	heard  bytes.Buffer      // everything that the API answered, but for what is shown once
	loud   *videotest.Server // cameras with loudspeakers; nil for none
}

func (g *guarded) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.Write(b)
}

// startGuarded runs a station with HTTPS, as an installer who sets tls to auto
// gets it. stop ends it.
func startGuarded(t *testing.T) (g *guarded, stop func()) {
	cfg := demoConfig(t.TempDir(), "village-9", "示范村工作站", 0)
	cfg.Devices.Broker.Listen = "127.0.0.1:0"
	cfg.Console.Listen, cfg.Console.TLS, cfg.Console.Hosts = "127.0.0.1:0", "auto", []string{"station.lan"}
	cfg.Video.TalkMost = 10 * time.Minute // a talk outlives the test that needs it
	cfg.settle()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	g = &guarded{t: t}
	var err error
	if g.node, err = openNode(cfg, newLog(LogConfig{Level: slog.LevelDebug, Format: "json"}, g)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- g.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	if err := g.awaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	g.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: g.authority()}}, Timeout: 20 * time.Second}
	t.Cleanup(g.client.CloseIdleConnections)
	return g, stop
}

// authority is what a browser is given so that it trusts this console.
func (g *guarded) authority() *x509.CertPool {
	g.t.Helper()
	text, err := os.ReadFile(ownAuthority(g.cfg.Data).server().Authority)
	if err != nil {
		g.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		g.t.Fatal("no certificate")
	}
	return pool
}

// ask sends a request. The answer is kept for the search, unless it is one that
// shows a secret by intent.
func (g *guarded) ask(method, path, cookie string, body any, once ...bool) (*http.Response, string) {
	g.t.Helper()
	var raw []byte
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			g.t.Fatal(err)
		}
	}
	req, err := http.NewRequest(method, g.console.URL()+path, bytes.NewReader(raw))
	if err != nil {
		g.t.Fatal(err)
	}
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	resp, err := g.client.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	if len(once) == 0 {
		fmt.Fprintf(&g.heard, "%s %s: %d\n%s\n", method, path, resp.StatusCode, text)
	}
	return resp, string(text)
}

// Secrets go in, and do not come out: not by any answer, not by the event
// stream, not in the log at its most talkative, not in the raw data.
func TestSecretsStayInTheNode(t *testing.T) {
	g, stop := startGuarded(t)
	secrets := map[string]string{
		"camera": "Kamera-Geheim-1", "camera in the address": "Kamera-Geheim-2", "broker": "Broker-Geheim-3",
		"administrator": "Verwalter-Geheim-4", "account": "Konto-Geheim-5", "typed as a name": "vertippt-geheim-6",
	}
	code, err := g.agent.Invite(context.Background(), "claim", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	secrets["claim code"] = code
	resp, _ := g.ask("POST", "/api/v1/claim", "", map[string]string{"code": code, "account": "li", "name": "李站长", "password": secrets["administrator"]})
	if resp.StatusCode != http.StatusOK {
		t.Fatal(g.heard.String())
	}
	cookie := resp.Cookies()[0]
	secrets["session"] = cookie.Value
	who := cookie.Name + "=" + cookie.Value
	link, err := g.agent.Invite(context.Background(), "login", "li", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	secrets["sign-in link"] = link

	// The stream begins before anything is set up, so that it tells of all of it.
	stream, err := http.NewRequest("GET", g.console.URL()+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	stream.Header.Set("Cookie", who)
	events, err := g.client.Do(stream)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()

	// Nothing listens at port 1: every link and source fails, and says so.
	g.ask("PUT", "/api/v1/cameras/c1", who, map[string]any{"name": "门", "url": "rtsp://127.0.0.1:1/x", "username": "viewer", "password": secrets["camera"], "record": true})
	g.ask("PUT", "/api/v1/cameras/c2", who, map[string]any{"name": "门", "url": "rtsp://viewer:" + secrets["camera in the address"] + "@127.0.0.1:1/x", "record": true})
	g.ask("PUT", "/api/v1/cameras/c3", who, map[string]any{"name": "门", "url": "viewer:" + secrets["camera in the address"] + "@127.0.0.1:1/x"})
	g.ask("PUT", "/api/v1/brokers/b1", who, map[string]any{"url": "mqtt://u:" + secrets["broker"] + "@127.0.0.1:1", "topics": []string{"#"}})
	g.ask("PUT", "/api/v1/brokers/b2", who, map[string]any{"url": "u:" + secrets["broker"] + "@127.0.0.1:1", "topics": []string{"#"}})
	g.ask("PUT", "/api/v1/accounts/wang", who, map[string]any{"name": "王", "role": "operator", "password": secrets["account"]})
	g.ask("POST", "/api/v1/login", "", map[string]string{"account": secrets["typed as a name"], "password": "x"})
	g.ask("POST", "/api/v1/login", "", map[string]string{"account": "wang", "password": secrets["typed as a name"]})
	_, shown := g.ask("PUT", "/api/v1/devices/gateway", who, nil, true)
	var cred station.DeviceCredential
	if err := json.Unmarshal([]byte(shown), &cred); err != nil || len(cred.Password) < 20 {
		t.Fatal(shown, err)
	}
	secrets["device"] = cred.Password

	// Until the camera, the broker and the sign-in that failed were told of.
	told := map[string]bool{station.EventCameraState: false, station.EventLoginFailed: false, station.EventAccountChanged: false}
	lines := bufio.NewScanner(events.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() && slices.Contains(slices.Collect(maps.Values(told)), false) {
		g.heard.WriteString(lines.Text() + "\n")
		if kind, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			told[kind] = true
		}
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, text := g.ask("GET", "/api/v1/status", who, nil); strings.Contains(text, `"lastError"`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the broker that is not there is not told of")
		}
	}

	// Everything that can be read.
	_, doc := g.ask("GET", "/api/v1/openapi.json", "", nil)
	var described struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal([]byte(doc), &described); err != nil || len(described.Paths) < 20 {
		t.Fatal(err)
	}
	wild := regexp.MustCompile(`\{[a-z]+\}`)
	for path, methods := range described.Paths {
		if methods["get"] != nil && path != "/api/v1/events" {
			g.ask("GET", wild.ReplaceAllString(path, "c1"), who, nil)
		}
	}
	stop()

	heard, log := g.heard.String(), g.log.String()
	for _, want := range []string{`"camera/c1"`, `"viewer"`, `"lastError"`, `"account.put"`, "stationd_http_request_seconds"} {
		if !strings.Contains(heard, want) {
			t.Errorf("the search is in vain: %s was not answered", want)
		}
	}
	for _, want := range []string{"127.0.0.1:1", "console listening"} {
		if !strings.Contains(log, want) {
			t.Errorf("the search is in vain: %s was not logged", want)
		}
	}
	for what, secret := range secrets {
		if at := strings.Index(heard, secret); at >= 0 {
			t.Errorf("the secret of the %s is answered: …%.200s", what, heard[max(0, at-150):])
		}
		if at := strings.Index(log, secret); at >= 0 {
			t.Errorf("the secret of the %s is logged: …%.200s", what, log[max(0, at-150):])
		}
		found, err := grepFiles(g.cfg.Data, secret)
		if err != nil {
			t.Fatal(err)
		}
		if found != "" {
			t.Errorf("the secret of the %s lies in %s", what, found)
		}
	}
	for _, inside := range []string{"$argon2id$", "PRIVATE KEY", `"digest":"`, `"hash":"`} {
		if strings.Contains(heard, inside) || strings.Contains(log, inside) {
			t.Errorf("%s comes out", inside)
		}
	}
}

func grepFiles(dir, text string) (found string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(text)) {
			found = path
		}
		return err
	})
	return found, err
}

// The console's own certificate is trusted by whoever trusts the authority that
// the log names, under each of its names, and no old TLS is spoken.
func TestConsoleCertificate(t *testing.T) {
	g, stop := startGuarded(t)
	address := strings.TrimPrefix(g.console.URL(), "https://")
	for _, name := range []string{"127.0.0.1", "localhost", "station.lan"} {
		conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: g.authority(), ServerName: name})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if v := conn.ConnectionState().Version; v < tls.VersionTLS12 {
			t.Errorf("%s: %s", name, tls.VersionName(v))
		}
		_ = conn.Close()
	}
	old := &tls.Config{RootCAs: g.authority(), ServerName: "127.0.0.1", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	if conn, err := tls.Dial("tcp", address, old); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 is spoken")
	}
	resp, _ := g.ask("GET", "/", "", nil)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	stop()
	if !regexp.MustCompile(`"sha256":"[0-9A-F]{64}"`).MatchString(g.log.String()) {
		t.Error("the log does not tell the authority's fingerprint")
	}
}

// Every route of every room: it declares a permission, asks it for what its path
// names, and stops who does not have it. Nobody sees anything but the door.
func TestEveryRouteIsGuarded(t *testing.T) {
	g, _ := startGuarded(t)
	routes := g.routes
	if len(routes) < 25 {
		t.Fatalf("%d routes", len(routes))
	}
	cookies := map[string]string{"": ""}
	for _, role := range account.Roles() {
		cookies[role] = g.signIn(role)
	}
	wild := regexp.MustCompile(`\{[a-z]+\}`)
	for _, r := range routes {
		if strings.Contains(r.Pattern, "{id}") && !strings.Contains(r.Resource, "{id}") {
			t.Errorf("%s asks its permission for %q", r.Pattern, r.Resource)
		}
		if r.Permission == station.PermPublic && !strings.HasSuffix(r.Pattern, " /answer/{token}") && r.Pattern != "POST /api/v1/incoming/alarms" { // they ask for a signature and a token
			t.Errorf("%s is open to everybody", r.Pattern)
		}
		method, path, _ := strings.Cut(r.Pattern, " ")
		for role, cookie := range cookies {
			who := station.Actor{Account: "x", Role: role}
			if role == "" {
				who = station.Actor{}
			}
			p, denied := station.AsProblem(account.Authorize(who, r.Permission, ""))
			resp, text := g.ask(method, wild.ReplaceAllString(path, "none"), cookie, nil)
			switch {
			case denied && (resp.StatusCode != p.Status || !strings.Contains(text, p.Code)):
				t.Errorf("%q may %s: %d %.100s", role, r.Pattern, resp.StatusCode, text)
			case !denied && strings.Contains(text, `"code":"access.`):
				t.Errorf("%q may not %s: %.100s", role, r.Pattern, text)
			}
		}
	}
}

// signIn makes an account of a role and returns its cookie.
func (g *guarded) signIn(role string) string {
	g.t.Helper()
	ctx := context.Background()
	if claimed, err := g.agent.Claimed(); err != nil || !claimed {
		code, err := g.agent.Invite(ctx, "claim", "", time.Hour)
		if err != nil {
			g.t.Fatal(err)
		}
		if _, _, err := g.agent.Claim(ctx, code, station.AccountOrder{Account: "root", Name: "管理员", Password: "sehr lang 1"}, "127.0.0.1"); err != nil {
			g.t.Fatal(err)
		}
	}
	body, err := json.Marshal(map[string]any{"account": "a-" + role, "name": role, "role": role, "password": "auch lang 22"})
	if err != nil {
		g.t.Fatal(err)
	}
	r := g.agent.Handle(ctx, station.Command{ID: station.NewID(), Type: station.CommandPutAccount, Subject: "a-" + role, Actor: station.System(), Body: body})
	if r.Problem != nil {
		g.t.Fatal(r.Problem)
	}
	link, err := g.agent.Invite(ctx, "login", "a-"+role, time.Hour)
	if err != nil {
		g.t.Fatal(err)
	}
	resp, text := g.ask("POST", "/api/v1/login", "", map[string]string{"token": link})
	if resp.StatusCode != http.StatusOK {
		g.t.Fatal(text)
	}
	return resp.Cookies()[0].Name + "=" + resp.Cookies()[0].Value
}

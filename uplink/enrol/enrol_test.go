package enrol_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stationd/agent/station"
	"stationd/uplink"
	"stationd/uplink/enrol"
	"stationd/uplink/pki"
	"stationd/uplink/protocol"
	"stationd/uplink/uplinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// box is a station's place, on a computer with a clock.
type box struct {
	enrol.Enrolment
	ahead time.Duration
}

func newBox(t *testing.T) *box {
	b := &box{}
	b.Enrolment = enrol.Enrolment{Place: enrol.Place(filepath.Join(t.TempDir(), "uplink")), Now: func() time.Time { return time.Now().Add(b.ahead) }}
	return b
}

func code(err error) string {
	if p, ok := station.AsProblem(err); ok {
		if p.Hint == "" {
			return p.Code + " without a remedy"
		}
		return p.Code
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

// A box without a name or a certificate comes in below the centre, and stays in over
// a renewal; a lost answer costs nothing.
func TestEnrolAndRenew(t *testing.T) {
	w := uplinktest.NewWorld(t)
	e := w.NewEnrolments()
	w.Start()
	b := newBox(t)
	ctx := context.Background()
	c := e.Code("village-7")
	order := enrol.Order{Code: w.Config.ClipsListen + "/" + strings.ToLower(c.String()), Node: "node-1", Free: true}

	e.Lose = func() error { return errors.New("the answer is lost") }
	if _, err := b.Enrol(ctx, order); code(err) != "uplink.centre" {
		t.Fatalf("%v", err)
	}
	if _, err := b.Place.Record(); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("something was kept: %v", err)
	}
	e.Lose = nil
	r, err := b.Enrol(ctx, order)
	if err != nil || r.Node != "village-7" || r.Was != "node-1" || r.Parent != "centre" || r.URL != "mqtts://"+w.Config.Listen || r.Target != enrol.TargetOf(w.Authority.PublicKey()) {
		t.Fatalf("%+v %v", r, err)
	}
	if other, err := newBox(t).Enrol(ctx, order); code(err) != "enrol.code-used" {
		t.Errorf("the code works twice: %+v %v", other, err)
	}
	files := b.Place.Files(r)
	for _, name := range []string{files.Key, filepath.Join(string(b.Place), "enrolment.json")} {
		if st, err := os.Stat(name); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, st, err)
		}
	}
	if _, err := os.Stat(filepath.Join(string(b.Place), "pending.key")); err == nil {
		t.Error("the key lies twice")
	}

	j := uplinktest.NewJournal("village-7")
	cfg := w.Station("village-7")
	cfg.Certificate, cfg.Key, cfg.Authority = files.Certificate, files.Key, files.Authority
	stop := uplinktest.Run(t, uplink.New(cfg, uplink.Deps{Journal: j, Log: w.Log}))
	uplinktest.Eventually(t, 20*time.Second, "the station is there", func() bool { return w.Inbox.Online("village-7") })

	first := leaf(t, files)
	if renewed, err := b.Renew(ctx); renewed || err != nil {
		t.Errorf("a fresh certificate is renewed: %v", err)
	}
	b.ahead = pki.LeafLife - pki.LeafLife/4
	if renewed, err := b.Renew(ctx); !renewed || err != nil {
		t.Fatalf("%v %v", renewed, err)
	}
	if second := leaf(t, files); second == first {
		t.Error("the certificate is the old one")
	}
	w.Stop()
	w.Start()
	uplinktest.Eventually(t, 20*time.Second, "the station comes with the next certificate", func() bool {
		for _, n := range w.Centre.Nodes() {
			if n.ID == "village-7" && n.Online {
				return true
			}
		}
		return false
	})
	stop()

	// Another parent: other cursors, and the old enrolment is gone.
	w2 := uplinktest.NewWorld(t)
	e2 := w2.NewEnrolments()
	w2.Start()
	r2, err := b.Enrol(ctx, enrol.Order{Code: e2.Code("village-7").String(), Centre: w2.Config.ClipsListen, Node: "village-7"})
	if err != nil || r2.Target == r.Target || r2.Was != "node-1" {
		t.Errorf("%+v %v", r2, err)
	}
	if _, err := os.Stat(filepath.Join(string(b.Place), r.Folder)); err == nil {
		t.Error("the old certificate still lies there")
	}
}

func leaf(t *testing.T, f pki.Files) string {
	t.Helper()
	c, err := pki.Leaf(f.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	return pki.Serial(c)
}

// Each thing that can be wrong has a name and a remedy, and nothing is kept of it.
func TestEnrolFails(t *testing.T) {
	w := uplinktest.NewWorld(t)
	e := w.NewEnrolments()
	w.Start()
	address := w.Config.ClipsListen
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	good := e.Code("village-7").String()
	slip := []byte(good)
	if slip[0]++; slip[0] > '9' && slip[0] < 'A' || slip[0] > 'Z' || strings.ContainsRune("ILOU", rune(slip[0])) {
		slip[0] = '0'
	}
	other, err := pki.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		what, want string
		order      enrol.Order
	}{
		{"no code", "enrol.code-form", enrol.Order{Code: "ABC", Centre: address}},
		{"a slip of the pen", "enrol.code-slip", enrol.Order{Code: string(slip), Centre: address}},
		{"no address", "enrol.address", enrol.Order{Code: good}},
		{"a strange address", "enrol.address", enrol.Order{Code: good, Centre: "http://x/y"}},
		{"nobody there", "enrol.unreachable", enrol.Order{Code: good, Centre: "127.0.0.1:1"}},
		{"no such name", "enrol.unreachable", enrol.Order{Code: good, Centre: "centre.invalid"}},
		{"another door", "", enrol.Order{Code: good, Centre: w.Config.Listen}},
		{"another authority's code", "enrol.other-authority", enrol.Order{Code: protocol.NewClaimCode(other.PublicKey()).String(), Centre: address}},
		{"a name that is not in the certificate", "enrol.host", enrol.Order{Code: good, Centre: "127.0.0.2:" + port}},
		{"a code that was never made", "enrol.code-unknown", enrol.Order{Code: protocol.NewClaimCode(w.Authority.PublicKey()).String(), Centre: address}},
		{"a clock that is years ahead", "enrol.clock", enrol.Order{Code: good, Centre: address}},
		{"another station's", "enrol.other-node", enrol.Order{Code: good, Centre: address, Node: "village-8"}},
	} {
		b := newBox(t)
		if x.want == "enrol.clock" {
			b.ahead = 10 * 365 * 24 * time.Hour
		}
		_, err := b.Enrol(context.Background(), x.order)
		if got := code(err); err == nil || x.want != "" && got != x.want || strings.HasSuffix(got, "remedy") {
			if x.what == "a name that is not in the certificate" && got == "enrol.unreachable" {
				continue // the port is of one address alone
			}
			t.Errorf("%s: %s, want %s", x.what, got, x.want)
		}
		if _, err := b.Place.Record(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: something was kept", x.what)
		}
	}
}

// A revoked station is out: its open connections are cut, on both ports, and it does
// not come in again. A stranger gets nowhere, and no old TLS is spoken.
func TestRevokedIsOut(t *testing.T) {
	w := uplinktest.NewWorld(t)
	e := w.NewEnrolments()
	w.Start()
	files := w.Files("a")
	cfg, err := pki.ClientTLS(files, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: cfg}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, Timeout: 10 * time.Second}
	clip := func() (int, error) {
		r, err := http.NewRequest(http.MethodHead, "https://"+w.Config.ClipsListen+protocol.ClipsPath+"c1", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	if status, err := clip(); err != nil || status != http.StatusBadRequest { // it says nothing of its length
		t.Fatalf("%d %v", status, err)
	}
	j := uplinktest.NewJournal("a")
	up := uplink.New(w.Station("a"), uplink.Deps{Journal: j, Log: w.Log})
	uplinktest.Run(t, up)
	uplinktest.Eventually(t, 20*time.Second, "the station is there", func() bool { return w.Inbox.Online("a") })

	// A connection that is silent in the middle of HTTPS is cut too.
	raw, err := tls.Dial("tcp", w.Config.ClipsListen, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.Write([]byte("HEAD " + protocol.ClipsPath + "c1 HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	if _, err := raw.Read(buf); err != nil {
		t.Fatal(err)
	}

	e.Revoke(leaf(t, files))
	w.Centre.Recheck()
	uplinktest.Eventually(t, 20*time.Second, "the station is cut off", func() bool { return !w.Inbox.Online("a") })
	_ = raw.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		if _, err := raw.Read(buf); err != nil {
			if nerr := net.Error(nil); errors.As(err, &nerr) && nerr.Timeout() {
				t.Error("the HTTPS connection is open still")
			}
			break
		}
	}
	if status, err := clip(); err == nil && status != http.StatusForbidden {
		t.Errorf("a clip is taken: %d", status)
	}
	uplinktest.Eventually(t, 20*time.Second, "the station says why it is out", func() bool {
		st := up.Status()
		return !st.Connected && strings.Contains(st.LastError, "certificate") && st.Hint != ""
	})
	if w.Inbox.Online("a") {
		t.Error("it came in again")
	}

	for _, port := range []string{w.Config.Listen, w.Config.ClipsListen} {
		old := cfg.Clone()
		old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		if c, err := tls.Dial("tcp", port, old); err == nil {
			_ = c.Close()
			t.Errorf("%s speaks TLS 1.1", port)
		}
	}
	strange := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12}}
	defer strange.CloseIdleConnections()
	for _, path := range []string{protocol.ClipsPath + "c1", protocol.CertificatePath} {
		method := http.MethodPost
		if path != protocol.CertificatePath {
			method = http.MethodPatch
		}
		r, err := http.NewRequest(method, "https://"+w.Config.ClipsListen+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: strange}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("a stranger at %s: %d", path, resp.StatusCode)
		}
		_ = resp.Body.Close()
	}
}

package linetest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/uplink/budget"
	"stationd/uplink/linetest"
	"stationd/uplink/uplinktest"
)

// parent is a parent's end behind a line of 8 Mbit/s upwards; what comes down is
// not held up.
func parent(t *testing.T) (base string, trust *tls.Config) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(linetest.Path, linetest.NewHandler())
	s := httptest.NewUnstartedServer(mux)
	s.Config.ConnContext = linetest.ConnContext
	s.StartTLS()
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	line := uplinktest.NewShaped(t, 8_000_000, 512<<10)
	return "https://" + line.Proxy(t, s.Listener.Addr().String()), &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

func tester(t *testing.T, cfg linetest.Config, bought budget.Rate, base string, trust *tls.Config, now func() time.Time) (*linetest.Tester, *budget.Budget) {
	t.Helper()
	b := budget.New(budget.Config{Up: bought, Down: bought}, nil)
	lt := linetest.New(cfg, linetest.Deps{
		Base: func() string { return base }, TLS: func() (*tls.Config, error) { return trust.Clone(), nil },
		Budget: b, Log: slog.New(slog.DiscardHandler), Now: now,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- lt.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return lt, b
}

func result(t *testing.T, lt *linetest.Tester, n int) linetest.Result {
	t.Helper()
	uplinktest.Eventually(t, time.Minute, "a result", func() bool {
		r := lt.Report()
		return len(r.Tests) == n && r.Running.IsZero()
	})
	return lt.Report().Tests[0]
}

func config(t *testing.T) linetest.Config {
	cfg := linetest.DefaultConfig()
	cfg.Lasts, cfg.Nightly = 3*time.Second, ""
	cfg.File = filepath.Join(t.TempDir(), "uplink", "line-tests.json")
	return cfg
}

// TestLineAsBought: a line that carries what was bought passes, by what the other
// end confirmed; the results outlive the program.
func TestLineAsBought(t *testing.T) {
	base, trust := parent(t)
	cfg := config(t)
	lt, b := tester(t, cfg, 8*budget.Mbit, base, trust, nil)
	if err := lt.Ask(); err != nil {
		t.Fatal(err)
	}
	if p, ok := station.AsProblem(lt.Ask()); !ok || p.Code != "line.testing" {
		t.Errorf("two tests at once: %v", p)
	}
	r := result(t, lt, 1)
	t.Logf("%+v", r)
	if r.Problem != "" || r.Nightly || r.Up.Asked != 76*budget.Mbit/10 || !r.Up.Delivers || !r.Down.Delivers {
		t.Errorf("%+v", r)
	}
	if r.Up.Rate > 82*budget.Mbit/10 || r.Idle <= 0 || r.Up.Delay <= 0 || r.Up.Worst < r.Up.Delay {
		t.Errorf("%+v", r)
	}
	for _, c := range b.Report().Classes {
		if c.Class == budget.Backlog && (c.Up.Bytes < r.Up.Bytes || c.Down.Bytes < r.Down.Bytes*9/10) {
			t.Errorf("the test did not pay: %+v", c)
		}
	}
	again := linetest.New(cfg, linetest.Deps{Log: slog.New(slog.DiscardHandler)})
	if tests := again.Report().Tests; len(tests) != 1 || !tests[0].At.Equal(r.At) || tests[0].Up != r.Up {
		t.Errorf("after a restart: %+v", tests)
	}
}

// TestLineGivesLess: where the line carries a third of what was bought the result
// says so, and the test gives way before answers take long.
func TestLineGivesLess(t *testing.T) {
	base, trust := parent(t)
	lt, _ := tester(t, config(t), 24*budget.Mbit, base, trust, nil)
	if err := lt.Ask(); err != nil {
		t.Fatal(err)
	}
	r := result(t, lt, 1)
	t.Logf("%+v", r)
	if r.Up.Delivers || r.Up.Carried > 12*budget.Mbit || r.Up.Bytes == 0 || !r.Down.Delivers && r.Problem == "" && !r.Down.Stopped && r.Down.Rate < 4*budget.Mbit {
		t.Errorf("%+v", r)
	}
}

// TestNightlyIsSmall: at its hour the line is tested by itself, with little.
func TestNightlyIsSmall(t *testing.T) {
	base, trust := parent(t)
	cfg := config(t)
	cfg.Nightly, cfg.NightlyRate, cfg.Lasts = "03:20", budget.Mbit, time.Second
	began := time.Now()
	night := time.Date(2026, 3, 1, 3, 19, 59, 900_000_000, time.Local)
	lt, _ := tester(t, cfg, 8*budget.Mbit, base, trust, func() time.Time { return night.Add(time.Since(began)) })
	r := result(t, lt, 1)
	if !r.Nightly || r.Problem != "" || r.Up.Asked != budget.Mbit || r.Up.Carried > 4*budget.Mbit {
		t.Errorf("%+v", r)
	}
}

// TestParentIsAway: what cannot be measured says why, and a file that cannot be
// read is set aside.
func TestParentIsAway(t *testing.T) {
	cfg := config(t)
	if err := os.MkdirAll(filepath.Dir(cfg.File), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg.File, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	lt, _ := tester(t, cfg, 8*budget.Mbit, "https://127.0.0.1:1", &tls.Config{MinVersion: tls.VersionTLS12}, nil)
	if err := lt.Ask(); err != nil {
		t.Fatal(err)
	}
	if r := result(t, lt, 1); r.Problem == "" || r.Up.Delivers || r.Up.Lost != -1 {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(cfg.File + ".unreadable"); err != nil {
		t.Error(err)
	}
	nowhere, _ := tester(t, config(t), 8*budget.Mbit, "", &tls.Config{MinVersion: tls.VersionTLS12}, nil)
	if p, ok := station.AsProblem(nowhere.Ask()); !ok || p.Code != "line.away" {
		t.Errorf("%v", p)
	}
	bad := linetest.Config{Nightly: "25:00"}
	if err := bad.Validate(); len(station.Faults(err)) != 3 {
		t.Error(err)
	}
}

package linetest

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/uplink/budget"
)

// Config is when and how the line is tested by itself.
type Config struct {
	// Nightly is the time of day of the small test, "03:20"; empty is never.
	Nightly string `yaml:"nightly"`
	// NightlyRate is how much it asks for, each way.
	NightlyRate budget.Rate `yaml:"nightly_rate"`
	// Lasts is how long each direction is measured.
	Lasts time.Duration `yaml:"lasts"`
	// File keeps the results; empty keeps them in memory.
	File string `yaml:"-"`
}

// DefaultConfig tests at night, with a tenth of the line.
func DefaultConfig() Config {
	return Config{Nightly: "03:20", NightlyRate: 5 * budget.Mbit, Lasts: 8 * time.Second}
}

// Validate names every fault.
func (c Config) Validate() error {
	var faults []error
	if _, err := time.Parse("15:04", c.Nightly); c.Nightly != "" && err != nil {
		faults = append(faults, station.Errorf(400, "config.invalid", "write a time of day such as 03:20, or leave it empty", "%q is no time of day", c.Nightly).At("nightly"))
	}
	if c.NightlyRate < 100*budget.Kbit || c.NightlyRate > budget.Gbit {
		faults = append(faults, station.Errorf(400, "config.invalid", "leave the key out for the default", "%s is not within 100kbit/s and 1Gbit/s", c.NightlyRate).At("nightly_rate"))
	}
	if c.Lasts < time.Second || c.Lasts > time.Minute {
		faults = append(faults, station.Errorf(400, "config.invalid", "leave the key out for the default", "%s is not within 1s and 1m", c.Lasts).At("lasts"))
	}
	return errors.Join(faults...)
}

// Deps is what a Tester works with.
type Deps struct {
	// Base gives the parent's address for clips; empty while it is not known.
	Base func() string
	// TLS gives the certificates for the next connections.
	TLS    func() (*tls.Config, error)
	Budget *budget.Budget
	Log    *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Tester is the station's end.
type Tester struct {
	cfg  Config
	deps Deps
	wish chan bool // someone asks; true for the small one

	mu      sync.Mutex
	kept    history
	running bool
	since   time.Time
}

// New makes a Tester. It opens nothing.
func New(cfg Config, deps Deps) *Tester {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Tester{cfg: cfg, deps: deps, wish: make(chan bool, 1), kept: history{file: cfg.File}}
}

// Run tests when it is asked to and at night, until ctx ends.
func (t *Tester) Run(ctx context.Context) error {
	for {
		wait := time.NewTimer(t.untilNight(t.deps.Now()))
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case small := <-t.wish:
			t.test(ctx, small)
		case <-wait.C:
			t.begin()
			t.test(ctx, true)
		}
		wait.Stop()
	}
}

// untilNight is how long until the next small test.
func (t *Tester) untilNight(now time.Time) time.Duration {
	at, err := time.Parse("15:04", t.cfg.Nightly)
	if t.cfg.Nightly == "" || err != nil {
		return 24 * time.Hour * 365
	}
	next := time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), 0, 0, now.Location())
	if !next.After(now) {
		next = next.AddDate(0, 0, 1)
	}
	return next.Sub(now)
}

// begin tells whether a test may begin, and notes that it does.
func (t *Tester) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running {
		return false
	}
	t.running, t.since = true, t.deps.Now()
	return true
}

// Ask begins a test, unless one runs.
func (t *Tester) Ask() error {
	if t.deps.Base() == "" {
		return station.Errorf(503, "line.away", "wait until the line is up", "the centre has not been reached yet")
	}
	if !t.begin() {
		return station.Errorf(409, "line.testing", "wait for its result", "the line is being tested already")
	}
	t.wish <- false // has room: whoever began is the only one
	return nil
}

func (t *Tester) test(ctx context.Context, small bool) {
	r := t.measure(ctx, small)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running = false
	if ctx.Err() != nil {
		return // the program ends; half a test is none
	}
	err := t.kept.load()
	if err = errors.Join(err, t.kept.add(r)); err != nil {
		t.deps.Log.Error("line test not kept", "error", err)
	}
	t.deps.Log.Info("line tested", "nightly", r.Nightly, "up", r.Up.Rate, "down", r.Down.Rate, "idle_ms", r.Idle, "problem", r.Problem)
}

// Report is the tests so far.
type Report struct {
	// Running is since when a test runs; zero when none does.
	Running time.Time `json:"running,omitzero"`
	// Tests are the newest first.
	Tests []Result `json:"tests"`
}

// Report is the tests so far.
func (t *Tester) Report() Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.kept.load(); err != nil {
		t.deps.Log.Error("line tests not read", "error", err)
	}
	r := Report{Tests: slices.Clone(t.kept.list)}
	if t.running {
		r.Running = t.since
	}
	slices.Reverse(r.Tests)
	if r.Tests == nil {
		r.Tests = []Result{}
	}
	return r
}

// Routes are the line tests for the console.
func (t *Tester) Routes() []station.Route {
	return []station.Route{
		{
			Pattern: "GET /api/v1/line/tests", Permission: station.PermWatch,
			Handler: station.Handler(func(w http.ResponseWriter, _ *http.Request) error {
				return station.WriteJSON(w, http.StatusOK, t.Report())
			}),
			Summary: "How good the line to the parent was, each time it was tested", Reply: Report{},
		},
		{
			Pattern: "POST /api/v1/line/tests", Permission: station.PermConfigure,
			Handler: station.Handler(func(w http.ResponseWriter, _ *http.Request) error {
				if err := t.Ask(); err != nil {
					return err
				}
				return station.WriteJSON(w, http.StatusAccepted, t.Report())
			}),
			Summary: "Test the line to the parent now", Reply: Report{}, Status: http.StatusAccepted,
		},
	}
}

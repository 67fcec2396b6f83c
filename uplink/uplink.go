package uplink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/uplink/budget"
	"stationd/uplink/linetest"
	"stationd/uplink/pki"
	"stationd/uplink/protocol"
	"stationd/uplink/transport"
	"stationd/uplink/transport/mqtt"
	"stationd/uplink/transport/webhook"
)

// Uplink is the station's end.
type Uplink struct {
	cfg    Config
	deps   Deps
	log    *slog.Logger
	dialer transport.Dialer
	second transport.Dialer // nil without a second line
	keeper *keeper
	budget *budget.Budget
	state  state
	calls  *calls
	tasks  *tasks
	clips  *uploader
	tester *linetest.Tester
}

// New makes an uplink. It opens nothing.
func New(cfg Config, deps Deps) *Uplink {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	u := &Uplink{cfg: cfg, deps: deps, log: deps.Log, dialer: deps.Dialer, keeper: newKeeper(deps.Journal, deps.Log), budget: deps.Budget}
	if u.budget == nil {
		u.budget = budget.New(cfg.Budget, deps.Now)
	}
	mc := mqtt.DefaultConfig()
	mc.URL, mc.ConnectTimeout, mc.KeepAlive, mc.TLS = cfg.URL, cfg.ConnectTimeout, cfg.KeepAlive, u.tls
	switch {
	case u.dialer != nil:
	case cfg.web != nil:
		u.dialer = webhook.New(webhook.Config{
			URL: cfg.web.URL, SecretFile: cfg.web.SecretFile, Single: cfg.web.Single,
			Certificate: cfg.web.Certificate, Key: cfg.web.Key, Authority: cfg.web.Authority, Timeout: cfg.AckTimeout * 9 / 10,
		}, deps.Log)
	default:
		u.dialer = mqtt.New(mc, deps.Log)
	}
	if u.second = deps.Second; u.second == nil && cfg.Second.Enabled() {
		mc.From = cfg.Second.From
		if cfg.Second.URL != "" {
			mc.URL = cfg.Second.URL
		}
		u.second = mqtt.New(mc, deps.Log)
	}
	u.state.since = deps.Now()
	u.calls = newCalls(u)
	u.tasks = newTasks(u)
	u.clips = newUploader(u)
	u.tester = linetest.New(cfg.LineTest, linetest.Deps{Base: u.clips.base, TLS: u.tls, Budget: u.budget, Log: deps.Log, Now: deps.Now})
	return u
}

// Lanes are the lanes that the target gets.
func (u *Uplink) Lanes() []station.Lane { return u.cfg.Filter.lanes() }

// tls reads the certificates afresh for each connection, so that renewed ones
// are taken up.
func (u *Uplink) tls() (*tls.Config, error) {
	return pki.ClientTLS(u.cfg.files(), u.cfg.serverName())
}

// Routes are who spends the line, and how good it is.
func (u *Uplink) Routes() []station.Route { return append(u.budget.Routes(), u.tester.Routes()...) }

// Run keeps the line up until ctx ends.
func (u *Uplink) Run(ctx context.Context) error {
	if !u.cfg.Enabled() {
		<-ctx.Done()
		return nil
	}
	for _, lane := range u.cfg.Filter.lanes() {
		c, err := u.deps.Journal.Cursor(u.cfg.Target, lane)
		if err != nil {
			return fmt.Errorf("read the uplink's cursor of lane %s: %w", lane, err)
		}
		u.state.begin(c)
	}
	var wg sync.WaitGroup
	wg.Go(func() { u.keeper.run(ctx) })
	wg.Go(func() { u.tasks.run(ctx) })
	wg.Go(func() { u.state.measure(ctx) })
	if u.deps.Clips != nil {
		wg.Go(func() { u.clips.run(ctx) })
		wg.Go(func() { _ = u.tester.Run(ctx) }) // at the port for clips; it ends with ctx alone
	}
	if u.second != nil {
		wg.Go(func() { u.runSecond(ctx) })
	}
	u.connect(ctx)
	u.calls.wait()
	wg.Wait()
	return nil
}

// connect opens one session after the other.
func (u *Uplink) connect(ctx context.Context) {
	pause := u.cfg.RetryMin
	for ctx.Err() == nil {
		started := u.deps.Now()
		err := u.session(ctx, u.dialer, false)
		if ctx.Err() != nil {
			return
		}
		welcome := u.state.disconnected(err, u.deps.Now())
		u.log.Warn("uplink lost", "target", u.cfg.Target, "error", err)
		// A line that held is tried again soon; one that fails at once is left
		// alone for longer and longer.
		if welcome && u.deps.Now().Sub(started) > u.cfg.RetryMax {
			pause = u.cfg.RetryMin
		}
		if !sleep(ctx, jitter(pause)) {
			return
		}
		pause = min(2*pause, u.cfg.RetryMax)
		if errors.Is(err, protocol.ErrVersion) || isAhead(err) {
			pause = u.cfg.RetryMax // only a person can mend it
		}
	}
}

func isAhead(err error) bool {
	p, ok := station.AsProblem(err)
	return ok && p.Code == "uplink.ahead"
}

// jitter spreads the stations that lost one parent at the same moment.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

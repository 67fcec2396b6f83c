package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"stationd/systemd"
)

// claimLife is how long a printed claim code works. A restart prints a new one.
const claimLife = 24 * time.Hour

// sensorsPause is how long the sensors' loop may stand still. It moves every
// few seconds even when no sensor says anything.
const sensorsPause = 20 * time.Second

// run is the daemon: one node, until ctx ends. A node that was enrolled at a centre
// is opened anew, since its name and its parent are known from the start on.
func run(ctx context.Context, opts serviceOptions, errs io.Writer) error {
	for {
		if err := runNode(ctx, opts, errs); !errors.Is(err, errEnrolled) {
			return err
		}
	}
}

func runNode(ctx context.Context, opts serviceOptions, errs io.Writer) error {
	cfg, err := loadConfig(opts)
	if err != nil {
		return err
	}
	log := newLog(cfg.Log, errs)
	n, err := openNode(cfg, log)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return n.Run(ctx) })
	g.Go(func() error { return n.welcome(ctx) })
	g.Go(func() error { return n.awaitEnrolment(ctx) })
	g.Go(func() error { return systemd.Watchdog(ctx, n.alive()) })
	return errors.Join(g.Wait(), n.Close())
}

func newLog(cfg LogConfig, to io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.Level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(to, opts))
	}
	return slog.New(slog.NewTextHandler(to, opts))
}

// awaitReady returns when everything listens, or ctx ends.
func (n *node) awaitReady(ctx context.Context) error {
	waits := []<-chan struct{}{n.devices.Ready(), n.hub.Ready(), n.console.Ready()}
	if n.centre != nil {
		waits = append(waits, n.centre.Ready())
	}
	for _, ready := range waits {
		select {
		case <-ready:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// welcome tells the service manager that the node is up, and the installer how
// to claim it.
func (n *node) welcome(ctx context.Context) error {
	if err := n.awaitReady(ctx); err != nil {
		return nil //nolint:nilerr // ended before it was up
	}
	claimed, err := n.agent.Claimed()
	if err != nil {
		return err
	}
	status := "serving " + n.console.URL()
	if !claimed {
		code, err := n.agent.Invite(ctx, "claim", "", claimLife)
		if err != nil {
			return fmt.Errorf("make the claim code: %w", err)
		}
		n.log.Warn("this node is not claimed yet; open the link on this machine", "link", n.console.URL()+"/#claim="+code, "code", code)
		status += ", waiting to be claimed"
	}
	n.log.Info("node is up", "node", n.store.Node(), "console", n.console.URL(), "version", version())
	if err := systemd.Status(status); err != nil {
		n.log.Warn("service manager not told the status", "err", err)
	}
	if err := systemd.Ready(); err != nil {
		return fmt.Errorf("tell the service manager that the node is up: %w", err)
	}
	return nil
}

// alive returns what the watchdog asks: whether alarms can be taken in. The
// write path must answer, and the loop of the sensors must have gone on since it
// was last asked.
func (n *node) alive() func(context.Context) error {
	last := n.devices.Progress()
	asked := time.Now()
	return func(ctx context.Context) error {
		if err := n.agent.Heartbeat(ctx); err != nil {
			return fmt.Errorf("write path: %w", err)
		}
		now := n.devices.Progress()
		if now == last && time.Since(asked) > sensorsPause {
			return fmt.Errorf("sensors have not moved for %s", time.Since(asked).Round(time.Second))
		}
		if now != last {
			last, asked = now, time.Now()
		}
		return nil
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/kardianos/service"

	"stationd/systemd"
)

// endsWithin is how long the daemon may take to end after it was asked to.
const endsWithin = 5 * time.Second

// runAsService runs the daemon under whoever started it, and returns when it has
// ended. Under Windows' service manager that is kardianos/service, which must be
// reached before anything is opened: the manager gives up on a slow main (error
// 1053). Everywhere else SIGINT and SIGTERM cancel run's context, and a second
// one ends the process at once.
func runAsService(run func(ctx context.Context) error) error {
	if runtime.GOOS == "windows" && !service.Interactive() {
		return runUnderWindows(run)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	return runUntilSignal(run, signals, endsWithin, os.Exit)
}

func runUntilSignal(run func(ctx context.Context) error, signals <-chan os.Signal, within time.Duration, exit func(int)) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()

	select {
	case err := <-ended:
		return err
	case <-signals:
	}
	// Nobody hears it when there is no manager, and nothing hangs on it.
	_ = systemd.Stopping()
	cancel()
	select {
	case err := <-ended:
		return err
	case <-signals:
		exit(130)
		return errors.New("ended by a second signal")
	case <-time.After(within):
		// The store survives a kill; a caller that waits for ever may not.
		return fmt.Errorf("still running %v after it was asked to end", within)
	}
}

// runUnderWindows hands the daemon to Windows' service manager.
func runUnderWindows(run func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	d := &windowsDaemon{run: run, ctx: ctx, cancel: cancel, ended: make(chan error, 1), exit: os.Exit}
	s, err := service.New(d, &service.Config{Name: serviceName})
	if err != nil {
		return fmt.Errorf("reach the service manager: %w", err)
	}
	return s.Run()
}

// windowsDaemon is the daemon as Windows' service manager calls it: Start must
// return at once, Stop may take a few seconds.
type windowsDaemon struct {
	run    func(ctx context.Context) error
	ctx    context.Context // of the daemon's whole life; Start gets none
	cancel context.CancelFunc
	ended  chan error
	exit   func(int)
}

func (d *windowsDaemon) Start(s service.Service) error {
	go func() {
		err := d.run(d.ctx)
		if d.ctx.Err() == nil {
			// The recovery actions count only for a process that dies; one that
			// reports itself stopped stays stopped.
			if log, logErr := s.SystemLogger(nil); logErr == nil {
				_ = log.Error(fmt.Sprintf("ended by itself: %v", err))
			}
			d.exit(1)
		}
		d.ended <- err
	}()
	return nil
}

func (d *windowsDaemon) Stop(service.Service) error {
	d.cancel()
	select {
	case err := <-d.ended:
		return err
	case <-time.After(endsWithin):
		return fmt.Errorf("still running %v after it was asked to end", endsWithin)
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestStatusTellsTheTruth(t *testing.T) {
	const since = "ActiveEnterTimestamp=Sat 2026-11-21 20:00:00 CST\nMainPID=42\n"
	for _, c := range []struct {
		name, shown string
		running     bool
		installed   bool
		text        string
	}{
		{"serving", "LoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=0\nUnitFileState=enabled\nStatusText=\n" + since, true, true, "running since Sat 2026-11-21 20:00:00 CST, pid 42"},
		{"serving after falls", "LoadState=loaded\nActiveState=active\nNRestarts=3\nStatusText=4 cameras\n" + since, true, true, "running since Sat 2026-11-21 20:00:00 CST, pid 42, restarted 3 times\n4 cameras"},
		{"not enabled", "LoadState=loaded\nActiveState=active\nUnitFileState=disabled\n" + since, true, true, "running since Sat 2026-11-21 20:00:00 CST, pid 42; it does not start with the machine (sudo stationd install)"},
		{"opening its store", "LoadState=loaded\nActiveState=activating\nSubState=start\n", false, true, "starting"},
		{"between two lives", "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nResult=watchdog\nNRestarts=7\n", false, true, "died (it hung, and the watchdog ended it) and will be started again in a moment, restarted 7 times"},
		{"broken configuration", "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nResult=exit-code\nNRestarts=1\n", false, true, "died (it ended with an error) and will be started again in a moment, restarted 1 times"},
		{"hanging", "LoadState=loaded\nActiveState=deactivating\nSubState=stop-watchdog\n", false, true, "hung; being ended by the watchdog"},
		{"ending", "LoadState=loaded\nActiveState=deactivating\nSubState=stop-sigterm\n", false, true, "stopping"},
		{"given up", "LoadState=loaded\nActiveState=failed\nResult=oom-kill\n", false, true, "failed (memory ran out)"},
		{"stopped", "LoadState=loaded\nActiveState=inactive\nSubState=dead\n", false, true, "stopped"},
		{"forbidden", "LoadState=masked\nActiveState=inactive\n", false, true, "stopped; its unit file is masked"},
		{"absent", "LoadState=not-found\nActiveState=inactive\n", false, false, "not installed"},
		{"unit deleted under it", "LoadState=not-found\nActiveState=active\n" + since, true, false, "running since Sat 2026-11-21 20:00:00 CST, pid 42"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := readStatus(c.shown)
			if got.running != c.running || got.installed != c.installed || got.text != c.text {
				t.Errorf("got  %+v\nwant %v %v %q", got, c.running, c.installed, c.text)
			}
		})
	}
}

func TestServiceRunsFromAnyFolder(t *testing.T) {
	opts, err := serviceOptions{ConfigPath: "s.yaml"}.absolute()
	if err != nil {
		t.Fatal(err)
	}
	config, err := serviceConfig(opts)
	if err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(config.Executable) {
		t.Errorf("program %q", config.Executable)
	}
	if got := config.Arguments; len(got) != 3 || got[0] != "run" || got[1] != "--config" || !filepath.IsAbs(got[2]) {
		t.Errorf("arguments %q", got)
	}
	if config.Option["OnFailure"] != "restart" {
		t.Error("Windows would not restart it")
	}
}

func TestUnknownVerb(t *testing.T) {
	var out bytes.Buffer
	if err := serviceCommand("explode", serviceOptions{}, &out); err == nil {
		t.Error("carried out")
	}
}

// start runs the daemon in a bubble; what it ends with comes from the channel.
func start(run func(context.Context) error, signals <-chan os.Signal, exit func(int)) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- runUntilSignal(run, signals, 5*time.Second, exit) }()
	return ended
}

func TestRunUntilSignal(t *testing.T) {
	noExit := func(int) { panic("ended the process") }
	untilCancelled := func(ctx context.Context) error { <-ctx.Done(); return nil }

	t.Run("a signal ends it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			signals := make(chan os.Signal, 2)
			ended := start(untilCancelled, signals, noExit)
			signals <- syscall.SIGTERM
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("its own failure comes back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			broken := errors.New("broken")
			if err := <-start(func(context.Context) error { return broken }, nil, noExit); !errors.Is(err, broken) {
				t.Error(err)
			}
		})
	})
	t.Run("five seconds and no more", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			signals, release := make(chan os.Signal, 2), make(chan struct{})
			began := time.Now()
			ended := start(func(context.Context) error { <-release; return nil }, signals, noExit)
			signals <- os.Interrupt
			if err := <-ended; err == nil || !strings.Contains(err.Error(), "still running 5s") {
				t.Error(err)
			}
			if took := time.Since(began); took != 5*time.Second {
				t.Errorf("took %v", took)
			}
			close(release)
		})
	})
	t.Run("the second signal ends it at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			signals, release := make(chan os.Signal, 2), make(chan struct{})
			began, code := time.Now(), 0
			ended := start(func(context.Context) error { <-release; return nil }, signals, func(c int) { code = c })
			signals <- os.Interrupt
			signals <- os.Interrupt
			<-ended
			if code != 130 || time.Since(began) != 0 {
				t.Errorf("code %d after %v", code, time.Since(began))
			}
			close(release)
		})
	})
}

func TestWindowsDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		d := &windowsDaemon{
			run: func(ctx context.Context) error { <-ctx.Done(); return nil }, ctx: ctx, cancel: cancel,
			ended: make(chan error, 1), exit: func(int) { t.Error("ended the process") },
		}
		if err := d.Start(nil); err != nil {
			t.Fatal(err)
		}
		if err := d.Stop(nil); err != nil {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		d := &windowsDaemon{
			ctx: ctx, cancel: cancel,
			ended: make(chan error, 1), exit: func(int) {},
		}
		release := make(chan struct{})
		d.run = func(context.Context) error { <-release; return nil }
		_ = d.Start(nil)
		if err := d.Stop(nil); err == nil {
			t.Error("a daemon that does not end was called ended")
		}
		close(release)
	})
}

package systemd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Ready tells the service manager that the daemon serves: the store is open and
// its doors are listening. Until then `systemctl start` waits, and after it the
// watchdog counts.
func Ready() error { return notify(daemon.SdNotifyReady) }

// Stopping tells the service manager that the daemon is on its way out.
func Stopping() error { return notify(daemon.SdNotifyStopping) }

// Status sets the one line that `systemctl status` shows beside the state.
func Status(text string) error {
	// A line break would begin another variable of the protocol.
	return notify("STATUS=" + strings.Join(strings.Fields(text), " "))
}

// Watchdog pings the service manager for as long as the daemon proves that it
// works, until ctx ends, and then returns nil. Three times per watchdog period
// it asks alive, which returns nil only when every critical loop has made
// progress since it was last asked. An error or an answer that does not come
// means no ping; when the pings stay out for a whole period the manager ends the
// daemon with SIGABRT and starts it again.
//
// The last refusal goes to Status, so that the journal and `systemctl status`
// name the loop that hung. Watchdog returns an error only when the environment
// asks for a watchdog in words it does not understand, and at once with nil when
// no watchdog was asked for.
func Watchdog(ctx context.Context, alive func(context.Context) error) error {
	period, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("read the watchdog's period: %w", err)
	}
	if period == 0 {
		return nil
	}
	return watch(ctx, period/3, alive)
}

func watch(ctx context.Context, every time.Duration, alive func(context.Context) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	refused := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := ask(ctx, every, alive)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			refused = true
			// The ping that stays out says it too, a little later and louder.
			_ = Status("not alive: " + err.Error())
		default:
			if refused {
				refused = false
				_ = Status("alive again")
			}
			// A lost ping costs nothing while the next one arrives; when none
			// does, being restarted is what the watchdog is for.
			_ = notify(daemon.SdNotifyWatchdog)
		}
	}
}

// ask gives alive until the next tick.
func ask(ctx context.Context, within time.Duration, alive func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return alive(ctx)
}

func notify(state string) error {
	if _, err := daemon.SdNotify(false, state); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return nil
}

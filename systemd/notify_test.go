//go:build unix

package systemd_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stationd/systemd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// manager stands in for systemd's end of the notify socket.
type manager struct{ conn *net.UnixConn }

func listen(t *testing.T) manager {
	t.Helper()
	addr := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
	conn, err := net.ListenUnixgram("unixgram", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", addr.Name)
	t.Setenv("WATCHDOG_USEC", "")
	t.Setenv("WATCHDOG_PID", "")
	return manager{conn}
}

// next is the next message, or "" when none comes in time.
func (m manager) next(t *testing.T, within time.Duration) string {
	t.Helper()
	buf := make([]byte, 4096)
	_ = m.conn.SetReadDeadline(time.Now().Add(within))
	n, err := m.conn.Read(buf)
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

// until reads messages up to the one wanted.
func (m manager) until(t *testing.T, want string) {
	t.Helper()
	for {
		switch got := m.next(t, 5*time.Second); got {
		case want:
			return
		case "":
			t.Fatalf("%q never came", want)
		}
	}
}

func TestMessages(t *testing.T) {
	m := listen(t)
	for _, c := range []struct {
		send func() error
		want string
	}{
		{systemd.Ready, "READY=1"},
		{func() error { return systemd.Status("4 cameras,\nREADY=1") }, "STATUS=4 cameras, READY=1"},
		{systemd.Stopping, "STOPPING=1"},
	} {
		if err := c.send(); err != nil {
			t.Fatal(err)
		}
		if got := m.next(t, time.Second); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestSilentWithoutManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	for _, err := range []error{
		systemd.Ready(), systemd.Stopping(), systemd.Status("x"),
		systemd.Watchdog(t.Context(), func(context.Context) error { t.Error("asked"); return nil }),
	} {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestManagerGone(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	if err := systemd.Ready(); err == nil || !strings.Contains(err.Error(), "notify the service manager") {
		t.Errorf("got %v", err)
	}
}

func TestWatchdogPingsWhileAlive(t *testing.T) {
	m := listen(t)
	t.Setenv("WATCHDOG_USEC", "90000")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var fault atomic.Pointer[error]
	done := make(chan error, 1)
	go func() {
		done <- systemd.Watchdog(ctx, func(ctx context.Context) error {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("alive was given no time limit")
			}
			if err := fault.Load(); err != nil {
				return *err
			}
			return nil
		})
	}()
	m.until(t, "WATCHDOG=1")
	m.until(t, "WATCHDOG=1")

	stuck := errors.New("committer: no commit since the last ping")
	fault.Store(&stuck)
	m.until(t, "STATUS=not alive: committer: no commit since the last ping")
	for range 3 {
		if got := m.next(t, time.Second); got == "WATCHDOG=1" {
			t.Fatal("pinged though a loop hangs")
		}
	}

	fault.Store(nil)
	m.until(t, "STATUS=alive again")
	m.until(t, "WATCHDOG=1")
	cancel()
	if err := <-done; err != nil {
		t.Errorf("ended by its context: %v", err)
	}
}

func TestWatchdogStaysSilentWhenNobodyAnswers(t *testing.T) {
	m := listen(t)
	t.Setenv("WATCHDOG_USEC", "30000")
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- systemd.Watchdog(ctx, func(context.Context) error {
			close(asked)
			<-t.Context().Done() // deaf to its own limit, as a deadlock is
			return nil
		})
	}()
	<-asked
	if got := m.next(t, 300*time.Millisecond); got != "" {
		t.Errorf("got %q", got)
	}
	cancel()
	t.Cleanup(func() { <-done })
}

func TestWatchdogOfAnotherProcess(t *testing.T) {
	listen(t)
	t.Setenv("WATCHDOG_USEC", "30000")
	t.Setenv("WATCHDOG_PID", "1")
	if err := systemd.Watchdog(t.Context(), nil); err != nil {
		t.Error(err)
	}
	t.Setenv("WATCHDOG_PID", "")
	t.Setenv("WATCHDOG_USEC", "soon")
	if err := systemd.Watchdog(t.Context(), nil); err == nil {
		t.Error("a period that is no number was taken")
	}
}

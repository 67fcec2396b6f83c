//go:build linux

package main_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestServiceOnSystemd installs the daemon on a machine run by a real systemd
// and maltreats it: it must come back from a hang, a kill and a reboot by itself,
// and leave nothing behind but its data.
func TestServiceOnSystemd(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "stationd")
	build := exec.Command("go", "build", "-o", binary, "stationd/cmd/stationd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	m := boot(t)

	// Paths that a careless unit file would take apart.
	const stationd = "/opt/station d/50% {x}/stationd"
	const config = "/etc/station d/it's.yaml"
	program, err := os.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	m.put(t, stationd, 0o755, program)
	m.put(t, config, 0o600, strings.NewReader("{}\n"))

	show := func(property string) string {
		out, _ := m.run("systemctl", "show", "--value", "--property="+property, "stationd")
		return strings.TrimSpace(out)
	}
	status := func(wantCode int, want string) {
		t.Helper()
		out, err := m.run(stationd, "status")
		code := 0
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		}
		if code != wantCode || !strings.Contains(out, want) {
			t.Errorf("status: exit code %d, %q; want %d, %q", code, out, wantCode, want)
		}
	}
	// serving waits for another daemon than the one before.
	serving := func(limit time.Duration, before string) time.Duration {
		t.Helper()
		return m.within(t, limit, "the daemon serves", func() bool {
			pid := show("MainPID")
			return pid != before && pid != "0" && show("ActiveState") == "active"
		})
	}
	override := func(settings string) {
		m.put(t, "/run/systemd/system/stationd.service.d/test.conf", 0o644, strings.NewReader("[Service]\n"+settings+"\n"))
		m.must(t, "systemctl", "daemon-reload")
	}

	status(3, "not installed")
	if out, err := m.run("setpriv", "--reuid=65534", "--clear-groups", stationd, "install"); err == nil || !strings.Contains(out, "sudo stationd install") {
		t.Errorf("install without root: %v, %s", err, out)
	}
	if out, err := m.run(stationd, "install", "--config", config); err == nil || !strings.Contains(out, "chgrp stationd") {
		t.Errorf("install with a configuration that the daemon cannot read: %v, %s", err, out)
	}
	m.must(t, "chgrp", "stationd", config)
	m.must(t, "chmod", "640", config)
	m.must(t, stationd, "install", "--config", config)
	m.must(t, stationd, "install", "--config", config) // again: an update
	status(3, "stopped")

	began := time.Now()
	m.must(t, stationd, "start")
	t.Logf("install, start → active: %v", time.Since(began).Round(time.Millisecond))
	status(0, "running")
	if score := exposure(t, m); score > 2.0 {
		t.Errorf("systemd-analyze security: %.1f, want at most 2.0", score)
	} else {
		t.Logf("systemd-analyze security: %.1f", score)
	}

	pid := show("MainPID")
	m.must(t, "kill", "-KILL", pid)
	took := serving(10*time.Second, pid)
	t.Logf("kill -9 → serving: %v", took.Round(time.Millisecond))
	if took > 3*time.Second {
		t.Errorf("kill -9: back after %v, want less than 3 s", took)
	}

	override("WatchdogSec=3s") // thirty seconds would only lengthen the test
	m.must(t, stationd, "restart")
	pid = show("MainPID")
	m.must(t, "kill", "-STOP", pid)
	t.Logf("hang → serving: %v with a watchdog of 3 s", serving(30*time.Second, pid).Round(time.Millisecond))
	if journal := m.must(t, "journalctl", "--no-pager", "-u", "stationd"); !strings.Contains(journal, "Watchdog timeout") {
		t.Errorf("not the watchdog's doing:\n%s", journal)
	} else if !strings.Contains(journal, "SIGABRT: abort") {
		t.Errorf("no stack dump in the journal:\n%s", journal)
	}

	override("RestartSec=1h") // time to look at a dead daemon
	m.must(t, "kill", "-KILL", show("MainPID"))
	m.within(t, 5*time.Second, "it waits to be restarted", func() bool { return show("SubState") == "auto-restart" })
	status(3, "died")
	override("")
	m.must(t, stationd, "restart")
	status(0, "running")

	before, err := m.init()
	if err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	_, _ = m.run("systemctl", "reboot") // the connection may go first
	m.waitBooted(t, before)
	serving(30*time.Second, "0")
	t.Logf("reboot → serving: %v", time.Since(began).Round(time.Millisecond))

	began = time.Now()
	m.must(t, stationd, "stop")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stop took %v, want at most 5 s", took)
	} else {
		t.Logf("stop: %v", took.Round(time.Millisecond))
	}
	if result := show("Result"); result != "success" {
		t.Errorf("stop: result %s", result)
	}
	status(3, "stopped")

	// The same on a disk of its own.
	const disk = "/srv/disk 2/data"
	m.must(t, stationd, "install", "--config", config, "--data", disk)
	m.must(t, stationd, "start")
	if out := m.must(t, "find", disk, "-mindepth", "1", "-user", "stationd"); out == "" {
		t.Errorf("nothing was written to %s", disk)
	}

	pid = show("MainPID")
	m.must(t, stationd, "uninstall")
	status(3, "not installed")
	for _, gone := range []string{"/etc/systemd/system/stationd.service", "/etc/systemd/system/multi-user.target.wants/stationd.service", "/proc/" + pid} {
		if _, err := m.run("test", "!", "-e", gone); err != nil {
			t.Errorf("uninstall left %s", gone)
		}
	}
	m.must(t, "test", "-d", "/var/lib/stationd")
	m.must(t, "test", "-d", disk)
	m.must(t, stationd, "uninstall") // nothing to do is no fault
}

var overall = regexp.MustCompile(`Overall exposure level for stationd\.service: ([0-9.]+)`)

// exposure is what systemd-analyze thinks of the unit's walls: 0 is best, 10 worst.
func exposure(t *testing.T, m *machine) float64 {
	t.Helper()
	out := m.must(t, "systemd-analyze", "security", "--no-pager", "stationd")
	found := overall.FindStringSubmatch(out)
	if found == nil {
		t.Fatalf("no figure in\n%s", out)
	}
	score, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return score
}

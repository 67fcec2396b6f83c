//go:build linux

package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// machine is a small computer with a real systemd, on which the daemon is
// installed as on a station's PC: a container whose root is this machine's own,
// seen through an overlay in memory. Nothing needs the network, nothing touches
// this machine, and it all vanishes with the process, however that ends.
type machine struct {
	outer *exec.Cmd
	log   bytes.Buffer
	gone  chan struct{} // closed when the container has ended
}

// bootScript runs as process 1 of its own namespaces. The machine's enabled
// services are left out, so that only systemd's own and ours start. A container
// that reboots makes nspawn end with 133. The lock is there because two
// containers at a time would share one cgroup.
const bootScript = `
set -eu
exec 9>"$2"
flock 9
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
rm -rf "$1"/root/etc/systemd/system/*.wants "$1"/root/etc/systemd/system/stationd.service*
echo 0123456789abcdef0123456789abcdef >"$1/root/etc/machine-id"
while :; do
	code=0
	systemd-nspawn --quiet --directory="$1/root" --boot --register=no --keep-unit --machine=station \
		--private-network --console=pipe --link-journal=no --resolv-conf=off --timezone=off </dev/null || code=$?
	[ $code = 133 ] || exit $code
done`

func boot(t *testing.T) *machine {
	t.Helper()
	if testing.Short() {
		t.Skip("a container is not short")
	}
	if os.Geteuid() != 0 {
		t.Fatal("the container needs root: sudo make test (or go test -short)")
	}
	for _, tool := range []string{"systemd-nspawn", "/lib/systemd/systemd", "unshare", "nsenter", "flock", "setpriv"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing: apt-get install -y --no-install-recommends systemd systemd-sysv systemd-container util-linux", tool)
		}
	}
	m := &machine{gone: make(chan struct{})}
	m.outer = exec.Command("unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc",
		"sh", "-c", bootScript, "sh", t.TempDir(), filepath.Join(os.TempDir(), "stationd-container.lock"))
	m.outer.Stdout, m.outer.Stderr = &m.log, &m.log
	m.outer.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.outer.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(m.gone)
		_ = m.outer.Wait()
	}()
	t.Cleanup(func() {
		state := ""
		if t.Failed() {
			state, _ = m.run("sh", "-c", "systemctl is-system-running; systemctl list-jobs --no-pager; systemctl --failed --no-pager; journalctl --no-pager -n 100 -u stationd")
		}
		_ = m.outer.Process.Kill()
		<-m.gone
		if t.Failed() {
			t.Logf("the container said:\n%s\nits state at the end:\n%s", &m.log, state)
		}
	})
	m.waitBooted(t, 0)
	return m
}

// waitBooted waits until a systemd other than the one before has come up.
func (m *machine) waitBooted(t *testing.T, before int) {
	t.Helper()
	m.within(t, 90*time.Second, "the machine boots", func() bool {
		init, err := m.init()
		if err != nil || init == before {
			return false
		}
		out, _ := m.run("systemctl", "is-system-running")
		state := strings.TrimSpace(out)
		return state == "running" || state == "degraded"
	})
}

// init is the process of the container's systemd: unshare, sh, nspawn, systemd.
func (m *machine) init() (int, error) {
	pid := m.outer.Process.Pid
	for range 3 {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
		if err != nil {
			return 0, err
		}
		fields := strings.Fields(string(children))
		if len(fields) == 0 {
			return 0, errors.New("not booted")
		}
		if pid, err = strconv.Atoi(fields[0]); err != nil {
			return 0, err
		}
	}
	return pid, nil
}

// run runs a command on the machine.
func (m *machine) run(command ...string) (string, error) { return m.feed(nil, command...) }

func (m *machine) feed(stdin io.Reader, command ...string) (string, error) {
	init, err := m.init()
	if err != nil {
		return "", err
	}
	cmd := exec.Command("nsenter", append([]string{"-t", strconv.Itoa(init), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--"}, command...)...)
	cmd.Stdin, cmd.Dir = stdin, "/"
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must runs a command that has to succeed.
func (m *machine) must(t *testing.T, command ...string) string {
	t.Helper()
	out, err := m.run(command...)
	if err != nil {
		t.Fatalf("%q: %v\n%s", command, err, out)
	}
	return out
}

// put writes a file on the machine, with its folder.
func (m *machine) put(t *testing.T, name string, mode os.FileMode, from io.Reader) {
	t.Helper()
	m.must(t, "mkdir", "-p", filepath.Dir(name))
	if out, err := m.feed(from, "tee", "--output-error=exit", name); err != nil {
		t.Fatalf("write %s: %v (%d bytes came back)", name, err, len(out))
	}
	m.must(t, "chmod", fmt.Sprintf("%o", mode), name)
}

// within waits for a condition and tells how long that took.
func (m *machine) within(t *testing.T, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !ok() {
		select {
		case <-m.gone:
			t.Fatalf("%s: the container is gone", what)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Since(began) > limit {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
	return time.Since(began)
}

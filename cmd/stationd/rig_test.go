//go:build linux

package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The rig of the acceptance tests. They start the program as people do, as
// processes, and know nothing of its inside: what they see is its output, its
// exit code and its API (desk_test.go).

// bin is the folder that the program is built into.
var bin string

func TestMain(m *testing.M) {
	var err error
	if bin, err = os.MkdirTemp("", "stationd-bin-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(bin)
	os.Exit(code)
}

// long tells that there are hours to spend; see the Makefile.
func long() bool { return os.Getenv("STATIOND_LONG") != "" }

// program builds the program once for all tests, with the race detector when the
// tests have it.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(bin, "stationd")
	args := []string{"build", "-o", path}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "stationd/cmd/stationd")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
})

// eventually waits until done says nil, or fails with what it said last.
func eventually(t *testing.T, within time.Duration, what string, done func() error) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		err := done()
		if err == nil {
			return time.Since(began)
		}
		if time.Since(began) > within {
			t.Fatalf("%s: not within %v: %v", what, within, err)
		}
		time.Sleep(25 * time.Millisecond)
	}
}

// logbook keeps what processes print, and shows its end when the test fails.
type logbook struct {
	mu   sync.Mutex
	text []byte
}

func openLogbook(t *testing.T, name string) *logbook {
	l := &logbook{}
	t.Cleanup(func() {
		text := l.String()
		for _, bad := range []string{"\npanic:", "\nfatal error:", "WARNING: DATA RACE"} {
			if strings.Contains("\n"+text, bad) {
				t.Errorf("%s: %q in what it printed", name, strings.TrimSpace(bad))
			}
		}
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, text[max(0, len(text)-32<<10):])
		}
	})
	return l
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

func (l *logbook) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.text)
}

// all are the matches of pattern behind a place.
func (l *logbook) all(from int, pattern string) [][]string {
	return regexp.MustCompile(pattern).FindAllStringSubmatch(l.String()[from:], -1)
}

// process is one run of the program, in a process group of its own.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	log   *logbook
	ended chan struct{} // closed when it has ended
}

func launch(t *testing.T, log *logbook, args ...string) *process {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(path, args...), log: log, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Dir = t.TempDir()
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %q: %v", args, err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is in ProcessState
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends it as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// stop asks it to end, and tells its exit code and how long it took.
func (p *process) stop(sig os.Signal, within time.Duration) (code int, took time.Duration) {
	p.t.Helper()
	began := time.Now()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("%v to a process that has ended (%v)", sig, p.cmd.ProcessState)
	}
	select {
	case <-p.ended:
	case <-time.After(within):
		p.stacks()
		p.t.Fatalf("still running %v after %v", within, sig)
	}
	return p.cmd.ProcessState.ExitCode(), time.Since(began)
}

// stacks ends a process that hangs; what its goroutines were doing is in its log
// then.
func (p *process) stacks() {
	_ = p.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		p.kill()
	}
}

// leftovers tells whether a process of its group lives on after it has ended.
func (p *process) leftovers() bool {
	return !errors.Is(syscall.Kill(-p.cmd.Process.Pid, 0), syscall.ESRCH)
}

// freePort is a port that stays ours over restarts: it is not one that the
// system gives to those who ask for any.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 11_000+rand.IntN(20_000))
		tcp, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		udp, err := net.ListenPacket("udp", address)
		_ = tcp.Close()
		if err != nil {
			continue
		}
		_ = udp.Close()
		return address
	}
	t.Fatal("no free port")
	return ""
}

// node is a station or a centre. It is started, killed and started again on the
// same configuration and data.
type node struct {
	*desk
	*process // the latest run

	t            *testing.T
	id           string
	config, data string
	log          *logbook
}

// newNode writes a node's configuration; settings are YAML beyond the ID and the
// console's address.
func newNode(t *testing.T, id, data, settings string) *node {
	t.Helper()
	console := freePort(t)
	n := &node{t: t, id: id, data: data, config: filepath.Join(t.TempDir(), id+".yaml"), log: openLogbook(t, id)}
	n.desk = newDesk(t, "http://"+console)
	text := fmt.Sprintf("node: %s\nconsole: {listen: %q}\n%s", id, console, settings)
	if err := os.WriteFile(n.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return n
}

// start starts the node and returns when it takes alarms in.
func (n *node) start() time.Duration {
	n.t.Helper()
	n.launch()
	return n.await(30 * time.Second)
}

func (n *node) launch() {
	n.t.Helper()
	n.process = launch(n.t, n.log, "run", "--config", n.config, "--data", n.data)
}

func (n *node) await(within time.Duration) time.Duration {
	n.t.Helper()
	began := time.Now()
	return eventually(n.t, within+time.Second, n.id+" is up", func() error {
		if !n.running() {
			n.t.Fatalf("%s ended: %v", n.id, n.cmd.ProcessState)
		}
		if time.Since(began) > within {
			n.stacks()
		}
		status, body, err := n.do(http.MethodGet, "/readyz", nil, nil)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d: %s", status, bytes.TrimSpace(body))
		}
		return err
	})
}

// claim makes the node's first administrator, with the code that it prints.
func (n *node) claim() {
	n.t.Helper()
	var code string
	eventually(n.t, 10*time.Second, n.id+" prints its claim code", func() error {
		found := n.log.all(0, `/#claim=(\w+)" code=(\w+)`)
		if len(found) == 0 || found[0][1] != found[0][2] {
			return errors.New("no link with a code")
		}
		code = found[0][1]
		return nil
	})
	n.must(http.MethodPost, "/api/v1/claim", map[string]string{"code": code, "account": "officer", "name": "信息员甲", "password": "correct horse battery"}, nil)
}

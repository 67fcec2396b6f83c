package devicestest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// TB is what is needed of a testing.TB, so that the programs which simulate
// sensors do not carry the testing package with them.
type TB interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	TempDir() string
	Cleanup(f func())
}

// Mosquitto is a real Mosquitto, the broker that stations most often meet.
type Mosquitto struct {
	Addr string // host:port on loopback

	t      TB
	binary string
	conf   string
	cmd    *exec.Cmd
	dead   chan struct{} // closed when the process has ended
}

// StartMosquitto runs Mosquitto on a free port for the length of the test. It
// keeps what it is given across Stop and Start. Lines are added to its
// configuration.
func StartMosquitto(t TB, lines ...string) *Mosquitto {
	t.Helper()
	port, dir := FreePort(t), t.TempDir()
	conf := []string{
		"listener " + port + " 127.0.0.1",
		"persistence true",
		"persistence_location " + dir + "/",
		"autosave_on_changes true",
		"autosave_interval 1",
		"max_queued_messages 0",
	}
	if !strings.Contains(strings.Join(lines, "\n"), "allow_anonymous") {
		conf = append(conf, "allow_anonymous true")
	}
	return StartMosquittoWith(t, strings.Join(append(conf, lines...), "\n"), net.JoinHostPort("127.0.0.1", port))
}

// StartMosquittoWith runs Mosquitto with a whole configuration, in which it listens
// at addr, for the length of the test.
func StartMosquittoWith(t TB, conf, addr string) *Mosquitto {
	t.Helper()
	m := &Mosquitto{t: t, Addr: addr, conf: filepath.Join(t.TempDir(), "mosquitto.conf")}
	m.binary = find("mosquitto", "/usr/sbin/mosquitto")
	if m.binary == "" {
		t.Fatal("mosquitto is missing: apt-get install -y mosquitto mosquitto-clients")
	}
	conf += "\nlog_dest stderr\n"
	if os.Geteuid() == 0 { // it would give up being root and then own nothing here
		conf += "user root\n"
	}
	if err := os.WriteFile(m.conf, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	m.Start()
	t.Cleanup(m.Stop)
	return m
}

// Pid is the process that runs now.
func (m *Mosquitto) Pid() int { return m.cmd.Process.Pid }

// URL is the broker's address.
func (m *Mosquitto) URL() string { return "mqtt://" + m.Addr }

// Start starts it, again after Stop.
func (m *Mosquitto) Start() {
	m.t.Helper()
	var out strings.Builder
	m.cmd = exec.Command(m.binary, "-c", m.conf)
	m.cmd.Stderr = &out
	if err := m.cmd.Start(); err != nil {
		m.t.Fatalf("start mosquitto: %v", err)
	}
	m.dead = make(chan struct{})
	go func(cmd *exec.Cmd, dead chan struct{}) {
		_ = cmd.Wait()
		close(dead)
	}(m.cmd, m.dead)
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := net.DialTimeout("tcp", m.Addr, time.Second)
		if err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-m.dead:
			m.t.Fatalf("mosquitto ended: %s", out.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			m.t.Fatal("mosquitto does not listen")
		}
	}
}

// Stop stops it as a service manager does; it saves what it holds.
func (m *Mosquitto) Stop() {
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Signal(os.Interrupt)
	select {
	case <-m.dead:
	case <-time.After(5 * time.Second):
		_ = m.cmd.Process.Kill()
		<-m.dead
	}
	m.cmd = nil
}

// Publish publishes with mosquitto_pub at QoS 1, in a process of its own.
func (m *Mosquitto) Publish(topic, body string, flags ...string) {
	m.t.Helper()
	pub := find("mosquitto_pub", "/usr/bin/mosquitto_pub")
	if pub == "" {
		m.t.Fatal("mosquitto_pub is missing: apt-get install -y mosquitto mosquitto-clients")
	}
	host, port, _ := net.SplitHostPort(m.Addr)
	args := append([]string{"-h", host, "-p", port, "-q", "1", "-t", topic, "-m", body}, flags...)
	if out, err := exec.Command(pub, args...).CombinedOutput(); err != nil {
		m.t.Fatal(fmt.Errorf("mosquitto_pub: %w: %s", err, out))
	}
}

func find(name, usual string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	if _, err := os.Stat(usual); err == nil {
		return usual
	}
	return ""
}

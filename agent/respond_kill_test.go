package agent_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/station"
)

// nightEnv names what a child of TestNightOfKills works on: directory and clock.
const nightEnv = "STATIOND_TEST_NIGHT"

// A night in which the process is killed again and again, at any moment and after
// every step: each contact is told of the alarm once, and the parent has it at
// the end.
func TestNightOfKills(t *testing.T) {
	dir, out := t.TempDir(), &outbox{}
	var alarm string
	at := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	t.Run("the evening", func(t *testing.T) {
		r := respondingOn(t, dir, out)
		r.clock.at = at
		r.contacts()
		r.addSensor("a", station.ClassSmoke)
		r.report("a", station.KindSmoke, true)
		alarm = r.live()[0].ID
	})
	sent := filepath.Join(dir, "sent.txt")
	lines := func() []string {
		b, _ := os.ReadFile(sent)
		return strings.Fields(string(b))
	}
	// child runs the agent with its clock at a time, until kill says so.
	child := func(at time.Time, kill func() bool) {
		t.Helper()
		cmd := exec.Command(os.Args[0], "-test.run=^TestNightChild$")
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d:%s", nightEnv, at.Unix(), dir))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		until(t, "the child has done its part", kill)
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait() // it was killed
	}
	contacts := func() string {
		told := map[string]map[string]bool{}
		for _, l := range lines() {
			to, key, _ := strings.Cut(l, ":")
			if told[to] == nil {
				told[to] = map[string]bool{}
			}
			told[to][key] = true
		}
		return fmt.Sprint(len(told["13800000001"]), len(told["13800000002"]))
	}
	for i := range 4 { // killed while it starts, or soon after
		wait := time.Now().Add(time.Duration(i*100) * time.Millisecond)
		child(at.Add(29*time.Second), func() bool { return time.Now().After(wait) })
	}
	if got := contacts(); got != "0 0" {
		t.Fatalf("told too early: %s", got)
	}
	at = at.Add(31 * time.Second)
	child(at, func() bool { return contacts() == "1 0" })
	at = at.Add(119 * time.Second)
	wait := time.Now().Add(2 * time.Second)
	child(at, func() bool { return time.Now().After(wait) })
	at = at.Add(2 * time.Second)
	child(at, func() bool { return contacts() == "1 1" })
	at = at.Add(121 * time.Second)
	t.Run("the morning", func(t *testing.T) {
		r := respondingOn(t, dir, out)
		r.clock.at = at
		r.step()
		if resp := r.response(alarm); !resp.Parent || resp.Step != 2 || len(resp.Tellings) != 3 {
			t.Errorf("%s %+v", told(resp), resp)
		}
	})
	if got := contacts(); got != "1 1" {
		t.Errorf("steps were repeated: %s", lines())
	}
}

// TestNightChild is the child's part; by itself it is nothing.
func TestNightChild(t *testing.T) {
	unix, dir, ok := strings.Cut(os.Getenv(nightEnv), ":")
	if !ok {
		t.Skip("only as a child of TestNightOfKills")
	}
	seconds, err := strconv.ParseInt(unix, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	r := respondingOn(t, dir, &outbox{}, func(_ *agent.Config, d *agent.Deps) {
		d.Deliver = func(_ context.Context, _ station.ChannelLink, m station.Message) (station.Delivery, error) {
			f, err := os.OpenFile(filepath.Join(dir, "sent.txt"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				return station.Delivery{}, err
			}
			defer f.Close()
			_, err = fmt.Fprintf(f, "%s:%s\n", m.To, m.Key)
			return station.Delivery{State: "sent"}, err
		}
	})
	r.clock.at = time.Unix(seconds, 0)
	r.run()
	select {} // until it is killed
}

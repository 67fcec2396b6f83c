//go:build linux

package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"stationd/agent/station"
	"stationd/agent/store"
)

// TestDrain is the month without a line: a backlog of alarms and state, readings to
// twice their cap, then the line returns with 50 Mbit/s, the station in a network
// namespace of its own behind it. All alarms and all state come, once and in order;
// the readings that do not are told of, to the last one; and a new alarm that is
// raised while the backlog runs is at the centre long before its end.
//
// In its long form there are a million events, and rate, delay and memory are held
// to their limits; the short form counts and compares.
func TestDrain(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("a network namespace needs root: sudo make test (or go test -short)")
	}
	events, bulkCap, probes := 30_000, 5_000, 5
	if long() {
		events, bulkCap, probes = 1_000_000, 500_000, 100
	}
	line := newShapedLine(t, "50mbit")
	centrePort := "18830"
	centre := newNode(t, "town", filepath.Join(t.TempDir(), "centre"), fmt.Sprintf(`
log: {level: warn}
devices: {broker: {listen: ""}}
video: {peer: {udp_listen: "127.0.0.1:0", tcp_listen: "127.0.0.1:0"}}
centre: {listen: "%s:%s", hosts: [%q]}
record: {min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
`, line.centre, centrePort, line.centre))
	broker := freePort(t)
	village := newNode(t, "village-1", filepath.Join(t.TempDir(), "station"), fmt.Sprintf(`
log: {level: warn}
devices: {broker: {listen: %q}}
video: {peer: {udp_listen: "127.0.0.1:0", tcp_listen: "127.0.0.1:0"}}
record: {min_free: 512MiB, clips_min_free: 128MiB}
store: {bulk_cap: %d, space: {low: 512MiB}}
uplink: {url: "mqtts://%s:%s", retry_max: 1s}
`, broker, bulkCap, line.centre, centrePort))
	// The station's loopback is its namespace's.
	village.http.Transport = &http.Transport{DialContext: line.dial}
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, "issue", "--data", centre.data, "--out", filepath.Join(village.data, "uplink"), village.id).CombinedOutput(); err != nil {
		t.Fatalf("issue: %v\n%s", err, out)
	}
	written := fillJournal(t, filepath.Join(village.data, "store"), village.id, events, 2*bulkCap)

	centre.start()
	centre.claim()
	line.set(t, false)
	village.process = line.launch(t, village)
	village.await(60 * time.Second)
	village.claim()
	var account station.DeviceCredential
	village.put("/api/v1/devices/probes", nil, &account)
	for i := range probes {
		village.put(fmt.Sprintf("/api/v1/sensors/smoke-%d", i), station.Sensor{
			Name: fmt.Sprint("smoke-", i), Class: station.ClassSmoke,
			Source: station.SensorSource{Broker: "embedded", Family: "json", Topic: fmt.Sprint("devices/probes/", i), Fields: map[string]string{"smoke": "on", "seq": "seq"}},
		}, nil)
	}
	rss := func() int {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", village.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(string(status)) {
			if v, ok := strings.CutPrefix(l, "VmHWM:"); ok {
				n, _ := strconv.Atoi(strings.Fields(v)[0])
				return n >> 10
			}
		}
		return 0
	}
	left := func(lane station.Lane) (n int) {
		s := village.status()
		if s.Uplink == nil {
			t.Fatal("no line in the status")
		}
		for _, l := range s.Uplink.Lanes {
			if l.Lane == lane {
				n = l.Backlog
			}
		}
		return n
	}

	line.set(t, true)
	// The drain is measured where it arrives, between a tenth and all of it.
	arrived := func() int { return int(centre.journalHead(t)) }
	eventually(t, 2*time.Minute, "the backlog runs", func() error {
		if n := arrived(); n < events/20 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	began, first := time.Now(), arrived()
	carried := line.bytes(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	feed := make(chan *publication)
	p := &publisher{address: broker, client: "probe", user: account.Username, password: account.Password, window: 1, dial: line.dial}
	published := make(chan error, 1)
	go func() { published <- p.run(ctx, feed) }()
	var took []time.Duration
	overtook := 0
	for i := range probes {
		var acked atomic.Bool
		at := time.Now()
		feed <- &publication{topic: fmt.Sprint("devices/probes/", i), payload: []byte(`{"on":true,"seq":1}`), acked: func() { acked.Store(true) }}
		eventually(t, 30*time.Second, "the new alarm is at the centre", func() error {
			for _, a := range centre.live() {
				if strings.HasSuffix(a.Sensor, fmt.Sprint("smoke-", i)) {
					return nil
				}
			}
			return fmt.Errorf("acknowledged to the sensor: %v", acked.Load())
		})
		took = append(took, time.Since(at))
		if left(station.LaneNormal) > 0 {
			overtook++
		}
	}
	close(feed)
	if err := <-published; err != nil {
		t.Error(err)
	}
	var took2 time.Duration
	eventually(t, 5*time.Minute, "urgent and normal are at the centre", func() error {
		if n := left(station.LaneUrgent) + left(station.LaneNormal); n > 0 {
			return fmt.Errorf("%d wait", n)
		}
		took2 = time.Since(began)
		return nil
	})
	rate := float64(arrived()-first) / took2.Seconds()
	bits := float64(line.bytes(t)-carried) * 8 / took2.Seconds()
	eventually(t, 5*time.Minute, "the readings too", func() error {
		if n := left(station.LaneBulk); n > 0 {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	peak := rss()
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	t.Logf("drained at %.0f events/s, %.1f Mbit/s of 50; %d new alarms during it, p50 %v p99 %v; the station's memory at most %d MB",
		rate, bits/1e6, len(took), took[len(took)/2], p99, peak)
	if overtook == 0 {
		t.Error("no new alarm came before the backlog's end")
	}
	if long() {
		if rate < 20_000 && bits < 40e6 {
			t.Errorf("neither 20,000 events/s nor 80 %% of the line")
		}
		if p99 > 300*time.Millisecond || peak >= 300 {
			t.Errorf("p99 %v, memory %d MB", p99, peak)
		}
	}
	village.stop(syscall.SIGTERM, 20*time.Second)
	centre.stop(syscall.SIGTERM, 20*time.Second)
	compareDrained(t, filepath.Join(centre.data, "store"), village.id, written)
}

// backlog is what was written: for each subject its events' ids in order, and how
// many readings.
type backlog struct {
	bySubject map[string][]string
	readings  int
}

// fillJournal writes what a station without a line has to tell: alarms from their
// raising to their clearing, in the urgent lane and in the normal one, and readings.
func fillJournal(t *testing.T, dir, node string, events, readings int) backlog {
	t.Helper()
	cfg := store.DefaultConfig()
	cfg.Dir, cfg.Node = dir, station.NodeID(node)
	cfg.BulkCap = uint64(readings)
	cfg.Space.Low = 512 << 20
	s, err := store.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	written := backlog{bySubject: map[string][]string{}, readings: readings}
	kinds := []string{station.EventAlarmRaised, station.EventAlarmChanged, station.EventAlarmChanged, station.EventAlarmReturned, station.EventAlarmCleared}
	at := time.Now().Add(-29 * 24 * time.Hour)
	bulkPer := max(readings/(events/500), 1)
	for done, sent := 0, 0; done < events || sent < readings; {
		err := s.Update(t.Context(), station.LaneUrgent, func(tx *store.Tx) error {
			for i := 0; i < 500 && done < events; i++ {
				n := done / len(kinds)
				lane := station.LaneNormal
				if n%3 == 0 {
					lane = station.LaneUrgent
				}
				id := fmt.Sprintf("019aee5e-0000-7000-8000-%012d", n)
				data, err := json.Marshal(station.Alarm{
					ID: id, Node: station.NodeID(node), Kind: station.KindSmoke, Severity: station.SeverityCritical, State: station.StateCleared,
					Sensor: fmt.Sprint("smoke-", n%2000), Name: "烟感 12", Place: "3号楼 12 层 走廊", RaisedAt: at, LastAt: at, Count: 1 + done%len(kinds), ClearedAt: at,
					Values: map[string]station.Value{"smoke": true, "battery": 88.0},
				})
				if err != nil {
					return err
				}
				ev, err := tx.Append(station.Event{Type: kinds[done%len(kinds)], Subject: "alarm/" + id, Lane: lane, Time: at, Data: data})
				if err != nil {
					return err
				}
				written.bySubject[ev.Subject] = append(written.bySubject[ev.Subject], ev.ID)
				done++
				at = at.Add(2 * time.Second)
			}
			for i := 0; i < bulkPer && sent < readings; i++ {
				sensor := fmt.Sprint("meter-", sent%2000)
				data, err := json.Marshal(station.Report{Sensor: sensor, Received: at, Values: map[string]station.Value{"temperature": 21.5, "humidity": 48.0}})
				if err != nil {
					return err
				}
				if _, err := tx.Append(station.Event{Type: station.EventReading, Subject: "sensor/" + sensor, Lane: station.LaneBulk, Time: at, Data: data}); err != nil {
					return err
				}
				sent++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return written
}

// compareDrained reads the centre's journal: of each subject every event, once and
// in order; and of the readings those that came and those that were told to be given
// up are all.
func compareDrained(t *testing.T, dir, node string, written backlog) {
	t.Helper()
	cfg := store.DefaultConfig()
	cfg.Dir = dir
	cfg.Space.Low = 512 << 20
	s, err := store.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, readings, dropped := map[string][]string{}, 0, station.Dropped{}
	for after := uint64(0); ; {
		page, err := s.Read(after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, ev := range page {
			after = ev.Seq
			if ev.Origin.Node != station.NodeID(node) {
				continue
			}
			switch ev.Type {
			case station.EventReading:
				readings++
			case station.EventReadingsDropped:
				var d station.Dropped
				if err := json.Unmarshal(ev.Data, &d); err != nil {
					t.Fatal(err)
				}
				dropped = dropped.Plus(d)
			default:
				if _, ours := written.bySubject[ev.Subject]; ours {
					got[ev.Subject] = append(got[ev.Subject], ev.ID)
				}
			}
		}
	}
	bad := 0
	for subject, want := range written.bySubject {
		if !slices.Equal(got[subject], want) {
			if bad++; bad < 5 {
				t.Errorf("%s: %d events, want %d, in their order", subject, len(got[subject]), len(want))
			}
		}
	}
	if bad > 0 {
		t.Errorf("%d of %d subjects are not what was written", bad, len(written.bySubject))
	}
	if readings+int(dropped.Count) < written.readings {
		t.Errorf("%d readings came, %d were told to be given up, %d were written", readings, dropped.Count, written.readings)
	}
	t.Logf("%d subjects whole; %d readings came, %d were told to be given up (%s), of %d", len(written.bySubject), readings, dropped.Count, dropped.Targets, written.readings)
}

// shapedLine is a network namespace for a station, and the line between it and us.
type shapedLine struct {
	name, device    string
	centre, station string // the addresses of the two ends
}

func newShapedLine(t *testing.T, rate string) *shapedLine {
	t.Helper()
	id := os.Getpid() % 10000
	l := &shapedLine{name: fmt.Sprint("stationd-", id), device: fmt.Sprint("sd", id), centre: fmt.Sprintf("10.211.%d.1", id%250), station: fmt.Sprintf("10.211.%d.2", id%250)}
	inside := l.device + "i"
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("ip", "netns", "add", l.name)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", l.name).Run() })
	run("ip", "link", "add", l.device, "type", "veth", "peer", "name", inside, "netns", l.name)
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", l.device).Run() })
	run("ip", "addr", "add", l.centre+"/30", "dev", l.device)
	run("ip", "link", "set", l.device, "up")
	in := []string{"ip", "-n", l.name}
	run(append(in, "addr", "add", l.station+"/30", "dev", inside)...)
	run(append(in, "link", "set", inside, "up")...)
	run(append(in, "link", "set", "lo", "up")...)
	run("tc", "qdisc", "add", "dev", l.device, "root", "tbf", "rate", rate, "burst", "64kb", "latency", "50ms")
	run("ip", "netns", "exec", l.name, "tc", "qdisc", "add", "dev", inside, "root", "tbf", "rate", rate, "burst", "64kb", "latency", "50ms")
	return l
}

// set connects the line or cuts it.
func (l *shapedLine) set(t *testing.T, up bool) {
	t.Helper()
	state := "down"
	if up {
		state = "up"
	}
	if out, err := exec.Command("ip", "link", "set", l.device, state).CombinedOutput(); err != nil {
		t.Fatalf("line %s: %v\n%s", state, err, out)
	}
}

// dial dials from inside the namespace: a socket stays where it was made.
func (l *shapedLine) dial(ctx context.Context, network, address string) (net.Conn, error) {
	type dialled struct {
		conn net.Conn
		err  error
	}
	done := make(chan dialled, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		ns, err := os.Open("/run/netns/" + l.name)
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			_ = ns.Close()
		}
		var c net.Conn
		if err == nil {
			c, err = (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, network, address)
		}
		done <- dialled{c, err}
	}()
	d := <-done
	return d.conn, d.err
}

// bytes is what has come from the station.
func (l *shapedLine) bytes(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/sys/class/net/" + l.device + "/statistics/rx_bytes")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// launch starts a node in the namespace; nsenter becomes the program.
func (l *shapedLine) launch(t *testing.T, n *node) *process {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command("nsenter", "--net=/run/netns/"+l.name, path, "run", "--config", n.config, "--data", n.data), log: n.log, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = n.log, n.log, t.TempDir()
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(p.kill)
	return p
}

// journalHead is the newest sequence number of a node, by its metrics.
func (d *desk) journalHead(t *testing.T) float64 {
	t.Helper()
	_, text, err := d.do("GET", "/metrics", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(l, "stationd_journal_head "); ok {
			n, _ := strconv.ParseFloat(strings.TrimSpace(v), 64)
			return n
		}
	}
	t.Fatalf("no head in the metrics: %.200s", text)
	return 0
}

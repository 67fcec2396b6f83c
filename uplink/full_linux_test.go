package uplink_test

import (
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"stationd/uplink/budget"
)

// insideEnv tells the test that it runs in a network of its own.
const insideEnv = "STATIOND_IN_NAMESPACE"

// TestSaturatedLineInANamespace is TestSaturatedLine at the real rate, over the
// kernel's own TCP and UDP: in a network of its own whose one interface is shaped to
// 50 Mbit/s with a queue of 300 ms, both ways together.
func TestSaturatedLineInANamespace(t *testing.T) {
	switch {
	case os.Getenv(insideEnv) != "":
		const bought = 50 * budget.Mbit
		f := fill(t, newKernelLine(t), bought, budget.Config{Up: bought, Down: bought, Reserve: 10 * budget.Mbit}, 300)
		p50, p99 := f.took[len(f.took)/2], f.took[len(f.took)*99/100]
		busiest := f.line.Busiest(5 * time.Second)
		t.Logf("alarms p50 %s p99 %s; the conference %d %% arrived, %s late; busiest five seconds %d kbit/s of %d; clips %d MB",
			p50, p99, f.shared, f.late, busiest/1000, bought/1000, f.clips>>20)
		if p99 > 300*time.Millisecond {
			t.Errorf("an alarm takes %s", p99)
		}
		if f.shared < 99 {
			t.Errorf("%d %% of the conference arrived", f.shared)
		}
		if busiest > int(bought)*105/100 {
			t.Errorf("the busiest five seconds have %d kbit/s", busiest/1000)
		}
	case os.Getenv("STATIOND_LONG") == "":
		t.Log("TestSaturatedLine is the short form; this one is part of make long")
	case os.Getuid() != 0:
		t.Log("a network of its own needs root")
	default:
		cmd := exec.CommandContext(t.Context(), "unshare", "--net", "sh", "-ec", `
			ip link set lo mtu 1500 up
			tc qdisc add dev lo root tbf rate 50mbit burst 16kb latency 300ms
			exec "$0" -test.run '^TestSaturatedLineInANamespace$' -test.v`, os.Args[0])
		cmd.Env = append(os.Environ(), insideEnv+"=1")
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// kernelLine is the shaped interface.
type kernelLine struct {
	conn *net.UDPConn
	to   *net.UDPAddr
	wg   sync.WaitGroup
	stop chan struct{}

	mu      sync.Mutex
	seq     uint64
	waiting map[uint64]*burst
	samples []uint64 // bytes that the interface has sent, each tenth of a second
}

type burst struct {
	left    int
	arrived func()
}

const sampleEvery = 100 * time.Millisecond

func newKernelLine(t *testing.T) *kernelLine {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadBuffer(4 << 20)
	l := &kernelLine{conn: conn, to: conn.LocalAddr().(*net.UDPAddr), stop: make(chan struct{}), waiting: map[uint64]*burst{}}
	l.wg.Go(l.receive)
	l.wg.Go(l.sample)
	t.Cleanup(func() {
		close(l.stop)
		_ = conn.Close()
		l.wg.Wait()
	})
	return l
}

func (l *kernelLine) receive() {
	buf := make([]byte, 2000)
	for {
		n, _, err := l.conn.ReadFromUDP(buf)
		if err != nil {
			return
		}
		if n < 8 {
			continue
		}
		seq := binary.BigEndian.Uint64(buf)
		l.mu.Lock()
		b := l.waiting[seq]
		if b != nil {
			if b.left--; b.left == 0 {
				delete(l.waiting, seq)
			} else {
				b = nil
			}
		}
		l.mu.Unlock()
		if b != nil {
			b.arrived()
		}
	}
}

func (l *kernelLine) sample() {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		raw, err := os.ReadFile("/proc/net/dev")
		if err != nil {
			continue
		}
		for _, row := range strings.Split(string(raw), "\n") {
			name, rest, _ := strings.Cut(strings.TrimSpace(row), ":")
			if fields := strings.Fields(rest); name == "lo" && len(fields) > 8 {
				n, _ := strconv.ParseUint(fields[8], 10, 64)
				l.mu.Lock()
				l.samples = append(l.samples, n)
				l.mu.Unlock()
			}
		}
	}
}

func (l *kernelLine) Proxy(_ testing.TB, to string) string { return to }

func (l *kernelLine) Send(bytes int, arrived func()) int {
	const datagram = 1200
	n := (bytes + datagram - 1) / datagram
	l.mu.Lock()
	l.seq++
	seq := l.seq
	l.waiting[seq] = &burst{n, arrived}
	l.mu.Unlock()
	buf := make([]byte, datagram)
	binary.BigEndian.PutUint64(buf, seq)
	for i := range n {
		if _, err := l.conn.WriteToUDP(buf[:max(8, min(datagram, bytes-i*datagram))], l.to); err != nil {
			return i * datagram
		}
	}
	return bytes
}

func (l *kernelLine) Busiest(span time.Duration) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, most := int(span/sampleEvery), uint64(0)
	for i := k; i < len(l.samples); i++ {
		most = max(most, l.samples[i]-l.samples[i-k])
	}
	return int(float64(most) * 8 / span.Seconds())
}

package peer_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// udpRelay stands between a viewer and the hub, loses packets on the way to the
// viewer, and delays them without changing their order.
type udpRelay struct {
	front *net.UDPConn // to the viewer
	back  *net.UDPConn // to the hub
	loss  atomic.Int64 // of a thousand
	dead  atomic.Bool
	up    atomic.Bool // it loses on the way to the hub instead
	delay time.Duration

	toViewer, lost atomic.Int64
	viewer         atomic.Pointer[netip.AddrPort]
}

func relayUDP(t testing.TB, hub netip.AddrPort, delay time.Duration) *udpRelay {
	t.Helper()
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	back, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(hub))
	if err != nil {
		t.Fatal(err)
	}
	_ = front.SetReadBuffer(4 << 20)
	_ = back.SetReadBuffer(4 << 20)
	r := &udpRelay{front: front, back: back, delay: delay}
	var work sync.WaitGroup
	work.Go(func() {
		rnd := rand.New(rand.NewPCG(3, 4))
		r.pass(front, func(from netip.AddrPort) { r.viewer.Store(&from) }, func(b []byte) {
			if r.up.Load() && rnd.Int64N(1000) < r.loss.Load() {
				r.lost.Add(1)
				return
			}
			_, _ = back.Write(b)
		})
	})
	work.Go(func() {
		rnd := rand.New(rand.NewPCG(1, 2))
		r.pass(back, nil, func(b []byte) {
			r.toViewer.Add(1)
			if !r.up.Load() && rnd.Int64N(1000) < r.loss.Load() {
				r.lost.Add(1)
				return
			}
			if v := r.viewer.Load(); v != nil {
				_, _ = front.WriteToUDPAddrPort(b, *v)
			}
		})
	})
	t.Cleanup(func() {
		_ = front.Close()
		_ = back.Close()
		work.Wait()
	})
	return r
}

// pass reads packets and hands them on after the delay, in order.
func (r *udpRelay) pass(from *net.UDPConn, seen func(netip.AddrPort), to func([]byte)) {
	type packet struct {
		b   []byte
		due time.Time
	}
	queue := make(chan packet, 4096)
	var work sync.WaitGroup
	work.Go(func() {
		for p := range queue {
			time.Sleep(time.Until(p.due))
			if !r.dead.Load() {
				to(p.b)
			}
		}
	})
	buf := make([]byte, 2048)
	for {
		n, a, err := from.ReadFromUDPAddrPort(buf)
		if err != nil {
			break
		}
		if seen != nil {
			seen(a)
		}
		queue <- packet{append([]byte(nil), buf[:n]...), time.Now().Add(r.delay)}
	}
	close(queue)
	work.Wait()
}

func (r *udpRelay) port() int { return r.front.LocalAddr().(*net.UDPAddr).Port }

// via leads the candidates of an answer over another port.
func via(proto string, port int) func(string) string {
	re := regexp.MustCompile(`(?m)^(a=candidate:\S+ 1 ` + proto + ` \d+ \S+) \d+ `)
	others := regexp.MustCompile(`(?m)^a=candidate:\S+ 1 ` + map[string]string{"udp": "tcp", "tcp": "udp"}[proto] + ` .*\n`)
	return func(sdp string) string {
		return re.ReplaceAllString(others.ReplaceAllString(sdp, ""), fmt.Sprintf("${1} %d ", port))
	}
}

// tcpRelay stands between a viewer and the hub's TCP port, and can stop reading.
type tcpRelay struct {
	l    net.Listener
	mu   sync.Mutex
	hold sync.Mutex // locked while the viewer is stuck
}

func relayTCP(t testing.TB, hub netip.AddrPort) *tcpRelay {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &tcpRelay{l: l}
	var work sync.WaitGroup
	var conns []net.Conn
	work.Go(func() {
		for {
			front, err := l.Accept()
			if err != nil {
				return
			}
			back, err := net.Dial("tcp4", hub.String())
			if err != nil {
				_ = front.Close()
				continue
			}
			_ = back.(*net.TCPConn).SetReadBuffer(32 << 10)
			_ = front.(*net.TCPConn).SetWriteBuffer(32 << 10)
			r.mu.Lock()
			conns = append(conns, front, back)
			r.mu.Unlock()
			work.Go(func() { _, _ = io.Copy(back, front) })
			work.Go(func() {
				buf := make([]byte, 4096)
				for {
					r.hold.Lock()
					n, err := back.Read(buf)
					r.hold.Unlock()
					if err != nil {
						return
					}
					if _, err := front.Write(buf[:n]); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		r.mu.Unlock()
		work.Wait()
	})
	return r
}

func (r *tcpRelay) port() int { return r.l.Addr().(*net.TCPAddr).Port }

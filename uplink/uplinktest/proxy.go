package uplinktest

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands on a TCP line and cuts it.
type Proxy struct {
	ln net.Listener
	to string
	wg sync.WaitGroup

	// Budget is how many more bytes go up before the connection that carries
	// them is cut; each cut asks Next for the budget after it. Negative means
	// that nothing is cut any more.
	budget atomic.Int64
	next   func() int64

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// NewProxy listens on a port of its own and passes on to an address. next gives
// the number of bytes until the next cut.
func NewProxy(t testing.TB, to string, next func() int64) *Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{ln: ln, to: to, next: next, conns: map[net.Conn]bool{}}
	p.budget.Store(next())
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = ln.Close()
		p.mu.Lock()
		for c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

// Addr is where it listens.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

func (p *Proxy) accept() {
	for {
		down, err := p.ln.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = down.Close()
			continue
		}
		p.mu.Lock()
		p.conns[down], p.conns[up] = true, true
		p.mu.Unlock()
		shut := func() { _ = down.Close(); _ = up.Close() }
		p.wg.Go(func() { defer shut(); _, _ = io.Copy(down, up) })
		p.wg.Go(func() {
			defer shut()
			buf := make([]byte, 4096)
			for {
				n, err := down.Read(buf)
				if b := p.budget.Load(); b >= 0 {
					if int64(n) >= b {
						_, _ = up.Write(buf[:b])
						p.budget.Store(p.next())
						return
					}
					p.budget.Add(-int64(n))
				}
				if _, werr := up.Write(buf[:n]); err != nil || werr != nil {
					return
				}
			}
		})
	}
}

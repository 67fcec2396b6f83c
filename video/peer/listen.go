package peer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v4"
)

// The two sockets of a Hub. Both are wrapped, for three reasons: to count, to
// outlive errors that do not matter, and to show pion one local address.
// Showing one address is enough because an ICE-lite agent never chooses among
// its own addresses; which ones the peers are told is decided in candidates.go.
// Without it every session would start a reader per network interface.

// socketBuffer is asked of the kernel for the UDP port: at the usual 208 KiB,
// ten viewers lose packets whenever key pictures coincide.
const socketBuffer = 4 << 20

// listenAddr parses host:port, where the host is an address or empty. Empty is
// every IPv4 address. Of IPv6 only a definite address is taken, and not the
// loopback: pion sees none of the others.
func listenAddr(s string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	switch host {
	case "":
		return netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(n)), nil
	case "localhost":
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if addr = addr.Unmap(); addr.Is6() && (addr.IsUnspecified() || addr.IsLoopback() || addr.IsLinkLocalUnicast()) {
		return netip.AddrPort{}, fmt.Errorf("%v is no address for peers", addr)
	}
	return netip.AddrPortFrom(addr, uint16(n)), nil
}

// shown is the one local address that pion sees of a socket.
func shown(bound netip.Addr) netip.Addr {
	if bound.IsUnspecified() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return bound.Unmap()
}

func network(proto string, a netip.Addr) string {
	if a.Is6() {
		return proto + "6"
	}
	return proto + "4"
}

// udpPort is the UDP socket.
type udpPort struct {
	*net.UDPConn
	bound   netip.AddrPort
	sent    atomic.Uint64 // packets
	refused atomic.Uint64 // packets that the kernel did not take

	mu      sync.RWMutex
	batches map[uint32]*batch // by SSRC
}

func listenUDP(addr string) (*udpPort, error) {
	want, err := listenAddr(addr)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP(network("udp", want.Addr()), net.UDPAddrFromAddrPort(want))
	if err != nil {
		return nil, err
	}
	// Best effort: the kernel may grant less, and says so nowhere.
	_ = conn.SetReadBuffer(socketBuffer)
	_ = conn.SetWriteBuffer(socketBuffer)
	at := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return &udpPort{
		UDPConn: conn,
		bound:   netip.AddrPortFrom(at.Addr().Unmap(), at.Port()),
		batches: map[uint32]*batch{},
	}, nil
}

// ReadFromAddrPort reads on after whatever is not the end of the socket: pion
// gives the port up on the first error, and every viewer with it.
func (p *udpPort) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		n, from, err := p.UDPConn.ReadFromUDPAddrPort(b)
		if err == nil || errors.Is(err, net.ErrClosed) {
			return n, from, err
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return n, from, err
		}
		time.Sleep(time.Millisecond) // an error that stays must not spin
	}
}

// WriteToAddrPort sends, or has the packet wait for the others of its burst.
func (p *udpPort) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if q := p.batchOf(b); q != nil {
		if taken, err := q.take(b, to); taken || err != nil {
			return len(b), err
		}
	}
	return p.send(b, to)
}

func (p *udpPort) send(b []byte, to netip.AddrPort) (int, error) {
	n, err := p.UDPConn.WriteToUDPAddrPort(b, to)
	p.count(1, err)
	return n, err
}

func (p *udpPort) count(n uint64, err error) {
	if err != nil {
		p.refused.Add(n)
	} else {
		p.sent.Add(n)
	}
}

// udpMux shares the socket among sessions, under one address.
type udpMux struct {
	*ice.UDPMuxDefault
	port *udpPort
}

func (m udpMux) GetListenAddresses() []net.Addr {
	a := netip.AddrPortFrom(shown(m.port.bound.Addr()), m.port.bound.Port())
	return []net.Addr{net.UDPAddrFromAddrPort(a)}
}

// tcpPort is the listener for ICE over TCP. It holds at most limit connections;
// whoever comes beyond that is hung up on. Closing it closes them all: pion
// waits up to half a minute for one that never said a word.
type tcpPort struct {
	net.Listener
	bound netip.AddrPort
	limit int

	mu     sync.Mutex
	conns  map[*tcpConn]struct{}
	turned atomic.Uint64 // connections hung up on
}

func listenTCP(addr string, limit int) (*tcpPort, error) {
	want, err := listenAddr(addr)
	if err != nil {
		return nil, err
	}
	l, err := net.ListenTCP(network("tcp", want.Addr()), net.TCPAddrFromAddrPort(want))
	if err != nil {
		return nil, err
	}
	at := l.Addr().(*net.TCPAddr).AddrPort()
	return &tcpPort{
		Listener: l,
		bound:    netip.AddrPortFrom(at.Addr().Unmap(), at.Port()),
		limit:    limit,
		conns:    map[*tcpConn]struct{}{},
	}, nil
}

func (p *tcpPort) shown() *net.TCPAddr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(shown(p.bound.Addr()), p.bound.Port()))
}

// Addr is the shown address.
func (p *tcpPort) Addr() net.Addr { return p.shown() }

// Accept waits for a connection within the limit.
func (p *tcpPort) Accept() (net.Conn, error) {
	for {
		c, err := p.Listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil, err
			}
			time.Sleep(10 * time.Millisecond) // out of descriptors: pion would stop listening for good
			continue
		}
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetWriteBuffer(tcpWriteBuffer) // best effort
		}
		conn := &tcpConn{Conn: c, port: p}
		p.mu.Lock()
		full := len(p.conns) >= p.limit
		if !full {
			p.conns[conn] = struct{}{}
		}
		p.mu.Unlock()
		if full {
			p.turned.Add(1)
			_ = c.Close()
			continue
		}
		return conn, nil
	}
}

// Close stops listening and hangs up on everybody.
func (p *tcpPort) Close() error {
	err := p.Listener.Close()
	p.mu.Lock()
	conns := make([]*tcpConn, 0, len(p.conns))
	for c := range p.conns {
		conns = append(conns, c)
	}
	p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
	return err
}

// tcpConn shows the port's one address as its own.
type tcpConn struct {
	net.Conn
	port *tcpPort
}

func (c *tcpConn) LocalAddr() net.Addr { return c.port.shown() }

func (c *tcpConn) Close() error {
	c.port.mu.Lock()
	delete(c.port.conns, c)
	c.port.mu.Unlock()
	if err := c.Conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close connection: %w", err)
	}
	return nil
}

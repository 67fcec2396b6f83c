package peer

import (
	"encoding/binary"
	"net/netip"
	"sync"
)

// Most of what a packet costs is its way into the kernel. A burst of one
// session goes to one place and its packets are of one size, all but the last:
// so they are gathered on their way out of pion and handed to the kernel as one
// datagram that it cuts up itself (UDP segmentation offload). Nothing waits for
// that: the gathering begins and ends within one burst of one goroutine.
//
// A packet finds its batch by its SSRC, which SRTP does not hide and which each
// session draws for itself. Whatever has no open batch goes out by itself.

const (
	// batchBytes is the most that the kernel takes at a time.
	batchBytes = 60 << 10
	// batchPackets is the most that every kernel cuts apart.
	batchPackets = 64
)

// batchBuffers are shared: a session needs one for some microseconds.
var batchBuffers = sync.Pool{New: func() any { b := make([]byte, 0, batchBytes); return &b }}

// batch is the packets of one burst, one behind the other.
type batch struct {
	port *udpPort

	mu   sync.Mutex
	open bool
	// whole: the way there cannot be cut up for, so each packet goes by itself.
	whole bool
	buf   *[]byte // nil when nothing waits
	to    netip.AddrPort
	size  int // of each packet but the last
	n     int
	last  int // size of the last one
}

// gather makes a batch for what carries ssrc.
func (p *udpPort) gather(ssrc uint32) *batch {
	b := &batch{port: p}
	p.mu.Lock()
	p.batches[ssrc] = b
	p.mu.Unlock()
	return b
}

// release ends what gather began.
func (p *udpPort) release(ssrc uint32, b *batch) {
	b.mu.Lock()
	b.clear()
	b.open = false
	b.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.batches[ssrc] == b {
		delete(p.batches, ssrc)
	}
}

// batchOf finds the batch that a datagram belongs to; nil for what is no RTP.
func (p *udpPort) batchOf(datagram []byte) *batch {
	const version, reports = 2, 64 // RTCP has payload types from 64 to 95 (RFC 5761)
	if len(datagram) < 12 || datagram[0]>>6 != version || datagram[1]&0x60 == reports {
		return nil
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.batches[binary.BigEndian.Uint32(datagram[8:])]
}

// begin gathers from here on. What an earlier burst could not send goes out
// first; false when it still cannot.
func (b *batch) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = b.flush() == nil
	return b.open
}

// end sends what was gathered; false when the kernel does not take it. It is
// kept then, for the next begin or end.
func (b *batch) end() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = false
	return b.flush() == nil
}

// take gathers a datagram, and tells whether it did.
func (b *batch) take(datagram []byte, to netip.AddrPort) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return false, nil
	}
	if b.n > 0 && (to != b.to || len(datagram) > b.size || b.last < b.size || b.n == batchPackets || len(*b.buf)+len(datagram) > batchBytes) {
		if err := b.flush(); err != nil {
			return false, err
		}
	}
	if b.n == 0 {
		if b.buf == nil {
			b.buf = batchBuffers.Get().(*[]byte)
		}
		b.to, b.size = to, len(datagram)
	}
	*b.buf = append(*b.buf, datagram...)
	b.n++
	b.last = len(datagram)
	return true, nil
}

// flush sends what is gathered. b.mu is held.
func (b *batch) flush() error {
	if b.n == 0 {
		return nil
	}
	if b.n > 1 && !b.whole {
		err := b.port.sendSegments(*b.buf, b.size, b.n, b.to)
		if err == nil || !noSegments(err) {
			if err == nil {
				b.clear()
			}
			return err
		}
		b.whole = true
	}
	// What went out before an error goes out again; a receiver drops what it had.
	for rest := *b.buf; len(rest) > 0; {
		one := rest[:min(b.size, len(rest))]
		if _, err := b.port.send(one, b.to); err != nil {
			return err
		}
		rest = rest[len(one):]
	}
	b.clear()
	return nil
}

func (b *batch) clear() {
	if b.buf != nil {
		*b.buf = (*b.buf)[:0]
		batchBuffers.Put(b.buf)
		b.buf = nil
	}
	b.n = 0
}

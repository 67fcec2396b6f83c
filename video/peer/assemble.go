package peer

import (
	"encoding/binary"

	"github.com/pion/rtp"
)

// Assembling is the second half of receiving: payloads in order become access
// units (RFC 6184, packetization mode 1). It is fed by a stranger, so every
// length is checked and a unit is bounded.
const (
	maxUnitBytes = 8 << 20
	maxUnitNALUs = 512
)

const (
	naluSPS   = 7
	naluSTAPA = 24
	naluFUA   = 28
)

// picture is one access unit as it was put together.
type picture struct {
	nalus     [][]byte
	timestamp uint32
	key       bool
	// damaged: part of it, or of what lies between the last one and it, is
	// missing.
	damaged bool
}

// assembler puts one picture together.
type assembler struct {
	now      picture
	open     bool   // now has begun
	fragment []byte // of a NALU that is not complete; nil when there is none
	size     int
}

// push takes the next packet and hands every picture that it completes to done.
// gap tells that packets before it are missing.
func (a *assembler) push(p *rtp.Packet, gap bool, done func(picture)) {
	if len(p.Payload) == 0 {
		a.spoil(gap)
		return // padding
	}
	if gap {
		a.fragment = nil
	}
	if a.open && p.Timestamp != a.now.timestamp {
		a.spoil(gap || a.fragment != nil)
		a.finish(done)
	}
	if !a.open {
		a.open = true
		a.now.timestamp = p.Timestamp
		// A unit that begins with its parameter sets is whole at the front,
		// whatever is missing before it.
		if t := p.Payload[0] & 0x1f; t == naluSTAPA || t == naluSPS {
			gap, a.now.damaged = false, false
		}
	}
	a.spoil(gap)
	if !a.take(p.Payload) {
		a.fragment = nil
		a.spoil(true)
	}
	if p.Marker {
		a.spoil(a.fragment != nil)
		a.finish(done)
	}
}

func (a *assembler) spoil(damaged bool) { a.now.damaged = a.now.damaged || damaged }

// finish hands the picture on. Damage of one without a single NALU is carried
// over to the next.
func (a *assembler) finish(done func(picture)) {
	now := a.now
	a.now, a.open, a.fragment, a.size = picture{}, false, nil, 0
	if len(now.nalus) == 0 {
		a.now.damaged = now.damaged
		return
	}
	done(now)
}

// take takes one payload apart; false when it makes no sense.
func (a *assembler) take(b []byte) bool {
	switch t := b[0] & 0x1f; {
	case t >= 1 && t <= 23:
		return a.fragment == nil && a.add(b)
	case t == naluSTAPA:
		if a.fragment != nil {
			return false
		}
		for b = b[1:]; len(b) > 0; {
			if len(b) < 2 {
				return false
			}
			n := int(binary.BigEndian.Uint16(b))
			if b = b[2:]; n == 0 || n > len(b) || !a.add(b[:n:n]) {
				return false
			}
			b = b[n:]
		}
		return true
	case t == naluFUA:
		return len(b) > 2 && a.takeFragment(b)
	}
	return false
}

func (a *assembler) takeFragment(b []byte) bool {
	const start, end = 0x80, 0x40
	switch first := b[1]&start != 0; {
	case first && a.fragment != nil, !first && a.fragment == nil:
		return false
	case first:
		a.fragment = append(make([]byte, 0, 4*len(b)), b[0]&0xe0|b[1]&0x1f)
	}
	if a.size+len(a.fragment)+len(b) > maxUnitBytes {
		return false
	}
	a.fragment = append(a.fragment, b[2:]...)
	if b[1]&end == 0 {
		return true
	}
	n := a.fragment
	a.fragment = nil
	return a.add(n)
}

func (a *assembler) add(nalu []byte) bool {
	if len(a.now.nalus) >= maxUnitNALUs || a.size+len(nalu) > maxUnitBytes {
		return false
	}
	a.size += len(nalu)
	a.now.nalus = append(a.now.nalus, nalu)
	if nalu[0]&0x1f == 5 {
		a.now.key = true
	}
	return true
}

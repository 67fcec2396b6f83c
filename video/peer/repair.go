package peer

import (
	"time"

	"github.com/pion/rtp"
)

// Repair is sending again what got lost. Unbounded it makes things worse: a
// link of 1.5 Mbit/s under a picture of 2 Mbit/s was seen to carry eleven times
// the picture in repetitions. So there are three bounds, and what is refused is
// counted.
const (
	// keptPackets is how far back repair reaches: about a second of a big
	// picture. It costs a pointer each, since the packets are shared.
	keptPackets = 512
	// maxResends is how often one packet is repeated.
	maxResends = 3
	// minCooldown is the least time between repetitions of one packet; a longer
	// round trip replaces it.
	minCooldown = 100 * time.Millisecond
	// repairShare of the bytes sent may be repeated.
	repairShare = 0.20
	// repairReserve is the most that is saved up while nothing is lost.
	repairReserve = 256 << 10
)

// sentPacket is one packet as it went out.
type sentPacket struct {
	shared  *rtp.Packet // never changed; nil in a slot that was never used
	seq     uint16
	ts      uint32
	resends uint8
	last    time.Time // of the last repetition
}

// repair remembers what was sent, and says what may be sent again.
type repair struct {
	ring    [keptPackets]sentPacket
	credit  float64 // bytes
	refused uint64
}

// sent notes a packet and earns credit for it.
func (r *repair) sent(p *rtp.Packet, seq uint16, ts uint32) {
	r.ring[seq%keptPackets] = sentPacket{shared: p, seq: seq, ts: ts}
	r.credit = min(r.credit+repairShare*float64(len(p.Payload)), repairReserve)
}

// again returns the packet that may be repeated now, or false.
func (r *repair) again(seq uint16, now time.Time, rtt time.Duration) (sentPacket, bool) {
	p := &r.ring[seq%keptPackets]
	switch {
	case p.shared == nil || p.seq != seq: // too long ago, or never sent
	case p.resends >= maxResends:
	case p.resends > 0 && now.Sub(p.last) < max(rtt, minCooldown):
	case r.credit < float64(len(p.shared.Payload)):
	default:
		r.credit -= float64(len(p.shared.Payload))
		p.resends++
		p.last = now
		return *p, true
	}
	r.refused++
	return sentPacket{}, false
}

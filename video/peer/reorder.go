package peer

import (
	"time"

	"github.com/pion/rtp"
)

// Reordering is the first half of receiving: packets come late, twice, in the
// wrong order or not at all, and leave in order. A missing packet is asked for
// again within the bounds of repair.go; when it has not come in time it is given
// up, and the packet behind the hole says so.
const (
	// window is how many packets may wait behind a hole: two seconds of a big
	// picture.
	window = 1024
	// patience is how long a packet may be late before it counts as lost.
	patience = 10 * time.Millisecond
	// maxHold bounds how long a hole may hold up what lies behind it.
	maxHold = time.Second
	// askReserve is the most asking that is saved up, in packets.
	askReserve = 64
)

// slot is a place in the window: a packet, or what is known of a missing one.
type slot struct {
	packet *rtp.Packet
	since  time.Time // found missing
	asked  time.Time // last
	asks   uint8
	used   bool // belongs to the present round of the ring
}

// reorder is the window over the sequence numbers from next on.
type reorder struct {
	slots   [window]slot
	started bool
	next    uint16 // to be handed on next
	top     uint16 // the newest plus one
	gap     bool   // packets before next were given up
	credit  float64
	rtt     time.Duration
	count   Counts
}

func (q *reorder) at(seq uint16) *slot { return &q.slots[seq%window] }

// push takes in a packet.
func (q *reorder) push(p *rtp.Packet, now time.Time) {
	seq := p.SequenceNumber
	if !q.started {
		q.started, q.next, q.top = true, seq, seq
	}
	q.count.Packets++
	q.count.Bytes += uint64(len(p.Payload))
	q.credit = min(q.credit+repairShare, askReserve)

	switch ahead := int16(seq - q.next); {
	case ahead < 0 && ahead > -window:
		return // given up, or had
	case ahead < 0 || ahead >= window:
		// So far away that it is another beginning.
		q.count.Lost += uint64(q.top - q.next)
		clear(q.slots[:])
		q.next, q.top, q.gap = seq, seq, true
	}
	for ; int16(seq-q.top) >= 0; q.top++ {
		*q.at(q.top) = slot{used: true, since: now}
	}
	s := q.at(seq)
	if s.packet != nil {
		return
	}
	if s.asks > 0 {
		q.count.Repaired++
		q.count.RepairedBytes += uint64(len(p.Payload))
		if s.asks == 1 {
			q.measure(now.Sub(s.asked))
		}
	}
	s.packet = p
}

// measure takes the round trip from a packet that was asked for once.
func (q *reorder) measure(rtt time.Duration) {
	if q.rtt == 0 {
		q.rtt = rtt
	} else {
		q.rtt += (rtt - q.rtt) / 4
	}
}

func (q *reorder) cooldown() time.Duration { return max(q.rtt, minCooldown) }

// pop hands on the next packet in order, and whether packets before it are
// missing for good. It is nil when there is none, or when a hole is still
// waited for.
func (q *reorder) pop(now time.Time) (p *rtp.Packet, gap bool) {
	for q.next != q.top {
		s := q.at(q.next)
		if s.packet != nil {
			p, gap = s.packet, q.gap
			*s = slot{}
			q.next++
			q.gap = false
			return p, gap
		}
		hold := min(patience+3*q.cooldown()+q.rtt/2, maxHold)
		if now.Sub(s.since) < hold {
			return nil, false
		}
		*s = slot{}
		q.next++
		q.gap = true
		q.count.Lost++
	}
	return nil, false
}

// missing lists the packets to ask for now. It is to be called often.
func (q *reorder) missing(now time.Time) []uint16 {
	var ask []uint16
	for seq := q.next; seq != q.top; seq++ {
		s := q.at(seq)
		if s.packet != nil || now.Sub(s.since) < patience || s.asks >= maxResends ||
			s.asks > 0 && now.Sub(s.asked) < q.cooldown() {
			continue
		}
		if q.credit < 1 {
			q.count.Refused++
			break
		}
		q.credit--
		s.asks++
		s.asked = now
		q.count.Asked++
		ask = append(ask, seq)
	}
	return ask
}

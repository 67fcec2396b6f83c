package stream

import "github.com/pion/rtp"

// An access unit becomes RTP packets once, for all readers: H.264 by RFC 6184 in
// packetization mode 1, H.265 by RFC 7798 without DONs. Payloads are at most
// MaxPayload bytes: with the RTP header that makes 1200, which still fits a
// path's MTU after SRTP, TURN and a VPN or PPPoE have added theirs. Cameras send
// up to 64 KiB over TCP, so their packets are never passed on as they are.

const (
	// MaxPayload is the largest RTP payload.
	MaxPayload = 1188
	// PayloadType is what Packets carry; senders overwrite it.
	PayloadType = 96
	// ClockRate of the pictures' RTP timestamps.
	ClockRate = 90000
)

const (
	naluSTAPA = 24 // H.264: several NALUs in one packet
	naluFUA   = 28 // H.264: a piece of one
	hevcAP    = 48
	hevcFU    = 49
)

// packetizer cuts one unit; see packetize.
type packetizer struct {
	h265 bool
	head int // length of a NALU's header
	out  []*rtp.Packet
	buf  []byte
}

// packetize cuts the NALUs. The first params of them are parameter sets, which
// travel in one packet if they fit. Payloads of whole NALUs alias them; the
// others lie in one buffer.
func packetize(nalus [][]byte, params int, h265 bool, seq uint16, timestamp uint32) []*rtp.Packet {
	z := packetizer{h265: h265, head: 1}
	if h265 {
		z.head = 2
	}
	together := z.together(nalus[:params])
	count, bytes := 0, 0
	if together > 0 {
		count, bytes = 1, together
	} else {
		params = 0
	}
	for _, n := range nalus[params:] {
		if len(n) <= MaxPayload {
			count++
			continue
		}
		k := z.fragments(n)
		count += k
		bytes += len(n) - z.head + (z.head+1)*k
	}
	if count == 0 {
		return nil
	}

	z.buf = make([]byte, 0, bytes)
	packets := make([]rtp.Packet, count)
	z.out = make([]*rtp.Packet, 0, count)
	for i := range packets {
		packets[i].Header = rtp.Header{
			Version: 2, PayloadType: PayloadType, SequenceNumber: seq + uint16(i), Timestamp: timestamp, Marker: i == count-1,
		}
	}
	add := func(payload []byte) {
		p := &packets[len(z.out)]
		p.Payload = payload
		z.out = append(z.out, p)
	}
	if together > 0 {
		add(z.aggregate(nalus[:params]))
	}
	for _, n := range nalus[params:] {
		if len(n) <= MaxPayload {
			add(n)
			continue
		}
		rest, k := n[z.head:], z.fragments(n)
		for j := range k {
			// Even pieces, so that no packet is much smaller than the others.
			size := (len(rest) + k - j - 1) / (k - j)
			add(z.fragment(n, rest[:size], j == 0, j == k-1))
			rest = rest[size:]
		}
	}
	return z.out
}

// together is the size of one packet of all sets, 0 when there are fewer than
// two or they do not fit.
func (z *packetizer) together(sets [][]byte) int {
	if len(sets) < 2 {
		return 0
	}
	size := z.head
	for _, n := range sets {
		size += 2 + len(n)
	}
	if size > MaxPayload {
		return 0
	}
	return size
}

// aggregate makes a STAP-A or an AP.
func (z *packetizer) aggregate(sets [][]byte) []byte {
	start := len(z.buf)
	if z.h265 {
		// The lowest temporal ID of all; their layer is 0.
		tid := byte(7)
		for _, n := range sets {
			tid = min(tid, n[1]&7)
		}
		z.buf = append(z.buf, hevcAP<<1, tid)
	} else {
		ref := byte(0)
		for _, n := range sets {
			ref = max(ref, n[0]&0x60)
		}
		z.buf = append(z.buf, ref|naluSTAPA)
	}
	for _, n := range sets {
		z.buf = append(z.buf, byte(len(n)>>8), byte(len(n)))
		z.buf = append(z.buf, n...)
	}
	return z.buf[start:len(z.buf):len(z.buf)]
}

// fragment makes an FU-A or an FU.
func (z *packetizer) fragment(n, piece []byte, first, last bool) []byte {
	start := len(z.buf)
	var mark byte
	switch {
	case first:
		mark = 0x80
	case last:
		mark = 0x40
	}
	if z.h265 {
		z.buf = append(z.buf, n[0]&0x81|hevcFU<<1, n[1], mark|n[0]>>1&0x3f)
	} else {
		z.buf = append(z.buf, n[0]&0xe0|naluFUA, mark|n[0]&0x1f)
	}
	z.buf = append(z.buf, piece...)
	return z.buf[start:len(z.buf):len(z.buf)]
}

// fragments is how many packets a NALU takes that does not fit one.
func (z *packetizer) fragments(n []byte) int {
	room := MaxPayload - z.head - 1
	return (len(n) - z.head + room - 1) / room
}

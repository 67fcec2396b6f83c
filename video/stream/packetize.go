package stream

import "github.com/pion/rtp"

// An access unit becomes RTP packets once, for all readers (RFC 6184,
// packetization mode 1). Payloads are at most MaxPayload bytes: with the RTP
// header that makes 1200, which still fits a path's MTU after SRTP, TURN and a
// VPN or PPPoE have added theirs. Cameras send up to 64 KiB over TCP, so their
// packets are never passed on as they are.

const (
	// MaxPayload is the largest RTP payload.
	MaxPayload = 1188
	// PayloadType is what Packets carry; senders overwrite it.
	PayloadType = 96
	// ClockRate of the RTP timestamps.
	ClockRate = 90000
)

const (
	naluSTAPA = 24
	naluFUA   = 28
)

// packetize cuts the NALUs. The first params of them are parameter sets, which
// travel in one STAP-A if they fit. Payloads of whole NALUs alias them; the
// others lie in one buffer.
func packetize(nalus [][]byte, params int, seq uint16, timestamp uint32) []*rtp.Packet {
	stap := stapSize(nalus[:params])
	count, bytes := 0, 0
	if stap > 0 {
		count, bytes = 1, stap
	} else {
		params = 0
	}
	for _, n := range nalus[params:] {
		if len(n) <= MaxPayload {
			count++
			continue
		}
		k := fragments(n)
		count += k
		bytes += len(n) - 1 + 2*k
	}

	packets := make([]rtp.Packet, count)
	out := make([]*rtp.Packet, count)
	buf := make([]byte, 0, bytes)
	i := 0
	add := func(payload []byte) {
		p := &packets[i]
		p.Version = 2
		p.PayloadType = PayloadType
		p.SequenceNumber = seq
		p.Timestamp = timestamp
		p.Payload = payload
		out[i] = p
		seq++
		i++
	}

	if stap > 0 {
		ref := byte(0)
		start := len(buf)
		buf = append(buf, 0)
		for _, n := range nalus[:params] {
			ref = max(ref, n[0]&0x60)
			buf = append(buf, byte(len(n)>>8), byte(len(n)))
			buf = append(buf, n...)
		}
		buf[start] = ref | naluSTAPA
		add(buf[start:len(buf):len(buf)])
	}
	for _, n := range nalus[params:] {
		if len(n) <= MaxPayload {
			add(n)
			continue
		}
		rest := n[1:]
		k := fragments(n)
		for j := range k {
			// Even pieces, so that no packet is much smaller than the others.
			size := (len(rest) + k - j - 1) / (k - j)
			head := n[0] & 0x1f
			switch j {
			case 0:
				head |= 0x80
			case k - 1:
				head |= 0x40
			}
			start := len(buf)
			buf = append(buf, n[0]&0xe0|naluFUA, head)
			buf = append(buf, rest[:size]...)
			rest = rest[size:]
			add(buf[start:len(buf):len(buf)])
		}
	}
	if count > 0 {
		out[count-1].Marker = true
	}
	return out
}

// stapSize is the size of a STAP-A of all sets, 0 when there are fewer than two
// or they do not fit.
func stapSize(sets [][]byte) int {
	if len(sets) < 2 {
		return 0
	}
	size := 1
	for _, n := range sets {
		size += 2 + len(n)
	}
	if size > MaxPayload {
		return 0
	}
	return size
}

// fragments is how many FU-A packets a NALU takes.
func fragments(n []byte) int {
	const room = MaxPayload - 2
	return (len(n) - 1 + room - 1) / room
}

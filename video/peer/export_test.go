package peer

import "github.com/pion/rtp"

// SendNow sends a packet past the stream and the pace, for benchmarks.
func (s *Session) SendNow(p *rtp.Packet, ts uint32) error { return s.out.write(p, ts) }

package peer

import "github.com/pion/rtp"

// SendNow sends packets past the stream and the pace, for benchmarks.
func (s *Session) SendNow(p []*rtp.Packet, ts uint32) error {
	_, err := s.out.burst(p, ts)
	return err
}

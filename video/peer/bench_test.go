package peer_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pion/rtp"

	"stationd/video/peer"
	"stationd/video/stream"
)

// What one packet of a burst costs for one viewer, from the shared packet to the
// kernel: header, repair memory, SRTP and its share of one sendmsg. The viewers are
// real; what reaches them is thrown away in front of them, so that they do not
// count.
func BenchmarkPacketPerViewer(b *testing.B) {
	const burst = 16
	for _, n := range []int{1, 10, 30} {
		b.Run(fmt.Sprintf("viewers=%d", n), func(b *testing.B) {
			h := hub(b, func(c *peer.Config) { c.SessionTimeout = 5 * time.Minute })
			udp, _ := h.Addr()
			s := stream.New(stream.Config{})
			f := play(b, s, 25, small)
			var viewers []*viewer
			for range n {
				relay := relayUDP(b, udp, 0)
				v := watch(b, h, f, s, viewerOptions{answer: via("udp", relay.port())})
				v.until(10*time.Second, "pictures", atLeast(1))
				relay.dead.Store(true)
				_ = relay.back.SetReadBuffer(1) // the kernel drops early
				viewers = append(viewers, v)
			}
			f.hold(true)
			time.Sleep(100 * time.Millisecond) // the last pictures are out
			p := make([]*rtp.Packet, burst)
			for i := range p {
				p[i] = &rtp.Packet{Payload: make([]byte, 1188)}
				p[i].Payload[0] = 0x41
			}
			b.ReportAllocs()
			b.SetBytes(int64(1188 * burst * n))
			b.ResetTimer()
			for i := range b.N {
				for _, v := range viewers {
					if err := v.sess.SendNow(p, uint32(i)); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n*burst), "ns/packet/viewer")
		})
	}
}

package peer

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"stationd/video/stream"
)

// outlet is the sending end of one session: it gives the shared packets of a
// stream this peer's sequence numbers and timeline, repeats what got lost, and
// listens to what the peer reports. To pion it is a track.
type outlet struct {
	mu     sync.Mutex
	to     webrtc.TrackLocalWriter // nil until negotiated
	header rtp.Header              // of the packet that is being written
	seq    uint16                  // the next one
	// offset takes the stream's timestamps to this peer's; last is the newest
	// one sent, valid once started.
	offset  uint32
	last    uint32
	started bool
	rtt     time.Duration
	repair  repair
	count   Counts
	// A wish for a key picture that is granted calls again.
	wishes wishes
	again  context.CancelCauseFunc
}

func newOutlet() *outlet {
	return &outlet{seq: uint16(rand.Uint32()), offset: rand.Uint32()}
}

var errNoCommonFormat = errors.New("the peer takes no H.264 in packetization mode 1")

// Bind begins sending in the negotiated format.
func (o *outlet) Bind(t webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	for _, c := range t.CodecParameters() {
		if c.MimeType != webrtc.MimeTypeH264 {
			continue
		}
		o.mu.Lock()
		o.to = t.WriteStream()
		o.header = rtp.Header{Version: 2, PayloadType: uint8(c.PayloadType), SSRC: uint32(t.SSRC())}
		o.mu.Unlock()
		return c, nil
	}
	return webrtc.RTPCodecParameters{}, errNoCommonFormat
}

// Unbind ends sending.
func (o *outlet) Unbind(webrtc.TrackLocalContext) error {
	o.mu.Lock()
	o.to = nil
	o.mu.Unlock()
	return nil
}

func (o *outlet) ID() string                { return "video" }
func (o *outlet) RID() string               { return "" }
func (o *outlet) StreamID() string          { return "camera" }
func (o *outlet) Kind() webrtc.RTPCodecType { return webrtc.RTPCodecTypeVideo }

// tick is the least step of the timeline: a millisecond. Pictures that are sent
// anew follow each other this closely, until they have caught up.
const tick = 90

// stamp gives a unit its timestamp: on the stream's timeline where that goes
// forward, else one tick after the last.
func (o *outlet) stamp(u *stream.Unit) uint32 {
	o.mu.Lock()
	defer o.mu.Unlock()
	ts := u.Packets[0].Timestamp + o.offset
	if o.started {
		if ahead := int32(ts - o.last); ahead < tick {
			ts = o.last + tick
		}
	}
	o.started = true
	o.last = ts
	return ts
}

// errRefused tells that a packet was not taken: the queue of a slow TCP
// connection is full, or the machine has lost its network.
var errRefused = errors.New("the packet was not taken")

// write sends one packet. If it is refused, it was not sent at all, and the same
// one may be tried again: its number is not used for any other.
func (o *outlet) write(p *rtp.Packet, ts uint32) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.to == nil {
		return io.ErrClosedPipe
	}
	seq := o.seq
	o.header.SequenceNumber, o.header.Timestamp, o.header.Marker = seq, ts, p.Marker
	n, err := o.to.WriteRTP(&o.header, p.Payload)
	if err != nil {
		return err
	}
	if n == 0 { // pion logs the error and says no more
		return errRefused
	}
	o.seq++
	o.repair.sent(p, seq, ts)
	o.count.Packets++
	o.count.Bytes += uint64(len(p.Payload))
	return nil
}

// resend repeats the packets of a negative acknowledgement, as far as allowed.
func (o *outlet) resend(n *rtcp.TransportLayerNack) {
	now := time.Now()
	for i := range n.Nacks {
		n.Nacks[i].Range(func(seq uint16) bool {
			o.mu.Lock()
			defer o.mu.Unlock()
			if o.to == nil || n.MediaSSRC != o.header.SSRC {
				return false
			}
			p, ok := o.repair.again(seq, now, o.rtt)
			if !ok {
				return true
			}
			o.header.SequenceNumber, o.header.Timestamp, o.header.Marker = p.seq, p.ts, p.shared.Marker
			if _, err := o.to.WriteRTP(&o.header, p.shared.Payload); err != nil {
				return false
			}
			o.count.Repaired++
			o.count.RepairedBytes += uint64(len(p.shared.Payload))
			return true
		})
	}
}

// listen takes in the peer's reports for as long as the session lives. Somebody
// must: unread, they would stop the sender reports too.
func (o *outlet) listen(life context.Context, from *webrtc.RTPSender) {
	for {
		packets, _, err := from.ReadRTCP()
		if life.Err() != nil {
			return
		}
		if err != nil {
			// A report that makes no sense, or a connection that is about to be
			// called closed: neither may spin.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		for _, p := range packets {
			switch p := p.(type) {
			case *rtcp.TransportLayerNack:
				o.resend(p)
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				o.wish(time.Now())
			case *rtcp.ReceiverReport:
				o.hear(p, time.Now())
			}
		}
	}
}

// wish is told that the peer asks for a key picture.
func (o *outlet) wish(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.again != nil && o.wishes.grant(now) {
		o.again(errAgain)
		o.again = nil
		o.count.Restarts++
	}
}

// onWish sets what a granted wish calls, once.
func (o *outlet) onWish(again context.CancelCauseFunc) {
	o.mu.Lock()
	o.again = again
	o.mu.Unlock()
}

// hear takes the round trip from a receiver report (RFC 3550, 6.4.1).
func (o *outlet) hear(r *rtcp.ReceiverReport, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, b := range r.Reports {
		if b.SSRC != o.header.SSRC || b.LastSenderReport == 0 {
			continue
		}
		gone := int32(ntpMiddle(now) - b.LastSenderReport - b.Delay) // in 1/65536 s
		if gone < 0 || gone > 60<<16 {
			continue
		}
		rtt := time.Duration(gone) * time.Second / 65536
		if o.rtt == 0 {
			o.rtt = rtt
		} else {
			o.rtt += (rtt - o.rtt) / 4
		}
	}
}

// ntpMiddle is the middle 32 bits of the NTP time.
func ntpMiddle(t time.Time) uint32 {
	const since1900 = 2208988800
	s := uint64(t.Unix()+since1900) & 0xffff
	f := uint64(t.Nanosecond()) << 16 / uint64(time.Second)
	return uint32(s<<16 | f)
}

func (o *outlet) counts() Counts {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.count
	c.Refused = o.repair.refused
	c.RoundTrip = o.rtt
	return c
}

func (o *outlet) skipped(units uint64) {
	o.mu.Lock()
	o.count.Skipped += units
	o.mu.Unlock()
}

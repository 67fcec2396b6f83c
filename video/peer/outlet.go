package peer

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"stationd/video/stream"
)

// outlet is the sending end of one picture or sound: it gives the shared packets
// of a stream this peer's sequence numbers and timeline, repeats what got lost,
// and listens to what the peer reports. To pion it is a track.
type outlet struct {
	mime string // what it sends
	tick int32  // the least step of the timeline
	port *udpPort
	// spent is told of each packet's bytes on the line; nil tells nobody.
	spent func(bytes int)

	mu     sync.Mutex
	to     webrtc.TrackLocalWriter // nil until negotiated
	batch  *batch                  // nil where packets cannot be gathered
	header rtp.Header              // of the packet that is being written
	seq    uint16                  // the next one
	// offset takes the stream's timestamps to this peer's; last is the newest
	// one sent, valid once started.
	offset  uint32
	last    uint32
	started bool
	rtt     time.Duration
	repair  *repair // nil for sound, whose place is gone when a repeat comes
	reports reports
	count   Counts
	// A wish for a key picture that is granted calls again.
	wishes wishes
	again  context.CancelCauseFunc
}

// pictureOutlet sends pictures of a codec of package stream. port, which may be
// nil, is the socket that they leave by.
func pictureOutlet(codec string, port *udpPort) *outlet {
	o := &outlet{mime: webrtc.MimeTypeH264, tick: tick, port: port, repair: &repair{}}
	if codec == stream.H265 {
		o.mime = webrtc.MimeTypeH265
	}
	o.seq, o.offset = uint16(rand.Uint32()), rand.Uint32()
	return o
}

// soundOutlet sends sound of a codec of package stream; nil for what browsers
// are not sent: AAC would have to be coded anew, and is in the recordings.
func soundOutlet(sound *stream.Sound, port *udpPort) *outlet {
	o := &outlet{tick: 1, port: port}
	switch {
	case sound == nil:
		return nil
	case sound.Codec == stream.Opus && sound.Rate == 48000:
		o.mime = webrtc.MimeTypeOpus
	case sound.Codec == stream.PCMA && sound.Rate == 8000 && sound.Channels == 1:
		o.mime = webrtc.MimeTypePCMA
	case sound.Codec == stream.PCMU && sound.Rate == 8000 && sound.Channels == 1:
		o.mime = webrtc.MimeTypePCMU
	default:
		return nil
	}
	o.seq, o.offset = uint16(rand.Uint32()), rand.Uint32()
	return o
}

var errNoCommonFormat = errors.New("the peer takes none of the formats")

// Bind begins sending in the negotiated format.
func (o *outlet) Bind(t webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	for _, c := range t.CodecParameters() {
		if !strings.EqualFold(c.MimeType, o.mime) {
			continue
		}
		o.mu.Lock()
		o.to = t.WriteStream()
		o.header = rtp.Header{Version: 2, PayloadType: uint8(c.PayloadType), SSRC: uint32(t.SSRC())}
		if o.port != nil && o.batch == nil {
			o.batch = o.port.gather(o.header.SSRC)
		}
		o.mu.Unlock()
		return c, nil
	}
	return webrtc.RTPCodecParameters{}, errNoCommonFormat
}

// Unbind ends sending.
func (o *outlet) Unbind(webrtc.TrackLocalContext) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.to = nil
	if o.batch != nil {
		o.port.release(o.header.SSRC, o.batch)
		o.batch = nil
	}
	return nil
}

// Kind tells pictures from sound.
func (o *outlet) Kind() webrtc.RTPCodecType {
	if strings.HasPrefix(o.mime, "audio/") {
		return webrtc.RTPCodecTypeAudio
	}
	return webrtc.RTPCodecTypeVideo
}

func (o *outlet) ID() string       { return o.Kind().String() }
func (o *outlet) RID() string      { return "" }
func (o *outlet) StreamID() string { return "camera" } // of both, so that they are played in step

// tick is the least step of a picture's timeline: a millisecond. Pictures that
// are sent anew follow each other this closely, until they have caught up.
const tick = 90

// stamp gives a unit its timestamp: on the stream's timeline where that goes
// forward, else one tick after the last.
func (o *outlet) stamp(u *stream.Unit) uint32 {
	o.mu.Lock()
	defer o.mu.Unlock()
	ts := u.Packets[0].Timestamp + o.offset
	if o.started {
		if ahead := int32(ts - o.last); ahead < o.tick {
			ts = o.last + uint32(o.tick)
		}
	}
	o.started = true
	o.last = ts
	return ts
}

// errRefused tells that a packet was not taken: the queue of a slow TCP
// connection is full, or the machine has lost its network.
var errRefused = errors.New("the packet was not taken")

// burst sends packets one behind the other, and returns how many were taken. If
// one is refused, it was not sent at all, and the same one may be tried again:
// its number is not used for any other.
func (o *outlet) burst(packets []*rtp.Packet, ts uint32) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.to == nil {
		return 0, io.ErrClosedPipe
	}
	if o.batch != nil && !o.batch.begin() {
		return 0, errRefused
	}
	sent, err := 0, error(nil)
	for ; sent < len(packets) && err == nil; sent++ {
		if err = o.write(packets[sent], ts); err != nil {
			break
		}
	}
	if o.batch != nil && !o.batch.end() && err == nil {
		err = errRefused
	}
	return sent, err
}

// speak sends a piece of sound, as far as it was not sent before.
func (o *outlet) speak(u *stream.Unit) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.to == nil {
		return io.ErrClosedPipe
	}
	for _, p := range u.Packets {
		ts := p.Timestamp + o.offset
		if o.started && int32(ts-o.last) <= 0 {
			continue
		}
		if err := o.write(p, ts); err != nil {
			return err
		}
		o.started, o.last = true, ts
	}
	return nil
}

// write sends one packet. o.mu is held.
func (o *outlet) write(p *rtp.Packet, ts uint32) error {
	o.header.SequenceNumber, o.header.Timestamp, o.header.Marker = o.seq, ts, p.Marker
	n, err := o.to.WriteRTP(&o.header, p.Payload)
	if err != nil {
		return err
	}
	if n == 0 { // pion logs the error and says no more
		return errRefused
	}
	if o.repair != nil {
		o.repair.sent(p, o.seq, ts)
	}
	o.seq++
	o.count.Packets++
	o.count.Bytes += uint64(len(p.Payload))
	o.pay(p)
	return nil
}

// around is what a packet has around its payload on the line: the headers of RTP,
// UDP, IP and Ethernet, and the seal of SRTP.
const around = 12 + 8 + 20 + 14 + 10

func (o *outlet) pay(p *rtp.Packet) {
	if o.spent != nil {
		o.spent(len(p.Payload) + around)
	}
}

// resend repeats the packets of a negative acknowledgement, as far as allowed.
func (o *outlet) resend(n *rtcp.TransportLayerNack) {
	now := time.Now()
	for i := range n.Nacks {
		n.Nacks[i].Range(func(seq uint16) bool {
			o.mu.Lock()
			defer o.mu.Unlock()
			if o.to == nil || o.repair == nil || n.MediaSSRC != o.header.SSRC {
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
			o.pay(p.shared)
			return true
		})
	}
}

// listen takes in the peer's reports for as long as the session lives.
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

func (o *outlet) counts() Counts {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.count
	if o.repair != nil {
		c.Refused = o.repair.refused
	}
	c.RoundTrip = o.rtt
	return c
}

func (o *outlet) skipped(units uint64) {
	o.mu.Lock()
	o.count.Skipped += units
	o.mu.Unlock()
}

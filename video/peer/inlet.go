package peer

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"stationd/video/stream"
)

// inlet is the receiving end of a relay leg: packets in, pictures out, and what
// the sender must be told. It reads no clock of its own.
type inlet struct {
	into *stream.Stream
	tell func(rtcp.Packet)

	mu    sync.Mutex
	ssrc  uint32
	queue reorder
	parts assembler
	// The sender's timestamps, unrolled.
	started bool
	last    uint32
	ticks   int64

	// needKey: nothing can be shown before the next whole key picture.
	needKey bool
	wishes  wishes
	// seen is when the last picture came, lost whether the stream knows that
	// there have been none for long.
	seen time.Time
	lost bool

	units, damaged, restarts uint64
}

func newInlet(into *stream.Stream, tell func(rtcp.Packet)) *inlet {
	return &inlet{into: into, tell: tell, needKey: true}
}

func (in *inlet) setSSRC(ssrc uint32) {
	in.mu.Lock()
	in.ssrc = ssrc
	in.mu.Unlock()
}

// packet takes in one packet.
func (in *inlet) packet(p *rtp.Packet, now time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.queue.push(p, now)
	in.drain(now)
}

// drain hands on what is in order.
func (in *inlet) drain(now time.Time) {
	for {
		p, gap := in.queue.pop(now)
		if p == nil {
			return
		}
		in.parts.push(p, gap, func(pic picture) { in.picture(pic, now) })
	}
}

// picture writes one picture into the stream.
func (in *inlet) picture(p picture, now time.Time) {
	if in.started {
		in.ticks += int64(int32(p.timestamp - in.last))
	}
	in.started, in.last = true, p.timestamp
	in.seen, in.lost = now, false
	in.units++
	switch {
	case p.damaged:
		in.damaged++
		in.needKey = true
	case p.key:
		in.needKey = false
	}
	in.into.Write(p.nalus, ticksToDuration(in.ticks), now, p.damaged)
}

// tick asks for what is missing, gives up what is too late, and tells the
// stream when the picture has stopped.
func (in *inlet) tick(now time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.drain(now)
	if ask := in.queue.missing(now); len(ask) > 0 {
		in.tell(&rtcp.TransportLayerNack{SenderSSRC: in.ssrc, MediaSSRC: in.ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(ask)})
	}
	if in.needKey && in.started && in.wishes.grant(now) {
		in.restarts++
		in.tell(&rtcp.PictureLossIndication{SenderSSRC: in.ssrc, MediaSSRC: in.ssrc})
	}
	if in.started && !in.lost && now.Sub(in.seen) > silentAfter {
		in.lost, in.needKey = true, true
		in.into.Lost("no picture comes from the station")
	}
}

func (in *inlet) counts() Counts {
	in.mu.Lock()
	defer in.mu.Unlock()
	c := in.queue.count
	c.Units, c.Damaged, c.Restarts = in.units, in.damaged, in.restarts
	c.RoundTrip = in.queue.rtt
	return c
}

// ticksToDuration converts from 90 kHz, without overflow for centuries.
func ticksToDuration(n int64) time.Duration {
	s, rest := n/90000, n%90000
	return time.Duration(s)*time.Second + time.Duration(rest)*time.Second/90000
}

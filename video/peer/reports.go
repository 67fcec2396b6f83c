package peer

import (
	"time"

	"github.com/pion/rtcp"

	"stationd/video/stream"
)

// A sender's reports tell its peer which moment a timestamp is. A browser plays
// sound and picture in step by them: so both speak of the stream's timeline, and
// not of the moment in which a packet happened to leave, which for a picture
// from the cache is another one.

// reportEvery is how often a sender reports while it sends.
const reportEvery = time.Second

// reports is when was reported, and what for.
type reports struct {
	next time.Time
	// sent are the last reports, by what the peer repeats of them.
	sent [4]struct {
		middle uint32
		at     time.Time
	}
	n int
}

// report is the report that is due with the unit that was sent last, or nil.
func (o *outlet) report(u *stream.Unit, begin, now time.Time) *rtcp.SenderReport {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := &o.reports
	if o.to == nil || now.Before(r.next) {
		return nil
	}
	r.next = now.Add(reportEvery)
	ntp := ntpOf(begin.Add(u.PTS))
	r.sent[r.n%len(r.sent)].middle, r.sent[r.n%len(r.sent)].at = uint32(ntp>>16), now
	r.n++
	return &rtcp.SenderReport{
		SSRC: o.header.SSRC, NTPTime: ntp, RTPTime: u.Packets[0].Timestamp + o.offset,
		PacketCount: uint32(o.count.Packets), OctetCount: uint32(o.count.Bytes),
	}
}

// hear takes the round trip from a receiver report (RFC 3550, 6.4.1).
func (o *outlet) hear(r *rtcp.ReceiverReport, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, b := range r.Reports {
		if b.SSRC != o.header.SSRC || b.LastSenderReport == 0 {
			continue
		}
		for _, s := range o.reports.sent {
			if s.middle != b.LastSenderReport || s.at.IsZero() {
				continue
			}
			rtt := now.Sub(s.at) - time.Duration(b.Delay)*time.Second/65536
			if rtt < 0 || rtt > time.Minute {
				continue
			}
			if o.rtt == 0 {
				o.rtt = rtt
			} else {
				o.rtt += (rtt - o.rtt) / 4
			}
		}
	}
}

// ntpOf is a moment as RTCP has it: seconds since 1900 and their fraction.
func ntpOf(t time.Time) uint64 {
	const since1900 = 2208988800
	return uint64(t.Unix()+since1900)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

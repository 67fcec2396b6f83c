package videotest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// camera is one path: a film that runs for ever, and whether it can be seen.
type camera struct {
	film   Film
	media  *description.Media
	format *format.H264
	coder  rtph264.Encoder

	// Guarded by Server.mu:
	stream *gortsplib.ServerStream // nil while cut
	ssrc   uint32
	hung   bool
	served int // sessions that ever played
}

// reportEvery is how often sender reports are sent.
const reportEvery = 2 * time.Second

func newCamera(f Film) (*camera, error) {
	if len(f.Units) == 0 {
		return nil, fmt.Errorf("film %q is empty", f.Name)
	}
	c := &camera{film: f, format: &format.H264{PayloadTyp: 96, PacketizationMode: 1}}
	for _, n := range f.Units[0] {
		switch n[0] & 0x1f {
		case 7:
			c.format.SPS = n
		case 8:
			c.format.PPS = n
		}
	}
	c.media = &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{c.format}}
	c.coder = rtph264.Encoder{PayloadType: 96, PacketizationMode: 1}
	if err := c.coder.Init(); err != nil {
		return nil, fmt.Errorf("film %q: %w", f.Name, err)
	}
	return c, nil
}

// open makes the camera reachable.
func (c *camera) open(s *gortsplib.Server) error {
	st := &gortsplib.ServerStream{
		Server: s,
		Desc:   &description.Session{Title: c.film.Title, Medias: []*description.Media{c.media}},
	}
	if err := st.Initialize(); err != nil {
		return fmt.Errorf("open %q: %w", c.film.Name, err)
	}
	c.stream = st
	c.ssrc = st.Stats().Medias[c.media].Formats[c.format].LocalSSRC
	return nil
}

// play writes the film to whoever watches, until ctx ends.
func (s *Server) play(ctx context.Context, c *camera) {
	begin := time.Now()
	base := rand.Uint32()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var packets, octets uint32
	var reported time.Time

	for n := 0; ; n++ {
		due := begin.Add(time.Duration(n) * Interval)
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		timestamp := base + uint32(n)*uint32(Interval*90000/time.Second)
		out, err := c.coder.Encode(c.film.Units[n%len(c.film.Units)])
		if err != nil {
			continue // an empty unit; the films have none
		}
		s.mu.Lock()
		stream, ssrc := c.stream, c.ssrc
		if c.hung {
			stream = nil
		}
		s.mu.Unlock()
		if stream == nil {
			continue
		}
		for _, p := range out {
			p.Timestamp = timestamp
			packets++
			octets += uint32(len(p.Payload))
			s.send(stream, c, p, due)
		}
		if due.Sub(reported) >= reportEvery {
			reported = due
			_ = stream.WritePacketRTCP(c.media, &rtcp.SenderReport{
				SSRC: ssrc, NTPTime: ntp(due), RTPTime: timestamp,
				PacketCount: packets, OctetCount: octets,
			})
		}
	}
}

// send fails when the camera was cut at this moment; there is nothing to do.
func (s *Server) send(stream *gortsplib.ServerStream, c *camera, p *rtp.Packet, at time.Time) {
	_ = stream.WritePacketRTPWithNTP(c.media, p, at)
}

// ntp is the time as RTCP has it: seconds since 1900 and their fraction. The
// library's own reports put nanoseconds in the fraction, so it is not asked.
func ntp(t time.Time) uint64 {
	const from1900 = 2208988800
	return uint64(t.Unix()+from1900)<<32 | uint64(t.Nanosecond())<<32/1e9
}

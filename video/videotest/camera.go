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
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph265"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// camera is one path: a film that runs for ever, and whether it can be seen.
type camera struct {
	voice *voice             // nil without sound
	back  *description.Media // nil without a loudspeaker

	// Guarded by Server.mu:
	reel
	begin  int                     // the film begins anew with the picture that is so many from now; 0: it does not
	clock  time.Duration           // how wrong its own clock is, beyond Config.ClockOffset
	stream *gortsplib.ServerStream // nil while cut
	hung   bool
	served int // sessions that ever played
	said   []Said
}

// reportEvery is how often sender reports are sent.
const reportEvery = 2 * time.Second

// reel is a film as it is sent.
type reel struct {
	film   Film
	medias []*description.Media // the video, and the sound and the loudspeaker if there are any
	format format.Format
	encode func(unit [][]byte) ([]*rtp.Packet, error)
}

func newCamera(f Film, sound, hears string) (*camera, error) {
	voice, err := newVoice(sound)
	if err != nil {
		return nil, err
	}
	back, err := backchannel(hears)
	if err != nil {
		return nil, err
	}
	c := &camera{voice: voice, back: back}
	return c, c.load(f)
}

// load puts a film in.
func (c *camera) load(f Film) error {
	if len(f.Units) == 0 {
		return fmt.Errorf("film %q is empty", f.Name)
	}
	r := reel{film: f}
	if f.H265 {
		h265 := &format.H265{PayloadTyp: 96}
		for _, n := range f.Units[0] {
			switch n[0] >> 1 & 0x3f {
			case 32:
				h265.VPS = n
			case 33:
				h265.SPS = n
			case 34:
				h265.PPS = n
			}
		}
		coder := &rtph265.Encoder{PayloadType: 96}
		if err := coder.Init(); err != nil {
			return fmt.Errorf("film %q: %w", f.Name, err)
		}
		r.format, r.encode = h265, coder.Encode
	} else {
		h264 := &format.H264{PayloadTyp: 96, PacketizationMode: 1}
		for _, n := range f.Units[0] {
			switch n[0] & 0x1f {
			case 7:
				h264.SPS = n
			case 8:
				h264.PPS = n
			}
		}
		coder := &rtph264.Encoder{PayloadType: 96, PacketizationMode: 1}
		if err := coder.Init(); err != nil {
			return fmt.Errorf("film %q: %w", f.Name, err)
		}
		r.format, r.encode = h264, coder.Encode
	}
	r.medias = []*description.Media{{Type: description.MediaTypeVideo, Formats: []format.Format{r.format}}}
	if c.voice != nil {
		r.medias = append(r.medias, &description.Media{Type: description.MediaTypeAudio, Formats: []format.Format{c.voice.format}})
	}
	if c.back != nil {
		r.medias = append(r.medias, c.back)
	}
	c.reel = r
	return nil
}

// open makes the camera reachable.
func (c *camera) open(s *gortsplib.Server) error {
	st := &gortsplib.ServerStream{
		Server: s,
		Desc:   &description.Session{Title: c.film.Title, Medias: c.medias},
	}
	if err := st.Initialize(); err != nil {
		return fmt.Errorf("open %q: %w", c.film.Name, err)
	}
	c.stream, c.begin = st, 1
	return nil
}

// ssrc is that of a track now.
func (c *camera) ssrc(track int) uint32 {
	m := c.medias[track]
	return c.stream.Stats().Medias[m].Formats[m.Formats[0]].LocalSSRC
}

// play writes the film to whoever watches, until ctx ends.
func (s *Server) play(ctx context.Context, c *camera) {
	begin := time.Now()
	base := rand.Uint32()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var packets, octets uint32
	var reported time.Time

	for n, at := 0, 0; ; n, at = n+1, at+1 {
		due := begin.Add(time.Duration(n) * Interval)
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		timestamp := base + uint32(n)*uint32(Interval*90000/time.Second)
		s.mu.Lock()
		stream := c.stream
		if c.hung {
			stream = nil
		}
		if stream == nil {
			s.mu.Unlock()
			continue
		}
		if c.begin > 0 {
			if c.begin--; c.begin == 0 {
				at = 0
			}
		}
		reel, ssrc, clock := c.reel, c.ssrc(0), s.cfg.ClockOffset+c.clock
		s.mu.Unlock()
		out, err := reel.encode(reel.film.Units[at%len(reel.film.Units)])
		if err != nil {
			continue // an empty unit; the films have none
		}
		for _, p := range out {
			p.Timestamp = timestamp
			packets++
			octets += uint32(len(p.Payload))
			s.send(stream, reel.medias[0], p, due)
		}
		if due.Sub(reported) >= reportEvery {
			reported = due
			_ = stream.WritePacketRTCP(reel.medias[0], &rtcp.SenderReport{
				SSRC: ssrc, NTPTime: ntp(due.Add(clock)), RTPTime: timestamp,
				PacketCount: packets, OctetCount: octets,
			})
		}
	}
}

// speak is play for the sound.
func (s *Server) speak(ctx context.Context, c *camera) {
	begin := time.Now()
	base := rand.Uint32()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var reported time.Time
	for n := 0; ; n++ {
		due := begin.Add(c.voice.due(n))
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		s.mu.Lock()
		stream := c.stream
		if c.hung || stream == nil {
			s.mu.Unlock()
			continue
		}
		media, ssrc := c.medias[1], c.ssrc(1)
		s.mu.Unlock()
		p := c.voice.packet(n, base)
		s.send(stream, media, p, due)
		if due.Sub(reported) >= reportEvery {
			reported = due
			_ = stream.WritePacketRTCP(media, &rtcp.SenderReport{
				SSRC: ssrc, NTPTime: ntp(due.Add(s.cfg.ClockOffset)), RTPTime: p.Timestamp, PacketCount: uint32(n),
			})
		}
	}
}

// send fails when the camera was cut at this moment; there is nothing to do.
func (s *Server) send(stream *gortsplib.ServerStream, media *description.Media, p *rtp.Packet, at time.Time) {
	_ = stream.WritePacketRTPWithNTP(media, p, at)
}

// ntp is the time as RTCP has it: seconds since 1900 and their fraction. The
// library's own reports put nanoseconds in the fraction, so it is not asked.
func ntp(t time.Time) uint64 {
	const from1900 = 2208988800
	return uint64(t.Unix()+from1900)<<32 | uint64(t.Nanosecond())<<32/1e9
}

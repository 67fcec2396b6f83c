package restream

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"stationd/agent/station"
	"stationd/video/stream"
)

// consumer is one session: a reader of a camera's stream with sequence numbers of
// its own.
type consumer struct {
	camera  string
	role    station.StreamRole
	from    *stream.Stream
	release func()
	params  stream.Params

	description    *description.Session
	picture, voice *line // voice is nil without sound

	session        *gortsplib.ServerSession
	out            *gortsplib.ServerStream
	visit, address string
	spread         bool // over UDP: a burst would overrun the receiver
	cancel         context.CancelFunc
	full           atomic.Bool // a packet was not taken
}

// line is a picture or a sound on its way out.
type line struct {
	media           *description.Media
	payloadType     uint8
	rate            int64
	seq             uint16
	offset          uint32
	packets, octets uint32
	ssrc            uint32
	reported        time.Time
}

func newLine(kind description.MediaType, f format.Format) *line {
	return &line{
		media:       &description.Media{Type: kind, Formats: []format.Format{f}},
		payloadType: f.PayloadType(), rate: int64(f.ClockRate()), seq: uint16(rand.Uint32()), offset: rand.Uint32(),
	}
}

const (
	picturePayload = 96
	soundPayload   = 97
)

// newConsumer describes what the camera sends.
func newConsumer(camera string, role station.StreamRole, from *stream.Stream, release func(), p stream.Params) (*consumer, error) {
	c := &consumer{camera: camera, role: role, from: from, release: release, params: p}
	switch p.Codec {
	case stream.H264:
		c.picture = newLine(description.MediaTypeVideo, &format.H264{PayloadTyp: picturePayload, PacketizationMode: 1, SPS: p.SPS, PPS: p.PPS})
	case stream.H265:
		c.picture = newLine(description.MediaTypeVideo, &format.H265{PayloadTyp: picturePayload, VPS: p.VPS, SPS: p.SPS, PPS: p.PPS})
	default:
		return nil, fmt.Errorf("pictures of %q", p.Codec)
	}
	c.description = &description.Session{Title: camera, Medias: []*description.Media{c.picture.media}}
	if p.Sound == nil {
		return c, nil
	}
	f, err := soundFormat(p.Sound)
	if err != nil {
		return nil, err
	}
	c.voice = newLine(description.MediaTypeAudio, f)
	c.description.Medias = append(c.description.Medias, c.voice.media)
	return c, nil
}

func soundFormat(s *stream.Sound) (format.Format, error) {
	switch s.Codec {
	case stream.PCMA, stream.PCMU:
		f := &format.G711{PayloadTyp: soundPayload, MULaw: s.Codec == stream.PCMU, SampleRate: s.Rate, ChannelCount: s.Channels}
		if s.Rate == 8000 && s.Channels == 1 { // the numbers of RFC 3551, which old software goes by
			f.PayloadTyp = 8
			if f.MULaw {
				f.PayloadTyp = 0
			}
		}
		return f, nil
	case stream.Opus:
		return &format.Opus{PayloadTyp: soundPayload, ChannelCount: s.Channels}, nil
	case stream.AAC:
		var config mpeg4audio.AudioSpecificConfig
		if err := config.Unmarshal(s.Config); err != nil {
			return nil, fmt.Errorf("read the configuration of the sound: %w", err)
		}
		return &format.MPEG4Audio{PayloadTyp: soundPayload, ProfileLevelID: 1, Config: &config, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3}, nil
	}
	return nil, fmt.Errorf("sound of %q", s.Codec)
}

// sdp is the description as it is sent. A stream of the library would make the
// same, and start what nobody ends.
func (c *consumer) sdp() ([]byte, error) {
	d := description.Session{Title: c.description.Title}
	for i, m := range c.description.Medias {
		d.Medias = append(d.Medias, &description.Media{Type: m.Type, Formats: m.Formats, Control: "trackID=" + strconv.Itoa(i)})
	}
	b, err := d.Marshal(false)
	if err != nil {
		return nil, fmt.Errorf("describe the camera: %w", err)
	}
	return b, nil
}

// end lets go of what the consumer holds.
func (c *consumer) end() {
	c.out.Close()
	c.release()
}

const (
	// askAgain is how often is asked whether a consumer still may.
	askAgain = 10 * time.Second
	// reportEvery is how often a consumer is told the time of what it gets.
	reportEvery = 2 * time.Second
	// behind is how many units a consumer may be late before it skips.
	behind = 100
	// burst is how many packets go out over UDP in a millisecond.
	burst = 16
)

// serve sends to one consumer until ctx ends.
func (s *Server) serve(ctx context.Context, c *consumer) {
	defer c.end()
	defer c.session.Close()
	s.log.Info("consumer began", "camera", c.camera, "address", c.address)
	err := s.play(ctx, c)
	s.log.Info("consumer ended", "camera", c.camera, "address", c.address, "cause", err)
}

func (s *Server) play(ctx context.Context, c *consumer) error {
	reader := c.from.Read(stream.ReadOptions{Name: "restream " + c.address, Capacity: behind, FromCache: true, Pace: true, Sound: c.voice != nil})
	defer reader.Close()
	var zero time.Time // the moment of the stream's beginning, for the reports
	asked := time.Now()
	waiting := false // for a key picture, because a packet was not taken
	for {
		u, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		if now := time.Now(); now.Sub(asked) > askAgain {
			asked = now
			if err := s.deps.Guard.May(ctx, c.visit, c.address, c.camera); err != nil {
				return err
			}
		}
		if zero.IsZero() {
			zero = u.Arrival.Add(-u.PTS)
		}
		l, packets := c.picture, u.Packets
		switch {
		case u.Sound != nil:
			if l = c.voice; waiting {
				continue
			}
			if c.params.Sound.Codec == stream.AAC {
				packets = aacPackets(u, l.rate)
			}
		case u.Key && u.Params != nil && !same(u.Params, &c.params):
			return fmt.Errorf("the camera sends another format now")
		case waiting && !u.Key:
			s.skipped()
			continue
		}
		waiting = false
		c.full.Store(false)
		if !c.send(ctx, l, packets) {
			waiting = true
			s.skipped()
			continue
		}
		c.report(l, u, zero)
	}
}

func (s *Server) skipped() {
	s.mu.Lock()
	s.usage.Skipped++
	s.mu.Unlock()
}

// same tells whether what was described still holds.
func same(now, was *stream.Params) bool {
	if now.Codec != was.Codec || (was.Sound == nil) != (now.Sound == nil) {
		return false
	}
	return was.Sound == nil || was.Sound.Codec == now.Sound.Codec && was.Sound.Rate == now.Sound.Rate && was.Sound.Channels == now.Sound.Channels
}

// send sends packets of one unit; false when one was not taken.
func (c *consumer) send(ctx context.Context, l *line, packets []*rtp.Packet) bool {
	for i, p := range packets {
		if c.spread && i > 0 && i%burst == 0 {
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
				return false
			}
		}
		out := &rtp.Packet{Header: rtp.Header{
			Version: 2, PayloadType: l.payloadType, SequenceNumber: l.seq, Timestamp: p.Timestamp + l.offset, Marker: p.Marker,
		}, Payload: p.Payload}
		if err := c.out.WritePacketRTP(l.media, out); err != nil || c.full.Load() {
			return false
		}
		l.seq++
		l.packets++
		l.octets += uint32(len(p.Payload))
		l.ssrc = out.SSRC
	}
	return true
}

// report tells which moment the unit's timestamp is, for picture and sound by
// the same clock.
func (c *consumer) report(l *line, u *stream.Unit, zero time.Time) {
	if len(u.Packets) == 0 && u.Sound == nil || time.Since(l.reported) < reportEvery {
		return
	}
	l.reported = time.Now()
	const since1900 = 2208988800
	at := zero.Add(u.PTS)
	_ = c.out.WritePacketRTCP(l.media, &rtcp.SenderReport{ // who is gone ends by itself
		SSRC: l.ssrc, NTPTime: uint64(at.Unix()+since1900)<<32 | uint64(at.Nanosecond())<<32/uint64(time.Second),
		RTPTime: timestamp(u.PTS, l.rate) + l.offset, PacketCount: l.packets, OctetCount: l.octets,
	})
}

// timestamp is a place on the timeline by a clock of so many ticks a second.
func timestamp(at time.Duration, rate int64) uint32 {
	s, rest := int64(at/time.Second), int64(at%time.Second)
	return uint32(s*rate + rest*rate/int64(time.Second))
}

// aacPackets cuts a frame of AAC for RTP (RFC 3640, mode AAC-hbr).
func aacPackets(u *stream.Unit, rate int64) []*rtp.Packet {
	const headers = 4
	if len(u.Sound) >= 1<<13 {
		return nil
	}
	var out []*rtp.Packet
	for rest := u.Sound; len(rest) > 0; {
		n := min(len(rest), stream.MaxPayload-headers)
		payload := make([]byte, headers, headers+n)
		binary.BigEndian.PutUint16(payload, 16)                          // bits of headers
		binary.BigEndian.PutUint16(payload[2:], uint16(len(u.Sound)<<3)) // the whole frame's size, and no index
		out = append(out, &rtp.Packet{
			Header:  rtp.Header{Timestamp: timestamp(u.PTS, rate), Marker: n == len(rest)},
			Payload: append(payload, rest[:n]...),
		})
		rest = rest[n:]
	}
	return out
}

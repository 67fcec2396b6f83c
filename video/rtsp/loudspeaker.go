package rtsp

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"stationd/agent/station"
	"stationd/video/stream"
)

// Loudspeaker is what a camera takes for its loudspeaker. The zero one is of a
// camera that takes nothing.
type Loudspeaker struct {
	// Codec is what can be sent to it: PCMA, PCMU or Opus of package stream.
	Codec string
	// Other is what it takes where Codec is empty, in its maker's words: "AAC".
	Other string
}

// Ask asks a camera whether it has a backchannel (ONVIF Streaming Specification,
// 5.3), over a connection of its own: nothing is set up, so that no session of the
// camera is taken, and a camera that stumbles over the question goes on sending
// its pictures. An error is that it could not be asked.
func Ask(ctx context.Context, cfg Config, log *slog.Logger) (Loudspeaker, error) {
	s := New(cfg, nil, log)
	if s.bad != nil {
		return Loudspeaker{}, s.bad
	}
	c, err := s.call(gortsplib.TransportTCP)
	if err != nil {
		return Loudspeaker{}, s.problem(err)
	}
	defer c.client.Close()
	stop := context.AfterFunc(ctx, c.client.Close)
	defer stop()
	_, _, l, err := c.describe()
	if err != nil && ctx.Err() != nil {
		return Loudspeaker{}, context.Cause(ctx)
	} else if err != nil {
		return Loudspeaker{}, s.problem(err)
	}
	return l.Loudspeaker, nil
}

// call is a client that asks for the backchannel.
type call struct {
	line
	client *gortsplib.Client
}

const (
	// voiceRoom is what may wait in the system, half a second of voice or so with
	// what the system adds to each packet: by itself it would keep minutes, and the
	// camera would say them late.
	voiceRoom = 16 << 10
	// voiceStalls is how long a camera may read nothing before it is hung up.
	voiceStalls = 3 * time.Second
)

// call connects to nobody yet.
func (s *Source) call(transport gortsplib.Transport) (*call, error) {
	c := &call{line: line{s: s, transport: transport, room: voiceRoom}}
	c.client = &gortsplib.Client{
		Scheme:       s.url.Scheme,
		Host:         s.url.Host,
		Transport:    &c.transport,
		TLSConfig:    s.tlsConfig(),
		ReadTimeout:  s.cfg.RequestTimeout,
		WriteTimeout: min(s.cfg.RequestTimeout, voiceStalls),
		UserAgent:    "stationd",
		DialContext:  c.dial,
		ListenPacket: listenPacket,
		OnResponse:   c.answered,
		// A power of two, and as few as that: what waits waits in Voice, which
		// leaves out the oldest.
		WriteQueueSize:           2,
		RequestBackChannels:      true,
		DisableRTCPSenderReports: true, // the library's have a wrong fraction of the second
		OnPacketsLost:            func(uint64) {},
		OnDecodeError:            func(error) {},
		OnTransportSwitch:        func(error) {},
	}
	return c, c.client.Start2()
}

// speaker is a loudspeaker with what the library has of it.
type speaker struct {
	Loudspeaker
	media *description.Media
	via   format.Format
}

// describe asks, with "Require: www.onvif.org/ver20/backchannel". A camera that
// does not know that says 551, or, as it often is, something else; either way it
// takes no voice.
func (c *call) describe() (*description.Session, *base.Response, speaker, error) {
	desc, res, err := c.client.Describe(c.s.address())
	var code liberrors.ErrClientBadStatusCode
	if errors.As(err, &code) && !telling(code.Code) {
		return nil, res, speaker{}, nil
	}
	if err != nil {
		return nil, res, speaker{}, err
	}
	return desc, res, findSpeaker(desc), nil
}

// telling tells that a refusal has to do with something else than with what is
// asked for.
func telling(code base.StatusCode) bool {
	switch code {
	case base.StatusUnauthorized, base.StatusForbidden, base.StatusNotFound, base.StatusGone,
		base.StatusNotEnoughBandwidth, base.StatusServiceUnavailable:
		return true
	}
	return false
}

// findSpeaker picks what a voice can be sent to: G.711 as browsers send it, which
// nearly every camera takes, or else Opus.
func findSpeaker(desc *description.Session) speaker {
	var opus, other speaker
	for _, m := range desc.Medias {
		if m.Type != description.MediaTypeAudio || !m.IsBackChannel || m.Secure {
			continue
		}
		for _, f := range m.Formats {
			switch f := f.(type) {
			case *format.G711:
				if f.SampleRate == 8000 && f.ChannelCount == 1 {
					codec := stream.PCMA
					if f.MULaw {
						codec = stream.PCMU
					}
					return speaker{Loudspeaker{Codec: codec}, m, f}
				}
			case *format.Opus:
				if opus.media == nil && f.ChannelCount <= 2 {
					opus = speaker{Loudspeaker{Codec: stream.Opus}, m, f}
				}
			}
			if other.Other == "" {
				other.Other = formatName(f)
			}
		}
	}
	if opus.media != nil {
		return opus
	}
	return other
}

// formatName is what a camera's own settings call a format.
func formatName(f format.Format) string {
	switch f := f.(type) {
	case *format.MPEG4Audio, *format.MPEG4AudioLATM:
		return "AAC"
	case *format.G711:
		return "G.711 with another sample rate"
	case *format.G726:
		return "G.726"
	case *format.G722:
		return "G.722"
	default:
		return f.Codec()
	}
}

// problem is why a camera cannot be talked to, for who would.
func (s *Source) problem(err error) error {
	f := s.diagnose(err)
	return station.Errorf(502, "camera."+string(f.status), f.hint, "%s", f.cause).Because(f)
}

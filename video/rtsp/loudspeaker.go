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
)

// Loudspeaker is what a camera takes for its loudspeaker. The zero one is of a
// camera that takes nothing.
type Loudspeaker struct {
	// Codec is what can be sent to it: PCMA, PCMU or Opus of package stream.
	Codec string
	// Other is what it takes where Codec is empty: "AAC".
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
	_, l, err := c.describe()
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
	// Of what was described: whether anything was, and what it takes.
	described bool
	takes     Loudspeaker
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

// answered takes in each answer before the library does.
func (c *call) answered(res *base.Response) {
	c.line.answered(res)
	if res.StatusCode == base.StatusOK && len(res.Body) > 0 {
		c.described = true
		res.Body, c.takes = onlyBackchannel(res.Body)
	}
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
func (c *call) describe() (*base.URL, speaker, error) {
	desc, _, err := c.client.Describe(c.s.address())
	var code liberrors.ErrClientBadStatusCode
	switch {
	case errors.As(err, &code) && !telling(code.Code):
		return nil, speaker{}, nil
	case c.described && c.takes.Codec == "":
		return nil, speaker{Loudspeaker: c.takes}, nil // the library finds no track left
	case err != nil:
		return nil, speaker{}, err
	}
	for _, m := range desc.Medias {
		if m.IsBackChannel && len(m.Formats) == 1 {
			return desc.BaseURL, speaker{c.takes, m, m.Formats[0]}, nil
		}
	}
	return nil, speaker{}, nil
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

// problem is why a camera cannot be talked to, for who would.
func (s *Source) problem(err error) error {
	f := s.diagnose(err)
	return station.Errorf(502, "camera."+string(f.status), f.hint, "%s", f.cause).Because(f)
}

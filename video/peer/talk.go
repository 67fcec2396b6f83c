package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pion/webrtc/v4"

	"stationd/agent/station"
)

// Talking is the other direction: a browser's microphone, on its way to the
// loudspeaker of a camera. Every browser sends G.711, which is what nearly every
// camera takes, and Opus, so nothing is coded anew: the one codec that the camera
// takes is answered.

var errVoice = &station.Problem{
	Code: "talk.format", Status: 415, Message: "this browser sends no sound that the camera takes",
	Hint: "allow the page to use the microphone, and use Chrome, Edge, Firefox or Safari",
}

// Talk takes in the voice that a browser offers, of a codec of package stream
// (PCMA, PCMU or Opus), and hands each packet's payload to hear, for it to keep, with
// its timestamp of the codec's clock, one after the other, as it comes: what was lost
// on the way is left out.
// ctx bounds the negotiation only.
func (h *Hub) Talk(ctx context.Context, offer, codec string, hear func(payload []byte, timestamp uint32)) (*Session, error) {
	switch {
	case len(offer) > maxOffer:
		return nil, errOffer(fmt.Errorf("%d bytes", len(offer)))
	case !strings.HasPrefix(offer, "v=0"), strings.Count(offer, "\nm=") > maxSections:
		return nil, errOffer(errors.New("no session description"))
	case !strings.Contains(offer, "\nm=audio "):
		return nil, errVoice
	}
	r, err := h.enter()
	if err != nil {
		return nil, err
	}
	s, err := h.talk(ctx, r, offer, codec, hear)
	if err != nil {
		h.leave()
		return nil, err
	}
	return s, nil
}

func (h *Hub) talk(ctx context.Context, r *running, offer, codec string, hear func([]byte, uint32)) (*Session, error) {
	api := r.hearing[codec]
	if api == nil {
		return nil, fmt.Errorf("talk: no voice is taken as %q", codec)
	}
	s, err := h.open(r, "talker", api)
	if err != nil {
		return nil, fmt.Errorf("open talker: %w", err)
	}
	tracks := make(chan incoming, 1)
	s.pc.OnTrack(func(t *webrtc.TrackRemote, from *webrtc.RTPReceiver) {
		select {
		case tracks <- incoming{t, from}:
		default: // one voice
		}
	})
	if err := s.negotiate(ctx, r, offer, "audio"); err != nil {
		s.abandon()
		if errors.Is(err, errFormat) {
			return nil, errVoice
		}
		return nil, err
	}
	h.keep(s)
	go s.run(func(ctx context.Context) error {
		select {
		case t := <-tracks:
			s.help(func() { readReports(s.life, t.receiver) })
			return listenTo(ctx, t.track, hear)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	return s, nil
}

// listenTo hands on what comes until ctx ends or nothing more can come.
func listenTo(ctx context.Context, track *webrtc.TrackRemote, hear func([]byte, uint32)) error {
	stop := context.AfterFunc(ctx, func() { _ = track.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var last uint16
	begun := false
	for {
		p, _, err := track.ReadRTP()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, io.EOF):
			return ErrPeerGone
		case err != nil, len(p.Payload) == 0, begun && int16(p.SequenceNumber-last) <= 0:
			continue
		}
		begun, last = true, p.SequenceNumber
		hear(p.Payload, p.Timestamp)
	}
}

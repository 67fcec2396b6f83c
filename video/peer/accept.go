package peer

import (
	"context"
	"fmt"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"stationd/video/stream"
)

const (
	// lookEvery is how often a receiving session looks for what is missing.
	lookEvery = 10 * time.Millisecond
	// silentAfter is how long a leg may bring no picture before its stream is
	// told that the source is lost.
	silentAfter = 5 * time.Second
)

// Accept takes in the leg that a station offers, and writes its pictures into
// into, until the leg ends. The stream stays open and is told when the picture
// is lost; another leg may then write into it. ctx bounds the negotiation only.
func (h *Hub) Accept(ctx context.Context, offer string, into *stream.Stream) (*Session, error) {
	if err := checkOffer(offer); err != nil {
		return nil, err
	}
	r, err := h.enter()
	if err != nil {
		return nil, err
	}
	s, err := h.accept(ctx, r, offer, into)
	if err != nil {
		h.leave()
		return nil, err
	}
	return s, nil
}

func (h *Hub) accept(ctx context.Context, r *running, offer string, into *stream.Stream) (*Session, error) {
	s, err := h.open(r, "leg in", r.accepting)
	if err != nil {
		return nil, fmt.Errorf("open relay leg: %w", err)
	}
	tracks := make(chan incoming, 1)
	s.pc.OnTrack(func(t *webrtc.TrackRemote, from *webrtc.RTPReceiver) {
		select {
		case tracks <- incoming{t, from}:
		default: // a leg has one picture
		}
	})
	if err := s.answer(ctx, r, offer); err != nil {
		s.abandon()
		return nil, err
	}
	in := newInlet(into, s.tell)
	s.counts = in.counts
	h.keep(s)
	go s.run(func(ctx context.Context) error {
		defer into.Lost("the connection to the station ended")
		select {
		case t := <-tracks:
			s.help(func() { readReports(s.life, t.receiver) })
			s.help(func() { in.receive(s.life, t.track) })
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		return in.look(ctx)
	})
	return s, nil
}

type incoming struct {
	track    *webrtc.TrackRemote
	receiver *webrtc.RTPReceiver
}

// readReports reads the sender's reports, which pion's receiver reports need.
func readReports(life context.Context, from *webrtc.RTPReceiver) {
	for life.Err() == nil {
		if _, _, err := from.ReadRTCP(); err != nil {
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// receive reads packets until the session ends.
func (in *inlet) receive(life context.Context, track *webrtc.TrackRemote) {
	in.setSSRC(uint32(track.SSRC()))
	buf := make([]byte, 1500)
	for {
		n, _, err := track.Read(buf)
		if life.Err() != nil {
			return
		}
		if err != nil {
			time.Sleep(lookEvery)
			continue
		}
		var p rtp.Packet
		if p.Unmarshal(append([]byte(nil), buf[:n]...)) == nil {
			in.packet(&p, time.Now())
		}
	}
}

// look does until ctx ends what time demands.
func (in *inlet) look(ctx context.Context) error {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			in.tick(time.Now())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pion/webrtc/v4"

	"stationd/video/stream"
)

// tcpAfter is how long a leg tries UDP alone before it tries TCP too. A picture
// over TCP stands still for every lost packet, so it is the second choice.
const tcpAfter = 1500 * time.Millisecond

// Dial carries s outwards to a peer that accepts legs: exchange takes the offer
// there and brings the answer back. It blocks until the leg ends, and returns
// nil only when ctx was cancelled. A leg that broke cannot be mended; dial again.
// sent, which may be nil, is told of every packet's bytes on the line, the
// repeated ones too; it must not block.
func (h *Hub) Dial(ctx context.Context, s *stream.Stream, sent func(bytes int), exchange func(ctx context.Context, offer string) (answer string, err error)) error {
	r, err := h.enter()
	if err != nil {
		return err
	}
	sess, err := h.dial(ctx, r, s, sent, exchange)
	if err != nil {
		h.leave()
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	stop := context.AfterFunc(ctx, sess.Close)
	defer stop()
	<-sess.Done()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("relay leg: %w", sess.Err())
}

func (h *Hub) dial(ctx context.Context, r *running, from *stream.Stream, sent func(int), exchange func(context.Context, string) (string, error)) (*Session, error) {
	s, err := h.open(r, "leg out", r.dialling)
	if err != nil {
		return nil, fmt.Errorf("open relay leg: %w", err)
	}
	out := pictureOutlet(stream.H264, nil)
	out.spent = sent
	tcp, sender, err := s.call(ctx, out, exchange)
	if err != nil {
		s.abandon()
		return nil, fmt.Errorf("open relay leg: %w", err)
	}
	s.out, s.counts = out, out.counts
	h.keep(s)
	s.help(func() { out.listen(s.life, sender) })
	s.help(func() { s.tryTCP(tcp) })
	go s.run(func(ctx context.Context) error {
		p := &playing{name: "leg " + s.ID, from: from, out: out, tell: s.tell, pace: newPace(paceLeg, paceLeg, saveLeg)}
		return p.play(ctx)
	})
	return s, nil
}

// call negotiates as the one that calls. It returns the peer's TCP candidates,
// which are held back for a while.
func (s *Session) call(ctx context.Context, out *outlet, exchange func(context.Context, string) (string, error)) ([]string, *webrtc.RTPSender, error) {
	t, err := s.pc.AddTransceiverFromTrack(out, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		return nil, nil, err
	}
	offer, err := s.pc.CreateOffer(nil)
	if err != nil {
		return nil, nil, err
	}
	gathered := webrtc.GatheringCompletePromise(s.pc)
	if err := s.pc.SetLocalDescription(offer); err != nil {
		return nil, nil, err
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-s.life.Done():
		return nil, nil, errNotRunning
	}
	answer, err := exchange(ctx, s.pc.LocalDescription().SDP)
	if err != nil {
		return nil, nil, err
	}
	if len(answer) > maxOffer {
		return nil, nil, errors.New("the answer is too long")
	}
	rest, tcp := splitTCP(answer)
	if err := s.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: rest}); err != nil {
		return nil, nil, fmt.Errorf("take the answer: %w", err)
	}
	if !accepted(rest, "video") {
		return nil, nil, errNoCommonFormat
	}
	return tcp, t.Sender(), nil
}

// tryTCP hands in the TCP candidates if UDP has not connected in time.
func (s *Session) tryTCP(candidates []string) {
	t := time.NewTimer(tcpAfter)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.connected:
		return
	case <-s.life.Done():
		return
	}
	for _, c := range candidates {
		if err := s.pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: c}); err != nil {
			s.hub.log.Debug("candidate refused", "session", s.ID, "err", err)
		}
	}
}

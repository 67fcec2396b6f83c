package peer

import (
	"context"
	"fmt"
	"strings"

	"github.com/pion/webrtc/v4"

	"stationd/agent/station"
	"stationd/video/stream"
)

// maxOffer bounds a session description: Chrome's is 6 KB.
const maxOffer = 64 << 10

// maxSections bounds the media sections of an offer; each costs memory.
const maxSections = 8

func errOffer(err error) error {
	return station.Errorf(400, "video.offer", "reload the page; if it stays, use another browser",
		"the browser's offer cannot be understood").Because(err)
}

var errFormat = &station.Problem{
	Code: "video.format", Status: 415, Message: "this browser takes no H.264 video",
	Hint: "use Chrome, Edge, Firefox or Safari",
}

// checkOffer refuses what no peer of ours sends, before pion parses it.
func checkOffer(offer string) error {
	switch {
	case len(offer) > maxOffer:
		return errOffer(fmt.Errorf("%d bytes", len(offer)))
	case !strings.HasPrefix(offer, "v=0"):
		return errOffer(fmt.Errorf("no session description"))
	case strings.Count(offer, "\nm=") > maxSections:
		return errOffer(fmt.Errorf("more than %d media sections", maxSections))
	case !strings.Contains(offer, "\nm=video "):
		return errOffer(fmt.Errorf("no video section"))
	case !strings.Contains(strings.ToUpper(offer), " H264/90000"):
		return errFormat
	}
	return nil
}

// Watch lets a browser that made an offer watch s, and returns its session with
// the answer. ctx bounds the negotiation only: the session ends when the peer
// leaves, s or the Hub ends, or it is closed. Errors that people can mend are
// *station.Problem.
func (h *Hub) Watch(ctx context.Context, offer string, s *stream.Stream) (*Session, error) {
	if err := checkOffer(offer); err != nil {
		return nil, err
	}
	r, err := h.enter()
	if err != nil {
		return nil, err
	}
	sess, err := h.watch(ctx, r, offer, s)
	if err != nil {
		h.leave()
		return nil, err
	}
	return sess, nil
}

func (h *Hub) watch(ctx context.Context, r *running, offer string, from *stream.Stream) (*Session, error) {
	s, err := h.open(r, "viewer", r.watching)
	if err != nil {
		return nil, fmt.Errorf("open viewer: %w", err)
	}
	out := pictureOutlet(stream.H264, r.udp)
	sender, err := s.pc.AddTrack(out)
	if err != nil {
		s.abandon()
		return nil, fmt.Errorf("open viewer: %w", err)
	}
	if err := s.answer(ctx, r, offer); err != nil {
		s.abandon()
		return nil, err
	}
	s.out, s.counts = out, out.counts
	h.keep(s)
	s.help(func() { out.listen(s.life, sender) })
	go s.run(func(ctx context.Context) error {
		p := playing{name: "viewer " + s.ID, from: from, out: out, tell: s.tell, pace: newPace(paceViewer, saveViewer)}
		return p.play(ctx)
	})
	return s, nil
}

// answer negotiates as the one that is called: the whole answer at once, with
// the Hub's addresses.
func (s *Session) answer(ctx context.Context, r *running, offer string) (err error) {
	// What a stranger sends goes through a large parser.
	defer func() {
		if p := recover(); p != nil {
			err = errOffer(fmt.Errorf("panic: %v", p))
		}
	}()
	if err := s.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return errOffer(err)
	}
	answer, err := s.pc.CreateAnswer(nil)
	if err != nil {
		return errOffer(err)
	}
	gathered := webrtc.GatheringCompletePromise(s.pc)
	if err := s.pc.SetLocalDescription(answer); err != nil {
		return errOffer(err)
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.life.Done():
		return errNotRunning
	}
	if !accepted(answer.SDP) {
		return errFormat
	}
	var tcp uint16
	if r.tcp != nil {
		tcp = r.tcp.bound.Port()
	}
	addrs := reachable(s.hub.cfg.Advertise, r.udp.bound.Addr(), r.interfaces)
	s.Answer = withCandidates(s.pc.LocalDescription().SDP, candidateLines(addrs, r.udp.bound.Port(), tcp))
	return nil
}

// accepted tells whether an answer takes a video section.
func accepted(sdp string) bool {
	for _, l := range strings.Split(sdp, "\n") {
		if rest, ok := strings.CutPrefix(l, "m=video "); ok && !strings.HasPrefix(rest, "0 ") {
			return true
		}
	}
	return false
}

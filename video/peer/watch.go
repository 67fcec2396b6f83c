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
	Code: "video.format", Status: 415, Message: "this browser cannot show the camera's format",
	Hint: "use Chrome, Edge, Firefox or Safari; for a camera that sends H.265 alone, set it to H.264 or give its smaller stream",
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
	}
	if h264, h265 := Takes(offer); !h264 && !h265 {
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
	h264, h265 := Takes(offer)
	sends, known := from.Params()
	switch {
	case !known && !h264:
		sends.Codec = stream.H265
	case known && (sends.Codec == stream.H265 && !h265 || sends.Codec == stream.H264 && !h264):
		s.abandon()
		return nil, errFormat
	}
	p := &playing{
		name: "viewer " + s.ID, from: from, out: pictureOutlet(sends.Codec, r.udp), hears: hears(offer),
		tell: s.tell, pace: newPace(firstViewer, paceViewer, saveViewer),
	}
	if p.hears {
		p.voice = soundOutlet(sends.Sound, r.udp)
	}
	senders := map[*outlet]*webrtc.RTPSender{}
	for _, o := range []*outlet{p.out, p.voice} {
		if o == nil {
			continue
		}
		if senders[o], err = s.pc.AddTrack(o); err != nil {
			s.abandon()
			return nil, fmt.Errorf("open viewer: %w", err)
		}
	}
	if err := s.answer(ctx, r, offer); err != nil {
		s.abandon()
		return nil, err
	}
	s.out, s.counts = p.out, p.out.counts
	h.keep(s)
	for o, sender := range senders {
		s.help(func() { o.listen(s.life, sender) })
	}
	go s.run(p.play)
	return s, nil
}

// Takes tells which pictures an offer takes.
func Takes(offer string) (h264, h265 bool) {
	offer = strings.ToUpper(offer)
	return strings.Contains(offer, " H264/90000"), strings.Contains(offer, " H265/90000")
}

// hears tells whether an offer takes sound.
func hears(offer string) bool {
	return strings.Contains(offer, "\nm=audio ") && !strings.Contains(offer, "\nm=audio 0 ")
}

// answer negotiates as the one that is called: the whole answer at once, with
// the Hub's addresses.
func (s *Session) answer(ctx context.Context, r *running, offer string) error {
	return s.negotiate(ctx, r, offer, "video")
}

// negotiate answers an offer of which a section of the kind must be taken.
func (s *Session) negotiate(ctx context.Context, r *running, offer, kind string) (err error) {
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
	if !accepted(answer.SDP, kind) {
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

// accepted tells whether an answer takes a section of the kind.
func accepted(sdp, kind string) bool {
	for _, l := range strings.Split(sdp, "\n") {
		if rest, ok := strings.CutPrefix(l, "m="+kind+" "); ok && !strings.HasPrefix(rest, "0 ") {
			return true
		}
	}
	return false
}

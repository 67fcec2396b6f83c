package peertest

import (
	"strings"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
)

// Talker is a browser's microphone.
type Talker struct {
	pc    *webrtc.PeerConnection
	track *webrtc.TrackLocalStaticSample
}

// NewTalker makes one that speaks in a format: webrtc.MimeTypePCMA, PCMU or Opus.
func NewTalker(mime string) (*Talker, error) {
	m := &webrtc.MediaEngine{}
	if err := m.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	var set webrtc.SettingEngine
	set.SetIncludeLoopbackCandidate(true)
	api := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(&interceptor.Registry{}), webrtc.WithSettingEngine(set))
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	voice := webrtc.RTPCodecCapability{MimeType: mime, ClockRate: 8000}
	if strings.EqualFold(mime, webrtc.MimeTypeOpus) {
		voice.ClockRate, voice.Channels = 48000, 2
	}
	track, err := webrtc.NewTrackLocalStaticSample(voice, "voice", "microphone")
	if err == nil {
		_, err = pc.AddTrack(track)
	}
	if err != nil {
		_ = pc.Close()
		return nil, err
	}
	return &Talker{pc, track}, nil
}

// Offer is the offer, with all candidates.
func (t *Talker) Offer() (string, error) {
	offer, err := t.pc.CreateOffer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(t.pc)
	if err := t.pc.SetLocalDescription(offer); err != nil {
		return "", err
	}
	<-gathered
	return t.pc.LocalDescription().SDP, nil
}

// Take takes the answer.
func (t *Talker) Take(answer string) error {
	return t.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer})
}

// Say sends a piece of G.711, or what is as long as so much of it; one that is said before the connection stands is
// lost.
func (t *Talker) Say(g711 []byte) error {
	return t.track.WriteSample(media.Sample{Data: g711, Duration: time.Duration(len(g711)) * time.Second / 8000})
}

// Close hangs up.
func (t *Talker) Close() { _ = t.pc.GracefulClose() }

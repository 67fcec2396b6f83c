package peertest

import (
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// only is the one format of pictures of that name.
func only(codec string) []webrtc.RTPCodecParameters {
	if codec == "H265" {
		return []webrtc.RTPCodecParameters{{
			RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH265, ClockRate: 90000}, PayloadType: 116,
		}}
	}
	return []webrtc.RTPCodecParameters{{
		RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeH264, ClockRate: 90000,
			SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
		},
		PayloadType: 125,
	}}
}

// hear notes what comes of the sound until the track ends.
func (v *Viewer) hear(track *webrtc.TrackRemote) {
	for {
		p, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		v.mu.Lock()
		v.heard = append(v.heard, p.Header)
		v.heardMime = track.Codec().MimeType
		v.mu.Unlock()
	}
}

// Heard are the headers of the sound's packets so far, and its format.
func (v *Viewer) Heard() (mime string, heard []rtp.Header) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.heardMime, append([]rtp.Header(nil), v.heard...)
}

// Codec is the format of the pictures, empty before the first.
func (v *Viewer) Codec() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.track == nil {
		return ""
	}
	return v.track.Codec().MimeType
}

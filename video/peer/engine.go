package peer

import (
	"net"
	"net/netip"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/webrtc/v4"
)

// What pion is told. Its defaults are for a peer that does everything; a Hub
// needs one format, and repairs by its own rules (repair.go, asker.go), so of
// pion's interceptors only the receiver's reports are used.

// formats are the kinds of H.264 that are accepted, in order of preference. The
// first is what every browser takes. Cameras send Main and High all the same:
// decoders go by what is in the picture, and level-asymmetry-allowed covers the
// level. The others are for peers that offer nothing but them.
var formats = [...]string{"42e01f", "42001f", "4d001f", "640c1f", "64001f"}

func media(most int) (*webrtc.MediaEngine, error) {
	m := &webrtc.MediaEngine{}
	for i, profile := range formats[:most] {
		err := m.RegisterCodec(webrtc.RTPCodecParameters{
			RTPCodecCapability: webrtc.RTPCodecCapability{
				MimeType:    webrtc.MimeTypeH264,
				ClockRate:   90000,
				SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=" + profile,
				// No RTX: repetitions go out under their own sequence number,
				// which every peer understands and none asks for twice.
				RTCPFeedback: []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}},
			},
			PayloadType: webrtc.PayloadType(96 + i),
		}, webrtc.RTPCodecTypeVideo)
		if err != nil {
			return nil, err
		}
	}
	return m, nil
}

// more adds what viewers may be sent beside H.264: H.265 where the camera sends
// it and the browser takes it, and sound that needs no new coding.
func more(m *webrtc.MediaEngine) error {
	err := m.RegisterCodec(webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeH265, ClockRate: 90000, SDPFmtpLine: "level-id=186;profile-id=1;tier-flag=0;tx-mode=SRST",
			RTCPFeedback: []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}},
		},
		PayloadType: 110,
	}, webrtc.RTPCodecTypeVideo)
	if err != nil {
		return err
	}
	return voices(m, opus, pcma, pcmu)
}

// The kinds of sound.
var (
	opus = webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1"},
		PayloadType:        111,
	}
	pcmu = webrtc.RTPCodecParameters{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMU, ClockRate: 8000}, PayloadType: 0}
	pcma = webrtc.RTPCodecParameters{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMA, ClockRate: 8000}, PayloadType: 8}
)

func voices(m *webrtc.MediaEngine, all ...webrtc.RTPCodecParameters) error {
	for _, c := range all {
		if err := m.RegisterCodec(c, webrtc.RTPCodecTypeAudio); err != nil {
			return err
		}
	}
	return nil
}

// receiverReports are what a receiving end says of what it gets. A sending one writes its
// own reports, on the stream's timeline (outlet.go), and needs no interceptor.
func receiverReports(log logs) (*interceptor.Registry, error) {
	in, err := report.NewReceiverInterceptor(report.WithReceiverLoggerFactory(log))
	if err != nil {
		return nil, err
	}
	reg := &interceptor.Registry{}
	reg.Add(in)
	return reg, nil
}

// settings are common to both ends.
func settings(cfg Config, log logs) webrtc.SettingEngine {
	var s webrtc.SettingEngine
	s.LoggerFactory = log
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetIncludeLoopbackCandidate(true)
	// Two thirds silent is worth a word in pion's state, all of it is the end.
	s.SetICETimeouts(cfg.SessionTimeout/3, cfg.SessionTimeout-cfg.SessionTimeout/3, min(2*time.Second, cfg.SessionTimeout/4))
	return s
}

// watchingAPI is for viewers, who come to the Hub's ports.
func watchingAPI(cfg Config, log logs, udp udpMux, tcp *ice.TCPMuxDefault) (*webrtc.API, error) {
	m, err := media(len(formats))
	if err != nil {
		return nil, err
	}
	if err := more(m); err != nil {
		return nil, err
	}
	s := answering(cfg, log, udp, tcp)
	return webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(&interceptor.Registry{}), webrtc.WithSettingEngine(s)), nil
}

// hearingAPI is for those who speak, who come to the Hub's ports as well. They
// send the one codec that the camera takes.
func hearingAPI(cfg Config, log logs, udp udpMux, tcp *ice.TCPMuxDefault, voice webrtc.RTPCodecParameters) (*webrtc.API, error) {
	m := &webrtc.MediaEngine{}
	if err := voices(m, voice); err != nil {
		return nil, err
	}
	reg, err := receiverReports(log)
	if err != nil {
		return nil, err
	}
	s := answering(cfg, log, udp, tcp)
	return webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(reg), webrtc.WithSettingEngine(s)), nil
}

// acceptingAPI is for the legs of stations, which come to the Hub's ports too.
func acceptingAPI(cfg Config, log logs, udp udpMux, tcp *ice.TCPMuxDefault) (*webrtc.API, error) {
	m, err := media(len(formats))
	if err != nil {
		return nil, err
	}
	reg, err := receiverReports(log)
	if err != nil {
		return nil, err
	}
	s := answering(cfg, log, udp, tcp)
	return webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(reg), webrtc.WithSettingEngine(s)), nil
}

// answering are the settings for peers that come to the Hub's ports.
func answering(cfg Config, log logs, udp udpMux, tcp *ice.TCPMuxDefault) webrtc.SettingEngine {
	s := settings(cfg, log)
	s.SetLite(true)
	s.DisableActiveTCP(true)
	s.SetICEUDPMux(udp)
	types := []webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeTCP4}
	if udp.port.bound.Addr().Is6() {
		types = []webrtc.NetworkType{webrtc.NetworkTypeUDP6, webrtc.NetworkTypeTCP6}
	}
	if tcp == nil {
		types = types[:1]
	} else {
		s.SetICETCPMux(tcp)
		one := tcp.LocalAddr().(*net.TCPAddr).IP
		s.SetIPFilter(func(ip net.IP) bool { return ip.Equal(one) })
	}
	s.SetNetworkTypes(types)
	return s
}

// diallingAPI is for legs that go out, from ports of their own.
func diallingAPI(cfg Config, log logs) (*webrtc.API, error) {
	m, err := media(1)
	if err != nil {
		return nil, err
	}
	s := settings(cfg, log)
	s.SetNetworkTypes([]webrtc.NetworkType{
		webrtc.NetworkTypeUDP4, webrtc.NetworkTypeTCP4, webrtc.NetworkTypeUDP6, webrtc.NetworkTypeTCP6,
	})
	s.SetIPFilter(func(ip net.IP) bool {
		a, ok := netip.AddrFromSlice(ip)
		return ok && !a.Unmap().IsLinkLocalUnicast()
	})
	return webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(&interceptor.Registry{}), webrtc.WithSettingEngine(s)), nil
}

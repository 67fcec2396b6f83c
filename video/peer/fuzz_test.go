package peer

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"stationd/agent/station"
	"stationd/video/stream"
)

// Whatever arrives instead of an offer is refused with a problem.
func FuzzOffer(f *testing.F) {
	cfg := DefaultConfig()
	cfg.UDPListen, cfg.TCPListen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.SessionTimeout = time.Second
	h := New(cfg, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	<-h.Ready()
	f.Cleanup(func() { cancel(); <-done })

	const head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
	const video = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:96 H264/90000\r\n" +
		"a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n"
	const ice = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=setup:actpass\r\n" +
		"a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n"
	for _, s := range []string{
		"", "v=0", head, head + video, head + video + ice,
		head + video + ice + "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n",
		head + video + ice + "a=candidate:x\r\na=ssrc:1 cname:x\r\na=rid:h send\r\na=simulcast:send h\r\n",
		head + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:d\r\n" + video + ice,
		head + video + ice + video,
		"v=0\nm=video 9 x H264/90000 \n",
		head + strings.Replace(strings.Replace(video, "video 9", "audio 9", 1), "recvonly", "sendonly", 1) + ice,
		head + "m=audio 9 UDP/TLS/RTP/SAVPF 8 0\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\na=rtpmap:8 PCMA/8000\r\n" + ice,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, offer string) {
		if s, err := h.Talk(ctx, offer, stream.PCMA, func([]byte, uint32) {}); err == nil {
			s.Close()
			<-s.Done()
		} else if p, ok := station.AsProblem(err); !ok || p.Status < 400 || p.Status >= 500 || p.Hint == "" {
			t.Errorf("a voice: %v", err)
		}
		s, err := h.Watch(ctx, offer, stream.New(stream.Config{}))
		if err == nil {
			s.Close()
			<-s.Done()
			return
		}
		if p, ok := station.AsProblem(err); !ok || p.Status < 400 || p.Status >= 500 || p.Hint == "" {
			t.Errorf("got %v", err)
		}
	})
}

// Whatever packets arrive on a leg, it takes them without harm, and damages no
// bound.
func FuzzInlet(f *testing.F) {
	f.Add([]byte{0, 1, 0x80, 0x67, 1, 2, 3, 1, 2, 0x80, 0x65, 1, 2, 3})
	f.Add([]byte{0, 1, 0, 0x78, 0, 2, 0x67, 1, 0, 1, 0x80, 0x5c, 0x85, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		in := newInlet(stream.New(stream.Config{}), func(rtcp.Packet) {})
		now := time.Unix(1000, 0)
		seq, ts := uint16(0), uint32(0)
		for len(b) >= 4 {
			n := min(int(b[2]&0x7f)%16+1, len(b)-3)
			seq += uint16(int8(b[0]))
			ts += uint32(b[1])
			p := &rtp.Packet{Header: rtp.Header{SequenceNumber: seq, Timestamp: ts, Marker: b[2]&0x80 != 0}, Payload: b[3 : 3+n]}
			in.packet(p, now)
			now = now.Add(time.Duration(b[1]) * time.Millisecond)
			in.tick(now)
			b = b[3+n:]
		}
		if int16(in.queue.top-in.queue.next) < 0 || int(in.queue.top-in.queue.next) > window {
			t.Errorf("the window is from %d to %d", in.queue.next, in.queue.top)
		}
	})
}

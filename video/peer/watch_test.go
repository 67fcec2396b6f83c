package peer_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"stationd/agent/station"
	"stationd/video/peer"
	"stationd/video/peer/peertest"
	"stationd/video/stream"
)

func TestViewerSeesEveryPicture(t *testing.T) {
	h := hub(t, nil)
	s := stream.New(stream.Config{})
	f := play(t, s, 50, small)
	f.until(20)

	v := watch(t, h, f, s, repairing)
	p := v.until(5*time.Second, "pictures", atLeast(60))
	if _, broken := v.seen(); broken != 0 {
		t.Errorf("%d pictures were broken", broken)
	}
	if !p[0].key {
		t.Error("the first picture is no key picture")
	}
	if d := p[0].at.Sub(v.began); d > 600*time.Millisecond {
		t.Errorf("the first picture came after %v", d)
	} else {
		t.Logf("first picture after %v", d)
	}
	for i := 1; i < len(p); i++ {
		if p[i].n != p[i-1].n+1 {
			t.Fatalf("picture %d follows %d", p[i].n, p[i-1].n)
		}
		if int32(p[i].ts-p[i-1].ts) <= 0 {
			t.Fatalf("timestamp %d follows %d", p[i].ts, p[i-1].ts)
		}
	}
	seqs, _ := v.Sequences()
	for i := 1; i < len(seqs); i++ {
		if seqs[i] != seqs[i-1]+1 {
			t.Fatalf("sequence number %d follows %d", seqs[i], seqs[i-1])
		}
	}

	v.sess.Close()
	wait(t, 3*time.Second, "session done", v.sess.Done())
}

func TestViewerOverTCP(t *testing.T) {
	h := hub(t, nil)
	s := stream.New(stream.Config{})
	f := play(t, s, 50, small)
	v := watch(t, h, f, s, viewerOptions{Config: repairing.Config, answer: func(sdp string) string { return without(sdp, " udp ") }})
	v.until(10*time.Second, "pictures over TCP", atLeast(25))
	if !v.OverTCP() {
		t.Error("the pictures do not come over TCP")
	}
}

// The camera goes and comes back: the viewer stays, and is shown nothing old.
func TestViewerOutlivesTheCamera(t *testing.T) {
	h := hub(t, nil)
	s := stream.New(stream.Config{})
	f := play(t, s, 25, small)
	v := watch(t, h, f, s, repairing)
	v.until(5*time.Second, "pictures", atLeast(10))
	f.hold(true)
	s.Lost("cut")
	late := watch(t, h, f, s, repairing)
	wait(t, 5*time.Second, "a viewer without a camera", late.sess.Connected())
	before := f.count()
	f.hold(false)
	for _, v := range []*viewer{v, late} {
		p := v.until(5*time.Second, "pictures again", func(p []got) bool { return len(p) > 0 && p[len(p)-1].n > before+10 })
		for i := 1; i < len(p); i++ {
			if p[i].n != p[i-1].n+1 && !p[i].key {
				t.Errorf("picture %d follows %d", p[i].n, p[i-1].n)
			}
		}
	}
	if p, _ := late.seen(); p[0].n < before {
		t.Errorf("the late viewer was shown the old picture %d", p[0].n)
	}
}

func TestSessionEndsWhenThePeerVanishes(t *testing.T) {
	h := hub(t, func(c *peer.Config) { c.SessionTimeout = 2 * time.Second })
	udp, _ := h.Addr()
	relay := relayUDP(t, udp, 0)
	s := stream.New(stream.Config{})
	f := play(t, s, 25, small)
	v := watch(t, h, f, s, viewerOptions{answer: via("udp", relay.port())})
	v.until(5*time.Second, "pictures", atLeast(5))
	relay.dead.Store(true)
	began := time.Now()
	wait(t, 10*time.Second, "the end", v.sess.Done())
	t.Logf("ended after %v: %v", time.Since(began), v.sess.Err())
	if h.Usage().Sessions != 0 {
		t.Error("the session is still counted")
	}
}

func TestSessionEndsWhenNobodyConnects(t *testing.T) {
	h := hub(t, func(c *peer.Config) { c.SessionTimeout = time.Second })
	sess, err := h.Watch(context.Background(), offer(t), stream.New(stream.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	wait(t, 5*time.Second, "the end", sess.Done())
}

func TestSessionEndsWhenThePeerLeaves(t *testing.T) {
	h := hub(t, nil)
	s := stream.New(stream.Config{})
	f := play(t, s, 25, small)
	v := watch(t, h, f, s, viewerOptions{})
	v.until(5*time.Second, "pictures", atLeast(5))
	v.Close()
	wait(t, 5*time.Second, "the end", v.sess.Done())
}

func TestSessionEndsWithTheStream(t *testing.T) {
	h := hub(t, nil)
	s := stream.New(stream.Config{})
	f := play(t, s, 25, small)
	v := watch(t, h, f, s, viewerOptions{})
	v.until(5*time.Second, "pictures", atLeast(5))
	s.Close()
	wait(t, 5*time.Second, "the end", v.sess.Done())
}

func TestFull(t *testing.T) {
	h := hub(t, func(c *peer.Config) { c.MaxSessions = 1 })
	s := stream.New(stream.Config{})
	sess, err := h.Watch(context.Background(), offer(t), s)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Watch(context.Background(), offer(t), s)
	if p, ok := station.AsProblem(err); !ok || p.Status != 503 || p.Code != "video.full" || p.Hint == "" {
		t.Errorf("got %v", err)
	}
	sess.Close()
	<-sess.Done()
	if _, err = h.Watch(context.Background(), offer(t), s); err != nil {
		t.Errorf("after the first has left: %v", err)
	}
	if u := h.Usage(); u.Refused != 1 || u.Sessions != 1 {
		t.Errorf("usage %+v", u)
	}
}

func TestNotRunning(t *testing.T) {
	h := peer.New(peer.DefaultConfig(), slog.New(slog.DiscardHandler))
	_, err := h.Watch(context.Background(), offer(t), stream.New(stream.Config{}))
	if p, ok := station.AsProblem(err); !ok || p.Status != 503 {
		t.Errorf("got %v", err)
	}
}

// A browser that would like sound too gets the picture.
func TestOfferWithAudio(t *testing.T) {
	h := hub(t, nil)
	s := stream.New(stream.Config{})
	f := play(t, s, 25, small)
	v := watch(t, h, f, s, viewerOptions{Config: peertest.Config{Audio: true}})
	v.until(5*time.Second, "pictures", atLeast(5))
}

// Run ends at once, though a viewer watches and somebody holds the TCP port
// without a word.
func TestRunEndsPromptly(t *testing.T) {
	cfg := peer.DefaultConfig()
	cfg.UDPListen, cfg.TCPListen = "127.0.0.1:0", "127.0.0.1:0"
	h := peer.New(cfg, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	<-h.Ready()
	_, tcp := h.Addr()
	mute, err := net.Dial("tcp", tcp.String())
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	s := stream.New(stream.Config{})
	f := play(t, s, 25, small)
	v := watch(t, h, f, s, viewerOptions{})
	v.until(5*time.Second, "pictures", atLeast(5))
	began := time.Now()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("Run does not end")
	}
	t.Logf("ended after %v", time.Since(began))
	wait(t, time.Second, "the session", v.sess.Done())
}

func TestPortsInUse(t *testing.T) {
	h := hub(t, nil)
	udp, tcp := h.Addr()
	for _, cfg := range []peer.Config{
		{UDPListen: udp.String(), MaxSessions: 1, SessionTimeout: time.Second},
		{UDPListen: "127.0.0.1:0", TCPListen: tcp.String(), MaxSessions: 1, SessionTimeout: time.Second},
	} {
		if err := peer.New(cfg, slog.New(slog.DiscardHandler)).Run(context.Background()); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
}

// An answer names the configured addresses and no others.
func TestAnswerNamesConfiguredAddresses(t *testing.T) {
	h := hub(t, func(c *peer.Config) {
		c.UDPListen, c.TCPListen = ":0", ":0"
		c.Advertise = []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("127.0.0.1")}
	})
	s := stream.New(stream.Config{})
	f := play(t, s, 25, small)
	v := watch(t, h, f, s, viewerOptions{})
	var named []string
	for l := range strings.Lines(v.sess.Answer) {
		if f := strings.Fields(l); strings.HasPrefix(l, "a=candidate:") {
			named = append(named, f[2]+" "+f[4])
		}
	}
	want := []string{"udp 192.0.2.7", "udp 127.0.0.1", "tcp 192.0.2.7", "tcp 127.0.0.1"}
	if !slices.Equal(named, want) {
		t.Errorf("named %q", named)
	}
	if strings.Contains(v.sess.Answer, ".local") {
		t.Error("an mDNS name in the answer")
	}
	v.until(5*time.Second, "pictures through a port on every address", atLeast(5))
}

// A Hub on an IPv6 address speaks IPv6, over both ports.
func TestIPv6(t *testing.T) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var ip net.IP
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() == nil && n.IP.IsGlobalUnicast() {
			ip = n.IP
		}
	}
	if ip == nil {
		t.Skip("this machine has no IPv6 address but the loopback, which pion does not use")
	}
	at := net.JoinHostPort(ip.String(), "0")
	h := hub(t, func(c *peer.Config) { c.UDPListen, c.TCPListen = at, at })
	s := stream.New(stream.Config{})
	f := play(t, s, 25, small)
	over6 := func(set *webrtc.SettingEngine) {
		set.SetIPFilter(func(a net.IP) bool { return a.Equal(ip) })
	}
	for _, proto := range []string{" tcp ", " udp "} {
		v := watch(t, h, f, s, viewerOptions{
			Config: peertest.Config{Setting: over6},
			answer: func(sdp string) string { return without(sdp, proto) },
		})
		v.until(10*time.Second, "pictures without"+proto, atLeast(5))
	}
}

func offer(t testing.TB) string {
	t.Helper()
	v, err := peertest.New(peertest.Config{Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	o, err := v.Offer()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

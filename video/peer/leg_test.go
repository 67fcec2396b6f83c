package peer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video/peer"
	"stationd/video/stream"
)

// A leg from a station to its centre, and a viewer at the centre.
func TestRelayLeg(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(string) string
	}{
		{name: "udp"},
		{name: "tcp", answer: func(sdp string) string { return without(sdp, " udp ") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Over TCP the farewell may be lost with the connection; then the
			// time-out ends the centre's end.
			here, there := hub(t, nil), hub(t, func(c *peer.Config) { c.SessionTimeout = 3 * time.Second })
			camera, relayed := stream.New(stream.Config{}), stream.New(stream.Config{})
			f := play(t, camera, 50, small)

			ctx, cancel := context.WithCancel(context.Background())
			dialled := make(chan error, 1)
			accepted := make(chan *peer.Session, 1)
			go func() {
				dialled <- here.Dial(ctx, camera, nil, func(ctx context.Context, offer string) (string, error) {
					s, err := there.Accept(ctx, offer, relayed)
					if err != nil {
						return "", err
					}
					accepted <- s
					if c.answer != nil {
						return c.answer(s.Answer), nil
					}
					return s.Answer, nil
				})
			}()
			leg := <-accepted

			v := watch(t, there, f, relayed, repairing)
			p := v.until(10*time.Second, "relayed pictures", atLeast(40))
			if _, broken := v.seen(); !p[0].key || broken > 0 {
				t.Errorf("first key %v, %d broken", p[0].key, broken)
			}
			for i := 1; i < len(p); i++ {
				if p[i].n != p[i-1].n+1 {
					t.Fatalf("pictures %v", describe(p))
				}
			}
			if online, _, cause := relayed.State(); !online {
				t.Errorf("the relayed stream is offline: %s", cause)
			}

			cancel()
			if err := <-dialled; err != nil {
				t.Errorf("dial: %v", err)
			}
			wait(t, 5*time.Second, "the centre's end", leg.Done())
			if online, _, _ := relayed.State(); online {
				t.Error("the relayed stream is online without a leg")
			}
			t.Logf("leg: %+v", leg.Counts())
		})
	}
}

// The centre ends the leg: the station's end returns with an error.
func TestLegEndsAtTheCentre(t *testing.T) {
	here, there := hub(t, nil), hub(t, nil)
	camera, relayed := stream.New(stream.Config{}), stream.New(stream.Config{})
	dialled := make(chan error, 1)
	accepted := make(chan *peer.Session, 1)
	go func() {
		dialled <- here.Dial(context.Background(), camera, nil, func(ctx context.Context, offer string) (string, error) {
			s, err := there.Accept(ctx, offer, relayed)
			if err != nil {
				return "", err
			}
			accepted <- s
			return s.Answer, nil
		})
	}()
	leg := <-accepted
	wait(t, 5*time.Second, "connect", leg.Connected())
	leg.Close()
	wait(t, 5*time.Second, "the centre's end", leg.Done())
	select {
	case err := <-dialled:
		if err == nil {
			t.Error("the leg ended without an error")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the station's end lives on")
	}
}

// A leg over a bad line: repaired hop by hop, so that the centre's viewers see
// every picture, within the bounds of repair.
func TestLegOverABadLine(t *testing.T) {
	t.Parallel()
	here, there := hub(t, nil), hub(t, nil)
	udp, _ := there.Addr()
	relay := relayUDP(t, udp, 20*time.Millisecond)
	relay.up.Store(true)
	camera, relayed := stream.New(stream.Config{}), stream.New(stream.Config{})
	f := play(t, camera, 50, small)
	ctx, cancel := context.WithCancel(context.Background())
	dialled := make(chan error, 1)
	accepted := make(chan *peer.Session, 1)
	go func() {
		dialled <- here.Dial(ctx, camera, nil, func(ctx context.Context, offer string) (string, error) {
			s, err := there.Accept(ctx, offer, relayed)
			if err != nil {
				return "", err
			}
			accepted <- s
			return without(via("udp", relay.port())(s.Answer), " tcp "), nil
		})
	}()
	leg := <-accepted
	v := watch(t, there, f, relayed, repairing)
	v.until(10*time.Second, "relayed pictures", atLeast(10))
	relay.loss.Store(50)
	from := f.count()
	f.until(from + 150)
	relay.loss.Store(0)
	v.until(5*time.Second, "the last pictures", func(p []got) bool { return p[len(p)-1].n > from+150 })
	whole := 0
	seen, broken := v.seen()
	for _, g := range seen {
		if g.n >= from && g.n < from+150 {
			whole++
		}
	}
	c := leg.Counts()
	t.Logf("%d of 150 pictures; %d packets lost on the way; leg: %+v", whole, relay.lost.Load(), c)
	if whole < 140 || broken > 0 {
		t.Errorf("%d of 150 pictures, %d broken", whole, broken)
	}
	if share := float64(c.Asked) / float64(c.Packets); share > 0.2 || c.Repaired == 0 {
		t.Errorf("%.0f %% asked for, %d repaired", 100*share, c.Repaired)
	}
	if c.RoundTrip < 20*time.Millisecond || c.RoundTrip > time.Second {
		t.Errorf("round trip %v", c.RoundTrip)
	}
	cancel()
	if err := <-dialled; err != nil {
		t.Error(err)
	}
}

// The camera is lost at the station: the centre's stream says so, and the leg
// stays.
func TestLegTellsThatThePictureStopped(t *testing.T) {
	t.Parallel()
	here, there := hub(t, nil), hub(t, nil)
	camera, relayed := stream.New(stream.Config{}), stream.New(stream.Config{})
	f := play(t, camera, 25, small)
	ctx, cancel := context.WithCancel(context.Background())
	dialled := make(chan error, 1)
	go func() {
		dialled <- here.Dial(ctx, camera, nil, func(ctx context.Context, offer string) (string, error) {
			s, err := there.Accept(ctx, offer, relayed)
			if err != nil {
				return "", err
			}
			return s.Answer, nil
		})
	}()
	is := func(online bool) {
		t.Helper()
		late := time.After(10 * time.Second)
		for {
			changed := relayed.Changed()
			if now, _, _ := relayed.State(); now == online {
				return
			}
			select {
			case <-changed:
			case <-late:
				t.Fatalf("not online=%v in time", online)
			}
		}
	}
	is(true)
	f.hold(true)
	camera.Lost("cut")
	is(false)
	f.hold(false)
	is(true)
	cancel()
	if err := <-dialled; err != nil {
		t.Error(err)
	}
}

func TestLegRefused(t *testing.T) {
	here := hub(t, nil)
	want := errors.New("no")
	err := here.Dial(context.Background(), stream.New(stream.Config{}), nil, func(context.Context, string) (string, error) { return "", want })
	if !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
	err = here.Dial(context.Background(), stream.New(stream.Config{}), nil, func(context.Context, string) (string, error) { return "nonsense", nil })
	if err == nil {
		t.Error("an answer of nonsense was taken")
	}
	if n := here.Usage().Sessions; n != 0 {
		t.Errorf("%d sessions stayed", n)
	}
}

func TestAcceptRefusesNonsense(t *testing.T) {
	there := hub(t, nil)
	for _, offer := range []string{"", "v=0", "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 H264/90000\r\n"} {
		_, err := there.Accept(context.Background(), offer, stream.New(stream.Config{}))
		if p, ok := station.AsProblem(err); !ok || p.Status/100 != 4 {
			t.Errorf("%q: got %v", offer, err)
		}
	}
}

// without removes the candidate lines that contain word.
func without(sdp, word string) string {
	var out []string
	for _, l := range strings.Split(sdp, "\r\n") {
		if !strings.HasPrefix(l, "a=candidate:") || !strings.Contains(l, word) {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\r\n")
}

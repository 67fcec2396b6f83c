package peer_test

import (
	"testing"
	"time"

	"stationd/video/stream"
)

// Packets that get lost are repaired, and repair stays within its bounds.
func TestLossIsRepaired(t *testing.T) {
	for _, c := range []struct {
		name  string
		loss  int64 // of a thousand
		delay time.Duration
		least int // of a hundred pictures
	}{
		{"2 % in the house", 20, 0, 98},
		{"5 % at 40 ms", 50, 20 * time.Millisecond, 95},
		{"60 %: no storm", 600, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := hub(t, nil)
			udp, _ := h.Addr()
			relay := relayUDP(t, udp, c.delay)
			s := stream.New(stream.Config{})
			f := play(t, s, 50, small)
			v := watch(t, h, f, s, viewerOptions{Config: repairing.Config, answer: via("udp", relay.port())})
			v.until(10*time.Second, "the first picture", atLeast(1))
			relay.loss.Store(c.loss)
			from := f.count()
			f.until(from + 150)
			relay.loss.Store(0)
			time.Sleep(time.Second) // the last repairs
			p, _ := v.seen()
			whole := 0
			for _, g := range p {
				if g.n >= from && g.n < from+150 {
					whole++
				}
			}
			n := v.sess.Counts()
			share := float64(n.RepairedBytes) / float64(n.Bytes)
			t.Logf("%d of 150 pictures whole; %d packets, %d lost on the way, %d repaired (%.1f %%), %d refused, rtt %v, %d restarts",
				whole, n.Packets, relay.lost.Load(), n.Repaired, 100*share, n.Refused, n.RoundTrip, n.Restarts)
			if whole*100 < c.least*150 {
				t.Errorf("only %d of 150 pictures were whole", whole)
			}
			if share > 0.20 {
				t.Errorf("repair took %.1f %%", 100*share)
			}
			if c.loss > 0 && n.Repaired == 0 {
				t.Error("nothing was repaired")
			}
		})
	}
}

// A viewer over TCP that stops reading does not hold up the camera; when it
// reads again, it goes on at a key picture, without a hole in the numbers.
func TestSlowViewerSkips(t *testing.T) {
	h := hub(t, nil)
	_, tcp := h.Addr()
	relay := relayTCP(t, tcp)
	s := stream.New(stream.Config{})
	f := play(t, s, 10, func(int) int { return 40000 }) // 8 Mbit/s
	to := via("tcp", relay.port())
	v := watch(t, h, f, s, viewerOptions{Config: repairing.Config, answer: func(sdp string) string { return to(without(sdp, " udp ")) }})
	v.until(10*time.Second, "the first pictures", atLeast(10))
	if !v.OverTCP() {
		t.Error("the pictures do not come over TCP")
	}

	relay.hold.Lock()
	f.until(f.count() + 120) // the camera goes on meanwhile
	before := f.count()
	relay.hold.Unlock()

	p := v.until(10*time.Second, "pictures after the pause", func(p []got) bool { return len(p) > 0 && p[len(p)-1].n >= before+40 })
	if v.sess.Counts().Skipped == 0 {
		t.Error("nothing was skipped")
	}
	for i := 1; i < len(p); i++ {
		if p[i].n != p[i-1].n+1 && !p[i].key {
			t.Errorf("picture %d, no key picture, follows %d", p[i].n, p[i-1].n)
		}
	}
	seqs, _ := v.Sequences()
	for i := 1; i < len(seqs); i++ {
		if seqs[i] != seqs[i-1]+1 {
			t.Errorf("sequence number %d follows %d, after %d packets of %d", seqs[i], seqs[i-1], i, len(seqs))
		}
	}
	t.Logf("%d pictures seen, %d skipped", len(p), v.sess.Counts().Skipped)
}

func TestWishForAKeyPicture(t *testing.T) {
	h := hub(t, nil)
	s := stream.New(stream.Config{})
	f := play(t, s, 250, small) // the next one would take ten seconds
	v := watch(t, h, f, s, viewerOptions{})
	v.until(10*time.Second, "pictures", atLeast(30))
	asked := time.Now()
	for range 10 {
		if err := v.AskKey(); err != nil {
			t.Fatal(err)
		}
	}
	p := v.until(3*time.Second, "a key picture", func(p []got) bool {
		return p[len(p)-1].n > 35 && keysSince(p, asked) > 0
	})
	if n := keysSince(p, asked); n != 1 {
		t.Errorf("%d key pictures for ten wishes at once", n)
	}
	v.until(3*time.Second, "caught up", func(p []got) bool { return p[len(p)-1].n >= f.count()-2 })
	p, broken := v.seen()
	for i := 1; i < len(p); i++ {
		if int32(p[i].ts-p[i-1].ts) <= 0 {
			t.Errorf("timestamp %d follows %d", p[i].ts, p[i-1].ts)
		}
	}
	if broken != 0 {
		t.Errorf("%d broken pictures", broken)
	}
	if got := v.sess.Counts().Restarts; got != 1 {
		t.Errorf("%d restarts", got)
	}
}

func keysSince(p []got, t time.Time) int {
	n := 0
	for _, g := range p {
		if g.key && g.at.After(t) {
			n++
		}
	}
	return n
}

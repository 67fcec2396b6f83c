package uplink_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/uplink"
	"stationd/uplink/uplinktest"
)

func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, seed))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestClipInterrupted cuts the line 20 times at random offsets.
func TestClipInterrupted(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Start()
	data := noise(1, 3<<20)
	r := rand.New(rand.NewPCG(3, 4))
	var cuts atomic.Int64
	proxy := uplinktest.NewProxy(t, w.Config.ClipsListen, func() int64 {
		if cuts.Add(1) > 20 {
			return -1
		}
		return 5_000 + r.Int64N(200_000) // a handshake takes some 3 kB
	})
	clips := uplinktest.NewClips()
	clips.Add("clip-1", data, false)
	cfg := w.Station(node)
	cfg.ClipsURL = "https://" + proxy.Addr()
	cfg.ClipChunk = 64 << 10
	u := uplink.New(cfg, uplink.Deps{Journal: uplinktest.NewJournal(node), Clips: clips, Log: w.Log})
	uplinktest.Run(t, u)
	uplinktest.Eventually(t, 30*time.Second, "the clip is up", func() bool { return len(clips.Done()) == 1 })
	if got, ok := w.Clips.Clip("clip-1"); !ok || !bytes.Equal(got, data) {
		t.Error("the clip is not the same bit by bit")
	}
	if n := cuts.Load() - 1; n < 20 {
		t.Errorf("the line was cut %d times only", n)
	}
	if s := u.Status().Clips; s.Uploaded != 1 || s.LastError != "" {
		t.Errorf("status %+v", s)
	}
}

// TestClipDamagedAtCentre: bits that fell over at the centre are found at the
// end, and the clip goes again from the start.
func TestClipDamagedAtCentre(t *testing.T) {
	w := uplinktest.NewWorld(t)
	damaged := false
	w.Clips.Written = func(id string, offset int64) error {
		if !damaged && offset > 100_000 {
			damaged = true
			w.Clips.Damage(id)
		}
		return nil
	}
	w.Start()
	data := noise(2, 300_000)
	clips := uplinktest.NewClips()
	clips.Add("clip-1", data, false)
	cfg := w.Station(node)
	cfg.ClipChunk = 32 << 10
	u := uplink.New(cfg, uplink.Deps{Journal: uplinktest.NewJournal(node), Clips: clips, Log: w.Log})
	uplinktest.Run(t, u)
	uplinktest.Eventually(t, 10*time.Second, "the clip is up", func() bool { return len(clips.Done()) == 1 })
	if got, ok := w.Clips.Clip("clip-1"); !ok || !bytes.Equal(got, data) || !damaged {
		t.Error("the clip is not the same bit by bit")
	}
}

// TestClipsInOrder: a clip that fails does not hold up the others, and one that
// is more pressing overtakes one that is on its way.
func TestClipsInOrder(t *testing.T) {
	w := uplinktest.NewWorld(t)
	clips := uplinktest.NewClips()
	w.Clips.Written = func(id string, offset int64) error {
		if id == "slow" && offset == 64<<10 {
			clips.Add("fire", noise(5, 50_000), true)
		}
		return nil
	}
	w.Clips.Refuse = func(id string) error {
		if id == "sick" {
			return errors.New("cannot be stored")
		}
		return nil
	}
	clips.Add("sick", noise(3, 1000), false)
	clips.Add("slow", noise(4, 400_000), false)
	w.Start()
	cfg := w.Station(node)
	cfg.ClipChunk = 32 << 10
	u := uplink.New(cfg, uplink.Deps{Journal: uplinktest.NewJournal(node), Clips: clips, Log: w.Log})
	uplinktest.Run(t, u)
	uplinktest.Eventually(t, 10*time.Second, "two clips are up", func() bool { return len(clips.Done()) == 2 })
	if got := clips.Done(); got[0] != "fire" || got[1] != "slow" {
		t.Errorf("order %v", got)
	}
	uplinktest.Eventually(t, 5*time.Second, "the sick clip is shown", func() bool {
		s := u.Status().Clips
		return s.Pending == 1 && s.LastError != ""
	})
	if p, err := clips.PendingClips(t.Context()); err != nil || len(p) != 1 || p[0].Status != station.ClipReady {
		t.Errorf("pending %v, %v", p, err)
	}
}

// TestClipWhoseFilmIsLost: it is given up, loudly, but not for a disk that is only
// not mounted today.
func TestClipWhoseFilmIsLost(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Start()
	clips := uplinktest.NewClips()
	for _, id := range []string{"gone", "away", "here"} {
		clips.Add(id, noise(7, 1000), false)
	}
	clips.Lose("gone", time.Now().Add(-4*24*time.Hour))
	clips.Lose("away", time.Now().Add(-time.Hour))
	u := uplink.New(w.Station(node), uplink.Deps{Journal: uplinktest.NewJournal(node), Clips: clips, Log: w.Log})
	uplinktest.Run(t, u)
	uplinktest.Eventually(t, 10*time.Second, "one is up and one given up", func() bool { return len(clips.Done()) == 1 && len(clips.Lost()) == 1 })
	if got := clips.Lost(); got[0] != "gone" {
		t.Errorf("given up: %v", got)
	}
	uplinktest.Eventually(t, 10*time.Second, "the third is tried again", func() bool {
		s := u.Status().Clips
		return s.Pending == 1 && s.LastError != ""
	})
}

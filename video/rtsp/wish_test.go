package rtsp_test

import (
	"sync/atomic"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/video/stream"
)

// A camera that begins a session in the middle of a group of pictures is asked for
// a key picture, by RTCP and by what the source was given; a few times, no more.
func TestAsksForAKeyPicture(t *testing.T) {
	t.Parallel()
	camera := newFakeCamera(t)
	whole := film(t)
	camera.play = func(p *player) {
		p.film.Units = whole.Units[1:50] // without one it goes on so for ever
		for {
			if n, _ := camera.wishes(); n == 2 {
				p.film, p.n = whole, 0
				p.forever()
				return
			}
			if !p.pictures(1) {
				return
			}
		}
	}
	cfg := fast(camera.url())
	cfg.PictureTimeout = 5 * time.Second
	var asked atomic.Int32
	cfg.Wish = func() { asked.Add(1) }
	r := run(t, cfg)
	r.await(0, station.CameraOnline)
	n, ssrc := camera.wishes()
	if n != 2 || ssrc != 0x1111 || asked.Load() != 2 {
		t.Errorf("asked %d times by RTCP, of %#x, and %d times otherwise", n, ssrc, asked.Load())
	}
}

// One that begins with a key picture is not asked.
func TestDoesNotAskWithoutNeed(t *testing.T) {
	t.Parallel()
	camera := newFakeCamera(t)
	camera.play = func(p *player) { p.forever() }
	cfg := fast(camera.url())
	cfg.Wish = func() { t.Error("it is asked") }
	r := run(t, cfg)
	units(t, r.stream.Read(stream.ReadOptions{FromCache: true}), -1, 60)
	if n, _ := camera.wishes(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

// A camera that does not listen is asked three times.
func TestAsksNoMoreThanThrice(t *testing.T) {
	t.Parallel()
	camera := newFakeCamera(t)
	whole := film(t)
	camera.play = func(p *player) {
		p.film.Units = whole.Units[1:50]
		p.forever()
	}
	cfg := fast(camera.url())
	cfg.PictureTimeout, cfg.KeyTimeout = 5*time.Second, 5*time.Second
	r := run(t, cfg)
	r.await(0, station.CameraUnsupported)
	if n, _ := camera.wishes(); n != 3 {
		t.Errorf("asked %d times", n)
	}
}

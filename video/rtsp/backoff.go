package rtsp

import (
	"math/rand/v2"
	"time"

	"stationd/agent/station"
)

// backoff is how long to wait before the next attempt. It grows with each
// failure in a row, and is spread at random upwards, so that the cameras behind
// one recorder do not all come back in the same moment, and never sooner than
// asked for.
type backoff struct {
	cfg    Config
	status station.CameraStatus // of the last failure
	base   time.Duration
	// quick is until when a camera that was good is called often, if it is merely
	// away: an attempt that finds nobody costs it nothing.
	quick time.Time
	calls int // in a row, since it was good
}

// quickFor is how long a camera takes to start again.
const quickFor = time.Minute

// spread is the largest part that chance adds.
const spread = 0.25

func newBackoff(cfg Config) *backoff { return &backoff{cfg: cfg} }

// next is the waiting time after a failure.
func (b *backoff) next(status station.CameraStatus) time.Duration {
	first, most := b.cfg.RetryMin, b.cfg.RetryMax
	switch status {
	case station.CameraUnauthorized, station.CameraUnsupported, station.CameraUntrusted:
		first, most = b.cfg.RetryDenied, 5*b.cfg.RetryDenied
	case station.CameraNoSlot:
		first, most = b.cfg.RetryDenied/2, 5*b.cfg.RetryDenied
	}
	if b.base == 0 || b.status != status {
		b.base = first
	} else {
		b.base = min(2*b.base, most)
	}
	b.status = status
	if status == station.CameraOffline && time.Now().Before(b.quick) {
		// A line that was cut for a moment is there again at once; one that starts
		// anew wants to be found soon after, not worn out until then.
		b.calls++
		b.base = min(first*time.Duration(b.calls)/10, first/4)
	}
	return b.base + time.Duration(rand.Float64()*spread*float64(b.base))
}

// reset forgets the failures, after a session that was good.
func (b *backoff) reset() {
	b.base, b.calls = 0, 0
	b.quick = time.Now().Add(quickFor)
}

// hurried tells whether the camera is expected back at any moment.
func (b *backoff) hurried() bool { return time.Now().Before(b.quick) }

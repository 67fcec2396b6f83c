package peer

import (
	"context"
	"time"
)

// pace spaces the packets of one picture. A key picture of 150 packets written
// at once overruns the receiver's socket (208 KiB by default) or the queue of
// the line; a few every millisecond do not. An ordinary picture goes out whole.
type pace struct {
	// each is how many packets a millisecond brings, then how many it brings once
	// the first picture is there, most how many may have been saved up.
	each, then, most int

	timer *time.Timer
	saved int
	since time.Time // up to when packets were saved up
}

func newPace(each, then, most int) pace {
	return pace{each: each, then: then, most: most, saved: most}
}

const (
	// firstViewer is for who waits for a first picture: about 150 Mbit/s.
	firstViewer = 16
	// paceViewer is for a local network: about 40 Mbit/s, and a picture of a camera
	// of 8 Mbit/s at once. Several viewers on one machine get the same key picture
	// in the same moment, and must take it out of their sockets as fast as it comes:
	// at four times the rate ten of them lost one packet in two hundred.
	paceViewer, saveViewer = 4, 32
	// paceLeg is for a line of 50 Mbit/s that others share: about 20 Mbit/s.
	paceLeg, saveLeg = 2, 2
)

// begun is told when the first picture was sent.
func (p *pace) begun() { p.each = p.then }

// take waits until packets may be sent, and says how many of want.
func (p *pace) take(ctx context.Context, want int) (int, error) {
	if p.saved < min(want, p.most) {
		p.earn(time.Now())
	}
	for p.saved == 0 {
		if err := p.sleep(ctx, time.Millisecond); err != nil {
			return 0, err
		}
		p.earn(time.Now())
	}
	n := min(want, p.saved)
	p.saved -= n
	return n, nil
}

// earn saves up what the time since brought.
func (p *pace) earn(now time.Time) {
	gone := now.Sub(p.since)
	if gone >= time.Second {
		p.since, p.saved = now, p.most
		return
	}
	n := int(gone * time.Duration(p.each) / time.Millisecond)
	p.saved = min(p.saved+n, p.most)
	p.since = p.since.Add(time.Duration(n) * time.Millisecond / time.Duration(p.each))
}

// sleep waits for d or the end of ctx.
func (p *pace) sleep(ctx context.Context, d time.Duration) error {
	if p.timer == nil {
		p.timer = time.NewTimer(d)
	} else {
		p.timer.Reset(d)
	}
	select {
	case <-p.timer.C:
		return nil
	case <-ctx.Done():
		p.timer.Stop()
		return ctx.Err()
	}
}

package peer

import (
	"context"
	"time"
)

// gap spaces the packets of one picture. A key picture of 150 packets written
// at once overruns the receiver's socket (208 KiB by default) or the queue of
// the line; a burst every millisecond does not.
type gap struct {
	burst int
	timer *time.Timer
	n     int
}

const (
	// burstViewer is for a local network: about 150 Mbit/s at most.
	burstViewer = 16
	// burstLeg is for a line of 50 Mbit/s that others share: about 20 Mbit/s.
	burstLeg  = 2
	burstTime = time.Millisecond
)

// wait waits where the next packet must.
func (g *gap) wait(ctx context.Context) error {
	if g.n++; g.n <= g.burst {
		return nil
	}
	g.n = 1
	return g.sleep(ctx, burstTime)
}

// sleep waits for d or the end of ctx.
func (g *gap) sleep(ctx context.Context, d time.Duration) error {
	if g.timer == nil {
		g.timer = time.NewTimer(d)
	} else {
		g.timer.Reset(d)
	}
	select {
	case <-g.timer.C:
		return nil
	case <-ctx.Done():
		g.timer.Stop()
		return ctx.Err()
	}
}

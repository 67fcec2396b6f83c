package uplink

import (
	"context"
	"log/slog"
	"sync"

	"stationd/agent/station"
)

// keeper stores cursors, off the session's way: an fsync must not hold up the
// line. The newest cursor of a lane replaces the one that still waits, so the
// queue is as long as there are lanes. A cursor that was not stored when the
// program died costs sending again, for which the parent's mark makes up.
type keeper struct {
	journal Journal
	log     *slog.Logger

	mu      sync.Mutex
	waiting map[station.Lane]Cursor
	wake    chan struct{} // buffered by one
}

func newKeeper(j Journal, log *slog.Logger) *keeper {
	return &keeper{journal: j, log: log, waiting: map[station.Lane]Cursor{}, wake: make(chan struct{}, 1)}
}

func (k *keeper) put(c Cursor) {
	k.mu.Lock()
	k.waiting[c.Lane] = c
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *keeper) take() (Cursor, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, lane := range station.Lanes() {
		if c, ok := k.waiting[lane]; ok {
			delete(k.waiting, lane)
			return c, true
		}
	}
	return Cursor{}, false
}

func (k *keeper) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		}
		for c, ok := k.take(); ok; c, ok = k.take() {
			if err := k.journal.Advance(ctx, c); err != nil {
				if ctx.Err() != nil {
					return
				}
				// The next acknowledgement brings a newer one.
				k.log.Warn("uplink cursor not stored", "lane", c.Lane, "error", err)
			}
		}
	}
}

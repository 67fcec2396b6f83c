package onvif

import (
	"context"
	"errors"
	"sync"
	"time"

	"stationd/agent/station"
)

// head is the pan-tilt head of one camera, and the dead man's handle on it: it
// turns as long as its order is renewed, and is stopped otherwise.
type head struct {
	set *Set
	id  string

	mu     sync.Mutex
	want   Velocity
	until  time.Time // when the order ends unless it is renewed
	by     string    // the account that holds it
	name   string    // as shown
	busy   bool      // drive runs
	fresh  chan struct{}
	failed error // of the last request
	asked  uint64
	served uint64
	done   chan struct{} // closed and replaced when served moves
}

func newHead(s *Set, id string) *head {
	return &head{set: s, id: id, fresh: make(chan struct{}, 1), done: make(chan struct{})}
}

// resend is how often a device is told again to go on, so that its own time limit
// does not end a movement that is held.
const resend = 700 * time.Millisecond

// order takes an order over and returns when the device has answered it, or one
// that came after it.
func (h *head) order(ctx context.Context, v Velocity, who station.Actor) (first bool, err error) {
	h.mu.Lock()
	now := time.Now()
	if !v.still() && h.busy && !h.want.still() && h.by != who.Account && now.Before(h.until) {
		name := h.name
		h.mu.Unlock()
		return false, station.Errorf(409, "ptz.held", "wait until it stands still, or stop it", "%s is turning the camera", name)
	}
	first = !v.still() && (!h.busy || h.want.still() || h.by != who.Account)
	h.want, h.until, h.by, h.name = v, now.Add(h.set.cfg.Hold), who.Account, who.Name
	if h.name == "" {
		h.name = who.Account
	}
	h.asked++
	mine := h.asked
	if !h.busy {
		if !h.set.begin(h.drive) {
			h.mu.Unlock()
			return false, errStopped
		}
		h.busy = true
	}
	h.mu.Unlock()
	select {
	case h.fresh <- struct{}{}:
	default:
	}
	for {
		h.mu.Lock()
		served, done, failed := h.served, h.done, h.failed
		h.mu.Unlock()
		if served >= mine {
			return first, failed
		}
		select {
		case <-done:
		case <-ctx.Done():
			return first, ctx.Err()
		}
	}
}

var errStopped = station.Errorf(503, "ptz.stopped", "try again in a moment", "the program is stopping")

// drive carries out the newest order until the camera stands still. One request is
// on its way at a time; what is ordered meanwhile waits as one order.
func (h *head) drive(ctx context.Context) {
	var sent Velocity
	var at time.Time
	tries := 0
	for {
		h.mu.Lock()
		want, until, mine := h.want, h.until, h.asked
		news := h.asked > h.served
		h.mu.Unlock()
		now := time.Now()
		over := !now.Before(until) || ctx.Err() != nil
		if over {
			want = Velocity{}
		}
		switch {
		case want.still():
			err := h.stop(ctx)
			if err != nil && tries < 5 && !errors.Is(err, errDenied) {
				tries++
				h.set.log.Warn("camera not stopped; it is tried again", "camera", h.id, "err", err)
				pause(ctx, 100*time.Millisecond)
				continue
			}
			if err != nil {
				h.set.log.Error("camera not stopped; it stops by its own time limit", "camera", h.id, "err", err)
			}
			sent, tries = Velocity{}, 0
			if h.finish(mine, err, true) {
				return
			}
			continue
		case want != sent || news && now.Sub(at) >= resend:
			err := h.set.with(ctx, h.id, func(ctx context.Context, c *Client, profile string) error {
				return c.Move(ctx, profile, want, 2*h.set.cfg.Hold)
			})
			if err != nil { // whether it moves is not known: it is stopped
				h.mu.Lock()
				if h.asked == mine {
					h.until = time.Time{}
				}
				h.mu.Unlock()
			}
			sent, at = want, now
			h.finish(mine, err, false)
		case news:
			h.finish(mine, nil, false)
		}
		h.mu.Lock()
		until = h.until
		h.mu.Unlock()
		timer := time.NewTimer(time.Until(until))
		select {
		case <-h.fresh:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// finish tells those who wait. With last it ends the drive, and tells so, unless
// there is a new order.
func (h *head) finish(mine uint64, err error, last bool) (ended bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.served < mine {
		h.served = mine
		if err != nil || !last { // the end of an order does not hide how it began
			h.failed = err
		} else {
			h.failed = nil
		}
	}
	if last && h.asked == mine {
		h.want, h.until, h.busy, ended = Velocity{}, time.Time{}, false, true
	}
	close(h.done)
	h.done = make(chan struct{})
	return ended
}

// stop stops the camera, also while the program ends.
func (h *head) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.set.cfg.Timeout)
	defer cancel()
	return h.set.with(ctx, h.id, func(ctx context.Context, c *Client, profile string) error { return c.Stop(ctx, profile) })
}

// moving tells who turns the camera now.
func (h *head) moving() (by string, moves bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.name, h.busy && !h.want.still() && time.Now().Before(h.until)
}

// pause waits; false is that ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

package main

import (
	"context"
	"sync"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/uplink/budget"
)

// The pictures that the parent calls up: whether it may see them, and whether the
// line has room.

// parent is who asks when the parent does.
var parent = station.Actor{Account: "node:parent", Role: account.RoleNode}

// callable are the cameras that the parent may call up.
type callable struct {
	node *node

	mu  sync.Mutex
	out map[*outgoingCall]struct{}
}

type outgoingCall struct {
	camera string
	cancel context.CancelCauseFunc
}

// DialOut brings a picture to the parent for as long as it may see the camera and
// the line has a place for it.
func (c *callable) DialOut(ctx context.Context, camera string, role station.StreamRole, exchange func(ctx context.Context, offer string) (string, error)) error {
	may := func() error { return c.node.mayCall(camera) }
	if err := may(); err != nil {
		c.node.agent.Refused(ctx, parent, "camera.live", "camera/"+camera, err)
		return err
	}
	place, err := c.place(camera, role)
	if err != nil {
		return err
	}
	defer place.Release()
	within, cancel := context.WithCancelCause(ctx)
	var yielding sync.WaitGroup
	defer yielding.Wait()
	defer cancel(nil)
	yielding.Go(func() {
		select {
		case <-place.Over():
			cancel(budget.ErrYielded)
		case <-within.Done():
		}
	})
	call := &outgoingCall{camera, cancel}
	c.mu.Lock()
	c.out[call] = struct{}{}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.out, call)
		c.mu.Unlock()
	}()
	if err := c.node.video.DialOut(within, camera, role, place.Sent, exchange); err != nil || ctx.Err() != nil {
		return err
	}
	return context.Cause(within)
}

// place finds room on the line for a picture. Where a large one has none and the
// smaller one would, the refusal offers that.
func (c *callable) place(camera string, role station.StreamRole) (*budget.Grant, error) {
	line, class := c.node.budget, classOf(role)
	large, small, hasSmall := c.needs(camera)
	want := large
	if role == station.RoleWall {
		want = small
	}
	place, err := line.Admit(class, camera, want)
	if p, ok := station.AsProblem(err); ok && role != station.RoleWall && hasSmall && line.Fits(budget.Wall, small) {
		p.Args["offer"] = string(station.RoleWall)
	}
	return place, err
}

// classOf is what a picture is to the line's budget.
func classOf(role station.StreamRole) budget.Class {
	switch role {
	case station.RoleWall:
		return budget.Wall
	case station.RoleConference:
		return budget.Share
	}
	return budget.Camera
}

// What a camera's streams are taken to need before anything was measured, and how
// much more than what was measured they need: their busiest seconds, and repair.
const (
	largeUnmeasured = 4 * budget.Mbit
	smallUnmeasured = 1 * budget.Mbit
	aboveMeasured   = 1.2
)

// needs is what a camera's pictures need of the line.
func (c *callable) needs(camera string) (large, small budget.Rate, hasSmall bool) {
	streams, _ := c.node.video.Streams(camera)
	rate := func(measured int64, unmeasured budget.Rate) budget.Rate {
		if measured == 0 {
			return unmeasured
		}
		return budget.Rate(float64(measured) * aboveMeasured)
	}
	large = rate(streams.Main.Rate.Bits, largeUnmeasured)
	if hasSmall = streams.Sub.Status != ""; !hasSmall {
		return large, large, false
	}
	return large, rate(streams.Sub.Rate.Bits, smallUnmeasured), true
}

// recheck ends the calls for what the parent may no longer see.
func (c *callable) recheck() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for call := range c.out {
		if err := c.node.mayCall(call.camera); err != nil {
			call.cancel(err)
		}
	}
}

// mayCall tells whether the parent may have a camera's live picture: the station's
// people may want none to be called, or not this one.
func (n *node) mayCall(camera string) error {
	if err := n.agent.TakesFromParent(station.ClassLive); err != nil {
		return err
	}
	return n.agent.Authorize(parent, station.PermNode, "camera/"+camera)
}

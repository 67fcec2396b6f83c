package video

import (
	"context"
	"net/http"
	"time"

	"stationd/agent/station"
)

// Which of a camera's feeds is given: that of the role, or the other one where
// the viewer cannot take it.

// settleIn is how long a viewer waits for a feed that was off to tell what it is.
const settleIn = 5 * time.Second

var (
	errReordered = station.Errorf(http.StatusConflict, "camera.b-frames", hintReorder, causeReorder)
	errH265      = station.Errorf(http.StatusConflict, "camera.h265",
		"set the camera's stream, or its sub-stream, to H.264; or watch with a browser that shows H.265",
		"the camera sends H.265, which this browser cannot show")
)

// order is the feeds in the order in which they suit the role.
func (c *camera) order(role station.StreamRole) []*feed {
	first := c.main
	if role == station.RoleWall && c.sub != nil {
		first = c.sub
	}
	switch {
	case role == station.RoleRecord:
		return []*feed{c.recordFeed()}
	case c.sub == nil:
		return []*feed{c.main}
	case first == c.main:
		return []*feed{c.main, c.sub}
	}
	// A smaller stream that is away is no reason to show nothing.
	if c.sub.state.Status == station.CameraOffline && c.main.state.Status == station.CameraOnline {
		return []*feed{c.main, c.sub}
	}
	return []*feed{c.sub, c.main}
}

// taste is what a viewer can take.
type taste struct {
	h265, reordered bool
}

var anything = taste{h265: true, reordered: true}

// refusal says why a feed is of no use to a viewer. One that is merely away can
// be watched: its picture comes when it is back.
func (f *feed) refusal(t taste) error {
	switch f.state.Status {
	case station.CameraUnauthorized, station.CameraUnsupported, station.CameraNoSlot, station.CameraUntrusted:
		return station.Errorf(http.StatusConflict, "camera."+string(f.state.Status), f.state.Hint, "%s", f.state.Cause)
	}
	p, known := f.stream.Params()
	switch {
	case known && p.Reordered && !t.reordered:
		return errReordered
	case known && p.Codec == "H265" && !t.h265:
		return errH265
	}
	return nil
}

// choose gives the feed for a role that a viewer can take, and counts it in; or
// says why there is none. s.mu is held.
func (s *Set) choose(c *camera, role station.StreamRole, t taste) (*feed, error) {
	var first error
	for _, f := range c.order(role) {
		err := f.refusal(t)
		if err == nil {
			s.hold(c, f)
			return f, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// take is choose, and waits for a feed that was off to tell what it is: it may
// turn out to be nothing for the viewer. release counts the viewer out.
func (s *Set) take(ctx context.Context, id string, role station.StreamRole, t taste) (f *feed, release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, settleIn)
	defer cancel()
	for range 2 {
		s.mu.Lock()
		c := s.cameras[id]
		if c == nil {
			s.mu.Unlock()
			return nil, nil, errUnknown
		}
		f, err = s.choose(c, role, t)
		s.mu.Unlock()
		if err != nil {
			return nil, nil, err
		}
		release = func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.drop(c, f)
		}
		s.meet(ctx, f)
		s.mu.Lock()
		err = f.refusal(t)
		s.mu.Unlock()
		if err == nil {
			return f, release, nil
		}
		release()
	}
	return nil, nil, err
}

// meet waits until it is known what a feed that connects is of.
func (s *Set) meet(ctx context.Context, f *feed) {
	for {
		changed := f.stream.Changed()
		s.mu.Lock()
		coming := f.state.Status == station.CameraConnecting && s.runs()
		s.mu.Unlock()
		if _, known := f.stream.Params(); known || !coming {
			return
		}
		select {
		case <-changed:
		case <-time.After(100 * time.Millisecond): // a refusal is told by the source alone
		case <-ctx.Done():
			return
		}
	}
}

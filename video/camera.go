package video

import (
	"context"
	"time"

	"stationd/agent/station"
	"stationd/video/rtsp"
)

// A camera of this node: its feeds, and the recorder that reads one of them.
type camera struct {
	src   Source
	main  *feed
	sub   *feed // nil without one
	state station.CameraState

	record   *job
	recorded *feed

	inquiry *job             // asks for the loudspeaker
	speaker rtsp.Loudspeaker // as it is known
	asked   bool             // the camera has answered
	talk    *talk            // nil while nobody talks
}

// feeds lists what there is.
func (c *camera) feeds() []*feed {
	if c.sub == nil {
		return []*feed{c.main}
	}
	return []*feed{c.main, c.sub}
}

// subSource is the camera as its smaller stream.
func subSource(src Source) Source {
	src.URL = src.Sub
	return src
}

// add takes in a new camera. s.mu is held, here and below.
func (s *Set) add(src Source) {
	c := &camera{
		src:   src,
		main:  newFeed("main", src),
		state: station.CameraState{Camera: src.ID, Node: src.Node, Status: station.CameraConnecting, Since: time.Now()},
	}
	if src.Sub != "" {
		c.sub = newFeed("sub", subSource(src))
	}
	s.cameras[src.ID] = c
	if s.runs() {
		s.start(c)
	}
}

// start starts the jobs of a camera.
func (s *Set) start(c *camera) {
	for _, f := range c.feeds() {
		s.watchOver(c, f)
		s.adjust(c, f)
	}
	s.startRecord(c)
	s.startInquiry(c)
}

// hush ends whatever is being said through the camera.
func (c *camera) hush(why error) {
	if c.talk != nil {
		c.talk.end(why)
	}
}

// recordFeed is the one that is recorded.
func (c *camera) recordFeed() *feed {
	if c.src.RecordSub && c.sub != nil {
		return c.sub
	}
	return c.main
}

func (s *Set) startRecord(c *camera) {
	if !c.src.Record || s.deps.Archive == nil {
		return
	}
	id, f := c.src.ID, c.recordFeed()
	c.recorded = f
	s.hold(c, f)
	c.record = s.begin(c.record, s.log.With("camera", id), "record", func(ctx context.Context) error {
		return s.deps.Archive.Record(ctx, id, f.stream)
	})
}

func (s *Set) stopRecord(c *camera) {
	c.record.stop()
	if c.recorded != nil {
		s.drop(c, c.recorded)
		c.recorded = nil
	}
}

// change takes over new settings; only what they concern is started again.
func (s *Set) change(c *camera, src Source) {
	was, recorded := c.src, c.recordFeed()
	c.src = src
	c.state.Node = src.Node
	if !was.samePicture(src) {
		c.hush(errOtherCam)
		c.speaker, c.asked = rtsp.Loudspeaker{}, false
		if s.runs() {
			s.startInquiry(c)
		}
	}
	s.readdress(c, c.main, src)
	var old *feed
	switch {
	case c.sub != nil && src.Sub == "":
		old, c.sub = c.sub, nil
	case c.sub != nil:
		s.readdress(c, c.sub, subSource(src))
	case src.Sub != "":
		c.sub = newFeed("sub", subSource(src))
		if s.runs() {
			s.watchOver(c, c.sub)
		}
	}
	if s.runs() {
		if was.Record != src.Record || recorded != c.recordFeed() {
			s.stopRecord(c)
			s.startRecord(c)
		}
		for _, f := range c.feeds() {
			s.adjust(c, f)
		}
	}
	if old != nil {
		s.closeFeed(c, old)
	}
}

// remove lets a camera go; who watches it is told by the end of the stream.
func (s *Set) remove(c *camera) {
	delete(s.cameras, c.src.ID)
	delete(s.unsaid, c.src.ID)
	c.record.stop()
	c.inquiry.stop()
	c.hush(errOtherCam)
	for _, f := range c.feeds() {
		s.closeFeed(c, f)
	}
}

const (
	causeReorder = "the camera sends B-frames, which browsers cannot show"
	hintReorder  = "switch B-frames off in the camera (H.264 Baseline), or use its sub-stream"
)

// settle works out a camera's state, and has it told if it changed.
func (s *Set) settle(c *camera) {
	for _, f := range c.feeds() {
		f.state = f.now()
	}
	was, m := c.state, c.main.state
	now := station.CameraState{
		Camera: was.Camera, Node: was.Node, Since: was.Since,
		Status: m.Status, Cause: m.Cause, Hint: m.Hint, Codec: m.Codec, Width: m.Width, Height: m.Height,
		Sound: m.Sound, Transport: m.Transport, ClockOffset: m.ClockOffset,
		Talk: c.spoken(), Talking: c.talking(),
	}
	if c.sub != nil {
		now.Sub = c.sub.state
	}
	if now.Status != was.Status {
		now.Since = time.Now()
	}
	if now == was || s.cameras[c.src.ID] != c {
		return
	}
	c.state = now
	s.unsaid[c.src.ID] = now
	select {
	case s.tell <- struct{}{}:
	default:
	}
}

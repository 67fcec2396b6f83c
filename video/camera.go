package video

import (
	"context"
	"time"

	"stationd/agent/station"
	"stationd/video/stream"
)

// A camera of this node: its stream stays for as long as the camera is in the
// set, whatever becomes of the source; the source and the recorder are jobs.
type camera struct {
	src    Source
	stream *stream.Stream
	// said is what the source last said, state what that and the stream's own
	// facts come to.
	said, state station.CameraState

	source, record, look *job
}

// add takes in a new camera. s.mu is held, here and below.
func (s *Set) add(src Source) {
	c := &camera{
		src:    src,
		stream: stream.New(stream.Config{}),
		said:   station.CameraState{Status: station.CameraConnecting},
		state:  station.CameraState{Camera: src.ID, Node: src.Node, Status: station.CameraConnecting, Since: time.Now()},
	}
	s.cameras[src.ID] = c
	if s.runs() {
		s.start(c)
	}
}

// start starts the jobs of a camera.
func (s *Set) start(c *camera) {
	before := s.leaving[c.src.ID]
	delete(s.leaving, c.src.ID)
	s.startSource(c, before)
	s.startRecord(c)
	id, pictures := c.src.ID, c.stream
	c.look = s.begin(nil, s.log, "look after camera", func(ctx context.Context) error {
		return s.watchOver(ctx, id, pictures)
	})
}

func (s *Set) startSource(c *camera, before *job) {
	src, to := c.src, c.stream
	c.source = s.begin(before, s.log.With("camera", src.ID), "source", func(ctx context.Context) error {
		return s.pull(ctx, src, to, func(said station.CameraState) { s.hear(src, to, said) })
	})
}

func (s *Set) startRecord(c *camera) {
	if !c.src.Record || s.deps.Archive == nil {
		return
	}
	id, from := c.src.ID, c.stream
	c.record = s.begin(c.record, s.log.With("camera", id), "record", func(ctx context.Context) error {
		return s.deps.Archive.Record(ctx, id, from)
	})
}

// change takes over new settings; only what they concern is started again.
func (s *Set) change(c *camera, src Source) {
	old := c.src
	c.src = src
	c.state.Node = src.Node
	if !s.runs() {
		return
	}
	if !old.samePicture(src) {
		c.source.stop()
		c.said = station.CameraState{Status: station.CameraConnecting}
		s.settle(c)
		s.startSource(c, c.source)
	}
	if old.Record != src.Record {
		c.record.stop()
		s.startRecord(c)
	}
}

// remove lets a camera go; who watches it is told by the end of the stream.
func (s *Set) remove(c *camera) {
	delete(s.cameras, c.src.ID)
	delete(s.unsaid, c.src.ID)
	for _, j := range []*job{c.source, c.record, c.look} {
		j.stop()
	}
	if c.source != nil {
		s.leaving[c.src.ID] = c.source // one session at a time, even if it comes back
	}
	c.stream.Close()
}

// hear takes in what a source says. An old source of changed settings is not
// listened to.
func (s *Set) hear(src Source, to *stream.Stream, said station.CameraState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.cameras[src.ID]; c != nil && c.stream == to && c.src.samePicture(src) {
		c.said = said
		s.settle(c)
	}
}

const (
	causeReorder = "the camera sends B-frames, which browsers cannot show"
	hintReorder  = "switch B-frames off in the camera (H.264 Baseline), or use its sub-stream"
)

// watchOver takes in what the stream knows: whether pictures come, and which.
func (s *Set) watchOver(ctx context.Context, id string, pictures *stream.Stream) error {
	for {
		changed := pictures.Changed()
		s.mu.Lock()
		if c := s.cameras[id]; c != nil && c.stream == pictures {
			s.settle(c)
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// settle works out a camera's state, and has it told if it changed.
func (s *Set) settle(c *camera) {
	was, now := c.state, c.state
	now.Status, now.Cause, now.Hint = c.said.Status, c.said.Cause, c.said.Hint
	switch online, _, _ := c.stream.State(); {
	case online:
		p, _ := c.stream.Params()
		now.Status, now.Cause, now.Hint = station.CameraOnline, "", ""
		now.Codec, now.Width, now.Height = p.Codec, p.Width, p.Height
		if p.Reordered {
			now.Cause, now.Hint = causeReorder, hintReorder
		}
	case now.Status == station.CameraOnline:
		// The stream knows a little earlier than the source, which will say why.
		now.Status, now.Cause, now.Hint = was.Status, was.Cause, was.Hint
	}
	if now.Status != was.Status {
		now.Since = time.Now()
	}
	if now == was {
		return
	}
	c.state = now
	s.unsaid[c.src.ID] = now
	select {
	case s.tell <- struct{}{}:
	default:
	}
}

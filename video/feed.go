package video

import (
	"context"
	"time"

	"stationd/agent/station"
	"stationd/video/stream"
)

// A feed is one of a camera's streams: the main one, or the smaller one beside
// it. It has one session at the camera at most, however many read; its stream
// stays for as long as the camera has such a feed. A feed that is wanted by
// nobody is let go of, save the main one of a camera that is not on demand.
type feed struct {
	name   string // for people: "main", "sub"
	src    Source // with the feed's own address
	stream *stream.Stream
	// said is what the source last said, state what that and the stream's own
	// facts come to.
	said  station.CameraState
	state station.StreamState
	lost  func() uint64 // packets of the session that runs
	meter meter

	on      bool // the source is to run
	source  *job // the last one
	look    *job
	readers int
	linger  *time.Timer // runs while there are no readers
	gone    bool
}

func newFeed(name string, src Source) *feed {
	return &feed{
		name: name, src: src, stream: stream.New(stream.Config{}),
		said:  station.CameraState{Status: station.CameraConnecting},
		state: station.StreamState{Status: station.CameraConnecting},
	}
}

// samePicture tells whether o needs no new session.
func (src Source) samePicture(o Source) bool {
	return src.URL == o.URL && src.Username == o.Username && src.Password == o.Password &&
		src.Transport == o.Transport && src.Fingerprint == o.Fingerprint && src.Mute == o.Mute
}

// always tells that a feed runs whether or not somebody reads. s.mu is held,
// here and below.
func (c *camera) always(f *feed) bool { return f == c.main && !c.src.OnDemand }

// hold counts a reader in.
func (s *Set) hold(c *camera, f *feed) {
	f.readers++
	s.adjust(c, f)
}

// drop counts a reader out; the last one starts the linger.
func (s *Set) drop(c *camera, f *feed) {
	if f.readers--; f.readers > 0 || f.gone || c.always(f) || !f.on {
		return
	}
	f.linger = time.AfterFunc(s.cfg.Linger, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		f.linger = nil
		s.adjust(c, f)
	})
}

// adjust starts or ends the source, as the feed is wanted.
func (s *Set) adjust(c *camera, f *feed) {
	if f.gone || !s.runs() {
		return
	}
	wanted := f.readers > 0 || c.always(f)
	if wanted && f.linger != nil {
		f.linger.Stop()
		f.linger = nil
	}
	switch {
	case wanted && !f.on:
		f.on = true
		f.said = station.CameraState{Status: station.CameraConnecting}
		s.startSource(c, f)
	case !wanted && f.on && f.linger == nil:
		f.on = false
		f.source.stop()
		f.said = station.CameraState{Status: station.CameraIdle}
	case !f.on:
		f.said = station.CameraState{Status: station.CameraIdle}
	}
	s.settle(c)
}

// startSource starts the feed's session once the one before has ended.
func (s *Set) startSource(c *camera, f *feed) {
	before := f.source
	if key := c.src.ID + "/" + f.name; before == nil {
		before = s.leaving[key]
		delete(s.leaving, key)
	}
	src := f.src
	run := func(ctx context.Context) error {
		return s.pull(ctx, src, f, func(said station.CameraState) { s.hear(c, f, src, said) })
	}
	if f == c.sub {
		run = func(ctx context.Context) error { return s.pullSub(ctx, c, f, src) }
	}
	f.source = s.begin(before, s.log.With("camera", src.ID, "stream", f.name), "source", run)
}

// watchOver starts taking in what the stream knows: whether pictures come, and
// which.
func (s *Set) watchOver(c *camera, f *feed) {
	f.look = s.begin(nil, s.log, "look after camera", func(ctx context.Context) error {
		for {
			changed := f.stream.Changed()
			s.mu.Lock()
			if !f.gone {
				s.settle(c)
			}
			s.mu.Unlock()
			select {
			case <-changed:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
}

// readdress takes over a feed's new settings, and tells whether its session was
// disturbed.
func (s *Set) readdress(c *camera, f *feed, src Source) {
	old := f.src
	f.src = src
	if old.samePicture(src) || !f.on || !s.runs() {
		return
	}
	f.source.stop()
	f.said = station.CameraState{Status: station.CameraConnecting}
	s.startSource(c, f)
	s.settle(c)
}

// closeFeed lets a feed go; who reads it is told by the end of the stream.
func (s *Set) closeFeed(c *camera, f *feed) {
	f.gone = true
	f.source.stop()
	f.look.stop()
	if f.linger != nil {
		f.linger.Stop()
	}
	if f.source != nil {
		s.leaving[c.src.ID+"/"+f.name] = f.source // one session at a time, even if it comes back
	}
	f.stream.Close()
}

// hear takes in what a source says. An old source of changed settings is not
// listened to.
func (s *Set) hear(c *camera, f *feed, src Source, said station.CameraState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.gone || !f.on || !f.src.samePicture(src) {
		return
	}
	f.said = said
	s.settle(c)
}

// now works out a feed's state.
func (f *feed) now() station.StreamState {
	was := f.state
	now := station.StreamState{Status: f.said.Status, Cause: f.said.Cause, Hint: f.said.Hint}
	// What it was of stays known while it is away.
	now.Codec, now.Width, now.Height, now.Sound, now.BFrames = was.Codec, was.Width, was.Height, was.Sound, was.BFrames
	now.Transport, now.ClockOffset = was.Transport, was.ClockOffset
	switch online, _, _ := f.stream.State(); {
	case online && f.on:
		p, _ := f.stream.Params()
		now.Status = station.CameraOnline
		if f.said.Status == station.CameraOnline {
			now.Transport, now.ClockOffset = f.said.Transport, f.said.ClockOffset
		} else {
			now.Cause, now.Hint = "", "" // the source will say in a moment
		}
		now.Codec, now.Width, now.Height, now.BFrames, now.Sound = p.Codec, p.Width, p.Height, p.Reordered, ""
		if p.Sound != nil {
			now.Sound = p.Sound.Codec
		}
		if p.Reordered {
			now.Cause, now.Hint = causeReorder, hintReorder
		}
	case now.Status == station.CameraOnline:
		// The stream knows a little earlier than the source, which will say why.
		now.Status, now.Cause, now.Hint = was.Status, was.Cause, was.Hint
	}
	return now
}

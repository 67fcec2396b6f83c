package video

import (
	"context"
	"errors"
	"io"
	"time"

	"stationd/agent/station"
	"stationd/video/rtsp"
	"stationd/video/stream"
)

// rtspConfig is how a source is called.
func (s *Set) rtspConfig(src Source) rtsp.Config {
	cfg := s.cfg.RTSP
	cfg.Camera, cfg.URL, cfg.Username, cfg.Password = src.ID, src.URL, src.Username, src.Password
	cfg.Transport, cfg.Fingerprint, cfg.Mute = src.Transport, src.Fingerprint, src.Mute
	return cfg
}

// pull keeps a feed's picture coming until ctx ends, and tells hear of every
// change. An address that cannot be used is told once; only other settings help
// against it.
func (s *Set) pull(ctx context.Context, src Source, f *feed, hear func(station.CameraState)) error {
	cfg := s.rtspConfig(src)
	if err := cfg.Validate(); err != nil || src.URL == "" {
		state := station.CameraState{Status: station.CameraUnsupported, Cause: "the address cannot be used", Hint: "write rtsp://host:554/path"}
		if p, ok := station.AsProblem(err); ok {
			state.Cause, state.Hint = p.Message, p.Hint
		}
		hear(state)
		<-ctx.Done()
		return nil
	}
	if s.deps.Keys != nil {
		cfg.Wish = func() { s.deps.Keys.KeyPicture(src.ID) }
	}
	source := rtsp.New(cfg, f.stream, s.log)
	source.OnState(hear)
	s.mu.Lock()
	f.lost = func() uint64 { return source.Stats().Session }
	s.mu.Unlock()
	return source.Run(ctx)
}

// How long a smaller stream is made of the main one before the camera is asked
// for a session of its own again; doubled each time.
const (
	firstBorrow = 5 * time.Minute
	mostBorrow  = time.Hour
)

const (
	causeBorrow = "the camera has no session left for its smaller stream; the main one is shown in its place"
	hintBorrow  = "end other programs that watch this camera, or raise its number of sessions"
)

// pullSub is pull for a smaller stream. Where the camera has no session left for
// it, the main stream's pictures are written to it: its readers notice no more
// than their size.
func (s *Set) pullSub(ctx context.Context, c *camera, f *feed, src Source) error {
	for borrow := firstBorrow; ; borrow = min(2*borrow, mostBorrow) {
		own, give := context.WithCancel(ctx)
		refused := false
		err := s.pull(own, src, f, func(said station.CameraState) {
			if said.Status == station.CameraNoSlot && s.mainRuns(c) {
				refused = true
				give()
				return
			}
			if said.Status == station.CameraOnline {
				borrow = firstBorrow / 2 // so that the next time is the first
			}
			s.hear(c, f, src, said)
		})
		give()
		if !refused || ctx.Err() != nil {
			return err
		}
		s.hear(c, f, src, station.CameraState{Status: station.CameraOnline, Cause: causeBorrow, Hint: hintBorrow})
		s.borrow(ctx, c, f, max(borrow, firstBorrow))
		if ctx.Err() != nil {
			return nil
		}
	}
}

// mainRuns tells whether there is something to be borrowed.
func (s *Set) mainRuns(c *camera) bool {
	online, _, _ := c.main.stream.State()
	return online
}

// borrow writes the main feed's pictures and sound to f for a while.
func (s *Set) borrow(ctx context.Context, c *camera, f *feed, long time.Duration) {
	s.mu.Lock()
	s.hold(c, c.main)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.drop(c, c.main)
		s.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	defer f.stream.Lost("the camera is asked for its smaller stream again")
	r := c.main.stream.Read(stream.ReadOptions{Name: "smaller stream", FromCache: true, Sound: true})
	defer r.Close()
	var about *stream.Params
	for {
		u, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			<-ctx.Done()
			return
		}
		if err != nil {
			return
		}
		if u.Params != about {
			about = u.Params
			f.stream.Announce(*about)
		}
		if u.Sound != nil {
			f.stream.WriteSound(u.Sound, u.PTS, u.Arrival)
		} else {
			f.stream.Write(u.NALUs, u.PTS, u.Arrival, u.Damaged)
		}
	}
}

package video

import (
	"context"

	"stationd/agent/station"
	"stationd/video/rtsp"
	"stationd/video/stream"
)

// pull keeps a camera's picture coming until ctx ends, and tells hear of every
// change. An address that cannot be used is told once; only other settings help
// against it.
func (s *Set) pull(ctx context.Context, src Source, to *stream.Stream, hear func(station.CameraState)) error {
	cfg := s.cfg.RTSP
	cfg.Camera, cfg.URL, cfg.Username, cfg.Password = src.ID, src.URL, src.Username, src.Password
	if err := cfg.Validate(); err != nil || src.URL == "" {
		state := station.CameraState{Status: station.CameraUnsupported, Cause: "the address cannot be used", Hint: "write rtsp://host:554/path"}
		if p, ok := station.AsProblem(err); ok {
			state.Cause, state.Hint = p.Message, p.Hint
		}
		hear(state)
		<-ctx.Done()
		return nil
	}
	source := rtsp.New(cfg, to, s.log)
	source.OnState(hear)
	return source.Run(ctx)
}

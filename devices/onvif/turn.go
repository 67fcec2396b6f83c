package onvif

import (
	"context"

	"stationd/agent/station"
)

// Turn does with a camera's head what is ordered, and tells of it where that was
// asked for. Cameras of stations below are those stations' to turn: Deps.Below
// carries the order there, and the dead man's handle is there too.
func (s *Set) Turn(ctx context.Context, camera string, o station.TurnOrder, who station.Actor) (station.TurnReport, error) {
	s.mu.Lock()
	_, own := s.cameras[camera]
	s.mu.Unlock()
	if !own && s.deps.Below != nil {
		if report, below, err := s.deps.Below(ctx, camera, o, who); below {
			return report, err
		}
	}
	switch {
	case o.Look:
		return s.look(ctx, camera)
	case o.Preset != "":
		return station.TurnReport{}, s.goTo(ctx, camera, o.Preset, who)
	}
	return station.TurnReport{}, s.Move(ctx, camera, Velocity{Pan: o.Pan, Tilt: o.Tilt, Zoom: o.Zoom}, who)
}

// look is how a camera's head is.
func (s *Set) look(ctx context.Context, camera string) (r station.TurnReport, err error) {
	if by, moves := s.Moving(camera); moves {
		r.Moving = by
	}
	var list []Preset
	err = s.with(ctx, camera, func(ctx context.Context, c *Client, profile string) (err error) {
		list, err = c.Presets(ctx, profile)
		return err
	})
	for _, p := range list {
		r.Presets = append(r.Presets, station.CameraPreset(p))
	}
	return r, err
}

// goTo turns a camera to a place that it knows, unless somebody else turns it.
func (s *Set) goTo(ctx context.Context, camera, preset string, who station.Actor) error {
	if by, moves := s.Moving(camera); moves && by != who.Name && by != who.Account {
		return station.Errorf(409, "ptz.held", "wait until it stands still, or stop it", "%s is turning the camera", by)
	}
	err := s.with(ctx, camera, func(ctx context.Context, c *Client, profile string) error { return c.GoTo(ctx, profile, preset) })
	if err != nil || s.deps.Note == nil {
		return err
	}
	return s.deps.Note(ctx, who, "camera.preset.goto", "camera/"+camera, preset)
}

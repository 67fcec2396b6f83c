package video

import (
	"context"
	"maps"
	"slices"

	"stationd/agent/station"
)

// What changed is told in one place, one state at a time. What waits to be told
// is one state per camera, the newest: a bound, and nothing stale is ever told.

// tellStates tells until ctx ends.
func (s *Set) tellStates(ctx context.Context) {
	wait := pauses{}
	for {
		select {
		case <-s.tell:
		case <-ctx.Done():
			return
		}
		for {
			state, ok := s.nextState()
			if !ok {
				break
			}
			err := s.deps.Events.HandleCameraState(ctx, state)
			if err == nil {
				wait = pauses{}
				continue
			}
			if ctx.Err() != nil {
				return
			}
			s.log.Warn("camera state not taken in, will tell again", "camera", state.Camera, "err", err)
			s.untold(state)
			if !wait.sleep(ctx) {
				return
			}
		}
	}
}

// nextState takes a state that was not told yet.
func (s *Set) nextState() (station.CameraState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := slices.SortedFunc(maps.Keys(s.unsaid), func(a, b string) int {
		return s.unsaid[a].Since.Compare(s.unsaid[b].Since)
	})
	if len(ids) == 0 {
		return station.CameraState{}, false
	}
	state := s.unsaid[ids[0]]
	delete(s.unsaid, ids[0])
	return state, true
}

// untold puts a state back, unless there is a newer one or the camera is gone.
func (s *Set) untold(state station.CameraState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, newer := s.unsaid[state.Camera]; !newer && s.cameras[state.Camera] != nil {
		s.unsaid[state.Camera] = state
	}
}

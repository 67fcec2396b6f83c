package record

import "time"

// Behind is how far the recorder of a camera is behind a picture sent at sent;
// what waits for the disk counts when there is much of it.
func (a *Archive) Behind(camera string, sent time.Time) time.Duration {
	at, _ := a.clock.index(sent)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) > 4 {
		return time.Hour
	}
	return time.Duration(at - a.camera(camera).heard).Abs()
}

// SetClock sets the wall clock, as far as the archive sees it, by so much.
func (a *Archive) SetClock(by time.Duration) {
	a.clock.mu.Lock()
	defer a.clock.mu.Unlock()
	before := a.clock.wall
	a.clock.wall = func(t time.Time) int64 { return before(t) + int64(by) }
}

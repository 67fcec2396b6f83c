package record

import "time"

// Behind is how far the recorder of a camera is behind a picture sent at sent,
// counting what waits for the disk.
func (a *Archive) Behind(camera string, sent time.Time) time.Duration {
	at, _ := a.clock.index(sent)
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Duration(at - a.camera(camera).end)
}

package record

import (
	"maps"
	"slices"
	"time"
)

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

// ReadSealText reads the text of a seal in both ways, and tells whether the quick one
// took it, and whether they agree.
func ReadSealText(text []byte) (quick, agree bool, err error) {
	files, what, quick := newSealReader().parse(text)
	wantFiles, want, err := parseSeal(text)
	if err != nil || !quick {
		return quick, !quick, err
	}
	sameSpan := func(x, y Span) bool { return x.From.Equal(y.From) && x.To.Equal(y.To) }
	agree = slices.Equal(files, wantFiles) && what.Created.Equal(want.Created) &&
		maps.EqualFunc(what.Tracks, want.Tracks, func(x, y *track) bool {
			return slices.EqualFunc(x.Spans, y.Spans, sameSpan) && slices.EqualFunc(x.Damaged, y.Damaged, sameSpan) &&
				slices.EqualFunc(x.Gaps, y.Gaps, func(x, y Gap) bool {
					return x.From.Equal(y.From) && x.To.Equal(y.To) && x.Reason == y.Reason
				}) &&
				slices.EqualFunc(x.Steps, y.Steps, func(x, y Step) bool { return x.At.Equal(y.At) && x.By == y.By }) &&
				x.Fragments == y.Fragments && x.Bytes == y.Bytes
		})
	return quick, agree, nil
}

// CheckedText is what stands behind the checksum of a seal.
func CheckedText(body []byte) ([]byte, error) { return checked(body) }

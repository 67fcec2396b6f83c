package record

import (
	"slices"
	"time"
)

// Reason is why there is a gap in the record.
type Reason string

// The reasons.
const (
	GapLost     Reason = "lost"     // the camera sent nothing
	GapRestart  Reason = "restart"  // recording of the camera began here
	GapSkipped  Reason = "skipped"  // the disk was too slow for what came
	GapSpace    Reason = "space"    // there was no space left to record to
	GapClock    Reason = "clock"    // the station's clock was set forward
	GapDamaged  Reason = "damaged"  // it was recorded, but cannot be read any more
	GapSchedule Reason = "schedule" // it was not to be recorded then; see station.Recording
)

// gapAtLeast is what counts as a gap; less is a hiccup of the network.
const gapAtLeast = 500 * time.Millisecond

// Span is a stretch of a camera's record without a gap.
type Span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Gap is a stretch without a picture, between two that have one.
type Gap struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Reason Reason    `json:"reason"`
}

// Step is a setting of the station's clock while a camera was recorded. At is the
// new time of the first picture after it.
type Step struct {
	At time.Time     `json:"at"`
	By time.Duration `json:"by"` // ns; negative where it was set back
}

// track is what a volume holds of one camera.
type track struct {
	Spans     []Span `json:"spans"`
	Gaps      []Gap  `json:"gaps,omitempty"` // that end in this volume
	Steps     []Step `json:"steps,omitempty"`
	Fragments int    `json:"fragments"`
	Bytes     int64  `json:"bytes"`
	// Damaged are the pieces that the scrub found not to be what was written.
	Damaged []Span `json:"damaged,omitempty"`
}

// add takes in a fragment that was written.
func (t *track) add(start, end int64, size int) {
	t.Fragments++
	t.Bytes += int64(size)
	from, to := fromIndex(start), fromIndex(end)
	if n := len(t.Spans); n > 0 {
		last := &t.Spans[n-1]
		if d := from.Sub(last.To); d < gapAtLeast && !from.Before(last.From) {
			if to.After(last.To) {
				last.To = to
			}
			return
		}
	}
	if n := len(t.Spans); n >= mostSpans {
		// A camera that comes and goes every second: its holes are rows on the
		// disk, and here it is one long span that is not quite true.
		last := &t.Spans[n-1]
		last.To = later(last.To, to)
		if from.Before(last.From) {
			last.From = from
		}
		return
	}
	t.Spans = append(t.Spans, Span{From: from, To: to})
}

// mostSpans bounds what one camera may take of the memory for one volume.
const mostSpans = 512

// addGap takes in a gap that ends in the volume.
func (t *track) addGap(g Gap) {
	if len(t.Gaps) < mostSpans {
		t.Gaps = append(t.Gaps, g)
	}
}

func later(x, y time.Time) time.Time {
	if x.After(y) {
		return x
	}
	return y
}

// overlaps tells whether any of it lies between from and to.
func (t *track) overlaps(from, to time.Time) bool {
	for _, s := range t.Spans {
		if s.To.After(from) && s.From.Before(to) {
			return true
		}
	}
	return false
}

// holds tells whether a fragment that begins at start may be in it.
func (t *track) holds(start int64) bool {
	at := fromIndex(start)
	return slices.ContainsFunc(t.Spans, func(s Span) bool { return !at.Before(s.From) && at.Before(s.To) })
}

// fromIndex is the moment of an index time.
func fromIndex(at int64) time.Time { return time.Unix(0, at) }

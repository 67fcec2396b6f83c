package record

import "time"

// Reason is why there is a gap in the record.
type Reason string

// The reasons.
const (
	GapLost    Reason = "lost"    // the camera sent nothing
	GapRestart Reason = "restart" // recording of the camera began here
	GapSkipped Reason = "skipped" // the disk was too slow for what came
	GapSpace   Reason = "space"   // there was no space left to record to
	GapClock   Reason = "clock"   // the station's clock was set forward
	GapDamaged Reason = "damaged" // it was recorded, but cannot be read any more
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

// track is what a volume holds of one camera.
type track struct {
	Spans     []Span `json:"spans"`
	Gaps      []Gap  `json:"gaps,omitempty"` // that end in this volume
	Fragments int    `json:"fragments"`
	Bytes     int64  `json:"bytes"`
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
	t.Spans = append(t.Spans, Span{From: from, To: to})
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

// fromIndex is the moment of an index time.
func fromIndex(at int64) time.Time { return time.Unix(0, at) }

package alarm

import (
	"iter"
	"slices"
	"time"

	"stationd/agent/station"
)

// Flood watches how many alarms are new at a time. The zero value has seen none.
type Flood struct {
	// Recent are the times of the newest alarms, one more than the limit.
	Recent []Tick `json:"recent,omitempty"`
	// Now is the flood that is under way; nil when there is none.
	Now *station.Flood `json:"now,omitempty"`
}

// Add counts a new alarm and tells whether there are more than the limit now.
func (f *Flood) Add(now Tick, lim Limits) bool {
	f.Recent = append(f.Recent, now)
	f.Recent = f.Recent[max(0, len(f.Recent)-lim.Flood-1):]
	return lim.Flood > 0 && f.Over(lim) > now
}

// Over is when the flood ends unless more come: zero when there is none.
func (f *Flood) Over(lim Limits) Tick {
	if len(f.Recent) <= lim.Flood {
		return 0
	}
	return f.Recent[0].Add(lim.FloodWithin)
}

// Replay puts recorded verdicts of one rule of one sensor through the machine and
// yields the alarms that it would have raised, in order, as they were when they
// were raised. The times must not go back; until is when the record ends.
func Replay(kind station.AlarmKind, lim Limits, verdicts iter.Seq2[time.Time, station.Signal], until time.Time) iter.Seq[station.Alarm] {
	return func(yield func(station.Alarm) bool) {
		r := Record{Kind: kind}
		var began time.Time
		tick := func(at time.Time) Tick { return Tick(time.Hour) + Tick(at.Sub(began)) }
		// advance runs the deadlines that come before a moment.
		advance := func(to time.Time) bool {
			for due := r.Due(); due != 0 && due <= tick(to); due = r.Due() {
				now := Now{due, began.Add(time.Duration(due - Tick(time.Hour)))}
				if out := r.Tick(now, Marks{}, lim); out.Raised && !yield(snapshot(out.Alarm)) {
					return false
				}
			}
			return true
		}
		for at, sig := range verdicts {
			if began.IsZero() {
				began = at
			}
			if !advance(at) {
				return
			}
			out := r.Signal(Now{tick(at), at}, sig, Marks{}, lim)
			if out.Raised && !yield(snapshot(out.Alarm)) {
				return
			}
			if al := r.Alarm; al != nil && kind.LifeSafety() && !sig.Active {
				// Somebody would have judged it.
				al.Answers = append(al.Answers, station.Answer{Kind: station.AnswerReal, At: at})
				r.Settle(Now{tick(at), at})
			}
		}
		if !began.IsZero() {
			advance(until)
		}
	}
}

// snapshot is the alarm as it is: the machine goes on with it.
func snapshot(al *station.Alarm) station.Alarm {
	c := *al
	c.Answers = slices.Clone(al.Answers)
	return c
}

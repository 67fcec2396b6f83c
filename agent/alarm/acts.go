package alarm

import (
	"net/http"
	"time"

	"stationd/agent/station"
)

// The steps that no signal asks for: time, people, service.

// Tick carries out the first deadline that has come. It is called again until
// Due is in the future. The marks say how the sensor stands now.
func (r *Record) Tick(now Now, m Marks, lim Limits) Outcome {
	due := r.Due()
	if due == 0 || due > now.Tick {
		return Outcome{}
	}
	r.changed = true
	switch due {
	case r.RaiseAt:
		r.RaiseAt = 0
		if r.Holds && r.Alarm == nil && !m.Disarmed {
			return r.raise(now, m, lim, false)
		}
	case r.ClearAt:
		r.ClearAt = 0
		if !r.Holds && r.Alarm != nil && r.Alarm.ReturnedAt.IsZero() {
			return r.returns(now)
		}
	case r.QuietAt:
		r.QuietAt = 0
		if r.Alarm == nil || !r.Alarm.Chattering {
			return Outcome{}
		}
		if !r.Holds {
			return r.returns(now)
		}
		r.Alarm.Chattering = false
		return r.settle(now, station.EventAlarmChanged)
	case r.ShelfAt:
		return r.Unshelve(now)
	case r.ShowAt:
		r.ShowAt = 0
		if m.Hidden == Bridge {
			return Outcome{} // it is away again
		}
		return r.Show(now, Bridge)
	}
	return Outcome{}
}

// Revive makes al the live alarm: one that was changed by the caller, or that an
// answer which is taken back brings to life again.
func (r *Record) Revive(al *station.Alarm) {
	r.Alarm = al
	set(r, &r.Live, true)
	set(r, &r.Entered, r.Entered || Shown(al) || !al.Live())
}

// Settle follows an answer that was put into the alarm, or taken back.
func (r *Record) Settle(now Now) Outcome {
	if r.Alarm == nil {
		return Outcome{}
	}
	return r.settle(now, station.EventAlarmAnswered)
}

// Shelve takes the alarm out of the queue for a limited time, and those that the
// condition raises in that time. Life safety is not shelved while it holds.
func (r *Record) Shelve(now Now, shelf station.Shelf, span time.Duration) (Outcome, error) {
	if r.Alarm == nil {
		return Outcome{}, station.Errorf(http.StatusConflict, "shelf.over", "there is nothing to shelve", "the alarm is over")
	}
	if r.Kind.LifeSafety() && r.Alarm.ReturnedAt.IsZero() {
		return Outcome{}, station.Errorf(http.StatusConflict, "shelf.life", "answer it; if the detector is broken, set the sensor to maintenance", "people may be in danger: such an alarm cannot be shelved while its condition holds")
	}
	r.Shelf, r.ShelfAt, r.changed = &shelf, now.Tick.Add(span), true
	r.Alarm.Shelf = &shelf
	return r.settle(now, station.EventAlarmChanged), nil
}

// Unshelve puts it back before its time.
func (r *Record) Unshelve(now Now) Outcome {
	if !r.unshelve() {
		return Outcome{}
	}
	return r.settle(now, station.EventAlarmChanged)
}

// unshelve tells whether a live alarm was on the shelf.
func (r *Record) unshelve() bool {
	if r.Shelf != nil || r.ShelfAt != 0 {
		r.Shelf, r.ShelfAt, r.changed = nil, 0, true
	}
	if r.Alarm == nil || r.Alarm.Shelf == nil {
		return false
	}
	r.Alarm.Shelf = nil
	return true
}

// Hide keeps the live alarm without showing it. Life safety is hidden by
// maintenance alone.
func (r *Record) Hide(now Now, why string) Outcome {
	if r.Alarm == nil || r.Alarm.Suppressed == why || r.Kind.LifeSafety() && why != Maintenance {
		return Outcome{}
	}
	r.Alarm.Suppressed = why
	return r.settle(now, station.EventAlarmChanged)
}

// Show ends that, if why is what hid it. An alarm whose condition still holds is
// news from now on.
func (r *Record) Show(now Now, why string) Outcome {
	if r.Alarm == nil || r.Alarm.Suppressed != why {
		return Outcome{}
	}
	r.Alarm.Suppressed = ""
	return r.settle(now, station.EventAlarmChanged)
}

// Serviced ends the maintenance of the sensor. What came and went wholly inside it
// belongs to the work: where a person ends the maintenance, by is that person's word
// for it, and the alarm is over without having been one. Anything else comes into
// sight: what still holds, what was known before, and whatever there was when
// nobody but the clock has ended it.
func (r *Record) Serviced(now Now, by *station.Answer) Outcome {
	al := r.Alarm
	if al == nil || al.Suppressed != Maintenance {
		return Outcome{}
	}
	if by == nil || al.Worked == 0 || r.Entered || al.ReturnedAt.IsZero() {
		return r.Show(now, Maintenance)
	}
	al.Suppressed = ""
	al.Answers = append(al.Answers, *by)
	return r.settle(now, station.EventAlarmAnswered)
}

// Rearm judges a condition that holds when its schedule begins to watch.
func (r *Record) Rearm(now Now, m Marks, lim Limits) Outcome {
	if !r.Holds || r.Alarm != nil || r.RaiseAt != 0 {
		return Outcome{}
	}
	return r.due(now, m, lim)
}

// Gone is told that nobody watches the condition any more: no signal will say that
// it has ended.
func (r *Record) Gone(now Now) Outcome {
	set(r, &r.Holds, false)
	for _, t := range []*Tick{&r.RaiseAt, &r.ClearAt, &r.QuietAt} {
		set(r, t, 0)
	}
	if r.Alarm == nil || !r.Alarm.ReturnedAt.IsZero() {
		return Outcome{}
	}
	return r.returns(now)
}

// ShowLater has Show follow after a while, for what a bridge hides.
func (r *Record) ShowLater(now Now, grace time.Duration) {
	if r.Alarm != nil && r.Alarm.Suppressed == Bridge && r.ShowAt == 0 {
		set(r, &r.ShowAt, now.Tick.Add(grace))
	}
}

// Move gives the condition to another sensor, which stands in its sensor's place.
func (r *Record) Move(sensor string) { set(r, &r.Sensor, sensor) }

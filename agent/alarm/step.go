package alarm

import (
	"slices"
	"time"

	"stationd/agent/station"
)

// Marks are what the caller knows about a signal, and about the sensor at the
// moment of a step.
type Marks struct {
	Late     bool // it tells of the past: a backlog, an old device time
	Waited   bool // it lay at a broker, and may be old
	Retained bool // a broker's stored message: a state, no event
	Repeated bool // this transmission was taken in before
	// Known tells that the same value was known already, for a retained message.
	Known bool
	// DeviceTime is the device's own, zero when it tells none; Skew is its clock
	// minus ours.
	DeviceTime time.Time
	Skew       time.Duration
	Values     map[string]station.Value

	// Test marks what is raised now. Hidden is why it is kept without being
	// shown: Maintenance, Bridge or Flooded. Disarmed tells that the condition
	// raises nothing now: its schedule does not watch.
	Test     bool
	Hidden   string
	Disarmed bool
}

// repeatQuiet bounds the events about one alarm's repeats: one in each such span
// since it was raised. The others are counted, and the count reaches the readers
// with the next event.
const repeatQuiet = 10 * time.Second

// maxHits bounds what a rule may count.
const maxHits = 100

// Signal is a rule's verdict.
func (r *Record) Signal(now Now, sig station.Signal, m Marks, lim Limits) Outcome {
	life := r.Kind.LifeSafety()
	if life {
		sig.Timing = station.Timing{Severity: sig.Timing.Severity}
		m.Disarmed = false
	}
	// A latched alarm is raised even when the transmission looks like one that
	// was taken in before: raising it twice is a nuisance, losing it is a death.
	if m.Repeated && (!life || !sig.Active || r.Alarm != nil) {
		return Outcome{}
	}
	if !sig.Active {
		return r.ends(now, m, lim)
	}
	return r.holds(now, sig, m, lim)
}

func (r *Record) holds(now Now, sig station.Signal, m Marks, lim Limits) Outcome {
	if m.Retained && r.Alarm == nil && (m.Known || r.Holds) {
		return Outcome{}
	}
	// What a backlog tells of before the last end began and ended in the past.
	past := m.Late && !m.DeviceTime.IsZero() && m.DeviceTime.Before(r.EndedAt)
	rise := !r.Holds
	calm := rise && now.Tick >= r.Since.Add(lim.ChatterQuiet) // before it
	if rise || !m.Late {
		set(r, &r.Late, m.Late)
	}
	retimed := r.Why.Timing != sig.Timing
	if rise || r.Alarm == nil || retimed || r.Why.Rule != sig.Rule || r.Why.Version != sig.Version {
		r.Why, r.changed = sig, true
	}
	if rise && !past {
		r.Holds, r.Since, r.changed = true, now.Tick, true
	}
	if r.Alarm != nil {
		return r.again(now, m, lim, rise, calm, past)
	}
	r.Values, r.DeviceTime, r.Skew = m.Values, m.DeviceTime, m.Skew
	if m.Disarmed {
		return Outcome{} // remembered; the edge of the schedule judges again
	}
	if past {
		return r.raise(now, m, lim, true)
	}
	if rise {
		r.hit(now)
	} else if retimed {
		r.RaiseAt = 0
	}
	return r.due(now, m, lim)
}

// hit counts an occurrence for a rule that wants several.
func (r *Record) hit(now Now) {
	t := r.Why.Timing
	if t.Count <= 1 {
		r.Hits = nil
		return
	}
	r.Hits = append(r.Hits, now.Tick)
	r.changed = true
	if t.Within > 0 {
		r.Hits = slices.DeleteFunc(r.Hits, func(h Tick) bool { return h.Add(t.Within) < now.Tick })
	}
	r.Hits = r.Hits[max(0, len(r.Hits)-min(t.Count, maxHits)):]
}

// due raises the alarm of a condition that holds, or begins to wait.
func (r *Record) due(now Now, m Marks, lim Limits) Outcome {
	t := r.Why.Timing
	if t.Count > 1 && len(r.Hits) < min(t.Count, maxHits) {
		return Outcome{}
	}
	if t.For > 0 {
		if r.RaiseAt == 0 {
			set(r, &r.RaiseAt, r.Since.Add(t.For))
		}
		if r.RaiseAt > now.Tick {
			return Outcome{}
		}
	}
	return r.raise(now, m, lim, false)
}

// raise makes the alarm. One that is past has ended as well.
func (r *Record) raise(now Now, m Marks, lim Limits, past bool) Outcome {
	sig := r.Why
	al := &station.Alarm{
		Kind: r.Kind, Severity: r.Kind.Severity(), Sensor: r.Sensor,
		RaisedAt: now.Wall, LastAt: now.Wall, Count: 1,
		Late: r.Late, Waited: m.Waited, DeviceTime: r.DeviceTime, Skew: r.Skew, Values: r.Values, Test: m.Test, Why: &sig,
	}
	if sig.Timing.Severity != "" {
		al.Severity = sig.Timing.Severity
	}
	if m.Hidden == Maintenance || !r.Kind.LifeSafety() {
		al.Suppressed = m.Hidden
	}
	if m.Hidden == Maintenance {
		al.Worked = 1
	}
	if !r.Kind.LifeSafety() {
		al.Shelf = r.Shelf
		if !al.Late {
			r.rise(now, al, lim)
		}
	}
	if past {
		al.ReturnedAt = now.Wall
	}
	r.Alarm, r.Live = al, true
	r.RaiseAt, r.ClearAt, r.Hits, r.Values, r.Entered, r.changed = 0, 0, nil, nil, false, true
	al.Settle(now.Wall)
	out := Outcome{Alarm: al, Event: station.EventAlarmRaised, Raised: true}
	r.enter(&out)
	r.leave()
	return out
}

// rise notes when an alarm was raised, and whether that is chatter.
func (r *Record) rise(now Now, al *station.Alarm, lim Limits) {
	r.Rises = slices.DeleteFunc(append(r.Rises, now.Tick), func(t Tick) bool { return t.Add(lim.ChatterWithin) < now.Tick })
	r.Rises = r.Rises[max(0, len(r.Rises)-lim.Chatter):]
	r.changed = true
	if lim.Chatter > 1 && len(r.Rises) >= lim.Chatter {
		al.Chattering = true
		r.QuietAt = now.Tick.Add(lim.ChatterQuiet)
	}
}

// again counts a further signal of a live alarm. A retained message tells a state:
// it does not count.
func (r *Record) again(now Now, m Marks, lim Limits, rise, calm, past bool) Outcome {
	al := r.Alarm
	set(r, &r.ClearAt, 0)
	if al.Chattering && rise {
		set(r, &r.QuietAt, now.Tick.Add(lim.ChatterQuiet))
	}
	back := !al.ReturnedAt.IsZero() && !past
	if m.Retained && !back {
		return Outcome{}
	}
	if r.news(m, rise, calm && back) {
		al.Test, al.Before = al.Test && m.Test, len(al.Answers)
		// What the parent took over was what had been before; this it has not seen.
		al.CentreSeenAt, al.CentreTakenAt, al.CentreLapsedAt = time.Time{}, time.Time{}, time.Time{}
		al.CentreSeenBy, al.CentreTakenBy, al.CentreLapsedBy = "", "", ""
		set(r, &r.Entered, false)
	}
	quiet := now.Wall.Sub(al.RaisedAt)/repeatQuiet == al.LastAt.Sub(al.RaisedAt)/repeatQuiet
	fresh := al.Late && !m.Late && !m.Retained // what was old news is so now
	if back {
		al.ReturnedAt = time.Time{}
		if al.Suppressed == Maintenance {
			al.Worked++
		}
		if al.Shelf != nil && r.Kind.LifeSafety() {
			r.unshelve()
		}
	}
	if fresh {
		al.Late = false
	}
	if !m.Waited && !m.Late && !m.Retained {
		al.Waited = false // it holds now
	}
	if !m.Retained {
		al.Count++
	}
	al.LastAt = now.Wall
	al.Settle(now.Wall)
	out := Outcome{Alarm: al}
	r.enter(&out)
	if back || fresh || !quiet || out.Enters {
		out.Event = station.EventAlarmRepeated
	}
	return out
}

// news tells whether a further signal is of something that those who know of the
// alarm do not know: the sensor was tried out when it was raised and is not any
// more; or somebody has answered it without judging it, it ended, and after a
// while it comes again.
func (r *Record) news(m Marks, rise, comes bool) bool {
	al := r.Alarm
	switch {
	case m.Late:
		return false
	case al.Test && !m.Test:
		return !m.Retained && (rise || !al.Answered())
	}
	return comes && !m.Known && r.Kind.LifeSafety() && al.Answered()
}

// ends is told that the condition does not hold.
func (r *Record) ends(now Now, m Marks, lim Limits) Outcome {
	if m.Late && !m.DeviceTime.IsZero() && m.DeviceTime.Before(r.began()) {
		return Outcome{} // a backlog tells of the time before
	}
	fall := r.Holds
	if fall {
		r.Holds, r.Since, r.Late, r.changed = false, now.Tick, false, true
		r.Values = nil
		if !m.Late {
			r.EndedAt = now.Wall
		}
	}
	set(r, &r.RaiseAt, 0)
	al := r.Alarm
	if al == nil || !al.ReturnedAt.IsZero() {
		return Outcome{}
	}
	if al.Chattering {
		if fall {
			set(r, &r.QuietAt, now.Tick.Add(lim.ChatterQuiet))
		}
		return Outcome{}
	}
	if off := r.Why.Timing.Off; off > 0 && !r.Kind.LifeSafety() {
		if fall || r.ClearAt == 0 {
			set(r, &r.ClearAt, now.Tick.Add(off))
		}
		return Outcome{}
	}
	return r.returns(now)
}

// began is when the condition began to hold, by the device's clock where it has one.
func (r *Record) began() time.Time {
	switch {
	case r.Alarm != nil && !r.Alarm.DeviceTime.IsZero():
		return r.Alarm.DeviceTime
	case r.Alarm != nil:
		return r.Alarm.RaisedAt
	}
	return r.DeviceTime
}

// returns ends the condition of the live alarm; whether that ends the alarm is for
// Settle to say.
func (r *Record) returns(now Now) Outcome {
	r.Alarm.ReturnedAt = now.Wall
	r.Alarm.Chattering = false
	return r.settle(now, station.EventAlarmReturned)
}

// settle derives the alarm's state from the facts.
func (r *Record) settle(now Now, event string) Outcome {
	out := Outcome{Alarm: r.Alarm, Event: event}
	r.Alarm.Settle(now.Wall)
	if !r.Alarm.Live() {
		out.Event = station.EventAlarmCleared
	}
	r.enter(&out)
	r.leave()
	return out
}

// enter notes the moment from which people hear of the alarm.
func (r *Record) enter(out *Outcome) {
	if !r.Entered && Shown(out.Alarm) {
		out.Enters = true
		set(r, &r.Entered, true)
	}
}

// leave forgets an alarm that is over, with what was waited for because of it. The
// shelf stays.
func (r *Record) leave() {
	if r.Alarm == nil || r.Alarm.Live() {
		return
	}
	r.Alarm = nil
	for _, t := range []*Tick{&r.ClearAt, &r.QuietAt, &r.ShowAt} {
		set(r, t, 0)
	}
	set(r, &r.Live, false)
	set(r, &r.Entered, false)
}

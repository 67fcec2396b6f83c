package agent

import (
	"slices"
	"time"

	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
)

// This file has somebody answer an alarm: the desk first, then one contact after
// the other, then the parent. Each step is a transaction that notes who is to be
// told and when the next step is due; the messages themselves go out afterwards,
// from what was noted. A kill in between repeats a message at the worst, and
// never a step.

// Roster says who is on duty. The built-in one is the fixed list of contacts.
type Roster interface {
	// OnDuty lists whom to tell at a moment, in order. It reads in the
	// transaction of the step that it serves and must not block.
	OnDuty(tx *store.Tx, at time.Time) ([]station.Contact, error)
}

// respondClock is a response whose next step has a time.
type respondClock struct {
	// Due is when the step is, on the node's own line of time: a wall clock that is
	// set wakes nobody early and forgets nobody. Zero where no time is waited for.
	Due alarm.Tick `json:"due,omitempty"`
	// Opening waits for the station to open, beside the time.
	Opening bool `json:"opening,omitempty"`
	// Anybody waits for somebody who has not been told, and comes on duty or is
	// added: the list is at its end for now.
	Anybody bool `json:"anybody,omitempty"`
	// Taken waits for the end of the time that a parent has which took over.
	Taken bool `json:"taken,omitempty"`
}

// lookAgainAfter is how often it is looked whether anybody can be told of an alarm
// whose list is at its end.
const lookAgainAfter = time.Minute

// mostTellings bounds the rows of one response.
const mostTellings = 200

// parentName is how the parent is called among those who are told.
const parentName = "上级中心"

// alarmEntered is called in the transaction that raises an alarm.
func (a *Agent) alarmEntered(tx *store.Tx, al station.Alarm) error { return a.respond(tx, al) }

// alarmChanged is called in the transaction of every later change of an alarm:
// an answer, its end, a shelf, a suppression, somebody who takes it.
func (a *Agent) alarmChanged(tx *store.Tx, al station.Alarm) error { return a.respond(tx, al) }

// respond begins, stops or takes up again the response to one of our alarms, as
// its facts ask.
func (a *Agent) respond(tx *store.Tx, al station.Alarm) error {
	if al.Node != a.store.Node() {
		return nil
	}
	resp, known, err := store.Get[station.Response](tx, key(responseTable, al.ID))
	if err != nil {
		return err
	}
	duty, err := dutyOf(tx)
	if err != nil {
		return err
	}
	why := quiet(al, duty)
	now, err := a.moment(tx)
	if err != nil {
		return err
	}
	s := step{a: a, tx: tx, alarm: al, duty: duty, now: now.Wall, tick: now.Tick, resp: &resp}
	switch {
	case why == "" && !known:
		return s.begin()
	case why == "" && resp.Stopped != "":
		return s.resume()
	case why == "" && resp.Taken && al.CentreTakenAt.IsZero():
		return s.release()
	case why == "" && !resp.Taken && !al.CentreTakenAt.IsZero():
		return s.hold()
	case why != "" && known && (resp.Stopped == "" || why == "answered" && resp.Stopped != why):
		return s.stop(why)
	}
	return nil
}

// holdAgain gives the parent, which has taken the alarm over, its time again.
func (a *Agent) holdAgain(tx *store.Tx, al station.Alarm) error {
	resp, known, err := store.Get[station.Response](tx, key(responseTable, al.ID))
	if err != nil || !known || !resp.Taken || resp.Stopped != "" {
		return err
	}
	duty, err := dutyOf(tx)
	if err != nil {
		return err
	}
	now, err := a.moment(tx)
	if err != nil {
		return err
	}
	return step{a: a, tx: tx, alarm: al, duty: duty, now: now.Wall, tick: now.Tick, resp: &resp}.hold()
}

// quiet is why nobody outside is told of the alarm; empty when they are.
func quiet(al station.Alarm, duty station.Duty) string {
	switch {
	case al.Answered():
		return "answered"
	case !al.Live():
		return "cleared"
	case al.Shelf != nil:
		return "shelved"
	case al.Suppressed != "":
		return "suppressed"
	case al.Test:
		return "test"
	case al.Late:
		return "late"
	case !slices.Contains(duty.Escalate, al.Severity):
		return "severity"
	}
	return ""
}

// step is one transaction's work on a response.
type step struct {
	a     *Agent
	tx    *store.Tx
	alarm station.Alarm
	duty  station.Duty
	now   time.Time
	tick  alarm.Tick // now, on the node's own line of time
	resp  *station.Response
}

// closed tells that a parent is there to own what happens now.
func (s step) closed() bool { return s.a.centreConfigured && !s.duty.Open.Contain(s.now) }

func (s step) begin() error {
	*s.resp = station.Response{Alarm: s.alarm.ID, Before: s.alarm.Before, Tellings: []station.Telling{}}
	if err := s.tellAlways(); err != nil {
		return err
	}
	return s.start()
}

// start lets the desk have its time, unless nobody is there.
func (s step) start() error {
	if s.closed() {
		return s.handOver(true)
	}
	if s.duty.DeskSeconds == 0 {
		return s.tellNext()
	}
	return s.arm(time.Duration(s.duty.DeskSeconds) * time.Second)
}

// resume goes on when an answer was taken back or a shelf's time is up, and begins
// anew when the condition came again after it had been answered.
func (s step) resume() error {
	s.resp.Stopped, s.resp.AnsweredAt = "", time.Time{}
	if s.resp.Before != s.alarm.Before { // it came again, and nobody has been told of that
		if old := len(s.resp.Tellings) - mostTellings/4; old > 0 {
			s.resp.Tellings = slices.Clone(s.resp.Tellings[old:])
		}
		s.resp.Before, s.resp.Told = s.alarm.Before, len(s.resp.Tellings)
		s.resp.Step, s.resp.Parent, s.resp.Closed = 0, false, false
	}
	if err := s.tellAlways(); err != nil {
		return err
	}
	if s.resp.Taken = !s.alarm.CentreTakenAt.IsZero(); s.resp.Taken {
		return s.hold()
	}
	if s.resp.Parent && !s.resp.Closed {
		return s.wait() // the list was at its end
	}
	s.resp.Parent, s.resp.Closed = false, false
	return s.start()
}

// hold lets the clock wait for the parent alone: it has taken the alarm over, or
// says again that it deals with it, and for a while nobody further needs to be told.
// It is no answer: what was noted still goes out, and neither the siren nor the
// loudspeaker falls silent.
func (s step) hold() error {
	limit := time.Duration(s.duty.TakeOverSeconds) * time.Second
	s.resp.Taken, s.resp.HandedBack, s.resp.Next, s.resp.NextAt = true, false, "", time.Time{}
	s.resp.TakenUntil = s.now.Add(limit)
	if err := store.Put(s.tx, key(clockTable, s.alarm.ID), respondClock{Due: s.tick.Add(limit), Taken: true}); err != nil {
		return err
	}
	if err := markSteady(s.tx, alarm.Now{Tick: s.tick, Wall: s.now}); err != nil {
		return err
	}
	return s.keep()
}

// lapse goes on by itself where the parent took the alarm over and has said nothing
// since: the next contact is told at once. Both ends are told who let it lie.
func (s step) lapse() error {
	al := s.alarm
	al.CentreLapsedAt, al.CentreLapsedBy = s.now, al.CentreTakenBy
	al.CentreTakenAt, al.CentreTakenBy = time.Time{}, ""
	s.alarm = al
	s.resp.Taken, s.resp.TakenUntil, s.resp.HandedBack = false, time.Time{}, true
	s.resp.Parent, s.resp.Closed = s.closed() || s.resp.Parent && !s.resp.Closed, s.closed()
	if err := s.tellNext(); err != nil {
		return err
	}
	return s.a.tell(s.tx, alarm.Now{Tick: s.tick, Wall: s.now}, changed(&al), "")
}

// release goes on where the parent has handed the alarm back: the desk has its time
// again; where nobody is at it, the next contact is told at once. The parent is not
// told once more: it knows.
func (s step) release() error {
	s.resp.Taken, s.resp.TakenUntil, s.resp.HandedBack = false, time.Time{}, true
	if s.closed() {
		s.resp.Parent, s.resp.Closed = true, true
		return s.tellNext()
	}
	s.resp.Parent, s.resp.Closed = s.resp.Parent && !s.resp.Closed, false
	return s.arm(time.Duration(max(s.duty.DeskSeconds, 1)) * time.Second)
}

// due does what the clock asks for.
func (s step) due(clock respondClock) error {
	switch {
	case clock.Opening && !s.closed():
		// The station is open again, and has its alarm back.
		s.resp.Parent, s.resp.Closed = false, false
		return s.arm(time.Duration(max(s.duty.DeskSeconds, 1)) * time.Second)
	case clock.Due == 0, s.tick < clock.Due:
		return nil
	case clock.Taken:
		return s.lapse()
	case clock.Opening && s.parentHas():
		return s.wait()
	case clock.Anybody:
		return s.lookAgain()
	}
	return s.tellNext()
}

// lookAgain tells whoever can be told that could not when the list was at its end.
// Where there is nobody, nothing is said of it.
func (s step) lookAgain() error {
	if s.resp.Parent && s.parentHas() {
		return s.tx.Delete(key(clockTable, s.alarm.ID)) // it is theirs now
	}
	if _, ok := s.next(); ok || s.closed() && !s.resp.Parent {
		return s.tellNext()
	}
	return s.waitForAnybody()
}

// parentHas tells whether the parent has confirmed the last hand-over, and has not
// handed the alarm back since.
func (s step) parentHas() bool {
	if s.resp.HandedBack {
		return false
	}
	for _, t := range slices.Backward(s.resp.Tellings) {
		if t.Kind == station.TellingParent {
			return t.State == "delivered"
		}
	}
	return false
}

// next is the first on duty who has not been told; ok is false at the list's end.
// A roster that cannot be read is an empty one: no alarm may fail for it.
func (s step) next() (c station.Contact, ok bool) {
	list, err := s.a.roster.OnDuty(s.tx, s.now)
	if err != nil {
		s.a.log.Error("who is on duty is not known", "alarm", s.alarm.ID, "err", err)
	}
	if len(s.resp.Tellings) >= mostTellings {
		return c, false // more cannot be noted; the parent is told
	}
	for _, c := range list {
		told := slices.ContainsFunc(s.resp.Tellings[min(s.resp.Told, len(s.resp.Tellings)):], func(t station.Telling) bool { return t.Contact == c.ID })
		if !told && len(c.Channels) > 0 {
			return c, true
		}
	}
	return c, false
}

// tellNext tells the next contact, or the parent after the last one.
func (s step) tellNext() error {
	if s.closed() && !s.resp.Parent {
		return s.handOver(true)
	}
	c, ok := s.next()
	if !ok {
		if s.a.centreConfigured && !s.resp.Parent {
			return s.handOver(false)
		}
		return s.wait()
	}
	for _, w := range c.Channels {
		if err := s.tell(station.Telling{Contact: c.ID, Name: c.Name, Channel: w.Channel}, w.Address); err != nil {
			return err
		}
	}
	s.resp.Step++
	return s.arm(time.Duration(c.WaitSeconds) * time.Second)
}

// arm sets the clock and says who is next.
func (s step) arm(wait time.Duration) error {
	c, ok := s.next()
	switch {
	case ok:
		s.resp.Next = c.Name
	case s.a.centreConfigured && !s.resp.Parent:
		s.resp.Next = parentName
	default:
		return s.wait()
	}
	s.resp.NextAt = s.now.Add(wait)
	if err := store.Put(s.tx, key(clockTable, s.alarm.ID), respondClock{Due: s.tick.Add(wait), Opening: s.resp.Closed}); err != nil {
		return err
	}
	// The line must not fall behind what was set on it, whenever the end comes.
	if err := markSteady(s.tx, alarm.Now{Tick: s.tick, Wall: s.now}); err != nil {
		return err
	}
	return s.keep()
}

// wait lets the clock wait for the opening alone, where the station is closed;
// otherwise for anybody who comes on duty, for there is nobody left to be told.
func (s step) wait() error {
	s.resp.Next, s.resp.NextAt = "", time.Time{}
	var err error
	if s.resp.Closed {
		err = store.Put(s.tx, key(clockTable, s.alarm.ID), respondClock{Opening: true})
	} else {
		err = s.waitForAnybody()
	}
	if err != nil {
		return err
	}
	return s.keep()
}

func (s step) waitForAnybody() error {
	return store.Put(s.tx, key(clockTable, s.alarm.ID), respondClock{Due: s.tick.Add(lookAgainAfter), Anybody: true})
}

// handOver gives the alarm to the parent. The journal carries it there; what the
// parent has confirmed is known when its cursor has passed the event.
func (s step) handOver(closed bool) error {
	s.resp.Parent, s.resp.Closed, s.resp.HandedBack = true, closed, false
	row := station.Telling{ID: station.NewID(), Name: parentName, Kind: station.TellingParent, At: s.now, State: "waiting", StateAt: s.now}
	s.resp.Tellings = append(s.resp.Tellings, row)
	if closed {
		return s.arm(time.Duration(s.duty.ParentSeconds) * time.Second)
	}
	return s.wait()
}

// stop ends the response: nobody further is told, what has not gone out is held
// back, sirens fall silent.
func (s step) stop(why string) error {
	s.resp.Stopped, s.resp.Next, s.resp.NextAt, s.resp.TakenUntil = why, "", time.Time{}, time.Time{}
	by := map[string]bool{}
	for _, x := range s.alarm.Answers {
		if !x.Undone {
			s.resp.AnsweredAt = x.At
			by[x.By] = true
		}
	}
	for i := range s.resp.Tellings {
		t := &s.resp.Tellings[i]
		if t.State == "waiting" && t.Kind != station.TellingParent && !t.Off {
			t.State, t.StateAt, t.NextAt = "stopped", s.now, time.Time{}
			if err := s.tx.Delete(key(tellTable, t.ID)); err != nil {
				return err
			}
		}
		if t.Contact != "" && why == "answered" {
			c, _, err := store.Get[station.Contact](s.tx, key(contactTable, t.Contact))
			if err != nil {
				return err
			}
			if by[contactAccount(t.Contact)] || c.Account != "" && by[c.Account] {
				t.State, t.StateAt = "answered", s.now
			}
		}
	}
	if err := s.tellEnd(); err != nil {
		return err
	}
	if err := s.tx.Delete(key(clockTable, s.alarm.ID)); err != nil {
		return err
	}
	return s.keep()
}

// keep stores the response and journals it.
func (s step) keep() error {
	if err := store.Put(s.tx, key(responseTable, s.alarm.ID), *s.resp); err != nil {
		return err
	}
	return s.a.tellResponse(s.tx, *s.resp, "", s.now)
}

// contactList is the fixed list: contacts by their order, within their hours.
type contactList struct{}

// OnDuty implements Roster.
func (contactList) OnDuty(tx *store.Tx, at time.Time) ([]station.Contact, error) {
	var list []station.Contact
	err := store.Each(tx, contactTable, func(_ store.Key, c station.Contact) error {
		if c.Hours.Contain(at) {
			list = append(list, c)
		}
		return nil
	})
	slices.SortStableFunc(list, func(x, y station.Contact) int { return x.Order - y.Order }) // the keys are in order of the IDs
	return list, err
}

// dutyOf reads the settings.
func dutyOf(tx *store.Tx) (station.Duty, error) {
	d, known, err := store.Get[station.Duty](tx, dutyKey)
	if err == nil && !known {
		d = station.DefaultDuty()
	}
	if d.TakeOverSeconds == 0 {
		d.TakeOverSeconds = station.DefaultDuty().TakeOverSeconds
	}
	return d, err
}

// contactAccount is the account under which a contact answers by a link.
func contactAccount(id string) string { return "contact:" + id }

package station

import (
	"fmt"
	"slices"
	"time"
)

// Contact is a person, or a telephone that goes round, who is told of alarms
// that nobody at the desk has answered.
type Contact struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Account is the person's own at this node, so that an answer given at the
	// desk counts as theirs; empty for none.
	Account string `json:"account,omitempty"`
	// Phone is for people to ring; the program does not.
	Phone string `json:"phone,omitempty"`
	// Hours are when they may be told; empty is always.
	Hours Hours `json:"hours,omitempty"`
	// Channels are the ways on which they are told, all at once.
	Channels []Way `json:"channels"`
	// Order is their place in the list, the smallest first; then the ID decides.
	Order int `json:"order"`
	// WaitSeconds is how long they have to answer before the next one is told.
	WaitSeconds int `json:"waitSeconds"`
}

// Way is how a contact is reached: a channel, and the address that it takes
// there: a telephone number, a WeCom user, a mail address.
type Way struct {
	Channel string `json:"channel"`
	Address string `json:"address,omitempty"`
}

// Hours are spans of the week, in the node's own time. Empty means always.
type Hours []Span

// Span is a part of some days: "08:30" to "17:30". Where To is not later than
// From it ends on the following day; "00:00" to "00:00" is the whole day.
type Span struct {
	// Days are the days on which it begins, 1 Monday to 7 Sunday; empty is every.
	Days []int  `json:"days,omitempty"`
	From string `json:"from"`
	To   string `json:"to"`
}

// Contain tells whether t, by the clock of its own zone, lies in the hours.
func (h Hours) Contain(t time.Time) bool {
	if len(h) == 0 {
		return true
	}
	return slices.ContainsFunc(h, func(s Span) bool { return s.contains(t) })
}

func (s Span) contains(t time.Time) bool {
	from, err1 := minuteOfDay(s.From)
	to, err2 := minuteOfDay(s.To)
	if err1 != nil || err2 != nil {
		return false
	}
	today, at := weekday(t), t.Hour()*60+t.Minute()
	if to > from {
		return s.on(today) && at >= from && at < to
	}
	yesterday := (today+5)%7 + 1
	return s.on(today) && at >= from || s.on(yesterday) && at < to
}

func (s Span) on(day int) bool { return len(s.Days) == 0 || slices.Contains(s.Days, day) }

func weekday(t time.Time) int { return (int(t.Weekday())+6)%7 + 1 }

// minuteOfDay reads "HH:MM".
func minuteOfDay(text string) (int, error) {
	at, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, fmt.Errorf("%q is no time of day", text)
	}
	return at.Hour()*60 + at.Minute(), nil
}

// Validate names the first span that makes no sense.
func (h Hours) Validate() error {
	if len(h) > 50 {
		return Errorf(400, "setup.invalid", "use at most 50 spans", "there are %d spans", len(h)).At("hours")
	}
	for i, s := range h {
		for _, end := range []struct{ key, text string }{{"from", s.From}, {"to", s.To}} {
			if _, err := minuteOfDay(end.text); err != nil {
				return Errorf(400, "setup.invalid", "write HH:MM, for example 08:30", "%v", err).At(fmt.Sprintf("hours[%d].%s", i, end.key))
			}
		}
		for k, d := range s.Days {
			if d < 1 || d > 7 {
				return Errorf(400, "setup.invalid", "use 1 (Monday) to 7 (Sunday)", "%d is no day of the week", d).At(fmt.Sprintf("hours[%d].days[%d]", i, k))
			}
		}
	}
	return nil
}

// Duty is how a node sees to it that an alarm is answered.
type Duty struct {
	// Open are the opening hours; empty is always. Outside them the parent owns
	// the alarms at once, where there is one.
	Open Hours `json:"open,omitempty"`
	// Escalate are the severities for which contacts are told.
	Escalate []Severity `json:"escalate"`
	// DeskSeconds is how long the desk has to answer before the first contact
	// is told; zero tells the first one at once.
	DeskSeconds int `json:"deskSeconds"`
	// ParentSeconds is how long a parent that was handed an alarm has to confirm
	// that it has it. After that the contacts here are told all the same.
	ParentSeconds int `json:"parentSeconds"`
	// TakeOverSeconds is how long an alarm is left to a parent that has taken it
	// over and says nothing more. After that the next contact is told. Zero is the
	// default: without a limit a forgotten alarm would call nobody.
	TakeOverSeconds int `json:"takeOverSeconds,omitempty"`
}

// DefaultDuty is always open, and tells of all but minor alarms.
func DefaultDuty() Duty {
	return Duty{Escalate: []Severity{SeverityCritical, SeverityMajor}, DeskSeconds: 30, ParentSeconds: 60, TakeOverSeconds: 600}
}

// DutyView is the settings with what they mean now.
type DutyView struct {
	Duty
	// Closed tells that the node is outside its opening hours now.
	Closed bool `json:"closed"`
	// Parent tells that there is one to hand alarms to.
	Parent bool `json:"parent"`
}

package alarm

import (
	"time"

	"stationd/agent/station"
)

// Tick is a moment on the node's own line of time: so long after its store was
// made. It goes on evenly whatever the clock is set to. Zero is no moment.
type Tick time.Duration

// Add is the moment d later.
func (t Tick) Add(d time.Duration) Tick { return t + Tick(d) }

// Now is the moment of a step, on both lines of time.
type Now struct {
	Tick Tick
	Wall time.Time
}

// Limits are the bounds against nuisance.
type Limits struct {
	// Chatter is how many raises of one condition within ChatterWithin are chatter.
	Chatter int `yaml:"chatter"`
	// ChatterWithin is the span in which they are counted.
	ChatterWithin time.Duration `yaml:"chatter_within"`
	// ChatterQuiet is how long the condition must have kept still before the alarm,
	// which is held until then, may end.
	ChatterQuiet time.Duration `yaml:"chatter_quiet"`
	// Flood is how many new alarms within FloodWithin a person can attend to: more
	// are a flood.
	Flood int `yaml:"flood"`
	// FloodWithin is the span in which they are counted.
	FloodWithin time.Duration `yaml:"flood_within"`
}

// DefaultLimits are those that the alarm model recommends.
func DefaultLimits() Limits {
	return Limits{Chatter: 3, ChatterWithin: time.Minute, ChatterQuiet: time.Minute, Flood: 10, FloodWithin: 10 * time.Minute}
}

// Record is what is kept of one alarm condition of one sensor.
type Record struct {
	Sensor string            `json:"sensor,omitempty"`
	Kind   station.AlarmKind `json:"kind"`

	// Holds is what the last signal said, Since when it began to say so.
	Holds bool `json:"holds,omitempty"`
	Since Tick `json:"since,omitempty"`
	// Why is the signal that said that the condition holds, the last one.
	Why station.Signal `json:"why,omitzero"`
	// Values and DeviceTime came with it, as far as they are still wanted: while
	// a delay runs.
	Values     map[string]station.Value `json:"values,omitempty"`
	DeviceTime time.Time                `json:"deviceTime,omitzero"`
	Skew       time.Duration            `json:"skew,omitempty"`
	// Late tells that only old news says that the condition holds.
	Late bool `json:"late,omitempty"`
	// EndedAt is when news of the moment said that the condition had ended.
	EndedAt time.Time `json:"endedAt,omitzero"`

	// The deadlines; zero is none.
	RaiseAt Tick `json:"raiseAt,omitempty"` // the on-delay is over
	ClearAt Tick `json:"clearAt,omitempty"` // the off-delay is over
	QuietAt Tick `json:"quietAt,omitempty"` // the chatter is over
	ShelfAt Tick `json:"shelfAt,omitempty"` // the shelf is over
	ShowAt  Tick `json:"showAt,omitempty"`  // the bridge has been back long enough

	// Hits are the last times at which the condition began to hold, for rules
	// that want several; Rises the last times at which an alarm was raised, for
	// chatter.
	Hits  []Tick `json:"hits,omitempty"`
	Rises []Tick `json:"rises,omitempty"`
	// Shelf outlives the alarm that it was put on: the next one of the condition
	// is on it too.
	Shelf *station.Shelf `json:"shelf,omitempty"`
	// Live tells that there is a live alarm.
	Live bool `json:"live,omitempty"`
	// Entered tells that the live alarm has been shown to somebody.
	Entered bool `json:"entered,omitempty"`

	// Alarm is the live one, nil when there is none. It is stored by itself.
	Alarm *station.Alarm `json:"-"`

	changed bool
}

// Idle tells that a signal which says that the condition does not hold would say
// nothing new.
func (r *Record) Idle() bool { return !r.Holds && !r.Live && r.RaiseAt == 0 }

// Changed tells whether the record itself, the alarm aside, is to be stored.
func (r *Record) Changed() bool { return r.changed }

// Stored says that it was.
func (r *Record) Stored() { r.changed = false }

// Due is the next deadline, zero when nothing is waited for.
func (r *Record) Due() Tick {
	due := Tick(0)
	for _, t := range []Tick{r.RaiseAt, r.ClearAt, r.QuietAt, r.ShelfAt, r.ShowAt} {
		if t != 0 && (due == 0 || t < due) {
			due = t
		}
	}
	return due
}

// set changes one of the record's fields.
func set[T comparable](r *Record, field *T, v T) {
	if *field != v {
		*field, r.changed = v, true
	}
}

// Outcome is what a step asks for. The zero Outcome is nothing, save that the
// record may have changed.
type Outcome struct {
	// Alarm is to be stored; nil when none changed. When it is not live any more
	// it has left the record.
	Alarm *station.Alarm
	// Event is the type of the event that tells of it; empty when nobody is told.
	Event string
	// Raised tells that the alarm is new. The caller gives it what the machine
	// does not know: ID, node, names, cameras.
	Raised bool
	// Enters tells that people are to hear of the alarm from now on: it is new, or
	// was late, hidden or shelved until now.
	Enters bool
}

// State is where a condition stands, in the words of ISA-18.2.
type State string

// The states.
const (
	Normal       State = "normal"
	Pending      State = "pending" // normal: a delay runs, or more occurrences are wanted
	Unacked      State = "unacknowledged"
	Acked        State = "acknowledged"
	Returned     State = "returned-unacknowledged" // it has ended, and nobody has judged it
	Shelved      State = "shelved"
	Suppressed   State = "suppressed-by-design"
	OutOfService State = "out-of-service"
)

// Maintenance, Bridge, Schedule and Flood are why an alarm is not shown as one.
const (
	Maintenance = "maintenance"
	Bridge      = "bridge"
	Schedule    = "schedule"
	Flooded     = "flood"
)

// State is where the condition stands.
func (r *Record) State() State {
	if r.Alarm == nil || !r.Alarm.Live() {
		if r.Holds && r.RaiseAt != 0 {
			return Pending
		}
		return Normal
	}
	return StateOf(r.Alarm)
}

// StateOf is where an alarm stands.
func StateOf(al *station.Alarm) State {
	switch {
	case !al.Live():
		return Normal
	case al.Suppressed == Maintenance:
		return OutOfService
	case al.Shelf != nil:
		return Shelved
	case al.Suppressed != "":
		return Suppressed
	case !al.ReturnedAt.IsZero():
		return Returned
	case al.State == station.StateAcknowledged:
		return Acked
	}
	return Unacked
}

// Shown tells whether people are to hear of an alarm: it is no old news, and
// neither shelved nor suppressed.
func Shown(al *station.Alarm) bool {
	return al.Live() && !al.Late && al.Shelf == nil && al.Suppressed == ""
}

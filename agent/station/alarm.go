package station

import "time"

// AlarmKind is what an alarm is about. Kinds that are not listed here are
// allowed; they are treated as ordinary ones.
type AlarmKind string

// The kinds of alarm.
const (
	KindSmoke       AlarmKind = "smoke"
	KindGas         AlarmKind = "gas"
	KindWater       AlarmKind = "water"
	KindSOS         AlarmKind = "sos"
	KindManhole     AlarmKind = "manhole"
	KindDoor        AlarmKind = "door"
	KindMotion      AlarmKind = "motion"
	KindTemperature AlarmKind = "temperature"
	KindLevel       AlarmKind = "level"
	KindTamper      AlarmKind = "tamper"
	KindBattery     AlarmKind = "battery"
	KindOffline     AlarmKind = "offline"
	KindDisk        AlarmKind = "disk"    // storage runs low
	KindStore       AlarmKind = "store"   // the store was repaired or restored
	KindFlood       AlarmKind = "flood"   // many alarms at once, which are told as one
	KindSound       AlarmKind = "sound"   // the PC's own audio output is missing or muted
	KindStation     AlarmKind = "station" // a station is lost to its centre
)

// LifeSafety tells whether people may come to harm. Such an alarm is latched:
// it stays live until a person has judged it, whatever the sensor says later.
func (k AlarmKind) LifeSafety() bool {
	switch k {
	case KindSmoke, KindGas, KindWater, KindSOS:
		return true
	}
	return false
}

// Severity orders alarms on the desk.
func (k AlarmKind) Severity() Severity {
	switch k {
	case KindSmoke, KindGas, KindSOS:
		return SeverityCritical
	case KindWater, KindManhole, KindTemperature, KindLevel, KindDisk, KindStore, KindFlood, KindSound, KindStation:
		return SeverityMajor
	}
	return SeverityMinor
}

// Severity is how bad it is.
type Severity string

// The severities.
const (
	SeverityCritical Severity = "critical"
	SeverityMajor    Severity = "major"
	SeverityMinor    Severity = "minor"
)

// AlarmState is where an alarm stands.
type AlarmState string

// The states. An alarm is live until it is cleared.
const (
	StateRaised       AlarmState = "raised"       // nobody has answered yet
	StateAcknowledged AlarmState = "acknowledged" // answered; the condition still holds
	StateCleared      AlarmState = "cleared"      // over
)

// Alarm is one occurrence. There is at most one live alarm per sensor and kind;
// while it lives, further signals are counted in it.
type Alarm struct {
	ID       string     `json:"id"` // UUIDv7
	Node     NodeID     `json:"node"`
	Kind     AlarmKind  `json:"kind"`
	Severity Severity   `json:"severity"`
	State    AlarmState `json:"state"`
	// Sensor is the sensor's or camera's ID, empty for the station's own
	// alarms. Name and Place are copied, so that the alarm stays readable when
	// the sensor is renamed or removed.
	Sensor string `json:"sensor,omitempty"`
	Name   string `json:"name"`
	Place  string `json:"place,omitempty"`

	RaisedAt time.Time `json:"raisedAt"`
	LastAt   time.Time `json:"lastAt"` // of the last signal
	Count    int       `json:"count"`  // signals, the first included
	// DeviceTime is the device's own time of the first signal.
	DeviceTime time.Time `json:"deviceTime,omitzero"`
	// Late tells that the news was old when it came.
	Late bool `json:"late,omitempty"`
	// Waited tells that the news had waited at a broker while nobody took it: it may
	// be old, and nobody knows how old.
	Waited bool `json:"waited,omitempty"`
	// Values are the readings that came with the first signal.
	Values map[string]Value `json:"values,omitempty"`

	// ReturnedAt is when the condition ended; zero while it holds.
	ReturnedAt time.Time `json:"returnedAt,omitzero"`
	ClearedAt  time.Time `json:"clearedAt,omitzero"`
	// Answers are what people did, in order. Undone ones stay, marked.
	Answers []Answer `json:"answers,omitempty"`
	// Before is how many of the answers are about something else: they were given
	// before the condition ended and came again, or while the sensor was tried out.
	Before int `json:"before,omitempty"`

	Cameras []string `json:"cameras,omitempty"`
	// Unseen is how many cameras have it that who reads this may not see; they are
	// not among Cameras. It is set in answers, not in what is kept.
	Unseen int `json:"unseen,omitempty"`
	// Clip is the ID of the clip that is being made or is ready.
	Clip string `json:"clip,omitempty"`
	// CentreAt is when the centre confirmed that it has the alarm.
	CentreAt time.Time `json:"centreAt,omitzero"`
	// CentreSeenAt is when somebody there looked at it, CentreTakenAt when the
	// centre took it over. None of the three silences anything at the station.
	CentreSeenAt  time.Time `json:"centreSeenAt,omitzero"`
	CentreTakenAt time.Time `json:"centreTakenAt,omitzero"`
	// CentreSeenBy and CentreTakenBy are who that was, as shown: the centre and the
	// officer.
	CentreSeenBy  string `json:"centreSeenBy,omitempty"`
	CentreTakenBy string `json:"centreTakenBy,omitempty"`
	// CentreLapsedAt is when the centre's time ran out: it had taken the alarm over
	// and said nothing more, and the station goes on by itself. CentreLapsedBy is who
	// had taken it.
	CentreLapsedAt time.Time `json:"centreLapsedAt,omitzero"`
	CentreLapsedBy string    `json:"centreLapsedBy,omitempty"`

	// Why is the signal that raised it.
	Why *Signal `json:"why,omitempty"`
	// Seq is the place of the raising event in the node's journal, Skew the
	// device's clock minus ours at that moment, where it told its time.
	Seq  uint64        `json:"seq,omitempty"`
	Skew time.Duration `json:"skew,omitempty"`
	// Important is the sensor's.
	Important bool `json:"important,omitempty"`
	// Test marks an alarm of a sensor that was being tried out.
	Test bool `json:"test,omitempty"`
	// Shelf hides the alarm from the queue until a time; nil when it is not
	// shelved. Life-safety kinds cannot be shelved while their condition holds.
	Shelf *Shelf `json:"shelf,omitempty"`
	// Suppressed is why the alarm is kept without being shown as one:
	// "maintenance", "bridge", "schedule", "flood"; empty when it is not.
	Suppressed string `json:"suppressed,omitempty"`
	// Worked is how often the condition began to hold while its sensor was in
	// maintenance.
	Worked int `json:"worked,omitempty"`
	// Chattering tells that it came and went at least three times in a minute;
	// it is held until it has been quiet for a while.
	Chattering bool `json:"chattering,omitempty"`
	// Incident groups the alarms of one place and one event.
	Incident string `json:"incident,omitempty"`
	// TakenBy is the seat that deals with it; nil when nobody has said so.
	TakenBy *Taker `json:"takenBy,omitempty"`
	// Lane is the one in which its events travel; empty means LaneUrgent. Those of
	// an alarm that was raised in a flood go behind the urgent ones.
	Lane Lane `json:"lane,omitempty"`
	// Notes are what people wrote about it, in order.
	Notes []Note `json:"notes,omitempty"`
}

// Shelf is a limited time during which an alarm is out of the queue.
type Shelf struct {
	By    string    `json:"by"`   // account
	Name  string    `json:"name"` // as shown
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
	Why   string    `json:"why"`
}

// Taker is who has taken an alarm in hand, and at which seat.
type Taker struct {
	By   string    `json:"by"`   // account
	Name string    `json:"name"` // as shown
	Seat string    `json:"seat,omitempty"`
	At   time.Time `json:"at"`
}

// Note is a remark of a person.
type Note struct {
	By   string    `json:"by"`
	Name string    `json:"name"`
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Answer is one thing that a person did about an alarm.
type Answer struct {
	Kind   AnswerKind `json:"kind"`
	By     string     `json:"by"`   // account name
	Name   string     `json:"name"` // as shown
	At     time.Time  `json:"at"`
	Note   string     `json:"note,omitempty"`
	Undone bool       `json:"undone,omitempty"`
}

// AnswerKind is which answer was given.
type AnswerKind string

// The answers of the duty room.
const (
	AnswerReceived AnswerKind = "received" // 收到
	AnswerReal     AnswerKind = "real"     // 真警
	AnswerFalse    AnswerKind = "false"    // 误报
	AnswerTest     AnswerKind = "test"     // 测试
	AnswerCalled   AnswerKind = "called"   // 已叫人
	AnswerUndo     AnswerKind = "undo"     // takes the last answer back, within a minute
)

// UndoWindow is how long an answer can be taken back.
const UndoWindow = time.Minute

// Valid tells whether k is one of the answers.
func (k AnswerKind) Valid() bool {
	switch k {
	case AnswerReceived, AnswerReal, AnswerFalse, AnswerTest, AnswerCalled, AnswerUndo:
		return true
	}
	return false
}

// Judges tells whether k says what the alarm was.
func (k AnswerKind) Judges() bool { return k == AnswerReal || k == AnswerFalse || k == AnswerTest }

// Answered tells whether any answer stands.
func (a *Alarm) Answered() bool {
	for _, x := range a.Answers[min(max(a.Before, 0), len(a.Answers)):] {
		if !x.Undone {
			return true
		}
	}
	return false
}

// Verdict is the last standing judgement: real, false or test; empty when none
// was given.
func (a *Alarm) Verdict() AnswerKind {
	for i := len(a.Answers) - 1; i >= max(a.Before, 0); i-- {
		x := a.Answers[i]
		if x.Undone {
			continue
		}
		if x.Kind.Judges() {
			return x.Kind
		}
	}
	return ""
}

// Live tells whether the alarm still occupies its sensor and kind.
func (a *Alarm) Live() bool { return a.State != StateCleared }

// Settle derives State from the facts: the condition's end, the answers and
// whether the kind is latched. It sets ClearedAt to at when the alarm ends now,
// and removes it when an undone answer brings the alarm back.
//
//   - A latched (life-safety) alarm ends when the condition has ended and a
//     person has judged it: real, false or test. That it was received, or that
//     somebody was called, does not end it: the detector may be silent again
//     before anybody has looked.
//   - Any other ends when the condition has ended.
//   - A verdict "false" or "test" does not end an alarm whose condition holds:
//     the detector is still shouting, and a second event would be lost in it.
func (a *Alarm) Settle(at time.Time) {
	ended := !a.ReturnedAt.IsZero()
	answered := a.Answered()
	switch {
	case ended && (a.Verdict() != "" || !a.Kind.LifeSafety()):
		a.State = StateCleared
		if a.ClearedAt.IsZero() {
			a.ClearedAt = at
		}
		return
	case answered:
		a.State = StateAcknowledged
	default:
		a.State = StateRaised
	}
	a.ClearedAt = time.Time{}
}

// Flood is many alarms at once, told upwards as one.
type Flood struct {
	ID   string `json:"id"` // UUIDv7
	Node NodeID `json:"node"`
	// From is when the first of them was raised, Until when there were few again;
	// zero while it lasts.
	From  time.Time `json:"from"`
	Until time.Time `json:"until,omitzero"`
	// Alarms is how many were raised, Suppressed how many of them nobody was told
	// of, Kinds how many of each kind.
	Alarms     int               `json:"alarms"`
	Suppressed int               `json:"suppressed"`
	Kinds      map[AlarmKind]int `json:"kinds,omitempty"`
	// First are the IDs of the alarms that began it, at most twenty.
	First []string `json:"first,omitempty"`
}

package station

import (
	"encoding/json"
	"time"
)

// Instruction is a command that an officer of a centre has given to a station. It is
// kept at the centre, and sent until the station's receipt comes or its time is over,
// across restarts of both.
type Instruction struct {
	// ID is the command's ID at the station, too.
	ID   string `json:"id"`
	Node NodeID `json:"node"`
	// Type, Subject and Body are the command's, in the station's own words.
	Type    string          `json:"type"`
	Subject string          `json:"subject,omitempty"`
	Body    json.RawMessage `json:"body,omitempty"`
	Class   OrderClass      `json:"class"`

	By    string    `json:"by"`   // account, here
	Name  string    `json:"name"` // as shown
	At    time.Time `json:"at"`
	Until time.Time `json:"until"` // when it is given up
	// State is where it stands, StateAt since when; Problem is why it was refused,
	// Result what came of it.
	State   AskedState      `json:"state"`
	StateAt time.Time       `json:"stateAt"`
	Problem *Problem        `json:"problem,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
}

// InstructOrder is the body of station.instruct.
type InstructOrder struct {
	// Nodes are the stations; All means every one that is below the centre now.
	Nodes []NodeID `json:"nodes,omitempty"`
	All   bool     `json:"all,omitempty"`
	// Type, Subject and Body are the command's. A camera may be named as the centre
	// names it.
	Type    string          `json:"type"`
	Subject string          `json:"subject,omitempty"`
	Body    json.RawMessage `json:"body,omitempty"`
	// Minutes is how long it may take until it is given up; zero is the usual time of
	// its type.
	Minutes int `json:"minutes,omitempty"`
}

// Claim is which seat of a centre deals with a station's alarm; TakenBy is nil when
// none does any more.
type Claim struct {
	Alarm   string `json:"alarm"`
	TakenBy *Taker `json:"takenBy"`
}

// OrderClass groups what a parent may order, for a station's people to refuse.
type OrderClass string

// The classes.
const (
	ClassAlarms    OrderClass = "alarms"    // answering and taking over alarms
	ClassLive      OrderClass = "live"      // live pictures
	ClassRecord    OrderClass = "record"    // pieces of the record
	ClassTurn      OrderClass = "turn"      // turning cameras
	ClassSetup     OrderClass = "setup"     // cards and schedules; rule templates have a policy of their own
	ClassMode      OrderClass = "mode"      // work mode and arming
	ClassBroadcast OrderClass = "broadcast" // notices on the screens
)

// OrderClasses lists every class.
func OrderClasses() []OrderClass {
	return []OrderClass{ClassAlarms, ClassLive, ClassRecord, ClassTurn, ClassSetup, ClassMode, ClassBroadcast}
}

// ParentPolicy is what a station's people do not take from above. The zero value
// takes all.
type ParentPolicy struct {
	Refuse []OrderClass `json:"refuse,omitempty"`
	// Why is told to the parent.
	Why    string    `json:"why,omitempty"`
	By     string    `json:"by,omitempty"`
	ByName string    `json:"byName,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// RecordOrder is the body of clip.record: this piece of a camera's record as a clip.
type RecordOrder struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Broadcast is a message on a station's screens.
type Broadcast struct {
	ID   string `json:"id"`
	Node NodeID `json:"node,omitempty"` // on whose screens; set at the centre
	Text string `json:"text"`
	// Grave is shown until somebody has confirmed it.
	Grave bool `json:"grave,omitempty"`
	// By is who wrote it, as shown; At when, Until when it goes away.
	By    string    `json:"by,omitempty"`
	At    time.Time `json:"at,omitzero"`
	Until time.Time `json:"until"`
	// Seen are who has confirmed to have read it, in order.
	Seen []BroadcastSeen `json:"seen,omitempty"`
}

// BroadcastSeen is one person who has read a notice.
type BroadcastSeen struct {
	By   string    `json:"by"`
	Name string    `json:"name"`
	At   time.Time `json:"at"`
}

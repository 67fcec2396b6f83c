package station

import "time"

// Asked is what an officer of a centre has asked a station for about one of its
// alarms. It is kept at the centre until the station's receipt has come or its
// time is over; until then it is a wish and no fact. One of each kind is kept for
// an alarm, the last.
type Asked struct {
	Alarm string    `json:"alarm"`
	Node  NodeID    `json:"node"` // whose alarm it is
	What  AskedWhat `json:"what"`
	// Back hands an alarm back that was taken over.
	Back bool `json:"back,omitempty"`
	// Command is the ID of the command that goes to the station.
	Command string `json:"command"`
	By      string `json:"by"`   // account, here
	Name    string `json:"name"` // as shown
	Note    string `json:"note,omitempty"`

	At    time.Time `json:"at"`
	Until time.Time `json:"until"` // when it is given up
	// State is where it stands, StateAt since when, Problem why it was refused.
	State   AskedState `json:"state"`
	StateAt time.Time  `json:"stateAt"`
	Problem *Problem   `json:"problem,omitempty"`
}

// AskedWhat is what is asked of a station.
type AskedWhat string

// What can be asked.
const (
	AskedSeen     AskedWhat = "seen"     // note that somebody at the centre looks at it
	AskedTakeOver AskedWhat = "takeover" // note that the centre deals with it, or no longer does
)

// AskedState is how far it is.
type AskedState string

// The states.
const (
	AskedWaiting AskedState = "waiting" // the station has not confirmed it
	AskedDone    AskedState = "done"    // it has
	AskedRefused AskedState = "refused" // it will not
	AskedExpired AskedState = "expired" // it did not answer in time
)

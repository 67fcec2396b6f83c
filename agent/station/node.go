package station

import "time"

// Node is a station or a centre as its parent sees it.
type Node struct {
	ID     NodeID    `json:"id"`
	Name   string    `json:"name"`
	Online bool      `json:"online"`
	Since  time.Time `json:"since"` // when Online last changed
	// LastEvent is when its newest event was stored here.
	LastEvent time.Time `json:"lastEvent,omitzero"`
	Version   string    `json:"version,omitempty"`
	// ClockOffset is its clock minus ours, when that was last worth noting.
	ClockOffset time.Duration `json:"clockOffset,omitempty"`
	// Dropped is what it says to have given up of its readings before they were
	// here, since it was first known.
	Dropped Dropped `json:"dropped,omitzero"`

	// State says more than Online; empty in what an older version has kept.
	State   NodeState `json:"state,omitempty"`
	StateAt time.Time `json:"stateAt,omitzero"`
	// LostAt is when the node was given up for lost, and an alarm raised; zero
	// while it is not.
	LostAt time.Time `json:"lostAt,omitzero"`
	// ClosedAt is when its people announced that they close, ClosedUntil until when;
	// zero while it is open. ClosedBy is who said so, as shown.
	ClosedAt    time.Time `json:"closedAt,omitzero"`
	ClosedUntil time.Time `json:"closedUntil,omitzero"`
	ClosedBy    string    `json:"closedBy,omitempty"`
}

// Closed tells whether the node has announced that it is closed at now.
func (n Node) Closed(now time.Time) bool {
	return !n.ClosedAt.IsZero() && now.Before(n.ClosedUntil)
}

// NodeState is how a node stands with its parent.
type NodeState string

// The states.
const (
	NodeOnline  NodeState = "online"
	NodeStale   NodeState = "stale"   // connected, and nothing was heard for a while
	NodeLine    NodeState = "line"    // its connection broke: the line, or its power
	NodeOff     NodeState = "off"     // it said that it stops
	NodeClosed  NodeState = "closed"  // away, as its people had announced
	NodeAwaited NodeState = "awaited" // the parent has just started and has not heard it yet
	NodeNever   NodeState = "never"   // set up, and never came
)

// Presence is the news that a node came or went.
type Presence struct {
	Online  bool
	Version string
	// Bye is what it said when it went; empty when it was cut off.
	Bye Bye
}

// Bye is why a node ends its connection.
type Bye string

// ByeStop is of a program that was told to stop.
const ByeStop Bye = "stop"

// NodeHealth is what a node says of itself now and then.
type NodeHealth struct {
	// At is the node's own time.
	At time.Time `json:"at"`
	// Started is since when its program runs.
	Started time.Time `json:"started,omitzero"`
	// Backlog is how many events wait for the parent in each lane, as far as they
	// were counted; Oldest is the time of the first of them.
	Backlog map[Lane]int `json:"backlog,omitempty"`
	Oldest  time.Time    `json:"oldest,omitzero"`
	// DiskFree and DiskTotal are bytes of the data disk, DaysLeft how many days of
	// film it holds.
	DiskFree  uint64  `json:"diskFree,omitempty"`
	DiskTotal uint64  `json:"diskTotal,omitempty"`
	DaysLeft  float64 `json:"daysLeft,omitempty"`
	Cameras   Share   `json:"cameras,omitzero"`
	Sensors   Share   `json:"sensors,omitzero"`
	// Lamps are the signs that are not well, by their codes.
	Lamps []Lamp `json:"lamps,omitempty"`
}

// Share is how many of how many.
type Share struct {
	Online int `json:"online"`
	Total  int `json:"total"`
}

// Site is what a centre's people know of a station: where it is, whose it is, when
// somebody is there. It may be set up before the station has ever come.
type Site struct {
	Node NodeID `json:"node"`
	Name string `json:"name"`
	// Area groups stations: 片区. Parent is the node between it and us, if any.
	Area   string `json:"area,omitempty"`
	Parent NodeID `json:"parent,omitempty"`
	// Plan is the picture on which it stands, at X and Y of its width and height, 0
	// to 1. Without a plan X and Y are its place on the plain map.
	Plan    string   `json:"plan,omitempty"`
	X       *float64 `json:"x,omitempty"`
	Y       *float64 `json:"y,omitempty"`
	Address string   `json:"address,omitempty"`
	// Contact and Phone are who answers there.
	Contact string `json:"contact,omitempty"`
	Phone   string `json:"phone,omitempty"`
	// Hours are when somebody is there; none is always.
	Hours []Window `json:"hours,omitempty"`
	// Line is the line as it was ordered, "电信 50M".
	Line string `json:"line,omitempty"`
	Note string `json:"note,omitempty"`

	By string    `json:"by,omitempty"`
	At time.Time `json:"at,omitzero"`
}

// CloseOrder is the body of node.close: the station closes until a time.
type CloseOrder struct {
	Until time.Time `json:"until"`
}

// LampState is the colour of a lamp.
type LampState string

// The colours.
const (
	LampOK   LampState = "ok"
	LampWarn LampState = "warn"
	LampBad  LampState = "bad"
	LampOff  LampState = "off" // not configured
)

// Lamp is one of the signs of health that every page of the console shows. What
// is fine is small; what is wrong has a word and a remedy.
type Lamp struct {
	// ID is "uplink", "cameras", "sensors", "storage", "children".
	ID    string    `json:"id"`
	State LampState `json:"state"`
	// Code is the machine's word for what is shown; the console's message table
	// turns it into a sentence, with Args in the places.
	Code string         `json:"code"`
	Args map[string]any `json:"args,omitempty"`
	// Hint is the remedy's code, empty when all is well.
	Hint string `json:"hint,omitempty"`
}

package station

import "time"

// Incident groups the alarms of one place that came within a short time: a
// detector in the kitchen, the next one in the corridor.
type Incident struct {
	ID    string    `json:"id"` // UUIDv7
	Node  NodeID    `json:"node"`
	Place string    `json:"place"`
	At    time.Time `json:"at"`     // of the first alarm
	Last  time.Time `json:"lastAt"` // of the last that joined
	First string    `json:"first"`  // the first alarm's ID
	// Alarms are the IDs of all, in order, at most 200; Kinds and Sensors are theirs.
	Alarms  []string    `json:"alarms"`
	Kinds   []AlarmKind `json:"kinds"`
	Sensors []string    `json:"sensors"`
	// State is "live" while one of the alarms is, then "over".
	State string `json:"state"`
}

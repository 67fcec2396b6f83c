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

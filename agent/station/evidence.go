package station

import "time"

// Hold is a span of a camera's record that a person keeps as evidence. It is never
// dropped by itself; who releases it is named.
type Hold struct {
	ID     string    `json:"id"`
	Node   NodeID    `json:"node,omitempty"`
	Camera string    `json:"camera"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	// Reason is why it is kept: "民警要求，盗窃案".
	Reason string `json:"reason"`
	// Alarm or Case is what it belongs to, where it belongs to one.
	Alarm string `json:"alarm,omitempty"`
	Case  string `json:"case,omitempty"`
	// Account, Name and At are of the person who held it.
	Account string    `json:"account"`
	Name    string    `json:"name"`
	At      time.Time `json:"at"`
	// Released is when it was released, by whom and why; the record stays.
	Released      time.Time `json:"released,omitzero"`
	ReleasedBy    string    `json:"releasedBy,omitempty"`
	ReleaseReason string    `json:"releaseReason,omitempty"`
}

// HoldOrder is the body of evidence.hold.
type HoldOrder struct {
	ID     string    `json:"id"`
	Camera string    `json:"camera"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Reason string    `json:"reason"`
	Alarm  string    `json:"alarm,omitempty"`
	Case   string    `json:"case,omitempty"`
}

// ReleaseOrder is the body of evidence.release.
type ReleaseOrder struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

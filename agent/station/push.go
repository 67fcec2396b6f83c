package station

import "time"

// TemplateOrigin is the parent's template behind one of ours.
type TemplateOrigin struct {
	Template string `json:"template"` // its ID at the parent
	Version  int    `json:"version"`  // there
	By       string `json:"by"`       // the centre and the officer, as shown
}

// PushOrder is the body of rule-template.push: the template's last version is to
// be at these stations, or is to be taken back from them.
type PushOrder struct {
	Nodes []NodeID `json:"nodes,omitempty"`
	// All means every station, and those that come later.
	All bool `json:"all,omitempty"`
	// Withdraw takes the template away: the class is judged as the program does by
	// itself.
	Withdraw bool   `json:"withdraw,omitempty"`
	Note     string `json:"note,omitempty"` // for the station to read
	// Over is what the one station in Nodes has and has refused to give up, as its
	// refusal named it. Nothing else is overwritten.
	Over string `json:"over,omitempty"`
}

// TakeTemplateOrder is the body of rule-template.take.
type TakeTemplateOrder struct {
	Template RuleTemplate `json:"template"`
	Withdraw bool         `json:"withdraw,omitempty"`
	Over     string       `json:"over,omitempty"`
	By       string       `json:"by,omitempty"` // the officer's account at the parent, for the audit
	Note     string       `json:"note,omitempty"`
}

// TemplatePush is how far a centre's rule template is at one station. It is kept
// at the centre; until the station's receipt it is a wish and no fact. One is kept
// for each template and station, the last.
type TemplatePush struct {
	Template string `json:"template"`
	Class    string `json:"class"`
	Node     NodeID `json:"node"`
	Version  int    `json:"version"`
	Withdraw bool   `json:"withdraw,omitempty"`
	Over     string `json:"over,omitempty"`
	// Command is the ID of the command that goes to the station.
	Command string    `json:"command"`
	By      string    `json:"by"`   // account, here
	Name    string    `json:"name"` // as shown
	Note    string    `json:"note,omitempty"`
	At      time.Time `json:"at"`
	// State is where it stands, StateAt since when, Problem why it was refused.
	State   PushState `json:"state"`
	StateAt time.Time `json:"stateAt"`
	Problem *Problem  `json:"problem,omitempty"`
	// Accepted is the version that the station has, as far as it has said; zero is
	// none. AcceptedAt is when it said so.
	Accepted   int       `json:"accepted,omitempty"`
	AcceptedAt time.Time `json:"acceptedAt,omitzero"`
	// Local is what the station's own people have put in its place since.
	Local *LocalTemplate `json:"local,omitempty"`
}

// PushState is how far it is.
type PushState string

// The states.
const (
	PushWaiting PushState = "waiting" // the station has not said what it does with it
	PushDone    PushState = "done"    // the station has it, or has it no more
	PushRefused PushState = "refused" // the station will not
)

// LocalTemplate is a station's own version of the rules of a class.
type LocalTemplate struct {
	Version int       `json:"version"`
	Name    string    `json:"name"` // who made it, as shown
	At      time.Time `json:"at"`
	// Removed tells that the station's people have removed the template.
	Removed bool `json:"removed,omitempty"`
}

// RulePolicy is which of its parent's rule templates a station takes.
type RulePolicy struct {
	// Refuse takes none; Classes are those of which none are taken.
	Refuse  bool     `json:"refuse,omitempty"`
	Classes []string `json:"classes,omitempty"`
	// Why is told to the parent.
	Why    string    `json:"why,omitempty"`
	By     string    `json:"by,omitempty"`
	ByName string    `json:"byName,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

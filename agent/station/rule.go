package station

import "time"

// RuleTemplate is the rules of a whole class: those of every sensor of it that
// has none of its own. What the program itself heeds because people may come to
// harm stays in force, unless the template has rules for that kind.
type RuleTemplate struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Class string `json:"class"` // one template for each
	Rules []Rule `json:"rules"`
	// Version grows with every change; each rule carries it, and so does every
	// alarm that one of them raises.
	Version int `json:"version,omitempty"`
	// By, ByName and At are who made this version, and when; Note says why.
	By     string    `json:"by,omitempty"`
	ByName string    `json:"byName,omitempty"`
	At     time.Time `json:"at,omitzero"`
	Note   string    `json:"note,omitempty"`
	// Removed tells that the version ended the template.
	Removed bool `json:"removed,omitempty"`
	// From is the parent's template that this version is of; nil for one that was
	// made here. What the program itself heeds because people may come to harm then
	// stays in force whatever the template says of it.
	From *TemplateOrigin `json:"from,omitempty"`
}

// RuleField is a field that rules of a class may look at.
type RuleField struct {
	Name string `json:"name"`
	Type string `json:"type"` // "bool", "number", "text" or "any"
	Unit string `json:"unit,omitempty"`
	// Known is false for a field that only some sensor here has: an expression
	// reads it as value("name").
	Known bool `json:"known"`
	// Seen are some of the values that sensors of the class have now.
	Seen []Value `json:"seen,omitempty"`
}

// TrialOrder asks what a rule would have done.
type TrialOrder struct {
	// Sensor is whose readings it is tried on; without it all sensors of Class.
	Sensor string    `json:"sensor,omitempty"`
	Class  string    `json:"class,omitempty"`
	Rule   Rule      `json:"rule"`
	From   time.Time `json:"from,omitzero"` // without it a week before To
	To     time.Time `json:"to,omitzero"`   // without it now
}

// Trial is what a rule would have done.
type Trial struct {
	// Alarms is how many it would have raised; First are the first of them.
	Alarms int          `json:"alarms"`
	First  []TrialAlarm `json:"first"`
	// Sensors and Readings are what it was tried on, Undecided how many readings
	// had something for the rule and left it undecided.
	Sensors   int `json:"sensors"`
	Readings  int `json:"readings"`
	Undecided int `json:"undecided"`
	// Incomplete tells that it took too long and ended before the last reading.
	Incomplete bool `json:"incomplete,omitempty"`
	// Message says it in a sentence.
	Message string    `json:"message"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
}

// TrialAlarm is one alarm that a rule would have raised.
type TrialAlarm struct {
	Sensor string    `json:"sensor"`
	Name   string    `json:"name"`
	At     time.Time `json:"at"`
	Why    Signal    `json:"why"`
}

package station

import "time"

// Finding is one thing that a probe of a camera found: what is so, and what to
// change in the camera's settings.
type Finding struct {
	// Code is stable, for programs and for words in other languages:
	// "stream.gop".
	Code     string          `json:"code"`
	Severity FindingSeverity `json:"severity"`
	// Stream is which it is about: "main", "sub", "onvif"; empty is the camera.
	Stream string `json:"stream,omitempty"`
	// Message is one sentence, Hint the setting to change.
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Args are what a translation fills in.
	Args map[string]string `json:"args,omitempty"`
}

// FindingSeverity is how bad it is.
type FindingSeverity string

// The severities.
const (
	FindingOK   FindingSeverity = "ok"
	FindingInfo FindingSeverity = "info"
	FindingWarn FindingSeverity = "warn" // it works, and could be better
	FindingBad  FindingSeverity = "bad"  // it does not work
)

// ProbeReport is what a probe found, the worst first.
type ProbeReport struct {
	At       time.Time     `json:"at"`
	Took     time.Duration `json:"took"`
	Main     *StreamState  `json:"main,omitempty"`
	Sub      *StreamState  `json:"sub,omitempty"`
	Findings []Finding     `json:"findings"`
}

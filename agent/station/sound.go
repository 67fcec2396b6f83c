package station

import "time"

// Sounding is what the node's own loudspeaker is to call: the gravest alarm that
// nobody has answered. The zero value is silence.
type Sounding struct {
	Alarm    string   `json:"alarm,omitempty"`
	Severity Severity `json:"severity,omitempty"`
	// Since is when it was raised; insistence grows from there.
	Since time.Time `json:"since,omitzero"`
}

// The states of the sound output.
const (
	SoundOK      = "ok"
	SoundMuted   = "muted"   // there, and switched off or turned down
	SoundMissing = "missing" // not there, or playing fails
	SoundOff     = "off"     // switched off in the configuration
)

// SoundState is what is known of the sound output.
type SoundState struct {
	Device string `json:"device"`
	State  string `json:"state"`
	Muted  bool   `json:"muted"`
	// Cause says more of what is wrong, in the words of the sound system.
	Cause string    `json:"cause,omitempty"`
	Since time.Time `json:"since,omitzero"` // in this state
	// Needed tells that its absence is a fault: the machine has had one, or the
	// configuration asks for one.
	Needed bool `json:"needed"`
	// Playing is what it calls now.
	Playing *Sounding `json:"playing,omitempty"`
}

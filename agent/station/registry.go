package station

import "time"

// This file is what people set up around sensors and alarms, beside the sensors
// themselves: who may join, what to do, where things are, who looks at it.

// Joining is the limited time in which unknown devices may appear by themselves.
// It ends by itself: whoever asks compares Until with the clock.
type Joining struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	By    string    `json:"by"`   // account
	Name  string    `json:"name"` // as shown
}

// MaxJoining is how long a joining window may be open.
const MaxJoining = time.Hour

// Open tells whether devices may join at now. A window from the future is from
// before the clock was set back, and closed.
func (j Joining) Open(now time.Time) bool {
	left := j.Until.Sub(now)
	return left > 0 && left <= MaxJoining
}

// JoiningOrder is the body of joining.open.
type JoiningOrder struct {
	Minutes int `json:"minutes"` // 1 to 60
}

// AdoptionOrder is the body of sensor.adopt: what makes a device that appeared by
// itself one of the station's sensors. What is left empty stays as the device
// said; Name is needed.
type AdoptionOrder struct {
	Name        string        `json:"name"`
	Place       string        `json:"place,omitempty"`
	Class       string        `json:"class,omitempty"`
	Cameras     []string      `json:"cameras,omitempty"`
	Important   bool          `json:"important,omitempty"`
	Bridge      string        `json:"bridge,omitempty"`
	Position    *Position     `json:"position,omitempty"`
	SilentAfter time.Duration `json:"silentAfter,omitempty"`
	Power       Power         `json:"power,omitempty"`
	Rules       []Rule        `json:"rules,omitempty"`
}

// ReplacementOrder is the body of sensor.replace: the new device is one that
// appeared by itself (Sensor, its ID), or one of which only the source is known.
type ReplacementOrder struct {
	Sensor string        `json:"sensor,omitempty"`
	Source *SensorSource `json:"source,omitempty"`
}

// ServiceOrder is the body of sensor.service.
type ServiceOrder struct {
	Mode ServiceMode `json:"mode"`
	// Minutes is how long, 1 to 10080 (seven days).
	Minutes int    `json:"minutes"`
	Why     string `json:"why,omitempty"`
}

// MaxService is how long a sensor may be out of ordinary service.
const MaxService = 7 * 24 * time.Hour

// Plan is one picture of a place, on which sensors and cameras have positions.
// The picture itself is a file of the node and does not travel.
type Plan struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Floor string `json:"floor,omitempty"` // "12 层"
	// Order is its place in the list, the smallest first.
	Order   int      `json:"order,omitempty"`
	Picture *Picture `json:"picture,omitempty"`
	Removed bool     `json:"removed,omitempty"` // only in the event of its removal
}

// Picture is what is known of a plan's picture.
type Picture struct {
	// Digest is the hexadecimal SHA-256 of its bytes; with another picture it is
	// another one, so that it can stand in an address that is kept for ever.
	Digest string    `json:"digest"`
	Type   string    `json:"type"` // "image/png"
	Bytes  int64     `json:"bytes"`
	Width  int       `json:"width"`  // pixels
	Height int       `json:"height"` // pixels
	At     time.Time `json:"at"`
}

// Card says what to do about one kind of alarm.
type Card struct {
	Kind AlarmKind `json:"kind"` // "other" for the kinds that have no card
	// Text is by language: "zh" and "en".
	Text map[string]CardText `json:"text"`
	// Version grows with every change; 0 is the card that the program came with.
	Version int       `json:"version"`
	By      string    `json:"by,omitempty"`
	Name    string    `json:"name,omitempty"` // of whoever changed it, as shown
	At      time.Time `json:"at,omitzero"`
}

// CardText is a card in one language.
type CardText struct {
	Steps []CardStep `json:"steps"`
	// Phones are the buttons for telephone calls, in order.
	Phones []CardPhone `json:"phones,omitempty"`
}

// CardStep is one step, or one thing that must not be done.
type CardStep struct {
	Text string `json:"text"`
	Dont bool   `json:"dont,omitempty"`
}

// CardPhone is a number to ring: "119".
type CardPhone struct {
	Label  string `json:"label"`
	Number string `json:"number"`
}

// ShiftNote is what one shift leaves for the next.
type ShiftNote struct {
	ID   string    `json:"id"` // UUIDv7
	By   string    `json:"by"`
	Name string    `json:"name"`
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// ShiftNoteOrder is the body of shift.note.
type ShiftNoteOrder struct {
	Text string `json:"text"`
}

// Display is a screen of the duty room that never signs out. It may show and
// answer for the shift on duty.
type Display struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	By      string    `json:"by"` // the administrator who armed it
	ArmedAt time.Time `json:"armedAt"`
	// OpenedAt is when its link was opened, and by which address; zero while it
	// waits.
	OpenedAt time.Time `json:"openedAt,omitzero"`
	Address  string    `json:"address,omitempty"`
	// SeenAt is when it was last used, to the minute.
	SeenAt time.Time `json:"seenAt,omitzero"`
	// LinkUntil is how long its link can be opened.
	LinkUntil time.Time `json:"linkUntil,omitzero"`
}

// DisplayOrder is the body of display.arm.
type DisplayOrder struct {
	Name string `json:"name"`
}

// DisplayLink is a new display with the token that opens it, which is shown this
// once: POST /api/v1/login {"token": …}.
type DisplayLink struct {
	Display
	Token string `json:"token"`
}

// ImportOrder is the body of sensors.import.
type ImportOrder struct {
	CSV []byte `json:"csv"`
}

// ImportReport is what became of an import, or what would become of it.
type ImportReport struct {
	// Try tells that nothing was to be changed; Applied that it was.
	Try     bool `json:"try"`
	Applied bool `json:"applied"`
	// Lines are the sensors read; Added, Changed and Same say what becomes of them.
	Lines   int `json:"lines"`
	Added   int `json:"added"`
	Changed int `json:"changed"`
	Same    int `json:"same"`
	// Faults are why nothing is imported, in the order of the lines; More is how
	// many further ones there are. Notes are what is left out and harmless.
	Faults []LineFault `json:"faults"`
	More   int         `json:"more,omitempty"`
	Notes  []LineFault `json:"notes,omitempty"`
}

// LineFault is one thing that is wrong in a line of a file.
type LineFault struct {
	Line    int    `json:"line"`             // the first is 1
	Column  string `json:"column,omitempty"` // as the file's header says
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

package station

import "time"

// Response is what was done to have somebody answer an alarm: who is told, in
// which order, and what became of it. It is kept beside the alarm, one for each.
type Response struct {
	Alarm string `json:"alarm"`
	// Tellings are who was told, in order, by which way and with what result.
	Tellings []Telling `json:"tellings"`
	// Calls are the telephone calls that people logged.
	Calls []Call `json:"calls,omitempty"`
	// Next is who is told next unless somebody answers, and when; zero when
	// nobody is left or somebody has answered.
	Next   string    `json:"next,omitempty"`
	NextAt time.Time `json:"nextAt,omitzero"`
	// Step is how many contacts have been told.
	Step int `json:"step"`
	// Parent tells that the parent centre owns the alarm: nobody answered here,
	// or the station was closed. AnsweredAt is when a person answered.
	Parent     bool      `json:"parent,omitempty"`
	AnsweredAt time.Time `json:"answeredAt,omitzero"`
	// Closed tells that the parent owns it because the station was closed; it
	// is handed back at opening.
	Closed bool `json:"closed,omitempty"`
	// Taken tells that the parent has taken the alarm over: nobody further is told
	// until it hands the alarm back, or TakenUntil, when it has not said again that it
	// deals with it. What sounds goes on sounding.
	Taken      bool      `json:"taken,omitempty"`
	TakenUntil time.Time `json:"takenUntil,omitzero"`
	// HandedBack tells that the parent gave the alarm back, or let its time run out:
	// it is not relied upon any more.
	HandedBack bool `json:"handedBack,omitempty"`
	// Stopped is why nobody further is told: "answered", "cleared", "shelved",
	// "suppressed"; empty while it goes on or when the list is at its end.
	Stopped string `json:"stopped,omitempty"`
	// Before is the alarm's, Told how many of the tellings are from before it.
	Before int `json:"before,omitempty"`
	Told   int `json:"told,omitempty"`
}

// Telling is one message to one contact by one channel.
type Telling struct {
	ID      string `json:"id"`
	Contact string `json:"contact,omitempty"` // ID; empty for the station's own sound, the siren, the parent
	Name    string `json:"name"`              // as shown
	// Channel is the channel's ID; Kind is its kind: "sound", "wecom-robot",
	// "wecom-app", "sms", "mail", "webhook", "mqtt", "parent".
	Channel string    `json:"channel,omitempty"`
	Kind    string    `json:"kind"`
	At      time.Time `json:"at"` // when it became due
	// State is "waiting", "sent", "delivered", "answered", "failed", or "stopped"
	// when the alarm was answered before it was sent.
	State   string    `json:"state"`
	StateAt time.Time `json:"stateAt,omitzero"`
	Tries   int       `json:"tries,omitempty"`
	Problem *Problem  `json:"problem,omitempty"`
	// NextAt is when a failed try is repeated.
	NextAt time.Time `json:"nextAt,omitzero"`
	// Off marks the message that ends another one: a siren is switched off.
	Off bool `json:"off,omitempty"`
}

// Call is one telephone call that a person made and logged.
type Call struct {
	By      string    `json:"by"`
	Name    string    `json:"name"`
	At      time.Time `json:"at"`
	To      string    `json:"to"` // whom, as shown: "儿子 李四"
	Reached bool      `json:"reached"`
	Note    string    `json:"note,omitempty"`
}

// WorkMode is the station's work mode (城运工作站工作模式).
type WorkMode string

// The work modes.
const (
	ModeRoutine WorkMode = "routine" // 日常巡勤
	ModeJoint   WorkMode = "joint"   // 联勤呼应
	ModeLinked  WorkMode = "linked"  // 联动响应
)

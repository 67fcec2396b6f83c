package protocol

import (
	"fmt"
	"time"

	"stationd/agent/station"
)

// SignalKind is a step of setting up a live leg, or a look at the clocks.
type SignalKind string

// The steps: the parent opens, the station offers, the parent answers, either
// closes. A close with a Problem says why there is no picture.
const (
	SignalOpen   SignalKind = "open"
	SignalOffer  SignalKind = "offer"
	SignalAnswer SignalKind = "answer"
	SignalClose  SignalKind = "close"
	// SignalClock asks the parent for its clock, and answers; it belongs to no leg.
	SignalClock SignalKind = "clock"
)

// MaxLifetime is the longest that a signal may ask to be obeyed after it was
// issued. Signals are about now; one that was stuck in a broker is worth nothing.
const MaxLifetime = 30 * time.Second

// Signal is one step of setting up a live leg.
type Signal struct {
	Protocol int        `json:"protocol"`
	Kind     SignalKind `json:"kind"`
	// Session names the leg, not the connection.
	Session string `json:"session"`
	// Camera is the camera's ID at the station; with open.
	Camera string `json:"camera,omitempty"`
	// Role is what the picture is for, with open; it decides which of the
	// camera's streams comes, and who goes first on a full line. Empty is focus.
	Role station.StreamRole `json:"role,omitempty"`
	// SDP is the session description; with offer and answer.
	SDP string `json:"sdp,omitempty"`
	// Issued is the sender's clock, and Lifetime how many seconds it is good.
	Issued   time.Time `json:"issued"`
	Lifetime int       `json:"lifetime"`
	// Offset is, with clock up, the parent's clock minus the station's, as the
	// station knows it so far; Echo, with clock down, the Issued that is answered.
	Offset  time.Duration    `json:"offset,omitempty"`
	Echo    time.Time        `json:"echo,omitzero"`
	Problem *station.Problem `json:"problem,omitempty"`
}

// Expired tells whether the signal is too old at now, by the receiver's clock.
// offset is the sender's clock minus the receiver's, as learnt from Hello or
// Welcome; without it a station with a wrong clock would be blind for ever.
// What claims to come from further than its own lifetime ahead is no better.
func (s Signal) Expired(now time.Time, offset time.Duration) bool {
	life := min(time.Duration(s.Lifetime)*time.Second, MaxLifetime)
	age := now.Add(offset).Sub(s.Issued)
	return age > life || age < -life
}

func (s Signal) check() error {
	if len(s.Session) == 0 || len(s.Session) > 128 || len(s.Camera) > 128 || len(s.Role) > 32 {
		return fmt.Errorf("session is missing, or session, camera or role is too long")
	}
	if s.Lifetime <= 0 || s.Issued.IsZero() {
		return fmt.Errorf("issued or lifetime is missing")
	}
	switch s.Kind {
	case SignalOpen:
		if s.Camera == "" {
			return fmt.Errorf("open names no camera")
		}
	case SignalOffer, SignalAnswer:
		if s.SDP == "" {
			return fmt.Errorf("%s has no session description", s.Kind)
		}
	case SignalClose, SignalClock:
	default:
		return fmt.Errorf("unknown kind %.20q", string(s.Kind))
	}
	return nil
}

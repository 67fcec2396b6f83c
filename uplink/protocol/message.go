package protocol

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"stationd/agent/station"
)

// Version is the newest version of the protocol that this program speaks.
const Version = 1

// Versions lists all that it speaks.
func Versions() []int { return []int{Version} }

// MaxMessageBytes limits every message that is not a batch. Session
// descriptions are the largest; they have some kilobytes.
const MaxMessageBytes = 128 << 10

// maxLamps bounds the signs of a Health.
const maxLamps = 32

// Hello opens a session.
type Hello struct {
	// Versions are the protocol versions that the station speaks.
	Versions []int          `json:"versions"`
	Node     station.NodeID `json:"node"`
	// Session is random and names this connection; the parent repeats it in
	// all that is meant for it.
	Session string        `json:"session"`
	Epoch   station.Epoch `json:"epoch"`
	// Software is the station's version, for people.
	Software string `json:"software,omitempty"`
	// Time is the station's clock, from which the parent learns its offset.
	Time time.Time `json:"time"`
	// Compress lists the compressions that the station can send batches in.
	Compress []string `json:"compress,omitempty"`
}

// Welcome answers Hello.
type Welcome struct {
	// Protocol is the version chosen; zero when there is a Problem.
	Protocol int            `json:"protocol,omitempty"`
	Versions []int          `json:"versions"`
	Node     station.NodeID `json:"node,omitempty"`
	Session  string         `json:"session"`
	Software string         `json:"software,omitempty"`
	Time     time.Time      `json:"time"`
	// Marks are what the parent holds durably of this node, per lane.
	Marks map[station.Lane]Mark `json:"marks,omitempty"`
	// ClipPort is where clips are taken in, on the host that the station
	// dialled; zero when none are.
	ClipPort int `json:"clipPort,omitempty"`
	// Compress is the one in which batches are welcome; empty means none.
	Compress string `json:"compress,omitempty"`
	// HealthEvery is how often, in seconds, the parent wants a Health; zero is
	// never, as with parents that know nothing of it.
	HealthEvery int              `json:"healthEvery,omitempty"`
	Problem     *station.Problem `json:"problem,omitempty"`
}

// Mark is the newest event of one node and lane that the parent holds durably:
// the sender's epoch, its sequence number and the hop number. The zero Mark
// means that it holds nothing.
type Mark struct {
	Epoch station.Epoch `json:"epoch,omitempty"`
	Seq   Decimal       `json:"seq"`
	Hop   Decimal       `json:"hop"`
}

// Ack tells the parent's mark after it took in a batch, or why it did not.
type Ack struct {
	Protocol int          `json:"protocol"`
	Session  string       `json:"session"`
	Lane     station.Lane `json:"lane"`
	Mark
	// Expect, when not zero, is the hop number from which to send again.
	Expect Decimal `json:"expect,omitempty"`
	// Problem says why nothing was stored.
	Problem *station.Problem `json:"problem,omitempty"`
	// Wait is how many milliseconds the lane shall pause before it sends again,
	// because the receiver is slow or full; Because is why.
	Wait    int              `json:"wait,omitempty"`
	Because *station.Problem `json:"because,omitempty"`
}

// MaxWait is the longest pause that is kept.
const MaxWait = 10 * time.Minute

// Pause is Wait as a duration, within MaxWait.
func (a Ack) Pause() time.Duration {
	return min(max(time.Duration(a.Wait), 0), MaxWait/time.Millisecond) * time.Millisecond
}

// Order carries a command down.
type Order struct {
	Protocol int             `json:"protocol"`
	Command  station.Command `json:"command"`
}

// Report carries a receipt up.
type Report struct {
	Protocol int             `json:"protocol"`
	Receipt  station.Receipt `json:"receipt"`
}

// Status is retained, so that whoever subscribes knows at once; with Online
// false it is also the last will.
type Status struct {
	Protocol int       `json:"protocol"`
	Online   bool      `json:"online"`
	Session  string    `json:"session"`
	Software string    `json:"software,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	// Bye is why a station ends its connection; a last will has none.
	Bye station.Bye `json:"bye,omitempty"`
}

// Health is what a station says of itself now and then, to a parent whose Welcome
// has asked for it.
type Health struct {
	Protocol int                `json:"protocol"`
	Session  string             `json:"session"`
	Health   station.NodeHealth `json:"health"`
}

// Choose picks the highest version that both ends speak.
func Choose(theirs []int) (int, error) {
	for _, v := range slices.Backward(Versions()) {
		if slices.Contains(theirs, v) {
			return v, nil
		}
	}
	return 0, station.Errorf(ErrVersion.Status, ErrVersion.Code, ErrVersion.Hint,
		"the other end speaks protocol versions %v, this one %v", theirs, Versions())
}

// Message is any of the messages of this package.
type Message interface {
	Hello | Welcome | Ack | Order | Report | Status | Health | Signal
}

// Encode encodes a message in the form that Decode takes.
func Encode[M Message](m M) ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", m, err)
	}
	if len(b) > MaxMessageBytes {
		return nil, ErrTooLarge.Because(fmt.Errorf("%T of %d bytes", m, len(b)))
	}
	return b, nil
}

// Decode decodes and checks a message. Hello and Welcome negotiate the version
// and are read whatever it is; all others must be of a version that we speak.
func Decode[M Message](payload []byte) (M, error) {
	var m, zero M
	if len(payload) > MaxMessageBytes {
		return zero, ErrTooLarge
	}
	// The version is looked at first: another version may give other fields
	// another form, and must be called by its name all the same.
	var v struct {
		Protocol int `json:"protocol"`
	}
	if err := json.Unmarshal(payload, &v); err != nil {
		return zero, malformed(err)
	}
	switch any(m).(type) {
	case Hello, Welcome:
	default:
		if !slices.Contains(Versions(), v.Protocol) {
			return zero, station.Errorf(ErrVersion.Status, ErrVersion.Code, ErrVersion.Hint,
				"a message of protocol version %d, this end speaks %v", v.Protocol, Versions())
		}
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		return zero, malformed(err)
	}
	if err := check(any(m)); err != nil {
		return zero, malformed(err)
	}
	return m, nil
}

func check(m any) error {
	switch m := m.(type) {
	case Hello:
		if err := m.Node.Validate(); err != nil {
			return err
		}
		if !ValidSession(m.Session) || !validEpoch(m.Epoch) {
			return fmt.Errorf("session or epoch is missing")
		}
	case Welcome:
		if !ValidSession(m.Session) {
			return fmt.Errorf("session is missing")
		}
		for lane, mark := range m.Marks {
			if err := mark.check(); err != nil {
				return fmt.Errorf("mark of lane %.20q: %w", string(lane), err)
			}
		}
	case Ack:
		if !ValidSession(m.Session) || !knownLane(m.Lane) {
			return fmt.Errorf("session or lane is missing")
		}
		return m.Mark.check()
	case Order:
		if m.Command.ID == "" || len(m.Command.ID) > maxName || m.Command.Type == "" {
			return fmt.Errorf("the command has no id or no type")
		}
	case Report:
		if m.Receipt.Command == "" || len(m.Receipt.Command) > maxName {
			return fmt.Errorf("the receipt names no command")
		}
	case Status:
		if !ValidSession(m.Session) {
			return fmt.Errorf("session is missing")
		}
	case Health:
		if !ValidSession(m.Session) {
			return fmt.Errorf("session is missing")
		}
		if len(m.Health.Lamps) > maxLamps || len(m.Health.Backlog) > 2*len(station.Lanes()) {
			return fmt.Errorf("more lamps or lanes than there are")
		}
	case Signal:
		return m.check()
	}
	return nil
}

func (m Mark) check() error {
	if m.Epoch == "" && (m.Seq != 0 || m.Hop != 0) || m.Epoch != "" && !validEpoch(m.Epoch) {
		return fmt.Errorf("seq %d hop %d of epoch %.70q", m.Seq, m.Hop, string(m.Epoch))
	}
	return nil
}

// ValidSession tells whether s can name a session: 8 to 64 letters, digits and
// hyphens, so that it can stand in an MQTT client identifier.
func ValidSession(s string) bool {
	if len(s) < 8 || len(s) > 64 {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return true
}

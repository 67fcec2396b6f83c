package station

import "time"

// ViewingStatus is how far somebody's live picture is.
type ViewingStatus string

// How far it is.
const (
	ViewingConnecting ViewingStatus = "connecting"
	ViewingConnected  ViewingStatus = "connected"
	ViewingFailed     ViewingStatus = "failed" // it never connected
)

// Viewing is somebody who watches a camera live, or tried to. The session's own ID is
// not told: who knows it may end it.
type Viewing struct {
	Camera  string     `json:"camera"`
	Role    StreamRole `json:"role"`
	Account string     `json:"account"`
	Name    string     `json:"name,omitempty"`
	Address string     `json:"address,omitempty"` // where the request came from
	Since   time.Time  `json:"since"`

	Status ViewingStatus `json:"status"`
	// Ended and Cause are of one that failed.
	Ended time.Time `json:"ended,omitzero"`
	Cause string    `json:"cause,omitempty"`
	// Transport is udp, tcp or websocket; empty while it connects.
	Transport string `json:"transport,omitempty"`
	// Used is the way that was chosen; Tried are the others, and Offered what the
	// station said of itself. Where it failed they tell what did not answer.
	Used    ViewingWay   `json:"used,omitzero"`
	Tried   []ViewingWay `json:"tried,omitempty"`
	Offered []string     `json:"offered,omitempty"`

	// Packets were sent, Repaired sent again since they were lost on the way, Refused
	// lost and beyond the bounds of repair. Skipped pictures were left out because the
	// viewer was slow.
	Packets   uint64        `json:"packets"`
	Repaired  uint64        `json:"repaired"`
	Refused   uint64        `json:"refused"`
	Skipped   uint64        `json:"skipped"`
	RoundTrip time.Duration `json:"roundTrip,omitempty"`
}

// ViewingWay is a pair of addresses between station and viewer.
type ViewingWay struct {
	Protocol string `json:"protocol"` // udp or tcp
	Station  string `json:"station"`
	Viewer   string `json:"viewer"`
	// State is ICE's: waiting, in-progress, failed or succeeded.
	State string `json:"state"`
}

// Viewings are those who watch now, the newest first, and those who could not.
type Viewings struct {
	Viewers []Viewing `json:"viewers"`
	Failed  []Viewing `json:"failed"`
}

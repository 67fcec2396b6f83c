package station

import "time"

// Camera is one video source. Its password lies apart, sealed.
type Camera struct {
	ID   string `json:"id"`
	Node NodeID `json:"node,omitempty"` // whose it is; set at the centre
	Name string `json:"name"`
	// Place is what it sees: "3号楼 12 层走廊".
	Place string `json:"place,omitempty"`
	// URL is the RTSP address without credentials.
	URL      string `json:"url,omitempty"`
	Username string `json:"username,omitempty"`
	// HasPassword tells that a password is kept; the password is never shown.
	HasPassword bool `json:"hasPassword,omitempty"`
	// Record tells whether it is recorded continuously.
	Record bool `json:"record"`
	// Position is where it stands on a plan.
	Position *Position `json:"position,omitempty"`
}

// CameraStatus is how a camera's source is.
type CameraStatus string

// The states of a source.
const (
	CameraConnecting   CameraStatus = "connecting"
	CameraOnline       CameraStatus = "online"
	CameraOffline      CameraStatus = "offline"      // unreachable; retried
	CameraUnauthorized CameraStatus = "unauthorized" // wrong user name or password; retried slowly
	CameraNoSlot       CameraStatus = "no-slot"      // the camera has no session left (453, 503); retried slowly
	CameraUnsupported  CameraStatus = "unsupported"  // no picture format that we can use
)

// CameraState is what is known of a camera's source now.
type CameraState struct {
	Camera string       `json:"camera"`
	Node   NodeID       `json:"node,omitempty"`
	Status CameraStatus `json:"status"`
	// Since is when Status last changed.
	Since time.Time `json:"since"`
	// Cause says in one sentence why it is not online, and Hint what to do.
	Cause string `json:"cause,omitempty"`
	Hint  string `json:"hint,omitempty"`
	// Codec, Width and Height are of the picture: "H264", 1920, 1080.
	Codec  string `json:"codec,omitempty"`
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
}

// ClipStatus is how far a clip is.
type ClipStatus string

// The states of a clip.
const (
	ClipPending ClipStatus = "pending" // its last seconds are still to come
	ClipReady   ClipStatus = "ready"
	ClipFailed  ClipStatus = "failed"
	ClipRemoved ClipStatus = "removed" // by a person, who is named in the audit
)

// Clip is a protected piece of one camera's record.
type Clip struct {
	ID     string     `json:"id"` // UUIDv7
	Node   NodeID     `json:"node"`
	Camera string     `json:"camera"`
	Alarm  string     `json:"alarm,omitempty"`
	Status ClipStatus `json:"status"`
	// From and To are what was asked for.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Start and End are what the file covers; the start is a key picture.
	Start time.Time `json:"start,omitzero"`
	End   time.Time `json:"end,omitzero"`
	// Gaps is how much of the span between Start and End has no picture.
	Gaps   time.Duration `json:"gaps,omitempty"`
	Size   int64         `json:"size,omitempty"`   // bytes of the MP4 file
	SHA256 string        `json:"sha256,omitempty"` // hexadecimal, of the MP4 file
	// Cause says why it failed or is shorter than asked.
	Cause string `json:"cause,omitempty"`
	// Uploaded is when the centre had it whole.
	Uploaded time.Time `json:"uploaded,omitzero"`
}

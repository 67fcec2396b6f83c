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
	// Record tells whether it is recorded; Recording says when.
	Record bool `json:"record"`
	// Position is where it stands on a plan.
	Position *Position `json:"position,omitempty"`

	// Sub is the address of its smaller stream, at the same host and with the same
	// account; empty where there is none, and URL then serves every role.
	Sub string `json:"sub,omitempty"`
	// Transport is how the pictures travel to the node.
	Transport Transport `json:"transport,omitempty"`
	// Fingerprint is the SHA-256 of the certificate that the camera shows
	// (rtsps), in hexadecimal; empty takes what an authority of the system signed.
	Fingerprint string `json:"fingerprint,omitempty"`
	// OnDemand lets go of a stream that nobody watches and nothing records.
	OnDemand bool `json:"onDemand,omitempty"`
	// Mute leaves its sound out: it is neither heard nor recorded.
	Mute bool `json:"mute,omitempty"`

	// Recording is when it is recorded, if Record is set.
	Recording Recording `json:"recording,omitempty"`
	// RecordHours are the times in which it is recorded under RecordHours; see
	// Schedule.
	RecordHours []Window `json:"recordHours,omitempty"`
	// RecordSub records the smaller stream in place of the main one.
	RecordSub bool `json:"recordSub,omitempty"`

	// ONVIF is the address of its device service, without credentials; empty when
	// it is not spoken to that way. Profile and SubProfile are the media profiles
	// that URL and Sub came from.
	ONVIF      string `json:"onvif,omitempty"`
	Profile    string `json:"profile,omitempty"`
	SubProfile string `json:"subProfile,omitempty"`
	// Recorder is the recorder (NVR) that it is a channel of, and Channel which.
	Recorder string `json:"recorder,omitempty"`
	Channel  string `json:"channel,omitempty"`

	// Owner is whose camera it is; OwnerName names them.
	Owner     CameraOwner `json:"owner,omitempty"`
	OwnerName string      `json:"ownerName,omitempty"`
	// Roles are the roles that may see it; empty lets everybody who may see video.
	// An administrator may see every camera.
	Roles []string `json:"roles,omitempty"`
	// Withheld keeps it from the parent: neither its name nor its pictures go there.
	Withheld bool `json:"withheld,omitempty"`
}

// Transport is how RTP comes from a camera.
type Transport string

// The transports. The empty one is TCP.
const (
	TransportTCP       Transport = "tcp" // inside the RTSP connection
	TransportUDP       Transport = "udp"
	TransportMulticast Transport = "multicast"
	TransportAuto      Transport = "auto" // UDP, and TCP where nothing comes that way
)

// Recording is when a camera is recorded.
type Recording string

// The times of recording. The empty one is always.
const (
	RecordAlways Recording = "always"
	RecordHours  Recording = "hours"  // in Camera.RecordHours, and around events
	RecordEvents Recording = "events" // around alarms and what is detected, alone
)

// CameraOwner is whose a camera is that the station may look through.
type CameraOwner string

// The owners; the empty one is the station itself.
const (
	OwnerPolice     CameraOwner = "police"     // 公安
	OwnerEnterprise CameraOwner = "enterprise" // 企事业单位
	OwnerProperty   CameraOwner = "property"   // 物业
	OwnerSite       CameraOwner = "site"       // 工地
	OwnerOther      CameraOwner = "other"
)

// StreamRole is what a picture is wanted for; it decides which of a camera's
// streams is given.
type StreamRole string

// The roles. The empty one is focus.
const (
	RoleFocus      StreamRole = "focus" // one large picture: the main stream
	RoleWall       StreamRole = "wall"  // one of several: the smaller stream
	RoleRecord     StreamRole = "record"
	RoleConference StreamRole = "conference"
)

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
	CameraUntrusted    CameraStatus = "untrusted"    // it shows a certificate that is not known (rtsps)
	CameraIdle         CameraStatus = "idle"         // let go of, since nobody wants it now (OnDemand)
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
	// Sound is the codec of its sound, Transport how its pictures come.
	Sound     string    `json:"sound,omitempty"`
	Transport Transport `json:"transport,omitempty"`
	// ClockOffset is how far the camera's clock is ahead of the node's, to the
	// second; 0 is also what an unknown one has.
	ClockOffset time.Duration `json:"clockOffset,omitempty"`
	// Sub is the state of the smaller stream, of a camera that has one; the
	// fields above are the main stream's.
	Sub StreamState `json:"sub,omitzero"`
	// Talk is how the camera takes a voice for its loudspeaker: PCMA, PCMU or OPUS,
	// or the name of a codec in which none can be sent. Empty where it takes none,
	// or has not been asked yet.
	Talk string `json:"talk,omitempty"`
	// Talking is who talks through it now.
	Talking Talking `json:"talking,omitzero"`
}

// Talking is somebody's voice on its way to a camera.
type Talking struct {
	Account string `json:"account,omitempty"`
	Name    string `json:"name"` // as shown
	// Until is when it ends by itself.
	Until time.Time `json:"until"`
}

// StreamState is how one stream of a camera is.
type StreamState struct {
	Status CameraStatus `json:"status"`
	Cause  string       `json:"cause,omitempty"`
	Hint   string       `json:"hint,omitempty"`
	Codec  string       `json:"codec,omitempty"`
	Width  int          `json:"width,omitempty"`
	Height int          `json:"height,omitempty"`
	// BFrames tells that it has pictures that browsers cannot show live.
	BFrames     bool          `json:"bFrames,omitempty"`
	Sound       string        `json:"sound,omitempty"`
	Transport   Transport     `json:"transport,omitempty"`
	ClockOffset time.Duration `json:"clockOffset,omitempty"`
	// Rate is what was measured of it; told only to who asks for it now.
	Rate StreamRate `json:"rate,omitzero"`
}

// StreamRate is what was measured of a stream over the last seconds.
type StreamRate struct {
	// Bits and Pictures are those of a second.
	Bits     int64   `json:"bits"`
	Pictures float64 `json:"pictures"`
	// KeyDistance is the time between the last two key pictures; 0 before them.
	KeyDistance time.Duration `json:"keyDistance,omitempty"`
	// Lost is how many packets were lost on the way since the session began.
	Lost uint64 `json:"lost,omitempty"`
}

// CameraStreams is how a camera's streams are at this moment.
type CameraStreams struct {
	Camera string      `json:"camera"`
	Main   StreamState `json:"main"`
	Sub    StreamState `json:"sub,omitzero"`
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
	// Gone is when the film at its own node made room for newer ones.
	Gone time.Time `json:"gone,omitzero"`
}

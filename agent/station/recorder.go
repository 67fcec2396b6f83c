package station

// Recorder is a video recorder (NVR): one machine and one account, behind which
// several cameras are. Its password lies apart, sealed, and serves all of them.
type Recorder struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Place string `json:"place,omitempty"`
	// Kind is how its channels are addressed.
	Kind RecorderKind `json:"kind"`
	// Host is its address, with the RTSP port where that is not 554.
	Host     string `json:"host"`
	Username string `json:"username,omitempty"`
	// HasPassword tells that a password is kept; the password is never shown.
	HasPassword bool `json:"hasPassword,omitempty"`
	// ONVIF is the address of its device service; needed for RecorderONVIF, and for
	// turning the cameras behind it.
	ONVIF string `json:"onvif,omitempty"`
	// Channels is how many it has, where it is not asked for them.
	Channels int `json:"channels,omitempty"`
	// Main and Sub are the paths of a channel's two streams, for RecorderOther:
	// "/live/{ch}/main". {ch} is the number, {ch2} with two digits at least.
	Main string `json:"main,omitempty"`
	Sub  string `json:"sub,omitempty"`
}

// RecorderKind is whose recorder it is.
type RecorderKind string

// The kinds.
const (
	RecorderONVIF     RecorderKind = "onvif"     // it is asked for its channels
	RecorderHikvision RecorderKind = "hikvision" // 海康威视
	RecorderDahua     RecorderKind = "dahua"     // 大华
	RecorderUniview   RecorderKind = "uniview"   // 宇视
	RecorderOther     RecorderKind = "other"     // by the paths in Main and Sub
)

// RecorderOrder is the body of recorder.put. A password equal to SecretMask keeps
// the one that is kept.
type RecorderOrder struct {
	Recorder
	Password Secret `json:"password,omitempty"`
}

// RecorderChannel is one channel of a recorder as it can be imported.
type RecorderChannel struct {
	// Channel is the recorder's own name of it: a number, or ONVIF's video source.
	Channel    string `json:"channel"`
	Name       string `json:"name,omitempty"`
	URL        string `json:"url"`
	Sub        string `json:"sub,omitempty"`
	Profile    string `json:"profile,omitempty"`
	SubProfile string `json:"subProfile,omitempty"`
	// Camera is the ID of the camera that it is already; empty is none.
	Camera string `json:"camera,omitempty"`
}

// RecorderImport is the body of recorder.import: the channels that become cameras.
type RecorderImport struct {
	Channels []RecorderChannel `json:"channels"`
	// Record tells whether the new cameras are recorded here too.
	Record bool `json:"record"`
	// OnDemand, Owner, OwnerName and Roles are those of the new cameras.
	OnDemand  bool        `json:"onDemand,omitempty"`
	Owner     CameraOwner `json:"owner,omitempty"`
	OwnerName string      `json:"ownerName,omitempty"`
	Roles     []string    `json:"roles,omitempty"`
}

// RecorderImported is what became of it.
type RecorderImported struct {
	Added int `json:"added"` // cameras that are new
	Kept  int `json:"kept"`  // that were there; their addresses are the recorder's of now
	// Missing are cameras of this recorder that it no longer tells of. They stay.
	Missing []string `json:"missing"`
}

// RecorderRemoval is the body of recorder.remove.
type RecorderRemoval struct {
	// Cameras removes its cameras with it; else a recorder with cameras stays.
	Cameras bool `json:"cameras,omitempty"`
}

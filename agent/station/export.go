package station

import "time"

// ExportStatus is how far an export is.
type ExportStatus string

// The states of an export.
const (
	ExportWaiting ExportStatus = "waiting" // ordered; made when its turn comes
	ExportReady   ExportStatus = "ready"
	ExportFailed  ExportStatus = "failed"
	ExportRemoved ExportStatus = "removed" // by a person, or because its time was over
)

// Export is a file that a person had made of a span of a camera's record. Its
// record stays when the file is gone.
type Export struct {
	ID     string `json:"id"` // UUIDv7
	Node   NodeID `json:"node"`
	Camera string `json:"camera"`
	// From and To are what was asked for.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Overlay asks for the station's time in the pictures.
	Overlay bool   `json:"overlay,omitempty"`
	Reason  string `json:"reason"`
	// By and Name are who ordered it, and At when.
	By   string    `json:"by"`
	Name string    `json:"name"`
	At   time.Time `json:"at"`

	Status ExportStatus `json:"status"`
	// Cause says why it failed, was removed or holds less than was asked for.
	Cause string `json:"cause,omitempty"`
	// Code is the problem's, where it failed.
	Code string `json:"code,omitempty"`
	// Start and End are what the file covers; the start is a key picture.
	Start time.Time `json:"start,omitzero"`
	End   time.Time `json:"end,omitzero"`
	// Gaps is how much of that has no picture.
	Gaps   time.Duration `json:"gaps,omitempty"`
	Size   int64         `json:"size,omitempty"`
	SHA256 string        `json:"sha256,omitempty"` // hexadecimal, of the file
	// Stamped tells that the time stands in the pictures.
	Stamped bool `json:"stamped,omitempty"`
	// Until is when the file is removed.
	Until time.Time `json:"until,omitzero"`
}

// ExportOrder is the body of camera.export.
type ExportOrder struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Overlay bool      `json:"overlay,omitempty"`
	Reason  string    `json:"reason"`
}

// ExportRemoval is the body of camera.export-remove.
type ExportRemoval struct {
	ID string `json:"id"`
}

// The commands about exports.
const (
	CommandExport       = "camera.export"        // Subject camera; body ExportOrder; result Export
	CommandRemoveExport = "camera.export-remove" // Subject camera; body ExportRemoval; result Export
)

// EventExport tells of an export: ordered, ready, failed, removed. Data is Export.
const EventExport = "cityops.video.export.v1"

package station

// Turning a camera of a station from its parent's console.

// CommandTurnCamera is of a camera of the station, by the station's own name for it;
// body TurnOrder, result TurnReport; from the parent. It lives for seconds: an order
// to turn that comes late is none.
const CommandTurnCamera = "camera.turn"

// TurnOrder is what a camera's head is to do: to turn as fast as this, or to go to a
// place; neither stops it.
type TurnOrder struct {
	Pan  float64 `json:"pan,omitempty"`
	Tilt float64 `json:"tilt,omitempty"`
	Zoom float64 `json:"zoom,omitempty"`
	// Preset is the place to go to.
	Preset string `json:"preset,omitempty"`
	// Look changes nothing, and asks for the report alone.
	Look bool `json:"look,omitempty"`
}

// TurnReport is how a camera's head is.
type TurnReport struct {
	// Moving names who turns it now; empty is nobody.
	Moving  string         `json:"moving,omitempty"`
	Presets []CameraPreset `json:"presets,omitempty"`
}

// CameraPreset is a place that a camera knows.
type CameraPreset struct {
	Token string `json:"token"`
	Name  string `json:"name,omitempty"`
}

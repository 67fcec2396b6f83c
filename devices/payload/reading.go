package payload

import (
	"errors"
	"time"

	"stationd/agent/station"
)

// Reading is what one message says.
type Reading struct {
	// Device is the sender's name within its family; empty where the topic
	// alone tells it.
	Device string `json:"device,omitempty"`
	// Values are the fields, by our names: bool, float64 or string each.
	Values map[string]station.Value `json:"values,omitempty"`
	// Events are the fields of Values that tell of a moment, not of a state
	// that lasts: a button was pressed. Nothing will say when it is over.
	Events []string `json:"events,omitempty"`
	// DeviceTime is what the device says, zero when it says nothing.
	DeviceTime time.Time `json:"deviceTime,omitzero"`
	// Presence is set by a message about whether the device is there.
	Presence Presence `json:"presence,omitempty"`
	// Bridge marks a Presence of the bridge itself.
	Bridge bool `json:"bridge,omitempty"`
}

// Presence is what a bridge says of a device, or of itself by its last will.
type Presence string

// The presences.
const (
	Online  Presence = "online"
	Offline Presence = "offline"
)

// Decoder reads the payloads of one family.
type Decoder interface {
	// Decode returns ErrIgnored for a message that is no reading, and another
	// error for one that should be and cannot be read.
	Decode(topic string, payload []byte) (Reading, error)
}

// ErrIgnored is returned for a message that belongs to the family and has
// nothing to say: a command to a device, the bridge's own chatter.
var ErrIgnored = errors.New("not a reading")

// The names of the families, as in station.SensorSource.
const (
	FamilyZigbee2MQTT = "zigbee2mqtt"
	FamilyJSON        = "json"
)

// What a reading holds at most; fields beyond are left out.
const (
	MaxFields = 64
	MaxText   = 256
)

// The field names that the default rules know, besides the device classes.
const (
	FieldTamper     = "tamper"
	FieldVibration  = "vibration"
	FieldBattery    = "battery"     // percent
	FieldBatteryLow = "battery_low" //
	FieldHumidity   = "humidity"    // percent
	FieldAction     = "action"
	FieldLink       = "linkquality"
)

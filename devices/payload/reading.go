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
	// SentAt is when the sender, by the same clock, says that it sends this: how old
	// the news is can be told by it whatever that clock shows. Zero is not told.
	SentAt time.Time `json:"sentAt,omitzero"`
	// Presence is set by a message about whether the device is there.
	Presence Presence `json:"presence,omitempty"`
	// Bridge marks a Presence of the bridge itself.
	Bridge bool `json:"bridge,omitempty"`
	// Via is the Device of the bridge or gateway that Device speaks through.
	Via string `json:"via,omitempty"`
	// Backlog marks what the device sends again of an earlier time: it is
	// recorded and never news of this moment.
	Backlog bool `json:"backlog,omitempty"`
	// Cached marks what a bridge republishes from its memory after a start. It is
	// what a retained message is: a state, which is news only to those who did not
	// know it.
	Cached bool `json:"cached,omitempty"`
	// Serial is the device's own name of this message, where it has one (a
	// counter, a deduplication ID): the same message comes with the same Serial.
	Serial string `json:"serial,omitempty"`
	// Name, Class, Maker, Model, Firmware and Power are what the message tells of
	// the device itself, for one that is met for the first time. A reading with
	// neither Values nor Presence tells nothing else and is no sign of life.
	Name     string        `json:"name,omitempty"`
	Class    string        `json:"class,omitempty"`
	Maker    string        `json:"maker,omitempty"`
	Model    string        `json:"model,omitempty"`
	Firmware string        `json:"firmware,omitempty"`
	Power    station.Power `json:"power,omitempty"`
	// Interval is how often the device says it will be heard; zero is unknown.
	Interval time.Duration `json:"interval,omitempty"`
}

// Message is one message as a family sees it.
type Message struct {
	Topic    string
	Payload  []byte
	Retained bool
	Received time.Time
}

// Family reads the payloads of one kind of device or gateway. It is safe for
// use from any goroutine.
type Family interface {
	// Name is as in station.SensorSource: "tasmota".
	Name() string
	// Filters are the MQTT topic filters on which it is heard unless the broker's
	// settings say otherwise.
	Filters() []string
	// Open begins to listen to one broker. A family that needs no memory returns
	// itself in another dress.
	Open() Session
}

// Session is a family on one broker, with what it has to remember of it: births,
// aliases, discovery messages. What it remembers is bounded; after a restart it
// is learned again, or asked for (Result.Requests).
type Session interface {
	// Decode returns ErrIgnored for a message that is no reading, and another
	// error for one that should be and cannot be read. It is called for one
	// message at a time.
	Decode(m Message) (Result, error)
}

// Result is what one message says, of any number of devices.
type Result struct {
	Readings []Reading
	// Requests are to be published on the same broker: a rebirth is asked for.
	Requests []Request
	// Listen are topics outside of the family's Filters that the session has
	// learned of and wants to hear from now on (Home Assistant discovery names
	// them). Such a topic belongs to this session: other families speak there for
	// registered sensors only, or each of its devices would be there twice.
	Listen []string
	// Unsupported counts what the message asks for and is not done here, by its
	// text: a template that cannot be evaluated. It is shown, not fatal.
	Unsupported []string
}

// Request is a message that a family wants published.
type Request struct {
	Topic   string
	Payload []byte
	QoS     byte
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

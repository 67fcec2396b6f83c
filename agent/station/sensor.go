package station

import "time"

// Sensor is one device that sends readings.
type Sensor struct {
	ID   string `json:"id"`
	Node NodeID `json:"node,omitempty"` // whose it is; set at the centre
	Name string `json:"name"`
	// Place is where an officer must go: "3号楼 1202 室 · 厨房".
	Place string `json:"place"`
	// Class is the device class of the table below; it decides the default
	// rules and how long the sensor may be silent.
	Class string `json:"class"`
	// Source tells which payloads are this sensor's: broker, family and topic.
	Source SensorSource `json:"source"`
	// Rules say when it alarms. Empty means the default rules of Class.
	Rules []Rule `json:"rules,omitempty"`
	// Cameras see the place; the first gives the clip.
	Cameras []string `json:"cameras,omitempty"`
	// SilentAfter is how long it may be silent before the offline alarm; zero
	// means the default of Class, negative never.
	SilentAfter time.Duration `json:"silentAfter,omitempty"`
	// Adopted is false for a device that appeared by itself and that nobody has
	// named yet. Its life-safety alarms are raised all the same.
	Adopted bool `json:"adopted"`
}

// SensorSource ties a sensor to the messages of one topic.
type SensorSource struct {
	// Broker is the broker's ID; "embedded" is the built-in one.
	Broker string `json:"broker"`
	// Family is the decoder: "zigbee2mqtt", "json".
	Family string `json:"family"`
	Topic  string `json:"topic"`
	// Fields maps our field names to paths in the payload, for family "json":
	// {"smoke": "data.alarm", "battery": "bat"}. A path is keys and indexes
	// joined by dots.
	Fields map[string]string `json:"fields,omitempty"`
}

// The device classes. Readings use the class's own name as the alarming field:
// a smoke detector reports "smoke".
const (
	ClassSmoke       = "smoke"
	ClassGas         = "gas"
	ClassWater       = "water"
	ClassSOS         = "sos"
	ClassManhole     = "manhole"
	ClassDoor        = "door"
	ClassMotion      = "motion"
	ClassTemperature = "temperature"
	ClassLevel       = "level"
	ClassOther       = "other"
)

// Classes lists the device classes.
func Classes() []string {
	return []string{ClassSmoke, ClassGas, ClassWater, ClassSOS, ClassManhole, ClassDoor, ClassMotion, ClassTemperature, ClassLevel, ClassOther}
}

// Value is one field of a reading: a bool, a float64 or a string.
type Value any

// Rule is one condition under which a sensor alarms.
type Rule struct {
	// Kind is the kind of alarm that it raises.
	Kind AlarmKind `json:"kind"`
	// Field is the reading's field: "smoke", "temperature".
	Field string `json:"field"`
	// Op is one of "eq", "ne", "gt", "ge", "lt", "le".
	Op    string `json:"op"`
	Value Value  `json:"value"`
	// Clear, for numbers, is the value at which the alarm ends again (a
	// deadband); nil means as soon as the condition is false.
	Clear *float64 `json:"clear,omitempty"`
}

// Report is what one message of one sensor says, decoded and judged. It is
// committed as a whole or not at all.
type Report struct {
	// Sensor is the sensor's ID. Where Unknown is set it is the proposed one.
	// Empty means the station itself: a broker is away.
	Sensor string
	// Unknown describes a device that is not in the registry yet. Adopted in it
	// means that it counts as it is, without anybody naming it: a bridge.
	Unknown *Sensor
	// Values are the decoded fields; empty for a pure liveness message.
	Values map[string]Value
	// Signals are the verdicts of the rules: which alarm conditions hold and
	// which do not. A kind that is not named is not known and stays as it is.
	Signals []Signal
	// Received is when the message arrived here.
	Received time.Time
	// DeviceTime is what the device says, zero when it says nothing.
	DeviceTime time.Time
	// Late marks what is known to be old: a backlog that was sent again.
	Late bool
	// Retained marks a broker's stored message: it tells a state, not an event.
	Retained bool
	// Duplicate is the MQTT DUP flag: the sender may have sent it before.
	Duplicate bool
	// Fingerprint names the transmission (client, packet identifier, topic,
	// payload), so that a duplicate can be recognised; zero when unknown.
	Fingerprint uint64
	// Live tells that the sensor was heard; a report made by a timer or by the
	// bridge's own availability message does not count as a sign of life.
	Live bool
}

// Signal is one alarm condition of one sensor, on or off.
type Signal struct {
	Kind   AlarmKind `json:"kind"`
	Active bool      `json:"active"`
	// Field and Value are what decided it.
	Field string `json:"field,omitempty"`
	Value Value  `json:"value,omitempty"`
}

// SensorState is what is known of a sensor now.
type SensorState struct {
	Sensor   string           `json:"sensor"`
	Node     NodeID           `json:"node,omitempty"`
	Values   map[string]Value `json:"values,omitempty"`
	LastSeen time.Time        `json:"lastSeen"`
	Offline  bool             `json:"offline"`
	// DeviceSkew is the device's clock minus ours at the last report that had
	// a device time.
	DeviceSkew time.Duration `json:"deviceSkew,omitempty"`
	// Seen are the fingerprints of the last transmissions that carried a signal,
	// eight bytes each, the newest last. It never leaves the store.
	Seen []byte `json:"seen,omitempty"`
}

// Broker is an MQTT 3.1.1 broker outside the program that sensors publish to.
// Its password lies apart, sealed.
type Broker struct {
	ID       string `json:"id"`
	URL      string `json:"url"` // mqtt://host:1883, mqtts://host:8883
	Username string `json:"username,omitempty"`
	// HasPassword tells that a password is kept; the password is never shown.
	HasPassword bool `json:"hasPassword,omitempty"`
	// Topics are the filters to subscribe to.
	Topics []string `json:"topics"`
}

// EmbeddedBroker is the ID of the built-in broker.
const EmbeddedBroker = "embedded"

// BrokerAccount lets devices into the built-in broker. Only a digest of its
// password is kept; the password is shown once, when the account is made.
type BrokerAccount struct {
	Username string `json:"username"`
	// Digest is the hexadecimal SHA-256 of the password, which is 128 random
	// bits and therefore needs no slow hash.
	Digest string `json:"digest,omitempty"`
	// Topics are the filters that the account may publish to; empty means all.
	Topics []string `json:"topics,omitempty"`
}

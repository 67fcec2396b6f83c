package station

import (
	"maps"
	"time"
)

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
	// Important marks a sensor whose alarms come before others of their severity.
	Important bool `json:"important,omitempty"`
	// Maker, Model and Firmware are what the device says of itself.
	Maker    string `json:"maker,omitempty"`
	Model    string `json:"model,omitempty"`
	Firmware string `json:"firmware,omitempty"`
	// Power decides, with Class, how long the sensor may be silent.
	Power Power `json:"power,omitempty"`
	// Bridge is the ID of the sensor that stands for the gateway it speaks
	// through. While that is offline this one is not reported as offline.
	Bridge string `json:"bridge,omitempty"`
	// Position is where it is on a plan.
	Position *Position `json:"position,omitempty"`
	// Service takes the sensor out of ordinary service for a limited time.
	Service *Service `json:"service,omitempty"`
	// Was are the sources of devices that this one has replaced, the last one
	// last. Its history is theirs.
	Was []SensorSource `json:"was,omitempty"`
}

// Power is where a device gets its power from.
type Power string

// The kinds of power. Empty is not known.
const (
	PowerMains   Power = "mains"
	PowerBattery Power = "battery"
	PowerLoRa    Power = "lora" // on a battery, and heard at its own interval
)

// Position is a point on a plan.
type Position struct {
	Plan string  `json:"plan"` // the plan's ID
	X    float64 `json:"x"`    // 0 is the left edge of the picture, 1 the right
	Y    float64 `json:"y"`    // 0 is the top edge, 1 the bottom
}

// Service says that a sensor is being worked on or tried out.
type Service struct {
	Mode  ServiceMode `json:"mode"`
	Since time.Time   `json:"since"`
	Until time.Time   `json:"until"`
	By    string      `json:"by"`   // account
	Name  string      `json:"name"` // as shown
	Why   string      `json:"why,omitempty"`
}

// ServiceView is a sensor's service, and what it has reported in it so far.
type ServiceView struct {
	Service *Service `json:"service" jsonschema:"nullable"`
	// Times is how often a condition began to hold, LastAt when it last said so.
	Times  int       `json:"times"`
	LastAt time.Time `json:"lastAt,omitzero"`
	// Standing is how many conditions hold now: when maintenance ends they are alarms.
	Standing int `json:"standing"`
}

// Current is the mode at now; empty in ordinary service, and of a nil Service. One
// from the future is from before the clock was set back, and over.
func (s *Service) Current(now time.Time) ServiceMode {
	if s == nil || !now.Before(s.Until) || s.Until.Sub(now) > MaxService {
		return ""
	}
	return s.Mode
}

// ServiceMode is how a sensor is out of ordinary service.
type ServiceMode string

// The modes of service.
const (
	// ServiceMaintenance raises no alarm; what it would have raised is kept as
	// suppressed (ISA-18.2: out of service).
	ServiceMaintenance ServiceMode = "maintenance"
	// ServiceTest raises alarms that are marked as a test and told to nobody
	// outside the station.
	ServiceTest ServiceMode = "test"
)

// People are those behind a sensor. They are kept apart from the sensor, leave
// the node only for those who may see them, and can be erased.
type People struct {
	Sensor string   `json:"sensor"`
	Flat   string   `json:"flat,omitempty"`
	List   []Person `json:"list"`
	// Masked tells that names and telephones were made unreadable for whoever
	// asked. It is never kept.
	Masked bool `json:"masked,omitempty"`
}

// Person is one of them, in the order in which they are rung.
type Person struct {
	// Relation is "self", "child", "keyholder", "neighbour" or a word of its own.
	Relation string `json:"relation"`
	Name     string `json:"name"`
	Phone    string `json:"phone"`
	Age      int    `json:"age,omitempty"`
	Note     string `json:"note,omitempty"`
}

// SensorSource ties a sensor to the messages of one topic.
type SensorSource struct {
	// Broker is the broker's ID; "embedded" is the built-in one.
	Broker string `json:"broker"`
	// Family is the decoder: "zigbee2mqtt", "json".
	Family string `json:"family"`
	Topic  string `json:"topic"`
	// Device is the sender's name within its family, where one topic carries
	// several: an EUI, "group/node/device". Empty means that Topic tells all.
	Device string `json:"device,omitempty"`
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

	// ID names the rule within its sensor or template; empty for a default rule.
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
	// Expr is the advanced box: an expression over the fields. It stands in
	// place of Field, Op and Value.
	Expr string `json:"expr,omitempty"`
	// Version grows with every change; every alarm names the one that raised it.
	Version int `json:"version,omitempty"`
	// Disabled keeps a rule without heeding it.
	Disabled bool `json:"disabled,omitempty"`
	Timing
}

// Timing is when a condition becomes an alarm and when it ends. The zero value
// is at once. Life-safety kinds are always at once, whatever stands here.
type Timing struct {
	// For is how long the condition must hold (on-delay); Off how long it must
	// have ended (off-delay).
	For time.Duration `json:"for,omitempty"`
	Off time.Duration `json:"off,omitempty"`
	// Count of occurrences within Within are needed; zero and one are the first.
	Count  int           `json:"count,omitempty"`
	Within time.Duration `json:"within,omitempty"`
	// Severity replaces that of the kind; empty keeps it.
	Severity Severity `json:"severity,omitempty"`
	// Schedule is the ID of the arming schedule outside which the condition
	// raises nothing; empty is always.
	Schedule string `json:"schedule,omitempty"`
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
	// Waited marks what a broker has kept while nobody took it, so long that it may
	// be old news. It tells the state as it was last.
	Waited bool
	// Retained marks a broker's stored message: it tells a state, not an event.
	Retained bool
	// Duplicate is the MQTT DUP flag: the sender may have sent it before.
	Duplicate bool
	// Fingerprint names the transmission (client, packet identifier, topic,
	// payload), so that a duplicate can be recognised; zero when unknown.
	Fingerprint uint64
	// Link and Packet are the place of the transmission in its sender's window:
	// the connection's own name (broker and client) and the packet identifier.
	// A place is used again only after what was in it was acknowledged.
	Link   string
	Packet uint16
	// Part counts the reports of one transmission, from zero: a message may speak
	// of several sensors, or several times of one. They are committed in this
	// order, so that who knows the last part of a transmission that was committed
	// knows that those before it were, or could be done without.
	Part int
	// About is what the device says of itself where that is not what is
	// registered; nil when there is nothing new.
	About *About
	// Interval is how often the sensor turned out to be heard; zero is as before.
	Interval time.Duration
	// Live tells that the sensor was heard; a report made by a timer or by the
	// bridge's own availability message does not count as a sign of life.
	Live bool
}

// About is what a device says of itself. Empty fields say nothing.
type About struct {
	Maker, Model, Firmware string
	// Power and Bridge are taken where nothing is registered yet: what a person
	// has entered is not overruled by a device.
	Power  Power
	Bridge string // the ID of the sensor that stands for its bridge
}

// Changes tells whether it is news about s, and gives s with it.
func (b About) Changes(s Sensor) (Sensor, bool) {
	was := [...]string{s.Maker, s.Model, s.Firmware, string(s.Power), s.Bridge}
	for to, said := range map[*string]string{&s.Maker: b.Maker, &s.Model: b.Model, &s.Firmware: b.Firmware} {
		if said != "" {
			*to = said
		}
	}
	if s.Power == "" {
		s.Power = b.Power
	}
	if s.Bridge == "" && b.Bridge != s.ID {
		s.Bridge = b.Bridge
	}
	return s, was != [...]string{s.Maker, s.Model, s.Firmware, string(s.Power), s.Bridge}
}

// Signal is one alarm condition of one sensor, on or off.
type Signal struct {
	Kind   AlarmKind `json:"kind"`
	Active bool      `json:"active"`
	// Field and Value are what decided it.
	Field string `json:"field,omitempty"`
	Value Value  `json:"value,omitempty"`
	// Op, Limit or Expr complete the reason: "temperature 61 > 60".
	Op    string `json:"op,omitempty"`
	Limit Value  `json:"limit,omitempty"`
	Expr  string `json:"expr,omitempty"`
	// Rule and Version name the rule that judged.
	Rule    string `json:"rule,omitempty"`
	Version int    `json:"version,omitempty"`
	// Timing is the rule's.
	Timing Timing `json:"timing,omitzero"`
}

// SensorState is what is known of a sensor now.
type SensorState struct {
	Sensor   string           `json:"sensor"`
	Node     NodeID           `json:"node,omitempty"`
	Values   map[string]Value `json:"values,omitempty"`
	LastSeen time.Time        `json:"lastSeen"`
	// Heard is LastSeen on the node's own line of time, which goes on evenly
	// whatever the clock is set to; zero where it is not known.
	Heard   time.Duration `json:"heard,omitempty"`
	Offline bool          `json:"offline"`
	// DeviceSkew is the device's clock minus ours at the last report that had
	// a device time.
	DeviceSkew time.Duration `json:"deviceSkew,omitempty"`
	// Interval is how often it turned out to be heard; zero is not known.
	Interval time.Duration `json:"interval,omitempty"`
	// VitalsAt is when the values of the device's own health came, each by itself:
	// a battery may have been told of yesterday.
	VitalsAt map[string]time.Time `json:"vitalsAt,omitempty"`
	// Seen are the fingerprints of the last transmissions that carried a signal,
	// eight bytes each, the newest last. It never leaves the store.
	Seen []byte `json:"seen,omitempty"`
}

// Vital tells whether a field is about the device's own health: its power and how
// well it is heard.
func Vital(field string) bool {
	switch field {
	case "battery", "battery_low", "voltage", "linkquality", "rssi", "snr", "signal":
		return true
	}
	return false
}

// NoteVitals notes that values came at a time.
func (s *SensorState) NoteVitals(values map[string]Value, at time.Time) {
	noted := false
	for field := range values {
		if !Vital(field) {
			continue
		}
		if !noted {
			fresh := make(map[string]time.Time, len(s.VitalsAt)+1)
			maps.Copy(fresh, s.VitalsAt)
			s.VitalsAt, noted = fresh, true
		}
		s.VitalsAt[field] = at
	}
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
	// Families are the payload families that listen on this broker; it is also
	// subscribed to their topics. Empty means every family whose messages can come
	// on Topics. A broker with the ID of the built-in one has only this.
	Families []string `json:"families,omitempty"`
}

// BrokerView is a broker and how it is.
type BrokerView struct {
	Broker
	Health *BrokerHealth `json:"health,omitempty"`
}

// BrokerHealth is how a broker is.
type BrokerHealth struct {
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since,omitzero"`
	// Version is what the broker says that it is; empty is not told.
	Version  string `json:"version,omitempty"`
	Received uint64 `json:"received"` // messages
	Dropped  uint64 `json:"dropped"`  // messages lost here
	// Problem is what is wrong, Warnings why alarms would be lost at the broker
	// while the station is down, as far as that can be found out.
	Problem  *Problem   `json:"problem,omitempty"`
	Warnings []*Problem `json:"warnings,omitempty"`
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
	// Subscribe are the filters that the account may subscribe to; empty means
	// none where Topics are named, and all where they are not.
	Subscribe []string `json:"subscribe,omitempty"`
	// Sensor is the ID of the sensor that the account was made for; empty for an
	// account of its own. Made is when.
	Sensor string    `json:"sensor,omitempty"`
	Made   time.Time `json:"made,omitzero"`
}

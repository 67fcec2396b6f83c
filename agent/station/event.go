package station

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Lane is the queue in which an event travels upwards. All events about one
// subject stay in one lane, so that their order holds.
type Lane string

// The lanes, in the order in which they are served.
const (
	LaneUrgent Lane = "urgent" // alarms and what happens to them; never dropped
	LaneNormal Lane = "normal" // state of devices, receipts, accounts; never dropped
	LaneBulk   Lane = "bulk"   // readings; the oldest are dropped at the cap, and that is said
)

// Lanes lists every lane, most urgent first.
func Lanes() []Lane { return []Lane{LaneUrgent, LaneNormal, LaneBulk} }

// Event is one row of the journal: something that happened, written in the same
// transaction as the state that it changed. An event about a record carries the
// whole record after the change in Data, so that whoever receives the last one
// has the state.
type Event struct {
	// Seq is the place in the journal of the node that holds this copy; on the
	// node where it happened it equals Origin.Seq. The store sets it.
	Seq uint64 `json:"seq"`
	// Origin is the event's identity. The store sets it where it is empty.
	Origin Origin `json:"origin"`
	// ID is a UUIDv7, for systems that know events by one word (CloudEvents).
	ID string `json:"id"`
	// Type is the CloudEvents type, for example "cityops.alarm.raised.v1".
	Type string `json:"type"`
	// Subject is what it is about: "alarm/ID", "camera/ID", "sensor/ID".
	Subject string `json:"subject"`
	Lane    Lane   `json:"lane"`
	// Time is by the clock of the node where it happened; Received, at a node above
	// it, by that one's own, when the event was stored there.
	Time     time.Time `json:"time"`
	Received time.Time `json:"received,omitzero"`
	// Actor is who did it; empty for what devices and the program itself did.
	Actor string          `json:"actor,omitempty"`
	Data  json.RawMessage `json:"data,omitempty"`
}

// The types of event of version 1. Data is the record named behind each.
const (
	EventAlarmRaised      = "cityops.alarm.raised.v1"      // Alarm
	EventAlarmRepeated    = "cityops.alarm.repeated.v1"    // Alarm
	EventAlarmAnswered    = "cityops.alarm.answered.v1"    // Alarm
	EventAlarmReturned    = "cityops.alarm.returned.v1"    // Alarm: the sensor is normal again, the alarm still waits for an answer
	EventAlarmCleared     = "cityops.alarm.cleared.v1"     // Alarm
	EventAlarmChanged     = "cityops.alarm.changed.v1"     // Alarm: shelved, suppressed, taken, a note, part of an incident
	EventResponse         = "cityops.alarm.response.v1"    // Response, with its calls and tellings
	EventClaim            = "cityops.alarm.claim.v1"       // Claim: which seat of this centre deals with a station's alarm
	EventInstruction      = "cityops.station.order.v1"     // Instruction: to a station, by an officer of this centre
	EventBroadcast        = "cityops.broadcast.v1"         // Broadcast: put up, or read by somebody
	EventAsked            = "cityops.alarm.asked.v1"       // Asked: of a station, by an officer of this centre
	EventFlood            = "cityops.alarm.flood.v1"       // Flood: many alarms at once, told upwards as one
	EventModeChanged      = "cityops.mode.changed.v1"      // the node's work mode and arming
	EventSetupChanged     = "cityops.setup.changed.v1"     // contacts, channels, cards, plans, schedules, rule templates
	EventShiftNote        = "cityops.shift.note.v1"        // ShiftNote
	EventAlarmReceived    = "cityops.alarm.received.v1"    // Alarm: the parent has it; parents pass it over
	EventClipReady        = "cityops.clip.ready.v1"        // Clip
	EventClipFailed       = "cityops.clip.failed.v1"       // Clip
	EventClipRemoved      = "cityops.clip.removed.v1"      // Clip; each node removes its own file
	EventEvidenceHeld     = "cityops.evidence.held.v1"     // Hold
	EventEvidenceReleased = "cityops.evidence.released.v1" // Hold
	EventReading          = "cityops.reading.v1"           // SensorState
	EventSensorChanged    = "cityops.sensor.changed.v1"    // Sensor
	EventSensorRemoved    = "cityops.sensor.removed.v1"    // Sensor
	EventCameraChanged    = "cityops.camera.changed.v1"    // Camera
	EventCameraRemoved    = "cityops.camera.removed.v1"    // Camera
	EventCameraState      = "cityops.camera.state.v1"      // CameraState
	EventNodeState        = "cityops.node.state.v1"        // Node
	EventAccountChanged   = "cityops.account.changed.v1"   // Audit
	EventLoginSucceeded   = "cityops.account.login.v1"     // Audit
	EventLoginFailed      = "cityops.account.refused.v1"   // Audit
	EventReadingsDropped  = "cityops.readings.dropped.v1"  // Dropped
	EventStoreRestored    = "cityops.store.restored.v1"    // Notice
)

// Dropped counts what was given up in the bulk lane, and why.
type Dropped struct {
	Count  uint64    `json:"count"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Reason string    `json:"reason"`
	// FromSeq and ToSeq are the first and the last that the journal gave up, by
	// its sequence, and Targets those who had not got all of them.
	FromSeq uint64 `json:"fromSeq,omitempty"`
	ToSeq   uint64 `json:"toSeq,omitempty"`
	Targets string `json:"targets,omitempty"`
}

// Plus is both together.
func (d Dropped) Plus(o Dropped) Dropped {
	switch {
	case o.Count == 0:
		return d
	case d.Count == 0:
		return o
	}
	d.Count += o.Count
	if o.From.Before(d.From) {
		d.From = o.From
	}
	if o.To.After(d.To) {
		d.To = o.To
	}
	d.FromSeq, d.ToSeq = min(d.FromSeq, o.FromSeq), max(d.ToSeq, o.ToSeq)
	for t := range strings.SplitSeq(o.Targets, " ") {
		if t != "" && !slices.Contains(strings.Fields(d.Targets), t) {
			d.Targets = strings.TrimSpace(d.Targets + " " + t)
		}
	}
	if d.Reason != o.Reason && !strings.Contains(d.Reason, o.Reason) {
		d.Reason += " and " + o.Reason
	}
	return d
}

// Notice is something that a person must be told.
type Notice struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

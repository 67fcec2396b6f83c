package station

import (
	"encoding/json"
	"time"
)

// Command is an order to the node, from the console, the centre or the command
// line. Whoever sends it twice with one ID gets the first receipt back.
type Command struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	// Node is for whom it is, where that is not who receives it: a centre passes it
	// down to what lies below it.
	Node NodeID `json:"node,omitempty"`
	// Subject is what it is about, for example the alarm's ID.
	Subject string    `json:"subject,omitempty"`
	Actor   Actor     `json:"actor"`
	Issued  time.Time `json:"issued"`
	// Expires is when it must no longer be carried out; zero means never.
	Expires time.Time       `json:"expires,omitzero"`
	Body    json.RawMessage `json:"body,omitempty"`
}

// Receipt says what became of a command.
type Receipt struct {
	Command string          `json:"command"`
	At      time.Time       `json:"at"`
	Problem *Problem        `json:"problem,omitempty"` // nil on success
	Result  json.RawMessage `json:"result,omitempty"`
}

// The types of command.
const (
	CommandAnswerAlarm     = "alarm.answer"     // Subject alarm; body AnswerOrder
	CommandPutSensor       = "sensor.put"       // body Sensor
	CommandRemoveSensor    = "sensor.remove"    // Subject sensor
	CommandPutCamera       = "camera.put"       // body CameraOrder
	CommandRemoveCamera    = "camera.remove"    // Subject camera
	CommandPutBroker       = "broker.put"       // body BrokerOrder
	CommandRemoveBroker    = "broker.remove"    // Subject broker
	CommandPutDevice       = "device.put"       // Subject user name; result DeviceCredential
	CommandRemoveDevice    = "device.remove"    // Subject user name
	CommandRemoveClip      = "clip.remove"      // Subject clip
	CommandHoldEvidence    = "evidence.hold"    // Subject evidence; body HoldOrder; result Hold
	CommandReleaseEvidence = "evidence.release" // Subject evidence; body ReleaseOrder; result Hold
	CommandPutAccount      = "account.put"      // body AccountOrder
	CommandRemoveAccount   = "account.remove"   // Subject account

	CommandOpenJoining    = "joining.open"      // body JoiningOrder
	CommandCloseJoining   = "joining.close"     //
	CommandAdoptSensor    = "sensor.adopt"      // Subject sensor; body AdoptionOrder
	CommandReplaceSensor  = "sensor.replace"    // Subject sensor; body ReplacementOrder
	CommandServiceSensor  = "sensor.service"    // Subject sensor; body ServiceOrder
	CommandEndService     = "sensor.in-service" // Subject sensor
	CommandPutCredential  = "sensor.credential" // Subject sensor; result DeviceCredential
	CommandImportSensors  = "sensors.import"    // body ImportOrder; result ImportReport
	CommandPutPeople      = "people.put"        // Subject sensor; body People
	CommandRemovePeople   = "people.remove"     // Subject sensor
	CommandPutPlan        = "plan.put"          // Subject plan; body Plan
	CommandRemovePlan     = "plan.remove"       // Subject plan
	CommandPutPicture     = "plan.picture"      // Subject plan; body Picture, whose bytes are kept already
	CommandPutCard        = "card.put"          // Subject kind; body Card
	CommandResetCard      = "card.reset"        // Subject kind
	CommandWriteShiftNote = "shift.note"        // body ShiftNoteOrder
	CommandArmDisplay     = "display.arm"       // body DisplayOrder; result DisplayLink
	CommandDisarmDisplay  = "display.disarm"    // Subject display

	CommandPutTemplate     = "rule-template.put"    // body RuleTemplate
	CommandRemoveTemplate  = "rule-template.remove" // Subject template
	CommandPushTemplate    = "rule-template.push"   // Subject template; body PushOrder; result []TemplatePush
	CommandPutSite         = "site.put"             // Subject node; body Site
	CommandRemoveSite      = "site.remove"          // Subject node: a station that is gone for good is forgotten
	CommandClaim           = "centre.claim"         // Subject alarm of a station; body TakeOrder; result Claim
	CommandUnclaim         = "centre.unclaim"       // Subject alarm of a station
	CommandInstruct        = "station.instruct"     // body InstructOrder; result []Instruction
	CommandPutParentPolicy = "parent-policy.put"    // body ParentPolicy
	CommandRecordClip      = "clip.record"          // Subject camera; body RecordOrder; result Clip
	CommandPutBroadcast    = "broadcast.put"        // Subject broadcast; body Broadcast
	CommandSeenBroadcast   = "broadcast.seen"       // Subject broadcast

	CommandCloseNode = "node.close" // body CloseOrder: this station closes until then
	CommandOpenNode  = "node.open"  // this station is open again

	CommandTakeTemplate  = "rule-template.take" // Subject the parent's template; body TakeTemplateOrder; from the parent
	CommandPutRulePolicy = "rule-policy.put"    // body RulePolicy
)

// The types of command about alarms and what is watched.
const (
	CommandShelveAlarm    = "alarm.shelve"    // Subject alarm; body ShelfOrder
	CommandUnshelveAlarm  = "alarm.unshelve"  // Subject alarm
	CommandTakeAlarm      = "alarm.take"      // Subject alarm; body TakeOrder
	CommandReleaseAlarm   = "alarm.release"   // Subject alarm
	CommandNoteAlarm      = "alarm.note"      // Subject alarm; body NoteOrder
	CommandSeenAlarm      = "alarm.seen"      // Subject alarm; body SeenOrder or none; from the parent: somebody there looks at it
	CommandTakeOverAlarm  = "alarm.takeover"  // Subject alarm; body TakeOverOrder or none; from the parent
	CommandAskSeen        = "centre.seen"     // Subject alarm of a station; body AskOrder; result Asked
	CommandAskTakeOver    = "centre.takeover" // Subject alarm of a station; body AskOrder; result Asked
	CommandPutMode        = "mode.put"        // body ModeOrder
	CommandPutSchedule    = "schedule.put"    // body Schedule
	CommandRemoveSchedule = "schedule.remove" // Subject schedule
)

// The types of command about recorders, and about many cameras at once.
const (
	CommandPutRecorder    = "recorder.put"    // body RecorderOrder
	CommandRemoveRecorder = "recorder.remove" // Subject recorder; body RecorderRemoval or none
	CommandImportRecorder = "recorder.import" // Subject recorder; body RecorderImport; result RecorderImported
	CommandImportCameras  = "cameras.import"  // body ImportOrder; result ImportReport
)

// ShelfOrder is the body of alarm.shelve.
type ShelfOrder struct {
	Minutes int    `json:"minutes"` // 1 to 1440
	Why     string `json:"why"`
}

// TakeOrder is the body of alarm.take.
type TakeOrder struct {
	Seat string `json:"seat,omitempty"`
}

// NoteOrder is the body of alarm.note.
type NoteOrder struct {
	Text string `json:"text"`
}

// SeenOrder is the body of alarm.seen. By is the officer's account at the parent,
// for the audit; the name to be shown is the command's Actor.Name.
type SeenOrder struct {
	By   string `json:"by,omitempty"`
	Note string `json:"note,omitempty"`
}

// TakeOverOrder is the body of alarm.takeover: Back hands the alarm back.
type TakeOverOrder struct {
	Back bool   `json:"back,omitempty"`
	By   string `json:"by,omitempty"`
	Note string `json:"note,omitempty"`
}

// AskOrder is the body of centre.seen and centre.takeover.
type AskOrder struct {
	// Back hands an alarm back; of takeover only.
	Back bool   `json:"back,omitempty"`
	Note string `json:"note,omitempty"` // for the station to read, at most 500 characters
}

// AnswersOrder answers several alarms at once.
type AnswersOrder struct {
	IDs  []string   `json:"ids"`
	Kind AnswerKind `json:"kind"`
	Note string     `json:"note,omitempty"`
}

// AnswerOrder is the body of alarm.answer.
type AnswerOrder struct {
	Kind AnswerKind `json:"kind"`
	Note string     `json:"note,omitempty"`
}

// CameraOrder is the body of camera.put. An URL with credentials is taken
// apart; a password equal to SecretMask keeps the one that is kept.
type CameraOrder struct {
	Camera
	Password Secret `json:"password,omitempty"`
}

// BrokerOrder is the body of broker.put.
type BrokerOrder struct {
	Broker
	Password Secret `json:"password,omitempty"`
}

// DeviceCredential is a new account of the built-in broker; the password is
// shown this once.
type DeviceCredential struct {
	Username string `json:"username"`
	Password string `json:"password"`
	// Publish and Subscribe are the topic filters that it may use; empty means
	// all.
	Publish   []string `json:"publish,omitempty"`
	Subscribe []string `json:"subscribe,omitempty"`
}

// AccountOrder is the body of account.put.
type AccountOrder struct {
	Account  string `json:"account"`
	Name     string `json:"name"`
	Role     string `json:"role"`
	Password Secret `json:"password,omitempty"`
	Disabled bool   `json:"disabled,omitempty"`
}

// Audit is one row of the record of who did what. It is written in the same
// transaction as the change and is never deleted while it must be kept.
type Audit struct {
	Seq     uint64    `json:"seq"`
	At      time.Time `json:"at"`
	Actor   Actor     `json:"actor"`
	Action  string    `json:"action"`  // the command's type, "login", "claim"
	Subject string    `json:"subject"` // what it was done to
	// Result is "ok" or the problem's code.
	Result string `json:"result"`
	Detail string `json:"detail,omitempty"`
	// Chain is the hexadecimal SHA-256 over the row before and this one.
	Chain string `json:"chain,omitempty"`
}

package onvif

import (
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/devices/payload"
)

// FamilyName stands for broker and family in the source of a sensor that a camera
// is.
const FamilyName = "onvif"

// The fields of what cameras detect, beside station.ClassMotion and
// payload.FieldTamper.
const (
	FieldIntrusion   = "intrusion"    // somebody is in a field that was drawn
	FieldLineCrossed = "line_crossed" // a moment
	FieldPerson      = "person"
	FieldVehicle     = "vehicle"
	FieldNoise       = "noise"
	FieldSignalLost  = "signal_lost" // of a recorder's channel
	FieldDark        = "image_dark"
	FieldInput       = "input" // a contact is wired to the camera, or to the recorder
	FieldStorage     = "storage_fault"
)

// detection is how a topic is read: which field it is, and which items say yes.
type detection struct {
	topic  string // how it begins, without prefixes
	field  string
	items  []string
	moment bool // it tells of a moment and not of a state
}

// detections are the topics of the ONVIF event catalogue that a station has use
// for, and those of makers that are widespread.
func detections() []detection {
	state := []string{"State", "IsMotion", "IsTamper", "IsInside", "LogicalState", "IsSoundDetected", "isSoundDetected", "Failed", "Value", "Status"}
	return []detection{
		{"VideoSource/MotionAlarm", station.ClassMotion, state, false},
		{"RuleEngine/CellMotionDetector/Motion", station.ClassMotion, state, false},
		{"RuleEngine/MotionRegionDetector/Motion", station.ClassMotion, state, false},
		{"VideoAnalytics/Motion", station.ClassMotion, state, false},
		{"VideoSource/GlobalSceneChange", payload.FieldTamper, state, false},
		{"RuleEngine/TamperDetector/Tamper", payload.FieldTamper, state, false},
		{"VideoSource/ImageTooDark", FieldDark, state, false},
		{"VideoSource/SignalLoss", FieldSignalLost, state, false},
		{"RuleEngine/FieldDetector/ObjectsInside", FieldIntrusion, state, false},
		{"RuleEngine/FieldDetector/ObjectIsInside", FieldIntrusion, state, false},
		{"RuleEngine/LineDetector/Crossed", FieldLineCrossed, nil, true},
		{"RuleEngine/MyRuleDetector/PeopleDetect", FieldPerson, state, false},
		{"RuleEngine/MyRuleDetector/VehicleDetect", FieldVehicle, state, false},
		{"AudioAnalytics/Audio/DetectedSound", FieldNoise, state, false},
		{"Device/Trigger/DigitalInput", FieldInput, state, false},
		{"Device/HardwareFailure/StorageFailure", FieldStorage, state, false},
	}
}

// plainTopic is a topic without the prefixes of its namespaces: "RuleEngine/…".
func plainTopic(topic string) string {
	parts := strings.Split(strings.TrimSpace(topic), "/")
	for i, p := range parts {
		if _, local, found := strings.Cut(p, ":"); found {
			parts[i] = local
		}
	}
	return strings.Join(parts, "/")
}

// read makes a reading of a notification: its device behind the camera ("" is the
// camera itself), and false where there is none in it.
func (n notification) read() (behind string, r payload.Reading, ok bool) {
	topic := plainTopic(n.Topic)
	for _, d := range detections() {
		if topic != d.topic && !strings.HasPrefix(topic, d.topic+"/") {
			continue
		}
		if n.Message.Operation == "Deleted" {
			return "", r, false // the rule is gone, and what it said no longer stands
		}
		on := true
		if !d.moment {
			text, found := n.Message.Data.value(d.items...)
			if on, ok = truth(text); !found || !ok {
				return "", r, false
			}
		} else if n.Message.Operation == "Initialized" {
			return "", r, false // a moment of before is no state
		}
		r.Values = map[string]station.Value{d.field: on}
		r.Cached = n.Message.Operation == "Initialized"
		if d.moment {
			r.Events = []string{d.field}
		}
		if d.field == FieldInput {
			behind = "input"
			if token, found := n.Message.Source.value("InputToken", "Source", "Token"); found && token != "" {
				behind = "input/" + plainText(token)
			}
			r.Class = station.ClassOther
		} else {
			r.Class = station.ClassMotion
		}
		if at, err := time.Parse(time.RFC3339Nano, n.Message.At); err == nil {
			r.DeviceTime = at
		}
		return behind, r, true
	}
	return "", r, false
}

func truth(text string) (on, ok bool) {
	switch strings.ToLower(text) {
	case "true", "1", "on", "active", "high":
		return true, true
	case "false", "0", "off", "inactive", "low":
		return false, true
	}
	return false, false
}

// origin are the names by which a notification tells which picture it is about.
func (n notification) origin() []string {
	var out []string
	for _, list := range []items{n.Message.Source, n.Message.Key} {
		for _, i := range list.List[:min(len(list.List), 16)] {
			switch strings.ToLower(i.Name) {
			case "videosourceconfigurationtoken", "videosourcetoken", "source", "videosource", "videosourceconfiguration":
				out = append(out, strings.TrimSpace(i.Value))
			}
		}
	}
	return out
}

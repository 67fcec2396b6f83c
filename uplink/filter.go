package uplink

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"stationd/agent/station"
)

// Filter tells which events a target gets. What is left out passes everything.
// Whoever asks for kinds or for a severity gets alarms alone: nothing else has
// them.
type Filter struct {
	// Lanes are those that are served: urgent, normal, bulk. A lane that is not
	// served keeps nothing waiting for this target.
	Lanes []station.Lane `yaml:"lanes"`
	// Types are event types; one that ends in '*' means all that begin so, for
	// example "cityops.alarm.*".
	Types []string `yaml:"types"`
	// Kinds are kinds of alarms, for example smoke.
	Kinds []station.AlarmKind `yaml:"kinds"`
	// Severity is the least of an alarm: minor, major or critical.
	Severity station.Severity `yaml:"severity"`
}

// lanes are the served ones, most urgent first.
func (f Filter) lanes() []station.Lane {
	if len(f.Lanes) == 0 {
		return station.Lanes()
	}
	return slices.DeleteFunc(station.Lanes(), func(l station.Lane) bool { return !slices.Contains(f.Lanes, l) })
}

// open tells whether every event of a served lane passes.
func (f Filter) open() bool { return len(f.Types) == 0 && len(f.Kinds) == 0 && f.Severity == "" }

// Pass tells whether an event goes to the target.
func (f Filter) Pass(ev station.Event) bool {
	if len(f.Lanes) > 0 && !slices.Contains(f.Lanes, ev.Lane) || len(f.Types) > 0 && !slices.ContainsFunc(f.Types, func(t string) bool { return matches(t, ev.Type) }) {
		return false
	}
	if len(f.Kinds) == 0 && f.Severity == "" {
		return true
	}
	var alarm struct {
		Kind     station.AlarmKind `json:"kind"`
		Severity station.Severity  `json:"severity"`
	}
	if !strings.HasPrefix(ev.Type, "cityops.alarm.") || json.Unmarshal(ev.Data, &alarm) != nil || alarm.Kind == "" {
		return false
	}
	return (len(f.Kinds) == 0 || slices.Contains(f.Kinds, alarm.Kind)) && (f.Severity == "" || weight(alarm.Severity) >= weight(f.Severity))
}

func matches(pattern, eventType string) bool {
	if prefix, open := strings.CutSuffix(pattern, "*"); open {
		return strings.HasPrefix(eventType, prefix)
	}
	return pattern == eventType
}

func weight(s station.Severity) int {
	return slices.Index([]station.Severity{station.SeverityMinor, station.SeverityMajor, station.SeverityCritical}, s)
}

// Validate names every fault.
func (f Filter) Validate() error {
	var faults []error
	fault := func(place, hint, format string, args ...any) {
		faults = append(faults, station.Errorf(400, "config.invalid", hint, format, args...).At(place))
	}
	for _, l := range f.Lanes {
		if !slices.Contains(station.Lanes(), l) {
			fault("lanes", "write urgent, normal or bulk", "there is no lane %q", string(l))
		}
	}
	for _, t := range f.Types {
		if t == "" || strings.Contains(strings.TrimSuffix(t, "*"), "*") {
			fault("types", "write an event type, or its beginning and '*'", "%q is no event type", t)
		}
	}
	for _, k := range f.Kinds {
		if k == "" {
			fault("kinds", "write a kind such as smoke", "a kind is empty")
		}
	}
	if f.Severity != "" && weight(f.Severity) < 0 {
		fault("severity", "write minor, major or critical", "there is no severity %q", string(f.Severity))
	}
	return errors.Join(faults...)
}

package payload

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"stationd/agent/station"
)

// FieldProposal is one value of a received sample, for the form in which a person
// maps it: where it is and what it most likely means.
type FieldProposal struct {
	// Path leads to the value, as SensorSource.Fields has it.
	Path string `json:"path"`
	// Value is what stands there now.
	Value station.Value `json:"value"`
	// Field is our name for it; empty where nothing speaks for one. FieldTime is
	// the device's own time. No field is proposed twice.
	Field string `json:"field,omitempty"`
	// Class is the device class that the field speaks for, if any.
	Class string `json:"class,omitempty"`
}

// maxProposals bounds how many values of a sample are shown.
const maxProposals = 200

// Propose lists the values of a payload, be it JSON, pairs of names and values, or
// one bare value, with a proposal for what each is. It is empty for what cannot be
// read. What it proposes is a guess, to be looked at by a person.
func Propose(payload []byte) []FieldProposal {
	if len(payload) > maxMappedPayload || len(strings.TrimSpace(string(payload))) == 0 {
		return nil
	}
	root, err := readAny(payload)
	if err != nil {
		return nil
	}
	var all []FieldProposal
	var walk func(v any, path []string)
	walk = func(v any, path []string) {
		if len(all) >= maxProposals {
			return
		}
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				if key != "" {
					walk(v[key], append(slices.Clone(path), key))
				}
			}
		case []any:
			for i, item := range v[:min(len(v), 16)] {
				walk(item, append(slices.Clone(path), strconv.Itoa(i)))
			}
		default:
			if value, ok := scalar(v); ok && utf8.ValidString(strings.Join(path, "")) {
				all = append(all, FieldProposal{Path: joinPath(path), Value: value, Field: guessField(path, v)})
			}
		}
	}
	walk(root, nil)
	taken := map[string]bool{}
	for i := range all {
		p := &all[i]
		if taken[p.Field] {
			p.Field = ""
		}
		if p.Field != "" {
			taken[p.Field] = true
			p.Class = classOf(map[string]station.Value{p.Field: p.Value})
		}
	}
	return all
}

// joinPath is the reverse of splitPath.
func joinPath(steps []string) string {
	escaped := make([]string, len(steps))
	for i, step := range steps {
		escaped[i] = strings.NewReplacer(`\`, `\\`, ".", `\.`).Replace(step)
	}
	return strings.Join(escaped, ".")
}

// guessField looks at the last steps of the path that are words, and at whether
// the value could be what they say.
func guessField(path []string, v any) string {
	text := textOf(v)
	for i := len(path) - 1; i >= 0 && i >= len(path)-3; i-- {
		name := snake(path[i])
		if _, err := strconv.Atoi(name); err == nil || name == "value" || name == "val" || name == "v" || name == "state" || name == "status" || name == "alarm" {
			continue // the step above says of what
		}
		if field := guessWord(name, v, text); field != "" {
			return field
		}
		break
	}
	return ""
}

func guessWord(name string, v any, text string) string {
	value, _ := scalar(v)
	number, isNumber := numeric(v)
	if s, isText := v.(string); isText {
		number, isNumber = quantity(s)
	}
	switch name {
	case "ts", "time", "timestamp", "date", "datetime", "updated_at", "received_at", "last_seen", "event_time", "report_time":
		if _, ok := instant(v); ok {
			return FieldTime
		}
		return ""
	case "temperature", "temp", "tmp", "t", "wd", "温度":
		if isNumber && number > -60 && number < 200 {
			return station.ClassTemperature
		}
	case "humidity", "hum", "rh", "sd", "湿度":
		if isNumber && number >= 0 && number <= 100 {
			return FieldHumidity
		}
	case "battery", "bat", "battery_level", "battery_percentage", "battery_percent", "soc", "电量":
		if isNumber && number >= 0 && number <= 100 {
			return FieldBattery
		}
	case "battery_low", "low_battery", "lowbat", "low_bat":
		return FieldBatteryLow
	case "rssi", "linkquality", "lqi", "signal", "csq":
		if isNumber {
			return FieldLink
		}
	case "level", "water_level", "distance", "liquid_level":
		if isNumber {
			return station.ClassLevel
		}
	case "water", "water_leak", "leak", "flood":
		if _, isBool := truth(value).(bool); isBool {
			return station.ClassWater
		}
	case "action", "button", "click", "key":
		if text != "" && !isNumber {
			return FieldAction
		}
	}
	field, _ := fieldOfWords(name)
	if field == "" || !yesOrNo(field) {
		return ""
	}
	if _, isBool := truth(value).(bool); isBool {
		return field
	}
	return ""
}

// readAny reads a payload of unknown form: JSON, or pairs, or one bare value.
func readAny(payload []byte) (any, error) {
	root, err := parse(payload)
	if err == nil {
		return root, nil
	}
	text := strings.TrimSpace(string(payload))
	if text == "" || text[0] == '{' || text[0] == '[' || text[0] == '"' || !utf8.ValidString(text) {
		return nil, err // it was meant to be JSON, or is binary
	}
	if found, ok := pairs(payload); ok {
		return found, nil
	}
	if len(text) > MaxText {
		return nil, err
	}
	if isNumber(text) {
		return json.Number(text), nil
	}
	return text, nil
}

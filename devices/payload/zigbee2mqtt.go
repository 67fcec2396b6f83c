package payload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"stationd/agent/station"
)

// Zigbee2MQTT decodes what Zigbee2MQTT publishes below its base topic. The
// device's name is the rest of the topic and may itself contain slashes.
//
//	<base>/<name>               a reading, one JSON object
//	<base>/<name>/availability  whether the bridge can reach the device
//	<base>/bridge/state         whether the bridge itself is there
//	<base>/bridge/…, …/set, …/get  nothing for us
type Zigbee2MQTT struct {
	// Base is the base topic; empty means "zigbee2mqtt".
	Base string
}

// Decode reads one message.
func (z Zigbee2MQTT) Decode(topic string, payload []byte) (Reading, error) {
	base := z.Base
	if base == "" {
		base = "zigbee2mqtt"
	}
	name, ok := strings.CutPrefix(topic, base+"/")
	if !ok || name == "" {
		return Reading{}, ErrIgnored
	}
	if name == "bridge/state" {
		p, err := presence(payload)
		return Reading{Presence: p, Bridge: true}, err
	}
	if name == "bridge" || strings.HasPrefix(name, "bridge/") {
		return Reading{}, ErrIgnored
	}
	if device, ok := strings.CutSuffix(name, "/availability"); ok && device != "" {
		p, err := presence(payload)
		return Reading{Device: device, Presence: p}, err
	}
	// Commands: "<name>/set", "<name>/set/<attribute>", "<name>/get/…".
	for _, verb := range []string{"/set", "/get"} {
		if strings.HasSuffix(name, verb) || strings.Contains(name, verb+"/") {
			return Reading{}, ErrIgnored
		}
	}
	if len(bytes.TrimSpace(payload)) == 0 { // a retained message was deleted
		return Reading{}, ErrIgnored
	}
	var few [24]pair
	fields, ok := flat(payload, few[:0])
	if !ok {
		var object map[string]any
		if err := json.Unmarshal(payload, &object); err != nil {
			return Reading{}, fmt.Errorf("zigbee2mqtt reading: %w", err)
		}
		fields = few[:0]
		for _, key := range slices.Sorted(maps.Keys(object)) {
			fields = append(fields, pair{key, object[key]})
		}
	}
	r := z.reading(fields)
	r.Device = name
	return r, nil
}

// presence reads {"state":"online"} or, from older versions, plain online.
func presence(payload []byte) (Presence, error) {
	text := strings.TrimSpace(string(payload))
	if text == "" {
		return "", ErrIgnored
	}
	if text[0] == '{' {
		var state struct {
			State string `json:"state"`
		}
		if err := json.Unmarshal(payload, &state); err != nil {
			return "", fmt.Errorf("availability: %w", err)
		}
		text = state.State
	}
	switch p := Presence(strings.ToLower(text)); p {
	case Online, Offline:
		return p, nil
	}
	return "", fmt.Errorf("availability: neither online nor offline: %q", clip(text))
}

// reading gives the fields our names. Fields that we have no name for keep
// theirs, so that a rule can be made on them.
//
// They come in the order of their names: the same ones are left out each time when
// there are too many.
func (Zigbee2MQTT) reading(fields []pair) Reading {
	r := Reading{Values: make(map[string]station.Value, len(fields))}
	for _, f := range fields {
		key := f.name
		v, ok := scalar(f.value)
		if !ok {
			continue
		}
		yes, isBool := truth(v).(bool)
		switch key {
		case "last_seen":
			r.DeviceTime, _ = instant(f.value)
			continue
		case "water_leak":
			key, v = station.ClassWater, truth(v)
		case "contact": // true means closed
			closed, ok := v.(bool)
			if !ok {
				continue
			}
			key, v = station.ClassDoor, !closed
		case "occupancy", "presence":
			if !isBool {
				continue
			}
			key = station.ClassMotion
			v = yes || r.Values[key] == true
		case "carbon_monoxide":
			if !isBool {
				continue
			}
			key = station.ClassGas
			v = yes || r.Values[key] == true
		case "gas":
			v = truth(v)
			if r.Values[key] == true { // carbon monoxide came first
				continue
			}
		case FieldAction:
			if v == "" { // older versions say so after each press
				continue
			}
			r.Events = append(r.Events, FieldAction)
			if text, ok := v.(string); ok && isEmergency(text) {
				r.Values[station.ClassSOS] = true
				r.Events = append(r.Events, station.ClassSOS)
			}
		default:
			if yesOrNo(key) {
				v = truth(v)
			}
		}
		if _, known := r.Values[key]; known || len(r.Values) < MaxFields || essential(key) {
			r.Values[key] = v
		}
	}
	return r
}

// isEmergency tells whether a button's action is a call for help.
func isEmergency(action string) bool {
	switch strings.ToLower(action) {
	case "emergency", "sos", "panic", "emergency_button", "fire", "medical":
		return true
	}
	return false
}

// essential fields are kept even of an overlong object.
func essential(key string) bool { return yesOrNo(key) || key == FieldBattery }

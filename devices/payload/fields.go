package payload

import (
	"strings"

	"stationd/agent/station"
)

// What families written in code have in common: the names of fields, and taking
// values into a reading within its bounds.

// set puts a field into a reading unless the reading is full; what endangers life
// always finds room. A field that is there already stays as it is.
func (r *Reading) set(name string, v station.Value) {
	name = clip(name)
	if _, taken := r.Values[name]; taken || name == "" || len(r.Values) >= MaxFields && !essential(name) {
		return
	}
	if r.Values == nil {
		r.Values = map[string]station.Value{}
	}
	r.Values[name] = v
}

// event puts a field that tells of a moment into a reading.
func (r *Reading) event(name string, v station.Value) {
	if _, taken := r.Values[name]; taken {
		return
	}
	r.set(name, v)
	if _, ok := r.Values[name]; ok {
		r.Events = append(r.Events, name)
	}
}

// pressed puts a button's action into a reading, and a call for help if it is one.
func (r *Reading) pressed(action string) {
	r.event(FieldAction, clip(action))
	if isEmergency(action) {
		r.event(station.ClassSOS, true)
	}
}

// snake writes "DewPoint" and "DS18B20-1" as names for fields: "dew_point",
// "ds18b20_1".
func snake(name string) string {
	var out strings.Builder
	wasLower, dash := false, false
	for _, c := range name {
		switch {
		case c >= 'A' && c <= 'Z':
			if wasLower || dash && out.Len() > 0 {
				out.WriteByte('_')
			}
			out.WriteRune(c - 'A' + 'a')
			wasLower, dash = false, false
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c > 0x7f:
			if dash && out.Len() > 0 {
				out.WriteByte('_')
			}
			out.WriteRune(c)
			wasLower, dash = c >= 'a' && c <= 'z', false
		default:
			wasLower, dash = false, true
		}
		if out.Len() > 60 {
			break
		}
	}
	return strings.ToValidUTF8(out.String(), "")
}

// fieldOfWords finds in a name what its owner most likely called it for:
// "kitchen_smoke_alarm" is smoke. Exact tells that the name says nothing else, so
// that a device has only one of it.
func fieldOfWords(name string) (field string, exact bool) {
	rest := 0
	for _, word := range strings.Split(snake(name), "_") {
		switch found := wordFields[word]; {
		case otherwise[word]:
			return "", false
		case found != "" && (field == "" || field == found):
			field = found
		case filler[word]:
		default:
			rest++
		}
	}
	return field, field != "" && rest == 0
}

// wordFields are the words that name a field. "battery" and the like are not
// here: what is in doubt keeps its own name.
var wordFields = map[string]string{
	"smoke": station.ClassSmoke, "fire": station.ClassSmoke, "烟雾": station.ClassSmoke,
	"gas": station.ClassGas, "methane": station.ClassGas, "lpg": station.ClassGas, "co": station.ClassGas, "燃气": station.ClassGas,
	"leak": station.ClassWater, "flood": station.ClassWater, "moisture": station.ClassWater,
	"sos": station.ClassSOS, "panic": station.ClassSOS, "emergency": station.ClassSOS,
	"manhole": station.ClassManhole,
	"door":    station.ClassDoor, "window": station.ClassDoor, "gate": station.ClassDoor,
	"motion": station.ClassMotion, "pir": station.ClassMotion, "occupancy": station.ClassMotion, "presence": station.ClassMotion,
	"tamper": FieldTamper, "vibration": FieldVibration,
}

// filler are words that do not tell one thing from another.
var filler = map[string]bool{
	"alarm": true, "sensor": true, "detector": true, "detected": true, "status": true, "state": true,
	"contact": true, "button": true, "water": true, "leakage": true,
}

// otherwise are words with which a name says something about the thing: the
// battery of a smoke detector is no smoke, and a gas valve that is open no gas.
var otherwise = map[string]bool{
	"battery": true, "bat": true, "low": true, "fault": true, "error": true, "problem": true, "trouble": true, "test": true,
	"selftest": true, "mute": true, "muted": true, "silence": true, "silenced": true, "silent": true, "valve": true, "reset": true,
	"online": true, "offline": true, "connected": true, "connectivity": true, "connection": true, "update": true, "charging": true,
	"enabled": true, "enable": true, "disabled": true, "armed": true, "relay": true, "switch": true, "siren": true, "light": true,
	"led": true, "bell": true, "lock": true, "lifetime": true, "count": true, "counter": true, "time": true,
	"temperature": true, "humidity": true, "pressure": true, "meter": true, "heater": true, "pump": true, "fan": true,
}

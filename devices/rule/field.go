package rule

import (
	"slices"

	"stationd/agent/station"
)

// Field is something that devices report, by the name that all payload families
// use for it.
type Field struct {
	Name string `json:"name"`
	// Type is "bool", "number" or "text"; "any" where devices differ.
	Type FieldType `json:"type"`
	Unit string    `json:"unit,omitempty"` // of a number: "°C"
}

// FieldType is what the values of a field are.
type FieldType string

// The types of field.
const (
	Bool   FieldType = "bool"
	Number FieldType = "number"
	Text   FieldType = "text"
	Any    FieldType = "any"
)

// Fields are what a sensor of a class may report as far as it is known, its own
// first. A device may report more; those go by the form, or by value("name") in
// an expression.
func Fields(class string) []Field {
	var own []Field
	switch class {
	case station.ClassSmoke:
		own = []Field{{"smoke_density", Number, "%"}, {"co", Number, "ppm"}, {"carbon_monoxide", Bool, ""}, {"self_test", Any, ""}, {"silence", Bool, ""}}
	case station.ClassGas:
		own = []Field{{"gas_value", Number, ""}, {"gas_concentration", Number, "%LEL"}, {"co", Number, "ppm"}, {"carbon_monoxide", Bool, ""}, {"valve", Any, ""}}
	case station.ClassWater:
		own = []Field{{"water_level", Number, "m"}, {"flow", Number, "m³/h"}, {"valve", Any, ""}}
	case station.ClassManhole:
		own = []Field{{"tilt", Number, "°"}, {"water_level", Number, "m"}, {"distance", Number, "m"}, {"gas_concentration", Number, "%LEL"}}
	case station.ClassDoor:
		own = []Field{{"contact", Bool, ""}, {"open", Bool, ""}, {"lock", Any, ""}}
	case station.ClassMotion:
		own = []Field{{"occupancy", Bool, ""}, {"presence", Bool, ""}, {"distance", Number, "m"}, {"label", Text, ""}, {"zone", Text, ""}}
	case station.ClassTemperature:
		own = []Field{{"dew_point", Number, "°C"}, {"probe_temperature", Number, "°C"}}
	case station.ClassLevel:
		own = []Field{{"water_level", Number, "m"}, {"distance", Number, "m"}, {"depth", Number, "m"}, {"flow", Number, "m³/h"}}
	case station.ClassOther:
		own = []Field{
			{"voc", Number, "ppb"},
			{"pm25", Number, "µg/m³"},
			{"pm10", Number, "µg/m³"},
			{"noise", Number, "dB"},
			{"moving", Bool, ""},
			{"distance", Number, "m"},
			{"angle", Number, "°"},
			{"flow", Number, "m³/h"},
			{"label", Text, ""},
			{"zone", Text, ""},
		}
	}
	all := own
	for _, f := range common {
		if f.Name == class {
			all = slices.Insert(all, 0, f) // what the class is about comes first
		} else {
			all = append(all, f)
		}
	}
	return all
}

// common is what a device of any class may report beside what it is for: many
// are several sensors in one case. It is never changed.
var common = []Field{
	{station.ClassSmoke, Bool, ""},
	{station.ClassGas, Bool, ""},
	{station.ClassWater, Bool, ""},
	{station.ClassSOS, Bool, ""},
	{station.ClassManhole, Bool, ""},
	{station.ClassDoor, Bool, ""},
	{station.ClassMotion, Bool, ""},
	{station.ClassTemperature, Number, "°C"},
	{station.ClassLevel, Any, ""}, // a float switch says yes or no, a gauge a number
	{"humidity", Number, "%"},
	{"pressure", Number, "hPa"},
	{"illuminance", Number, "lx"},
	{"co2", Number, "ppm"},
	{"tamper", Bool, ""},
	{"vibration", Bool, ""},
	{"fault", Bool, ""},
	{"action", Text, ""},
	{"state", Any, ""},
	{"power", Number, "W"},
	{"current", Number, "A"},
	{"voltage", Number, "V"},
	{"energy", Number, "kWh"},
	{"device_temperature", Number, "°C"},
	{"battery", Number, "%"},
	{"battery_low", Bool, ""},
	{"linkquality", Number, ""},
	{"rssi", Number, "dBm"},
	{"snr", Number, "dB"},
}

package devices

import (
	"stationd/agent/station"
	"stationd/devices/payload"
	"stationd/devices/rule"
)

// verdict is what is held for true of a condition; also of being offline.
type verdict = rule.Verdict

const (
	inactive = rule.Inactive
	active   = rule.Active
)

// ClassOf proposes a class from the fields that a device was heard with, and
// tells whether it is a sensor at all.
func ClassOf(values map[string]station.Value) (string, bool) {
	for _, class := range []string{
		station.ClassSmoke, station.ClassGas, station.ClassSOS, station.ClassWater, station.ClassManhole,
		station.ClassDoor, station.ClassMotion, station.ClassTemperature, station.ClassLevel,
	} {
		if _, ok := values[class]; ok {
			return class, true
		}
	}
	for _, field := range []string{payload.FieldTamper, payload.FieldVibration, payload.FieldHumidity, payload.FieldAction, payload.FieldBattery} {
		if _, ok := values[field]; ok {
			return station.ClassOther, true
		}
	}
	return "", false
}

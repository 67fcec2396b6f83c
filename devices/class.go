package devices

import (
	"time"

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

// SilentAfter is how long a sensor of a class may be silent. Those that run on
// batteries report when something happens, and once a day that nothing does;
// whoever reports a battery is one of them, whatever its class.
func SilentAfter(class string, hasBattery bool) time.Duration {
	switch class {
	case station.ClassSmoke, station.ClassWater, station.ClassSOS, station.ClassManhole, station.ClassDoor, station.ClassMotion:
		return batterySilence
	}
	if hasBattery {
		return batterySilence
	}
	return mainsSilence
}

// The measure for one day's sign of life, with an hour to spare, and for
// devices on the mains, which report every few minutes.
const (
	batterySilence = 25 * time.Hour
	mainsSilence   = 10 * time.Minute
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

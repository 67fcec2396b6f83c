package rule

import "stationd/agent/station"

// Defaults are the rules of a sensor that has none of its own. Every class heeds
// smoke, gas, water and calls for help: a device that can tell of them must never
// be silent about them because it was filed wrongly.
func Defaults(class string) []station.Rule {
	is := func(kind station.AlarmKind, field string) station.Rule {
		return station.Rule{Kind: kind, Field: field, Op: "eq", Value: true}
	}
	clear := func(v float64) *float64 { return &v }
	all := []station.Rule{
		is(station.KindSmoke, station.ClassSmoke),
		is(station.KindGas, station.ClassGas),
		is(station.KindSOS, station.ClassSOS),
		is(station.KindWater, station.ClassWater),
		is(station.KindTamper, "tamper"),
		is(station.KindBattery, "battery_low"),
		{Kind: station.KindBattery, Field: "battery", Op: "lt", Value: 10.0, Clear: clear(15)},
	}
	switch class {
	case station.ClassManhole: // a contact on the cover reports itself as a door
		all = append(all, is(station.KindManhole, station.ClassManhole), is(station.KindManhole, station.ClassDoor))
	case station.ClassDoor:
		all = append(all, is(station.KindDoor, station.ClassDoor))
	case station.ClassMotion:
		all = append(all, is(station.KindMotion, station.ClassMotion))
		for _, seen := range []string{"intrusion", "line_crossed", "person"} { // by cameras that can tell
			all = append(all, is(station.KindMotion, seen))
		}
	case station.ClassTemperature:
		all = append(all, station.Rule{Kind: station.KindTemperature, Field: station.ClassTemperature, Op: "gt", Value: 60.0, Clear: clear(55)})
	case station.ClassLevel: // a float switch; for a gauge only its owner knows the limit
		all = append(all, is(station.KindLevel, station.ClassLevel))
	}
	return all
}

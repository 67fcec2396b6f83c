package payload

import "stationd/agent/station"

// codeFamilies are the families that are written in code, because their formats
// need a memory or more than paths.
func codeFamilies() []Family {
	return []Family{NewZigbee2MQTT(), Tasmota{}, ESPHome{}, NewHomeAssistant(""), Shelly{}}
}

// classOrder is the order in which a field proposes the device's class: what
// endangers life comes first.
var classOrder = [...]string{
	station.ClassSmoke, station.ClassGas, station.ClassWater, station.ClassSOS, station.ClassManhole,
	station.ClassDoor, station.ClassMotion, station.ClassLevel, station.ClassTemperature,
}

// classOf proposes a class for a device that reports these fields; empty when
// none of them tells.
func classOf(values map[string]station.Value) string {
	for _, class := range classOrder {
		if _, ok := values[class]; ok {
			return class
		}
	}
	return ""
}

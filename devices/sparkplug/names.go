package sparkplug

import (
	"strings"

	"stationd/agent/station"
	"stationd/devices/payload"
)

// Fields lists the words by which a metric is recognised and the field that it
// becomes: the last part of the metric's name in lower case, without spaces, "_"
// and "-".
func Fields() map[string]string {
	return map[string]string{
		"smoke": station.ClassSmoke, "smokealarm": station.ClassSmoke, "smokedetected": station.ClassSmoke, "fire": station.ClassSmoke, "firealarm": station.ClassSmoke,
		"gas": station.ClassGas, "gasalarm": station.ClassGas, "gasdetected": station.ClassGas, "coalarm": station.ClassGas, "carbonmonoxide": station.ClassGas,
		"water": station.ClassWater, "waterleak": station.ClassWater, "leak": station.ClassWater, "leakage": station.ClassWater, "flood": station.ClassWater, "moisture": station.ClassWater,
		"sos": station.ClassSOS, "panic": station.ClassSOS, "emergency": station.ClassSOS, "helpcall": station.ClassSOS,
		"manhole": station.ClassManhole, "coveropen": station.ClassManhole,
		"door": station.ClassDoor, "dooropen": station.ClassDoor,
		"motion": station.ClassMotion, "occupancy": station.ClassMotion, "presence": station.ClassMotion,
		"tamper": payload.FieldTamper, "tamperalarm": payload.FieldTamper,
		"vibration":   payload.FieldVibration,
		"temperature": station.ClassTemperature, "temp": station.ClassTemperature,
		"level":    station.ClassLevel,
		"humidity": payload.FieldHumidity, "relativehumidity": payload.FieldHumidity,
		"battery": payload.FieldBattery, "batterylevel": payload.FieldBattery, "batterypercent": payload.FieldBattery,
		"batterylow": payload.FieldBatteryLow, "lowbattery": payload.FieldBatteryLow,
	}
}

// word is the last part of a metric's name as Fields has it.
func word(name string) string {
	name = name[strings.LastIndexByte(name, '/')+1:]
	return strings.ToLower(strings.NewReplacer(" ", "", "_", "", "-", "").Replace(name))
}

// yesOrNo tells whether a field says yes or no, whatever type its metric has.
func yesOrNo(field string) bool {
	switch field {
	case station.ClassSmoke, station.ClassGas, station.ClassWater, station.ClassSOS, station.ClassManhole,
		station.ClassDoor, station.ClassMotion, payload.FieldTamper, payload.FieldVibration, payload.FieldBatteryLow:
		return true
	}
	return false
}

// truth reads the ways in which a metric says yes and no. Another value stays
// as it is: "Gas" may be a concentration.
func truth(v station.Value) station.Value {
	switch x := v.(type) {
	case float64:
		if x == 0 || x == 1 {
			return x == 1
		}
	case string:
		switch strings.ToLower(strings.TrimSpace(x)) {
		case "true", "on", "yes", "1", "alarm", "active", "detected", "open":
			return true
		case "false", "off", "no", "0", "normal", "inactive", "clear", "closed":
			return false
		}
	}
	return v
}

// isControl tells that a metric is a button for the host, or Sparkplug's own.
func isControl(name string) bool {
	return name == "bdSeq" || strings.HasPrefix(name, "Node Control/") || strings.HasPrefix(name, "Device Control/")
}

// describe takes what a metric tells of the device itself, and reports whether
// it does.
func describe(r *payload.Reading, name string, v station.Value) bool {
	rest, ok := strings.CutPrefix(name, "Properties/")
	if !ok {
		return false
	}
	text, ok := v.(string)
	if !ok {
		return false
	}
	switch word(rest) {
	case "hardwaremake", "manufacturer", "maker", "make":
		r.Maker = text
	case "hardwaremodel", "model":
		r.Model = text
	case "fw", "firmware", "firmwareversion", "fwversion":
		r.Firmware = text
	default:
		return false
	}
	return true
}

package payload

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"stationd/agent/station"
)

// Tasmota reads what Tasmota devices publish, below "tele" and "stat" or with
// these behind the device's topic:
//
//	tele/<topic>/LWT            Online or Offline, the device's will
//	tele/<topic>/SENSOR         one object for each sensor, switches, ZbReceived
//	tele/<topic>/STATE          relays, supply voltage, Wi-Fi
//	stat/<topic>/RESULT, STATUSn  the same things, when they change or on request
//	tele/<topic>/INFO1          what it is
//	tasmota/discovery/<mac>/config  the same, retained, with its name
//
// Its time has no zone unless it was told to add one, and is not understood then.
// A Zigbee device heard by a Tasmota bridge is a device of its own, via the bridge;
// its zone status is decoded, because not every model has words for it.
type Tasmota struct{}

// FamilyTasmota is its name.
const FamilyTasmota = "tasmota"

// Name is as in station.SensorSource.
func (Tasmota) Name() string { return FamilyTasmota }

// Filters are the two orders of a topic that FullTopic is set to, the second with
// a room before the device.
func (Tasmota) Filters() []string {
	return []string{"tele/#", "stat/#", "+/tele/#", "+/stat/#", "+/+/tele/#", "+/+/stat/#", "tasmota/discovery/+/config"}
}

// Open returns a session; there is nothing to remember.
func (t Tasmota) Open() Session { return t }

// Decode reads one message.
func (t Tasmota) Decode(m Message) (Result, error) {
	if err := usable(m.Topic); err != nil {
		return Result{}, err
	}
	if strings.HasPrefix(m.Topic, "tasmota/discovery/") {
		return tasmotaDiscovery(m)
	}
	device, what, ok := tasmotaTopic(m.Topic)
	if !ok {
		return Result{}, ErrIgnored
	}
	if what == "LWT" {
		p, err := presence(m.Payload)
		if err != nil {
			return Result{}, err
		}
		return Result{Readings: []Reading{{Device: device, Presence: p, Power: station.PowerMains}}}, nil
	}
	switch {
	case what == "SENSOR", what == "STATE", what == "RESULT", what == "UPTIME", strings.HasPrefix(what, "STATUS"), strings.HasPrefix(what, "INFO"):
	case strings.HasPrefix(what, "POWER"), strings.HasPrefix(what, "SWITCH"):
		// The same is in RESULT; here it is a bare word.
		return Result{}, ErrIgnored
	default:
		return Result{}, ErrIgnored
	}
	if len(m.Payload) == 0 {
		return Result{}, ErrIgnored
	}
	root, err := parse(m.Payload)
	if err != nil {
		return Result{}, fmt.Errorf("tasmota %s: %w", strings.ToLower(what), err)
	}
	object, ok := root.(map[string]any)
	if !ok {
		return Result{}, fmt.Errorf("tasmota %s: no object", strings.ToLower(what))
	}
	var res Result
	t.read(device, object, &res, 0)
	if len(res.Readings) == 0 {
		return Result{}, ErrIgnored
	}
	return res, nil
}

// tasmotaDiscovery reads how a device announces itself.
func tasmotaDiscovery(m Message) (Result, error) {
	if !strings.HasSuffix(m.Topic, "/config") || len(m.Payload) == 0 {
		return Result{}, ErrIgnored
	}
	var d struct {
		Name      string `json:"dn"`
		Module    string `json:"md"`
		Firmware  string `json:"sw"`
		Topic     string `json:"t"`
		FullTopic string `json:"ft"`
	}
	if err := parseInto(m.Payload, &d); err != nil {
		return Result{}, fmt.Errorf("tasmota discovery: %w", err)
	}
	if d.FullTopic == "" {
		d.FullTopic = "%prefix%/%topic%/"
	}
	// The device is its topic without the prefix, as tasmotaTopic has it.
	var levels []string
	for _, level := range strings.Split(strings.ReplaceAll(d.FullTopic, "%topic%", d.Topic), "/") {
		if level != "" && level != "%prefix%" {
			levels = append(levels, level)
		}
	}
	device := strings.Join(levels, "/")
	if d.Topic == "" || len(device) > MaxText || strings.Contains(device, "%") {
		return Result{}, ErrIgnored
	}
	return one(Reading{Device: device, Name: clip(d.Name), Model: clip(d.Module), Firmware: clip(d.Firmware), Power: station.PowerMains})
}

// tasmotaTopic takes a topic apart: tele/<device>/SENSOR or <device>/tele/SENSOR.
// The device may have slashes.
func tasmotaTopic(topic string) (device, what string, ok bool) {
	cut := strings.LastIndexByte(topic, '/')
	if cut < 0 {
		return "", "", false
	}
	head, what := topic[:cut], topic[cut+1:]
	for _, verb := range []string{"tele", "stat"} {
		if device, ok := strings.CutPrefix(head, verb+"/"); ok && device != "" {
			return device, what, true
		}
		if device, ok := strings.CutSuffix(head, "/"+verb); ok && device != "" {
			return device, what, true
		}
	}
	return "", "", false
}

// read adds what the object says of the device and of those behind it.
func (t Tasmota) read(device string, object map[string]any, res *Result, depth int) {
	r := Reading{Device: device, Power: station.PowerMains}
	r.DeviceTime, _ = instant(object["Time"])
	for _, key := range slices.Sorted(maps.Keys(object)) {
		inner, isObject := object[key].(map[string]any)
		switch {
		case key == "Time", key == "TempUnit", key == "PressureUnit", key == "SpeedUnit", strings.HasPrefix(key, "Uptime"):
		case key == "ZbReceived", key == "ZbStatus3":
			t.zigbee(device, inner, res)
		case key == "StatusSNS" && isObject && depth == 0, key == "StatusSTS" && isObject && depth == 0:
			t.read(device, inner, res, depth+1)
		case key == "StatusFWR" && isObject:
			r.Firmware = clip(textOf(inner["Version"]))
		case key == "Info1" && isObject:
			r.Model, r.Firmware = clip(textOf(inner["Module"])), clip(textOf(inner["Version"]))
		case strings.HasPrefix(key, "Status"), strings.HasPrefix(key, "Info"):
		case key == "Wifi" && isObject:
			if v, ok := scalar(inner["RSSI"]); ok {
				r.set(FieldLink, v)
			}
		case key == "Vcc":
			t.value(&r, "", key, object[key])
		case isObject:
			t.sensor(&r, key, inner)
		case strings.HasPrefix(key, "Switch"), strings.HasPrefix(key, "POWER"):
			t.value(&r, "", key, object[key])
		}
	}
	if len(r.Values) == 0 && r.Firmware == "" && r.Model == "" {
		return
	}
	// A device with nothing but relays and Wi-Fi is none that we propose a class for.
	r.Class = classOf(r.Values)
	res.Readings = append(res.Readings, r)
}

// sensor reads one of the device's sensors: {"Temperature": 20.9}. Its fields have
// the sensor's name before theirs; the first sensor's also go without.
func (t Tasmota) sensor(r *Reading, name string, object map[string]any) {
	switch {
	case strings.HasPrefix(name, "Switch"):
		if v, ok := object["Action"].(string); ok {
			r.set(snake(name), truth(clip(v)))
		}
		return
	case strings.HasPrefix(name, "Button"):
		if v, ok := object["Action"].(string); ok && v != "" {
			r.pressed(strings.ToLower(v))
		}
		return
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if key != "Id" && key != "Address" {
			t.value(r, name, key, object[key])
		}
	}
}

// value reads one value of a sensor.
func (Tasmota) value(r *Reading, sensor, key string, v any) {
	out, ok := scalar(v)
	if !ok {
		return
	}
	name := snake(key)
	if sensor == "" {
		if strings.HasPrefix(key, "POWER") {
			name = "power" + strings.TrimPrefix(key, "POWER")
		}
		r.set(name, truth(out))
		return
	}
	if yesOrNo(name) {
		out = truth(out)
	}
	r.set(snake(sensor)+"_"+name, out)
	switch name {
	case "temperature", "humidity", station.ClassGas, station.ClassSmoke, station.ClassWater:
		r.set(name, out)
	case "distance":
		r.set(station.ClassLevel, out)
	}
}

// zigbee reads what a bridge has received: {"0x99F2": {"Fire": 1, …}}.
func (t Tasmota) zigbee(bridge string, devices map[string]any, res *Result) {
	for _, key := range slices.Sorted(maps.Keys(devices)) {
		object, ok := devices[key].(map[string]any)
		if !ok || len(res.Readings) >= MaxReadings {
			continue
		}
		// The friendly name may be the key; the short address stays what it is
		// until the device joins anew.
		address := textOf(object["Device"])
		if address == "" {
			address = key
		}
		// With SetOption89 each device has a topic below the bridge's.
		via := bridge
		if cut := strings.LastIndexByte(bridge, '/'); cut > 0 && (strings.EqualFold("0x"+bridge[cut+1:], address) || bridge[cut+1:] == key) {
			via = bridge[:cut]
		}
		r := Reading{Device: clip(via + "/" + address), Via: via, Name: clip(textOf(object["Name"]))}
		r.Model, r.Maker = clip(textOf(object["ModelId"])), clip(textOf(object["Manufacturer"]))
		for _, attribute := range slices.Sorted(maps.Keys(object)) {
			t.attribute(&r, attribute, object[attribute])
		}
		if len(r.Values) == 0 && r.Model == "" {
			continue
		}
		if _, ok := r.Values[FieldBattery]; ok {
			r.Power = station.PowerBattery
		}
		r.Class = classOf(r.Values)
		res.Readings = append(res.Readings, r)
	}
}

// attribute reads one attribute of a Zigbee device. "Contact" is the alarm bit of
// the zone: 1 is open.
func (Tasmota) attribute(r *Reading, name string, v any) {
	out, ok := scalar(v)
	if !ok {
		return
	}
	switch name {
	case "Device", "Name", "Group", "Endpoint", "ModelId", "Manufacturer", "IEEEAddr", "ZoneStatusChangeZone":
	case "Fire":
		r.set(station.ClassSmoke, truth(out))
	case "CO":
		r.set(station.ClassGas, truth(out))
	case "Water":
		r.set(station.ClassWater, truth(out))
	case "Contact":
		r.set(station.ClassDoor, truth(out))
	case "Occupancy", "Movement":
		r.set(station.ClassMotion, truth(out))
	case "PersonalEmergency", "PersonalAlarm":
		r.set(station.ClassSOS, truth(out))
	case "Vibration":
		r.set(FieldVibration, truth(out))
	case "BatteryPercentage":
		r.set(FieldBattery, out)
	case "LinkQuality":
		r.set(FieldLink, out)
	case "Click", "Action":
		if text, ok := out.(string); ok && text != "" {
			r.pressed(text)
		}
	case "ZoneStatusChange", "ZoneStatus":
		if bits, ok := out.(float64); ok && bits >= 0 && bits < 1<<16 {
			// IAS zone status: bit 0 alarm, 2 tamper, 3 battery low.
			r.set("alarm", uint(bits)&1 == 1)
			r.set(FieldTamper, uint(bits)>>2&1 == 1)
			r.set(FieldBatteryLow, uint(bits)>>3&1 == 1)
		}
	default:
		if strings.ContainsAny(name, "<>?/") { // raw clusters: "0500?00"
			return
		}
		r.set(snake(name), out)
	}
}

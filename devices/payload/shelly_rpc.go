package payload

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"stationd/agent/station"
)

// Shelly devices of generation 2 and later: frames, and components.

// frame reads a notification of generation 2 or later.
func (s *shellySession) frame(prefix string, payload []byte) (Result, error) {
	var f struct {
		Src    string         `json:"src"`
		Method string         `json:"method"`
		Params map[string]any `json:"params"`
	}
	if err := parseInto(payload, &f); err != nil {
		return Result{}, fmt.Errorf("shelly frame: %w", err)
	}
	if f.Src == "" || f.Params == nil {
		return Result{}, ErrIgnored
	}
	if len(s.prefixes) < maxShellyMemory {
		s.prefixes[prefix] = true
	}
	r := Reading{Device: prefix, Name: prefix, Maker: "Shelly"}
	r.Model, _, _ = strings.Cut(clip(f.Src), "-")
	r.DeviceTime, _ = instant(f.Params["ts"])
	switch f.Method {
	case "NotifyStatus", "NotifyFullStatus":
		for _, key := range slices.Sorted(maps.Keys(f.Params)) {
			if object, ok := f.Params[key].(map[string]any); ok {
				shellyComponent(&r, key, object)
			}
		}
		if len(r.Values) == 0 {
			return Result{}, ErrIgnored
		}
		r.Class = classOf(r.Values)
		return one(r)
	case "NotifyEvent":
		return shellyEvents(r, f.Params)
	}
	return Result{}, ErrIgnored
}

// component reads "<prefix>/status/smoke:0".
func (s *shellySession) component(prefix, component string, payload []byte) (Result, error) {
	if len(payload) == 0 || strings.Contains(component, "/") {
		return Result{}, ErrIgnored
	}
	var object map[string]any
	if err := parseInto(payload, &object); err != nil {
		return Result{}, fmt.Errorf("shelly status: %w", err)
	}
	r := Reading{Device: prefix, Name: prefix}
	shellyComponent(&r, component, object)
	if len(r.Values) == 0 {
		return Result{}, ErrIgnored
	}
	r.Class = classOf(r.Values)
	return one(r)
}

// shellyComponent reads the state of one component: "smoke:0", "devicepower:0".
func shellyComponent(r *Reading, key string, object map[string]any) {
	kind, number, _ := strings.Cut(key, ":")
	// The second of a kind has its number in its name.
	name := func(field string) string {
		if number == "" || number == "0" {
			return field
		}
		return field + "_" + snake(number)
	}
	take := func(member, field string) {
		if v, ok := scalar(object[member]); ok {
			r.set(name(field), v)
		}
	}
	alarm := func(field string) {
		if yes, ok := object["alarm"].(bool); ok {
			r.set(name(field), yes)
		}
	}
	switch kind {
	case "smoke":
		alarm(station.ClassSmoke)
	case "flood":
		alarm(station.ClassWater)
	case "gas":
		alarm(station.ClassGas)
	case "motion", "presence", "presencezone", "occupancy":
		for _, member := range []string{"motion", "presence", "state", "value"} {
			if yes, ok := object[member].(bool); ok {
				r.set(name(station.ClassMotion), yes)
				break
			}
		}
	case "devicepower":
		external, _ := object["external"].(map[string]any)
		if external["present"] == true {
			r.Power = station.PowerMains // and whatever the battery says, it is not needed
			break
		}
		r.Power = station.PowerBattery
		if battery, ok := object["battery"].(map[string]any); ok {
			if v, ok := scalar(battery["percent"]); ok {
				r.set(FieldBattery, v)
			}
		}
	case "temperature":
		take("tC", "temperature")
	case "humidity":
		take("rh", "humidity")
	case "illuminance":
		take("lux", "lux")
	case "voltmeter":
		take("voltage", "voltage")
	case "input":
		if yes, ok := object["state"].(bool); ok {
			r.set("input_"+snake(number), yes)
		}
		if v, ok := scalar(object["percent"]); ok {
			r.set("input_"+snake(number), v)
		}
	case "switch":
		if yes, ok := object["output"].(bool); ok {
			r.set("switch_"+snake(number), yes)
		}
	case "boolean", "number", "text", "enum", "bthomesensor":
		if v, ok := scalar(object["value"]); ok {
			r.set(kind+"_"+snake(number), v)
		}
	case "wifi":
		if v, ok := scalar(object["rssi"]); ok {
			r.set(FieldLink, v)
		}
	case "sys":
		if seconds, ok := scalar(object["wakeup_period"]); ok {
			if s, ok := seconds.(float64); ok && s > 0 && s < 1e7 {
				r.Interval = time.Duration(s) * time.Second
			}
		}
	}
}

// shellyEvents reads what has happened: a button, an alarm, and much that
// concerns only the device: config_changed is not an alarm.
func shellyEvents(r Reading, params map[string]any) (Result, error) {
	events, _ := params["events"].([]any)
	var res Result
	for _, e := range events {
		object, _ := e.(map[string]any)
		component, event := textOf(object["component"]), textOf(object["event"])
		kind, number, _ := strings.Cut(component, ":")
		next := r
		if at, ok := instant(object["ts"]); ok {
			next.DeviceTime = at
		}
		next.Serial = clip(component + "/" + event + "/" + textOf(object["ts"]))
		switch {
		case len(res.Readings) >= MaxReadings:
		case strings.HasSuffix(event, "_push"), event == "btn_down", event == "btn_up" && kind == "input":
			if event == "btn_down" || event == "btn_up" {
				continue // the push that they make up is told as well
			}
			if kind == "bthomedevice" {
				next.Device, next.Via, next.Name = r.Device+"/"+component, r.Device, r.Name+" "+component
			}
			next.set("input", clip(number))
			next.pressed(event)
		case event == "alarm" || event == "alarm_off":
			field := map[string]string{"smoke": station.ClassSmoke, "flood": station.ClassWater, "gas": station.ClassGas}[kind]
			if field == "" {
				continue
			}
			next.set(field, event == "alarm")
		case event == "shelly-blu":
			data, _ := object["data"].(map[string]any)
			if !shellyBlu(&next, data) {
				continue
			}
		default:
			continue
		}
		next.Class = classOf(next.Values)
		res.Readings = append(res.Readings, next)
	}
	if len(res.Readings) == 0 {
		return res, ErrIgnored
	}
	return res, nil
}

// shellyBlu reads what a gateway's script tells of a Bluetooth device.
func shellyBlu(r *Reading, data map[string]any) bool {
	address := textOf(data["address"])
	if address == "" {
		return false
	}
	r.Via, r.Device = r.Device, r.Device+"/"+clip(address)
	r.Name, r.Model, r.Power = clip(address), clip(textOf(data["model"])), station.PowerBattery
	for _, key := range slices.Sorted(maps.Keys(data)) {
		v, ok := scalar(data[key])
		if !ok {
			continue
		}
		switch strings.ToLower(key) {
		case "battery", "temperature", "humidity", "illuminance", "rotation":
			r.set(strings.ToLower(key), v)
		case "window":
			r.set(station.ClassDoor, truth(v))
		case "motion":
			r.set(station.ClassMotion, truth(v))
		case "vibration":
			r.set(FieldVibration, truth(v))
		case "rssi":
			r.set(FieldLink, v)
		case "button":
			if n, ok := v.(float64); ok && n > 0 && n < 255 {
				r.pressed(map[float64]string{1: "single_push", 2: "double_push", 3: "triple_push", 4: "long_push"}[n])
			}
		}
	}
	return len(r.Values) > 0
}

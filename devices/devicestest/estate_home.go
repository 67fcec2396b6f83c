package devicestest

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"stationd/agent/station"
)

// The families of the home: what stands behind a Zigbee stick or on the wireless
// network, in the words of each (the formats' sources are named with the golden
// files of devices/payload).

func stocks() []stock {
	hour := time.Hour
	return append([]stock{
		{120, "zigbee2mqtt", station.ClassSmoke, station.KindSmoke, station.PowerBattery, 6 * hour, "烟感", "zigbee2mqtt", 1000, zigbee(func(m Moment) map[string]any {
			return map[string]any{"smoke": m.Alarm, "tamper": false}
		}), inHome},
		{40, "zigbee2mqtt", station.ClassSOS, station.KindSOS, station.PowerBattery, 24 * hour, "一键呼叫", "zigbee2mqtt", 1000, zigbee(func(m Moment) map[string]any {
			if m.Alarm {
				return map[string]any{"action": "emergency"}
			}
			return map[string]any{}
		}), inHome},
		{40, "zigbee2mqtt", station.ClassDoor, station.KindDoor, station.PowerBattery, 6 * hour, "门磁", "zigbee2mqtt", 1000, zigbee(func(m Moment) map[string]any {
			return map[string]any{"contact": !m.Alarm}
		}), inHome},
		{30, "tasmota", station.ClassTemperature, "", station.PowerMains, 5 * time.Minute, "配电温度", "", 1, tasmota, byName},
		{30, "esphome", station.ClassWater, station.KindWater, station.PowerMains, time.Minute, "水浸", "", 1, esphome, byName},
		{20, "shelly", station.ClassGas, station.KindGas, station.PowerMains, time.Minute, "燃气", "", 1, shellyGas, byName},
		{30, "shelly", station.ClassSmoke, station.KindSmoke, station.PowerBattery, 12 * hour, "联网烟感", "", 1, shellySmoke, byName},
		{20, "homeassistant", station.ClassMotion, station.KindMotion, station.PowerBattery, hour, "人体感应", "ha", 20, homeAssistant, byName},
	}, fieldStocks()...)
}

func byName(u *Unit) string { return u.name }

// inHome is a device behind a bridge whose name is a topic.
func inHome(u *Unit) string { return u.home + "/" + u.name }

func inJSON(topic string, retain bool, v any) Out {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("a simulated payload cannot be written: %v", err)) // it is written in this package
	}
	return Out{topic, b, retain}
}

func inText(topic string, retain bool, text string) Out { return Out{topic, []byte(text), retain} }

// tenth rounds to what a cheap sensor shows.
func tenth(x float64) float64 { return math.Round(x*10) / 10 }

// greet gives a line its birth and its will.
func greet(l *Line, k stock, u *Unit) {
	switch k.family {
	case "zigbee2mqtt":
		l.Birth = []Out{inJSON(u.home+"/bridge/state", true, map[string]any{"state": "online"})}
		will := inJSON(u.home+"/bridge/state", true, map[string]any{"state": "offline"})
		l.Will = &will
	case "tasmota":
		l.Birth = []Out{inText("tele/"+u.name+"/LWT", true, "Online")}
		will := inText("tele/"+u.name+"/LWT", true, "Offline")
		l.Will = &will
	case "esphome":
		l.Birth = []Out{inText(u.name+"/status", true, "online")}
		will := inText(u.name+"/status", true, "offline")
		l.Will = &will
	case "shelly":
		topic := "shellies/" + u.name + "/online"
		birth, death := "true", "false"
		if k.class == station.ClassSmoke {
			topic = u.name + "/online"
		}
		l.Birth = []Out{inText(topic, true, birth)}
		will := inText(topic, true, death)
		l.Will = &will
	case "homeassistant":
		l.Birth = []Out{inText(u.home+"/availability", true, "online")}
		will := inText(u.home+"/availability", true, "offline")
		l.Will = &will
	case "sparkplug":
		greetSparkplug(l, u)
	}
}

// zigbee writes the state of a device as Zigbee2MQTT publishes it.
func zigbee(fields func(Moment) map[string]any) func(*Unit, Moment) []Out {
	return func(u *Unit, m Moment) []Out {
		v := fields(m)
		v["battery"], v["battery_low"] = m.Battery, m.Battery < 10
		v["linkquality"], v["last_seen"] = 60+int(m.Value*120), m.At.UnixMilli()
		return []Out{inJSON(u.home+"/"+u.name, false, v)}
	}
}

func tasmota(u *Unit, m Moment) []Out {
	return []Out{inJSON("tele/"+u.name+"/SENSOR", false, map[string]any{
		"Time":    m.At.Format("2006-01-02T15:04:05"), // of the place, without its zone
		"DS18B20": map[string]any{"Id": "01131B123456", "Temperature": tenth(22 + 20*m.Value)}, "TempUnit": "C",
	})}
}

func esphome(u *Unit, m Moment) []Out {
	state := "OFF"
	if m.Alarm {
		state = "ON"
	}
	return []Out{
		inText(u.name+"/binary_sensor/water_leak/state", true, state),
		inText(u.name+"/sensor/wifi_signal/state", false, strconv.Itoa(-80+int(m.Value*30))),
	}
}

// shellyGas is a detector of the first generation.
func shellyGas(u *Unit, m Moment) []Out {
	alarm := "none"
	if m.Alarm {
		alarm = "heavy"
	}
	return []Out{
		inText("shellies/"+u.name+"/sensor/operation", false, "normal"),
		inText("shellies/"+u.name+"/sensor/gas", false, alarm),
		inText("shellies/"+u.name+"/sensor/concentration", false, strconv.Itoa(int(40*m.Value))),
	}
}

// shellySmoke is a detector of a later generation.
func shellySmoke(u *Unit, m Moment) []Out {
	return []Out{inJSON(u.name+"/events/rpc", false, map[string]any{
		"src": u.name, "dst": u.name + "/events", "method": "NotifyFullStatus",
		"params": map[string]any{
			"ts":            float64(m.At.UnixMilli()) / 1000,
			"smoke:0":       map[string]any{"id": 0, "alarm": m.Alarm, "mute": false},
			"devicepower:0": map[string]any{"id": 0, "battery": map[string]any{"V": 3.0, "percent": m.Battery}, "external": map[string]any{"present": false}},
		},
	})}
}

// homeAssistant announces itself with each hundredth message, and says its state.
func homeAssistant(u *Unit, m Moment) []Out {
	state := "OFF"
	if m.Alarm {
		state = "ON"
	}
	out := []Out{inText(u.home+"/"+u.name+"/motion", false, state)}
	if m.Serial%100 != 1 {
		return out
	}
	config := inJSON("homeassistant/binary_sensor/"+u.name+"/motion/config", true, map[string]any{
		"name": "motion", "uniq_id": u.name + "-motion", "dev_cla": "motion",
		"stat_t": u.home + "/" + u.name + "/motion", "avty_t": u.home + "/availability",
		"dev": map[string]any{"ids": []string{u.name}, "name": u.name, "mf": "Simulated", "mdl": "PIR-1"},
	})
	return append([]Out{config}, out...)
}

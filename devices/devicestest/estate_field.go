package devicestest

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math"
	"strconv"
	"time"

	"stationd/agent/station"
)

// The families of the field: LoRaWAN, plant controllers, gateways, cameras with
// analytics, and what comes in the clouds' words.

func fieldStocks() []stock {
	hour := time.Hour
	return []stock{
		{40, "chirpstack", station.ClassManhole, station.KindManhole, station.PowerLoRa, hour, "井盖", "lora", 40, chirpstack(func(m Moment) map[string]any {
			return map[string]any{"battery": m.Battery, "tilt": yes(m.Alarm, "tilt", "normal"), "manhole": m.Alarm}
		}), eui},
		{20, "chirpstack", station.ClassWater, station.KindWater, station.PowerLoRa, hour, "水浸(星纵)", "lora", 40, chirpstack(func(m Moment) map[string]any {
			return map[string]any{"battery": m.Battery, "leakage_status": yes(m.Alarm, "leak", "normal")}
		}), eui},
		{20, "tts", station.ClassDoor, station.KindDoor, station.PowerLoRa, hour, "门磁(LoRa)", "tts", 20, tts, byName},
		{20, "sparkplug", station.ClassTemperature, "", station.PowerMains, time.Minute, "水泵房温度", "plant", 10, sparkplugData, inPlant},
		{20, "thingsboard", station.ClassTemperature, "", station.PowerMains, time.Minute, "机房温度", "tb", 20, thingsboard, byName},
		{10, "frigate", station.ClassMotion, station.KindMotion, station.PowerMains, 10 * time.Minute, "禁区闯入", "frigate", 10, frigate, byName},
		{10, "alink", station.ClassSmoke, station.KindSmoke, station.PowerBattery, 12 * hour, "NB 烟感(阿里)", "", 1, alink, func(u *Unit) string { return "a1Sim/" + u.name }},
		{10, "iotda", station.ClassGas, station.KindGas, station.PowerMains, 5 * time.Minute, "燃气(华为)", "", 1, iotda, byName},
		{10, "onenet", station.ClassLevel, "", station.PowerMains, 5 * time.Minute, "液位(移动)", "", 1, onenet, func(u *Unit) string { return "SimPID/" + u.name }},
		{10, "kingpigeon", station.ClassLevel, "", station.PowerMains, 5 * time.Minute, "积水(RTU)", "", 1, kingPigeon, byName},
	}
}

func yes(on bool, word, other string) string {
	if on {
		return word
	}
	return other
}

// eui is a device's 64-bit identifier, always the same for the same name.
func eui(u *Unit) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(u.name))
	return hex.EncodeToString(h.Sum(nil))
}

func inPlant(u *Unit) string { return "estate/" + u.home + "/" + u.name }

func chirpstack(object func(Moment) map[string]any) func(*Unit, Moment) []Out {
	return func(u *Unit, m Moment) []Out {
		id := eui(u)
		return []Out{inJSON("application/7f3a/device/"+id+"/event/up", false, map[string]any{
			"deduplicationId": fmt.Sprintf("%s-%d", id, m.Serial), "time": m.At.UTC().Format(time.RFC3339Nano),
			"deviceInfo": map[string]any{"applicationId": "7f3a", "deviceName": u.name, "devEui": id, "deviceProfileName": "sim"},
			"devAddr":    "00189440", "fCnt": m.Serial, "fPort": 85, "dr": 5, "object": object(m),
			"rxInfo": []any{map[string]any{"gatewayId": "0016c001f153a14c", "rssi": -100 + int(m.Value*40), "snr": tenth(-5 + 10*m.Value)}},
		})}
	}
}

func tts(u *Unit, m Moment) []Out {
	return []Out{inJSON("v3/estate@ttn/devices/"+u.name+"/up", false, map[string]any{
		"end_device_ids": map[string]any{"device_id": u.name, "application_ids": map[string]any{"application_id": "estate"}, "dev_eui": eui(u)},
		"received_at":    m.At.UTC().Format(time.RFC3339Nano),
		"uplink_message": map[string]any{
			"f_port": 85, "f_cnt": m.Serial,
			"decoded_payload": map[string]any{"battery": m.Battery, "magnet_status": yes(m.Alarm, "open", "close"), "tamper_status": "installed"},
			"rx_metadata":     []any{map[string]any{"rssi": -90, "snr": 7.5}},
		},
	})}
}

func thingsboard(u *Unit, m Moment) []Out {
	return []Out{inJSON("v1/gateway/telemetry", false, map[string]any{
		u.name: []any{map[string]any{"ts": m.At.UnixMilli(), "values": map[string]any{"temperature": tenth(20 + 10*m.Value), "humidity": tenth(40 + 20*m.Value)}}},
	})}
}

func frigate(u *Unit, m Moment) []Out {
	if !m.Alarm {
		return []Out{inText("frigate/available", true, "online")}
	}
	id := fmt.Sprintf("%d.%06d-sim", m.At.Unix(), m.Serial)
	after := map[string]any{
		"id": id, "camera": u.name, "frame_time": float64(m.At.UnixMilli()) / 1000, "label": "person", "sub_label": nil, "top_score": 0.86, "score": 0.84,
		"false_positive": false, "start_time": float64(m.At.UnixMilli()) / 1000, "end_time": nil, "current_zones": []string{"forbidden"}, "entered_zones": []string{"forbidden"},
	}
	return []Out{inJSON("frigate/events", false, map[string]any{"type": "new", "before": after, "after": after})}
}

func alink(u *Unit, m Moment) []Out {
	return []Out{inJSON("/sys/a1Sim/"+u.name+"/thing/event/property/post", false, map[string]any{
		"id": strconv.Itoa(m.Serial), "version": "1.0", "method": "thing.event.property.post",
		"params": map[string]any{
			"SmokeSensorState":  map[string]any{"value": map[bool]int{true: 1}[m.Alarm], "time": m.At.UnixMilli()},
			"BatteryPercentage": map[string]any{"value": m.Battery, "time": m.At.UnixMilli()},
		},
	})}
}

func iotda(u *Unit, m Moment) []Out {
	return []Out{inJSON("$oc/devices/"+u.name+"/sys/properties/report", false, map[string]any{
		"services": []any{map[string]any{
			"service_id": "Gas", "properties": map[string]any{"gas": yes(m.Alarm, "alarm", "normal"), "concentration": int(30 * m.Value)},
			"event_time": m.At.UTC().Format("20060102T150405Z"),
		}},
	})}
}

func onenet(u *Unit, m Moment) []Out {
	return []Out{inJSON("$sys/SimPID/"+u.name+"/thing/property/post", false, map[string]any{
		"id": strconv.Itoa(m.Serial), "version": "1.0",
		"params": map[string]any{"level": map[string]any{"value": tenth(2 * m.Value), "time": m.At.UnixMilli()}},
	})}
}

func kingPigeon(u *Unit, m Moment) []Out {
	return []Out{inJSON(u.name, false, map[string]any{
		"sensorDatas": []any{map[string]any{"flag": "AI1", "value": strconv.Itoa(int(20 * m.Value))}},
		"time":        strconv.FormatInt(m.At.Unix(), 10), "addTime": m.At.Format("2006-01-02 15:04:05"), "retransmit": "disable",
	})}
}

// A Sparkplug payload is a protobuf message (Eclipse Sparkplug 3.0, section 6.4):
// timestamp 1, metrics 2, seq 3; of a metric name 1, alias 2, timestamp 3,
// datatype 4, long 11, double 13.

func varint(b []byte, x uint64) []byte {
	for x >= 0x80 {
		b, x = append(b, byte(x)|0x80), x>>7
	}
	return append(b, byte(x))
}

func field(b []byte, number, wire uint64) []byte { return varint(b, number<<3|wire) }

func bytesField(b []byte, number uint64, v []byte) []byte {
	return append(varint(field(b, number, 2), uint64(len(v))), v...)
}

const (
	sparkplugUint64 = 8
	sparkplugDouble = 10
)

func sparkplugMessage(at time.Time, seq int, metrics ...[]byte) []byte {
	b := varint(field(nil, 1, 0), uint64(at.UnixMilli()))
	for _, m := range metrics {
		b = bytesField(b, 2, m)
	}
	if seq >= 0 {
		b = varint(field(b, 3, 0), uint64(seq))
	}
	return b
}

func sparkplugLong(name string, v uint64) []byte {
	b := bytesField(nil, 1, []byte(name))
	b = varint(field(b, 4, 0), sparkplugUint64)
	return varint(field(b, 11, 0), v)
}

func sparkplugNumber(name string, v float64) []byte {
	b := bytesField(nil, 1, []byte(name))
	b = varint(field(b, 4, 0), sparkplugDouble)
	b = field(b, 13, 1)
	bits := math.Float64bits(v)
	for range 8 {
		b, bits = append(b, byte(bits)), bits>>8
	}
	return b
}

// greetSparkplug gives an edge node its birth and its death certificate.
func greetSparkplug(l *Line, u *Unit) {
	node := u.home
	l.bridge = func(now time.Time) []Out {
		return []Out{{Topic: "spBv1.0/estate/NBIRTH/" + node, Payload: sparkplugMessage(now, 0, sparkplugLong("bdSeq", 0))}}
	}
	l.Will = &Out{Topic: "spBv1.0/estate/NDEATH/" + node, Payload: sparkplugMessage(time.Unix(0, 0), -1, sparkplugLong("bdSeq", 0))}
}

// sparkplugData is born with each hundredth message, and otherwise says data.
// The sequence of a node is shared by its devices; here it stands still, since
// what has no sequence cannot miss one.
func sparkplugData(u *Unit, m Moment) []Out {
	verb := "DDATA"
	if m.Serial%100 == 1 {
		verb = "DBIRTH"
	}
	return []Out{{
		Topic:   "spBv1.0/estate/" + verb + "/" + u.home + "/" + u.name,
		Payload: sparkplugMessage(m.At, -1, sparkplugNumber("Temperature", tenth(25+15*m.Value))),
	}}
}

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stationd/agent/station"
	"stationd/devices/devicestest"
)

// said is one message of a written conversation. In its text {ms}, {s}, {iso},
// {compact} and {us} are the moment, in the ways of the formats, and {n} counts what is sent.
type said struct {
	topic, text string
	retain      bool
	bytes       func(at time.Time, n int) []byte // in place of the text
}

func (m said) payload(at time.Time, n int) []byte {
	if m.bytes != nil {
		return m.bytes(at, n)
	}
	at = at.UTC()
	return []byte(strings.NewReplacer(
		"{ms}", strconv.FormatInt(at.UnixMilli(), 10), "{s}", strconv.FormatInt(at.Unix(), 10), "{iso}", at.Format(time.RFC3339Nano),
		"{compact}", at.Format("20060102T150405Z"), "{us}", at.Format("15:04:05 01/02/2006 UTC"), "{n}", strconv.Itoa(n),
	).Replace(m.text))
}

// talk is how a device of a family is calm, alarms, and goes and comes back with
// what brings it; the formats are those of the golden conversations.
type talk struct {
	name, family, device, class string
	kind                        station.AlarmKind
	rules                       []station.Rule
	calm, alarm, down, up       []said
}

// born is a Sparkplug message.
func born(seq, bd int, smoke any) func(time.Time, int) []byte {
	return func(at time.Time, _ int) []byte {
		p := devicestest.SparkplugPayload{Timestamp: uint64(at.UnixMilli())}
		if seq >= 0 {
			n := uint64(seq)
			p.Seq = &n
		}
		if bd >= 0 {
			p.Metrics = append(p.Metrics, devicestest.SparkplugMetric{Name: "bdSeq", Type: 8, Value: float64(bd)})
		}
		if smoke != nil {
			p.Metrics = append(p.Metrics, devicestest.SparkplugMetric{Name: "Smoke", Type: 11, Timestamp: uint64(at.UnixMilli()), Value: smoke})
		}
		return p.Encode()
	}
}

func one(topic, text string) []said  { return []said{{topic: topic, text: text}} }
func kept(topic, text string) []said { return []said{{topic: topic, text: text, retain: true}} }

const (
	chirpUp = `{"deduplicationId":"d-{n}","time":"{iso}","deviceInfo":{"applicationId":"a1","deviceProfileName":"WS101","deviceName":"地库水浸","devEui":"24e124136a0000%02d","tags":{}},"fCnt":{n},"fPort":85,"object":{%s},"rxInfo":[{"gatewayId":"g","rssi":-80,"snr":7}]}`
	ttsUp   = `{"end_device_ids":{"device_id":"leak-1","application_ids":{"application_id":"estate"},"dev_eui":"24E124136A000001"},"received_at":"{iso}","uplink_message":{"f_port":85,"f_cnt":{n},"decoded_payload":{"leakage_status":"%s","battery":90}}}`
	fire    = `{"type":"%s","before":{},"after":{"id":"1790000300.5-jkl","camera":"south_gate","frame_time":{s}.25,"label":"fire","sub_label":null,"top_score":0.91,"false_positive":false,"start_time":{s}.1,"end_time":%s,"score":0.88,"current_zones":[],"entered_zones":[],"stationary":false}}`
)

// talks has every family that comes with the program and speaks MQTT.
func talks() []talk {
	return []talk{
		{
			name: "zigbee2mqtt", family: "zigbee2mqtt", device: "zigbee2mqtt/kitchen", class: station.ClassSmoke, kind: station.KindSmoke,
			calm:  append(kept("zigbee2mqtt/bridge/state", `{"state":"online"}`), kept("zigbee2mqtt/kitchen", `{"smoke":false,"battery":80}`)...),
			alarm: kept("zigbee2mqtt/kitchen", `{"smoke":true,"battery":80}`),
			down:  kept("zigbee2mqtt/bridge/state", `{"state":"offline"}`), up: kept("zigbee2mqtt/bridge/state", `{"state":"online"}`),
		},
		{
			name: "tasmota", family: "tasmota", device: "zbbridge/0xE30B", class: station.ClassDoor, kind: station.KindDoor,
			calm:  append(kept("tele/zbbridge/LWT", "Online"), one("tele/zbbridge/SENSOR", `{"ZbReceived":{"0xE30B":{"Device":"0xE30B","Contact":0,"Endpoint":1}}}`)...),
			alarm: one("tele/zbbridge/SENSOR", `{"ZbReceived":{"0xE30B":{"Device":"0xE30B","Contact":1,"Endpoint":1}}}`),
			down:  kept("tele/zbbridge/LWT", "Offline"), up: kept("tele/zbbridge/LWT", "Online"),
		},
		{
			name: "esphome", family: "esphome", device: "hall", class: station.ClassSmoke, kind: station.KindSmoke,
			calm:  append(kept("hall/status", "online"), kept("hall/binary_sensor/smoke/state", "OFF")...),
			alarm: kept("hall/binary_sensor/smoke/state", "ON"),
			down:  kept("hall/status", "offline"), up: kept("hall/status", "online"),
		},
		{
			name: "homeassistant", family: "homeassistant", device: "tank-1", class: station.ClassWater, kind: station.KindWater,
			calm: append(kept("homeassistant/binary_sensor/0x1/leak/config", `{"~":"tank/1","name":"Leak","dev_cla":"moisture","stat_t":"~/leak","avty_t":"~/status","uniq_id":"t1","dev":{"ids":"tank-1","name":"Tank"}}`),
				append(kept("tank/1/status", "online"), kept("tank/1/leak", "OFF")...)...),
			alarm: kept("tank/1/leak", "ON"),
			down:  kept("tank/1/status", "offline"), up: kept("tank/1/status", "online"),
		},
		{
			name: "shelly-1", family: "shelly", device: "shellysmoke-ABC123", class: station.ClassSmoke, kind: station.KindSmoke,
			calm:  append(kept("shellies/shellysmoke-ABC123/online", "true"), kept("shellies/shellysmoke-ABC123/sensor/smoke", "false")...),
			alarm: kept("shellies/shellysmoke-ABC123/sensor/smoke", "true"),
			down:  kept("shellies/shellysmoke-ABC123/online", "false"), up: kept("shellies/shellysmoke-ABC123/online", "true"),
		},
		{
			name: "shelly-2", family: "shelly", device: "shellyplussmoke-a1b2c3", class: station.ClassSmoke, kind: station.KindSmoke,
			calm:  append(kept("shellyplussmoke-a1b2c3/online", "true"), one("shellyplussmoke-a1b2c3/status/smoke:0", `{"id":0,"alarm":false,"mute":false}`)...),
			alarm: one("shellyplussmoke-a1b2c3/events/rpc", `{"src":"shellyplussmoke-a1b2c3","dst":"x/events","method":"NotifyStatus","params":{"ts":{s}.43,"smoke:0":{"id":0,"alarm":true,"mute":false}}}`),
			down:  kept("shellyplussmoke-a1b2c3/online", "false"), up: kept("shellyplussmoke-a1b2c3/online", "true"),
		},
		{
			name: "sparkplug", family: "sparkplug", device: "plant/edge/d1", class: station.ClassSmoke, kind: station.KindSmoke,
			calm:  []said{{topic: "spBv1.0/plant/NBIRTH/edge", bytes: born(0, 4, nil)}, {topic: "spBv1.0/plant/DBIRTH/edge/d1", bytes: born(1, -1, false)}},
			alarm: []said{{topic: "spBv1.0/plant/DBIRTH/edge/d1", bytes: born(-1, -1, true)}},
			down:  []said{{topic: "spBv1.0/plant/NDEATH/edge", bytes: born(-1, 4, nil)}}, up: []said{{topic: "spBv1.0/plant/NBIRTH/edge", bytes: born(0, 4, nil)}, {topic: "spBv1.0/plant/DBIRTH/edge/d1", bytes: born(1, -1, true)}},
		},
		{
			name: "chirpstack", family: "chirpstack", device: "24e124136a000001", class: station.ClassWater, kind: station.KindWater,
			calm:  one("application/a1/device/24e124136a000001/event/up", fmt.Sprintf(chirpUp, 1, `"water":false,"battery":90`)),
			alarm: one("application/a1/device/24e124136a000001/event/up", fmt.Sprintf(chirpUp, 1, `"water":true,"battery":90`)),
		},
		{
			name: "milesight", family: "chirpstack", device: "24e124136a000002", class: station.ClassWater, kind: station.KindWater,
			calm:  one("application/a1/device/24e124136a000002/event/up", fmt.Sprintf(chirpUp, 2, `"leakage_status":"normal","battery":90`)),
			alarm: one("application/a1/device/24e124136a000002/event/up", fmt.Sprintf(chirpUp, 2, `"leakage_status":"leak","battery":90`)),
		},
		{
			name: "tts", family: "tts", device: "leak-1", class: station.ClassWater, kind: station.KindWater,
			calm:  one("v3/estate@t1/devices/leak-1/up", fmt.Sprintf(ttsUp, "normal")),
			alarm: one("v3/estate@t1/devices/leak-1/up", fmt.Sprintf(ttsUp, "leak")),
		},
		{
			name: "thingsboard", family: "thingsboard", device: "leak-7", class: station.ClassWater, kind: station.KindWater,
			calm:  append(one("v1/gateway/connect", `{"device":"leak-7"}`), one("v1/gateway/telemetry", `{"leak-7":[{"ts":{ms},"values":{"water":false}}]}`)...),
			alarm: one("v1/gateway/telemetry", `{"leak-7":[{"ts":{ms},"values":{"water":true}}]}`),
			down:  one("v1/gateway/disconnect", `{"device":"leak-7"}`), up: one("v1/gateway/connect", `{"device":"leak-7"}`),
		},
		{
			name: "frigate", family: "frigate", device: "south_gate/smoke", class: station.ClassSmoke, kind: station.KindSmoke,
			calm:  kept("frigate/available", "online"),
			alarm: one("frigate/events", fmt.Sprintf(fire, "new", "null")),
			down:  kept("frigate/available", "offline"), up: kept("frigate/available", "online"),
		},
		{
			name: "alink", family: "alink", device: "a1Zx/smoke-12", class: station.ClassSmoke, kind: station.KindSmoke,
			alarm: one("/sys/a1Zx/smoke-12/thing/event/smokeAlarm/post", `{"id":"{n}","version":"1.0","method":"thing.event.smokeAlarm.post","params":{"value":{"concentration":4.2},"time":{ms}}}`),
		},
		{
			name: "iotda", family: "iotda", device: "64a0_smoke12", class: station.ClassSmoke, kind: station.KindSmoke,
			alarm: one("$oc/devices/64a0_smoke12/sys/events/up", `{"object_device_id":"64a0_smoke12","services":[{"service_id":"smokeDetector","event_type":"smokeAlarm","event_time":"{compact}","paras":{"concentration":91}}]}`),
		},
		{
			name: "onenet", family: "onenet", device: "P5s/smoke-12", class: station.ClassSmoke, kind: station.KindSmoke,
			alarm: one("$sys/P5s/smoke-12/thing/event/post", `{"id":"{n}","version":"1.0","params":{"smokeAlarm":{"value":{"concentration":3.1},"time":{ms}}}}`),
		},
		{
			name: "shadow", family: "shadow", device: "leak-3", class: station.ClassWater, kind: station.KindWater,
			calm:  one("$aws/things/leak-3/shadow/update", `{"state":{"reported":{"water":0,"battery":81}},"clientToken":"t{n}"}`),
			alarm: one("$aws/things/leak-3/shadow/update", `{"state":{"reported":{"water":1,"battery":81}},"clientToken":"t{n}"}`),
		},
		{
			name: "tuya", family: "tuya", device: "bf12smoke", class: station.ClassSmoke, kind: station.KindSmoke,
			calm:  one("tuya/bf12smoke/status", `{"devId":"bf12smoke","t":{ms},"status":[{"code":"smoke_sensor_status","value":"normal","t":{ms}}]}`),
			alarm: one("tuya/bf12smoke/status", `{"devId":"bf12smoke","t":{ms},"status":[{"code":"smoke_sensor_status","value":"alarm","t":{ms}}]}`),
		},
		{
			name: "kingpigeon", family: "kingpigeon", device: "2021051001", class: station.ClassOther, kind: station.KindLevel,
			rules: []station.Rule{{Kind: station.KindLevel, Field: "alarm", Op: "eq", Value: true}},
			calm:  one("2021051001", `{"sensorDatas":[{"flag":"DI1","switcher":0}],"time":"{us}","state":"recovery"}`),
			alarm: one("2021051001", `{"sensorDatas":[{"flag":"DI1","switcher":1}],"time":"{us}","state":"alarm"}`),
		},
		{
			name: "json", family: "json", class: station.ClassSmoke, kind: station.KindSmoke,
			calm:  kept("own/kitchen", `{"s":{"smoke":0},"t":{ms}}`),
			alarm: kept("own/kitchen", `{"s":{"smoke":1},"t":{ms}}`),
		},
	}
}

// TestWrittenConversations: a device of every family alarms through a real
// Mosquitto, and stays so. Whatever then happens to the station, the broker, the
// bridges and the messages, that is one alarm; what is away is told once.
func TestWrittenConversations(t *testing.T) {
	r := &newsRig{t: t, mosquitto: devicestest.StartMosquitto(t, "autosave_on_changes false", "autosave_interval 1", "sys_interval 0")}
	r.cfg = quietPorts(demoConfig(t.TempDir(), "written", "示范村工作站", 0))
	r.cfg.Devices.ComeBack = 2 * time.Second
	r.cfg.Station.Alarms.Flood = 1000 // that many alarm at once is not what is asked here
	r.start()
	defer func() { r.stop() }()
	broker := station.BrokerOrder{Broker: station.Broker{ID: "yard", URL: r.mosquitto.URL(), Topics: []string{"#", "$sys/#", "$oc/#", "$aws/#"}}}
	r.order(station.CommandPutBroker, "yard", broker)
	all := talks()
	for _, c := range all {
		sn := station.Sensor{ID: c.name, Name: c.name, Place: "1号楼 " + c.name, Class: c.class, Rules: c.rules, Source: station.SensorSource{Broker: "yard", Family: c.family, Device: c.device}}
		if c.family == "json" {
			sn.Source.Topic, sn.Source.Fields = c.alarm[0].topic, map[string]string{"smoke": "s.smoke", "time": "t"}
		}
		r.order(station.CommandPutSensor, c.name, sn)
	}
	r.linked(true)
	line, err := devicestest.Connect(t.Context(), devicestest.Config{URL: r.mosquitto.URL(), ClientID: "all-of-them"}, paho.NewClientOptions().SetCleanSession(false))
	if err != nil {
		t.Fatal(err)
	}
	defer line.Disconnect(20)
	n := 0
	type sent struct {
		topic   string
		retain  bool
		payload []byte
	}
	var last []sent // of every family, word for word
	publish := func(list []sent) {
		t.Helper()
		for _, m := range list {
			if tok := line.Publish(m.topic, 1, m.retain, m.payload); !tok.WaitTimeout(20*time.Second) || tok.Error() != nil {
				t.Fatalf("not published: %v", tok.Error())
			}
		}
	}
	say := func(part func(talk) []said) {
		t.Helper()
		last = nil
		for _, c := range all {
			for _, m := range part(c) {
				n++
				last = append(last, sent{m.topic, m.retain, m.payload(time.Now(), n)})
			}
		}
		publish(last)
	}
	calm, alarm := func(c talk) []said { return c.calm }, func(c talk) []said { return c.alarm }

	say(calm)
	r.settle()
	if got := r.alarms(); len(got) > 0 {
		t.Fatalf("alarms before anything happened: %v", got)
	}
	say(alarm)
	r.settle()
	known := r.alarms()
	for _, c := range all {
		if known[c.name+" "+string(c.kind)] != 1 {
			t.Errorf("%s raised %d alarms", c.name, known[c.name+" "+string(c.kind)])
		}
	}
	if len(known) != len(all) {
		t.Errorf("%d alarms of %d: %v", len(known), len(all), known)
	}
	live, err := r.node.agent.LiveAlarms()
	if err != nil {
		t.Fatal(err)
	}
	if len(live) != len(all) {
		text, _ := json.Marshal(live)
		t.Errorf("%d of %d are shown as new: %s", len(live), len(all), text)
	}
	nothingNew := func(t *testing.T) {
		t.Helper()
		r.settle()
		if got := r.alarms(); !maps.Equal(got, known) {
			for k, times := range got {
				if times != known[k] {
					t.Errorf("%s: %d alarms, %d were known", k, times, known[k])
				}
			}
			known = got
		}
	}
	back := func() { r.eventually("the devices' line", line.IsConnectionOpen) }
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"said again", func() { say(alarm) }},
		{"word for word, as a network delivers twice", func() { publish(last) }},
		{"the station is started again", func() { r.stop(); r.start(); r.linked(true) }},
		{"and they say it again", func() { say(alarm) }},
		{"the station reconnects, and is told what is retained", func() {
			r.order(station.CommandRemoveBroker, "yard", nil)
			r.linked(false)
			r.order(station.CommandPutBroker, "yard", broker)
			r.linked(true)
		}},
		{"the broker is started again", func() { r.mosquitto.Stop(); r.linked(false); r.mosquitto.Start(); r.linked(true); back() }},
		{"and they say it again, and are taken at their word twice", func() { say(alarm); publish(last) }},
		{"delivered twice: the station ends before it has answered", func() {
			r.stop()
			say(alarm)
			r.start()
			r.stop() // in the middle of it
			r.start()
			r.linked(true)
		}},
		{"what brings them goes and is back at once", func() {
			say(func(c talk) []said { return c.down })
			say(func(c talk) []said { return c.up })
			time.Sleep(2 * r.cfg.Devices.ComeBack)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.do()
			nothingNew(t)
		})
	}
	t.Run("what brings them is away, and back", func(t *testing.T) {
		say(func(c talk) []said { return c.down })
		r.settle()
		time.Sleep(2 * r.cfg.Devices.ComeBack)
		now := r.alarms()
		for k, times := range now {
			if times != known[k] && (times != known[k]+1 || !strings.HasSuffix(k, " offline")) {
				t.Errorf("%s: %d alarms, %d were known", k, times, known[k])
			}
		}
		t.Logf("%d are told as away", len(now)-len(known))
		known = now
		say(func(c talk) []said { return c.up })
		say(alarm)
		nothingNew(t)
	})
	t.Run("and what ends does not alarm", func(t *testing.T) {
		say(calm)
		r.settle()
		r.stop()
		r.start()
		r.linked(true)
		nothingNew(t)
	})
}

package payload_test

import (
	"testing"
	"time"

	"stationd/devices/payload"
)

// BenchmarkDecode is what one message costs, family by family.
func BenchmarkDecode(b *testing.B) {
	mapping, problems := payload.ParseMapping("greenhouse.yaml", []byte(worked))
	if mapping == nil {
		b.Fatal(problems)
	}
	for _, c := range []struct {
		name         string
		family       payload.Family
		first        [2]string
		topic, bytes string
	}{
		{"zigbee2mqtt", payload.NewZigbee2MQTT(), [2]string{}, "zigbee2mqtt/3-1202/kitchen", `{"smoke":false,"battery":93,"battery_low":false,"tamper":false,"linkquality":134}`},
		{"tasmota", payload.Tasmota{}, [2]string{}, "tele/shed/SENSOR", `{"Time":"2026-01-01T10:13:52","AM2301":{"Temperature":21,"Humidity":45.2,"DewPoint":8.6},"TempUnit":"C"}`},
		{"esphome", payload.ESPHome{}, [2]string{}, "hall/sensor/temperature/state", "21.5"},
		{"shelly", payload.Shelly{}, [2]string{}, "shellyplussmoke-a1/events/rpc", `{"src":"shellyplussmoke-a1","dst":"x","method":"NotifyStatus","params":{"ts":1767225600.43,"smoke:0":{"id":0,"alarm":false,"mute":false}}}`},
		{
			"homeassistant", payload.NewHomeAssistant(""),
			[2]string{"homeassistant/binary_sensor/b/smoke/config", `{"device_class":"smoke","state_topic":"b","value_template":"{{ 'ON' if value_json.s | float(0) > 20 else 'OFF' }}","device":{"identifiers":["b"]}}`},
			"b", `{"s":17.5,"bat":93}`,
		},
		{"mapping", mapping, [2]string{}, "greenhouse/g7/data", `{"type":"measure","seq":17,"body":{"sensors":[{"no":1,"t":"215 C","state":"quiet","bat":0.93}]}}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			session := c.family.Open()
			if c.first[0] != "" {
				if _, err := session.Decode(payload.Message{Topic: c.first[0], Payload: []byte(c.first[1])}); err != nil {
					b.Fatal(err)
				}
			}
			m := payload.Message{Topic: c.topic, Payload: []byte(c.bytes), Received: time.Unix(1767225600, 0)}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := session.Decode(m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

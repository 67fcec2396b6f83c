package devices_test

import (
	"fmt"
	"log/slog"
	"testing"

	"stationd/agent/station"
	"stationd/devices"
	"stationd/devices/payload"
)

// BenchmarkHandle is what a message costs between broker and agent, among 500
// sensors and all built-in families.
func BenchmarkHandle(b *testing.B) {
	var sensors []station.Sensor
	for i := range 500 {
		name := fmt.Sprintf("zigbee2mqtt/s%d", i)
		sensors = append(sensors, station.Sensor{
			ID: fmt.Sprintf("s%d", i), Name: name, Class: station.ClassTemperature, Adopted: true,
			Source: station.SensorSource{Broker: station.EmbeddedBroker, Topic: name, Family: payload.FamilyZigbee2MQTT},
		})
	}
	s := devices.New(devices.DefaultConfig(), devices.Deps{Node: "n1", Sink: nothing{}, Log: slog.New(slog.DiscardHandler)})
	s.Apply(devices.Registry{Sensors: sensors})
	for name, topic := range map[string]string{"read": "zigbee2mqtt/s%d", "unrouted": "street/%d"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n++
				body := `{"temperature":21.` + fmt.Sprint(n%100) + `,"humidity":40,"battery":90,"linkquality":120}`
				if err := s.Hear(b.Context(), fmt.Sprintf(topic, n%500), body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package devices_test

import (
	"strings"
	"testing"

	"stationd/agent/station"
	"stationd/devices"
	"stationd/devices/devicestest"
)

// TestAFloodLosesNoAlarm: a device that sends far more than it may, at QoS 0, loses
// readings and no alarm and no end of one.
func TestAFloodLosesNoAlarm(t *testing.T) {
	account, password := devicestest.Account("z2m")
	cfg := config()
	cfg.Broker.MaxRate, cfg.Broker.MaxBurst = 5, 5
	d := &desk{}
	s := run(t, cfg, d, devices.Registry{Accounts: []station.BrokerAccount{account}, Sensors: []station.Sensor{z2m("t", station.ClassTemperature), z2m("a", station.ClassSmoke)}})
	c := device(t, s, "z2m", password)
	for i := range 300 {
		c.Publish("zigbee2mqtt/t", 0, false, `{"temperature":20}`)
		switch i {
		case 100:
			c.Publish("zigbee2mqtt/a", 0, false, `{"smoke":true}`)
		case 200:
			c.Publish("zigbee2mqtt/a", 0, false, `{"smoke":false}`)
		}
	}
	eventually(t, "every message", func() bool { return s.Stats().Messages == 302 })
	if got := d.signals("a"); got != "+smoke -smoke" {
		t.Errorf("got %q", got)
	}
	if n := strings.Count(d.signals("t"), "-temperature"); n > 100 {
		t.Errorf("%d readings passed", n)
	}
}

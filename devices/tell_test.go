package devices_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stationd/agent/station"
	"stationd/devices"
	"stationd/devices/broker"
	"stationd/devices/devicestest"
	"stationd/devices/payload"
)

// TestAStrangerBesideARegisteredDevice: a gateway's message speaks of devices that
// are registered and of some that are not; a fire is told of either.
func TestAStrangerBesideARegisteredDevice(t *testing.T) {
	for _, order := range []string{"a b", "b a"} {
		d := &desk{}
		s := withHub(d)
		s.Apply(devices.Registry{Sensors: []station.Sensor{hubSensor("a", station.ClassTemperature)}})
		var parts []string
		for _, device := range strings.Fields(order) {
			parts = append(parts, map[string]string{
				"a": `{"device":"a","values":{"temperature":20}}`, "b": `{"device":"b","values":{"smoke":true}}`,
			}[device])
		}
		hear(t, s, "hub/1/up", `{"readings":[`+strings.Join(parts, ",")+`]}`)
		fires := 0
		for _, r := range d.all() {
			if r.Unknown != nil && say(r.Signals) == "+smoke" {
				fires++
			}
		}
		if fires != 1 || len(d.all()) != 2 {
			t.Errorf("%s: %d fires in %d reports", order, fires, len(d.all()))
		}
	}
}

// TestATimeThatCannotBeStored does not keep a message coming again for ever: what
// the sink stores must be possible to write.
func TestATimeThatCannotBeStored(t *testing.T) {
	for _, at := range []string{"2026-01-01T00:00:00+24:00", "9999-12-31T23:59:59-23:00", "0000-01-01T00:00:00+23:00"} {
		d := &desk{}
		d.setRefuse(func(r station.Report) error {
			_, err := json.Marshal(r)
			return err
		})
		s := withHub(d)
		s.Apply(devices.Registry{Sensors: []station.Sensor{z2m("a", station.ClassSmoke)}})
		hear(t, s, "zigbee2mqtt/a", fmt.Sprintf(`{"smoke":true,"last_seen":%q}`, at))
		if d.signals("a") != "+smoke" {
			t.Errorf("%s: %q", at, d.signals("a"))
		}
	}
}

// TestALearnedTopicIsStillItsSensors: a description of somebody else's topic, by
// mistake or with intent, does not silence the sensor that is registered there.
func TestALearnedTopicIsStillItsSensors(t *testing.T) {
	d := &desk{}
	s := withHub(d)
	s.Apply(devices.Registry{Sensors: []station.Sensor{z2m("a", station.ClassSmoke)}, JoiningUntil: time.Now().Add(time.Minute)})
	hear(t, s, "homeassistant/binary_sensor/x/smoke/config", `{"state_topic":"zigbee2mqtt/a","device_class":"smoke","value_template":"{{ value_json.nothing }}","device":{"identifiers":["x"]}}`)
	hear(t, s, "zigbee2mqtt/a", `{"smoke":true}`)
	if d.signals("a") != "+smoke" {
		t.Errorf("got %q", d.signals("a"))
	}
	hear(t, s, "homeassistant/binary_sensor/y/smoke/config", `{"state_topic":"zigbee2mqtt/b","device_class":"smoke","payload_on":"on","payload_off":"off","device":{"identifiers":["y"]}}`)
	before := len(d.all())
	hear(t, s, "zigbee2mqtt/b", `on`)
	if all := d.all()[before:]; len(all) != 1 || all[0].Unknown == nil || all[0].Unknown.Source.Family != "homeassistant" {
		t.Errorf("what is learned and nobody's else: %+v", all)
	}
}

// TestABridgeBehindABridge that is away is one fault, however many stand between it
// and the sensors.
func TestABridgeBehindABridge(t *testing.T) {
	gateway, repeater := hubSensor("gateway", station.ClassOther), hubSensor("repeater", station.ClassOther)
	repeater.Bridge = "gateway"
	reg := devices.Registry{Sensors: []station.Sensor{gateway, repeater}}
	for i := range 5 {
		sn := hubSensor(fmt.Sprint("s", i), station.ClassTemperature)
		sn.Bridge, sn.Power = "repeater", station.PowerMains
		reg.Sensors = append(reg.Sensors, sn)
	}
	lives(t, reg, func(l *life) {
		for i := range 5 {
			l.says(fmt.Sprint("s", i), `,"values":{"temperature":20}`)
		}
		l.says("repeater", `,"values":{"battery":90}`)
		l.says("gateway", `,"bridge":true,"presence":"online"`)
		time.Sleep(time.Minute)
		l.says("gateway", `,"bridge":true,"presence":"offline"`)
		time.Sleep(30 * time.Hour)
		synctest.Wait()
		l.expect("gateway", 1, 0)
		l.expect("repeater", 0, 0)
		for i := range 5 {
			l.expect(fmt.Sprint("s", i), 0, 0)
		}
	})
}

// TestWhatWasSilentStaysGoneAfterARestart: that its will or its bridge holds it for
// present, from the broker's memory, is no sign of life, and no reason to miss it
// once more.
func TestWhatWasSilentStaysGoneAfterARestart(t *testing.T) {
	sn := hubSensor("a", station.ClassDoor)
	sn.Power = station.PowerBattery
	lives(t, devices.Registry{Sensors: []station.Sensor{sn}}, func(l *life) {
		l.says("a", `,"values":{"door":false}`)
		time.Sleep(30 * time.Hour)
		l.expect("a", 1, 0)
		l.restart()
		l.says("a", `,"via":"gw","presence":"online"`)
		time.Sleep(2 * time.Hour)
		l.expect("a", 1, 0)
		l.says("a", `,"values":{"door":false}`)
		l.expect("a", 1, 1)
	})
}

// TestWhereADescribedDeviceReports: the sensor that appears by a description has the
// topic of its states, so that an account of its own reaches there.
func TestWhereADescribedDeviceReports(t *testing.T) {
	d := &desk{}
	s := withHub(d)
	s.Apply(devices.Registry{JoiningUntil: time.Now().Add(time.Minute)})
	hear(t, s, "homeassistant/binary_sensor/box/smoke/config", `{"state_topic":"boxes/17/state","availability_topic":"boxes/17/up","device_class":"smoke","device":{"identifiers":["box"]}}`)
	if all := d.all(); len(all) != 1 || all[0].Unknown == nil || all[0].Unknown.Source.Topic != "boxes/17/state" {
		t.Errorf("got %+v", all)
	}
}

// TestACrowdThatCallsForHelp is heard, but does not become so many devices: a
// hostile one would bury the station in them.
func TestACrowdThatCallsForHelp(t *testing.T) {
	cfg := devices.DefaultConfig()
	cfg.Broker.Listen, cfg.MaxUnknown = "", 4
	d := &desk{}
	s := devices.New(cfg, devices.Deps{Node: "n", Sink: d, Families: payload.Families("", hub{}), Log: slog.New(slog.DiscardHandler)})
	known := map[string]station.Sensor{}
	for i := range 100 {
		hear(t, s, "hub/1/up", fmt.Sprintf(`{"readings":[{"device":"d%d","values":{"smoke":true}}]}`, i))
		for _, r := range d.all() { // as the core does
			if r.Unknown != nil {
				known[r.Sensor] = *r.Unknown
			}
		}
		var reg devices.Registry
		for _, sn := range known {
			reg.Sensors = append(reg.Sensors, sn)
			if err := s.Check(sn); err != nil {
				t.Fatal(err)
			}
		}
		s.Apply(reg)
		if all := d.all(); len(all) != i+1 || say(all[i].Signals) != "+smoke" {
			t.Fatalf("call %d was not heard: %+v", i, all)
		}
	}
	if len(known) > 40 {
		t.Errorf("%d devices", len(known))
	}
}

// TestARefusedDeviceIsNotOfferedAgainAndAgain: each offer is a commit.
func TestARefusedDeviceIsNotOfferedAgainAndAgain(t *testing.T) {
	d := &desk{}
	offers := 0
	d.setRefuse(func(r station.Report) error {
		if r.Unknown != nil && say(r.Signals) != "+smoke" {
			offers++
			return station.Errorf(507, "sensor.unknown", "", "too many")
		}
		return nil
	})
	s := withHub(d)
	s.Apply(devices.Registry{JoiningUntil: time.Now().Add(time.Hour)})
	for i := range 200 {
		hear(t, s, "hub/1/up", fmt.Sprintf(`{"readings":[{"device":"d%d","values":{"temperature":20}}]}`, i%10))
	}
	if offers > 10 || s.Stats().Strangers != 200 {
		t.Errorf("%d offers, %+v", offers, s.Stats())
	}
	hear(t, s, "hub/1/up", `{"readings":[{"device":"d1","values":{"smoke":true}}]}`)
	if all := d.all(); len(all) == 0 || say(all[len(all)-1].Signals) != "+smoke" {
		t.Error("the call for help is not heard")
	}
}

// TestAPanelWhoseClockIsSlow: how old its news is shows its own clock, which tells
// when it sends, and not ours: a fire of now is news of now.
func TestAPanelWhoseClockIsSlow(t *testing.T) {
	d := &desk{}
	s := withHub(d)
	s.Apply(devices.Registry{Sensors: []station.Sensor{hubSensor("a", station.ClassSmoke)}})
	at := func(ago time.Duration) string { return time.Now().Add(-ago).UTC().Format(time.RFC3339) }
	for _, c := range []struct {
		event, sent time.Duration
		late        bool
	}{{2*time.Hour + 3*time.Second, 2 * time.Hour, false}, {3 * time.Hour, 2 * time.Hour, true}, {3 * time.Hour, 0, true}, {0, -2 * time.Hour, true}} {
		hear(t, s, "hub/1/up", fmt.Sprintf(`{"readings":[{"device":"a","deviceTime":%q,"sentAt":%q,"values":{"smoke":true}}]}`, at(c.event), at(c.sent)))
		all := d.all()
		if r := all[len(all)-1]; r.Late != c.late {
			t.Errorf("%+v: late %t", c, r.Late)
		}
	}
}

// TestADescriptionOutlivesARestart: the device connects again and goes on, without
// describing itself once more.
func TestADescriptionOutlivesARestart(t *testing.T) {
	account, password := devicestest.Account("box")
	cfg := config()
	cfg.Broker.Retained = broker.NewFile(filepath.Join(t.TempDir(), "retained"))
	sn := station.Sensor{ID: "box", Name: "box", Class: station.ClassSmoke, Adopted: true, Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "homeassistant", Device: "box"}}
	reg := devices.Registry{Accounts: []station.BrokerAccount{account}, Sensors: []station.Sensor{sn}}
	life := func(f func(d *desk, c paho.Client)) {
		d := &desk{}
		s := devices.New(cfg, devices.Deps{Node: "n", Sink: d, Log: slog.New(slog.DiscardHandler)})
		s.Apply(reg)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		<-s.Ready()
		f(d, device(t, s, "box", password))
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	life(func(_ *desk, c paho.Client) {
		acked(t, c.Publish("homeassistant/binary_sensor/box/smoke/config", 1, true, `{"state_topic":"boxes/17/state","device_class":"smoke","device":{"identifiers":["box"]}}`))
		c.Disconnect(100)
	})
	life(func(d *desk, c paho.Client) {
		acked(t, c.Publish("boxes/17/state", 1, false, "ON"))
		c.Disconnect(100)
		if d.signals("box") != "+smoke" {
			t.Errorf("got %q", d.signals("box"))
		}
	})
}

// TestASerialThatNeverChanges: a device that numbers nothing and says the same again
// and again is there all the same.
func TestASerialThatNeverChanges(t *testing.T) {
	sn := hubSensor("a", station.ClassTemperature)
	sn.Power = station.PowerMains
	lives(t, devices.Registry{Sensors: []station.Sensor{sn}}, func(l *life) {
		for range 24 {
			l.says("a", `,"serial":"1","values":{"temperature":20}`)
			time.Sleep(5 * time.Minute)
		}
		l.expect("a", 0, 0)
		time.Sleep(time.Hour)
		l.expect("a", 1, 0)
		l.says("a", `,"serial":"1","values":{"temperature":20}`)
		l.expect("a", 1, 1)
	})
}

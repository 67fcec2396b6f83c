package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/devices/devicestest"
)

// fleet is the simulated sensors: as many neighbours of the household as are
// wanted, each with the payloads of its kind and a name of its own. Some share a
// connection, as the sensors behind one bridge do.
type fleet struct {
	devices []devicestest.Device
	base    string
	perLine int // devices on each line; the last line may have fewer
	lines   []*line
}

func newFleet(name, base string, count, perLine int) *fleet {
	f := &fleet{base: base, perLine: perLine}
	kinds := devicestest.Household()
	for i := range count {
		d := kinds[i%len(kinds)]
		d.Sensor.ID = fmt.Sprintf("%s-%s-%04d", name, d.Sensor.Class, i+1)
		d.Sensor.Name = fmt.Sprintf("模拟%s %d", d.Sensor.Name, i+1)
		d.Topic = d.Sensor.ID
		if d.Sensor.Source.Family == "json" {
			d.Topic = name + "/" + d.Sensor.ID
		}
		f.devices = append(f.devices, d)
	}
	return f
}

// sensors are the station's records of the fleet.
func (f *fleet) sensors() []station.Sensor {
	return devicestest.Sensors(devicestest.Config{Base: f.base, Devices: f.devices}).Registered()
}

// connect opens the lines. Their names at the broker are always the same, so
// that no sessions are left behind there but those of the largest fleet.
func (f *fleet) connect(ctx context.Context, cfg devicestest.Config, name string) error {
	for f.perLine*len(f.lines) < len(f.devices) {
		cfg.ClientID = fmt.Sprintf("%s-%d", name, len(f.lines)+1)
		l, err := openLine(ctx, cfg, nil)
		if err != nil {
			f.close()
			return err
		}
		f.lines = append(f.lines, l)
	}
	return nil
}

// on are the first sensor of a line and how many there are.
func (f *fleet) on(line int) (first, count int) {
	first = line * f.perLine
	return first, min(f.perLine, len(f.devices)-first)
}

// close closes all lines at once, each with a moment for what is on its way.
func (f *fleet) close() {
	var all sync.WaitGroup
	for _, l := range f.lines {
		all.Go(l.close)
	}
	all.Wait()
}

// message is what a sensor publishes now.
func (f *fleet) message(i int, alarm bool) (topic string, payload []byte, err error) {
	d := f.devices[i]
	say := d.Normal
	if alarm {
		say = d.Alarm
	}
	topic = d.Topic
	if d.Sensor.Source.Family == "zigbee2mqtt" {
		topic = f.base + "/" + topic
	}
	payload, err = json.Marshal(say(time.Now()))
	return topic, payload, err
}

// callers are the sensors whose alarms are taken in even when nobody has named
// them at the station yet.
func (f *fleet) callers() []int {
	var out []int
	for i, d := range f.devices {
		if station.AlarmKind(d.Sensor.Class).LifeSafety() {
			out = append(out, i)
		}
	}
	return out
}

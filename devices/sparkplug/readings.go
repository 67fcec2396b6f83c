package sparkplug

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"stationd/agent/station"
	"stationd/devices/payload"
)

// MaxReadings is how many readings one message makes at most: one for the
// present, one for each moment of the past, and one more whenever a field that
// has been set comes with another value.
const MaxReadings = 256

// seldom is how often a metric that does not change is heard: nodes report by
// exception, and their deaths tell when somebody is gone.
const seldom = 48 * time.Hour

// readings are the values of a message. Nothing of what it says one after the
// other is lost: a metric that comes twice makes two readings.
func readings(t topic, d *device, p message) []payload.Reading {
	var (
		list []payload.Reading
		at   = -1 // the reading being filled
		when time.Time
		past bool
	)
	begin := func() {
		r := payload.Reading{Device: t.name(), DeviceTime: when, Backlog: past, Interval: seldom, Values: map[string]station.Value{}}
		if t.device != "" {
			r.Via = t.nodeName()
		}
		list = append(list, r)
		at = len(list) - 1
	}
	metrics := inTime(p)
	for i := range metrics {
		m := &metrics[i]
		k := d.meaning(m)
		if k == nil || isControl(k.name) {
			continue
		}
		datatype := m.datatype
		if datatype == 0 {
			datatype = k.datatype
		}
		m.settle(datatype)
		if m.value == nil || m.hasQuality && m.quality != goodQuality {
			continue
		}
		moment := instant(p.timestamp)
		if m.historical || moment.IsZero() {
			moment = instant(m.timestamp)
		}
		if at < 0 || past != m.historical || m.historical && !moment.Equal(when) {
			if len(list) == MaxReadings {
				break
			}
			when, past = moment, m.historical
			begin()
		}
		if describe(&list[at], k.name, m.value) {
			continue
		}
		field, v, own := d.field(k, m)
		same, said := field, v
		if own != nil {
			same, said = clip(k.name), own
		}
		if was, set := list[at].Values[same]; set && was != said && len(list) < MaxReadings {
			begin()
		}
		if own != nil && m.historical { // what was remembered is of the present
			v = v == true || list[at].Values[field] == true
		}
		put(list[at].Values, field, v)
		if own != nil {
			put(list[at].Values, clip(k.name), own)
		}
	}
	list = slices.DeleteFunc(list, func(r payload.Reading) bool {
		return len(r.Values) == 0 && r.Maker == "" && r.Model == "" && r.Firmware == ""
	})
	// The sequence number alone comes again after 256 messages, and a time that
	// was never set comes with every birth.
	if p.hasSeq && !instant(p.timestamp).IsZero() {
		for i := range list {
			list[i].Serial = fmt.Sprintf("%d-%d-%d", p.timestamp, p.seq, i)
		}
	}
	return list
}

// inTime are the metrics with the past before the present, each in its order.
func inTime(p message) []metric {
	out := slices.Clone(p.metrics)
	slices.SortStableFunc(out, func(a, b metric) int {
		switch {
		case a.historical && b.historical:
			return cmp.Compare(a.timestamp, b.timestamp)
		case a.historical:
			return -1
		case b.historical:
			return 1
		}
		return 0
	})
	return out
}

// field is what a metric's value becomes. own is the metric's own value where
// the field is made of several metrics.
func (d *device) field(k *known, m *metric) (name string, v, own station.Value) {
	if k.field == "" {
		return clip(k.name), m.value, nil
	}
	if !yesOrNo(k.field) {
		return k.field, m.value, nil
	}
	yes, isBool := truth(m.value).(bool)
	if !isBool {
		if k.shared { // several numbers cannot be one
			return clip(k.name), m.value, nil
		}
		return k.field, m.value, nil
	}
	if !k.shared {
		return k.field, yes, nil
	}
	if m.historical {
		return k.field, yes, yes
	}
	on := d.on[k.field]
	if on == nil {
		on = map[string]bool{}
		d.on[k.field] = on
	}
	if yes && len(on) < MaxNodeMetrics {
		on[k.name] = true
	} else if !yes {
		delete(on, k.name)
	}
	return k.field, len(on) > 0, yes
}

// put sets a field if there is room for it. What an alarm may hang on always has
// room.
func put(values map[string]station.Value, field string, v station.Value) {
	if field == "" {
		return
	}
	if _, known := values[field]; known || len(values) < payload.MaxFields || yesOrNo(field) || field == payload.FieldBattery {
		values[field] = v
	}
}

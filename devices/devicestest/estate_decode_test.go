package devicestest_test

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/devices/broker"
	"stationd/devices/devicestest"
	"stationd/devices/payload"
	"stationd/devices/rule"
	"stationd/devices/sparkplug"
)

// listening is the families as one broker's messages reach them.
type listening struct {
	sessions map[string]payload.Session
	filters  map[string][]string
}

func listen(t *testing.T) *listening {
	t.Helper()
	c := payload.Families("", sparkplug.New())
	l := &listening{sessions: map[string]payload.Session{}, filters: map[string][]string{}}
	for _, name := range c.Names() {
		f, ok := c.Family(name)
		if !ok {
			t.Fatalf("the catalogue names %s and does not have it", name)
		}
		l.sessions[name], l.filters[name] = f.Open(), f.Filters()
	}
	return l
}

// hear returns what one family makes of a message, and which others understand it.
func (l *listening) hear(o devicestest.Out, family string, at time.Time) (mine []payload.Reading, others []string, err error) {
	heard := false
	for name, s := range l.sessions {
		matches := false
		for _, f := range l.filters[name] {
			matches = matches || broker.Match(f, o.Topic)
		}
		// Home Assistant's states lie on topics that only its discovery names.
		if !matches && !(name == family && family == "homeassistant") {
			continue
		}
		res, e := s.Decode(payload.Message{Topic: o.Topic, Payload: o.Payload, Retained: o.Retain, Received: at})
		switch {
		case errors.Is(e, payload.ErrIgnored):
			heard = heard || name == family
		case e != nil && name == family:
			return nil, nil, e
		case e == nil && name == family:
			mine, heard = res.Readings, true
		case e == nil && len(res.Readings) > 0:
			others = append(others, name)
		}
	}
	if !heard {
		err = fmt.Errorf("%s is not among the topics of %s", o.Topic, family)
	}
	return mine, others, err
}

// TestTheFamiliesUnderstandTheEstate: what the simulated units say is understood by
// their own families, under the names that they are registered with, and each
// alarm is one by the default rules of its class.
func TestTheFamiliesUnderstandTheEstate(t *testing.T) {
	e := devicestest.NewEstate(11, 250, station.EmbeddedBroker)
	l := listen(t)
	at := time.Now().Truncate(time.Second)
	for _, line := range e.Lines {
		for _, o := range line.Births(at) {
			for _, s := range l.sessions {
				_, _ = s.Decode(payload.Message{Topic: o.Topic, Payload: o.Payload, Retained: o.Retain, Received: at})
			}
		}
	}
	tried := map[string]bool{}
	for _, u := range e.Units {
		family := u.Sensor.Source.Family
		if l.sessions[family] == nil {
			t.Errorf("there is no family %q", family)
			continue
		}
		rules, err := rule.Compile(rule.Defaults(u.Sensor.Class), u.Sensor.Class)
		if err != nil {
			t.Fatal(err)
		}
		found, known := false, map[string]station.Value{}
		kinds := map[station.AlarmKind]map[bool]bool{}
		for i, alarm := range []bool{false, true, false} {
			m := devicestest.Moment{At: at.Add(time.Duration(i) * time.Minute), Alarm: alarm, Battery: 70, Serial: i + 1, Value: 0.5}
			for _, o := range u.Say(m) {
				readings, _, err := l.hear(o, family, m.At)
				if err != nil {
					t.Errorf("%s: %s %s: %v", u.Sensor.ID, o.Topic, o.Payload, err)
				}
				for _, r := range readings {
					if r.Device != u.Sensor.Source.Device || len(r.Values) == 0 {
						continue
					}
					found = true
					maps.Copy(known, r.Values)
					verdicts := make([]rule.Verdict, rules.Len())
					for _, sig := range rules.Evaluate(r.Values, known, verdicts, make([]rule.Verdict, rules.Len()), nil) {
						if kinds[sig.Kind] == nil {
							kinds[sig.Kind] = map[bool]bool{}
						}
						kinds[sig.Kind][sig.Active] = true
					}
				}
			}
		}
		if key := family + "/" + u.Sensor.Class; !tried[key] {
			tried[key] = true
			t.Logf("%-14s %-12s %v", family, u.Sensor.Class, known)
		}
		if !found {
			t.Errorf("%s: nothing that it says is its own (%s)", u.Sensor.ID, u.Sensor.Source.Device)
		}
		if u.Kind != "" && !kinds[u.Kind][true] {
			t.Errorf("%s: its alarm is none: %v from %v", u.Sensor.ID, kinds, known)
		}
		for kind, states := range kinds {
			if kind != u.Kind && states[true] {
				t.Errorf("%s: it alarms of %s", u.Sensor.ID, kind)
			}
		}
	}
}

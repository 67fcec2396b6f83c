package devicestest_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"stationd/devices/devicestest"
)

// tell plays the first beats of a story and writes them down.
func tell(seed uint64, n int) string {
	e := devicestest.NewEstate(seed, 500, "embedded")
	var out bytes.Buffer
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	story := devicestest.Story{Seed: seed, Rate: 100, AlarmEvery: 2 * time.Second, StormEvery: 20 * time.Second, StormSize: 30, BreakEvery: 7 * time.Second, MalformedEvery: 500}
	for b := range e.Beats(story) {
		fmt.Fprintln(&out, b.At, b.What, b.Unit, b.Line, b.Moment.Alarm)
		if b.What == devicestest.Reading {
			b.Moment.At = at.Add(b.At)
			for _, o := range e.Units[b.Unit].Say(b.Moment) {
				fmt.Fprintf(&out, "%s %q %v\n", o.Topic, o.Payload, o.Retain)
			}
		}
		if n--; n == 0 {
			break
		}
	}
	return out.String()
}

func TestAnEstateIsRepeatable(t *testing.T) {
	once, again := tell(7, 5000), tell(7, 5000)
	if once != again {
		t.Error("the same seed tells two stories")
	}
	if tell(7, 500) == tell(8, 500) {
		t.Error("two seeds tell the same story")
	}
}

func TestAnEstateIsBelievable(t *testing.T) {
	e := devicestest.NewEstate(1, 500, "embedded")
	if len(e.Units) != 500 || len(e.Sensors()) != 500 {
		t.Fatalf("%d units", len(e.Units))
	}
	families, ids, wills := map[string]int{}, map[string]bool{}, 0
	for _, u := range e.Units {
		families[u.Sensor.Source.Family]++
		ids[u.Sensor.ID] = true
		if u.Line < 0 || u.Line >= len(e.Lines) {
			t.Errorf("%s speaks over line %d", u.Sensor.ID, u.Line)
		}
	}
	for _, l := range e.Lines {
		if l.Will != nil {
			wills++
		}
	}
	if len(families) < 12 || len(ids) != 500 || wills < 50 {
		t.Errorf("%d families %v, %d ids, %d wills", len(families), families, len(ids), wills)
	}
	what, alarms := map[devicestest.What]int{}, 0
	n := 0
	for b := range e.Beats(devicestest.Story{Seed: 1, Rate: 200, AlarmEvery: time.Second, StormEvery: 30 * time.Second, StormSize: 50, BreakEvery: 5 * time.Second, MalformedEvery: 300}) {
		what[b.What]++
		if b.Moment.Alarm {
			alarms++
		}
		if n++; b.At > 2*time.Minute {
			break
		}
	}
	if what[devicestest.Break] < 5 || what[devicestest.Return] < 4 || what[devicestest.Malformed] < 50 || alarms < 300 || alarms > n/4 {
		t.Errorf("of %d beats: %v, %d alarms", n, what, alarms)
	}
}

package agent_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// everyWay lets both contacts be told in ten ways each.
func (r *rig) everyWay() {
	r.t.Helper()
	r.contacts()
	for i, name := range []string{"first", "second"} {
		c := station.Contact{ID: name, Name: "示范村第三网格夜间值班联系人（西区）" + name, Order: i, WaitSeconds: 120}
		for k := range 10 {
			c.Channels = append(c.Channels, station.Way{Channel: "sms", Address: fmt.Sprintf("1380000%04d", 100*i+k)})
		}
		r.must(r.do(station.CommandPutContact, name, c))
	}
}

func (r *rig) burning(n int) {
	r.t.Helper()
	for i := range n {
		id := fmt.Sprintf("s%d", i)
		r.addSensor(id, station.ClassSmoke)
		r.report(id, station.KindSmoke, true)
	}
}

// Many alarms at one moment are more than a transaction holds. Nobody is forgotten
// for that.
func TestAStormDoesNotStallTheResponse(t *testing.T) {
	r := responding(t, &outbox{})
	r.everyWay()
	r.burning(60)
	for _, wait := range []time.Duration{31 * time.Second, 121 * time.Second} {
		r.clock.add(wait)
		r.step()
	}
	for _, al := range r.live() {
		if al.Kind != station.KindSmoke {
			continue
		}
		if resp := r.response(al.ID); resp.Step != 2 || len(resp.Tellings) != 20 {
			t.Fatalf("%d contacts told by %d messages", resp.Step, len(resp.Tellings))
		}
	}
}

// A parent that comes back after a night confirms all of it at once.
func TestAParentConfirmsAStorm(t *testing.T) {
	r := responding(t, &outbox{})
	r.everyWay()
	r.clock.at = time.Date(2026, 11, 23, 23, 0, 0, 0, time.FixedZone("CST", 8*3600))
	r.must(r.do(station.CommandPutDuty, "", station.Duty{
		Open: station.Hours{{From: "08:30", To: "17:30"}}, Escalate: station.DefaultDuty().Escalate, DeskSeconds: 30, ParentSeconds: 60,
	}))
	r.burning(60)
	for _, wait := range []time.Duration{61 * time.Second, 121 * time.Second} {
		r.clock.add(wait)
		r.step()
	}
	if err := r.Advance(context.Background(), store.Cursor{Target: "parent", Lane: station.LaneUrgent, Epoch: r.store.Epoch(), Seq: r.store.Head()}); err != nil {
		t.Fatal(err)
	}
	for _, al := range r.live() {
		if resp := r.response(al.ID); al.Kind == station.KindSmoke && resp.Tellings[0].State != "delivered" {
			t.Fatalf("%+v", resp.Tellings[0])
		}
	}
}

// Sixty shelves that end at one moment end, and the program does not.
func TestAStormOfDeadlines(t *testing.T) {
	r := responding(t, &outbox{})
	r.everyWay()
	r.burning(60)
	for _, wait := range []time.Duration{31 * time.Second, 121 * time.Second} {
		r.clock.add(wait)
		r.step()
	}
	for _, al := range r.live() {
		if al.Kind == station.KindSmoke {
			r.report(al.Sensor, station.KindSmoke, false) // it may not be shelved while it holds
			r.must(r.do(station.CommandShelveAlarm, al.ID, station.ShelfOrder{Minutes: 30, Why: "x"}))
		}
	}
	r.clock.add(31 * time.Minute)
	if err := r.Turn(context.Background()); err != nil {
		t.Fatal(err)
	}
	if live := r.live(); len(live) < 60 {
		t.Errorf("%d of 60 are back", len(live))
	}
}

// More contacts than a response has rows: the parent is told in the end.
func TestAListWithoutEndEnds(t *testing.T) {
	r := responding(t, &outbox{})
	r.everyWay()
	list, err := r.Contacts()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 25 {
		c := list[0]
		c.ID, c.Order, c.WaitSeconds = fmt.Sprintf("more%02d", i), 10+i, 10
		r.must(r.do(station.CommandPutContact, c.ID, c))
	}
	r.burning(1)
	id := r.live()[0].ID
	for range 30 {
		r.clock.add(121 * time.Second)
		r.step()
	}
	if resp := r.response(id); !resp.Parent || len(resp.Tellings) < 200 || resp.Step > 21 {
		t.Errorf("parent %v, step %d, %d rows", resp.Parent, resp.Step, len(resp.Tellings))
	}
}

package alarm_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"stationd/agent/alarm"
	"stationd/agent/station"
)

// point is a condition in a test, with a clock of its own.
type point struct {
	alarm.Record
	now    alarm.Now
	timing station.Timing
	marks  alarm.Marks
	all    []*station.Alarm // ever raised
	events []string
	enters int
}

func newPoint(kind station.AlarmKind, timing station.Timing) *point {
	return &point{
		Record: alarm.Record{Sensor: "s", Kind: kind}, timing: timing,
		now: alarm.Now{Tick: alarm.Tick(time.Hour), Wall: noon},
	}
}

func (p *point) note(out alarm.Outcome) {
	if out.Raised {
		p.all = append(p.all, out.Alarm)
		out.Alarm.ID = fmt.Sprint(len(p.all))
	}
	if out.Event != "" {
		p.events = append(p.events, strings.TrimSuffix(strings.TrimPrefix(out.Event, "cityops.alarm."), ".v1"))
	}
	if out.Enters {
		p.enters++
	}
}

func (p *point) signal(active bool) {
	m := p.marks
	m.Values = map[string]station.Value{"x": active}
	p.note(p.Signal(p.now, station.Signal{Kind: p.Kind, Active: active, Field: "x", Value: active, Timing: p.timing}, m, alarm.DefaultLimits()))
}

// wait lets time pass; the deadlines in it are met at their time.
func (p *point) wait(d time.Duration) {
	end := p.now.Tick.Add(d)
	for due := p.Due(); due != 0 && due <= end; due = p.Due() {
		p.now.Wall = p.now.Wall.Add(time.Duration(max(due, p.now.Tick) - p.now.Tick))
		p.now.Tick = max(due, p.now.Tick)
		p.note(p.Tick(p.now, p.marks, alarm.DefaultLimits()))
	}
	p.now.Wall = p.now.Wall.Add(time.Duration(end - p.now.Tick))
	p.now.Tick = end
}

func (p *point) answer(kind station.AnswerKind) {
	if p.Alarm == nil {
		return
	}
	p.Alarm.Answers = append(p.Alarm.Answers, station.Answer{Kind: kind, At: p.now.Wall})
	p.note(p.Settle(p.now))
}

func (p *point) undo() {
	if p.Alarm == nil {
		return
	}
	for i := range p.Alarm.Answers {
		p.Alarm.Answers[i].Undone = true
	}
	p.note(p.Settle(p.now))
}

func (p *point) shelve(d time.Duration) error {
	out, err := p.Shelve(p.now, station.Shelf{By: "li", Why: "test", Until: p.now.Wall.Add(d)}, d)
	if err == nil {
		p.note(out)
	}
	return err
}

// acts are the events of the state table.
var acts = map[string]func(*point){
	"on":      func(p *point) { p.signal(true) },
	"off":     func(p *point) { p.signal(false) },
	"receive": func(p *point) { p.answer(station.AnswerReceived) },
	"judge":   func(p *point) { p.answer(station.AnswerFalse) },
	"undo":    func(p *point) { p.undo() },
	"shelve":  func(p *point) { _ = p.shelve(time.Hour) },
	"unshelf": func(p *point) { p.note(p.Unshelve(p.now)) },
	"service": func(p *point) {
		p.marks.Hidden = alarm.Maintenance
		p.note(p.Hide(p.now, alarm.Maintenance))
	},
	"serviced": func(p *point) { // a person ends it
		p.marks.Hidden = ""
		p.note(p.Serviced(p.now, &station.Answer{Kind: station.AnswerTest, By: "li", At: p.now.Wall}))
	},
	"expired": func(p *point) { // its time does
		p.marks.Hidden = ""
		p.note(p.Serviced(p.now, nil))
	},
	"hide": func(p *point) { p.note(p.Hide(p.now, alarm.Bridge)) },
	"show": func(p *point) { p.note(p.Show(p.now, alarm.Bridge)) },
	"gone": func(p *point) { p.note(p.Gone(p.now)) },
	"2h":   func(p *point) { p.wait(2 * time.Hour) },
}

// TestStateTable goes from every state by every event: for a door, which ends by
// itself, and for smoke, which a person must judge.
func TestStateTable(t *testing.T) {
	events := []string{"on", "off", "receive", "judge", "undo", "shelve", "unshelf", "service", "serviced", "hide", "show", "gone", "2h", "expired"}
	const (
		n  = alarm.Normal
		u  = alarm.Unacked
		a  = alarm.Acked
		r  = alarm.Returned
		s  = alarm.Shelved
		h  = alarm.Suppressed
		o  = alarm.OutOfService
		__ = alarm.State("") // stays
	)
	for _, c := range []struct {
		kind station.AlarmKind
		from alarm.State
		path string // from normal
		//          on  off rec jdg und shv uns svc svd hid shw gon 2h  exp
		want []alarm.State
	}{
		{station.KindDoor, n, "", []alarm.State{u, n, n, n, n, n, n, n, n, n, n, n, n, n}},
		{station.KindDoor, u, "on", []alarm.State{u, n, a, a, u, s, u, o, u, h, u, n, u, u}},
		{station.KindDoor, a, "on receive", []alarm.State{a, n, a, a, u, s, a, o, a, h, a, n, a, a}},
		{station.KindDoor, s, "on shelve", []alarm.State{s, n, s, s, s, s, u, o, s, s, s, n, u, s}},
		{station.KindDoor, h, "on hide", []alarm.State{h, n, h, h, h, s, h, o, h, h, u, n, h, h}},
		{station.KindDoor, o, "on service", []alarm.State{o, n, o, o, o, o, o, o, u, h, o, n, o, u}},
		{station.KindSmoke, n, "", []alarm.State{u, n, n, n, n, n, n, n, n, n, n, n, n, n}},
		{station.KindSmoke, u, "on", []alarm.State{u, r, a, a, u, u, u, o, u, u, u, r, u, u}},
		{station.KindSmoke, a, "on receive", []alarm.State{a, r, a, a, u, a, a, o, a, a, a, r, a, a}},
		{station.KindSmoke, r, "on off", []alarm.State{u, r, r, n, r, s, r, o, r, r, r, r, r, r}},
		{station.KindSmoke, s, "on off shelve", []alarm.State{u, s, s, n, s, s, r, o, s, s, s, s, r, s}},
		{station.KindSmoke, o, "on service", []alarm.State{o, o, o, o, o, o, o, o, u, o, o, o, o, u}},
		{station.KindSmoke, o, "on service off", []alarm.State{o, o, o, n, o, o, o, o, r, o, o, o, o, r}}, // known before
		{station.KindSmoke, o, "service on", []alarm.State{o, o, o, o, o, o, o, o, u, o, o, o, o, u}},
		{station.KindSmoke, o, "service on off", []alarm.State{o, o, o, n, o, o, o, o, n, o, o, o, o, r}},
		{station.KindSmoke, o, "service on off on off", []alarm.State{o, o, o, n, o, o, o, o, n, o, o, o, o, r}},
		{station.KindSmoke, n, "service on off serviced", []alarm.State{u, n, n, n, n, n, n, n, n, n, n, n, n, n}},
		{station.KindSmoke, r, "service on off expired", []alarm.State{u, r, r, n, r, s, r, o, r, r, r, r, r, r}},
	} {
		for i, event := range events {
			t.Run(fmt.Sprintf("%s/%s/%s", c.kind, c.from, event), func(t *testing.T) {
				p := newPoint(c.kind, station.Timing{})
				for step := range strings.FieldsSeq(c.path) {
					acts[step](p)
				}
				if got := p.State(); got != c.from {
					t.Fatalf("%q leads to %s", c.path, got)
				}
				acts[event](p)
				want := c.want[i]
				if want == __ {
					want = c.from
				}
				if got := p.State(); got != want {
					t.Errorf("it is %s now, want %s", got, want)
				}
			})
		}
	}
}

// TestDelays: what makes an alarm of a condition, and what ends it, is time and not
// the next message.
func TestDelays(t *testing.T) {
	held := station.Timing{For: 5 * time.Minute, Off: 2 * time.Minute}
	t.Run("a silent sensor's alarm is raised", func(t *testing.T) {
		p := newPoint(station.KindTemperature, held)
		p.signal(true)
		p.wait(5*time.Minute - 1)
		if p.Alarm != nil || p.State() != alarm.Pending {
			t.Fatal("too early")
		}
		p.wait(1)
		if p.Alarm == nil || p.Alarm.Why == nil || p.Alarm.Values["x"] != true {
			t.Fatalf("%+v", p.Alarm)
		}
		p.signal(false)
		p.wait(time.Minute)
		p.signal(true) // one and the same
		p.wait(time.Hour)
		p.signal(false)
		p.wait(2 * time.Minute)
		if p.Alarm != nil || len(p.all) != 1 || p.all[0].Count != 2 {
			t.Fatalf("%v %+v", p.events, p.all)
		}
	})
	t.Run("one that ends in time is none", func(t *testing.T) {
		p := newPoint(station.KindTemperature, held)
		for range 10 {
			p.signal(true)
			p.wait(4 * time.Minute)
			p.signal(false)
		}
		p.wait(time.Hour)
		if len(p.all) > 0 {
			t.Fatal(p.events)
		}
	})
	t.Run("life safety knows no delay", func(t *testing.T) {
		for _, kind := range []station.AlarmKind{station.KindSmoke, station.KindGas, station.KindSOS, station.KindWater} {
			p := newPoint(kind, station.Timing{For: time.Hour, Count: 5, Within: time.Hour, Schedule: "night", Off: time.Hour})
			p.marks.Disarmed = true
			p.signal(true)
			if p.Alarm == nil || p.enters != 1 {
				t.Errorf("%s waits", kind)
			}
			p.signal(false)
			if p.State() != alarm.Returned {
				t.Errorf("%s: %s", kind, p.State())
			}
		}
	})
}

// TestOldNews: what tells of the past is recorded, and nobody is called for it; but
// what holds now is news, whatever was known of it before.
func TestOldNews(t *testing.T) {
	p := newPoint(station.KindSmoke, station.Timing{})
	p.marks = alarm.Marks{Late: true, DeviceTime: noon.Add(-time.Hour)}
	p.signal(true)
	if p.Alarm == nil || !p.Alarm.Late || p.enters != 0 {
		t.Fatalf("%+v, entered %d times", p.Alarm, p.enters)
	}
	p.marks = alarm.Marks{}
	p.signal(true)
	if len(p.all) != 1 || p.Alarm.Late || p.enters != 1 {
		t.Fatalf("it burns now, and nobody is called: %+v", p.Alarm)
	}

	door := newPoint(station.KindDoor, station.Timing{})
	door.signal(true)
	door.wait(time.Hour)
	door.signal(false)
	door.marks = alarm.Marks{Late: true, DeviceTime: noon.Add(-time.Hour)}
	door.wait(time.Minute)
	door.signal(true) // from before
	if len(door.all) != 2 || !door.all[1].Late || door.Alarm != nil {
		t.Fatalf("what had ended before its news came stays: %+v", door.all)
	}

	replay := newPoint(station.KindSOS, station.Timing{})
	replay.signal(true)
	replay.signal(false)
	replay.answer(station.AnswerReal)
	replay.marks = alarm.Marks{Retained: true, Known: true}
	replay.signal(true)
	if len(replay.all) != 1 {
		t.Fatal("a broker's stored message was taken for a new press")
	}
}

// TestShelfOutlivesTheAlarm: a nuisance that comes and goes stays out of sight as
// long as was said, and comes back when it is over.
func TestShelfOutlivesTheAlarm(t *testing.T) {
	p := newPoint(station.KindDoor, station.Timing{})
	p.signal(true)
	if err := p.shelve(30 * time.Minute); err != nil {
		t.Fatal(err)
	}
	p.signal(false)
	p.wait(10 * time.Minute)
	p.signal(true)
	if p.State() != alarm.Shelved || p.enters != 1 {
		t.Fatalf("%s", p.State())
	}
	p.wait(30 * time.Minute)
	if p.State() != alarm.Unacked || p.enters != 2 {
		t.Fatalf("its time is over and the door is open: %s, entered %d times", p.State(), p.enters)
	}
	smoke := newPoint(station.KindSmoke, station.Timing{})
	smoke.signal(true)
	if err := smoke.shelve(time.Minute); err == nil {
		t.Fatal("a fire is on the shelf")
	}
}

// TestChatter: three in a minute are held as one until it is quiet.
func TestChatter(t *testing.T) {
	p := newPoint(station.KindDoor, station.Timing{})
	for range 10 {
		p.signal(true)
		p.wait(5 * time.Second)
		p.signal(false)
		p.wait(5 * time.Second)
	}
	if len(p.all) != 3 || !p.Alarm.Chattering || p.Alarm.Count != 8 {
		t.Fatalf("%d alarms, %+v", len(p.all), p.Alarm)
	}
	p.wait(time.Minute)
	if p.Alarm != nil {
		t.Fatalf("it is quiet: %+v", p.Alarm)
	}
	if want := []string{"raised", "cleared", "raised", "cleared", "raised"}; !slices.Equal(p.events[:5], want) {
		t.Fatal(p.events)
	}
}

// TestArming: a door that is open when arming begins raises then, and one that has
// been open for long enough need not wait again.
func TestArming(t *testing.T) {
	p := newPoint(station.KindDoor, station.Timing{For: time.Minute, Schedule: "night"})
	p.marks.Disarmed = true
	p.signal(true)
	p.wait(time.Hour)
	if len(p.all) > 0 {
		t.Fatal("nobody watched")
	}
	p.marks.Disarmed = false
	p.note(p.Rearm(p.now, p.marks, alarm.DefaultLimits()))
	if p.Alarm == nil || p.enters != 1 {
		t.Fatal("the door is open, and nobody is told")
	}
}

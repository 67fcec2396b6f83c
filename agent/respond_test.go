package agent_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/station"
	"stationd/agent/store"
)

// outbox is where messages end up in these tests.
type outbox struct {
	mu   sync.Mutex
	sent []sentMessage
	fail func(station.ChannelLink, station.Message) (station.Delivery, error)
}

type sentMessage struct {
	station.Message
	channel station.ChannelLink
}

func (o *outbox) deliver(_ context.Context, ch station.ChannelLink, m station.Message) (station.Delivery, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		if d, err := o.fail(ch, m); err != nil {
			return d, err
		}
	}
	o.sent = append(o.sent, sentMessage{m, ch})
	return station.Delivery{State: "sent"}, nil
}

// list is what was sent, "channel>address" or "channel off".
func (o *outbox) list() (out []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.sent {
		text := m.channel.ID
		if m.To != "" {
			text += ">" + m.To
		}
		if m.Off {
			text += " off"
		}
		out = append(out, text)
	}
	return out
}

func (o *outbox) all() []sentMessage {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]sentMessage(nil), o.sent...)
}

// responding is a rig that sends into an outbox, with two contacts.
func responding(t *testing.T, out *outbox, change ...func(*agent.Config, *agent.Deps)) *rig {
	t.Helper()
	return respondingOn(t, t.TempDir(), out, change...)
}

func respondingOn(t *testing.T, dir string, out *outbox, change ...func(*agent.Config, *agent.Deps)) *rig {
	t.Helper()
	return newRigOn(t, dir, nil, append([]func(*agent.Config, *agent.Deps){func(c *agent.Config, d *agent.Deps) {
		d.Deliver, d.Centre = out.deliver, true
		c.AnswerURL = "https://station.example.org"
	}}, change...)...)
}

func (r *rig) contacts() {
	r.t.Helper()
	r.must(r.do(station.CommandPutChannel, "sms", station.ChannelOrder{Channel: station.Channel{ID: "sms", Name: "短信", Kind: station.ChannelSMS, URL: "https://gateway.example.org"}}))
	for i, name := range []string{"first", "second"} {
		r.must(r.do(station.CommandPutContact, name, station.Contact{
			ID: name, Name: "联系人 " + name, Order: i, WaitSeconds: 120, Channels: []station.Way{{Channel: "sms", Address: "1380000000" + string(rune('1'+i))}},
		}))
	}
}

// run runs the agent until the test ends or stop is called.
func (r *rig) run() (stop func()) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				r.t.Error(err)
			}
		})
	}
	r.t.Cleanup(stop)
	return stop
}

// step takes the steps that are due.
func (r *rig) step() {
	r.t.Helper()
	if err := r.Respond(context.Background()); err != nil {
		r.t.Fatal(err)
	}
}

// response is what was done about the one live alarm.
func (r *rig) response(alarm string) station.Response {
	r.t.Helper()
	resp, err := r.Response(alarm)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp
}

// told lists whom a response has told, with the state of each.
func told(resp station.Response) string {
	var out []string
	for _, t := range resp.Tellings {
		who := t.Contact
		if who == "" {
			who = t.Kind
		}
		if t.Off {
			who += "-off"
		}
		out = append(out, who+":"+t.State)
	}
	return strings.Join(out, " ")
}

// until waits for a condition, generously.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// The night: nobody answers. The desk has its time, then the first contact, the
// second, the parent; each once, although the process ends between any two, and
// although the loop looks at its clocks again and again.
func TestUnansweredAlarmGoesOn(t *testing.T) {
	dir, out := t.TempDir(), &outbox{}
	at := time.Date(2026, 11, 21, 2, 0, 0, 0, time.FixedZone("CST", 8*3600))
	// A life of the process: the clock goes on, the store is opened anew.
	live := func(after time.Duration, do func(*rig)) {
		at = at.Add(after)
		t.Run(at.Format("15:04:05"), func(t *testing.T) {
			r := respondingOn(t, dir, out)
			r.clock.at = at
			stop := r.run()
			do(r)
			stop()
		})
	}
	var id string
	expect := func(r *rig, sent int, rows, next string) {
		r.t.Helper()
		until(r.t, rows, func() bool { return told(r.response(id)) == rows && len(out.list()) == sent })
		for range 3 {
			r.step()
		}
		if resp := r.response(id); told(resp) != rows || resp.Next != next || len(out.list()) != sent {
			r.t.Fatalf("%s, next %q; want %s, next %q; sent %v", told(resp), resp.Next, rows, next, out.list())
		}
	}
	live(0, func(r *rig) {
		r.contacts()
		r.addSensor("a", station.ClassSmoke)
		r.report("a", station.KindSmoke, true)
		id = r.live()[0].ID
		expect(r, 0, "", "联系人 first")
	})
	live(29*time.Second, func(r *rig) { expect(r, 0, "", "联系人 first") })
	live(2*time.Second, func(r *rig) { expect(r, 1, "first:sent", "联系人 second") })
	live(119*time.Second, func(r *rig) { expect(r, 1, "first:sent", "联系人 second") })
	live(2*time.Second, func(r *rig) { expect(r, 2, "first:sent second:sent", "上级中心") })
	live(time.Hour, func(r *rig) {
		expect(r, 2, "first:sent second:sent parent:waiting", "")
		if resp := r.response(id); !resp.Parent || resp.Closed || resp.Step != 2 {
			r.t.Errorf("%+v", resp)
		}
	})
	live(time.Hour, func(r *rig) {
		expect(r, 2, "first:sent second:sent parent:waiting", "")
		// The parent confirms by the cursor of the urgent lane.
		head := r.store.Head()
		if err := r.Advance(context.Background(), store.Cursor{Target: "parent", Lane: station.LaneUrgent, Epoch: r.store.Epoch(), Seq: head}); err != nil {
			r.t.Fatal(err)
		}
		expect(r, 2, "first:sent second:sent parent:delivered", "")
		handed := 0
		events, err := r.store.Read(0, 10000, station.LaneUrgent)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, ev := range events {
			if ev.Type == station.EventResponse && strings.Contains(string(ev.Data), `"parent":true`) {
				handed++
			}
		}
		if handed == 0 {
			r.t.Error("the journal does not tell the parent")
		}
	})
	if got := strings.Join(out.list(), " "); got != "sms>13800000001 sms>13800000002" {
		t.Error(got)
	}
	keys := map[string]bool{}
	for _, m := range out.all() {
		if keys[m.Key] || m.Key == "" || !strings.HasPrefix(m.Link, "https://station.example.org/answer/") {
			t.Errorf("%+v", m.Message)
		}
		keys[m.Key] = true
	}
}

// Whoever answers first, and wherever, stops it. An answer that is taken back
// starts it again, and nobody is told twice.
func TestAnAnswerStopsIt(t *testing.T) {
	var up uptime
	out := &outbox{}
	r := responding(t, out, func(_ *agent.Config, d *agent.Deps) { d.Elapsed = up.elapsed })
	pass := func(d time.Duration) {
		up.add(d)
		r.clock.add(d)
	}
	r.contacts()
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	id := r.live()[0].ID
	pass(31 * time.Second)
	r.step()
	if got := told(r.response(id)); got != "first:waiting" {
		t.Fatal(got)
	}
	r.must(r.answer(id, station.AnswerReceived))
	pass(time.Hour)
	r.step()
	resp := r.response(id)
	if got := told(resp); got != "first:stopped" || resp.Stopped != "answered" || resp.AnsweredAt.IsZero() || !resp.NextAt.IsZero() {
		t.Fatalf("%s %+v", got, resp)
	}
	r.clock.add(-time.Hour + 30*time.Second)
	r.must(r.answer(id, station.AnswerUndo))
	resp = r.response(id)
	if resp.Stopped != "" || !resp.AnsweredAt.IsZero() || resp.Next != "联系人 second" {
		t.Fatalf("%+v", resp)
	}
	pass(31 * time.Second)
	r.step()
	if got := told(r.response(id)); got != "first:stopped second:waiting" {
		t.Fatal(got)
	}
	r.must(r.answer(id, station.AnswerReal))
	r.report("a", station.KindSmoke, false)
	pass(time.Hour)
	r.step()
	if resp := r.response(id); told(resp) != "first:stopped second:stopped" || resp.Parent {
		t.Errorf("%+v", resp)
	}
	if len(out.list()) != 0 {
		t.Error(out.list())
	}
}

// What is late, only tried out, hidden or minor is told to nobody outside.
func TestWhatNobodyOutsideIsTold(t *testing.T) {
	r := responding(t, &outbox{})
	r.contacts()
	r.must(r.do(station.CommandPutDuty, "", station.Duty{Escalate: station.DefaultDuty().Escalate, ParentSeconds: 60}))
	for _, id := range []string{"late", "minor", "ordinary", "tried", "serviced"} {
		r.addSensor(id, station.ClassSmoke)
	}
	for id, mode := range map[string]station.ServiceMode{"tried": station.ServiceTest, "serviced": station.ServiceMaintenance} {
		err := r.store.Update(context.Background(), station.LaneNormal, func(tx *store.Tx) error {
			s, _, err := store.Get[station.Sensor](tx, store.Key("sensor/"+id))
			if err != nil {
				return err
			}
			s.Service = &station.Service{Mode: mode, Since: r.clock.now(), Until: r.clock.now().Add(time.Hour)}
			return store.Put(tx, store.Key("sensor/"+id), s)
		})
		if err != nil {
			t.Fatal(err)
		}
		r.report(id, station.KindSmoke, true)
	}
	r.report("late", station.KindSmoke, true, func(rep *station.Report) { rep.Late = true; rep.DeviceTime = r.clock.now().Add(-time.Hour) })
	r.report("minor", station.KindBattery, true)
	r.report("ordinary", station.KindSmoke, true)
	seen := map[string]bool{}
	for _, al := range r.live() {
		seen[al.Sensor] = true
	}
	if !seen["late"] || !seen["tried"] || !seen["minor"] {
		t.Fatalf("%v", seen)
	}
	r.clock.add(30 * time.Minute)
	r.step()
	for _, al := range r.live() {
		got := told(r.response(al.ID))
		if want := map[string]string{"ordinary": "first:waiting second:waiting"}[al.Sensor]; got != want {
			t.Errorf("%s: told %q, want %q", al.Sensor, got, want)
		}
	}
}

// A closed station has nobody: its parent owns the alarms at once, and hands them
// back at opening. A parent that does not confirm is not relied upon.
func TestClosedStation(t *testing.T) {
	office := station.Hours{{From: "08:30", To: "17:30"}}
	setup := func(t *testing.T, hour int) (*rig, string) {
		r := responding(t, &outbox{})
		r.contacts()
		r.clock.at = time.Date(2026, 11, 23, hour, 0, 0, 0, time.FixedZone("CST", 8*3600))
		r.must(r.do(station.CommandPutDuty, "", station.Duty{Open: office, Escalate: station.DefaultDuty().Escalate, DeskSeconds: 30, ParentSeconds: 60}))
		r.addSensor("a", station.ClassSmoke)
		r.report("a", station.KindSmoke, true)
		return r, r.live()[0].ID
	}
	confirm := func(r *rig) {
		r.t.Helper()
		if err := r.Advance(context.Background(), store.Cursor{Target: "parent", Lane: station.LaneUrgent, Epoch: r.store.Epoch(), Seq: r.store.Head()}); err != nil {
			r.t.Fatal(err)
		}
	}
	t.Run("handed over and back", func(t *testing.T) {
		r, id := setup(t, 23)
		if resp := r.response(id); told(resp) != "parent:waiting" || !resp.Parent || !resp.Closed {
			t.Fatalf("%+v", resp)
		}
		confirm(r)
		if resp := r.response(id); resp.Next != "" || !resp.NextAt.IsZero() {
			t.Errorf("the parent has it, and %s is still next", resp.Next)
		}
		r.clock.add(time.Hour)
		r.step()
		if resp := r.response(id); told(resp) != "parent:delivered" || !resp.Parent || resp.Next != "" {
			t.Fatalf("the contacts are told though the parent has it: %+v", resp)
		}
		r.clock.at = r.clock.at.Add(8*time.Hour + 31*time.Minute) // 08:31
		r.step()
		if resp := r.response(id); resp.Parent || resp.Closed || resp.Next != "联系人 first" {
			t.Fatalf("not handed back: %+v", resp)
		}
		r.clock.add(31 * time.Second)
		r.step()
		if got := told(r.response(id)); got != "parent:delivered first:waiting" {
			t.Fatal(got)
		}
	})
	t.Run("a parent that is not there", func(t *testing.T) {
		r, id := setup(t, 23)
		r.clock.add(61 * time.Second)
		r.step()
		if got := told(r.response(id)); got != "parent:waiting first:waiting" {
			t.Fatal(got)
		}
		r.clock.add(121 * time.Second)
		r.step()
		r.clock.add(121 * time.Second)
		r.step()
		if resp := r.response(id); told(resp) != "parent:waiting first:waiting second:waiting" || !resp.Closed {
			t.Fatalf("%+v", resp)
		}
	})
	t.Run("it closes while it waits", func(t *testing.T) {
		r, id := setup(t, 17)
		r.clock.add(29 * time.Minute)
		r.step()
		r.clock.add(2 * time.Minute)
		r.step()
		if resp := r.response(id); told(resp) != "first:waiting parent:waiting" || !resp.Closed {
			t.Fatalf("%s %+v", told(resp), resp)
		}
	})
	t.Run("answered in the night", func(t *testing.T) {
		r, id := setup(t, 23)
		r.must(r.answer(id, station.AnswerReceived))
		r.clock.add(10 * time.Hour)
		r.step()
		if resp := r.response(id); resp.Stopped != "answered" || told(resp) != "parent:waiting" {
			t.Fatalf("%+v", resp)
		}
	})
}

// Hours are of each contact; who is off is passed over.
func TestContactsWithinTheirHours(t *testing.T) {
	r := responding(t, &outbox{})
	r.contacts()
	c, err := r.Contacts()
	if err != nil {
		t.Fatal(err)
	}
	c[0].Hours = station.Hours{{Days: []int{1, 2, 3, 4, 5}, From: "08:00", To: "20:00"}} // it is a Saturday
	r.must(r.do(station.CommandPutContact, c[0].ID, c[0]))
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	r.clock.add(31 * time.Second)
	r.step()
	if got := told(r.response(r.live()[0].ID)); got != "second:waiting" {
		t.Error(got)
	}
}

// At night nobody is on duty, and no parent is there. Whoever comes in the morning,
// or is added, is told of what nobody has answered.
func TestWhoComesOnDutyIsTold(t *testing.T) {
	var up uptime
	r := responding(t, &outbox{}, func(_ *agent.Config, d *agent.Deps) { d.Centre, d.Elapsed = false, up.elapsed })
	pass := func(d time.Duration) {
		r.clock.add(d)
		up.add(d)
		r.step()
	}
	r.contacts()
	r.clock.at = time.Date(2026, 11, 21, 2, 0, 0, 0, time.FixedZone("CST", 8*3600))
	list, err := r.Contacts()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		c.Hours = station.Hours{{From: "08:00", To: "20:00"}}
		r.must(r.do(station.CommandPutContact, c.ID, c))
	}
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	id := r.live()[0].ID
	pass(31 * time.Second)
	pass(time.Hour)
	if resp := r.response(id); told(resp) != "" || resp.Next != "" {
		t.Fatalf("%s %+v", told(resp), resp)
	}
	head := r.store.Head()
	pass(time.Hour)
	if r.store.Head() != head {
		t.Error("it is journalled that nobody is there")
	}
	pass(4*time.Hour + time.Minute) // 08:01:31
	if resp := r.response(id); told(resp) != "first:waiting" || resp.Next != "联系人 second" {
		t.Fatalf("%s %+v", told(resp), resp)
	}
	pass(121 * time.Second)
	pass(121 * time.Second)
	list[0].ID, list[0].Order = "third", 3
	r.must(r.do(station.CommandPutContact, "third", list[0]))
	pass(2 * time.Minute)
	if got := told(r.response(id)); got != "first:waiting second:waiting third:waiting" {
		t.Fatal(got)
	}
	r.must(r.answer(id, station.AnswerReceived))
	pass(time.Hour)
	if resp := r.response(id); resp.Stopped != "answered" || resp.Step != 3 {
		t.Errorf("%+v", resp)
	}
}

// Clocks that jump: nobody is forgotten for a year, and a step is not taken
// twice.
func TestResponseAndASteppedClock(t *testing.T) {
	var up uptime
	dir, out := t.TempDir(), &outbox{}
	open := func() *rig {
		return respondingOn(t, dir, out, func(_ *agent.Config, d *agent.Deps) { d.Elapsed = up.elapsed })
	}
	r := open()
	expect := func(when, want string) {
		t.Helper()
		r.step()
		if got := told(r.response(r.live()[0].ID)); got != want {
			t.Fatalf("%s: %q, want %q", when, got, want)
		}
	}
	pass := func(d time.Duration) {
		up.add(d)
		r.clock.add(d)
	}
	r.contacts()
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	id := r.live()[0].ID
	for when, step := range map[string]time.Duration{"after a step back": -year, "after a step forward": 2 * year} {
		r.clock.add(step)
		expect(when, "")
		if left := r.response(id).NextAt.Sub(r.clock.now()); left <= 0 || left > 30*time.Second {
			t.Errorf("%s: the desk is told to wait for %v", when, left)
		}
	}
	pass(31 * time.Second)
	expect("the desk's time is over", "first:waiting")
	r.clock.add(-2 * year)
	pass(119 * time.Second)
	expect("two years back, and the first contact's time is not over", "first:waiting")
	pass(2 * time.Second)
	expect("the first contact's time is over", "first:waiting second:waiting")
	// And while the program does not run.
	at := r.clock.now().Add(year)
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	up.add(-up.elapsed())
	r = open()
	r.clock.at = at
	expect("a year ahead after a restart", "first:waiting second:waiting")
	pass(121 * time.Second)
	expect("the second contact's time is over", "first:waiting second:waiting parent:waiting")
}

// A message that fails is tried again, ever more slowly, over restarts; one that
// cannot succeed is given up, and its contact is not waited for.
func TestTriesAndGivingUp(t *testing.T) {
	dir, out := t.TempDir(), &outbox{}
	broken := errors.New("line broken")
	tries := 0
	out.fail = func(_ station.ChannelLink, m station.Message) (station.Delivery, error) {
		if m.To == "13800000002" {
			return station.Delivery{Final: true}, station.Errorf(502, "notify.refused", "x", "no such number")
		}
		tries++
		if tries <= 3 {
			return station.Delivery{RetryAfter: 10 * time.Minute}, broken
		}
		return station.Delivery{}, nil
	}
	var id string
	at := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	for i := range 4 {
		t.Run("life", func(t *testing.T) {
			r := respondingOn(t, dir, out)
			r.clock.at = at
			if i == 0 {
				r.contacts()
				// Nobody else is told meanwhile.
				c, _ := r.Contacts()
				c[0].WaitSeconds = 3600
				r.must(r.do(station.CommandPutContact, "first", c[0]))
				r.addSensor("a", station.ClassSmoke)
				r.report("a", station.KindSmoke, true)
				id = r.live()[0].ID
				r.clock.add(30 * time.Second)
			}
			stop := r.run()
			defer stop()
			until(t, "the next try", func() bool {
				resp := r.response(id)
				return len(resp.Tellings) == 1 && resp.Tellings[0].Tries == i+1
			})
			row := r.response(id).Tellings[0]
			if i < 3 && (row.State != "waiting" || row.Problem == nil || row.NextAt.Sub(r.clock.now()) < 10*time.Minute) {
				t.Fatalf("%+v", row)
			}
			if i == 3 && (row.State != "sent" || row.Problem != nil) {
				t.Fatalf("%+v", row)
			}
			at = r.clock.now().Add(11 * time.Minute)
		})
	}
	t.Run("given up", func(t *testing.T) {
		r := respondingOn(t, dir, out)
		r.clock.at = at.Add(time.Hour)
		stop := r.run()
		defer stop()
		until(t, "the parent", func() bool { return told(r.response(id)) == "first:sent second:failed parent:waiting" })
		row := r.response(id).Tellings[1]
		if row.Problem == nil || row.Problem.Message != "no such number" {
			t.Errorf("%+v", row)
		}
	})
}

// Everything fails for ever: after maxTries it is dead, and that is shown.
func TestDeadAfterSoManyTries(t *testing.T) {
	out := &outbox{fail: func(station.ChannelLink, station.Message) (station.Delivery, error) {
		return station.Delivery{}, station.Errorf(502, "notify.unreachable", "x", "nobody there")
	}}
	r := responding(t, out)
	r.contacts()
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	id := r.live()[0].ID
	r.clock.add(31 * time.Second)
	r.run()
	for n := range 8 {
		until(t, "a try", func() bool {
			resp := r.response(id)
			return len(resp.Tellings) > 0 && resp.Tellings[0].Tries > n
		})
		r.clock.add(8 * time.Minute)
	}
	row := r.response(id).Tellings[0]
	if row.State != "failed" || row.Tries != 8 || row.Problem == nil || row.Problem.Code != "notify.unreachable" {
		t.Errorf("%+v", row)
	}
}

// A siren sounds from the alarm to the answer; with two alarms, to the last one.
func TestSiren(t *testing.T) {
	out := &outbox{}
	r := responding(t, out)
	r.must(r.do(station.CommandPutChannel, "siren", station.ChannelOrder{Channel: station.Channel{
		ID: "siren", Name: "警号", Kind: station.ChannelMQTT, Always: []station.Severity{station.SeverityCritical},
		Siren: &station.Siren{Broker: "embedded", Topic: "siren/1/set", On: "ON", Off: "OFF"},
	}}))
	r.addSensor("a", station.ClassSmoke)
	r.addSensor("b", station.ClassSmoke)
	r.run()
	r.report("a", station.KindSmoke, true)
	r.report("b", station.KindSmoke, true)
	until(t, "on", func() bool { return len(out.list()) == 2 })
	live := r.live()
	r.must(r.answer(live[0].ID, station.AnswerReceived))
	r.must(r.answer(live[0].ID, station.AnswerReal))
	r.must(r.answer(live[1].ID, station.AnswerReceived))
	until(t, "off", func() bool { return len(out.list()) == 3 })
	if got := strings.Join(out.list(), " "); got != "siren siren siren off" {
		t.Error(got)
	}
}

// What comes again after somebody had heard of it is told anew: to those who have
// been told of the first time too.
func TestWhatComesAgainIsToldAnew(t *testing.T) {
	out := &outbox{}
	r := responding(t, out)
	r.contacts()
	r.addSensor("s", station.ClassSmoke)
	r.report("s", station.KindSmoke, true)
	r.clock.add(2 * time.Minute)
	r.step()
	id := r.live()[0].ID
	r.must(r.answer(id, station.AnswerReceived))
	r.report("s", station.KindSmoke, false)
	r.clock.add(24 * time.Hour)
	r.report("s", station.KindSmoke, true)
	if al := r.live()[0]; al.ID != id || al.State != station.StateRaised {
		t.Fatalf("the smoke of today is %s", al.State)
	}
	if resp := r.response(id); resp.Stopped != "" || resp.Next != "联系人 first" {
		t.Fatalf("stopped %q, next is %q", resp.Stopped, resp.Next)
	}
	r.clock.add(2 * time.Minute)
	r.step()
	if got := told(r.response(id)); strings.Count(got, "first:") != 2 {
		t.Fatalf("told: %s", got)
	}
}

// A siren that could not be switched off for one alarm is not switched off while it
// sounds for another, nor when somebody tries it out.
func TestSirenSoundsAsLongAsAnyAlarm(t *testing.T) {
	out := &outbox{}
	var broken atomic.Bool
	out.fail = func(_ station.ChannelLink, m station.Message) (station.Delivery, error) {
		if broken.Load() {
			return station.Delivery{}, errors.New("broker away")
		}
		return station.Delivery{}, nil
	}
	r := responding(t, out)
	r.must(r.do(station.CommandPutChannel, "siren", station.ChannelOrder{Channel: station.Channel{
		ID: "siren", Name: "警号", Kind: station.ChannelMQTT, Always: []station.Severity{station.SeverityCritical},
		Siren: &station.Siren{Broker: "embedded", Topic: "siren/1/set", On: "ON", Off: "OFF"},
	}}))
	r.addSensor("a", station.ClassSmoke)
	r.addSensor("b", station.ClassSmoke)
	r.run()
	r.report("a", station.KindSmoke, true)
	first := r.live()[0].ID
	until(t, "on", func() bool { return told(r.response(first)) == "mqtt:sent" })
	broken.Store(true)
	r.must(r.answer(first, station.AnswerReceived))
	until(t, "tried to switch it off", func() bool { x := r.response(first).Tellings; return len(x) == 2 && x[1].Tries > 0 })
	broken.Store(false)
	r.report("b", station.KindSmoke, true)
	second := ""
	for _, al := range r.live() {
		if al.Sensor == "b" {
			second = al.ID
		}
	}
	until(t, "on again", func() bool { return told(r.response(second)) == "mqtt:sent" })
	r.clock.add(time.Minute)
	until(t, "no longer to be switched off", func() bool { return told(r.response(first)) == "mqtt:sent mqtt-off:stopped" })
	r.must(r.do(station.CommandTestChannel, "siren", station.ChannelTest{}))
	if got := strings.Join(out.list(), " "); got != "siren siren siren" {
		t.Fatalf("the siren is silent while it burns: %s", got)
	}
	if rec := r.do(station.CommandRemoveChannel, "siren", nil); rec.Problem == nil || rec.Problem.Code != "channel.sounding" {
		t.Errorf("a siren that sounds was removed: %+v", rec.Problem)
	}
	r.must(r.answer(second, station.AnswerReceived))
	until(t, "off", func() bool { return strings.HasSuffix(told(r.response(second)), "mqtt-off:sent") })
}

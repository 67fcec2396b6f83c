package agent_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

var parent = station.Actor{Account: "node:parent", Name: "示范镇城运中心 李四", Role: account.RoleNode}

// The parent takes an alarm over: nobody further is told, and nothing falls silent,
// neither the siren nor the loudspeaker. Handed back, the list goes on.
func TestTakenOverByTheParent(t *testing.T) {
	speaker, out := &loudspeaker{}, &outbox{}
	r := responding(t, out, func(_ *agent.Config, d *agent.Deps) { d.Loudspeaker = speaker })
	r.contacts()
	r.must(r.do(station.CommandPutChannel, "siren", station.ChannelOrder{Channel: station.Channel{
		ID: "siren", Name: "警号", Kind: station.ChannelMQTT, Always: []station.Severity{station.SeverityCritical},
		Siren: &station.Siren{Broker: "embedded", Topic: "siren/1/set", On: "ON", Off: "OFF"},
	}}))
	r.addSensor("a", station.ClassSmoke)
	r.run()
	r.report("a", station.KindSmoke, true)
	id := r.live()[0].ID
	until(t, "the siren is on", func() bool { return len(out.list()) == 1 })
	r.clock.add(61 * time.Second)
	r.step()
	until(t, "the first contact is told", func() bool { return len(out.list()) == 2 })

	r.must(r.doAs(parent, station.NewID(), station.CommandSeenAlarm, id, station.SeenOrder{By: "lisi"}))
	if resp := r.response(id); resp.Taken || resp.Next == "" {
		t.Errorf("somebody there looks, and the list stops: %+v", resp)
	}
	order := station.NewID()
	for range 2 { // the line repeats
		r.must(r.doAs(parent, order, station.CommandTakeOverAlarm, id, station.TakeOverOrder{By: "lisi", Note: "已联系消防"}))
	}
	al := r.live()[0]
	if al.CentreSeenAt.IsZero() || al.CentreTakenBy != parent.Name || al.CentreSeenBy != parent.Name || al.Answered() || al.State != station.StateRaised || len(al.Notes) != 1 {
		t.Fatalf("%+v", al)
	}
	r.clock.add(9 * time.Minute)
	r.step()
	if resp := r.response(id); !resp.Taken || resp.Next != "" || resp.Stopped != "" || resp.Step != 1 || !resp.TakenUntil.Equal(r.clock.now().Add(time.Minute)) {
		t.Fatalf("taken over, and the list goes on: %+v", resp)
	}
	if got := strings.Join(out.list(), " "); strings.Contains(got, "off") {
		t.Errorf("the siren was switched off: %s", got)
	}
	if got := speaker.calling(); got.Alarm != id {
		t.Errorf("the loudspeaker is silent: %+v", got)
	}
	rows, err := r.Audit(0, 10)
	if err != nil || rows[0].Action != station.CommandTakeOverAlarm || rows[0].Actor.Name != parent.Name || rows[0].Detail != "lisi" {
		t.Errorf("audit: %+v %v", rows[0], err)
	}

	// An answer that is taken back does not begin the list again.
	r.must(r.answer(id, station.AnswerReceived))
	r.must(r.answer(id, station.AnswerUndo))
	if resp := r.response(id); !resp.Taken || resp.Next != "" {
		t.Errorf("after an answer and its undoing: %+v", resp)
	}
	r.must(r.doAs(parent, station.NewID(), station.CommandTakeOverAlarm, id, station.TakeOverOrder{By: "lisi", Back: true}))
	if resp := r.response(id); resp.Taken || resp.Next != "联系人 second" {
		t.Fatalf("handed back: %+v", resp)
	}
	r.clock.add(61 * time.Second)
	r.step()
	if resp := r.response(id); resp.Step != 2 {
		t.Errorf("the second contact is not told: %+v", resp)
	}
}

// A station that is closed and gets its alarm back tells one contact after the
// other: the parent, which has had it, is not waited for.
func TestHandedBackToAClosedStation(t *testing.T) {
	r := responding(t, &outbox{})
	r.contacts()
	r.clock.at = time.Date(2026, 11, 23, 23, 0, 0, 0, time.FixedZone("CST", 8*3600))
	r.must(r.do(station.CommandPutDuty, "", station.Duty{Open: station.Hours{{From: "08:30", To: "17:30"}}, Escalate: station.DefaultDuty().Escalate, DeskSeconds: 30, ParentSeconds: 60, TakeOverSeconds: 3 * 3600}))
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	id := r.live()[0].ID
	if err := r.Advance(context.Background(), store.Cursor{Target: "parent", Lane: station.LaneUrgent, Epoch: r.store.Epoch(), Seq: r.store.Head()}); err != nil {
		t.Fatal(err)
	}
	r.must(r.doAs(parent, station.NewID(), station.CommandTakeOverAlarm, id, station.TakeOverOrder{}))
	goOn := func(n int) {
		for range n {
			r.clock.add(2 * time.Hour)
			r.step()
			r.must(r.doAs(parent, station.NewID(), station.CommandTakeOverAlarm, id, station.TakeOverOrder{}))
		}
	}
	goOn(5) // it opens, and the centre says again and again that it deals with it
	if resp := r.response(id); !resp.Taken || told(resp) != "parent:delivered" {
		t.Fatalf("%+v", resp)
	}
	goOn(6) // closed again
	r.must(r.doAs(parent, station.NewID(), station.CommandTakeOverAlarm, id, station.TakeOverOrder{Back: true}))
	r.clock.add(121 * time.Second)
	r.step()
	if resp := r.response(id); resp.Taken || told(resp) != "parent:delivered first:waiting second:waiting" {
		t.Errorf("%+v", resp)
	}
}

// A parent that takes over and then lets it lie has its time and no more: the next
// contact is told, once, over a restart and a clock that is set, and both ends are
// told who it was.
func TestTheParentLetsItLie(t *testing.T) {
	dir := t.TempDir()
	var id string
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.FixedZone("CST", 8*3600))
	t.Run("before the restart", func(t *testing.T) {
		r := respondingOn(t, dir, &outbox{})
		r.contacts()
		r.addSensor("a", station.ClassSmoke)
		r.report("a", station.KindSmoke, true)
		id = r.live()[0].ID
		r.clock.add(61 * time.Second)
		r.step()
		r.must(r.doAs(parent, station.NewID(), station.CommandTakeOverAlarm, id, station.TakeOverOrder{By: "lisi"}))
		r.clock.add(8 * time.Minute)
		r.step()
		// It says that it goes on: its time begins anew.
		r.must(r.doAs(parent, station.NewID(), station.CommandTakeOverAlarm, id, station.TakeOverOrder{By: "lisi"}))
		r.clock.add(4 * time.Minute)
		r.step()
		if resp := r.response(id); !resp.Taken || resp.Step != 1 || !resp.TakenUntil.Equal(r.clock.now().Add(6*time.Minute)) {
			t.Fatalf("%+v", resp)
		}
		at = r.clock.now()
	})
	r := respondingOn(t, dir, &outbox{})
	r.clock.at = at.Add(5 * time.Minute)
	r.step()
	if resp := r.response(id); !resp.Taken || resp.Step != 1 {
		t.Fatalf("too early: %+v", resp)
	}
	r.clock.add(61 * time.Second)
	r.step()
	r.step()
	resp := r.response(id)
	if resp.Taken || resp.Step != 2 || !resp.TakenUntil.IsZero() || !resp.HandedBack || strings.Count(told(resp), "second:") != 1 {
		t.Errorf("nobody is told: %+v", resp)
	}
	al := r.live()[0]
	if !al.CentreTakenAt.IsZero() || al.CentreLapsedBy != parent.Name || !al.CentreLapsedAt.Equal(r.clock.now()) || al.Answered() {
		t.Errorf("%+v", al)
	}
	if types := r.types(); types[len(types)-1] != "changed" {
		t.Errorf("the parent is not told: %v", types)
	}
	// It may try again, and an answer ends it.
	r.must(r.doAs(parent, station.NewID(), station.CommandTakeOverAlarm, id, station.TakeOverOrder{}))
	if al := r.live()[0]; al.CentreTakenAt.IsZero() || !al.CentreLapsedAt.IsZero() {
		t.Errorf("%+v", al)
	}
	r.must(r.answer(id, station.AnswerReceived))
	r.clock.add(time.Hour)
	r.step()
	if resp := r.response(id); resp.Step != 2 || resp.Stopped != "answered" || !resp.TakenUntil.IsZero() {
		t.Errorf("%+v", resp)
	}
	for _, bad := range []int{-1, 59, 4*3600 + 1} {
		d := station.DefaultDuty()
		d.TakeOverSeconds = bad
		r.refused(r.do(station.CommandPutDuty, "", d), "setup.invalid", "takeOverSeconds")
	}
}

// The wall clock is set while the parent has its time: it has no more of it, and no less.
func TestTheParentsTimeAndASteppedClock(t *testing.T) {
	var up uptime
	r := responding(t, &outbox{}, func(_ *agent.Config, d *agent.Deps) { d.Elapsed = up.elapsed })
	r.contacts()
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	id := r.live()[0].ID
	r.must(r.doAs(parent, station.NewID(), station.CommandTakeOverAlarm, id, station.TakeOverOrder{}))
	for _, step := range []time.Duration{-year, 2 * year, -year} {
		up.add(3 * time.Minute)
		r.clock.add(3*time.Minute + step)
		r.step()
		resp := r.response(id)
		if left := resp.TakenUntil.Sub(r.clock.now()); !resp.Taken || left <= 0 || left > 10*time.Minute {
			t.Fatalf("after a step of %s it has %s: %+v", step, left, resp)
		}
	}
	up.add(61 * time.Second)
	r.clock.add(61 * time.Second)
	r.step()
	if resp := r.response(id); resp.Taken || resp.Step != 1 {
		t.Errorf("%+v", resp)
	}
}

// What comes again after it was answered is news to the parent too: its ticks were
// about what had been before.
func TestTicksOfWhatComesAgain(t *testing.T) {
	r := responding(t, &outbox{})
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	id := r.live()[0].ID
	r.must(r.doAs(parent, station.NewID(), station.CommandTakeOverAlarm, id, station.TakeOverOrder{}))
	r.must(r.answer(id, station.AnswerReceived))
	r.report("a", station.KindSmoke, false)
	r.clock.add(time.Hour)
	r.report("a", station.KindSmoke, true)
	if al := r.live()[0]; al.ID != id || al.Answered() || !al.CentreTakenAt.IsZero() || !al.CentreSeenAt.IsZero() {
		t.Errorf("%+v", al)
	}
	if resp := r.response(id); resp.Taken || resp.Next == "" {
		t.Errorf("%+v", resp)
	}
}

// below stands for the stations: what was sent to them, and what they say.
type below struct {
	mu    sync.Mutex
	sent  []station.Command
	reply func(station.Command) *station.Problem
}

func (b *below) order(ctx context.Context, _ station.NodeID, cmd station.Command) (station.Receipt, error) {
	b.mu.Lock()
	b.sent = append(b.sent, cmd)
	reply := b.reply
	b.mu.Unlock()
	if reply == nil { // the line is down
		<-ctx.Done()
		return station.Receipt{}, ctx.Err()
	}
	return station.Receipt{Command: cmd.ID, Problem: reply(cmd)}, nil
}

func (b *below) orders() []station.Command {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]station.Command(nil), b.sent...)
}

func (b *below) answers(reply func(station.Command) *station.Problem) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reply = reply
}

func (r *rig) ask(kind, alarm string, order station.AskOrder) station.Asked {
	r.t.Helper()
	var x station.Asked
	if err := json.Unmarshal(r.must(r.do(kind, alarm, order)).Result, &x); err != nil {
		r.t.Fatal(err)
	}
	return x
}

func (r *rig) asked(alarm string, what station.AskedWhat) (x station.Asked) {
	r.t.Helper()
	v, err := r.Alarm(alarm)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, a := range v.Asked {
		if a.What == what {
			x = a
		}
	}
	return x
}

// What is asked of a station is no fact before its receipt, outlives a restart of
// the centre, is sent under one ID whatever happens, and is given up after its time.
func TestAskingAStation(t *testing.T) {
	dir, line := t.TempDir(), &below{}
	centre := func(_ *agent.Config, d *agent.Deps) { d.Order = line.order }
	var id, first string
	t.Run("before the restart", func(t *testing.T) {
		r := newRigOn(t, dir, nil, centre)
		west := r.child("west")
		west.tell(station.LaneUrgent, station.EventAlarmRaised, "alarm/w1", alarmOf("west", "w1"))
		id = "w1"
		stop := r.run()
		x := r.ask(station.CommandAskTakeOver, id, station.AskOrder{Note: "已联系消防"})
		if x.State != station.AskedWaiting || x.By != "li" {
			t.Fatalf("%+v", x)
		}
		if again := r.ask(station.CommandAskTakeOver, id, station.AskOrder{}); again.Command != x.Command {
			t.Errorf("asked twice, sent twice: %+v", again)
		}
		until(t, "it is sent", func() bool { return len(line.orders()) > 0 })
		first = x.Command
		stop()
		if v, err := r.Alarm(id); err != nil || !v.Alarm.CentreTakenAt.IsZero() || v.Asked[0].State != station.AskedWaiting {
			t.Errorf("told as done before the receipt: %+v %v", v, err)
		}
	})
	r := newRigOn(t, dir, nil, centre)
	line.answers(func(station.Command) *station.Problem { return nil })
	r.run()
	until(t, "the station has confirmed it", func() bool { return r.asked(id, station.AskedTakeOver).State == station.AskedDone })
	for _, cmd := range line.orders() {
		body := station.TakeOverOrder{}
		if err := json.Unmarshal(cmd.Body, &body); err != nil || body.By != "li" || body.Note != "已联系消防" {
			t.Errorf("%+v %v", body, err)
		}
		if cmd.ID != first || cmd.Type != station.CommandTakeOverAlarm || cmd.Subject != id || cmd.Actor.Role != account.RoleNode || !strings.HasSuffix(cmd.Actor.Name, " 李站长") {
			t.Errorf("%+v", cmd)
		}
	}
	if v, err := r.Alarm(id); err != nil || !v.Alarm.CentreTakenAt.IsZero() {
		t.Errorf("the tick was made here and not by the station: %v", err)
	}
	rows, err := r.Audit(0, 1)
	if err != nil || rows[0].Action != station.CommandAskTakeOver || rows[0].Result != "ok" || !strings.Contains(rows[0].Detail, "west") {
		t.Errorf("%+v %v", rows, err)
	}

	line.answers(func(station.Command) *station.Problem {
		return station.Errorf(409, "alarm.elsewhere", "", "not ours")
	})
	r.ask(station.CommandAskTakeOver, id, station.AskOrder{Back: true})
	r.ask(station.CommandAskSeen, id, station.AskOrder{})
	until(t, "it is refused", func() bool { return r.asked(id, station.AskedSeen).State == station.AskedRefused })
	if p := r.asked(id, station.AskedSeen).Problem; p == nil || p.Code != "alarm.elsewhere" {
		t.Errorf("%+v", p)
	}
	line.answers(nil)
	r.ask(station.CommandAskSeen, id, station.AskOrder{})
	r.clock.add(11 * time.Minute)
	until(t, "it is given up", func() bool { return r.asked(id, station.AskedSeen).State == station.AskedExpired })
}

// Taking over and handing back, in whatever order they are wished, reach the station
// in that order: what was replaced is not sent any more.
func TestTheLastWishCounts(t *testing.T) {
	line := &below{}
	r := newRig(t, func(_ *agent.Config, d *agent.Deps) { d.Order = line.order })
	r.child("west").tell(station.LaneUrgent, station.EventAlarmRaised, "alarm/w1", alarmOf("west", "w1"))
	r.run()
	r.ask(station.CommandAskTakeOver, "w1", station.AskOrder{})
	until(t, "the first is sent", func() bool { return len(line.orders()) == 1 })
	line.answers(func(station.Command) *station.Problem { return nil })
	back := r.ask(station.CommandAskTakeOver, "w1", station.AskOrder{Back: true})
	until(t, "the second is confirmed", func() bool { return r.asked("w1", station.AskedTakeOver).State == station.AskedDone })
	list := line.orders()
	if len(list) != 2 || list[1].ID != back.Command {
		t.Errorf("%+v", list)
	}
}

func TestWhatCannotBeAsked(t *testing.T) {
	line := &below{}
	r := newRig(t, func(_ *agent.Config, d *agent.Deps) { d.Order = line.order })
	r.addSensor("own", station.ClassSmoke)
	r.report("own", station.KindSmoke, true)
	own := r.live()[0].ID
	west := r.child("west")
	west.tell(station.LaneUrgent, station.EventAlarmRaised, "alarm/w1", alarmOf("west", "w1"))
	over := alarmOf("west", "w2")
	over.State, over.Sensor = station.StateCleared, "t"
	west.tell(station.LaneUrgent, station.EventAlarmRaised, "alarm/w2", over)
	far := alarmOf("below-west", "w3")
	far.Sensor = "below-west.s"
	west.tell(station.LaneUrgent, station.EventAlarmRaised, "alarm/w3", far)
	for _, c := range []struct {
		alarm, want string
		who         station.Actor
		kind        string
	}{
		{own, "asked.own", admin, station.CommandAskTakeOver},
		{"nothing", "not-found", admin, station.CommandAskSeen},
		{"w2", "asked.over", admin, station.CommandAskTakeOver},
		{"w3", "asked.far", admin, station.CommandAskTakeOver},
		{"w1", "access.denied", station.Actor{Account: "v", Role: account.RoleViewer}, station.CommandAskSeen},
		{"w1", "access.denied", parent, station.CommandAskTakeOver},
		{"w1", "asked.display", station.Actor{Account: "d", Role: account.RoleDisplay}, station.CommandAskSeen},
	} {
		if rec := r.doAs(c.who, station.NewID(), c.kind, c.alarm, station.AskOrder{}); rec.Problem == nil || rec.Problem.Code != c.want {
			t.Errorf("%s about %s by %s: %v, want %s", c.kind, c.alarm, c.who.Role, rec.Problem, c.want)
		}
	}
	if n := len(line.orders()); n != 0 {
		t.Errorf("%d orders were sent", n)
	}
}

// The answer by HTTP says that the station has not confirmed it.
func TestAskingIsAcceptedAndNotDone(t *testing.T) {
	r := newRig(t, func(_ *agent.Config, d *agent.Deps) { d.Order = (&below{}).order })
	west := r.child("west")
	west.tell(station.LaneUrgent, station.EventAlarmRaised, "alarm/w1", alarmOf("west", "w1"))
	post := func(path string) (int, string) {
		for _, route := range r.Routes() {
			if route.Pattern != "POST /api/v1/alarms/{id}/"+path {
				continue
			}
			req := httptest.NewRequest(http.MethodPost, "/", nil)
			req.SetPathValue("id", "w1")
			rec := httptest.NewRecorder()
			route.Handler.ServeHTTP(rec, req.WithContext(station.WithActor(req.Context(), admin)))
			return rec.Code, rec.Body.String()
		}
		t.Fatal("no route for " + path)
		return 0, ""
	}
	for _, path := range []string{"seen", "takeover"} {
		if code, text := post(path); code != http.StatusAccepted || !strings.Contains(text, `"confirmed":false`) {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	al := alarmOf("west", "w1")
	al.CentreTakenAt = r.clock.now()
	west.tell(station.LaneUrgent, station.EventAlarmChanged, "alarm/w1", al)
	if code, _ := post("takeover"); code != http.StatusAccepted {
		t.Errorf("one is on its way still: %d", code)
	}
}

package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stationd/agent"
	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// clock is a wall clock that stands still until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// rig is an agent over a real store in a temporary directory.
type rig struct {
	*agent.Agent
	t     *testing.T
	store *store.Store
	clock *clock
	dir   string
}

func newRig(t *testing.T, change ...func(*agent.Config, *agent.Deps)) *rig {
	t.Helper()
	return newRigOn(t, t.TempDir(), nil, change...)
}

// newRigOn is newRig on a directory that may hold a store already, whose
// settings may be changed.
func newRigOn(t *testing.T, dir string, settings func(*store.Config), change ...func(*agent.Config, *agent.Deps)) *rig {
	t.Helper()
	cfg := store.DefaultConfig()
	cfg.Dir, cfg.Node = dir, "village-1"
	if settings != nil {
		settings(&cfg)
	}
	st, err := store.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &clock{at: time.Date(2026, 11, 21, 10, 0, 0, 0, time.FixedZone("CST", 8*3600))}
	acfg := agent.DefaultConfig()
	// A life begins when it is first asked for the time: its clock may be put
	// right until then.
	began := sync.OnceValue(c.now)
	deps := agent.Deps{Store: st, Log: slog.New(slog.DiscardHandler), Now: c.now, Elapsed: func() time.Duration { return c.now().Sub(began()) }}
	for _, f := range change {
		f(&acfg, &deps)
	}
	return &rig{Agent: agent.New(acfg, deps), t: t, store: st, clock: c, dir: dir}
}

var admin = station.Actor{Account: "li", Name: "李站长", Role: account.RoleAdmin}

func (r *rig) do(kind, subject string, body any) station.Receipt {
	r.t.Helper()
	return r.doAs(admin, station.NewID(), kind, subject, body)
}

func (r *rig) doAs(who station.Actor, id, kind, subject string, body any) station.Receipt {
	r.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.Handle(context.Background(), station.Command{ID: id, Type: kind, Subject: subject, Actor: who, Issued: r.clock.now(), Body: raw})
}

func (r *rig) must(rec station.Receipt) station.Receipt {
	r.t.Helper()
	if rec.Problem != nil {
		r.t.Fatal(rec.Problem)
	}
	return rec
}

func (r *rig) addSensor(id, class string) {
	r.t.Helper()
	r.must(r.do(station.CommandPutSensor, id, station.Sensor{
		ID: id, Name: "烟感 " + id, Place: "3号楼 1202 室", Class: class,
		Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "json", Topic: "t/" + id},
	}))
}

func (r *rig) report(sensor string, kind station.AlarmKind, active bool, change ...func(*station.Report)) {
	r.t.Helper()
	rep := station.Report{
		Sensor: sensor, Live: true, Received: r.clock.now(),
		Values:  map[string]station.Value{string(kind): active},
		Signals: []station.Signal{{Kind: kind, Active: active, Field: string(kind), Value: active}},
	}
	for _, f := range change {
		f(&rep)
	}
	if err := r.HandleReport(context.Background(), rep); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) live() []station.Alarm {
	r.t.Helper()
	list, err := r.LiveAlarms()
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

func (r *rig) types() (out []string) {
	r.t.Helper()
	events, err := r.store.Read(0, 10000, station.LaneUrgent)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, ev := range events {
		if ev.Type == station.EventResponse {
			continue // who is told is another story, and another test's
		}
		out = append(out, strings.TrimSuffix(strings.TrimPrefix(ev.Type, "cityops.alarm."), ".v1"))
	}
	return out
}

func (r *rig) answer(id string, kind station.AnswerKind) station.Receipt {
	r.t.Helper()
	return r.do(station.CommandAnswerAlarm, id, station.AnswerOrder{Kind: kind})
}

func TestAlarmLife(t *testing.T) {
	r := newRig(t)
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	r.clock.add(15 * time.Second)
	r.report("a", station.KindSmoke, true)
	live := r.live()
	if len(live) != 1 || live[0].Count != 2 || live[0].State != station.StateRaised || live[0].Place != "3号楼 1202 室" {
		t.Fatalf("after a repeat: %+v", live)
	}
	r.report("a", station.KindSmoke, false)
	if live = r.live(); len(live) != 1 || live[0].State != station.StateRaised || live[0].ReturnedAt.IsZero() {
		t.Fatalf("a smoke alarm must wait for an answer: %+v", live)
	}
	r.must(r.answer(live[0].ID, station.AnswerReceived))
	if got := r.live(); len(got) != 1 || got[0].State != station.StateAcknowledged {
		t.Fatalf("a smoke alarm that was received still waits for a judgement: %+v", got)
	}
	r.must(r.answer(live[0].ID, station.AnswerFalse))
	if got := r.live(); len(got) != 0 {
		t.Fatalf("still live after return and answer: %+v", got)
	}
	r.must(r.answer(live[0].ID, station.AnswerUndo))
	if got := r.live(); len(got) != 1 || got[0].State != station.StateAcknowledged || len(got[0].Answers) != 2 || !got[0].Answers[1].Undone {
		t.Fatalf("undo did not bring it back: %+v", got)
	}
	want := "raised repeated returned answered cleared answered"
	if got := strings.Join(r.types(), " "); got != want {
		t.Fatalf("events %q, want %q", got, want)
	}
}

func TestUndoIsForAMinuteAndForOwnAnswers(t *testing.T) {
	r := newRig(t)
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	id := r.live()[0].ID
	r.must(r.answer(id, station.AnswerReceived))
	other := station.Actor{Account: "wang", Name: "王", Role: account.RoleOperator}
	if rec := r.doAs(other, station.NewID(), station.CommandAnswerAlarm, id, station.AnswerOrder{Kind: station.AnswerUndo}); rec.Problem == nil || rec.Problem.Code != "answer.none" {
		t.Fatalf("took back another's answer: %+v", rec)
	}
	r.clock.add(station.UndoWindow + time.Second)
	if rec := r.answer(id, station.AnswerUndo); rec.Problem == nil || rec.Problem.Code != "answer.late" {
		t.Fatalf("took back after the window: %+v", rec)
	}
}

func TestOrdinaryAlarmEndsByItself(t *testing.T) {
	r := newRig(t)
	r.addSensor("d", station.ClassDoor)
	for range 3 {
		r.report("d", station.KindDoor, true)
		r.report("d", station.KindDoor, false)
		r.clock.add(time.Minute) // sooner than that would be chatter
	}
	if len(r.live()) != 0 {
		t.Fatal("a door alarm stayed live")
	}
	list, _, err := r.Alarms("", 10)
	if err != nil || len(list) != 3 {
		t.Fatalf("%d alarms, want 3 (%v)", len(list), err)
	}
}

// A transmission that was stored before the acknowledgement was lost comes
// again: it must not raise a second alarm, and never lose one.
func TestRepeatedTransmission(t *testing.T) {
	on := func(print uint64, dup bool) func(*station.Report) {
		return func(rep *station.Report) {
			rep.Link, rep.Packet, rep.Fingerprint, rep.Duplicate = "embedded/c", uint16(print), print, dup
		}
	}
	t.Run("ordinary kind is recognised", func(t *testing.T) {
		r := newRig(t)
		r.addSensor("d", station.ClassDoor)
		r.report("d", station.KindDoor, true, on(1, false))
		r.report("d", station.KindDoor, false, on(2, false))
		r.report("d", station.KindDoor, true, on(1, true))
		r.report("d", station.KindDoor, false, on(2, true))
		list, _, err := r.Alarms("", 10)
		if err != nil || len(list) != 1 || list[0].Count != 1 {
			t.Fatalf("%+v %v", list, err)
		}
	})
	t.Run("an old end does not end a new alarm", func(t *testing.T) {
		// What a client has in flight comes again as a whole.
		r := newRig(t)
		r.addSensor("d", station.ClassDoor)
		for _, dup := range []bool{false, true} {
			r.report("d", station.KindDoor, true, on(1, dup))
			r.report("d", station.KindDoor, false, on(2, dup))
			r.report("d", station.KindDoor, true, on(3, dup))
			if len(r.live()) != 1 {
				t.Fatalf("the door is open, and no alarm is live (again: %t)", dup)
			}
		}
		if list, _, err := r.Alarms("", 10); err != nil || len(list) != 2 {
			t.Fatalf("%+v %v", list, err)
		}
	})
	t.Run("first seen with DUP is raised", func(t *testing.T) {
		r := newRig(t)
		r.addSensor("d", station.ClassDoor)
		r.report("d", station.KindDoor, true, on(7, true))
		if len(r.live()) != 1 {
			t.Fatal("an alarm whose first copy was lost is lost")
		}
	})
	t.Run("life safety prefers twice to never", func(t *testing.T) {
		r := newRig(t)
		r.addSensor("s", station.ClassSOS)
		r.report("s", station.KindSOS, true, on(1, false))
		r.report("s", station.KindSOS, true, on(1, true))
		live := r.live()
		if len(live) != 1 || live[0].Count != 1 {
			t.Fatalf("the copy was counted: %+v", live)
		}
		r.must(r.answer(live[0].ID, station.AnswerReal))
		r.report("s", station.KindSOS, false, on(2, false))
		r.report("s", station.KindSOS, true, on(1, true))
		if len(r.live()) != 1 {
			t.Fatal("a new press that looks like an old one is lost")
		}
	})
}

func TestRetainedStateRaisesOnlyWhatIsNew(t *testing.T) {
	r := newRig(t)
	r.addSensor("a", station.ClassSmoke)
	retained := func(rep *station.Report) { rep.Retained = true }
	r.report("a", station.KindSmoke, true, retained)
	for range 4 {
		r.report("a", station.KindSmoke, true, retained)
	}
	if live := r.live(); len(live) != 1 || live[0].Count != 1 {
		t.Fatalf("replayed state was counted: %+v", live)
	}
}

func TestUnknownDeviceAlarms(t *testing.T) {
	r := newRig(t, func(c *agent.Config, _ *agent.Deps) { c.MaxUnknown = 1 })
	unknown := func(rep *station.Report) {
		rep.Unknown = &station.Sensor{Name: "0x00158d", Class: station.ClassSmoke, Source: station.SensorSource{Broker: "embedded", Family: "zigbee2mqtt", Topic: "zigbee2mqtt/0x00158d"}}
	}
	r.report("0x00158d", station.KindSmoke, true, unknown)
	if live := r.live(); len(live) != 1 {
		t.Fatal("an unadopted smoke detector is mute")
	}
	r.report("0x00158d", station.KindBattery, true)
	if live := r.live(); len(live) != 1 {
		t.Fatal("a device that nobody has named complains about its battery")
	}
	rep := station.Report{Sensor: "other", Received: r.clock.now(), Values: map[string]station.Value{"x": 1.0}}
	unknown(&rep)
	if err := r.HandleReport(context.Background(), rep); err == nil {
		t.Fatal("more devices than allowed appeared")
	}
	r.report("third", station.KindGas, true, unknown)
	if live := r.live(); len(live) != 2 {
		t.Fatal("a call for help was refused because there are too many devices")
	}
}

func TestCommandIsDoneOnce(t *testing.T) {
	r := newRig(t)
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	id, cmd := r.live()[0].ID, station.NewID()
	first := r.must(r.doAs(admin, cmd, station.CommandAnswerAlarm, id, station.AnswerOrder{Kind: station.AnswerReceived}))
	second := r.must(r.doAs(admin, cmd, station.CommandAnswerAlarm, id, station.AnswerOrder{Kind: station.AnswerReceived}))
	if string(first.Result) != string(second.Result) || !first.At.Equal(second.At) {
		t.Fatal("the second receipt differs from the first")
	}
	if n := len(r.live()[0].Answers); n != 1 {
		t.Fatalf("%d answers", n)
	}
	if rec := r.doAs(admin, cmd, station.CommandRemoveSensor, "a", nil); rec.Problem == nil || rec.Problem.Code != "command.id" {
		t.Fatalf("one ID served for two commands: %+v", rec)
	}
}

func TestEveryCommandDeclaresItsPermission(t *testing.T) {
	for name, p := range agent.CommandPermissions() {
		who := admin
		if p == station.PermNode { // what only the parent may say
			who = station.Actor{Account: "node:parent", Role: account.RoleNode}
		}
		if err := account.Authorize(who, p, ""); p == "" || p == station.PermPublic || err != nil {
			t.Errorf("command %s: permission %q is not a usable one (%v)", name, p, err)
		}
	}
}

func TestRolesAndCommands(t *testing.T) {
	r := newRig(t)
	for _, role := range append(account.Roles(), account.RoleNode, "", "nonsense") {
		who := station.Actor{Account: "x", Role: role}
		for name, p := range agent.CommandPermissions() {
			allowed := account.Authorize(who, p, "") == nil || role == account.RoleNode && agent.OpenToParent(name)
			rec := r.doAs(who, station.NewID(), name, "nothing", json.RawMessage(`{}`))
			denied := rec.Problem != nil && rec.Problem.Code == "access.denied"
			if denied == allowed {
				t.Errorf("role %q command %s: denied %v, allowed %v", role, name, denied, allowed)
			}
		}
	}
}

func TestAuditChain(t *testing.T) {
	r := newRig(t)
	r.addSensor("a", station.ClassSmoke)
	r.do(station.CommandRemoveSensor, "missing", nil)
	rows, err := r.Audit(0, 10)
	if err != nil || len(rows) != 2 || rows[0].Result != "not-found" || rows[1].Result != "ok" || rows[1].Actor.Account != "li" {
		t.Fatalf("%+v %v", rows, err)
	}
	if err := r.VerifyAudit(); err != nil {
		t.Fatal(err)
	}
	err = r.store.Update(context.Background(), station.LaneNormal, func(tx *store.Tx) error {
		rows[1].Subject = "sensor/other"
		return store.Put(tx, store.Key("audit/0000000000000001"), rows[1])
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.VerifyAudit() == nil {
		t.Fatal("a changed row went unnoticed")
	}
}

func TestSecretsStayInside(t *testing.T) {
	const password = "Sehr-Geheim-4711"
	r := newRig(t)
	rec := r.must(r.do(station.CommandPutCamera, "gate", map[string]any{
		"id": "gate", "name": "北门", "url": "rtsp://viewer:" + password + "@10.0.0.9/main", "record": true,
	}))
	if strings.Contains(string(rec.Result), password) || strings.Contains(string(rec.Result), "viewer:") {
		t.Fatalf("the receipt shows the password: %s", rec.Result)
	}
	reg, err := r.Registry()
	if err != nil || len(reg.Cameras) != 1 || reg.Cameras[0].Password.Reveal() != password || reg.Cameras[0].Username != "viewer" {
		t.Fatalf("%+v %v", reg.Cameras, err)
	}
	put := func(change map[string]any) station.Receipt {
		body := map[string]any{"id": "gate", "name": "北门 2", "url": "rtsp://10.0.0.9/main", "username": "viewer", "record": true, "password": station.SecretMask}
		for k, v := range change {
			body[k] = v
		}
		return r.do(station.CommandPutCamera, "gate", body)
	}
	r.must(put(nil))
	if reg, _ = r.Registry(); reg.Cameras[0].Password.Reveal() != password {
		t.Fatal("the mask was stored as the password")
	}
	if rec := put(map[string]any{"url": "rtsp://10.6.6.6/main"}); rec.Problem == nil {
		t.Fatal("the kept password may be sent to another host")
	}
	dev := r.must(r.do(station.CommandPutDevice, "gateway", nil))
	var cred station.DeviceCredential
	if err := json.Unmarshal(dev.Result, &cred); err != nil || len(cred.Password) < 20 {
		t.Fatalf("%+v %v", cred, err)
	}
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{password, cred.Password} {
		if at := grep(t, r.dir, secret); at != "" {
			t.Errorf("a secret lies in the clear in %s", at)
		}
	}
}

func grep(t *testing.T, dir, text string) (found string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if strings.Contains(string(b), text) {
			found = p
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestBadSetupIsRefusedWithItsPlace(t *testing.T) {
	r := newRig(t, func(_ *agent.Config, d *agent.Deps) {
		d.CheckSensor = func(s station.Sensor) error {
			if s.Class == "nonsense" {
				return station.Errorf(400, "sensor.class", "choose another", "there is no such class").At("class")
			}
			return nil
		}
	})
	good := map[string]any{
		"id": "s1", "name": "温度", "place": "", "class": "temperature", "adopted": true,
		"source": map[string]any{"broker": "embedded", "family": "json", "topic": "a/b"},
	}
	for _, c := range []struct {
		place  string
		change map[string]any
	}{
		{"name", map[string]any{"name": " "}},
		{"class", map[string]any{"class": "nonsense"}}, // as CheckSensor says
		{"source.broker", map[string]any{"source": map[string]any{"family": "json", "topic": "a"}}},
		{"cameras[0]", map[string]any{"cameras": []any{"none"}}},
		{"id", map[string]any{"id": "../x"}},
	} {
		body := map[string]any{}
		for k, v := range good {
			body[k] = v
		}
		for k, v := range c.change {
			body[k] = v
		}
		rec := r.do(station.CommandPutSensor, body["id"].(string), body)
		if rec.Problem == nil || rec.Problem.Place != c.place || rec.Problem.Hint == "" {
			t.Errorf("%s: %+v", c.place, rec.Problem)
		}
	}
	r.must(r.do(station.CommandPutSensor, "s1", good))
}

func TestAcceptIsExactlyOnceAndInOrder(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	alarm := func(n int) agent.Arrival {
		al := station.Alarm{ID: fmt.Sprintf("id-%03d", n), Node: "east", Kind: station.KindSmoke, Sensor: "s", Cameras: []string{"c"}, Name: "烟感", RaisedAt: r.clock.now(), Count: 1}
		al.Settle(al.RaisedAt)
		data, err := json.Marshal(al)
		if err != nil {
			t.Fatal(err)
		}
		return agent.Arrival{Epoch: "e1", Seq: uint64(n * 10), Hop: uint64(n), Event: station.Event{
			Origin: station.Origin{Node: "east", Epoch: "e1", Seq: uint64(n * 10)}, ID: station.NewID(), Type: station.EventAlarmRaised,
			Subject: "alarm/" + al.ID, Lane: station.LaneUrgent, Time: r.clock.now(), Data: data,
		}}
	}
	accept := func(want uint64, list ...agent.Arrival) {
		t.Helper()
		m, err := r.Accept(ctx, "east", station.LaneUrgent, list)
		if err != nil || m.Hop != want {
			t.Fatalf("mark %+v, want hop %d (%v)", m, want, err)
		}
	}
	accept(2, alarm(1), alarm(2))
	accept(2, alarm(1), alarm(2)) // again
	accept(2, alarm(4))           // a gap
	accept(4, alarm(2), alarm(3), alarm(4))
	restored := alarm(3) // from a backup: a new epoch, but the event came before
	restored.Epoch, restored.Seq, restored.Hop = "e9", 500, 1
	accept(1, restored)
	fresh := alarm(1) // a new life of the child's store: nothing is a duplicate
	fresh.Epoch, fresh.Event.Origin.Epoch = "e2", "e2"
	accept(1, fresh)
	events, err := r.store.Read(0, 100, station.LaneUrgent)
	if err != nil || len(events) != 5 {
		t.Fatalf("%d events, want 5 (%v)", len(events), err)
	}
	if events[0].Origin.Node != "east" || events[0].Origin.Seq != 10 {
		t.Fatalf("the origin was lost: %+v", events[0].Origin)
	}
	v, err := r.Alarm("id-001")
	if err != nil || v.Alarm.Sensor != "east.s" || v.Alarm.Cameras[0] != "east.c" {
		t.Fatalf("%+v %v", v.Alarm, err)
	}
	if rec := r.answer("id-001", station.AnswerReceived); rec.Problem == nil || rec.Problem.Code != "alarm.elsewhere" {
		t.Fatalf("answered a child's alarm: %+v", rec)
	}
}

func TestSignIn(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	const good = "长城 2026 abc"
	code, err := r.Invite(ctx, "claim", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	order := station.AccountOrder{Account: "li", Name: "李站长", Password: good}
	if _, _, err := r.Claim(ctx, "wrong", order, "1.1.1.1"); err == nil {
		t.Fatal("claimed with a wrong code")
	}
	token, actor, err := r.Claim(ctx, code, order, "1.1.1.1")
	if err != nil || actor.Role != account.RoleAdmin {
		t.Fatal(actor, err)
	}
	if _, _, err := r.Claim(ctx, code, order, "1.1.1.1"); err == nil {
		t.Fatal("claimed twice")
	}
	if who, err := r.Session(ctx, token, "1.1.1.1"); err != nil || who.Account != "li" {
		t.Fatal(who, err)
	}
	r.clock.add(account.SessionIdle + 2*account.SessionTouch)
	if who, _ := r.Session(ctx, token, "1.1.1.1"); who.Account != "" {
		t.Fatal("an idle session lives for ever")
	}
	for i := range account.MaxFailures {
		if _, _, err := r.Login(ctx, "li", "wrong password", fmt.Sprint("2.2.2.", i)); err == nil {
			t.Fatal("signed in with a wrong password")
		}
	}
	_, _, err = r.Login(ctx, "li", good, "3.3.3.3")
	if p, ok := station.AsProblem(err); !ok || p.Code != "login.locked" {
		t.Fatalf("not locked after %d failures: %v", account.MaxFailures, err)
	}
	r.clock.add(account.LockFor)
	if _, _, err := r.Login(ctx, "li", good, "3.3.3.3"); err != nil {
		t.Fatal(err)
	}
	link, err := r.Invite(ctx, "login", "li", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, who, err := r.LoginByLink(ctx, link, "4.4.4.4"); err != nil || who.Account != "li" {
		t.Fatal(who, err)
	}
	if _, _, err := r.LoginByLink(ctx, link, "4.4.4.4"); err == nil {
		t.Fatal("a link opened twice")
	}
	if grep(t, r.dir, good) != "" {
		t.Fatal("the password lies in the clear")
	}
	var slow error
	for range 20 {
		_, _, slow = r.Login(ctx, "nobody", "x", "9.9.9.9")
	}
	if p, ok := station.AsProblem(slow); !ok || p.Code != "login.slow-down" {
		t.Fatalf("one address may guess without end: %v", slow)
	}
}

// clipMaker stands in for the recorder: it makes a clip when it is told to.
type clipMaker struct {
	make chan error
}

func (m clipMaker) Clip(ctx context.Context, c station.Clip) (station.Clip, error) {
	select {
	case <-ctx.Done():
		return c, ctx.Err()
	case err := <-m.make:
		c.Status, c.Size, c.SHA256 = station.ClipReady, 1000, "ab"
		return c, err
	}
}

func (m clipMaker) RemoveClip(string) error { return nil }
func (m clipMaker) HasClip(string) bool     { return false }

func TestClipFollowsItsAlarm(t *testing.T) {
	maker := clipMaker{make: make(chan error)}
	r := newRig(t, func(_ *agent.Config, d *agent.Deps) { d.Clips = maker })
	r.must(r.do(station.CommandPutCamera, "cam", map[string]any{"id": "cam", "name": "走廊", "url": "rtsp://127.0.0.1/x", "record": true}))
	r.addSensor("a", station.ClassSmoke)
	s := station.Sensor{ID: "a", Name: "烟感", Class: station.ClassSmoke, Cameras: []string{"cam"}, Source: station.SensorSource{Broker: "embedded", Family: "json", Topic: "t/a"}}
	r.must(r.do(station.CommandPutSensor, "a", s))
	r.report("a", station.KindSmoke, true)
	clip := r.live()[0].Clip
	if c, err := r.Clip(clip); err != nil || c.Status != station.ClipPending || c.To.Sub(c.From) != 30*time.Second {
		t.Fatalf("%+v %v", c, err)
	}
	run := func() (stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	run()() // a stop before the clip is made must not lose it
	more := r.ClipsChanged()
	stop := run()
	defer stop()
	maker.make <- nil
	<-more
	c, err := r.Clip(clip)
	if err != nil || c.Status != station.ClipReady {
		t.Fatalf("%+v %v", c, err)
	}
	pending, err := r.PendingClips(context.Background())
	if err != nil || len(pending) != 1 || pending[0].ID != clip {
		t.Fatalf("%+v %v", pending, err)
	}
	if err := r.ClipUploaded(context.Background(), clip); err != nil {
		t.Fatal(err)
	}
	if pending, _ = r.PendingClips(context.Background()); len(pending) != 0 {
		t.Fatal("an uploaded clip waits to be uploaded")
	}
	r.must(r.do(station.CommandRemoveClip, clip, nil))
	if c, err = r.Clip(clip); err != nil || c.Status != station.ClipRemoved {
		t.Fatalf("%+v %v", c, err)
	}
}

func TestAdvanceMarksWhatTheCentreHas(t *testing.T) {
	r := newRig(t)
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	head := r.store.Head()
	r.clock.add(time.Second)
	if err := r.Advance(context.Background(), store.Cursor{Target: "centre", Lane: station.LaneUrgent, Epoch: r.store.Epoch(), Seq: head, Hop: 1}); err != nil {
		t.Fatal(err)
	}
	if got := r.live()[0].CentreAt; got.IsZero() {
		// The very first cursor has no epoch to compare with.
		t.Fatal("the alarm is not marked as received")
	}
}

func TestLastAdministratorStays(t *testing.T) {
	r := newRig(t)
	r.must(r.do(station.CommandPutAccount, "li", map[string]any{"account": "li", "name": "李", "role": "admin", "password": "lang genug 1"}))
	if rec := r.do(station.CommandRemoveAccount, "li", nil); rec.Problem == nil || rec.Problem.Code != "account.last-admin" {
		t.Fatalf("%+v", rec)
	}
	rec := r.doAs(station.Actor{Account: "c", Role: account.RoleChief}, station.NewID(), station.CommandPutAccount, "li",
		map[string]any{"account": "li", "name": "李", "role": "operator"})
	if rec.Problem == nil || rec.Problem.Code != "account.rank" {
		t.Fatalf("a chief took an administrator's rank: %+v", rec)
	}
}

package agent_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/account"
	"stationd/agent/station"
)

// cutter makes every clip at once.
type cutter struct{ agent.ClipMaker }

func (cutter) Clip(_ context.Context, c station.Clip) (station.Clip, error) {
	c.Status, c.Start, c.End, c.Size = station.ClipReady, c.From, c.To, 1
	return c, nil
}
func (cutter) HasClip(string) bool { return true }

// below is a centre and a station, each of which can end and begin again.
type ends struct {
	t      *testing.T
	cable  *cable
	centre *life
	east   *rig
	alarm  string
	begun  []func()
}

func newEnds(t *testing.T) *ends {
	b := &ends{t: t, cable: &cable{}}
	b.east = newRig(t, func(_ *agent.Config, d *agent.Deps) { d.Centre, d.Clips = true, cutter{} })
	b.cable.to = b.east
	b.east.must(b.east.do(station.CommandPutCamera, "gate", station.CameraOrder{Camera: station.Camera{ID: "gate", Name: "大门", URL: "rtsp://192.0.2.1/"}}))
	b.east.addSensor("t", station.ClassTemperature)
	b.east.report("t", station.KindTemperature, true)
	b.alarm = b.east.live()[0].ID
	b.start(t.TempDir(), time.Time{})
	b.centre.comes("east")
	b.centre.sees("east", station.Presence{})
	t.Cleanup(func() { b.stop() })
	return b
}

func (b *ends) start(dir string, at time.Time) {
	b.t.Helper()
	b.centre = &life{}
	b.centre.rig = newRigOn(b.t, dir, nil, func(_ *agent.Config, d *agent.Deps) {
		d.Elapsed, d.Order = b.centre.up.elapsed, b.cable.order
	})
	if !at.IsZero() {
		b.centre.clock.at = at
	}
	if err := b.centre.NodesOffline(context.Background()); err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := b.centre.Run(ctx); err != nil {
			b.t.Error(err)
		}
	})
	b.begun = append(b.begun, func() { cancel(); done.Wait() })
}

func (b *ends) stop() {
	for _, end := range b.begun {
		end()
	}
	b.begun = nil
}

// restart ends the centre's program, as a kill would, and begins it again.
func (b *ends) restart() {
	b.t.Helper()
	b.stop()
	at, dir := b.centre.clock.now(), b.centre.dir
	if err := b.centre.store.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.start(dir, at)
}

func (b *ends) order(kind, subject string, body any) station.Instruction {
	b.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	rec := b.centre.must(b.centre.do(station.CommandInstruct, "", station.InstructOrder{Nodes: []station.NodeID{"east"}, Type: kind, Subject: subject, Body: raw}))
	var out []station.Instruction
	if err := json.Unmarshal(rec.Result, &out); err != nil || len(out) != 1 {
		b.t.Fatalf("%s %v", rec.Result, err)
	}
	return out[0]
}

func (b *ends) settled(id string) (x station.Instruction) {
	b.t.Helper()
	until(b.t, "the order is settled", func() bool {
		list, err := b.centre.Instructions("east", 500)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, y := range list {
			if y.ID == id {
				x = y
			}
		}
		return x.State != station.AskedWaiting
	})
	return x
}

// TestOrdersToStations: every kind of order, and whatever can come between.
func TestOrdersToStations(t *testing.T) {
	kinds := []struct {
		kind  string
		body  func(b *ends) (subject string, body any)
		class station.OrderClass
		// done tells whether the station has done it, and how often.
		done func(b *ends, x station.Instruction) int
	}{
		{
			kind: station.CommandAnswerAlarm, class: station.ClassAlarms,
			body: func(b *ends) (string, any) {
				return b.alarm, station.AnswerOrder{Kind: station.AnswerReceived, Note: "中心已阅"}
			},
			done: func(b *ends, _ station.Instruction) int { v, _ := b.east.Alarm(b.alarm); return len(v.Alarm.Answers) },
		},
		{
			kind: station.CommandRecordClip, class: station.ClassRecord,
			body: func(b *ends) (string, any) {
				now := b.east.clock.now()
				return "east.gate", station.RecordOrder{From: now.Add(-time.Minute), To: now.Add(-30 * time.Second)}
			},
			done: func(b *ends, x station.Instruction) int {
				var c station.Clip
				if json.Unmarshal(x.Result, &c) != nil || c.Camera != "gate" {
					return 0
				}
				if kept, err := b.east.Clip(c.ID); err != nil || kept.Status != station.ClipPending {
					return 0
				}
				return 1
			},
		},
		{
			kind: station.CommandPutMode, class: station.ClassMode,
			body: func(*ends) (string, any) { return "", station.ModeOrder{Mode: station.ModeJoint} },
			done: func(b *ends, _ station.Instruction) int {
				if m, _ := b.east.Mode(); m.Mode == station.ModeJoint {
					return 1
				}
				return 0
			},
		},
		{
			kind: station.CommandPutSchedule, class: station.ClassSetup,
			body: func(*ends) (string, any) { return "night", station.Schedule{ID: "night", Name: "夜间"} },
			done: func(b *ends, _ station.Instruction) int { list, _ := b.east.Schedules(); return len(list) },
		},
		{
			kind: station.CommandPutCard, class: station.ClassSetup,
			body: func(*ends) (string, any) {
				return "smoke", map[string]any{"kind": "smoke", "text": map[string]any{"zh": map[string]any{"steps": []map[string]string{{"text": "先打 119"}}}}}
			},
			done: func(b *ends, _ station.Instruction) int {
				if c, _ := b.east.Card(station.KindSmoke); len(c.Text["zh"].Steps) == 1 {
					return 1
				}
				return 0
			},
		},
		{
			kind: station.CommandPutBroadcast, class: station.ClassBroadcast,
			body: func(b *ends) (string, any) {
				return "", station.Broadcast{Text: "今晚有暴雨", Until: b.east.clock.now().Add(time.Hour)}
			},
			done: func(b *ends, _ station.Instruction) int { list, _ := b.east.Broadcasts(false); return len(list) },
		},
	}
	for _, k := range kinds {
		give := func(b *ends) station.Instruction {
			subject, body := k.body(b)
			return b.order(k.kind, subject, body)
		}
		t.Run(k.kind, func(t *testing.T) {
			t.Run("done, repeated, restart in between", func(t *testing.T) {
				t.Parallel()
				b := newEnds(t)
				x := give(b) // the station is away
				if x.Class != k.class {
					t.Errorf("class %q", x.Class)
				}
				b.restart()
				b.cable.lay(true) // and its line eats what is sent
				b.centre.comes("east")
				until(t, "it was sent into the void", func() bool { return len(b.cable.commands()) > 0 })
				b.restart()
				if n := k.done(b, x); n != 0 {
					t.Fatalf("done %d times before it came", n)
				}
				b.cable.lay(false)
				b.centre.comes("east")
				if x = b.settled(x.ID); x.State != station.AskedDone || x.Problem != nil {
					t.Fatalf("%+v", x)
				}
				// The receipt was lost: it is sent once more, and done no second time.
				cmds := b.cable.commands()
				last := cmds[len(cmds)-1]
				again, err := b.cable.order(context.Background(), "east", last)
				if err != nil || again.Problem != nil || string(again.Result) != string(x.Result) {
					t.Errorf("repeated: %+v %v", again, err)
				}
				if n := k.done(b, x); n != 1 {
					t.Errorf("done %d times", n)
				}
				if row := b.east.audit(1)[0]; row.Action != k.kind || row.Actor.Account != "node:parent" || row.Result != "ok" {
					t.Errorf("the station's audit: %+v", row)
				}
				if row := b.centre.audit(1)[0]; row.Action != station.CommandInstruct || row.Result != "ok" {
					t.Errorf("the centre's audit: %+v", row)
				}
			})
			t.Run("refused by the station's people", func(t *testing.T) {
				t.Parallel()
				b := newEnds(t)
				b.east.must(b.east.do(station.CommandPutParentPolicy, "", station.ParentPolicy{Refuse: []station.OrderClass{k.class}, Why: "站里自己管"}))
				b.centre.comes("east")
				x := b.settled(give(b).ID)
				if x.State != station.AskedRefused || x.Problem.Code != "parent.policy" || x.Problem.Args["why"] != "站里自己管" {
					t.Fatalf("%+v", x)
				}
				if n := k.done(b, x); n != 0 {
					t.Errorf("done %d times", n)
				}
				if row := b.east.audit(1)[0]; row.Action != k.kind || row.Result != "parent.policy" {
					t.Errorf("the station's audit: %+v", row)
				}
				if row := b.centre.audit(1)[0]; row.Result != "parent.policy" {
					t.Errorf("the centre's audit: %+v", row)
				}
				// Other classes are taken, and the station's own people do as they like.
				b.east.must(b.east.do(station.CommandPutParentPolicy, "", station.ParentPolicy{}))
				if x := b.settled(give(b).ID); x.State != station.AskedDone {
					t.Errorf("allowed again: %+v", x)
				}
			})
			t.Run("expired", func(t *testing.T) {
				t.Parallel()
				b := newEnds(t)
				x := give(b)
				b.centre.clock.add(31 * 24 * time.Hour)
				b.restart()
				if x = b.settled(x.ID); x.State != station.AskedExpired {
					t.Fatalf("%+v", x)
				}
				b.centre.comes("east")
				if n := k.done(b, x); n != 0 || len(b.cable.commands()) != 0 {
					t.Errorf("done %d times, sent %d", n, len(b.cable.commands()))
				}
				if row := b.centre.audit(1)[0]; row.Result != "command.expired" {
					t.Errorf("the centre's audit: %+v", row)
				}
			})
		})
	}
}

// What is not named may not be ordered, and a parent has no person's rights.
func TestWhatAParentMayNotOrder(t *testing.T) {
	r := newRig(t)
	for kind, permission := range agent.CommandPermissions() {
		if permission == station.PermNode {
			continue
		}
		rec := r.Handle(context.Background(), station.Command{ID: station.NewID(), Type: kind, Actor: parent, Body: json.RawMessage(`{}`)})
		denied := rec.Problem != nil && (rec.Problem.Status == 403 || rec.Problem.Status == 401)
		switch kind {
		case station.CommandAnswerAlarm, station.CommandRecordClip, station.CommandPutCard, station.CommandPutSchedule, station.CommandPutMode, station.CommandPutBroadcast:
			if denied {
				t.Errorf("%s: %v", kind, rec.Problem)
			}
		default:
			if !denied {
				t.Errorf("%s of a node: %v", kind, rec.Problem)
			}
		}
	}
	c := newCentre(t)
	c.comes("east")
	for _, o := range []station.InstructOrder{
		{Nodes: []station.NodeID{"east"}, Type: station.CommandPutAccount},
		{Type: station.CommandPutMode},
		{Nodes: []station.NodeID{"west"}, Type: station.CommandPutMode},
		{All: true, Type: station.CommandRecordClip},
		{All: true, Type: station.CommandPutMode, Minutes: -1},
	} {
		if p := c.do(station.CommandInstruct, "", o).Problem; p == nil {
			t.Errorf("taken: %+v", o)
		}
	}
}

// A broadcast is read by people, and the centre is told who.
func TestWhoHasReadABroadcast(t *testing.T) {
	east := newRig(t)
	east.must(east.doAs(parent, station.NewID(), station.CommandPutBroadcast, "rain", station.Broadcast{Text: "今晚有暴雨", Grave: true}))
	for range 2 {
		east.must(east.do(station.CommandSeenBroadcast, "rain", nil))
	}
	list, err := east.Broadcasts(false)
	if err != nil || len(list) != 1 || len(list[0].Seen) != 1 || list[0].Seen[0].Name != admin.Name || list[0].By != parent.Name {
		t.Fatalf("%+v %v", list, err)
	}
	if p := east.doAs(station.Actor{Account: "d", Role: account.RoleDisplay}, station.NewID(), station.CommandSeenBroadcast, "rain", nil).Problem; p == nil {
		t.Error("a display has read it")
	}
	c := newCentre(t)
	c.child("east").tell(station.LaneNormal, station.EventBroadcast, "broadcast/rain", list[0])
	c.child("west").tell(station.LaneNormal, station.EventBroadcast, "broadcast/rain", list[0])
	if got, err := c.Broadcasts(true); err != nil || len(got) != 2 || got[0].Node == got[1].Node || len(got[0].Seen) != 1 {
		t.Errorf("at the centre: %+v %v", got, err)
	}
}

// Four seats, one alarm of a station: one of them has it, and it ends with the alarm.
func TestSeatsClaimAStationsAlarm(t *testing.T) {
	c := newCentre(t)
	east := c.child("east")
	east.tell(station.LaneUrgent, station.EventAlarmRaised, "alarm/e1", alarmOf("east", "e1"))
	c.must(c.do(station.CommandClaim, "e1", station.TakeOrder{Seat: "1号席"}))
	if p := c.doAs(station.Actor{Account: "zhao", Name: "赵", Role: account.RoleAdmin}, station.NewID(), station.CommandClaim, "e1", station.TakeOrder{Seat: "2号席"}).Problem; p == nil || p.Code != "take.taken" {
		t.Errorf("a second seat has it too: %v", p)
	}
	c.must(c.do(station.CommandUnclaim, "e1", nil))
	c.must(c.doAs(station.Actor{Account: "zhao", Name: "赵", Role: account.RoleAdmin}, station.NewID(), station.CommandClaim, "e1", station.TakeOrder{Seat: "2号席"}))
	if list, err := c.Claims(); err != nil || len(list) != 1 || list[0].TakenBy.Seat != "2号席" {
		t.Fatalf("%+v %v", list, err)
	}
	over := alarmOf("east", "e1")
	over.State = station.StateCleared
	east.tell(station.LaneUrgent, station.EventAlarmCleared, "alarm/e1", over)
	if list, err := c.Claims(); err != nil || len(list) != 0 {
		t.Errorf("it is over, and claimed: %+v %v", list, err)
	}
	if p := c.do(station.CommandClaim, "e1", station.TakeOrder{}).Problem; p == nil || p.Code != "asked.over" {
		t.Errorf("claimed when it was over: %v", p)
	}
}

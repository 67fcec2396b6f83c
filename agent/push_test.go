package agent_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/account"
	"stationd/agent/station"
)

// cable joins a centre to its station as the line does: what is ordered arrives
// with a node's rights, or not at all.
type cable struct {
	mu   sync.Mutex
	to   *rig
	sent []station.Command
	cut  bool
}

func (c *cable) order(ctx context.Context, _ station.NodeID, cmd station.Command) (station.Receipt, error) {
	c.mu.Lock()
	to, cut := c.to, c.cut
	c.sent = append(c.sent, cmd)
	c.mu.Unlock()
	if cut {
		<-ctx.Done()
		return station.Receipt{}, ctx.Err()
	}
	cmd.Actor = station.Actor{Account: "node:parent", Name: cmd.Actor.Name, Role: account.RoleNode}
	return to.Handle(ctx, cmd), nil
}

func (c *cable) lay(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
}

func (c *cable) commands() []station.Command {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]station.Command(nil), c.sent...)
}

// smokeByItself is what the program heeds of every detector, whatever a template says.
func smokeByItself(class string) []station.Rule {
	return []station.Rule{{ID: "default-smoke", Kind: station.KindSmoke, Field: "smoke", Op: "eq", Value: true}}
}

func withRules(_ *agent.Config, d *agent.Deps) {
	d.Rules = agent.Rules{Defaults: smokeByItself}
}

// village is the station at the other end of c.
func (c *cable) village(t *testing.T) *rig {
	t.Helper()
	c.to = newRig(t, withRules, func(_ *agent.Config, d *agent.Deps) { d.Centre = true })
	return c.to
}

func hot(class string, limit float64) station.RuleTemplate {
	return station.RuleTemplate{Name: "高温", Class: class, Rules: []station.Rule{{Kind: station.KindTemperature, Field: "temperature", Op: "gt", Value: limit}}}
}

func (r *rig) push(template string, o station.PushOrder) []station.TemplatePush {
	r.t.Helper()
	var rows []station.TemplatePush
	if err := json.Unmarshal(r.must(r.do(station.CommandPushTemplate, template, o)).Result, &rows); err != nil {
		r.t.Fatal(err)
	}
	return rows
}

func (r *rig) pushed(template string, node station.NodeID) (x station.TemplatePush) {
	r.t.Helper()
	var v struct{ Pushes []station.TemplatePush }
	if p := r.call(admin, http.MethodGet, "/api/v1/rule-templates/"+template+"/pushes", nil, &v); p != nil {
		r.t.Fatal(p)
	}
	for _, row := range v.Pushes {
		if row.Node == node {
			x = row
		}
	}
	return x
}

func (r *rig) settled(template string, node station.NodeID) station.TemplatePush {
	r.t.Helper()
	until(r.t, "the station has said what it does", func() bool { return r.pushed(template, node).State != station.PushWaiting })
	return r.pushed(template, node)
}

func (r *rig) template(class string) (t station.RuleTemplate) {
	r.t.Helper()
	var v struct{ Templates []station.RuleTemplate }
	if p := r.call(admin, http.MethodGet, "/api/v1/rule-templates", nil, &v); p != nil {
		r.t.Fatal(p)
	}
	for _, x := range v.Templates {
		if x.Class == class {
			t = x
		}
	}
	return t
}

// A template reaches the station that was away for days, over a restart of the
// centre, once; and the station's smoke detectors are heeded whatever it says.
func TestTemplateReachesAStationThatWasAway(t *testing.T) {
	dir, line := t.TempDir(), &cable{cut: true}
	village := line.village(t)
	village.addSensor("a", station.ClassSmoke)
	centre := func(_ *agent.Config, d *agent.Deps) { d.Order, d.Log = line.order, slog.New(slog.DiscardHandler) }
	var first string
	t.Run("before the restart", func(t *testing.T) {
		r := newRigOn(t, dir, nil, withRules, centre)
		r.child("west")
		stop := r.run()
		r.must(r.do(station.CommandPutTemplate, "mute", station.RuleTemplate{Name: "静音", Class: station.ClassSmoke, Rules: []station.Rule{
			{Kind: station.KindSmoke, Field: "smoke", Op: "eq", Value: "never"},
		}}))
		rows := r.push("mute", station.PushOrder{All: true, Note: "统一规则"})
		if len(rows) != 1 || rows[0].State != station.PushWaiting || rows[0].Version != 1 {
			t.Fatalf("%+v", rows)
		}
		first = rows[0].Command
		if again := r.push("mute", station.PushOrder{All: true}); again[0].Command != first {
			t.Error("wished twice, sent twice")
		}
		until(t, "it is sent", func() bool { return len(line.commands()) > 0 })
		stop()
		if x := r.pushed("mute", "west"); x.State != station.PushWaiting || x.Accepted != 0 {
			t.Errorf("told as done before the receipt: %+v", x)
		}
	})
	r := newRigOn(t, dir, nil, withRules, centre)
	r.clock.add(20 * 24 * time.Hour)
	line.lay(false)
	r.run()
	if x := r.settled("mute", "west"); x.State != station.PushDone || x.Accepted != 1 || x.Command != first {
		t.Fatalf("%+v", x)
	}
	for _, cmd := range line.commands() {
		if cmd.ID != first {
			t.Errorf("sent under %s and %s", first, cmd.ID)
		}
	}
	got := village.template(station.ClassSmoke)
	if got.From == nil || got.From.Template != "mute" || got.From.Version != 1 || !strings.HasSuffix(got.From.By, " 李站长") || got.Version != 1 || got.Note != "统一规则" {
		t.Fatalf("%+v", got)
	}
	reg, err := village.Registry()
	if err != nil {
		t.Fatal(err)
	}
	if rules := reg.Sensors[0].Rules; len(rules) != 2 || rules[1].ID != "default-smoke" {
		t.Errorf("a smoke detector was made mute from far away: %+v", rules)
	}
	row := village.audit(1)[0]
	if row.Action != station.CommandTakeTemplate || !strings.HasSuffix(row.Actor.Name, " 李站长") || row.Actor.Account != "node:parent" || !strings.HasPrefix(row.Detail, "li: version 1") {
		t.Errorf("the station's audit: %+v", row)
	}
	// The same content again, under another ID, is no new version.
	cmd := line.commands()[0]
	cmd.ID = station.NewID()
	if rec, err := line.order(t.Context(), "west", cmd); err != nil || rec.Problem != nil {
		t.Fatal(rec.Problem, err)
	}
	if again := village.template(station.ClassSmoke); again.Version != 1 {
		t.Errorf("taken twice: %+v", again)
	}
	// A station that comes later has it by itself, and one that begins a new life
	// has it again.
	late := r.child("east")
	if x := r.settled("mute", "east"); x.State != station.PushDone {
		t.Errorf("the newcomer: %+v", x)
	}
	late.tell(station.LaneNormal, station.EventNodeState, "node/east", station.Node{ID: "east", Name: "东站"})
	n := len(line.commands())
	ar := late.arrival(station.LaneNormal, station.EventNodeState, "node/east", station.Node{ID: "east", Name: "东站"})
	ar.Epoch, ar.Hop, ar.Event.Origin.Epoch = "e2", 1, "e2"
	if _, err := r.Accept(t.Context(), "east", station.LaneNormal, []agent.Arrival{ar}); err != nil {
		t.Fatal(err)
	}
	until(t, "a new life gets it again", func() bool { return len(line.commands()) > n && r.pushed("mute", "east").State == station.PushDone })
}

// What the station's own people have made is given up only where the centre names
// it; what they refuse is refused.
func TestTemplateYieldsToTheStationsPeople(t *testing.T) {
	line := &cable{}
	village := line.village(t)
	village.addSensor("a", station.ClassTemperature)
	r := newRig(t, withRules, func(_ *agent.Config, d *agent.Deps) { d.Order = line.order })
	west := r.child("west")
	r.run()
	r.must(r.do(station.CommandPutTemplate, "hot", hot(station.ClassTemperature, 60)))
	zhang := station.Actor{Account: "zhang", Name: "张三", Role: account.RoleInstaller}
	village.must(village.doAs(zhang, station.NewID(), station.CommandPutTemplate, "ours", hot(station.ClassTemperature, 45)))

	r.push("hot", station.PushOrder{Nodes: []station.NodeID{"west"}})
	x := r.settled("hot", "west")
	if x.State != station.PushRefused || x.Problem.Code != "template.local" || x.Problem.Place != "rule-template/ours/1" || x.Problem.Args["name"] != "张三" {
		t.Fatalf("%+v %+v", x, x.Problem)
	}
	// Meanwhile they change it once more: what the centre has seen is not what is there.
	village.must(village.doAs(zhang, station.NewID(), station.CommandPutTemplate, "ours", hot(station.ClassTemperature, 46)))
	r.push("hot", station.PushOrder{Nodes: []station.NodeID{"west"}, Over: x.Problem.Place})
	if x = r.settled("hot", "west"); x.State != station.PushRefused || x.Problem.Place != "rule-template/ours/2" {
		t.Fatalf("a version that nobody had seen was overwritten: %+v", x)
	}
	r.push("hot", station.PushOrder{Nodes: []station.NodeID{"west"}, Over: x.Problem.Place})
	if x = r.settled("hot", "west"); x.State != station.PushDone || x.Accepted != 1 {
		t.Fatalf("%+v %v", x, x.Problem)
	}
	got := village.template(station.ClassTemperature)
	if got.ID != "ours" || got.Version != 3 || got.From == nil || got.Rules[0].Value != 60.0 || got.Rules[0].Version != 3 {
		t.Errorf("%+v", got)
	}
	if row := village.audit(1)[0]; !strings.Contains(row.Detail, "over rule-template/ours/2") {
		t.Errorf("the audit does not say what was replaced: %+v", row)
	}
	var v struct{ Versions []station.RuleTemplate }
	if p := village.call(admin, http.MethodGet, "/api/v1/rule-templates/ours", nil, &v); p != nil || len(v.Versions) != 3 || v.Versions[1].Rules[0].Value != 46.0 {
		t.Errorf("what they had made is gone: %+v", v)
	}

	// They change it: the centre is told, and a newer version of the centre's waits for a word.
	village.must(village.doAs(zhang, station.NewID(), station.CommandPutTemplate, "ours", hot(station.ClassTemperature, 50)))
	west.tell(station.LaneNormal, station.EventSetupChanged, "rule-template/ours", village.template(station.ClassTemperature))
	if x = r.pushed("hot", "west"); x.Local == nil || x.Local.Name != "张三" || x.Local.Version != 4 {
		t.Errorf("%+v", x)
	}
	r.must(r.do(station.CommandPutTemplate, "hot", hot(station.ClassTemperature, 65)))
	r.push("hot", station.PushOrder{All: true})
	if x = r.settled("hot", "west"); x.Problem == nil || x.Problem.Code != "template.local" || x.Accepted != 1 {
		t.Errorf("%+v", x)
	}
	village.must(village.doAs(zhang, station.NewID(), station.CommandRemoveTemplate, "ours", nil))
	r.push("hot", station.PushOrder{All: true})
	if x = r.settled("hot", "west"); x.State != station.PushDone || x.Accepted != 2 {
		// The centre's own had another ID there: its removal under that one is no word about this.
		t.Errorf("%+v %v", x, x.Problem)
	}
	village.must(village.doAs(zhang, station.NewID(), station.CommandRemoveTemplate, "hot", nil))
	west.tell(station.LaneNormal, station.EventSetupChanged, "rule-template/hot", station.RuleTemplate{ID: "hot", Class: station.ClassTemperature, Version: 2, ByName: "张三", At: r.clock.now(), Removed: true})
	r.push("hot", station.PushOrder{All: true})
	if x = r.settled("hot", "west"); x.Problem == nil || x.Problem.Code != "template.removed" {
		t.Fatalf("what was removed by hand came back silently: %+v", x)
	}
	r.push("hot", station.PushOrder{Nodes: []station.NodeID{"west"}, Over: x.Problem.Place})
	if x = r.settled("hot", "west"); x.State != station.PushDone {
		t.Errorf("%+v %v", x, x.Problem)
	}

	// The policy.
	village.must(village.do(station.CommandPutRulePolicy, "", station.RulePolicy{Classes: []string{station.ClassTemperature}, Why: "冷库有自己的要求"}))
	r.must(r.do(station.CommandPutTemplate, "hot", hot(station.ClassTemperature, 70)))
	r.push("hot", station.PushOrder{All: true})
	if x = r.settled("hot", "west"); x.Problem == nil || x.Problem.Code != "template.policy" || x.Problem.Args["why"] != "冷库有自己的要求" || x.Accepted != 2 {
		t.Errorf("%+v %v", x, x.Problem)
	}
	village.must(village.do(station.CommandPutRulePolicy, "", station.RulePolicy{}))

	// Removed at the centre, it is taken back.
	r.push("hot", station.PushOrder{All: true})
	if x = r.settled("hot", "west"); x.State != station.PushDone || x.Accepted != 3 {
		t.Fatalf("%+v", x)
	}
	r.must(r.do(station.CommandRemoveTemplate, "hot", nil))
	if x = r.settled("hot", "west"); x.State != station.PushDone || !x.Withdraw || x.Accepted != 0 {
		t.Errorf("%+v", x)
	}
	if got := village.template(station.ClassTemperature); got.Version != 0 {
		t.Errorf("it is still there: %+v", got)
	}
}

func TestTemplatesThatAreNotTaken(t *testing.T) {
	line := &cable{}
	village := line.village(t)
	order := func(id string, o station.TakeTemplateOrder) *station.Problem {
		return village.doAs(parent, station.NewID(), station.CommandTakeTemplate, id, o).Problem
	}
	tpl := func(version int, change func(*station.RuleTemplate)) station.RuleTemplate {
		x := hot(station.ClassTemperature, 60)
		x.ID, x.Version = "hot", version
		if change != nil {
			change(&x)
		}
		return x
	}
	if p := order("hot", station.TakeTemplateOrder{Template: tpl(5, nil)}); p != nil {
		t.Fatal(p)
	}
	for _, c := range []struct {
		name, want string
		o          station.TakeTemplateOrder
	}{
		{"an older one", "template.older", station.TakeTemplateOrder{Template: tpl(4, nil)}},
		{"no version", "setup.invalid", station.TakeTemplateOrder{Template: tpl(0, nil)}},
		{"no rules", "setup.invalid", station.TakeTemplateOrder{Template: tpl(6, func(x *station.RuleTemplate) { x.Rules = nil })}},
		{"no class", "setup.invalid", station.TakeTemplateOrder{Template: tpl(6, func(x *station.RuleTemplate) { x.Class = "fridge" })}},
		{"no schedule", "template.schedule", station.TakeTemplateOrder{Template: tpl(6, func(x *station.RuleTemplate) { x.Rules[0].Schedule = "nights" })}},
		{"a long note", "setup.invalid", station.TakeTemplateOrder{Template: tpl(6, nil), Note: strings.Repeat("长", 501)}},
	} {
		if p := order("hot", c.o); p == nil || p.Code != c.want {
			t.Errorf("%s: %v, want %s", c.name, p, c.want)
		}
	}
	if got := village.template(station.ClassTemperature); got.From.Version != 5 || got.Version != 1 {
		t.Errorf("%+v", got)
	}
	// An ID that means something else here does not overwrite it.
	village.must(village.do(station.CommandPutTemplate, "doors", station.RuleTemplate{Name: "门", Class: station.ClassDoor, Rules: []station.Rule{{Kind: station.KindDoor, Field: "contact", Op: "eq", Value: false}}}))
	x := hot(station.ClassLevel, 2)
	x.ID, x.Version = "doors", 1
	if p := order("doors", station.TakeTemplateOrder{Template: x}); p != nil {
		t.Fatal(p)
	}
	if village.template(station.ClassDoor).ID != "doors" || village.template(station.ClassLevel).ID != "doors-level" {
		t.Errorf("%+v %+v", village.template(station.ClassDoor), village.template(station.ClassLevel))
	}
	// Only the parent may, and only a centre pushes.
	if p := village.doAs(admin, station.NewID(), station.CommandTakeTemplate, "hot", station.TakeTemplateOrder{Template: tpl(6, nil)}).Problem; p == nil || p.Code != "access.denied" {
		t.Errorf("%v", p)
	}
	if p := village.do(station.CommandPushTemplate, "hot", station.PushOrder{All: true}).Problem; p == nil || p.Code != "push.none" {
		t.Errorf("%v", p)
	}
}

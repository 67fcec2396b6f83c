package agent_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/station"
)

// sees tells the centre that a station came or went.
func (l *life) sees(node station.NodeID, p station.Presence) {
	l.t.Helper()
	if err := l.NodeSeen(context.Background(), node, p); err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) comes(node station.NodeID) { l.sees(node, station.Presence{Online: true, Version: "1"}) }

func (l *life) hears(node station.NodeID) {
	l.t.Helper()
	if err := l.NodeHeard(context.Background(), node, station.NodeHealth{At: l.clock.now(), DiskFree: 1}); err != nil {
		l.t.Fatal(err)
	}
}

// begins is the start of a centre's program.
func (l *life) begins() *life {
	l.t.Helper()
	if err := l.NodesOffline(context.Background()); err != nil {
		l.t.Fatal(err)
	}
	return l
}

func (l *life) node(id station.NodeID) station.Node {
	l.t.Helper()
	nodes, err := l.Nodes()
	if err != nil {
		l.t.Fatal(err)
	}
	for _, n := range nodes {
		if n.ID == id {
			return n
		}
	}
	l.t.Fatalf("there is no station %s", id)
	return station.Node{}
}

// lost is how many alarms of lost stations there have been, and how many live.
func (l *life) lost() (all, live int) {
	l.t.Helper()
	page, err := l.FindAlarms(agent.AlarmFilter{Kind: station.KindStation, Limit: 500})
	if err != nil {
		l.t.Fatal(err)
	}
	for _, al := range page.Alarms {
		if al.Live() {
			live++
		}
	}
	return len(page.Alarms), live
}

func (l *life) wantLost(all, live int, when string) {
	l.t.Helper()
	if a, b := l.lost(); a != all || b != live {
		l.t.Fatalf("%s: %d alarms, %d live; want %d and %d", when, a, b, all, live)
	}
}

var patience = agent.DefaultPatience()

func newCentre(t *testing.T) *life {
	return newLife(t, t.TempDir(), time.Time{}).begins()
}

func TestAStationThatIsLostIsOneAlarm(t *testing.T) {
	l := newCentre(t)
	l.comes("east")
	l.pass(time.Hour)
	l.wantLost(0, 0, "an older station that says nothing of its health")
	for range 5 { // the line flaps
		l.sees("east", station.Presence{})
		if n := l.node("east"); n.State != station.NodeLine || n.Online {
			t.Fatalf("cut off: %+v", n)
		}
		l.pass(patience.LostAfter / 2)
		l.comes("east")
	}
	l.wantLost(0, 0, "a line that flaps")
	l.sees("east", station.Presence{Bye: station.ByeStop})
	if n := l.node("east"); n.State != station.NodeOff {
		t.Fatalf("switched off: %+v", n)
	}
	l.pass(patience.LostAfter - time.Second)
	l.wantLost(0, 0, "just before it is given up")
	l.pass(2 * time.Second)
	l.wantLost(1, 1, "given up")
	if n := l.node("east"); n.LostAt.IsZero() || n.State != station.NodeOff {
		t.Errorf("lost: %+v", n)
	}
	l.pass(time.Hour)
	l.wantLost(1, 1, "an hour later")
	l.comes("east")
	l.wantLost(1, 0, "back")
	if n := l.node("east"); !n.LostAt.IsZero() || n.State != station.NodeOnline {
		t.Errorf("back: %+v", n)
	}
}

// A line that stands and says nothing is found by the silence, and the last will that
// follows makes no second alarm.
func TestSilenceOnALineThatStands(t *testing.T) {
	l := newCentre(t)
	l.comes("east")
	for range 20 {
		l.hears("east")
		l.pass(30 * time.Second)
	}
	if n := l.node("east"); n.State != station.NodeOnline {
		t.Fatalf("well: %+v", n)
	}
	l.hears("east")
	l.pass(patience.SilentAfter + time.Second)
	if n := l.node("east"); n.State != station.NodeStale || !n.Online {
		t.Fatalf("silent: %+v", n)
	}
	l.wantLost(0, 0, "silent for a while")
	l.pass(patience.LostAfter + time.Second)
	l.wantLost(1, 1, "silent for too long")
	l.sees("east", station.Presence{})
	l.pass(time.Hour)
	l.wantLost(1, 1, "its connection ended too")
	l.comes("east")
	l.hears("east")
	l.wantLost(1, 0, "heard again")
	if n := l.node("east"); n.State != station.NodeOnline {
		t.Errorf("heard again: %+v", n)
	}
}

func TestAStationThatAnnouncesIsNotMissed(t *testing.T) {
	l := newCentre(t)
	east := l.child("east")
	until := l.clock.now().Add(12 * time.Hour)
	east.tell(station.LaneNormal, station.EventNodeState, "node/east", station.Node{ID: "east", Name: "东村", ClosedAt: l.clock.now(), ClosedUntil: until, ClosedBy: "王芳"})
	l.sees("east", station.Presence{Bye: station.ByeStop})
	if n := l.node("east"); n.State != station.NodeClosed || n.Name != "东村" || n.ClosedBy != "王芳" {
		t.Fatalf("closed: %+v", n)
	}
	l.pass(6 * time.Hour)
	l = l.end(time.Hour).begins() // the centre is away in the night
	l.pass(4*time.Hour + 59*time.Minute)
	l.wantLost(0, 0, "still closed")
	l.pass(time.Minute + patience.StartGrace + time.Second)
	l.wantLost(1, 1, "it did not open again")
	l.comes("east")
	l.wantLost(1, 0, "it opened")
	if n := l.node("east"); !n.ClosedAt.IsZero() {
		t.Errorf("open again: %+v", n)
	}
}

// Fifty stations are connected when the centre is killed. All but one come back.
func TestACentreThatStartsAgainMissesWhoIsMissing(t *testing.T) {
	l := newCentre(t)
	const stations = 50
	name := func(i int) station.NodeID { return station.NodeID(fmt.Sprintf("village-%d", i)) }
	for i := range stations {
		l.comes(name(i))
		l.hears(name(i))
	}
	l.sees(name(7), station.Presence{})
	l.pass(patience.LostAfter + time.Second)
	l.wantLost(1, 1, "one is lost before")
	for i := range stations {
		if i != 7 {
			l.hears(name(i))
		}
	}
	l.sees(name(8), station.Presence{}) // its deadline runs when the centre is killed
	l.pass(time.Minute)
	l = l.end(time.Hour).begins()
	l.fire()
	l.wantLost(1, 1, "the deadlines of the life before")
	if n := l.node(name(3)); n.State != station.NodeAwaited || n.Online {
		t.Errorf("nobody has come yet: %+v", n)
	}
	l.pass(patience.StartGrace - time.Minute)
	l = l.end(time.Second).begins() // and once more
	l.pass(2 * time.Minute)
	l.wantLost(1, 1, "within the grace")
	for i := range stations {
		if i != 7 && i != 8 {
			l.comes(name(i))
			l.hears(name(i))
		}
	}
	l.pass(patience.StartGrace - 3*time.Minute)
	for i := range stations {
		if i != 7 && i != 8 {
			l.hears(name(i))
		}
	}
	l.pass(time.Minute + time.Second)
	l.wantLost(2, 2, "after the grace")
	l.comes(name(8))
	l.wantLost(2, 1, "it came late")
}

// What the centre's clock is set to loses no station and finds none.
func TestStationsAreMissedByTheSteadyClock(t *testing.T) {
	for name, step := range map[string]time.Duration{"ahead": year, "back": -year} {
		t.Run(name, func(t *testing.T) {
			l := newCentre(t)
			l.comes("east")
			l.sees("east", station.Presence{})
			l.clock.add(step)
			l.fire()
			l.wantLost(0, 0, "by the clock")
			l.pass(patience.LostAfter + time.Second)
			l.wantLost(1, 1, "given up")
		})
	}
}

func TestAStationIsSetUpBeforeItComes(t *testing.T) {
	l := newCentre(t)
	x, y := 0.25, 0.5
	l.must(l.do(station.CommandPutSite, "east", station.Site{Name: "东村工作站", Area: "一片区", X: &x, Y: &y, Contact: "王芳", Line: "电信 50M"}))
	if n := l.node("east"); n.State != station.NodeNever {
		t.Fatalf("set up: %+v", n)
	}
	l = l.end(time.Minute).begins()
	l.pass(24 * time.Hour)
	l.wantLost(0, 0, "it never came")
	for body, why := range map[*station.Site]string{
		{}:                                       "it has no name",
		{Name: "x", X: &x}:                       "half a place",
		{Name: "x", Parent: "east"}:              "below itself",
		{Name: "x", Plan: "nowhere"}:             "on no plan",
		{Name: "x", Parent: "a/b", X: &x, Y: &y}: "below what is no node",
	} {
		if p := l.do(station.CommandPutSite, "east", body).Problem; p == nil {
			t.Errorf("taken: %s", why)
		}
	}
	l.must(l.do(station.CommandPutSite, "west", station.Site{Name: "西村", Parent: "east"}))
	if p := l.do(station.CommandPutSite, "east", station.Site{Name: "东村", Parent: "west"}).Problem; p == nil {
		t.Error("a tree without a root was taken")
	}
	l.comes("east")
	if p := l.do(station.CommandRemoveSite, "east", nil).Problem; p == nil || p.Code != "site.online" {
		t.Errorf("a station that is connected was forgotten: %v", p)
	}
	l.sees("east", station.Presence{})
	l.pass(patience.LostAfter + time.Second)
	l.wantLost(1, 1, "lost")
	views, err := l.Stations()
	if err != nil || len(views) != 2 || views[0].Site == nil || views[0].Site.Area != "一片区" || views[1].Node.State != station.NodeNever {
		t.Fatalf("%+v %v", views, err)
	}
	l.must(l.do(station.CommandRemoveSite, "east", nil))
	l.wantLost(1, 0, "forgotten")
	l.pass(time.Hour)
	if views, _ = l.Stations(); len(views) != 1 {
		t.Errorf("still there: %+v", views)
	}
}

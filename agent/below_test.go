package agent_test

import (
	"context"
	"testing"

	"stationd/agent"
	"stationd/agent/station"
)

// from makes an event of another node's journal, as a child passes it on.
func (c *child) from(origin station.NodeID, epoch station.Epoch, seq uint64, kind, subject string, record any) agent.Arrival {
	c.t.Helper()
	ar := c.arrival(station.LaneUrgent, kind, subject, record)
	ar.Event.Origin = station.Origin{Node: origin, Epoch: epoch, Seq: seq}
	return ar
}

func (c *child) bring(arrivals ...agent.Arrival) {
	c.t.Helper()
	m, err := c.Accept(context.Background(), c.node, station.LaneUrgent, arrivals)
	if last := arrivals[len(arrivals)-1]; err != nil || m.Hop != last.Hop {
		c.t.Fatalf("%+v %v", m, err)
	}
}

// kept is how often each event of an origin stands in the journal.
func (r *rig) kept(origin station.NodeID) map[uint64]int {
	r.t.Helper()
	events, err := r.store.Read(0, 1000, station.LaneUrgent)
	if err != nil {
		r.t.Fatal(err)
	}
	out := map[uint64]int{}
	for _, ev := range events {
		if ev.Origin.Node == origin {
			out[ev.Origin.Seq]++
		}
	}
	return out
}

// What comes from below a child is kept once by its origin: the child may be restored
// from a backup, and the station may move below another child, or come by itself.
func TestOnceByOrigin(t *testing.T) {
	r := newRig(t)
	east, west := r.child("east"), r.child("west")
	ev := func(c *child, seq uint64) agent.Arrival {
		return c.from("village", "v1", seq, station.EventAlarmRaised, "alarm/"+station.NewID(), station.Alarm{ID: station.NewID(), Node: "village", Kind: station.KindSmoke, State: station.StateRaised, Sensor: "village.s"})
	}
	east.bring(ev(east, 3), ev(east, 5), ev(east, 9))

	// East is restored and sends again what it does not know to be here.
	east.seq[station.LaneUrgent] = 0
	again := []agent.Arrival{ev(east, 5), ev(east, 9), ev(east, 11)}
	for i := range again {
		again[i].Epoch, again[i].Seq, again[i].Hop = "e2", uint64(i+1), uint64(i+1)
	}
	east.bring(again...)

	// The village has moved below west, and tells west what its journal holds.
	west.bring(ev(west, 9), ev(west, 11), ev(west, 12))
	want := map[uint64]int{3: 1, 5: 1, 9: 1, 11: 1, 12: 1}
	got := r.kept("village")
	for seq, n := range want {
		if got[seq] != n {
			t.Errorf("event %d is here %d times", seq, got[seq])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%v", got)
	}

	// Then it comes by itself.
	village := r.child("village")
	own := func(seq, hop uint64) agent.Arrival {
		ar := ev(village, seq)
		ar.Epoch, ar.Seq, ar.Hop = "v1", seq, hop
		return ar
	}
	village.bring(own(11, 1), own(12, 2), own(14, 3))
	// What east has still to send of it comes to late, and is known by its own mark.
	got = r.kept("village")
	if got[11] != 1 || got[12] != 1 || got[14] != 1 {
		t.Errorf("after it came by itself: %v", got)
	}
}

// A child speaks for what lies below it. What lies below another, and is there,
// is that one's; so is a station of our own, unless it was shut out here.
func TestWhoSpeaksForWhom(t *testing.T) {
	g := newGate(t)
	east, west := g.child("east"), g.child("west")
	state := func(c *child, node station.NodeID, online bool) {
		c.tell(station.LaneNormal, station.EventNodeState, "node/"+string(node), station.Node{ID: node, Name: "村", Online: online})
	}
	way := func(node, want station.NodeID, there bool) {
		t.Helper()
		if via, online, err := g.WayTo(node); via != want || online != there || err != nil {
			t.Errorf("the way to %s is %s %v %v, want %s %v", node, via, online, err, want, there)
		}
	}
	way("village", "", false)
	state(east, "village", true)
	way("village", "east", true)
	state(west, "village", false)
	way("village", "east", true)
	west.bring(west.from("village", "v1", 1<<60, station.EventAlarmRaised, "alarm/x", alarmOf("village", "x")))
	if n := len(g.kept("village")); n != 0 {
		t.Errorf("west spoke for what lies below east: %d", n)
	}
	east.bring(east.from("village", "v1", 7, station.EventAlarmRaised, "alarm/y", station.Alarm{ID: "y", Node: "village", Kind: station.KindSmoke, State: station.StateRaised, Sensor: "village.s"}))
	if n := len(g.kept("village")); n != 1 {
		t.Errorf("what east says was lost for what west had said: %d", n)
	}
	state(east, "village", false)
	state(west, "village", true)
	way("village", "west", true)

	state(west, "east", true)
	way("east", "east", true)
	g.must(g.do(station.CommandRevokeEnrolment, "east", station.RevocationOrder{Why: "搬到 west 下面"}))
	if err := g.NodeSeen(context.Background(), "east", station.Presence{}); err != nil {
		t.Fatal(err)
	}
	state(west, "east", true)
	way("east", "west", true)
}

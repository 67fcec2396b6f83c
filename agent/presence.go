package agent

import (
	"context"
	"time"

	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
)

// How a centre knows whether its stations are there. A station comes by its hello and
// goes by its goodbye or its last will; that it lives in between is told by its
// health. What is waited for is a deadline like any other (timers.go): it outlives a
// restart, and a clock that is set does not move it. One alarm is raised for each
// station that is lost, and ends when it is heard again. A station that has announced
// that it closes is not lost.

// Patience is how long a centre waits for its stations.
type Patience struct {
	// LostAfter is how long a station may be away, or silent on a line that stands,
	// before an alarm is raised.
	LostAfter time.Duration `yaml:"lost_after"`
	// SilentAfter is how long a connected station may say nothing before it counts as
	// silent.
	SilentAfter time.Duration `yaml:"silent_after"`
	// StartGrace is how long a centre that has just started waits for stations to come
	// back before it takes them for lost.
	StartGrace time.Duration `yaml:"start_grace"`
}

// DefaultPatience is that of a line that flaps for a minute now and then.
func DefaultPatience() Patience {
	return Patience{LostAfter: 3 * time.Minute, SilentAfter: 2 * time.Minute, StartGrace: 5 * time.Minute}
}

// nodeWatch is what is waited for of a station: when the deadline is that is stored.
type nodeWatch struct {
	Due alarm.Tick `json:"due,omitempty"`
}

// heardHealth is what a station said last of itself, and when it came.
type heardHealth struct {
	station.NodeHealth
	Heard time.Time `json:"heard"`
}

// NodeSeen notes that a child came or went.
func (a *Agent) NodeSeen(ctx context.Context, node station.NodeID, p station.Presence) error {
	return a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		now, n, known, err := a.nodeNow(tx, node)
		if err != nil {
			return err
		}
		before := n
		if !known || n.Online != p.Online {
			n.Since = now.Wall
		}
		if n.Online = p.Online; p.Version != "" {
			n.Version = p.Version
		}
		if p.Online {
			return a.nodeHere(tx, now, before, n, 0)
		}
		state, wait := station.NodeLine, a.cfg.Stations.LostAfter
		switch {
		case n.Closed(now.Wall):
			state, wait = station.NodeClosed, n.ClosedUntil.Sub(now.Wall)+wait
		case p.Bye == station.ByeStop:
			state = station.NodeOff
		}
		if known && before.LostAt.IsZero() && !before.Online && before.State != station.NodeNever {
			return nil // it is known to be away, and what is waited for stands
		}
		return a.nodeAway(tx, now, before, n, state, wait)
	})
}

// NodeHeard notes what a child says of itself: a sign of life.
func (a *Agent) NodeHeard(ctx context.Context, node station.NodeID, h station.NodeHealth) error {
	return a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		now, n, known, err := a.nodeNow(tx, node)
		if err != nil || !known || !n.Online { // its connection has just ended
			return err
		}
		if err := store.Put(tx, key(healthTable, string(node)), heardHealth{h, now.Wall}); err != nil {
			return err
		}
		return a.nodeHere(tx, now, n, n, a.cfg.Stations.SilentAfter)
	})
}

// NodeClock notes how far a child's clock is from ours.
func (a *Agent) NodeClock(ctx context.Context, node station.NodeID, offset time.Duration) error {
	offset = offset.Round(time.Second)
	return a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		n, known, err := store.Get[station.Node](tx, key(nodeTable, string(node)))
		if err != nil || !known || n.ClockOffset == offset {
			return err
		}
		n.ClockOffset = offset
		if err := store.Put(tx, key(nodeTable, string(node)), n); err != nil {
			return err
		}
		return appendEvent(tx, station.LaneNormal, station.EventNodeState, "node/"+string(node), "", a.now(), n)
	})
}

func (a *Agent) nodeNow(tx *store.Tx, node station.NodeID) (now alarm.Now, n station.Node, known bool, err error) {
	if now, err = a.moment(tx); err == nil {
		n, known, err = store.Get[station.Node](tx, key(nodeTable, string(node)))
	}
	if n.ID = node; n.Name == "" {
		n.Name = string(node)
	}
	return now, n, known, err
}

// nodeHere stores a node that was heard, and waits for its next word; zero waits for
// none: it has not said that it will say something.
func (a *Agent) nodeHere(tx *store.Tx, now alarm.Now, before, n station.Node, wait time.Duration) error {
	if n.State != station.NodeOnline {
		n.State, n.StateAt = station.NodeOnline, now.Wall
	}
	n.LostAt = time.Time{}
	if !n.ClosedAt.IsZero() && !n.Closed(now.Wall) {
		n.ClosedAt, n.ClosedUntil, n.ClosedBy = time.Time{}, time.Time{}, ""
	}
	if err := a.waitForNode(tx, now, n.ID, wait); err != nil || n == before {
		return err
	}
	if !before.LostAt.IsZero() {
		if err := a.endNodeAlarm(tx, now, n.ID); err != nil {
			return err
		}
	}
	if !before.Online {
		if err := a.pushToNewcomer(tx, n.ID); err != nil {
			return err
		}
	}
	return a.putNode(tx, now, n, upHere)
}

// nodeAway stores a node that is not there, and waits for it.
func (a *Agent) nodeAway(tx *store.Tx, now alarm.Now, before, n station.Node, state station.NodeState, wait time.Duration) error {
	if n.State != state {
		n.State, n.StateAt = state, now.Wall
	}
	if n.LostAt.IsZero() {
		if err := a.waitForNode(tx, now, n.ID, wait); err != nil {
			return err
		}
	}
	if n == before {
		return nil
	}
	up := upAway
	switch state {
	case station.NodeClosed, station.NodeAwaited:
		up = upUnknown // nobody was to be there, or nobody knows
	}
	return a.putNode(tx, now, n, up)
}

func (a *Agent) putNode(tx *store.Tx, now alarm.Now, n station.Node, up upState) error {
	if err := store.Put(tx, key(nodeTable, string(n.ID)), n); err != nil {
		return err
	}
	if err := noteUp(tx, now.Wall, upNode, string(n.ID), up); err != nil {
		return err
	}
	return appendEvent(tx, station.LaneNormal, station.EventNodeState, "node/"+string(n.ID), "", now.Wall, n)
}

// waitForNode sets the deadline of a node; zero sets none.
func (a *Agent) waitForNode(tx *store.Tx, now alarm.Now, node station.NodeID, wait time.Duration) error {
	k := key(watchTable, string(node))
	w, _, err := store.Get[nodeWatch](tx, k)
	if err != nil {
		return err
	}
	before := w.Due
	if w.Due = 0; wait > 0 {
		w.Due = now.Tick.Add(wait)
	}
	if w.Due == before {
		return nil
	}
	if err := a.moveTimer(tx, timer{What: timerNode, Sensor: string(node)}, before, w.Due); err != nil {
		return err
	}
	if w.Due == 0 {
		return tx.Delete(k)
	}
	return store.Put(tx, k, w)
}

// nodeDue is the deadline of a node: it has been silent, or away, for long enough.
func (a *Agent) nodeDue(tx *store.Tx, now alarm.Now, node station.NodeID, change *reportChange) error {
	if err := tx.Delete(key(watchTable, string(node))); err != nil {
		return err
	}
	n, known, err := store.Get[station.Node](tx, key(nodeTable, string(node)))
	switch {
	case err != nil || !known || !n.LostAt.IsZero():
		return err
	case n.Online && n.State != station.NodeStale:
		return a.nodeAway(tx, now, n, n, station.NodeStale, a.cfg.Stations.LostAfter)
	case !n.Online && n.Closed(now.Wall): // the clock was set, or it has announced more
		return a.waitForNode(tx, now, node, n.ClosedUntil.Sub(now.Wall)+a.cfg.Stations.LostAfter)
	}
	if n.State == station.NodeClosed || n.State == station.NodeAwaited {
		n.State, n.StateAt = station.NodeLine, now.Wall
	}
	n.LostAt = now.Wall
	if err := a.raiseNodeAlarm(tx, now, n, change); err != nil {
		return err
	}
	return a.putNode(tx, now, n, upAway)
}

// nodeSensor stands for a station where alarms want a sensor. No sensor has a slash
// in its ID.
func (a *Agent) nodeSensor(tx *store.Tx, n station.Node) (station.Sensor, error) {
	s, _, err := store.Get[station.Site](tx, key(siteTable, string(n.ID)))
	name := n.Name
	if s.Name != "" {
		name = s.Name
	}
	return station.Sensor{ID: "node/" + string(n.ID), Name: name, Place: s.Area}, err
}

func (a *Agent) raiseNodeAlarm(tx *store.Tx, now alarm.Now, n station.Node, change *reportChange) error {
	sensor, err := a.nodeSensor(tx, n)
	if err != nil {
		return err
	}
	c, _, err := a.condition(tx, sensor, station.KindStation)
	if err != nil {
		return err
	}
	m := alarm.Marks{Values: map[string]station.Value{"state": string(n.State), "since": n.StateAt.Format(time.RFC3339)}}
	out := c.Signal(now, station.Signal{Kind: station.KindStation, Active: true}, m, a.ownLimits())
	if out.Alarm != nil {
		out.Alarm.Why = nil
	}
	return a.follow(tx, now, c, out, "", change)
}

func (a *Agent) endNodeAlarm(tx *store.Tx, now alarm.Now, node station.NodeID) error {
	sensor := station.Sensor{ID: "node/" + string(node)}
	c, quiet, err := a.condition(tx, sensor, station.KindStation)
	if err != nil || quiet {
		return err
	}
	return a.follow(tx, now, c, c.Signal(now, station.Signal{Kind: station.KindStation}, alarm.Marks{}, a.ownLimits()), "", &reportChange{})
}

// NodesOffline notes that nobody can be connected to a centre that has just started,
// and gives every station time to come back: that we were away is no news of them. It
// may use the reserve: a centre must be able to start.
func (a *Agent) NodesOffline(ctx context.Context) error {
	nodes, err := a.Nodes()
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if !n.LostAt.IsZero() || n.State == station.NodeNever {
			continue
		}
		err := a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
			now, n, known, err := a.nodeNow(tx, n.ID)
			if err != nil || !known {
				return err
			}
			if err := a.closeSpan(tx, upNode, string(n.ID), a.ranUntil()); err != nil {
				return err
			}
			before, wait := n, a.cfg.Stations.StartGrace
			if n.Online {
				n.Online, n.Since = false, now.Wall
			}
			state := station.NodeAwaited
			if n.Closed(now.Wall) {
				state, wait = station.NodeClosed, max(wait, n.ClosedUntil.Sub(now.Wall)+a.cfg.Stations.LostAfter)
			}
			return a.nodeAway(tx, now, before, n, state, wait)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

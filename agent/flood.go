package agent

import (
	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
)

// A flood is more new alarms than a person can look at one by one. It is told once,
// as an alarm of the node's own and as an event of its own; the single alarms that
// come on top are marked and wait in their group on the desk. They are stored and
// sent to the parent like all others, in the lane behind the urgent one, so that
// what endangers people does not queue behind them.

// maxFloodFirst bounds the alarms that a flood names.
const maxFloodFirst = 20

// noteFlood counts a new alarm, and marks it when it is one too many.
func (a *Agent) noteFlood(tx *store.Tx, now alarm.Now, c *condition, out *alarm.Outcome) error {
	al := out.Alarm
	if al.Late || al.Test || al.Suppressed != "" || al.Shelf != nil {
		return nil // nobody is called for it
	}
	f, _, err := store.Get[alarm.Flood](tx, floodKey)
	if err != nil {
		return err
	}
	before := alarm.Tick(0)
	if f.Now != nil {
		before = f.Over(a.cfg.Alarms)
	}
	flooding := f.Add(now.Tick, a.cfg.Alarms)
	if !flooding && f.Now == nil {
		return store.Put(tx, floodKey, f)
	}
	began := f.Now == nil
	if began {
		f.Now = &station.Flood{ID: station.NewID(), Node: a.store.Node(), From: now.Wall, Kinds: map[station.AlarmKind]int{}}
		if err := a.firstOfFlood(tx, f.Now); err != nil {
			return err
		}
	}
	f.Now.Alarms++
	f.Now.Kinds[al.Kind]++
	if len(f.Now.First) < maxFloodFirst {
		f.Now.First = append(f.Now.First, al.ID)
	}
	if !al.Kind.LifeSafety() {
		al.Suppressed, al.Lane = alarm.Flooded, station.LaneNormal
		f.Now.Suppressed++
		out.Enters = false
		c.Entered = false
	}
	if err := store.Put(tx, floodKey, f); err != nil {
		return err
	}
	if err := a.moveTimer(tx, timer{What: timerFlood}, before, f.Over(a.cfg.Alarms)); err != nil {
		return err
	}
	if !began {
		return nil
	}
	if err := appendEvent(tx, station.LaneUrgent, station.EventFlood, "flood/"+f.Now.ID, "", now.Wall, *f.Now); err != nil {
		return err
	}
	return a.ownAlarm(tx, station.KindFlood, "", now.Wall, map[string]station.Value{"alarms": float64(f.Now.Alarms)})
}

// firstOfFlood enters the alarms that came before it was known to be one.
func (a *Agent) firstOfFlood(tx *store.Tx, f *station.Flood) error {
	n := 0
	return store.EachReverse(tx, alarmTable, func(_ store.Key, al station.Alarm) error {
		if n++; n > a.cfg.Alarms.Flood || n > maxFloodFirst {
			return store.ErrStop
		}
		if al.Node != a.store.Node() || al.Late || al.Test || f.From.Sub(al.RaisedAt) > a.cfg.Alarms.FloodWithin {
			return nil
		}
		f.Alarms++
		f.Kinds[al.Kind]++
		f.First = append([]string{al.ID}, f.First...)
		return nil
	})
}

// endFlood says that there are few again. What the flood hid stays in its group:
// letting all of it out now would only begin the next one.
func (a *Agent) endFlood(tx *store.Tx, now alarm.Now) error {
	f, _, err := store.Get[alarm.Flood](tx, floodKey)
	if err != nil || f.Now == nil {
		return err
	}
	if over := f.Over(a.cfg.Alarms); over > now.Tick {
		return a.moveTimer(tx, timer{What: timerFlood}, 0, over)
	}
	ended := *f.Now
	ended.Until = now.Wall
	f.Now = nil
	if err := store.Put(tx, floodKey, f); err != nil {
		return err
	}
	if err := appendEvent(tx, station.LaneUrgent, station.EventFlood, "flood/"+ended.ID, "", now.Wall, ended); err != nil {
		return err
	}
	return a.endOwnAlarm(tx, station.KindFlood, now.Wall)
}

package agent

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
)

// A condition is one kind of alarm of one sensor, with the one alarm that lives
// of it. Package alarm knows how it lives; here it is fetched, and what comes out
// of a step is stored, indexed, waited for and told, in one transaction.

// condition is a record of the machine in a transaction.
type condition struct {
	alarm.Record
	sensor station.Sensor // zero for the node's own
	due    alarm.Tick     // the deadline that is stored
}

func conditionKey(sensor string, kind station.AlarmKind) store.Key {
	return key(conditionTable, sensor, string(kind))
}

// condition fetches one. quiet tells that nothing is known of it.
func (a *Agent) condition(tx *store.Tx, sensor station.Sensor, kind station.AlarmKind) (c *condition, quiet bool, err error) {
	rec, known, err := store.Get[alarm.Record](tx, conditionKey(sensor.ID, kind))
	if err != nil {
		return nil, false, err
	}
	live, isLive, err := liveAlarm(tx, sensor.ID, kind)
	if err != nil {
		return nil, false, err
	}
	c = &condition{Record: rec, sensor: sensor, due: rec.Due()}
	if !known {
		c.Sensor, c.Kind = sensor.ID, kind
	}
	if isLive {
		c.Alarm = &live
		if !rec.Live { // of an older version
			c.Live, c.Holds, c.Entered = true, live.ReturnedAt.IsZero(), true
			if live.Why != nil {
				c.Why = *live.Why
			}
		}
	}
	return c, !known && !isLive, nil
}

// conditionsOf fetches all that are known of a sensor.
func (a *Agent) conditionsOf(tx *store.Tx, sensor station.Sensor) (out []*condition, err error) {
	kinds := map[station.AlarmKind]bool{}
	err = store.Each(tx, key(conditionTable, sensor.ID)+"/", func(_ store.Key, rec alarm.Record) error {
		kinds[rec.Kind] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = store.Each(tx, key(liveTable, sensor.ID)+"/", func(_ store.Key, id string) error {
		al, ok, err := store.Get[station.Alarm](tx, key(alarmTable, id))
		if ok {
			kinds[al.Kind] = true
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for kind := range kinds {
		c, _, err := a.condition(tx, sensor, kind)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// standing is how a sensor stands: what is raised now is a test, hidden, or not
// raised at all.
func (a *Agent) standing(tx *store.Tx, sensor station.Sensor, kind station.AlarmKind, t station.Timing) (m alarm.Marks, err error) {
	if s := sensor.Service; s != nil {
		m.Test = s.Mode == station.ServiceTest
		if s.Mode == station.ServiceMaintenance {
			m.Hidden = alarm.Maintenance
		}
	}
	if m.Hidden == "" && kind == station.KindOffline && sensor.Bridge != "" {
		away, live, err := liveAlarm(tx, sensor.Bridge, station.KindOffline)
		if err != nil {
			return m, err
		}
		if live && away.ReturnedAt.IsZero() {
			m.Hidden = alarm.Bridge
		}
	}
	if t.Schedule != "" && !kind.LifeSafety() {
		armed, err := a.armed(tx, t.Schedule)
		if err != nil {
			return m, err
		}
		m.Disarmed = !armed
	}
	return m, nil
}

// follow carries out what a step of a condition came to. actor is the account of
// the person who caused it, empty for devices and time.
func (a *Agent) follow(tx *store.Tx, now alarm.Now, c *condition, out alarm.Outcome, actor string, change *reportChange) error {
	if out.Raised {
		if err := a.complete(tx, now, c, &out, change); err != nil {
			return err
		}
	}
	if out.Alarm != nil {
		if err := a.tell(tx, now, out, actor); err != nil {
			return err
		}
		if out.Alarm.Kind == station.KindOffline && c.sensor.ID != "" && !out.Raised && !out.Alarm.ReturnedAt.IsZero() {
			if err := a.bridgeIsBack(tx, now, c.sensor.ID, change); err != nil {
				return err
			}
		}
	}
	if !c.Changed() {
		return nil
	}
	c.Stored()
	if err := store.Put(tx, conditionKey(c.sensor.ID, c.Kind), c.Record); err != nil {
		return err
	}
	due := c.Due()
	if due == c.due {
		return nil
	}
	if err := a.moveTimer(tx, timer{What: timerCondition, Sensor: c.sensor.ID, Kind: c.Kind}, c.due, due); err != nil {
		return err
	}
	c.due = due
	return markSteady(tx, now)
}

// complete gives a new alarm what the machine does not know: who and where it is,
// its clip, the flood and the incident that it belongs to.
func (a *Agent) complete(tx *store.Tx, now alarm.Now, c *condition, out *alarm.Outcome, change *reportChange) error {
	al := out.Alarm
	if al.ID == "" {
		al.ID = station.NewID()
	}
	al.Node = a.store.Node()
	if c.sensor.ID == "" {
		return nil
	}
	al.Sensor, al.Name, al.Place = c.sensor.ID, c.sensor.Name, c.sensor.Place
	al.Cameras, al.Important = c.sensor.Cameras, c.sensor.Important
	if err := errors.Join(a.noteFlood(tx, now, c, out), noteBridged(tx, c.sensor, al)); err != nil {
		return err
	}
	if len(al.Cameras) > 0 && !al.Late && al.Suppressed != alarm.Maintenance && a.clips != nil && al.Kind != station.KindOffline && al.Kind != station.KindBattery {
		clip, err := a.orderClip(tx, al.ID, al.Cameras[0], al.RaisedAt)
		if err != nil {
			return err
		}
		al.Clip, change.clips = clip.ID, true
	}
	return a.correlate(tx, now, c.sensor, al)
}

// tell stores an alarm after a step, keeps the index of live ones true, journals
// what happened and calls whoever has to respond.
func (a *Agent) tell(tx *store.Tx, now alarm.Now, out alarm.Outcome, actor string) error {
	al := out.Alarm
	if out.Raised {
		al.Seq = tx.Next()
		if err := indexAlarm(tx, al); err != nil {
			return err
		}
	}
	if err := store.Put(tx, key(alarmTable, al.ID), *al); err != nil {
		return err
	}
	live := liveKey(al.Sensor, al.Kind)
	if al.Live() {
		if err := store.Put(tx, live, al.ID); err != nil {
			return err
		}
	} else if err := tx.Delete(live); err != nil {
		return err
	}
	if out.Event == "" {
		return nil
	}
	if err := appendEvent(tx, laneOfAlarm(al), out.Event, "alarm/"+al.ID, actor, now.Wall, *al); err != nil {
		return err
	}
	if out.Raised && !al.Live() { // it had ended when the news of it came
		if err := appendEvent(tx, laneOfAlarm(al), station.EventAlarmCleared, "alarm/"+al.ID, actor, now.Wall, *al); err != nil {
			return err
		}
	}
	if out.Raised || out.Enters {
		return a.alarmEntered(tx, *al)
	}
	return a.alarmChanged(tx, *al)
}

// moveConditions gives one sensor the conditions of another that stands for the
// same place from now on, with their alarms. Where both have an alarm of a kind,
// the condition of the one that goes has ended.
func (a *Agent) moveConditions(tx *store.Tx, from, to station.Sensor, actor string) error {
	now, err := a.moment(tx)
	if err != nil {
		return err
	}
	all, err := a.conditionsOf(tx, from)
	if err != nil {
		return err
	}
	for _, c := range all {
		there, _, err := a.condition(tx, to, c.Kind)
		if err != nil {
			return err
		}
		if there.Alarm != nil {
			if err := a.follow(tx, now, c, c.Gone(now), actor, &reportChange{}); err != nil {
				return err
			}
			continue
		}
		if err := a.moveTimer(tx, timer{What: timerCondition, Sensor: from.ID, Kind: c.Kind}, c.due, 0); err != nil {
			return err
		}
		if err := errors.Join(tx.Delete(conditionKey(from.ID, c.Kind)), tx.Delete(liveKey(from.ID, c.Kind))); err != nil {
			return err
		}
		there.Record = c.Record
		there.Move(to.ID)
		out := alarm.Outcome{}
		if al := there.Alarm; al != nil {
			al.Sensor, al.Name, al.Place, al.Cameras, al.Important = to.ID, to.Name, to.Place, to.Cameras, to.Important
			if err := errors.Join(tx.Delete(key(bySensorTable, from.ID, al.ID)), indexAlarm(tx, al)); err != nil {
				return err
			}
			out = changed(al)
		}
		if err := a.follow(tx, now, there, out, actor, &reportChange{}); err != nil {
			return err
		}
	}
	return nil
}

// laneOfAlarm is the lane of an alarm's events: one for its whole life, so that
// their order holds.
func laneOfAlarm(al *station.Alarm) station.Lane {
	if al.Lane != "" {
		return al.Lane
	}
	return station.LaneUrgent
}

// bridgeGrace is how long a bridge must have been back before a sensor behind it
// that is still silent is said to be.
const bridgeGrace = 10 * time.Minute

// noteBridged remembers that a sensor's silence is hidden behind its bridge's.
func noteBridged(tx *store.Tx, sensor station.Sensor, al *station.Alarm) error {
	if al.Suppressed != alarm.Bridge {
		return nil
	}
	return store.Put(tx, key(bridgedTable, sensor.Bridge, sensor.ID), al.Kind)
}

// bridgedAtOnce bounds the sensors of one transaction.
const bridgedAtOnce = 100

// bridgeIsBack lets the alarms of the sensors behind a bridge be shown a while
// after its own has ended: of some at once, of the others in transactions of their
// own.
func (a *Agent) bridgeIsBack(tx *store.Tx, now alarm.Now, bridge string, change *reportChange) error {
	behind, more := map[store.Key]station.AlarmKind{}, false
	err := store.Each(tx, key(bridgedTable, bridge)+"/", func(k store.Key, kind station.AlarmKind) error {
		if more = len(behind) == bridgedAtOnce; more {
			return store.ErrStop
		}
		behind[k] = kind
		return nil
	})
	if err == nil && more {
		err = a.moveTimer(tx, timer{What: timerBridge, Sensor: bridge}, 0, now.Tick)
	}
	if err != nil {
		return err
	}
	for k, kind := range behind {
		if err := tx.Delete(k); err != nil {
			return err
		}
		id, err := url.PathUnescape(strings.TrimPrefix(string(k), string(key(bridgedTable, bridge)+"/")))
		if err != nil {
			return err
		}
		sensor, ok, err := store.Get[station.Sensor](tx, key(sensorTable, id))
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		c, _, err := a.condition(tx, sensor, kind)
		if err != nil {
			return err
		}
		c.ShowLater(now, bridgeGrace)
		if err := a.follow(tx, now, c, alarm.Outcome{}, "", change); err != nil {
			return err
		}
	}
	return nil
}

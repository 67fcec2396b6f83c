package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
)

// This file is the way of an alarm: one sensor message becomes, in one
// transaction, the sensor's state, its alarms and their events.

// HandleReport commits one sensor message and returns when it is durable; only
// then may the message be acknowledged to whoever sent it. A message with news
// goes by the urgent lane and may use the reserve of the disk.
//
// Errors: station.ErrNoSpace when the disk is too full for it; a problem with
// code "sensor.unknown" when the device is unknown and no more may appear;
// context errors, after which the message may nevertheless have been stored.
func (a *Agent) HandleReport(ctx context.Context, r station.Report) error {
	lane, err := a.laneOf(r)
	if err != nil {
		return err
	}
	var change reportChange
	err = a.store.Update(ctx, lane, func(tx *store.Tx) error {
		change = reportChange{} // the closure may be run again
		return a.commitReport(tx, r, &change)
	})
	if err != nil {
		return err
	}
	a.afterReport(change)
	return nil
}

// afterReport does what waits for the commit.
func (a *Agent) afterReport(change reportChange) {
	if change.registry {
		a.registryChanged()
	}
	if change.clips {
		a.wakeClips()
	}
}

// laneOf tells how deep into the disk's free space a report may go. That a
// condition holds is urgent, and so is that one ends. A detector that says once
// more that there is no smoke is neither: the reserve is not there for it.
func (a *Agent) laneOf(r station.Report) (station.Lane, error) {
	if len(r.Signals) == 0 {
		return station.LaneBulk, nil
	}
	if slices.ContainsFunc(r.Signals, func(s station.Signal) bool { return s.Active || s.Kind == station.KindOffline }) {
		return station.LaneUrgent, nil
	}
	if a.store.Guard().Check(station.LaneNormal) == nil {
		return station.LaneNormal, nil // where there is room the lane makes no difference
	}
	lane := station.LaneNormal
	err := a.store.View(func(tx *store.Tx) error {
		state, _, err := store.Get[station.SensorState](tx, key(stateTable, r.Sensor))
		if err != nil {
			return err
		}
		for _, sig := range r.Signals {
			alarm, live, err := liveAlarm(tx, r.Sensor, sig.Kind)
			if err != nil {
				return err
			}
			holds := live && alarm.ReturnedAt.IsZero()
			if was, known := state.Values[sig.Field].(bool); holds || known && sig.Value != was {
				lane = station.LaneUrgent
			}
		}
		return nil
	})
	return lane, err
}

// liveAlarm is the one live alarm of a sensor and kind, if there is one.
func liveAlarm(tx *store.Tx, sensor string, kind station.AlarmKind) (station.Alarm, bool, error) {
	id, live, err := store.Get[string](tx, liveKey(sensor, kind))
	if err != nil || !live {
		return station.Alarm{}, false, err
	}
	return store.Get[station.Alarm](tx, key(alarmTable, id))
}

// maxStateFields bounds what is known of one sensor: one that calls its fields
// otherwise in every message would become too large to be stored, and mute. What
// it says now counts.
const maxStateFields = 500

// reportChange is what must be done after the commit of a report.
type reportChange struct{ registry, clips bool }

func (a *Agent) commitReport(tx *store.Tx, r station.Report, change *reportChange) error {
	if r.Sensor == "" {
		return a.commitOwn(tx, r)
	}
	sensor, known, err := store.Look[station.Sensor](tx, key(sensorTable, r.Sensor))
	if err != nil {
		return err
	}
	if !known {
		if sensor, err = a.adoptUnknown(tx, r); err != nil {
			return err
		}
		change.registry = true
	}
	if err := a.noteAbout(tx, &sensor, r, change); err != nil {
		return err
	}
	// What state refers to is shared with whoever looked before: it is replaced
	// below, never changed.
	state, _, err := store.Look[station.SensorState](tx, key(stateTable, sensor.ID))
	if err != nil {
		return err
	}
	state.Sensor = sensor.ID
	if r.Interval > 0 {
		state.Interval = r.Interval
	}

	now, err := a.moment(tx)
	if err != nil {
		return err
	}
	again, err := repeated(tx, now, r)
	if err != nil {
		return err
	}
	before := state.Values
	wasThere := upOfSensor(state)
	state.Seen = nil // of an older version
	if r.Live && !r.Retained && !r.Late {
		state.LastSeen, state.Heard = r.Received, time.Duration(now.Tick)
		state.Offline = false
	}
	if !r.DeviceTime.IsZero() && !r.Late && !r.Retained {
		state.DeviceSkew = r.DeviceTime.Sub(r.Received)
	}
	if len(r.Values) > 0 && !r.Late {
		merged := maps.Clone(state.Values)
		if merged == nil {
			merged = make(map[string]station.Value, len(r.Values))
		}
		maps.Copy(merged, r.Values)
		if len(merged) > maxStateFields {
			merged = maps.Clone(r.Values)
		}
		state.Values = merged
		state.NoteVitals(r.Values, r.Received)
	}
	for _, sig := range r.Signals {
		if sig.Kind == station.KindOffline {
			state.Offline = sig.Active
		}
		if err := a.commitSignal(tx, now, sensor, sig, r, again, before, change); err != nil {
			return err
		}
	}
	if there := upOfSensor(state); there != wasThere {
		if err := noteUp(tx, now.Wall, upSensor, sensor.ID, there); err != nil {
			return err
		}
	}
	body, err := store.Keep(tx, key(stateTable, sensor.ID), state)
	if err != nil {
		return err
	}
	return a.appendReading(tx, sensor, body, r)
}

// commitOwn raises or ends the node's own alarms. The place says which broker.
func (a *Agent) commitOwn(tx *store.Tx, r station.Report) error {
	for _, sig := range r.Signals {
		if !sig.Active {
			if err := a.endOwnAlarm(tx, sig.Kind, r.Received); err != nil {
				return err
			}
			continue
		}
		place := ""
		if broker, ok := r.Values["broker"].(string); ok {
			place = "MQTT " + broker
		}
		if err := a.ownAlarm(tx, sig.Kind, place, r.Received, r.Values); err != nil {
			return err
		}
	}
	return nil
}

// appendReading journals the reading in the bulk lane. Where the disk has no
// room for bulk any more, an alarm's readings travel inside the alarm and only
// the count of what was left out is kept.
func (a *Agent) appendReading(tx *store.Tx, sensor station.Sensor, state json.RawMessage, r station.Report) error {
	if len(r.Values) == 0 && len(r.Signals) == 0 {
		return nil
	}
	if err := a.store.Guard().Check(station.LaneBulk); err != nil {
		if len(r.Signals) > 0 {
			a.refused.add(r.Received)
			return nil
		}
		return err
	}
	if err := a.history.Append(tx, r); err != nil {
		return err
	}
	_, err := tx.Append(station.Event{Type: station.EventReading, Subject: "sensor/" + sensor.ID, Lane: station.LaneBulk, Time: r.Received, Data: state})
	return err
}

// adoptUnknown enters a device that nobody has named. Its alarms count: who
// has not been set up yet may still burn.
func (a *Agent) adoptUnknown(tx *store.Tx, r station.Report) (station.Sensor, error) {
	if r.Unknown == nil {
		return station.Sensor{}, station.Errorf(404, "sensor.unknown", "add the sensor first", "there is no sensor %q", r.Sensor)
	}
	if !callsForHelp(r) && !r.Unknown.Adopted {
		n := 0
		err := store.Each(tx, sensorTable, func(_ store.Key, s station.Sensor) error {
			if !s.Adopted {
				n++
			}
			return nil
		})
		if err != nil {
			return station.Sensor{}, err
		}
		if n >= a.cfg.MaxUnknown {
			return station.Sensor{}, station.Errorf(507, "sensor.unknown", "adopt or remove devices that appeared by themselves", "%d devices wait to be adopted, and %q is one too many", n, r.Sensor)
		}
	}
	s := *r.Unknown
	s.ID = r.Sensor
	if err := store.Put(tx, key(sensorTable, s.ID), s); err != nil {
		return s, err
	}
	return s, appendEvent(tx, station.LaneNormal, station.EventSensorChanged, "sensor/"+s.ID, "", r.Received, s)
}

// callsForHelp tells that people may be in danger.
func callsForHelp(r station.Report) bool {
	return slices.ContainsFunc(r.Signals, func(s station.Signal) bool { return s.Active && s.Kind.LifeSafety() })
}

// commitSignal puts one verdict through its condition. again says that this
// transmission was committed before, before what was known of the sensor until now.
func (a *Agent) commitSignal(tx *store.Tx, now alarm.Now, sensor station.Sensor, sig station.Signal, r station.Report, again bool, before map[string]station.Value, change *reportChange) error {
	if !sig.Active && a.indexed.Load() {
		// What most messages say, and what must cost little.
		rec, known, err := store.Look[alarm.Record](tx, conditionKey(sensor.ID, sig.Kind))
		if err != nil || !known || rec.Idle() {
			return err
		}
	}
	c, quiet, err := a.condition(tx, sensor, sig.Kind)
	switch {
	case err != nil:
		return err
	case quiet && !sig.Active:
		return nil
	case c.Alarm == nil && sig.Active && !sensor.Adopted && !sig.Kind.LifeSafety():
		return nil // whose battery is low matters once somebody has named the device
	}
	m, err := a.standing(tx, sensor, sig.Kind, sig.Timing)
	if err != nil {
		return err
	}
	// Of unknown age is no news, except where people may be in danger: there it is,
	// and says so.
	m.Late, m.Retained, m.Repeated = r.Late || r.Waited && !sig.Kind.LifeSafety(), r.Retained, again
	m.Waited = r.Waited
	m.DeviceTime, m.Values = r.DeviceTime, r.Values
	if !r.DeviceTime.IsZero() {
		m.Skew = r.DeviceTime.Sub(r.Received)
	}
	m.Known = r.Retained && c.Why.Field == sig.Field && sameValue(c.Why.Value, sig.Value) && sameValue(before[sig.Field], sig.Value)
	at := now
	at.Wall = r.Received
	return a.follow(tx, at, c, c.Signal(at, sig, m, a.cfg.Alarms), "", change)
}

// sameValue compares two values of a field.
func sameValue(x, y station.Value) bool {
	switch x := x.(type) {
	case bool:
		y, ok := y.(bool)
		return ok && x == y
	case float64:
		y, ok := y.(float64)
		return ok && x == y
	case string:
		y, ok := y.(string)
		return ok && x == y
	}
	return false
}

// endUnwatched ends the conditions of a sensor whose kind nobody watches any
// more: no report will say that they are over.
func (a *Agent) endUnwatched(tx *store.Tx, sensor station.Sensor, watched func(station.AlarmKind) bool) error {
	now, err := a.moment(tx)
	if err != nil {
		return err
	}
	all, err := a.conditionsOf(tx, sensor)
	if err != nil {
		return err
	}
	for _, c := range all {
		if watched(c.Kind) {
			continue
		}
		if err := a.follow(tx, now, c, c.Gone(now), "", &reportChange{}); err != nil {
			return err
		}
	}
	return nil
}

// appendEvent journals one event whose data is the record v.
func appendEvent(tx *store.Tx, lane station.Lane, kind, subject, actor string, at time.Time, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", kind, err)
	}
	_, err = tx.Append(station.Event{Type: kind, Subject: subject, Lane: lane, Time: at, Actor: actor, Data: data})
	return err
}

// ReadingGivenUp counts a reading that the disk had no room for and that nobody
// will send again.
func (a *Agent) ReadingGivenUp(at time.Time) { a.refused.add(at) }

// refusals counts readings that the disk had no room for.
type refusals struct {
	mu       sync.Mutex
	count    uint64
	from, to time.Time
}

func (r *refusals) add(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == 0 {
		r.from = at
	}
	r.count++
	r.to = at
}

// give adds what was taken and could not be told.
func (r *refusals) give(d station.Dropped) {
	if d.Count == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == 0 || d.From.Before(r.from) {
		r.from = d.From
	}
	if r.count == 0 || d.To.After(r.to) {
		r.to = d.To
	}
	r.count += d.Count
}

// look returns what was counted since the last take.
func (r *refusals) look() station.Dropped {
	r.mu.Lock()
	defer r.mu.Unlock()
	return station.Dropped{Count: r.count, From: r.from, To: r.to}
}

// take returns what was counted since the last take.
func (r *refusals) take() station.Dropped {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := station.Dropped{Count: r.count, From: r.from, To: r.to}
	r.count = 0
	return d
}

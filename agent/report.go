package agent

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// This file is the way of an alarm: one sensor message becomes, in one
// transaction, the sensor's state, its alarms and their events.

// maxFingerprints is how many transmissions a sensor remembers in order to
// recognise a repeated one. What is in flight is sent again, of all sensors
// together: ten or twenty as a rule, but Mosquitto 2.0.11 does not keep to its
// window of 20 (decision 0019).
const maxFingerprints = 64

// repeatQuiet bounds the events about one alarm's repeats: one in each such
// span since it was raised. The others are counted, and the count reaches the
// readers with the next event.
const repeatQuiet = 10 * time.Second

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
	if change.registry {
		a.registryChanged()
	}
	if change.clips {
		a.wakeClips()
	}
	return nil
}

// seenBefore tells whether a transmission is among those remembered.
func seenBefore(seen []byte, print uint64) bool {
	for ; print != 0 && len(seen) >= 8; seen = seen[8:] {
		if binary.BigEndian.Uint64(seen) == print {
			return true
		}
	}
	return false
}

// remember adds a transmission and forgets the oldest beyond maxFingerprints.
func remember(seen []byte, print uint64) []byte {
	seen = binary.BigEndian.AppendUint64(seen, print)
	return seen[max(0, len(seen)-8*maxFingerprints):]
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
	state, _, err := store.Get[station.SensorState](tx, key(stateTable, sensor.ID))
	if err != nil {
		return err
	}
	state.Sensor = sensor.ID
	if r.Interval > 0 {
		state.Interval = r.Interval
	}

	repeated := r.Duplicate && seenBefore(state.Seen, r.Fingerprint)
	if len(r.Signals) > 0 && r.Fingerprint != 0 && !repeated {
		state.Seen = remember(state.Seen, r.Fingerprint)
	}
	if r.Live && !r.Retained && !r.Late {
		state.LastSeen = r.Received
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
		state.Values = merged
	}
	for _, sig := range r.Signals {
		if sig.Kind == station.KindOffline {
			state.Offline = sig.Active
		}
		if err := a.commitSignal(tx, sensor, sig, r, repeated, change); err != nil {
			return err
		}
	}
	if err := store.Put(tx, key(stateTable, sensor.ID), state); err != nil {
		return err
	}
	return a.appendReading(tx, sensor, state, r)
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
func (a *Agent) appendReading(tx *store.Tx, sensor station.Sensor, state station.SensorState, r station.Report) error {
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
	state.Seen = nil
	return appendEvent(tx, station.LaneBulk, station.EventReading, "sensor/"+sensor.ID, "", r.Received, state)
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

// commitSignal raises, repeats or ends the one live alarm of a sensor and kind.
// repeated says that this transmission was committed before.
func (a *Agent) commitSignal(tx *store.Tx, sensor station.Sensor, sig station.Signal, r station.Report, repeated bool, change *reportChange) error {
	alarm, live, err := liveAlarm(tx, sensor.ID, sig.Kind)
	if err != nil {
		return err
	}
	switch {
	case !live && sig.Active && !sensor.Adopted && !sig.Kind.LifeSafety():
		return nil // whose battery is low matters once somebody has named the device
	case !live && sig.Active:
		// A latched alarm is raised even when the transmission looks like a
		// repeated one: raising it twice is a nuisance, losing it is a death.
		if repeated && !sig.Kind.LifeSafety() {
			return nil
		}
		return a.raise(tx, sensor, sig, r, change)
	case !live:
		return nil
	}
	if !sig.Active {
		if repeated {
			return nil // it ended the alarm before this one
		}
		began := alarm.RaisedAt
		if !alarm.DeviceTime.IsZero() {
			began = alarm.DeviceTime
		}
		if r.Late && r.DeviceTime.Before(began) {
			return nil // a backlog tells of the time before the alarm
		}
		return a.endCondition(tx, &alarm, r.Received)
	}
	return a.repeat(tx, &alarm, r, repeated)
}

func (a *Agent) raise(tx *store.Tx, sensor station.Sensor, sig station.Signal, r station.Report, change *reportChange) error {
	alarm := station.Alarm{
		ID:       station.NewID(),
		Node:     a.store.Node(),
		Kind:     sig.Kind,
		Severity: sig.Kind.Severity(),
		Sensor:   sensor.ID,
		Name:     sensor.Name,
		Place:    sensor.Place,
		RaisedAt: r.Received,
		LastAt:   r.Received,
		Count:    1,
		Late:     r.Late,
		Values:   r.Values,
		Cameras:  sensor.Cameras,
	}
	if !r.DeviceTime.IsZero() {
		alarm.DeviceTime = r.DeviceTime
	}
	if len(sensor.Cameras) > 0 && !r.Late && a.clips != nil && sig.Kind != station.KindOffline && sig.Kind != station.KindBattery {
		clip, err := a.orderClip(tx, alarm.ID, sensor.Cameras[0], r.Received)
		if err != nil {
			return err
		}
		alarm.Clip, change.clips = clip.ID, true
	}
	return a.enterAlarm(tx, alarm)
}

// enterAlarm stores a new alarm as the live one of its sensor and kind.
func (a *Agent) enterAlarm(tx *store.Tx, alarm station.Alarm) error {
	alarm.Settle(alarm.RaisedAt)
	if err := store.Put(tx, key(alarmTable, alarm.ID), alarm); err != nil {
		return err
	}
	if err := store.Put(tx, liveKey(alarm.Sensor, alarm.Kind), alarm.ID); err != nil {
		return err
	}
	if err := appendEvent(tx, station.LaneUrgent, station.EventAlarmRaised, "alarm/"+alarm.ID, "", alarm.RaisedAt, alarm); err != nil {
		return err
	}
	return a.alarmEntered(tx, alarm)
}

// repeat counts a further signal of a live alarm. A retained message tells a
// state and a repeated transmission tells nothing new: neither counts.
func (a *Agent) repeat(tx *store.Tx, alarm *station.Alarm, r station.Report, repeated bool) error {
	back := !alarm.ReturnedAt.IsZero()
	if repeated || (r.Retained && !back) {
		return nil
	}
	quiet := r.Received.Sub(alarm.RaisedAt)/repeatQuiet == alarm.LastAt.Sub(alarm.RaisedAt)/repeatQuiet
	alarm.ReturnedAt = time.Time{}
	if !r.Retained {
		alarm.Count++
	}
	alarm.LastAt = r.Received
	alarm.Settle(r.Received)
	if err := store.Put(tx, key(alarmTable, alarm.ID), *alarm); err != nil {
		return err
	}
	if quiet && !back {
		return nil
	}
	return appendEvent(tx, station.LaneUrgent, station.EventAlarmRepeated, "alarm/"+alarm.ID, "", r.Received, *alarm)
}

// endCondition notes that the sensor is normal again. Whether that ends the
// alarm is for Settle to say.
func (a *Agent) endCondition(tx *store.Tx, alarm *station.Alarm, at time.Time) error {
	if !alarm.ReturnedAt.IsZero() {
		return nil
	}
	alarm.ReturnedAt = at
	return a.settle(tx, alarm, station.EventAlarmReturned, "", at)
}

// endUnwatched ends the conditions of a sensor's live alarms whose kind nobody
// watches any more: no report will say that they are over.
func (a *Agent) endUnwatched(tx *store.Tx, sensor string, at time.Time, watched func(station.AlarmKind) bool) error {
	var ids []string
	err := store.Each(tx, key(liveTable, sensor)+"/", func(_ store.Key, id string) error {
		ids = append(ids, id)
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		alarm, ok, err := store.Get[station.Alarm](tx, key(alarmTable, id))
		if err != nil {
			return err
		}
		if !ok || watched(alarm.Kind) {
			continue
		}
		if err := a.endCondition(tx, &alarm, at); err != nil {
			return err
		}
	}
	return nil
}

// settle derives the alarm's state, stores it, keeps the live index true and
// appends the event: the given one, or cleared when the alarm has ended.
func (a *Agent) settle(tx *store.Tx, alarm *station.Alarm, event, actor string, at time.Time) error {
	alarm.Settle(at)
	if err := store.Put(tx, key(alarmTable, alarm.ID), *alarm); err != nil {
		return err
	}
	live := liveKey(alarm.Sensor, alarm.Kind)
	if alarm.Live() {
		if err := store.Put(tx, live, alarm.ID); err != nil {
			return err
		}
	} else {
		if err := tx.Delete(live); err != nil {
			return err
		}
		event = station.EventAlarmCleared
	}
	if err := appendEvent(tx, station.LaneUrgent, event, "alarm/"+alarm.ID, actor, at, *alarm); err != nil {
		return err
	}
	return a.alarmChanged(tx, *alarm)
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

// take returns what was counted since the last take.
func (r *refusals) take() station.Dropped {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := station.Dropped{Count: r.count, From: r.from, To: r.to}
	r.count = 0
	return d
}

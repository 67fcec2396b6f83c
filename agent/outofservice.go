package agent

import (
	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
)

// A sensor in maintenance raises nothing that is shown; what it would have raised
// is kept as suppressed. One on trial raises alarms that are marked as such. Both
// end by themselves. A person who ends a maintenance is shown what the sensor has
// reported in it, and by ending it says that what came and went was the work.

// heedService follows a change of a sensor's service, in the transaction that
// stores the sensor: the end is waited for, and its live alarms are hidden or shown.
// who is nobody when the time has ended it.
func (a *Agent) heedService(tx *store.Tx, before, after station.Sensor, who station.Actor) error {
	now, err := a.moment(tx)
	if err != nil {
		return err
	}
	if err := a.waitForService(tx, now, after); err != nil {
		return err
	}
	was, is := inMaintenance(before), inMaintenance(after)
	if was == is {
		return nil
	}
	all, err := a.conditionsOf(tx, after)
	if err != nil {
		return err
	}
	var by *station.Answer
	if who.Account != "" {
		by = &station.Answer{Kind: station.AnswerTest, By: who.Account, Name: who.Name, At: now.Wall}
	}
	for _, c := range all {
		var out alarm.Outcome
		if is {
			out = c.Hide(now, alarm.Maintenance)
		} else {
			out = c.Serviced(now, by)
		}
		if err := a.follow(tx, now, c, out, who.Account, &reportChange{}); err != nil {
			return err
		}
	}
	return nil
}

func inMaintenance(s station.Sensor) bool {
	return s.Service != nil && s.Service.Mode == station.ServiceMaintenance
}

// serviceEnd is when a sensor's service ends.
type serviceEnd struct {
	Due alarm.Tick `json:"due"`
}

// waitForService sets the deadline of a sensor's service.
func (a *Agent) waitForService(tx *store.Tx, now alarm.Now, s station.Sensor) error {
	k := key(serviceTable, s.ID)
	end, known, err := store.Get[serviceEnd](tx, k)
	if err != nil {
		return err
	}
	due := alarm.Tick(0)
	if s.Service != nil {
		due = now.Tick.Add(max(0, s.Service.Until.Sub(now.Wall)))
	}
	if err := a.moveTimer(tx, timer{What: timerService, Sensor: s.ID}, end.Due, due); err != nil {
		return err
	}
	switch {
	case due != 0:
		if err := store.Put(tx, k, serviceEnd{due}); err != nil {
			return err
		}
		return markSteady(tx, now)
	case known:
		return tx.Delete(k)
	}
	return nil
}

// endService ends a sensor's service when its time has come.
func (a *Agent) endService(tx *store.Tx, now alarm.Now, id string, change *reportChange) error {
	s, ok, err := store.Get[station.Sensor](tx, key(sensorTable, id))
	if err != nil || !ok || s.Service == nil {
		return err
	}
	end, _, err := store.Get[serviceEnd](tx, key(serviceTable, id))
	if err != nil || end.Due > now.Tick {
		return err // it was made longer since
	}
	s.Service = nil
	change.registry = true
	if err := a.serviceChanged(tx, s, station.Actor{}, now.Wall); err != nil {
		return err
	}
	return appendAudit(tx, station.Audit{At: now.Wall, Actor: station.System(), Action: "sensor.service", Subject: "sensor/" + id, Result: "ok", Detail: "ended by its time"})
}

// mostWorked bounds the alarms that are looked at for what was reported in a service.
const mostWorked = 500

// ServiceOf is a sensor's service with what it has reported in it.
func (a *Agent) ServiceOf(id string) (v station.ServiceView, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		s, err := ownSensor(tx, id)
		if err != nil {
			return err
		}
		v, err = serviceView(tx, s)
		return err
	})
	return v, err
}

func serviceView(tx *store.Tx, s station.Sensor) (v station.ServiceView, err error) {
	if v.Service = s.Service; !inMaintenance(s) {
		return v, nil
	}
	table := key(bySensorTable, s.ID) + "/"
	n := 0
	err = store.EachReverse(tx, table, func(k store.Key, _ bool) error {
		al, ok, err := store.Get[station.Alarm](tx, alarmTable+k[len(table):])
		if err != nil || !ok {
			return err
		}
		if n++; n > mostWorked || al.LastAt.Before(s.Service.Since) && !al.Live() {
			return store.ErrStop
		}
		if al.Worked == 0 || al.LastAt.Before(s.Service.Since) {
			return nil
		}
		v.Times += al.Worked
		if al.LastAt.After(v.LastAt) {
			v.LastAt = al.LastAt
		}
		if al.Live() && al.ReturnedAt.IsZero() {
			v.Standing++
		}
		return nil
	})
	return v, err
}

// sensorGone ends what a removed sensor's conditions wait for. Its latched alarms
// stay until somebody has judged them.
func (a *Agent) sensorGone(tx *store.Tx, s station.Sensor) error {
	if err := a.endUnwatched(tx, s, func(station.AlarmKind) bool { return false }); err != nil {
		return err
	}
	now, err := a.moment(tx)
	if err != nil {
		return err
	}
	s.Service = nil
	if err := a.waitForService(tx, now, s); err != nil {
		return err
	}
	all, err := a.conditionsOf(tx, s)
	if err != nil {
		return err
	}
	for _, c := range all {
		// Nothing will put back into sight what is out of it now.
		for _, out := range []alarm.Outcome{c.Unshelve(now), c.Show(now, alarm.Maintenance), c.Show(now, alarm.Bridge)} {
			if err := a.follow(tx, now, c, out, "", &reportChange{}); err != nil {
				return err
			}
		}
		if err := a.moveTimer(tx, timer{What: timerCondition, Sensor: s.ID, Kind: c.Kind}, c.due, 0); err != nil {
			return err
		}
		if err := tx.Delete(conditionKey(s.ID, c.Kind)); err != nil {
			return err
		}
	}
	return nil
}

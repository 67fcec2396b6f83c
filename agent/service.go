package agent

import (
	"fmt"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// Service: a sensor that is being worked on raises no alarm, and one that is tried
// out raises alarms that are marked so. Either ends by itself: the record says
// until when, and Service.Current what holds now.

func prepareServiceSensor(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.ServiceOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	if o.Mode != station.ServiceMaintenance && o.Mode != station.ServiceTest {
		return plan{}, invalid("mode", "use maintenance or test", "there is no service %q", o.Mode)
	}
	most := int(station.MaxService / time.Minute)
	if o.Minutes < 1 || o.Minutes > most {
		return plan{}, invalid("minutes", fmt.Sprintf("use 1 to %d, which is seven days", most), "a sensor cannot be out of service for %d minutes", o.Minutes)
	}
	o.Why = strings.TrimSpace(o.Why)
	if err := checkText("why", o.Why, 200); err != nil {
		return plan{}, err
	}
	now := a.now()
	service := station.Service{
		Mode: o.Mode, Since: now, Until: now.Add(time.Duration(o.Minutes) * time.Minute),
		By: cmd.Actor.Account, Name: cmd.Actor.Name, Why: o.Why,
	}
	detail := fmt.Sprintf("%s for %d minutes", o.Mode, o.Minutes)
	if o.Why != "" {
		detail += ": " + o.Why
	}
	return plan{subject: "sensor/" + cmd.Subject, detail: detail, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		s, err := ownSensor(tx, cmd.Subject)
		if err != nil {
			return nil, err
		}
		if !s.Adopted {
			return nil, station.Errorf(409, "sensor.stranger", "adopt it first", "nobody has adopted this device yet")
		}
		next := service
		if inMaintenance(s) && next.Mode == station.ServiceMaintenance {
			next.Since = s.Service.Since // it goes on
		}
		s.Service = &next
		return s, a.serviceChanged(tx, s, cmd.Actor, now)
	}}, nil
}

func prepareEndService(a *Agent, cmd station.Command) (plan, error) {
	now := a.now()
	v, err := a.ServiceOf(cmd.Subject)
	if err != nil {
		return plan{}, err
	}
	detail := ""
	if v.Times > 0 {
		detail = fmt.Sprintf("in maintenance: %d times, last at %s", v.Times, v.LastAt.Format(time.DateTime))
	}
	return plan{subject: "sensor/" + cmd.Subject, detail: detail, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		s, err := ownSensor(tx, cmd.Subject)
		if err != nil || s.Service == nil {
			return s, err
		}
		s.Service = nil
		return s, a.serviceChanged(tx, s, cmd.Actor, now)
	}}, nil
}

// serviceChanged keeps a sensor whose service has begun or ended.
func (a *Agent) serviceChanged(tx *store.Tx, s station.Sensor, who station.Actor, at time.Time) error {
	before, _, err := store.Get[station.Sensor](tx, key(sensorTable, s.ID))
	if err != nil {
		return err
	}
	if err := a.heedService(tx, before, s, who); err != nil {
		return err
	}
	if err := store.Put(tx, key(sensorTable, s.ID), s); err != nil {
		return err
	}
	return appendEvent(tx, station.LaneNormal, station.EventSensorChanged, "sensor/"+s.ID, who.Account, at, s)
}

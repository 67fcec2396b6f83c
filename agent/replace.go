package agent

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// Replacement: a broken device makes room for a new one. The sensor stays what it
// is to people: its ID, name, place, rules, people and history; only where its
// readings come from changes. What the broken device sends later is a stranger's.

// maxWas bounds how many earlier devices a sensor remembers; the oldest goes.
const maxWas = 20

func prepareReplaceSensor(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.ReplacementOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	switch {
	case (o.Sensor == "") == (o.Source == nil):
		return plan{}, invalid("sensor", "name the new device that appeared, or the source it will have", "either a device or a source is needed")
	case o.Sensor == cmd.Subject:
		return plan{}, invalid("sensor", "choose the new device", "a device cannot replace itself")
	}
	now := a.now()
	return plan{subject: "sensor/" + cmd.Subject, lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		s, err := ownSensor(tx, cmd.Subject)
		if err != nil {
			return nil, err
		}
		if !s.Adopted {
			return nil, station.Errorf(http.StatusConflict, "sensor.stranger", "adopt it first", "nobody has adopted this device yet")
		}
		successor, appeared, err := successorOf(tx, s, o)
		if err != nil {
			return nil, err
		}
		old := s.Source
		s.Source = successor.Source
		if len(s.Source.Fields) == 0 && s.Source.Family == old.Family {
			s.Source.Fields = old.Fields // the mapping that was made for the model
		}
		s.Was = append(slices.Clone(s.Was), old)
		s.Was = s.Was[max(0, len(s.Was)-maxWas):]
		s.Maker, s.Model, s.Firmware = successor.Maker, successor.Model, successor.Firmware
		if successor.Power != "" {
			s.Power = successor.Power
		}
		if appeared {
			s.Bridge = successor.Bridge
		}
		if err := errors.Join(a.validSensor(s), checkSurroundings(tx, s)); err != nil {
			return nil, err
		}
		if err := store.Put(tx, key(sensorTable, s.ID), s); err != nil {
			return nil, err
		}
		if err := takeOver(tx, s, successor, appeared, now); err != nil {
			return nil, err
		}
		if err := a.handOverAlarms(tx, s, successor.ID, cmd.Actor.Account); err != nil {
			return nil, err
		}
		if appeared {
			if err := errors.Join(tx.Delete(key(sensorTable, successor.ID)), endUp(tx, now, upSensor, successor.ID)); err != nil {
				return nil, err
			}
			if err := appendEvent(tx, station.LaneNormal, station.EventSensorRemoved, "sensor/"+successor.ID, cmd.Actor.Account, now, successor); err != nil {
				return nil, err
			}
		}
		return s, appendEvent(tx, station.LaneNormal, station.EventSensorChanged, "sensor/"+s.ID, cmd.Actor.Account, now, s)
	}}, nil
}

// successorOf is the device that takes the sensor's place. appeared tells that it
// was heard already and has a record of its own.
func successorOf(tx *store.Tx, s station.Sensor, o station.ReplacementOrder) (successor station.Sensor, appeared bool, err error) {
	if o.Sensor != "" {
		if successor, err = ownSensor(tx, o.Sensor); err != nil {
			return successor, false, err
		}
		if successor.Adopted {
			return successor, false, station.Errorf(http.StatusConflict, "sensor.adopted", "choose a device that nobody has adopted", "%q is a sensor of its own", successor.Name).At("sensor")
		}
		if successor.Class != s.Class && successor.Class != station.ClassOther && successor.Class != "" {
			return successor, false, station.Errorf(http.StatusConflict, "sensor.class", "adopt it as a sensor of its own", "the new device is of the class %s, the sensor of the class %s", successor.Class, s.Class).At("sensor")
		}
		return successor, true, nil
	}
	successor.Source = *o.Source
	if sameSource(successor.Source, s.Source) {
		return successor, false, station.Errorf(http.StatusConflict, "sensor.same", "nothing needs to be done", "the sensor has this source already").At("source")
	}
	err = store.Each(tx, sensorTable, func(_ store.Key, other station.Sensor) error {
		switch {
		case other.Node != "" || !sameSource(other.Source, successor.Source):
			return nil
		case other.Adopted:
			return station.Errorf(http.StatusConflict, "sensor.adopted", "choose another source", "this source is that of %q", other.Name).At("source")
		}
		fields := successor.Source.Fields
		successor, appeared = other, true
		successor.Source.Fields = fields
		return nil
	})
	return successor, appeared, err
}

// sameSource tells whether two sources are heard at the same place.
func sameSource(x, y station.SensorSource) bool {
	return placeOf(x) == placeOf(y)
}

// takeOver gives the sensor the state of its new device, of which nothing may be
// known yet, and closes the broker to the old one.
func takeOver(tx *store.Tx, s, successor station.Sensor, appeared bool, now time.Time) error {
	state := station.SensorState{Sensor: s.ID, LastSeen: now} // it has the usual time to be heard
	if appeared {
		heard, ok, err := store.Get[station.SensorState](tx, key(stateTable, successor.ID))
		if err != nil {
			return err
		}
		if ok {
			state = heard
			state.Sensor, state.Offline = s.ID, false
		}
		if err := tx.Delete(key(stateTable, successor.ID)); err != nil {
			return err
		}
	}
	if err := store.Put(tx, key(stateTable, s.ID), state); err != nil {
		return err
	}
	if err := removeCredentials(tx, s.ID); err != nil || !appeared {
		return err
	}
	return renameCredentials(tx, successor.ID, s.ID)
}

// handOverAlarms ends what only the old device was about, and lets the sensor
// have what the new one has raised already.
func (a *Agent) handOverAlarms(tx *store.Tx, s station.Sensor, from, actor string) error {
	gone := func(k station.AlarmKind) bool { return k != station.KindOffline && k != station.KindBattery }
	if err := a.endUnwatched(tx, s, gone); err != nil || from == "" {
		return err
	}
	return a.moveConditions(tx, station.Sensor{ID: from}, s, actor)
}

package agent

import (
	"stationd/agent/station"
	"stationd/agent/store"
)

// Surroundings are what people need beside an alarm to deal with it: who lives
// there, what to do, where it is.
type Surroundings struct {
	// People are those behind the sensor, as far as whoever asks may see them; nil
	// when nobody is kept.
	People *station.People `json:"people" jsonschema:"nullable"`
	Card   station.Card    `json:"card"`
	// Plan is the one that the sensor has its position on.
	Plan *station.Plan `json:"plan" jsonschema:"nullable"`
}

// surround adds to an alarm's view what actor may see beside it.
func (a *Agent) surround(actor station.Actor, v *AlarmView) error {
	return a.store.View(func(tx *store.Tx) (err error) {
		v.People = a.peopleInAlarm(tx, actor, v.Alarm)
		if v.Card, err = a.cardOf(tx, v.Alarm.Kind); err != nil {
			return err
		}
		if v.Sensor == nil || v.Sensor.Sensor.Node != "" || v.Sensor.Sensor.Position == nil {
			return nil
		}
		p, ok, err := store.Get[station.Plan](tx, key(planTable, v.Sensor.Sensor.Position.Plan))
		if ok {
			v.Plan = &p
		}
		return err
	})
}

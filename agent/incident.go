package agent

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
)

// Alarms of one place within a short time are one incident: of one flat or floor
// by the words of the place, or near each other on one plan. What an incident is
// made of stays as it is: each alarm is answered by itself.

const (
	// incidentWindow is the longest time between two alarms of one incident.
	incidentWindow = 10 * time.Minute
	// incidentAlarms bounds the alarms that an incident lists.
	incidentAlarms = 200
	// planCells is into how many parts each side of a plan is cut; alarms in one
	// cell or in two that touch are near each other.
	planCells = 8
)

// spot is the last alarm of a place.
type spot struct {
	Alarm    string            `json:"alarm"`
	Sensor   string            `json:"sensor"`
	Kind     station.AlarmKind `json:"kind"`
	Incident string            `json:"incident,omitempty"`
	Tick     alarm.Tick        `json:"tick"`
}

// flatOf is the part of a place up to its flat or floor: what stands behind the
// dot is where in it.
func flatOf(place string) string {
	for _, dot := range []string{"·", "・", "•"} {
		place, _, _ = strings.Cut(place, dot)
	}
	return strings.Join(strings.Fields(place), " ")
}

// spotsOf are a sensor's own places, and all in which alarms are near it.
func spotsOf(s station.Sensor) (own, near []store.Key) {
	if p := flatOf(s.Place); p != "" {
		own = append(own, key(spotTable, "place", p))
		near = own
	}
	if p := s.Position; p != nil && p.Plan != "" {
		cell := func(v float64) int { return int(min(max(math.Floor(v*planCells), 0), planCells-1)) }
		at := func(x, y int) store.Key { return key(spotTable, "plan", p.Plan, fmt.Sprint(x), fmt.Sprint(y)) }
		x, y := cell(p.X), cell(p.Y)
		own = append(slices.Clone(own), at(x, y))
		for dx := -1; dx <= 1; dx++ {
			for dy := -1; dy <= 1; dy++ {
				near = append(slices.Clip(near), at(x+dx, y+dy))
			}
		}
	}
	return own, near
}

// correlate enters a new alarm into the incident of its place, and begins one with
// the alarm before it. al is stored by the caller.
func (a *Agent) correlate(tx *store.Tx, now alarm.Now, sensor station.Sensor, al *station.Alarm) error {
	if al.Late || al.Test || al.Suppressed == alarm.Maintenance || al.Kind == station.KindOffline || al.Kind == station.KindBattery {
		return nil
	}
	own, near := spotsOf(sensor)
	for _, k := range near {
		last, known, err := store.Get[spot](tx, k)
		if err != nil {
			return err
		}
		if !known || last.Tick.Add(incidentWindow) < now.Tick || last.Sensor == sensor.ID && last.Kind == al.Kind && last.Incident == "" {
			continue
		}
		if al.Incident, err = a.joinIncident(tx, now, last, sensor, al); err != nil {
			return err
		}
		break
	}
	for _, k := range own {
		if err := store.Put(tx, k, spot{Alarm: al.ID, Sensor: sensor.ID, Kind: al.Kind, Incident: al.Incident, Tick: now.Tick}); err != nil {
			return err
		}
	}
	return nil
}

// joinIncident adds an alarm to the incident of the alarm before it and returns
// the incident's ID.
func (a *Agent) joinIncident(tx *store.Tx, now alarm.Now, last spot, sensor station.Sensor, al *station.Alarm) (string, error) {
	id := last.Incident
	if id == "" {
		first, ok, err := store.Get[station.Alarm](tx, key(alarmTable, last.Alarm))
		if err != nil || !ok {
			return "", err
		}
		if id = first.Incident; id == "" {
			id = station.NewID()
			first.Incident = id
			if err := noteIncident(tx, &first); err != nil {
				return "", err
			}
			if err := store.Put(tx, key(alarmTable, first.ID), first); err != nil {
				return "", err
			}
			if err := appendEvent(tx, laneOfAlarm(&first), station.EventAlarmChanged, "alarm/"+first.ID, "", now.Wall, first); err != nil {
				return "", err
			}
			if err := a.alarmChanged(tx, first); err != nil {
				return "", err
			}
		}
	}
	joined := *al
	joined.Incident = id
	return id, noteIncident(tx, &joined)
}

// noteIncident keeps the record of the incident that an alarm names. At a centre
// it is made from what the alarms of its stations say.
func noteIncident(tx *store.Tx, al *station.Alarm) error {
	if al.Incident == "" {
		return nil
	}
	k := key(incidentTable, al.Incident)
	in, known, err := store.Get[station.Incident](tx, k)
	if err != nil {
		return err
	}
	if !known {
		in = station.Incident{ID: al.Incident, Node: al.Node, Place: flatOf(al.Place), At: al.RaisedAt, First: al.ID}
	}
	if in.Node != al.Node { // it is not for a child to say what happened at another
		return nil
	}
	if slices.Contains(in.Alarms, al.ID) || len(in.Alarms) >= incidentAlarms {
		return nil
	}
	in.Alarms, in.Last = append(in.Alarms, al.ID), al.RaisedAt
	if !slices.Contains(in.Kinds, al.Kind) {
		in.Kinds = append(in.Kinds, al.Kind)
	}
	if !slices.Contains(in.Sensors, al.Sensor) {
		in.Sensors = append(in.Sensors, al.Sensor)
	}
	return store.Put(tx, k, in)
}

// IncidentView is an incident with its alarms.
type IncidentView struct {
	Incident station.Incident `json:"incident"`
	Alarms   []station.Alarm  `json:"alarms"`
}

// Incident is one incident with its alarms, in order.
func (a *Agent) Incident(id string) (IncidentView, error) {
	v := IncidentView{Alarms: []station.Alarm{}}
	err := a.store.View(func(tx *store.Tx) error {
		found, err := incidentView(tx, id, &v)
		if err == nil && !found {
			err = station.ErrNotFound.At("incident/" + id)
		}
		return err
	})
	return v, err
}

func incidentView(tx *store.Tx, id string, v *IncidentView) (bool, error) {
	in, ok, err := store.Get[station.Incident](tx, key(incidentTable, id))
	if err != nil || !ok {
		return false, err
	}
	in.State = "over"
	for _, id := range in.Alarms {
		al, ok, err := store.Get[station.Alarm](tx, key(alarmTable, id))
		if err != nil {
			return false, err
		}
		if !ok {
			continue
		}
		if al.Live() {
			in.State = "live"
		}
		v.Alarms = append(v.Alarms, al)
	}
	v.Incident = in
	return true, nil
}

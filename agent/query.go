package agent

import (
	"slices"
	"time"

	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
)

// What the desk asks for.

// LiveAlarms are the live alarms that the desk shows, the gravest first, among those
// the ones of important sensors, and the newest.
// What is shelved, in maintenance or hidden behind its bridge is not among them;
// what came in a flood is, and marked.
func (a *Agent) LiveAlarms() ([]station.Alarm, error) {
	list, err := a.AllLiveAlarms()
	return slices.DeleteFunc(list, func(al station.Alarm) bool {
		return al.Shelf != nil || al.Suppressed != "" && al.Suppressed != alarm.Flooded
	}), err
}

// AllLiveAlarms are those and the ones that are not shown.
func (a *Agent) AllLiveAlarms() ([]station.Alarm, error) {
	out := []station.Alarm{}
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, liveTable, func(_ store.Key, id string) error {
			al, ok, err := store.Get[station.Alarm](tx, key(alarmTable, id))
			if ok {
				out = append(out, al)
			}
			return err
		})
	})
	rank := map[station.Severity]int{station.SeverityCritical: 0, station.SeverityMajor: 1, station.SeverityMinor: 2}
	slices.SortFunc(out, func(x, y station.Alarm) int {
		if d := rank[x.Severity] - rank[y.Severity]; d != 0 {
			return d
		}
		if x.Important != y.Important {
			return map[bool]int{true: -1, false: 1}[x.Important]
		}
		return y.RaisedAt.Compare(x.RaisedAt)
	})
	return out, err
}

// AlarmView is an alarm with what belongs beside it on the desk.
type AlarmView struct {
	Alarm   station.Alarm `json:"alarm"`
	Clip    *station.Clip `json:"clip" jsonschema:"nullable"`
	Cameras []CameraView  `json:"cameras"`
	Sensor  *SensorView   `json:"sensor" jsonschema:"nullable"`
	Centre  CentreView    `json:"centre"`
	// Response is who was told, and who is next.
	Response *station.Response `json:"response" jsonschema:"nullable"`
	// Asked is what officers here have asked the alarm's station for.
	Asked []station.Asked `json:"asked,omitempty"`
	// Incident is what else happened there; nil when nothing did.
	Incident *IncidentView `json:"incident" jsonschema:"nullable"`
	// State is where it stands, in the words of ISA-18.2.
	State alarm.State `json:"state"`
	Surroundings
}

// CentreView says what the centre knows.
type CentreView struct {
	Configured bool      `json:"configured"`
	ReceivedAt time.Time `json:"receivedAt,omitzero"`
	SeenAt     time.Time `json:"seenAt,omitzero"`
	TakenAt    time.Time `json:"takenAt,omitzero"`
}

// CameraView is a camera with its state.
type CameraView struct {
	Camera station.Camera      `json:"camera"`
	State  station.CameraState `json:"state"`
}

// SensorView is a sensor with its state.
type SensorView struct {
	Sensor station.Sensor      `json:"sensor"`
	State  station.SensorState `json:"state"`
}

// Alarm is one alarm with its clip, cameras and sensor.
func (a *Agent) Alarm(id string) (AlarmView, error) {
	v := AlarmView{Cameras: []CameraView{}}
	err := a.store.View(func(tx *store.Tx) error {
		al, ok, err := store.Get[station.Alarm](tx, key(alarmTable, id))
		if err != nil {
			return err
		}
		if !ok {
			return station.ErrNotFound.At("alarm/" + id)
		}
		v.Alarm, v.State = al, alarm.StateOf(&al)
		v.Centre = CentreView{ReceivedAt: al.CentreAt, SeenAt: al.CentreSeenAt, TakenAt: al.CentreTakenAt}
		if al.Incident != "" {
			v.Incident = &IncidentView{Alarms: []station.Alarm{}}
			if found, err := incidentView(tx, al.Incident, v.Incident); err != nil {
				return err
			} else if !found {
				v.Incident = nil
			}
		}
		if v.Response, err = a.responseOf(tx, id); err != nil {
			return err
		}
		if v.Asked, err = askedOf(tx, id); err != nil {
			return err
		}
		if al.Clip != "" {
			clip, ok, err := store.Get[station.Clip](tx, key(clipTable, al.Clip))
			if err != nil {
				return err
			}
			if ok {
				v.Clip = &clip
			}
		}
		for _, c := range al.Cameras {
			cam, ok, err := cameraView(tx, c)
			if err != nil {
				return err
			}
			if ok {
				v.Cameras = append(v.Cameras, cam)
			}
		}
		sensor, ok, err := store.Get[station.Sensor](tx, key(sensorTable, al.Sensor))
		if err != nil || !ok {
			return err
		}
		v.Sensor = &SensorView{Sensor: sensor}
		v.Sensor.State, err = sensorState(tx, sensor.ID)
		return err
	})
	return v, err
}

func cameraView(tx *store.Tx, id string) (CameraView, bool, error) {
	cam, ok, err := store.Get[station.Camera](tx, key(cameraTable, id))
	if err != nil || !ok {
		return CameraView{}, false, err
	}
	st, known, err := store.Get[station.CameraState](tx, key(camStTable, id))
	if !known {
		st = station.CameraState{Camera: id, Node: cam.Node, Status: station.CameraConnecting}
	}
	return CameraView{Camera: cam, State: st}, true, err
}

func sensorState(tx *store.Tx, id string) (station.SensorState, error) {
	st, _, err := store.Get[station.SensorState](tx, key(stateTable, id))
	st.Sensor, st.Seen = id, nil
	return st, err
}

// Sensors lists the sensors with their states, children's included.
func (a *Agent) Sensors() ([]SensorView, error) {
	out := []SensorView{}
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, sensorTable, func(_ store.Key, s station.Sensor) error {
			st, err := sensorState(tx, s.ID)
			out = append(out, SensorView{Sensor: s, State: st})
			return err
		})
	})
	return out, err
}

// Cameras lists the cameras with their states, children's included.
func (a *Agent) Cameras() ([]CameraView, error) {
	out := []CameraView{}
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, cameraTable, func(_ store.Key, c station.Camera) error {
			v, _, err := cameraView(tx, c.ID)
			out = append(out, v)
			return err
		})
	})
	return out, err
}

// Brokers lists the outside brokers.
func (a *Agent) Brokers() ([]station.BrokerView, error) {
	list, err := all[station.Broker](a, brokerTable)
	if err != nil {
		return nil, err
	}
	health := a.brokerHealth()
	views := make([]station.BrokerView, len(list))
	for i, b := range list {
		views[i].Broker = b
		if h, ok := health[b.ID]; ok {
			views[i].Health = &h
		}
	}
	return views, nil
}

// Devices lists the accounts of the built-in broker, without their digests.
func (a *Agent) Devices() ([]station.BrokerAccount, error) {
	list, err := all[station.BrokerAccount](a, deviceTable)
	for i := range list {
		list[i].Digest = ""
	}
	return list, err
}

// Nodes lists the children.
func (a *Agent) Nodes() ([]station.Node, error) {
	return all[station.Node](a, nodeTable)
}

func all[T any](a *Agent, table store.Key) ([]T, error) {
	out := []T{}
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, table, func(_ store.Key, v T) error {
			out = append(out, v)
			return nil
		})
	})
	return out, err
}

// QuietSince is when the last live alarm ended; zero while an alarm is live, and
// as long as there has been none.
func (a *Agent) QuietSince() (time.Time, error) {
	var at time.Time
	err := a.store.View(func(tx *store.Tx) error {
		live := false
		err := store.Each(tx, liveTable, func(_ store.Key, _ string) error {
			live = true
			return store.ErrStop
		})
		if err != nil || live {
			return err
		}
		// The newest hundred alarms hold the last one to end, unless a hundred
		// were raised and ended since.
		n := 0
		return store.EachReverse(tx, alarmTable, func(_ store.Key, al station.Alarm) error {
			if al.ClearedAt.After(at) {
				at = al.ClearedAt
			}
			if n++; n == 100 {
				return store.ErrStop
			}
			return nil
		})
	})
	return at, err
}

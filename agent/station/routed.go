package station

import (
	"encoding/json"
	"time"
)

// AlarmSource is somebody elsewhere who may report alarms here by HTTP: the cloud of
// a maker, a platform of the town.
type AlarmSource struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Stations are those for which it may report; empty is every one below, and this
	// node.
	Stations []NodeID  `json:"stations,omitempty"`
	By       string    `json:"by,omitempty"`
	At       time.Time `json:"at"`
	// LastAt is when it last reported something that was taken.
	LastAt time.Time `json:"lastAt,omitzero"`
}

// AlarmSourceKey is a source with its token, which is shown this once.
type AlarmSourceKey struct {
	AlarmSource
	Token string `json:"token,omitempty"`
}

// RoutedAlarm is what somebody elsewhere says about a device at a station.
type RoutedAlarm struct {
	// Station is whose it is.
	Station NodeID `json:"station"`
	// Device names what alarms, within its source; Sensor a sensor of the station in
	// its place.
	Device string `json:"device,omitempty"`
	Sensor string `json:"sensor,omitempty"`
	// Kind is smoke, gas, water, sos … or another word.
	Kind  AlarmKind `json:"kind"`
	Name  string    `json:"name,omitempty"`
	Place string    `json:"place,omitempty"`
	// Active is false when the condition ended; without it, it holds.
	Active *bool `json:"active,omitempty"`
	// Time is when it was seen there.
	Time   time.Time        `json:"time,omitzero"`
	Values map[string]Value `json:"values,omitempty"`
}

// RouteState is what has become of an alarm that was routed down.
type RouteState string

// The states of a routed alarm.
const (
	RouteWaiting RouteState = "waiting" // for the station's receipt
	RouteDone    RouteState = "done"
	RouteRefused RouteState = "refused" // by the station
)

// Routed is an alarm from elsewhere on its way to a station.
type Routed struct {
	ID     string      `json:"id"`  // of the command under which it goes down
	Seq    uint64      `json:"seq"` // counts what came; a station gets its alarms in this order
	Source string      `json:"source"`
	Event  string      `json:"event"` // how the source names it
	Alarm  RoutedAlarm `json:"alarm"`
	At     time.Time   `json:"at"`
	State  RouteState  `json:"state"`
	// StateAt is when State last changed, Problem why it was refused.
	StateAt time.Time `json:"stateAt"`
	Problem *Problem  `json:"problem,omitempty"`
}

// The types of command about alarms from elsewhere.
const (
	CommandPutSource    = "alarm-source.put"    // Subject source; body AlarmSource; result AlarmSourceKey
	CommandRemoveSource = "alarm-source.remove" // Subject source
	CommandRouteAlarm   = "alarm.route"         // Subject the routed alarm's ID; body RouteOrder; from the parent
)

// RouteOrder is the body of alarm.route.
type RouteOrder struct {
	Source string      `json:"source"`
	Name   string      `json:"name,omitempty"` // the source's
	Alarm  RoutedAlarm `json:"alarm"`
}

// RoutedEvent is how an alarm comes from elsewhere: CloudEvents 1.0 whose data is a
// RoutedAlarm. A body that is a RoutedAlarm itself is taken too, with an id beside.
type RoutedEvent struct {
	SpecVersion string          `json:"specversion,omitempty"`
	ID          string          `json:"id"`
	Source      string          `json:"source,omitempty"`
	Type        string          `json:"type,omitempty"`
	Time        time.Time       `json:"time,omitzero"`
	Data        json.RawMessage `json:"data,omitempty"`
}

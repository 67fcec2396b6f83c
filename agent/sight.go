package agent

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// Who may see which camera is decided here, for every route, command, event and
// list. Whatever belongs to a camera (a clip, an export, a viewing) is as open as
// its camera. The camera's own record is asked each time: what was restricted a
// moment ago is restricted now.

// cameraless are the kinds of resource that no camera stands behind. A resource of a
// kind that is neither here nor in cameraBehind is closed to all.
var cameraless = map[string]bool{
	"": true, "account": true, "alarm": true, "alarm-route": true, "alarm-source": true, "broker": true, "card": true, "cards": true, "channel": true, "contact": true,
	"device": true, "display": true, "displays": true, "duty": true, "enrolment": true, "incident": true, "joining": true, "mode": true, "node": true, "broadcast": true, "parent-policy": true,
	"people": true, "plan": true, "plans": true, "rule-policy": true, "rule-template": true, "schedule": true, "sensor": true, "sensors": true,
	"shift-notes": true, "sound": true,
	// A recorder is no camera, and the table of cameras leaves out what is not to be
	// seen; what changes a camera behind either asks for that camera.
	"recorder": true, "cameras": true,
	// Walls, groups, tours and rounds name several cameras, and are masked.
	"wall": true, "walls": true, "camera-group": true, "camera-groups": true, "tour": true, "tours": true, "patrol": true, "patrols": true,
}

var errKind = station.Problem{
	Code: "access.undeclared", Status: http.StatusForbidden,
	Message: "nobody has said which camera this belongs to, and it is therefore closed", Hint: "report it: it is a fault of the program",
}

// Authorize tells whether actor may do what needs p on resource ("camera/x"): nil,
// or a problem. Beside the role's permission it asks whether the camera that the
// resource belongs to is for that role to see.
func (a *Agent) Authorize(actor station.Actor, p station.Permission, resource string) error {
	if err := account.Authorize(actor, p, resource); err != nil {
		return err
	}
	return a.store.View(func(tx *store.Tx) error { return a.authorizeSight(tx, actor, resource) })
}

func (a *Agent) authorizeSight(tx *store.Tx, actor station.Actor, resource string) error {
	camera, known, err := a.cameraBehind(tx, resource)
	switch {
	case err != nil:
		return err
	case !known:
		return errKind.At(resource)
	case camera == "":
		return nil
	}
	seen, err := sees(tx, actor, camera)
	if err == nil && !seen {
		err = station.ErrUnseen.At(resource)
	}
	return err
}

// cameraBehind is the camera that a resource belongs to: none for what has to do
// with no camera, or does not exist. known tells that the kind of resource is
// known at all.
func (a *Agent) cameraBehind(tx *store.Tx, resource string) (camera string, known bool, err error) {
	kind, id, _ := strings.Cut(resource, "/")
	switch {
	case kind == "camera":
		return id, true, nil
	case kind == "clip":
		c, _, err := store.Get[station.Clip](tx, key(clipTable, id))
		return c.Camera, true, err
	case kind == "evidence":
		h, _, err := store.Get[station.Hold](tx, key(holdTable, id))
		return h.Camera, true, err
	case kind == "export":
		x, _, err := store.Get[station.Export](tx, key(exportTable, id))
		return x.Camera, true, err
	case cameraless[kind]:
		return "", true, nil
	}
	find, known := a.cameraOf[kind]
	if !known {
		return "", false, nil
	}
	return find(id), true, nil
}

// sees tells whether actor may see a camera. One that is gone is as closed as it
// was, because its record outlives it; of one that never was there is nothing to see.
func sees(tx *store.Tx, actor station.Actor, camera string) (bool, error) {
	if camera == "" {
		return true, nil
	}
	s, err := sightOf(tx, camera)
	return s.Allows(actor.Role), err
}

func sightOf(tx *store.Tx, camera string) (account.Sight, error) {
	c, ok, err := store.Get[station.Camera](tx, key(cameraTable, camera))
	if err != nil || ok {
		return account.SightOf(c), err
	}
	s, _, err := store.Get[account.Sight](tx, key(sightTable, camera))
	return s, err
}

// keepSight remembers who might see a camera that is being removed.
func keepSight(tx *store.Tx, c station.Camera) error {
	if s := account.SightOf(c); !s.Open() {
		return store.Put(tx, key(sightTable, c.ID), s)
	}
	return nil
}

// checkSight refuses a change of who may see a camera to those who do not decide
// over accounts; one that was there before counts as a change of that.
func checkSight(tx *store.Tx, actor station.Actor, c station.Camera) error {
	if err := account.SightOf(c).Validate(); err != nil {
		return err
	}
	_, known, err := store.Get[station.Camera](tx, key(cameraTable, c.ID))
	if err != nil {
		return err
	}
	before, err := sightOf(tx, c.ID)
	if err != nil || !known && before.Open() {
		return err
	}
	same := slices.Equal(before.Roles, c.Roles) && before.Withheld == c.Withheld
	if !same && account.Authorize(actor, station.PermAccounts, "camera/"+c.ID) != nil {
		return station.Errorf(http.StatusForbidden, "camera.roles", "ask an administrator", "only who manages accounts decides who may see a camera").At("roles")
	}
	return tx.Delete(key(sightTable, c.ID))
}

// maskAlarm leaves out of an alarm the cameras that actor may not see, and the clip
// of such a one; that there are some is said.
func maskAlarm(tx *store.Tx, actor station.Actor, al *station.Alarm) error {
	var kept []string
	for _, c := range al.Cameras {
		ok, err := sees(tx, actor, c)
		if err != nil {
			return err
		}
		if ok {
			kept = append(kept, c)
		}
	}
	al.Unseen += len(al.Cameras) - len(kept)
	al.Cameras = kept
	if al.Clip == "" {
		return nil
	}
	clip, _, err := store.Get[station.Clip](tx, key(clipTable, al.Clip))
	if err != nil {
		return err
	}
	if ok, err := sees(tx, actor, clip.Camera); err != nil || ok {
		return err
	}
	al.Clip = ""
	return nil
}

// maskAlarms is maskAlarm for several, for whoever asks.
func (a *Agent) maskAlarms(actor station.Actor, alarms ...*station.Alarm) error {
	return a.store.View(func(tx *store.Tx) error {
		for _, al := range alarms {
			if err := maskAlarm(tx, actor, al); err != nil {
				return err
			}
		}
		return nil
	})
}

// maskList is maskAlarms in place.
func (a *Agent) maskList(actor station.Actor, list []station.Alarm) error {
	all := make([]*station.Alarm, len(list))
	for i := range list {
		all[i] = &list[i]
	}
	return a.maskAlarms(actor, all...)
}

// maskView is maskAlarm with all that stands beside the alarm.
func (a *Agent) maskView(actor station.Actor, v *AlarmView) error {
	if err := a.maskAlarms(actor, &v.Alarm); err != nil {
		return err
	}
	if v.Alarm.Clip == "" {
		v.Clip = nil
	}
	v.Cameras = slices.DeleteFunc(v.Cameras, func(c CameraView) bool { return !account.SightOf(c.Camera).Allows(actor.Role) })
	if v.Incident == nil {
		return nil
	}
	return a.maskList(actor, v.Incident.Alarms)
}

// CamerasFor lists the cameras that actor may see, with their states.
func (a *Agent) CamerasFor(actor station.Actor) ([]CameraView, error) {
	list, err := a.Cameras()
	return slices.DeleteFunc(list, func(c CameraView) bool { return !account.SightOf(c.Camera).Allows(actor.Role) }), err
}

// alarmEvents are the types of event whose record is an alarm.
var alarmEvents = map[string]bool{
	station.EventAlarmRaised: true, station.EventAlarmRepeated: true, station.EventAlarmAnswered: true, station.EventAlarmReturned: true,
	station.EventAlarmCleared: true, station.EventAlarmChanged: true, station.EventAlarmReceived: true,
}

// EventFor is an event as actor may see it; false when there is nothing of it to see.
// A camera that is no longer, or not, for them is gone as far as they are told.
func (a *Agent) EventFor(actor station.Actor, ev station.Event) (station.Event, bool, error) {
	if ev.Type == station.EventReading || ev.Subject == "" {
		return ev, true, nil // by far the most, and no camera is behind them
	}
	shown := true
	err := a.store.View(func(tx *store.Tx) (err error) {
		if alarmEvents[ev.Type] {
			ev, shown, err = maskAlarmEvent(tx, actor, ev)
			return err
		}
		if ev.Type == station.EventPatrol {
			ev, shown, err = maskPatrolEvent(tx, actor, ev)
			return err
		}
		camera, _, err := a.cameraBehind(tx, ev.Subject) // a subject of another kind has no camera
		if err != nil {
			return err
		}
		ok, err := sees(tx, actor, camera)
		if err != nil || ok {
			return err
		}
		if ev.Type != station.EventCameraChanged {
			shown = false
			return nil
		}
		ev, shown, err = asRemoved(ev)
		return err
	})
	return ev, shown, err
}

// EventUp is an event as the parent is told it. Nothing can be left out there,
// because what goes up is numbered without holes: what a parent may not know goes
// as the least that keeps its records right.
func (a *Agent) EventUp(ev station.Event) (station.Event, error) {
	up, shown, err := a.EventFor(station.Actor{Role: account.RoleNode}, ev)
	if err != nil || shown {
		return up, err
	}
	switch ev.Type {
	case station.EventClipReady, station.EventClipFailed, station.EventClipRemoved:
		var c station.Clip
		if json.Unmarshal(ev.Data, &c) != nil {
			break
		}
		c = station.Clip{ID: c.ID, Node: c.Node, Alarm: c.Alarm, Status: station.ClipFailed, From: c.From, To: c.To, Cause: "the station keeps this camera to itself"}
		ev.Type = station.EventClipFailed
		ev.Data, err = json.Marshal(c)
		return ev, err
	case station.EventCameraState, station.EventCameraRemoved:
		if removed, ok, err := asRemoved(ev); err != nil || ok {
			return removed, err
		}
	}
	ev.Data = nil
	return ev, nil
}

// asRemoved makes of an event about a camera the one that removes it, which says
// nothing but which; false where that cannot be read.
func asRemoved(ev station.Event) (_ station.Event, ok bool, err error) {
	ev.Type = station.EventCameraRemoved
	var c struct {
		ID     string         `json:"id"`
		Camera string         `json:"camera"`
		Node   station.NodeID `json:"node"`
	}
	if json.Unmarshal(ev.Data, &c) != nil {
		return ev, false, nil
	}
	if c.ID == "" {
		c.ID = c.Camera
	}
	ev.Data, err = json.Marshal(station.Camera{ID: c.ID, Node: c.Node})
	return ev, true, err
}

// maskAlarmEvent masks the alarm in an event; one in which there is nothing to hide
// stays as it is. An alarm that cannot be read, as a child may send one, cannot be
// judged: false.
func maskAlarmEvent(tx *store.Tx, actor station.Actor, ev station.Event) (_ station.Event, ok bool, err error) {
	var al station.Alarm
	if json.Unmarshal(ev.Data, &al) != nil {
		return ev, false, nil
	}
	cameras, clip := len(al.Cameras), al.Clip
	if err := maskAlarm(tx, actor, &al); err != nil {
		return ev, false, err
	}
	if len(al.Cameras) == cameras && al.Clip == clip {
		return ev, true, nil
	}
	ev.Data, err = json.Marshal(al)
	return ev, true, err
}

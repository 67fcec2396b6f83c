package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// What a child's event says about the child's state, under the names that the
// child's things have here.

// errForeign is of a child that speaks of what is not its own. A certificate
// vouches for one station: with it nobody ends the alarms of another.
var errForeign = errors.New("a child speaks of what is not its own")

// projectBytes is the largest record that is stored beside its event; both must
// fit into one transaction.
const projectBytes = 256 << 10

// take stores one event and what it says. Event types that this version does not
// know are journalled as they are.
func (a *Agent) take(tx *store.Tx, node station.NodeID, ev station.Event) (registry bool, err error) {
	c := childTx{tx: tx, self: a.store.Node(), node: node, now: a.now, clips: a.clips}
	if ev.Origin.Node != node {
		if ok, err := c.speaksFor(ev.Origin.Node); err != nil {
			return false, err
		} else if !ok {
			a.log.Error("child's event passed over", "node", node, "type", ev.Type, "subject", ev.Subject, "origin", ev.Origin, "err", errForeign)
			return false, nil
		}
	}
	switch ev.Type {
	case station.EventAlarmReceived:
		return false, nil // that we have it is news to the child's console alone
	case station.EventAlarmRaised, station.EventAlarmRepeated, station.EventAlarmAnswered, station.EventAlarmReturned, station.EventAlarmCleared, station.EventAlarmChanged:
		ev, err = project(ev, c.alarm)
	case station.EventBroadcast:
		ev, err = project(ev, c.broadcast)
	case station.EventResponse:
		ev, err = project(ev, c.response)
	case station.EventClipReady, station.EventClipFailed, station.EventClipRemoved:
		ev, err = project(ev, c.clip)
	case station.EventReading:
		ev, err = project(ev, c.reading)
	case station.EventSensorChanged:
		ev, err = project(ev, c.sensor)
	case station.EventSensorRemoved:
		ev, err = project(ev, c.sensorRemoved)
	case station.EventCameraChanged:
		registry = true
		ev, err = project(ev, c.camera)
	case station.EventCameraRemoved:
		registry = true
		ev, err = project(ev, c.cameraRemoved)
	case station.EventCameraState:
		ev, err = project(ev, c.cameraState)
	case station.EventNodeState:
		ev, err = project(ev, c.nodeState)
	case station.EventReadingsDropped:
		err = c.dropped(ev)
	case station.EventSetupChanged:
		err = c.setup(ev)
	}
	switch {
	case errors.Is(err, errForeign):
		a.log.Error("child's event passed over", "node", node, "type", ev.Type, "subject", ev.Subject, "err", err)
		return false, nil
	case err != nil:
		return false, err
	}
	_, err = tx.Append(ev)
	return registry, err
}

// project decodes the event's record, lets keep store it under this node's names,
// and returns the event as it is known here, subject and record. A record that
// cannot be read, or is too large to be kept, is journalled untouched: it is a
// child's fault, and what a child sends is not thrown away.
func project[T any](ev station.Event, keep func(*T) (subject string, err error)) (station.Event, error) {
	var v T
	if err := json.Unmarshal(ev.Data, &v); err != nil || len(ev.Data) > projectBytes {
		return ev, nil //nolint:nilerr // see the comment above
	}
	subject, err := keep(&v)
	if err != nil {
		return ev, err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return ev, fmt.Errorf("encode %s: %w", ev.Type, err)
	}
	ev.Subject, ev.Data = subject, data
	return ev, nil
}

// childTx stores what one child says.
type childTx struct {
	tx   *store.Tx
	self station.NodeID
	node station.NodeID
	now  func() time.Time
	// clips may be nil.
	clips ClipMaker
}

// speaksFor tells whether the child may speak for owner: itself, or what lies
// below it; not us, not another child of ours, and not what lies below that.
func (c childTx) speaksFor(owner station.NodeID) (bool, error) {
	if owner == "" || owner == c.node || owner == c.self {
		return owner != c.self, nil
	}
	if sibling, err := direct(c.tx, owner); err != nil || sibling {
		return false, err
	}
	return speaksThrough(c.tx, owner, c.node)
}

// name is the ID under which owner's sensor or camera is known here. What a
// sub-centre has qualified for a grandchild stays as it is.
func (c childTx) name(owner station.NodeID, id string) (string, error) {
	if owner == "" || owner == c.node {
		return Qualify(c.node, id), nil
	}
	if ok, err := c.speaksFor(owner); err != nil || !ok || id != "" && !strings.HasPrefix(id, string(owner)+".") {
		return "", errors.Join(err, errForeign)
	}
	return id, nil
}

// names is name for several, in place.
func (c childTx) names(owner station.NodeID, ids []string) error {
	for i := range ids {
		var err error
		if ids[i], err = c.name(owner, ids[i]); err != nil {
			return err
		}
	}
	return nil
}

// owned gives the record that is here before the child's, and refuses the
// child's when that came from somebody else.
func owned[T any](c childTx, k store.Key, from func(T) station.NodeID, want station.NodeID) (T, error) {
	here, known, err := store.Get[T](c.tx, k)
	if err == nil && known && from(here) != want {
		err = errForeign
	}
	return here, err
}

func (c childTx) alarm(al *station.Alarm) (string, error) {
	if al.Node == "" {
		al.Node = c.node
	}
	if ok, err := c.speaksFor(al.Node); err != nil || !ok {
		return "", errors.Join(err, errForeign)
	}
	sensor, err := c.name(al.Node, al.Sensor)
	if err != nil {
		return "", err
	}
	al.Sensor = sensor
	if err := c.names(al.Node, al.Cameras); err != nil {
		return "", err
	}
	k := key(alarmTable, al.ID)
	here, err := owned(c, k, func(al station.Alarm) station.NodeID { return al.Node }, al.Node)
	if err != nil {
		return "", err
	}
	if here.ID == "" {
		if err := indexAlarm(c.tx, al); err != nil {
			return "", err
		}
	}
	if err := noteIncident(c.tx, al); err != nil {
		return "", err
	}
	if err := store.Put(c.tx, k, *al); err != nil {
		return "", err
	}
	if err := c.endClaim(al); err != nil {
		return "", err
	}
	return "alarm/" + al.ID, c.indexAlarm(al)
}

// response keeps who was told at the child. It must be about an alarm of its own.
func (c childTx) response(r *station.Response) (string, error) {
	alarm, known, err := store.Get[station.Alarm](c.tx, key(alarmTable, r.Alarm))
	if err != nil {
		return "", err
	}
	if !known {
		return "alarm/" + r.Alarm, nil // its alarm was forgotten here; the event is kept
	}
	if ok, err := c.speaksFor(alarm.Node); err != nil || !ok {
		return "", errors.Join(err, errForeign)
	}
	return "alarm/" + r.Alarm, store.Put(c.tx, key(responseTable, r.Alarm), *r)
}

// indexAlarm keeps the index of the live alarms true.
func (c childTx) indexAlarm(al *station.Alarm) error {
	live := liveKey(al.Sensor, al.Kind)
	if al.Sensor == "" {
		live = liveKey(string(al.Node)+".", al.Kind) // the child's own alarm
	}
	current, known, err := store.Get[string](c.tx, live)
	switch {
	case err != nil:
		return err
	case al.Live() && (!known || current == al.ID):
		return store.Put(c.tx, live, al.ID)
	case al.Live():
		// Two alarms of a sensor may come in two lanes: the later one is live,
		// whichever comes first.
		other, ok, err := store.Get[station.Alarm](c.tx, key(alarmTable, current))
		if err != nil || ok && other.Live() && other.Seq > al.Seq {
			return err
		}
		return store.Put(c.tx, live, al.ID)
	case current != al.ID:
		return nil // a newer alarm of the sensor is live
	}
	return c.tx.Delete(live)
}

func (c childTx) clip(clip *station.Clip) (string, error) {
	camera, err := c.name(clip.Node, clip.Camera)
	if err != nil {
		return "", err
	}
	clip.Node, clip.Camera = c.node, camera
	k := key(clipTable, clip.ID)
	here, err := owned(c, k, func(c station.Clip) station.NodeID { return c.Node }, c.node)
	if err != nil {
		return "", err
	}
	if here.Uploaded.IsZero() && !clip.Uploaded.IsZero() && c.clips != nil && c.clips.HasClip(clip.ID) {
		// The film came before our store was set back to a backup, and the child
		// will not send it again.
		here.Uploaded = c.now()
	}
	whole := !here.Uploaded.IsZero()
	if here.Status == station.ClipRemoved || whole && clip.Status == station.ClipRemoved {
		*clip = here // what became of the film here is for us to say
	} else {
		clip.Uploaded = here.Uploaded // when the file is here, not what the child believes
	}
	return "clip/" + clip.ID, store.Put(c.tx, k, *clip)
}

func (c childTx) reading(s *station.SensorState) (string, error) {
	id, err := c.name(s.Node, s.Sensor)
	if err != nil {
		return "", err
	}
	s.Node, s.Sensor = c.node, id
	k := key(stateTable, id)
	before, err := owned(c, k, func(s station.SensorState) station.NodeID { return s.Node }, c.node)
	if err != nil {
		return "", err
	}
	if there := upOfSensor(*s); there != upOfSensor(before) {
		if err := noteUp(c.tx, c.now(), upSensor, id, there); err != nil {
			return "", err
		}
	}
	return "sensor/" + id, store.Put(c.tx, k, *s)
}

// ownSensor gives a child's sensor its name here, if it is the child's.
func (c childTx) ownSensor(s *station.Sensor) (store.Key, error) {
	id, err := c.name(s.Node, s.ID)
	if err != nil {
		return "", err
	}
	if err := c.names(s.Node, s.Cameras); err != nil {
		return "", err
	}
	s.Node, s.ID = c.node, id
	_, err = owned(c, key(sensorTable, id), func(s station.Sensor) station.NodeID { return s.Node }, c.node)
	return key(sensorTable, id), err
}

func (c childTx) sensor(s *station.Sensor) (string, error) {
	k, err := c.ownSensor(s)
	if err != nil {
		return "", err
	}
	return "sensor/" + s.ID, store.Put(c.tx, k, *s)
}

func (c childTx) sensorRemoved(s *station.Sensor) (string, error) {
	k, err := c.ownSensor(s)
	if err != nil {
		return "", err
	}
	return "sensor/" + s.ID, errors.Join(c.tx.Delete(key(stateTable, s.ID)), c.tx.Delete(k), endUp(c.tx, c.now(), upSensor, s.ID))
}

// ownCamera gives a child's camera its name here, if it is the child's.
func (c childTx) ownCamera(cam *station.Camera) (store.Key, error) {
	id, err := c.name(cam.Node, cam.ID)
	if err != nil {
		return "", err
	}
	cam.Node, cam.ID = c.node, id
	cam.URL, cam.Username, cam.HasPassword, cam.Record = "", "", false, false // the station's own affair
	_, err = owned(c, key(cameraTable, id), func(cam station.Camera) station.NodeID { return cam.Node }, c.node)
	return key(cameraTable, id), err
}

func (c childTx) camera(cam *station.Camera) (string, error) {
	k, err := c.ownCamera(cam)
	if err != nil {
		return "", err
	}
	return "camera/" + cam.ID, errors.Join(store.Put(c.tx, k, *cam), c.tx.Delete(key(sightTable, cam.ID)))
}

func (c childTx) cameraRemoved(cam *station.Camera) (string, error) {
	k, err := c.ownCamera(cam)
	if err != nil {
		return "", err
	}
	here, known, err := store.Get[station.Camera](c.tx, k)
	if err != nil {
		return "", err
	}
	if known { // what it has recorded stays as closed as it was
		if err := keepSight(c.tx, here); err != nil {
			return "", err
		}
	}
	return "camera/" + cam.ID, errors.Join(c.tx.Delete(key(camStTable, cam.ID)), c.tx.Delete(k), endUp(c.tx, c.now(), upCamera, cam.ID))
}

func (c childTx) cameraState(s *station.CameraState) (string, error) {
	id, err := c.name(s.Node, s.Camera)
	if err != nil {
		return "", err
	}
	s.Node, s.Camera = c.node, id
	k := key(camStTable, id)
	if _, err := owned(c, k, func(s station.CameraState) station.NodeID { return s.Node }, c.node); err != nil {
		return "", err
	}
	if err := noteUp(c.tx, c.now(), upCamera, id, upOfCamera(*s)); err != nil {
		return "", err
	}
	return "camera/" + id, store.Put(c.tx, k, *s)
}

func (c childTx) nodeState(n *station.Node) (string, error) {
	if n.ID != c.node { // a grandchild: its own centre knows whether it is there
		ok, err := c.speaksFor(n.ID)
		switch {
		case err != nil:
			return "", err
		case !ok:
			return "", errForeign
		}
		return "node/" + string(n.ID), c.noteBelow(*n)
	}
	k := key(nodeTable, string(c.node))
	here, _, err := store.Get[station.Node](c.tx, k)
	if err != nil {
		return "", err
	}
	here.ID, here.Name, here.Version = c.node, n.Name, n.Version
	here.ClosedAt, here.ClosedUntil, here.ClosedBy = n.ClosedAt, n.ClosedUntil, n.ClosedBy
	*n = here
	return "node/" + string(c.node), store.Put(c.tx, k, here)
}

// dropped counts what a child has given up of its readings. What a grandchild has
// is counted by its own centre.
func (c childTx) dropped(ev station.Event) error {
	var d station.Dropped
	if ev.Origin.Node != c.node || json.Unmarshal(ev.Data, &d) != nil {
		return nil
	}
	k := key(nodeTable, string(c.node))
	n, known, err := store.Get[station.Node](c.tx, k)
	if err != nil || !known {
		return err
	}
	n.Dropped = n.Dropped.Plus(d)
	return store.Put(c.tx, k, n)
}

// setup heeds what a child says about rule templates of its own; the rest of its
// set-up is journalled and no more.
func (c childTx) setup(ev station.Event) error {
	if !strings.HasPrefix(ev.Subject, "rule-template/") || ev.Origin.Node != c.node {
		return nil
	}
	var t station.RuleTemplate
	if json.Unmarshal(ev.Data, &t) != nil || t.Class == "" {
		return nil
	}
	return c.templateChanged(t)
}

package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/station"
	"stationd/agent/store"
)

// child sends what a station sends.
type child struct {
	*rig
	node station.NodeID
	seq  map[station.Lane]uint64
}

func (r *rig) child(node station.NodeID) *child {
	r.t.Helper()
	if err := r.NodeSeen(context.Background(), node, station.Presence{Online: true}); err != nil {
		r.t.Fatal(err)
	}
	return &child{r, node, map[station.Lane]uint64{}}
}

func (c *child) arrival(lane station.Lane, kind, subject string, record any) agent.Arrival {
	c.t.Helper()
	data, ok := record.(json.RawMessage)
	if !ok {
		var err error
		if data, err = json.Marshal(record); err != nil {
			c.t.Fatal(err)
		}
	}
	c.seq[lane]++
	n := c.seq[lane]
	return agent.Arrival{Epoch: "e1", Seq: n, Hop: n, Event: station.Event{
		Origin: station.Origin{Node: c.node, Epoch: "e1", Seq: n}, ID: station.NewID(), Type: kind,
		Subject: subject, Lane: lane, Time: c.clock.now(), Data: data,
	}}
}

// tell sends one event, which must be taken in, one way or the other.
func (c *child) tell(lane station.Lane, kind, subject string, record any) {
	c.t.Helper()
	ar := c.arrival(lane, kind, subject, record)
	if m, err := c.Accept(context.Background(), c.node, lane, []agent.Arrival{ar}); err != nil || m.Hop != ar.Hop {
		c.t.Fatalf("%s: %+v %v", kind, m, err)
	}
}

func alarmOf(node station.NodeID, id string) station.Alarm {
	return station.Alarm{ID: id, Node: node, Kind: station.KindSmoke, State: station.StateRaised, Severity: station.SeverityCritical, Sensor: "s", Name: "烟感", Count: 1}
}

// A station speaks for itself. What it says of another station, or of us, is
// not believed: its certificate is not theirs.
func TestAChildSpeaksForItself(t *testing.T) {
	r := newRig(t)
	r.addSensor("own", station.ClassSmoke)
	r.report("own", station.KindSmoke, true)
	own := r.live()[0]
	east, west := r.child("east"), r.child("west")
	west.tell(station.LaneNormal, station.EventSensorChanged, "sensor/s", station.Sensor{ID: "s", Name: "西", Class: station.ClassSmoke})
	west.tell(station.LaneNormal, station.EventCameraChanged, "camera/c", station.Camera{ID: "c", Name: "西"})
	west.tell(station.LaneUrgent, station.EventAlarmRaised, "alarm/w1", alarmOf("west", "w1"))
	west.tell(station.LaneNormal, station.EventClipReady, "clip/k1", station.Clip{ID: "k1", Node: "west", Status: station.ClipReady})
	before := r.store.Head()

	over := alarmOf("west", "w1")
	over.State = station.StateCleared
	east.tell(station.LaneUrgent, station.EventAlarmCleared, "alarm/w1", over)
	over.Node = "east"
	east.tell(station.LaneUrgent, station.EventAlarmCleared, "alarm/w1", over)
	own.State = station.StateCleared
	east.tell(station.LaneUrgent, station.EventAlarmCleared, "alarm/"+own.ID, own)
	east.tell(station.LaneUrgent, station.EventAlarmRaised, "alarm/w2", alarmOf("west", "w2"))
	for _, node := range []station.NodeID{"", "west", "elsewhere"} {
		east.tell(station.LaneNormal, station.EventSensorChanged, "sensor/west.s", station.Sensor{ID: "west.s", Node: node, Name: "东"})
		east.tell(station.LaneNormal, station.EventSensorRemoved, "sensor/west.s", station.Sensor{ID: "west.s", Node: node})
		east.tell(station.LaneNormal, station.EventCameraChanged, "camera/west.c", station.Camera{ID: "west.c", Node: node, Name: "东"})
		east.tell(station.LaneNormal, station.EventCameraRemoved, "camera/west.c", station.Camera{ID: "west.c", Node: node})
		east.tell(station.LaneNormal, station.EventCameraState, "camera/west.c", station.CameraState{Camera: "west.c", Node: node, Status: station.CameraOffline})
		east.tell(station.LaneBulk, station.EventReading, "sensor/west.s", station.SensorState{Sensor: "west.s", Node: node, Offline: true})
	}
	east.tell(station.LaneNormal, station.EventClipReady, "clip/k1", station.Clip{ID: "k1", Node: "east", Status: station.ClipReady})
	if err := r.ClaimClip(context.Background(), "east", "k1"); err == nil {
		t.Error("a station took another's clip over")
	}

	for _, id := range []string{own.ID, "w1"} {
		if v, err := r.Alarm(id); err != nil || v.Alarm.State != station.StateRaised {
			t.Errorf("another station ended %s: %+v %v", id, v.Alarm, err)
		}
	}
	if len(r.live()) != 2 {
		t.Errorf("live: %+v", r.live())
	}
	v, err := r.Alarm("w1")
	if err != nil || v.Sensor == nil || v.Sensor.Sensor.Name != "西" || v.Sensor.State.Offline {
		t.Errorf("another station changed the sensor: %+v %v", v.Sensor, err)
	}
	cameras, err := r.Cameras()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cameras {
		if c.Camera.ID == "west.c" && (c.Camera.Name != "西" || c.State.Status == station.CameraOffline) {
			t.Errorf("another station changed the camera: %+v", c)
		}
	}
	events, err := r.store.Read(before, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range events {
		if strings.Contains(string(ev.Data), `"west.s"`) || strings.Contains(string(ev.Data), `"w1"`) || strings.Contains(string(ev.Data), `"w2"`) {
			t.Errorf("a desk is told what another station said: %s %s", ev.Type, ev.Data)
		}
	}
}

// What lies below a sub-centre keeps the names that the sub-centre gave it.
func TestAGrandchildKeepsItsName(t *testing.T) {
	r := newRig(t)
	sub := r.child("sub")
	sub.tell(station.LaneNormal, station.EventSensorChanged, "sensor/v1.s", station.Sensor{ID: "v1.s", Node: "v1", Name: "村", Class: station.ClassSmoke})
	al := alarmOf("v1", "g1")
	al.Sensor = "v1.s"
	sub.tell(station.LaneUrgent, station.EventAlarmRaised, "alarm/g1", al)
	v, err := r.Alarm("g1")
	if err != nil || v.Alarm.Node != "v1" || v.Sensor == nil || v.Sensor.Sensor.Name != "村" {
		t.Fatalf("%+v %v", v, err)
	}
}

// The subject of an event names the record by the ID that it has here: two
// stations have a sensor "s" each, and a reader must be able to tell them apart.
func TestSubjectsOfChildrenDiffer(t *testing.T) {
	r := newRig(t)
	for _, node := range []station.NodeID{"east", "west"} {
		c := r.child(node)
		c.tell(station.LaneBulk, station.EventReading, "sensor/s", station.SensorState{Sensor: "s"})
		c.tell(station.LaneNormal, station.EventCameraState, "camera/c", station.CameraState{Camera: "c"})
		c.tell(station.LaneNormal, station.EventSensorRemoved, "sensor/s", station.Sensor{ID: "s"})
	}
	events, err := r.store.Read(0, 100)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, ev := range events {
		got[ev.Subject]++
	}
	want := map[string]int{"node/east": 1, "node/west": 1, "sensor/east.s": 2, "sensor/west.s": 2, "camera/east.c": 1, "camera/west.c": 1}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// The own alarms of a node stand beside those of its sensors, whatever these are
// called.
func TestOwnAlarmsHaveTheirPlace(t *testing.T) {
	r := newRig(t)
	r.addSensor("-", station.ClassSmoke)
	r.addSensor("east", station.ClassSmoke)
	for _, sensor := range []string{"", "-", "east"} {
		r.report(sensor, station.KindOffline, true)
	}
	east := r.child("east")
	for _, sensor := range []string{"", "-"} {
		al := alarmOf("east", "e"+sensor)
		al.Kind, al.Sensor = station.KindOffline, sensor
		east.tell(station.LaneUrgent, station.EventAlarmRaised, "alarm/"+al.ID, al)
	}
	if live := r.live(); len(live) != 5 {
		t.Errorf("%d live alarms, want 5: %+v", len(live), live)
	}
}

// What the line lets through must be taken in: a lane that cannot be stored
// stands still for ever.
func TestLargeBatchesAreTakenIn(t *testing.T) {
	r := newRig(t)
	east := r.child("east")
	large := func(id string, size int) agent.Arrival {
		al := alarmOf("east", id)
		al.Values = map[string]station.Value{"text": strings.Repeat("x", size)}
		return east.arrival(station.LaneUrgent, station.EventAlarmRaised, "alarm/"+id, al)
	}
	var batch []agent.Arrival
	for i := range 60 {
		batch = append(batch, large(fmt.Sprint("a", i), 12<<10))
	}
	m, err := r.Accept(context.Background(), "east", station.LaneUrgent, batch)
	if err != nil || m.Hop != 60 {
		t.Fatalf("%+v %v", m, err)
	}
	m, err = r.Accept(context.Background(), "east", station.LaneUrgent, []agent.Arrival{large("huge", 500<<10)})
	if err != nil || m.Hop != 61 {
		t.Fatalf("%+v %v", m, err)
	}
	gap := large("b1", 10)
	gap.Hop++
	if m, err = r.Accept(context.Background(), "east", station.LaneUrgent, []agent.Arrival{gap, large("b2", 10)}); err != nil || m.Hop != 61 {
		t.Fatalf("behind a gap: %+v %v", m, err)
	}
	if m, err = r.Accept(context.Background(), "east", station.LaneUrgent, nil); err != nil || m.Hop != 61 {
		t.Fatalf("nothing: %+v %v", m, err)
	}
}

// An event that makes no sense must not stop us when it goes on to our parent.
func TestSenselessEventGoesOn(t *testing.T) {
	r := newRig(t)
	east := r.child("east")
	east.tell(station.LaneUrgent, station.EventAlarmRaised, "x", json.RawMessage(`"nonsense"`))
	c := store.Cursor{Target: "town", Lane: station.LaneUrgent, Epoch: r.store.Epoch(), Seq: r.store.Head(), Hop: 1}
	if err := r.Advance(context.Background(), c); err != nil {
		t.Fatal(err)
	}
}

// What comes from a station carries both times: its own, as its clock says, and
// ours; and how far its clock is off is noted with the station, once.
func TestBothTimesOfAnEvent(t *testing.T) {
	r := newRig(t)
	c := r.child("east")
	ar := c.arrival(station.LaneUrgent, station.EventAlarmRaised, "alarm/e1", alarmOf("east", "e1"))
	theirs := r.clock.now().Add(-72 * time.Hour)
	ar.Event.Time = theirs
	r.clock.add(time.Minute)
	if _, err := r.Accept(t.Context(), "east", station.LaneUrgent, []agent.Arrival{ar}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.NodeClock(t.Context(), "east", -72*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	events, err := r.store.Read(0, 100)
	if err != nil {
		t.Fatal(err)
	}
	raised, states := 0, 0
	for _, ev := range events {
		switch ev.Type {
		case station.EventAlarmRaised:
			raised++
			if !ev.Time.Equal(theirs) || !ev.Received.Equal(r.clock.now()) {
				t.Errorf("the alarm's times: %s, %s", ev.Time, ev.Received)
			}
		case station.EventNodeState:
			states++
		}
	}
	nodes, err := r.Nodes()
	if err != nil || len(nodes) != 1 || nodes[0].ClockOffset != -72*time.Hour {
		t.Errorf("%+v, %v", nodes, err)
	}
	if raised != 1 || states != 2 {
		t.Errorf("%d alarms, %d states of the station", raised, states)
	}
}

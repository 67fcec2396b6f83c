package agent_test

import (
	"context"
	"encoding/json"
	"testing"

	"stationd/agent"
	"stationd/agent/station"
)

// TestAClipWhoseFilmIsLost: the desk and the centre must not wait for it.
func TestAClipWhoseFilmIsLost(t *testing.T) {
	maker := clipMaker{make: make(chan error, 1)}
	maker.make <- nil
	r := newRig(t, func(_ *agent.Config, d *agent.Deps) { d.Clips = maker })
	r.must(r.do(station.CommandPutCamera, "cam", map[string]any{"id": "cam", "name": "走廊", "url": "rtsp://127.0.0.1/x", "record": true}))
	r.must(r.do(station.CommandPutSensor, "a", station.Sensor{
		ID: "a", Name: "烟感", Class: station.ClassSmoke, Cameras: []string{"cam"},
		Source: station.SensorSource{Broker: "embedded", Family: "json", Topic: "t/a"},
	}))
	r.report("a", station.KindSmoke, true)
	id := r.live()[0].Clip
	more := r.ClipsChanged()
	stop := r.start()
	<-more
	stop()
	if err := r.ClipLost(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	if c, err := r.Clip(id); err != nil || c.Status != station.ClipFailed || c.Cause == "" {
		t.Errorf("%+v %v", c, err)
	}
	if pending, err := r.PendingClips(context.Background()); err != nil || len(pending) != 0 {
		t.Errorf("it still waits to be uploaded: %+v %v", pending, err)
	}
	events, err := r.store.Read(0, 1000, station.LaneNormal)
	if err != nil {
		t.Fatal(err)
	}
	last := events[len(events)-1]
	var told station.Clip
	if err := json.Unmarshal(last.Data, &told); err != nil || last.Type != station.EventClipFailed || told.ID != id {
		t.Errorf("the centre is not told: %s %s", last.Type, last.Data)
	}
}

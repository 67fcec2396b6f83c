package agent_test

import (
	"encoding/json"
	"testing"

	"stationd/agent"
	"stationd/agent/station"
)

// TestAChildsClipThatIsRemoved: a film that will never come must not be waited for,
// and one that is here stays, whatever the child did with its own.
func TestAChildsClipThatIsRemoved(t *testing.T) {
	r := newRig(t)
	seq := uint64(0)
	tell := func(kind string, c station.Clip) {
		t.Helper()
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		seq++
		ar := agent.Arrival{Epoch: "e1", Seq: seq, Hop: seq, Event: station.Event{
			Origin: station.Origin{Node: "east", Epoch: "e1", Seq: seq}, ID: station.NewID(), Type: kind,
			Subject: "clip/" + c.ID, Lane: station.LaneNormal, Time: r.clock.now(), Data: data,
		}}
		if m, err := r.Accept(t.Context(), "east", station.LaneNormal, []agent.Arrival{ar}); err != nil || m.Hop != seq {
			t.Fatal(m, err)
		}
	}
	here := func(id string) station.ClipStatus {
		t.Helper()
		c, err := r.Clip(id)
		if err != nil {
			t.Fatal(err)
		}
		return c.Status
	}
	never, came := station.Clip{ID: "c1", Node: "east", Camera: "gate", Status: station.ClipReady}, station.Clip{ID: "c2", Node: "east", Camera: "gate", Status: station.ClipReady}
	tell(station.EventClipReady, never)
	tell(station.EventClipReady, came)
	if err := r.ClipReceived(t.Context(), "east", "c2"); err != nil {
		t.Fatal(err)
	}
	never.Status, came.Status = station.ClipRemoved, station.ClipRemoved
	tell(station.EventClipRemoved, never)
	tell(station.EventClipRemoved, came)
	if got := here("c1"); got != station.ClipRemoved {
		t.Errorf("a film that will never come is %s", got)
	}
	if got := here("c2"); got != station.ClipReady {
		t.Errorf("the film that is here is %s", got)
	}
}

// TestAClipThatCameBeforeTheStoreWasSetBack: its station does not send it again.
func TestAClipThatCameBeforeTheStoreWasSetBack(t *testing.T) {
	r := newRig(t, func(_ *agent.Config, d *agent.Deps) { d.Clips = holding{id: "here"} })
	east := r.child("east")
	for _, id := range []string{"here", "lost"} {
		clip := station.Clip{ID: id, Node: "east", Camera: "gate", Status: station.ClipReady, Uploaded: r.clock.now()}
		east.tell(station.LaneNormal, station.EventClipReady, "clip/"+id, clip)
		if c, err := r.Clip(id); err != nil || c.Uploaded.IsZero() == (id == "here") {
			t.Errorf("%+v %v", c, err)
		}
	}
}

// holding is an archive that holds one film.
type holding struct {
	clipMaker
	id string
}

func (h holding) HasClip(id string) bool { return id == h.id }

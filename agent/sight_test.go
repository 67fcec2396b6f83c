package agent_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"stationd/agent"
	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

func as(role string) station.Actor { return station.Actor{Account: role, Name: role, Role: role} }

// sightRig is a station with a camera for all, one for the chief alone and one that
// the parent must not know of; an alarm is seen by all three.
func sightRig(t *testing.T) (*rig, station.Alarm) {
	r := newRig(t, func(_ *agent.Config, deps *agent.Deps) { deps.Clips = noClips{} })
	for id, c := range map[string]station.Camera{"gate": {}, "vault": {Roles: []string{account.RoleChief}}, "police": {Owner: station.OwnerPolice, Withheld: true}} {
		c.ID, c.Name, c.URL = id, "相机 "+id, "rtsp://10.0.0.9/"+id
		r.must(r.do(station.CommandPutCamera, id, station.CameraOrder{Camera: c}))
	}
	r.must(r.do(station.CommandPutSensor, "s1", station.Sensor{
		ID: "s1", Name: "烟感", Class: station.ClassSmoke, Cameras: []string{"vault", "gate", "police"},
		Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "json", Topic: "t/s1"},
	}))
	r.report("s1", station.KindSmoke, true)
	return r, r.live()[0]
}

// noClips keeps clips ordered and never cuts one.
type noClips struct{}

func (noClips) Clip(ctx context.Context, c station.Clip) (station.Clip, error) {
	<-ctx.Done()
	return c, ctx.Err()
}
func (noClips) HasClip(string) bool     { return false }
func (noClips) RemoveClip(string) error { return station.ErrNotFound }

// What a role may not see is not in any answer, and an alarm says that there is something.
func TestUnseenCamerasAreLeftOut(t *testing.T) {
	r, al := sightRig(t)
	for role, want := range map[string]string{account.RoleOperator: "gate police", account.RoleChief: "gate police vault", account.RoleAdmin: "gate police vault", account.RoleDisplay: "gate police"} {
		var cameras struct{ Cameras []agent.CameraView }
		if p := r.call(as(role), "GET", "/api/v1/cameras", nil, &cameras); p != nil {
			t.Fatal(p)
		}
		var ids []string
		for _, c := range cameras.Cameras {
			ids = append(ids, c.Camera.ID)
		}
		slices.Sort(ids)
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s sees %q", role, got)
		}
		sees := strings.Contains(want, "vault")
		check := func(where string, al station.Alarm) {
			t.Helper()
			if slices.Contains(al.Cameras, "vault") != sees || (al.Unseen == 0) != sees || (al.Clip != "") != sees {
				t.Errorf("%s in %s: %v, %d unseen, clip %q", role, where, al.Cameras, al.Unseen, al.Clip)
			}
		}
		var view agent.AlarmView
		if p := r.call(as(role), "GET", "/api/v1/alarms/"+al.ID, nil, &view); p != nil {
			t.Fatal(p)
		}
		check("the alarm", view.Alarm)
		if (view.Clip != nil) != sees || len(view.Cameras) != len(view.Alarm.Cameras) {
			t.Errorf("%s gets the clip %v and %d cameras", role, view.Clip, len(view.Cameras))
		}
		for _, query := range []string{"", "?live=1", "?live=1&hidden=1"} {
			var page agent.AlarmPage
			if p := r.call(as(role), "GET", "/api/v1/alarms"+query, nil, &page); p != nil {
				t.Fatal(p)
			}
			check("the list "+query, page.Alarms[0])
		}
		var reply struct{ Alarm station.Alarm }
		if p := r.call(as(role), "POST", "/api/v1/alarms/"+al.ID+"/answers", station.AnswerOrder{Kind: station.AnswerReceived}, &reply); p != nil {
			t.Fatal(p)
		}
		check("the answer's reply", reply.Alarm)
	}
}

// The stream of events shows what the lists show; what is taken from somebody is
// gone from their screen.
func TestUnseenCamerasInEvents(t *testing.T) {
	r, _ := sightRig(t)
	if err := r.HandleCameraState(context.Background(), station.CameraState{Camera: "vault", Status: station.CameraOffline}); err != nil {
		t.Fatal(err)
	}
	told := func(actor station.Actor) string {
		events, err := r.store.Read(0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for _, ev := range events {
			ev, shown, err := r.EventFor(actor, ev)
			if err != nil {
				t.Fatal(err)
			}
			if shown && ev.Type != station.EventSensorChanged { // a sensor's settings name their cameras
				out.WriteString(ev.Type + string(ev.Data) + "\n")
			}
		}
		return out.String()
	}
	operator, chief := told(as(account.RoleOperator)), told(as(account.RoleChief))
	for _, secret := range []string{"相机 vault", `"camera":"vault"`, `"cameras":["vault"`} {
		if strings.Contains(operator, secret) || !strings.Contains(chief, secret) {
			t.Errorf("%s: told to the operator %v, to the chief %v", secret, strings.Contains(operator, secret), strings.Contains(chief, secret))
		}
	}
	if !strings.Contains(operator, `"unseen":1`) || !strings.Contains(operator, station.EventCameraRemoved+`{"id":"vault"`) {
		t.Errorf("the operator is told\n%s", operator)
	}
}

// What the parent may not know does not go up, whatever kind of event it is in, and
// nothing is missing in the count.
func TestWithheldCamerasStayHere(t *testing.T) {
	r, _ := sightRig(t)
	ctx := context.Background()
	if err := r.HandleCameraState(ctx, station.CameraState{Camera: "police", Status: station.CameraOffline}); err != nil {
		t.Fatal(err)
	}
	events, err := r.store.Read(0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	clip := station.Clip{ID: "k1", Node: "village-1", Camera: "police", Status: station.ClipReady}
	if err := r.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error { return store.Put(tx, "clip/k1", clip) }); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(clip)
	if err != nil {
		t.Fatal(err)
	}
	events = append(events, station.Event{Seq: 9999, Type: station.EventClipReady, Subject: "clip/k1", Data: raw})
	removed := 0
	for _, ev := range events {
		up, err := r.EventUp(ev)
		if err != nil {
			t.Fatal(err)
		}
		if up.Seq != ev.Seq || up.Subject != ev.Subject {
			t.Errorf("%s goes as %s", ev.Subject, up.Subject)
		}
		text := string(up.Data)
		if up.Type != station.EventSensorChanged && (strings.Contains(text, "相机 police") || strings.Contains(text, `"camera":"police"`) || strings.Contains(text, `"cameras":["vault","gate","police"]`)) {
			t.Errorf("%s tells %s", up.Type, text)
		}
		switch {
		case up.Type == station.EventCameraRemoved && ev.Subject == "camera/police":
			removed++
		case ev.Type == station.EventAlarmRaised && !strings.Contains(text, `"cameras":["vault","gate"]`):
			t.Errorf("the alarm goes as %s", text)
		case ev.Subject == "clip/k1" && up.Type != station.EventClipFailed:
			t.Errorf("the clip goes as %s", up.Type)
		}
	}
	if removed != 2 {
		t.Errorf("%d events of the withheld camera remove it", removed)
	}
	if p, _ := station.AsProblem(r.Authorize(station.Actor{Account: "node:parent", Role: account.RoleNode}, station.PermNode, "camera/police")); p == nil || p.Code != "camera.restricted" {
		t.Errorf("the parent calls it up: %v", p)
	}
	if err := r.Authorize(station.Actor{Account: "node:parent", Role: account.RoleNode}, station.PermNode, "camera/vault"); err != nil {
		t.Errorf("which role may see a camera is for each node to apply: %v", err)
	}
}

// Who sets cameras up does not decide who may see them, not even by removing one
// and setting it up again.
func TestOnlyWhoManagesAccountsDecidesWhoSees(t *testing.T) {
	r, _ := sightRig(t)
	installer := as(account.RoleInstaller)
	put := func(who station.Actor, c station.Camera) station.Receipt {
		c.Name, c.URL = "机房", "rtsp://10.0.0.9/x"
		return r.doAs(who, station.NewID(), station.CommandPutCamera, c.ID, station.CameraOrder{Camera: c})
	}
	r.refused(put(installer, station.Camera{ID: "vault"}), "camera.restricted", "camera/vault")
	r.refused(put(installer, station.Camera{ID: "gate", Withheld: true}), "camera.roles", "roles") // it was open: closing it further is a change too
	r.must(put(installer, station.Camera{ID: "new", Roles: []string{account.RoleInstaller, account.RoleChief}}))
	r.refused(put(installer, station.Camera{ID: "new"}), "camera.roles", "roles")
	r.refused(put(admin, station.Camera{ID: "new", Roles: []string{"guest"}}), "setup.invalid", "roles")
	r.must(r.doAs(installer, station.NewID(), station.CommandRemoveCamera, "new", nil))
	r.refused(put(installer, station.Camera{ID: "new"}), "camera.roles", "roles")
	if p, _ := station.AsProblem(r.Authorize(as(account.RoleOperator), station.PermVideo, "camera/new")); p == nil || p.Code != "camera.restricted" {
		t.Errorf("what the camera has recorded is open when it is gone: %v", p)
	}
	r.must(put(admin, station.Camera{ID: "new"}))
	if err := r.Authorize(as(account.RoleOperator), station.PermVideo, "camera/new"); err != nil {
		t.Error(err)
	}
}

// What nobody has thought of is closed.
func TestUnknownKindsOfResourceAreClosed(t *testing.T) {
	r := newRig(t, func(_ *agent.Config, deps *agent.Deps) {
		deps.CameraOf = map[string]func(string) string{"viewing": func(id string) string { return "gate" }}
	})
	r.must(r.do(station.CommandPutCamera, "gate", station.CameraOrder{Camera: station.Camera{ID: "gate", Name: "门", URL: "rtsp://10.0.0.9/x", Roles: []string{account.RoleChief}}}))
	for resource, want := range map[string]string{"viewing/1": "camera.restricted", "film/1": "access.undeclared", "sensor/1": "", "": ""} {
		p, _ := station.AsProblem(r.Authorize(as(account.RoleOperator), station.PermWatch, resource))
		if got := ""; p != nil {
			if got = p.Code; got != want {
				t.Errorf("%q: %s", resource, got)
			}
		} else if want != "" {
			t.Errorf("%q is open", resource)
		}
	}
}

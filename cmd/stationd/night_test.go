//go:build linux

package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"stationd/agent/station"
)

// switchboard receives webhooks, each contact's on a path of its own. A message
// that comes twice has the same key.
type switchboard struct {
	*httptest.Server

	mu    sync.Mutex
	calls map[string]map[string]time.Time // by contact and key: when it came first
	again int
}

func openSwitchboard(t *testing.T) *switchboard {
	s := &switchboard{calls: map[string]map[string]time.Time{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Key, Type string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Type != "alarm" {
			t.Errorf("a webhook of type %q: %v", body.Type, err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		who := path.Base(r.URL.Path)
		if s.calls[who] == nil {
			s.calls[who] = map[string]time.Time{}
		}
		if _, known := s.calls[who][body.Key]; known {
			s.again++
			return
		}
		s.calls[who][body.Key] = time.Now()
	}))
	t.Cleanup(s.Close)
	return s
}

// of lists when a contact was told of something new.
func (s *switchboard) of(who string) []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.calls[who]), time.Time.Compare)
}

// TestNight: an alarm that nobody answers goes to the first contact, to the next
// and to the parent, once each and none too early, while the station is killed
// again and again. The parent is away at first. One that is answered in between
// goes no further.
func TestNight(t *testing.T) {
	t.Parallel()
	broker := freePort(t)
	centre, village := newPair(t, filepath.Join(t.TempDir(), "station"), fmt.Sprintf(`
log: {level: warn}
devices: {broker: {listen: %q}}
record: {min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
`, broker))
	for _, n := range []*node{centre, village} {
		n.start()
		n.claim()
	}
	telephones := openSwitchboard(t)
	const deskWaits, contactWaits = 3 * time.Second, 10 * time.Second
	village.put("/api/v1/hours", station.Duty{Escalate: []station.Severity{station.SeverityCritical}, DeskSeconds: int(deskWaits.Seconds()), ParentSeconds: 10}, nil)
	contacts := []string{"first", "second"}
	for i, who := range contacts {
		village.put("/api/v1/channels/"+who, station.ChannelOrder{Channel: station.Channel{Name: who, Kind: station.ChannelWebhook, URL: telephones.URL + "/" + who}}, nil)
		village.put("/api/v1/contacts/"+who, station.Contact{Name: who, Order: i, WaitSeconds: int(contactWaits.Seconds()), Channels: []station.Way{{Channel: who}}}, nil)
	}
	for _, id := range []string{"kitchen", "stairs"} {
		village.put("/api/v1/sensors/"+id, station.Sensor{
			Name: id, Place: "3号楼", Class: station.ClassSmoke,
			Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "json", Topic: "smoke/" + id, Fields: map[string]string{"smoke": "smoke"}},
		}, nil)
	}
	var account station.DeviceCredential
	village.put("/api/v1/devices/smokes", nil, &account)
	if code, _ := centre.stop(syscall.SIGTERM, 10*time.Second); code != 0 {
		t.Errorf("the centre: exit code %d", code)
	}

	detectors := newCaller(t.Context(), &publisher{address: broker, client: "detectors", user: account.Username, password: account.Password, window: 1})
	began := time.Now()
	for _, id := range []string{"kitchen", "stairs"} {
		detectors.call(t, "smoke/"+id, `{"smoke":true}`)
	}
	detectors.close()
	alarms := map[string]string{}
	for _, a := range village.live() {
		alarms[a.Sensor] = a.ID
	}
	response := func(id string) (r station.Response) {
		village.get("/api/v1/alarms/"+alarms[id]+"/response", &r)
		return r
	}
	handed := func() error {
		for _, row := range response("kitchen").Tellings {
			if row.Kind == station.TellingParent {
				if row.State == "delivered" {
					return nil
				}
				return errors.New("the parent was told and has not confirmed")
			}
		}
		return errors.New("the parent was not told")
	}
	kills := 0
	answered := false
	eventually(t, 3*time.Minute, "the parent has the alarm", func() error {
		if !answered && len(telephones.of("first")) == 2 {
			village.must(http.MethodPost, "/api/v1/alarms/"+alarms["stairs"]+"/answers", station.AnswerOrder{Kind: station.AnswerReceived}, nil)
			answered = true
		}
		if !centre.running() && response("kitchen").Parent {
			centre.start()
		}
		err := handed()
		if err == nil {
			return nil
		}
		time.Sleep(rand.N(time.Second))
		village.kill()
		kills++
		village.start()
		return err
	})
	// Nothing comes after it, whatever happens to the process.
	village.kill()
	village.start()
	time.Sleep(contactWaits + deskWaits)

	resp := response("kitchen")
	if len(resp.Tellings) != 3 || !resp.Parent || resp.Closed || resp.Step != 2 || resp.Next != "" {
		t.Errorf("nobody answered in the kitchen: %+v", resp)
	}
	if resp := response("stairs"); !answered || len(resp.Tellings) != 1 || resp.Parent || resp.Stopped != "answered" {
		t.Errorf("somebody answered at the stairs: %+v", resp)
	}
	for i, want := range []int{2, 1} {
		came := telephones.of(contacts[i])
		if len(came) != want {
			t.Errorf("the %s contact was told %d times, want %d", contacts[i], len(came), want)
		}
		for _, at := range came {
			if earliest := began.Add(deskWaits + time.Duration(i)*contactWaits); at.Before(earliest) {
				t.Errorf("the %s contact was told %v too early", contacts[i], earliest.Sub(at))
			}
		}
	}
	var atCentre station.Response
	eventually(t, 30*time.Second, "the centre knows that it is its own", func() error {
		if err := centre.try(http.MethodGet, "/api/v1/alarms/"+alarms["kitchen"]+"/response", nil, &atCentre); err != nil {
			return err
		}
		if !atCentre.Parent {
			return fmt.Errorf("%+v", atCentre)
		}
		return nil
	})
	parents := map[string]bool{}
	for _, ev := range centre.journal() {
		if ev.Type != station.EventResponse || ev.Subject != "alarm/"+alarms["kitchen"] {
			continue
		}
		var r station.Response
		if err := json.Unmarshal(ev.Data, &r); err != nil {
			t.Fatal(err)
		}
		for _, row := range r.Tellings {
			if row.Kind == station.TellingParent {
				parents[row.ID] = true
			}
		}
	}
	if len(parents) != 1 {
		t.Errorf("the centre was handed the alarm %d times", len(parents))
	}
	t.Logf("%d kills during the night; first contact after %v, second after %v; %d messages came twice, under the same key",
		kills, telephones.of("first")[0].Sub(began).Round(time.Millisecond), telephones.of("second")[0].Sub(began).Round(time.Millisecond), telephones.again)
}

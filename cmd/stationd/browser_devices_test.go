//go:build linux

package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/devices/devicestest"
)

// TestBrowserDevices is an installer and a duty officer at a real station, from a
// device that turns up by itself to its answered alarm, in a browser that
// e2e/devices.mjs drives. The devices speak to the station's own broker, each in
// the words of its family.
func TestBrowserDevices(t *testing.T) {
	s := openEstateStage(t)
	control := httptest.NewServer(s.routes())
	defer control.Close()
	browse(t, "e2e/devices.mjs", "STATIOND_RIG="+control.URL)
}

// estateStage is a station and one device of each family that the script meets.
type estateStage struct {
	t      *testing.T
	node   *node
	broker string
	units  []*devicestest.Unit

	mu    sync.Mutex
	line  *caller // nil until the script has an account for it
	said  map[string]int
	heard []string // what the outside system was told
}

// met are the families of the devices that turn up, with the class of each.
var met = map[string]string{
	"zigbee2mqtt": station.ClassSmoke, "chirpstack": station.ClassManhole, "shelly": station.ClassGas, "tasmota": station.ClassTemperature, "esphome": station.ClassWater,
}

func openEstateStage(t *testing.T) *estateStage {
	t.Helper()
	s := &estateStage{t: t, broker: freePort(t), said: map[string]int{}}
	found := map[string]bool{}
	for _, u := range devicestest.NewEstate(7, 500, station.EmbeddedBroker).Units {
		family := u.Sensor.Source.Family
		if met[family] == u.Sensor.Class && !found[family] {
			found[family] = true
			s.units = append(s.units, u)
		}
	}
	if len(s.units) != len(met) {
		t.Fatalf("the estate has %d of the families %v", len(s.units), met)
	}
	s.node = newNode(t, "village-1", filepath.Join(t.TempDir(), "station"), fmt.Sprintf(`
station: {name: 示范村工作站, alarms: {chatter_quiet: 2s}}
devices: {broker: {listen: %q}}
video: {peer: {udp_listen: "127.0.0.1:0", tcp_listen: "127.0.0.1:0"}}
record: {min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
`, s.broker))
	s.node.start()
	return s
}

// routes let the script do what is not done in a browser.
func (s *estateStage) routes() http.Handler {
	type unit struct {
		ID     string `json:"id"`
		Family string `json:"family"`
		Class  string `json:"class"`
	}
	var units []unit
	for _, u := range s.units {
		units = append(units, unit{u.Sensor.ID, u.Sensor.Source.Family, u.Sensor.Class})
	}
	facts := map[string]any{"station": claimable(s.t, s.node), "units": units}

	mux := http.NewServeMux()
	serve := func(pattern string, do func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			reply, err := do(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			_ = json.NewEncoder(w).Encode(reply) // a script that has gone needs none
		})
	}
	serve("GET /{$}", func(*http.Request) (any, error) { return facts, nil })
	serve("POST /line", s.openLine)
	serve("POST /say/{unit}", s.say)
	serve("POST /system", func(r *http.Request) (any, error) {
		text, err := io.ReadAll(r.Body)
		s.mu.Lock()
		s.heard = append(s.heard, string(text))
		s.mu.Unlock()
		return nil, err
	})
	serve("GET /system", func(*http.Request) (any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.Clone(s.heard), nil
	})
	return mux
}

// openLine connects the devices with the account that the script made.
func (s *estateStage) openLine(r *http.Request) (any, error) {
	var account struct {
		Username string
		Password string
	}
	if err := json.NewDecoder(r.Body).Decode(&account); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	line := newCaller(ctx, &publisher{address: s.broker, client: "estate", user: account.Username, password: account.Password, window: 1})
	s.t.Cleanup(func() {
		cancel()
		line.close()
	})
	s.mu.Lock()
	s.line = line
	s.mu.Unlock()
	return nil, nil
}

// say lets a unit speak and returns when all of it is acknowledged; "alarm" and
// "value" of the query are its moment.
func (s *estateStage) say(r *http.Request) (any, error) {
	i := slices.IndexFunc(s.units, func(u *devicestest.Unit) bool { return u.Sensor.ID == r.PathValue("unit") })
	s.mu.Lock()
	defer s.mu.Unlock()
	if i < 0 || s.line == nil {
		return nil, errors.New("there is no such unit, or no line yet")
	}
	u := s.units[i]
	s.said[u.Sensor.ID]++
	m := devicestest.Moment{At: time.Now(), Alarm: r.URL.Query().Get("alarm") != "", Battery: 87, Serial: s.said[u.Sensor.ID]}
	m.Value, _ = strconv.ParseFloat(r.URL.Query().Get("value"), 64) // none is zero
	for _, o := range u.Say(m) {
		acked := make(chan struct{})
		select {
		case s.line.feed <- &publication{topic: o.Topic, payload: o.Payload, acked: func() { close(acked) }}:
		case <-time.After(30 * time.Second):
			return nil, errors.New("the broker does not let the devices in")
		}
		select {
		case <-acked:
		case <-time.After(30 * time.Second):
			return nil, fmt.Errorf("%s was not acknowledged", o.Topic)
		}
	}
	return map[string]int64{"publishedAt": m.At.UnixMilli()}, nil
}

//go:build linux

package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"stationd/agent/station"
)

// TestBrowserStorm is a desk in a browser while 500 sensors say twice what the
// station can take in: e2e/storm.mjs works at it and measures how long each key
// and each press takes until the screen shows what came of it.
func TestBrowserStorm(t *testing.T) {
	lasts, sustain := 15*time.Second, 3*time.Second
	if long() {
		lasts, sustain = time.Minute, 10*time.Second
	}
	broker := freePort(t)
	n := newNode(t, "village-1", filepath.Join(t.TempDir(), "station"), fmt.Sprintf(`
station: {name: 示范村工作站}
log: {level: warn}
devices: {broker: {listen: %q}}
video: {peer: {udp_listen: "127.0.0.1:0", tcp_listen: "127.0.0.1:0"}}
record: {min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
`, broker))
	n.start()
	n.claim()
	var account station.DeviceCredential
	n.put("/api/v1/devices/storm", nil, &account)
	const bridges, each, smokes = 25, 20, 1
	furnish(n.desk, bridges, each, smokes)
	login := func(client string, window int) *publisher {
		return &publisher{address: broker, client: client, user: account.Username, password: account.Password, window: window}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	eventually(t, 20*time.Second, "the sensors are let in", func() error {
		feed := make(chan *publication)
		close(feed)
		return login("probe", 1).session(ctx, feed)
	})
	crowd := newCrowd(ctx, bridges, each, login)
	sustained := crowd.drive(sustain, 0)

	over := make(chan struct{})
	var inStorm float64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"station": stageNode{Name: "示范村工作站", URL: n.base}})
	})
	mux.HandleFunc("POST /storm", func(http.ResponseWriter, *http.Request) {
		go func() {
			defer close(over)
			inStorm = crowd.drive(lasts, 2*sustained)
		}()
	})
	mux.HandleFunc("GET /storm", func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-over:
			fmt.Fprint(w, "false")
		default:
			fmt.Fprint(w, "true")
		}
	})
	smoke := newCaller(ctx, login("smoke", 1))
	mux.HandleFunc("POST /smoke", func(w http.ResponseWriter, r *http.Request) {
		acked := make(chan struct{})
		m := &publication{topic: "smoke/smoke-0", payload: []byte(`{"smoke":true}`), acked: func() { close(acked) }}
		gone := r.Context().Done()
		select {
		case smoke.feed <- m:
			select {
			case <-acked:
				return
			case <-gone:
			}
		case <-gone:
		}
		http.Error(w, "the smoke detector is not heard", http.StatusInternalServerError)
	})
	control := httptest.NewServer(mux)
	defer control.Close()
	browse(t, "e2e/storm.mjs", "STATIOND_RIG="+control.URL)
	select {
	case <-over:
	case <-time.After(lasts + time.Minute):
		t.Fatal("the storm does not end")
	}
	smoke.close()
	crowd.close(t)
	t.Logf("sustained %.0f readings/s; offered %.0f/s for %v, taken in %.0f/s", sustained, 2*sustained, lasts, inStorm)
}

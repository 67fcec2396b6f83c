//go:build linux

package main_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"stationd/devices/onvif/onviftest"
	"stationd/video/videotest"
)

// TestBrowserCameras is an installer who sets cameras up in a browser that
// e2e/cameras.mjs drives: found on the network, described, probed, seen live and
// turned; a recorder's channels; a table of cameras.
func TestBrowserCameras(t *testing.T) {
	films, err := videotest.Start(videotest.Config{Paths: map[string]string{"main": "gate", "sub": "corridor"}, Username: "admin", Password: "right-horse"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(films.Close)
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	camera := onviftest.New(films.URL("main"), films.URL("sub"))
	recorder := onviftest.NewRecorder(8, func(_ int, sub bool) string {
		if sub {
			return films.URL("sub")
		}
		return films.URL("main")
	})
	for _, d := range []*onviftest.Device{camera, recorder} {
		d.Start()
		t.Cleanup(d.Close)
		if err := d.Answer(lo); err != nil {
			t.Fatal(err)
		}
	}
	// It tells the address that it has in its own network.
	camera.Set(onviftest.Quirks{Host: "192.168.1.64"})

	n := newNode(t, "village-1", filepath.Join(t.TempDir(), "station"), `
station: {name: 示范村工作站}
onvif: {interface: lo, discover_for: 1500ms}
video: {peer: {udp_listen: "127.0.0.1:0", tcp_listen: "127.0.0.1:0"}}
record: {min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
devices: {broker: {listen: "127.0.0.1:0"}}
`)
	n.start()
	facts := map[string]any{"station": claimable(t, n), "recorder": recorder.URL(), "rtsp": films.Addr().String()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(facts) }) // a script that has gone needs none
	mux.HandleFunc("GET /head", func(w http.ResponseWriter, _ *http.Request) {
		at, v, moves, stops := camera.Head()
		_ = json.NewEncoder(w).Encode(map[string]any{"pan": at.Pan, "turning": v != (onviftest.Position{}), "moves": moves, "stops": stops, "gotos": camera.Calls("GotoPreset")})
	})
	mux.HandleFunc("POST /motion/{on}", func(_ http.ResponseWriter, r *http.Request) {
		camera.Emit(onviftest.Event{Topic: "tns1:RuleEngine/CellMotionDetector/Motion", Source: "VideoSourceConfigurationToken", Of: "cfg-src0", Item: "IsMotion", Value: fmt.Sprint(r.PathValue("on") == "on")})
	})
	control := httptest.NewServer(mux)
	defer control.Close()
	browse(t, "e2e/cameras.mjs", "STATIOND_RIG="+control.URL)
}

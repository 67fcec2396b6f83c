//go:build linux

package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"stationd/video/videotest"
)

// TestBrowserWithoutVideoPort is an officer whose browser reaches the console and
// not the video port: the picture comes over a WebSocket, the page says so and
// why, in a browser that e2e/live.mjs drives.
func TestBrowserWithoutVideoPort(t *testing.T) {
	cameras, err := videotest.Start(videotest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer cameras.Close()
	// The address is one of documentation: nobody has it (RFC 5737).
	n := newNode(t, "village-1", filepath.Join(t.TempDir(), "station"), `
station: {name: 示范村工作站}
devices: {broker: {listen: "127.0.0.1:0"}}
video: {peer: {udp_listen: "127.0.0.1:0", tcp_listen: "127.0.0.1:0", advertise: ["192.0.2.1"]}}
record: {min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
`)
	n.start()
	facts := map[string]any{"station": claimable(t, n), "camera": cameras.URL("gate")}
	sounds := map[string]string{}
	for _, codec := range []string{"AAC", "OPUS", "PCMA"} {
		sounds[codec] = videotest.StartGStreamer(t, videotest.GStreamerConfig{Sound: codec}).URL()
	}
	facts["sounds"] = sounds
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(facts) })
	mux.HandleFunc("POST /cut", func(http.ResponseWriter, *http.Request) { cameras.Cut("gate") })
	mux.HandleFunc("POST /restore", func(w http.ResponseWriter, _ *http.Request) {
		if err := cameras.Restore("gate"); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	control := httptest.NewServer(mux)
	defer control.Close()
	browse(t, "e2e/live.mjs", "STATIOND_RIG="+control.URL)
}

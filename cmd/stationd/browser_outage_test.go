//go:build linux

package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"stationd/video/videotest"
)

// TestBrowserOutages is an officer who looks at a camera that is recorded while it is
// cut, hangs, and starts again as another one with its clock ten years behind: the
// page's one connection stays, the pictures go on, and so does the record, with a
// gap that says why. A real browser is driven by e2e/outages.mjs.
func TestBrowserOutages(t *testing.T) {
	cameras, err := videotest.Start(videotest.Config{KeyOnPlay: true})
	if err != nil {
		t.Fatal(err)
	}
	defer cameras.Close()
	n := newNode(t, "village-1", t.TempDir(), `
station: {name: 示范村工作站}
devices: {broker: {listen: ""}}
video: {peer: {udp_listen: "127.0.0.1:0", tcp_listen: "127.0.0.1:0"}}
record: {volume_size: 64MiB, max_bytes: 512MiB, min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
`)
	n.start()
	facts := map[string]any{"station": claimable(t, n), "camera": cameras.URL("gate")}
	other := drawFilm(t, "other", "480x272", "200k")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(facts) })
	// Each deed answers with when it was done.
	for what, do := range map[string]func(string) error{
		"cut":     func(path string) error { cameras.Cut(path); return nil },
		"hang":    func(path string) error { cameras.Hang(path); return nil },
		"restore": cameras.Restore,
		"reboot":  func(path string) error { return cameras.Reboot(path, other, -10*365*24*time.Hour) },
	} {
		mux.HandleFunc("POST /"+what+"/{camera}", func(w http.ResponseWriter, r *http.Request) {
			if err := do(r.PathValue("camera")); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]int64{"at": time.Now().UnixMilli()})
		})
	}
	control := httptest.NewServer(mux)
	defer control.Close()
	browse(t, "e2e/outages.mjs", "STATIOND_RIG="+control.URL)
}

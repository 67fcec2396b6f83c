//go:build linux

package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"stationd/video/record/recordtest"
)

// TestBrowserMonth is an officer who looks for moments all over a month of sixteen
// cameras, in a picture of 1920 by 1080 at 2 Mbit/s: from the click to the first
// decoded picture, as e2e/month.mjs measures it in a browser.
func TestBrowserMonth(t *testing.T) {
	data := filepath.Join(t.TempDir(), "station")
	m := recordtest.Month{
		Begin: time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -30), Days: 30, Cameras: 16,
		Film: drawFilm(t, "large", "1920x1080", "2M"), Length: 12 * time.Second,
	}
	if err := m.Write(filepath.Join(data, "video")); err != nil {
		t.Fatal(err)
	}
	n := newNode(t, "village-1", data, `
station: {name: 示范村工作站}
devices: {broker: {listen: ""}}
video: {peer: {udp_listen: "127.0.0.1:0", tcp_listen: "127.0.0.1:0"}}
record: {volume_size: 8MiB, max_bytes: 60TiB, min_free: 512MiB, clips_min_free: 128MiB, scrub_rate: 0}
store: {space: {low: 512MiB}}
`)
	n.start()
	facts := map[string]any{"station": claimable(t, n), "cameras": m.Cameras, "length": m.Length.Seconds()}
	var noons []time.Time
	for day := range m.Days {
		noons = append(noons, m.Noon(day))
	}
	facts["noons"] = noons
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(facts) })
	control := httptest.NewServer(mux)
	defer control.Close()
	browse(t, "e2e/month.mjs", "STATIOND_RIG="+control.URL)
}

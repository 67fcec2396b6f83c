//go:build linux

package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestBrowserEnrol is an administrator of a centre who makes a code, and an installer
// who types it at a station, in a browser that e2e/enrol.mjs drives.
func TestBrowserEnrol(t *testing.T) {
	centre, box := enrolCentre(t), enrolBox(t, "box")
	centre.start()
	box.start()
	facts := map[string]any{"centre": claimable(t, centre), "station": claimable(t, box)}
	control := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(facts) // a script that has gone needs none
	}))
	defer control.Close()
	browse(t, "e2e/enrol.mjs", "STATIOND_RIG="+control.URL)
}

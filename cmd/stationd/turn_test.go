//go:build linux

package main_test

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/devices/onvif/onviftest"
	"stationd/video/videotest"
)

// onvifCamera is a camera with a film of its own that speaks ONVIF; admin's password is
// right-horse.
func onvifCamera(t *testing.T) (*videotest.Server, *onviftest.Device) {
	t.Helper()
	films, err := videotest.Start(videotest.Config{Paths: map[string]string{"main": "gate"}, Username: "admin", Password: "right-horse"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(films.Close)
	camera := onviftest.New(films.URL("main"), films.URL("main"))
	camera.Start()
	t.Cleanup(camera.Close)
	return films, camera
}

// A centre turns a station's camera: it turns while the order is renewed and stops by
// itself when it is not, also when the line is gone; places are listed and gone to;
// what is withheld stays still; both sides have it in their audit.
func TestACentreTurnsAStationsCamera(t *testing.T) {
	films, camera := onvifCamera(t)
	centre, village := newPair(t, filepath.Join(t.TempDir(), "station"), `
devices: {broker: {listen: ""}}
record: {min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
`)
	for _, n := range []*node{centre, village} {
		n.start()
		n.claim()
	}
	dome := map[string]any{"name": "南门球机", "url": films.URL("main"), "username": "admin", "password": "right-horse", "record": false, "onvif": camera.URL()}
	village.must(http.MethodPut, "/api/v1/cameras/dome", dome, nil)
	var kept station.CameraPreset
	eventually(t, 20*time.Second, "the camera is spoken to, and keeps a place", func() error {
		return village.try(http.MethodPost, "/api/v1/cameras/dome/presets", map[string]string{"name": "街面"}, &kept)
	})
	const path = "/api/v1/cameras/village-1.dome/"
	var head station.TurnReport
	eventually(t, time.Minute, "the centre knows the camera's places", func() error { return centre.try(http.MethodGet, path+"ptz", nil, &head) })
	if len(head.Presets) != 1 || head.Presets[0] != kept {
		t.Errorf("it knows %+v, the station %+v", head, kept)
	}
	turning := func() bool { _, v, _, _ := camera.Head(); return v != onviftest.Position{} }
	for range 4 {
		centre.must(http.MethodPost, path+"ptz", map[string]float64{"pan": 0.5}, nil)
		if !turning() {
			t.Fatal("it does not turn")
		}
		time.Sleep(300 * time.Millisecond) // as a finger rests on the button
	}
	still := func() error {
		if turning() {
			return errors.New("it turns")
		}
		return nil
	}
	eventually(t, 3*time.Second, "it stands still when no further order comes", still)
	centre.must(http.MethodPost, path+"presets/"+kept.Token, nil, nil)

	// The station's officer holds it: the centre is told who.
	village.must(http.MethodPost, "/api/v1/cameras/dome/ptz", map[string]float64{"tilt": 0.2}, nil)
	if status, text, _ := centre.do(http.MethodPost, path+"ptz", map[string]float64{"pan": 0.5}, nil); status != http.StatusConflict || !strings.Contains(string(text), "信息员甲") {
		t.Errorf("held by another: %d %s", status, text)
	}
	eventually(t, 3*time.Second, "it stands still again", still)
	if status, text, _ := centre.do(http.MethodPost, path+"ptz", map[string]float64{"pan": 5}, nil); status != http.StatusBadRequest {
		t.Errorf("too fast: %d %s", status, text)
	}
	for n, subject := range map[*node]string{centre: "camera/village-1.dome", village: "camera/dome"} {
		var audit struct{ Rows []station.Audit }
		n.get("/api/v1/audit?limit=200", &audit)
		count := map[string]int{}
		for _, r := range audit.Rows {
			if r.Subject == subject && r.Result == "ok" && (n == centre || r.Actor.Account == "node:parent" && strings.Contains(r.Actor.Name, "信息员甲")) {
				count[r.Action]++
			}
		}
		if count["camera.move"] != 1 || count["camera.preset.goto"] != 1 {
			t.Errorf("%s has in its audit %v", n.id, count)
		}
	}

	// The line breaks while it turns.
	centre.must(http.MethodPost, path+"ptz", map[string]float64{"zoom": 0.5}, nil)
	centre.kill()
	eventually(t, 3*time.Second, "it stands still though the centre is gone", still)
	centre.start()
	eventually(t, time.Minute, "the line is up", func() error { return centre.try(http.MethodGet, path+"ptz", nil, nil) })

	dome["withheld"] = true
	village.must(http.MethodPut, "/api/v1/cameras/dome", dome, nil)
	eventually(t, 20*time.Second, "what is withheld is not turned", func() error {
		status, text, err := centre.do(http.MethodPost, path+"ptz", map[string]float64{"pan": 0.5}, nil)
		if err != nil {
			return err
		}
		if status/100 == 2 {
			return fmt.Errorf("%d %s", status, text)
		}
		return nil
	})
	dome["withheld"] = false
	village.must(http.MethodPut, "/api/v1/cameras/dome", dome, nil)
	eventually(t, 20*time.Second, "it is to be seen again", func() error { return centre.try(http.MethodGet, path+"ptz", nil, nil) })
	village.kill()
	began := time.Now()
	if status, text, _ := centre.do(http.MethodPost, path+"ptz", map[string]float64{"pan": 0.5}, nil); status != http.StatusGatewayTimeout || time.Since(began) > 8*time.Second {
		t.Errorf("a station that is away: %d after %v: %s", status, time.Since(began), text)
	}
}

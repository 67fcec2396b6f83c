//go:build linux

package main_test

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/devices/onvif/onviftest"
	"stationd/video/playback"
)

// A camera that is recorded around events keeps the film of what it detects itself,
// and of what Frigate says of it, from the pre-roll to the post-roll; of the rest it
// keeps nothing.
func TestWhatCamerasDetectIsKept(t *testing.T) {
	films, camera := onvifCamera(t)
	broker := freePort(t)
	n := newNode(t, "village-1", filepath.Join(t.TempDir(), "station"), fmt.Sprintf(`
station: {name: 示范村工作站, clip_before: 3s, clip_after: 2s}
video: {peer: {udp_listen: "127.0.0.1:0", tcp_listen: "127.0.0.1:0"}}
record: {min_free: 512MiB, clips_min_free: 128MiB, sync_every: 500ms}
store: {space: {low: 512MiB}}
devices: {broker: {listen: %q}}
`, broker))
	n.start()
	n.claim()
	for _, id := range []string{"seer", "frigate"} {
		body := map[string]any{"name": id, "url": films.URL("main"), "username": "admin", "password": "right-horse", "record": true, "recording": "events"}
		if id == "seer" {
			body["onvif"] = camera.URL()
		}
		n.must(http.MethodPut, "/api/v1/cameras/"+id, body, nil)
	}
	n.must(http.MethodPut, "/api/v1/sensors/door", map[string]any{
		"name": "门口分析", "class": "motion", "cameras": []string{"frigate"}, "source": map[string]any{"broker": "embedded", "family": "frigate", "topic": "frigate/events", "device": "door"},
	}, nil)
	timeline := func(id string) (line playback.Timeline) {
		n.must(http.MethodGet, fmt.Sprintf("/api/v1/cameras/%s/timeline?from=%s&to=%s", id, time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), time.Now().Add(time.Minute).UTC().Format(time.RFC3339)), nil, &line)
		return line
	}
	eventually(t, 30*time.Second, "the pre-roll is there and the camera listened to", func() error {
		for _, id := range []string{"seer", "frigate"} {
			if line := timeline(id); len(line.Recorded) == 0 || line.Recorded[0].To.Sub(line.Recorded[0].From) < 6*time.Second || len(line.Held) > 0 {
				return fmt.Errorf("%s has %v, kept %v", id, line.Recorded, line.Held)
			}
		}
		if now, _ := camera.Listeners(); now == 0 {
			return errors.New("nobody listens")
		}
		return nil
	})
	var account station.DeviceCredential
	n.put("/api/v1/devices/frigate", nil, &account)
	analytics := newCaller(t.Context(), &publisher{address: broker, client: "frigate", user: account.Username, password: account.Password, window: 1})
	defer analytics.close()
	say := func(kind string, motion bool) {
		at := float64(time.Now().UnixMilli()) / 1000
		analytics.call(t, "frigate/events", fmt.Sprintf(`{"type":%q,"before":{},"after":{"id":"1.2-ab","camera":"door","label":"person","frame_time":%f,"end_time":%f,"top_score":0.8,"false_positive":false,"entered_zones":[]}}`, kind, at, at))
		camera.Emit(onviftest.Event{Topic: "tns1:RuleEngine/CellMotionDetector/Motion", Source: "VideoSourceConfigurationToken", Of: "cfg-src0", Item: "IsMotion", Value: fmt.Sprint(motion)})
	}
	began := time.Now()
	say("new", true)
	time.Sleep(2 * time.Second) // somebody walks by
	over := time.Now()
	say("end", false)
	for _, id := range []string{"seer", "frigate"} {
		eventually(t, 20*time.Second, "the film of "+id+" is kept as an event", func() error {
			line := timeline(id)
			if len(line.Held) != 1 || line.Held[0].Class != "event" {
				return fmt.Errorf("kept is %+v", line.Held)
			}
			from, to := line.Held[0].From, line.Held[0].To
			// Fragments are two seconds at most, and the film's key pictures that far apart.
			if from.After(began.Add(-2500*time.Millisecond)) || began.Sub(from) > 9*time.Second || to.Before(over.Add(1500*time.Millisecond)) {
				return fmt.Errorf("kept from %v before to %v after", began.Sub(from), to.Sub(over))
			}
			if over := to.Sub(over); over > 7*time.Second {
				t.Fatalf("it goes on for %v after the end", over)
			}
			return nil
		})
	}
}

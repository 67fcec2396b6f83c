//go:build linux

package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"stationd/devices/devicestest"
	"stationd/video/videotest"
)

// TestBrowserTalk is an officer who talks through a camera: held, clicked, by
// keyboard, until the time is over, while an alarm is live; and another one who
// sees that. A real browser with a microphone that beeps is driven by
// e2e/talk.mjs; what it says is weighed at the camera.
func TestBrowserTalk(t *testing.T) {
	cameras, err := videotest.Start(videotest.Config{Hears: videotest.SoundPCMA, Sound: videotest.SoundPCMA})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cameras.Close)
	mute, err := videotest.Start(videotest.Config{Paths: map[string]string{"garage": "garage"}, Hears: videotest.SoundAAC})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mute.Close)
	s := &stage{t: t, ctx: t.Context(), broker: freePort(t), cameras: cameras}
	t.Cleanup(s.running.Wait)
	n := newNode(t, "village-1", filepath.Join(t.TempDir(), "station"), fmt.Sprintf(`
station: {name: 示范村工作站}
devices: {broker: {listen: %q}}
video: {talk_most: 12s, peer: {udp_listen: "127.0.0.1:0", tcp_listen: "127.0.0.1:0"}}
record: {min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
`, s.broker))
	n.start()
	facts := map[string]any{
		"station": claimable(t, n), "camera": cameras.URL("corridor"), "mute": mute.URL("garage"),
		"sensors": devicestest.Sensors(devicestest.Config{}).Registered(),
	}
	mux := http.NewServeMux()
	answer := func(pattern string, do func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			reply, err := do(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			_ = json.NewEncoder(w).Encode(reply) // a script that has gone needs none
		})
	}
	answer("GET /{$}", func(*http.Request) (any, error) { return facts, nil })
	answer("POST /sensors", s.startSensors)
	answer("POST /alarm/{sensor}", func(r *http.Request) (any, error) {
		if s.sensors == nil {
			return nil, errors.New("the sensors do not run yet")
		}
		return nil, s.sensors.Alarm(r.Context(), r.PathValue("sensor"))
	})
	// What the loudspeaker was sent: how many packets, of which type, and the loudest
	// and the quietest fiftieth of a second.
	answer("GET /loudspeaker", func(*http.Request) (any, error) {
		said := cameras.Heard("corridor")
		facts := map[string]any{"packets": len(said), "sessions": cameras.Sessions("corridor")}
		loud, still := 0.0, -1.0
		for _, p := range said {
			facts["type"] = p.PayloadType
			l := videotest.Loudness(p.Payload, false)
			loud = max(loud, l)
			if still < 0 || l < still {
				still = l
			}
		}
		facts["loudest"], facts["stillest"] = loud, still
		return facts, nil
	})
	control := httptest.NewServer(mux)
	defer control.Close()
	browse(t, "e2e/talk.mjs", "STATIOND_RIG="+control.URL)
}

//go:build linux

package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/devices/devicestest"
	"stationd/video/videotest"
)

// TestBrowser is a duty officer at the console of a station and of its centre:
// both as processes, simulated cameras and sensors, and a real browser that
// e2e/console.mjs drives. STATIOND_SHOTS names the folder for its pictures.
func TestBrowser(t *testing.T) {
	s := openStage(t)
	control := httptest.NewServer(s.routes())
	defer control.Close()
	browse(t, "e2e/console.mjs", "STATIOND_RIG="+control.URL)
}

// TestBrowserStates looks at the live-alarm page in every state that it has, over
// a station that e2e/states.mjs plays.
func TestBrowserStates(t *testing.T) { browse(t, "e2e/states.mjs") }

// browse runs a script that drives the browser.
func browse(t *testing.T, script string, env ...string) {
	t.Helper()
	tools, err := filepath.Abs("../../.ci/node/node_modules/playwright-core")
	if err != nil {
		t.Fatal(err)
	}
	for _, needed := range []string{"/usr/bin/chromium", tools} {
		if _, err := os.Stat(needed); err != nil {
			t.Fatalf("%v; this installs it: .ci/deps", err)
		}
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("%v; this installs it: .ci/deps", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, script)
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	t.Logf("\n%s", out)
	if err != nil {
		t.Errorf("the browser's script: %v", err)
	}
}

// stage is what the script plays on: the nodes, cameras and sensors.
type stage struct {
	t               *testing.T
	centre, village *node
	broker          string
	cameras         *videotest.Server

	ctx     context.Context // of the sensors
	running sync.WaitGroup

	mu      sync.Mutex
	sensors *devicestest.Simulation // nil until the script has an account for them
}

func openStage(t *testing.T) *stage {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &stage{t: t, ctx: ctx, broker: freePort(t)}
	t.Cleanup(func() {
		cancel()
		s.running.Wait()
	})
	var err error
	if s.cameras, err = videotest.Start(videotest.Config{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.cameras.Close)

	s.centre, s.village = newPair(t, t.TempDir(), fmt.Sprintf(`
devices: {broker: {listen: %q}}
record: {volume_size: 64MiB, max_bytes: 512MiB, min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
`, s.broker))
	s.centre.start()
	s.village.start()
	return s
}

// claimable is a node's name and address, and the link that it prints for its
// installer.
func claimable(t *testing.T, n *node) stageNode {
	t.Helper()
	var session struct{ Node struct{ Name string } }
	n.get("/api/v1/session", &session)
	var link string
	eventually(t, 10*time.Second, n.id+" prints its claim link", func() error {
		for _, word := range strings.Fields(n.log.String()) {
			if value, ok := strings.CutPrefix(word, "link="); ok {
				link = strings.Trim(value, `"`)
				return nil
			}
		}
		return errors.New("no link")
	})
	return stageNode{Name: session.Node.Name, URL: n.base, Claim: link}
}

type stageNode struct {
	Name  string `json:"name"`
	URL   string `json:"url"`
	Claim string `json:"claim"`
}

type stageCamera struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

// stageFacts is what the script must know.
type stageFacts struct {
	Station stageNode        `json:"station"`
	Centre  stageNode        `json:"centre"`
	Cameras []stageCamera    `json:"cameras"`
	Sensors []station.Sensor `json:"sensors"`
}

// routes let the script do what is not done in a browser.
func (s *stage) routes() http.Handler {
	films, err := videotest.Films()
	if err != nil {
		s.t.Fatal(err)
	}
	facts := stageFacts{
		Station: claimable(s.t, s.village),
		Centre:  claimable(s.t, s.centre),
		Sensors: devicestest.Sensors(devicestest.Config{}).Registered(),
	}
	for _, f := range films {
		facts.Cameras = append(facts.Cameras, stageCamera{f.Name, f.Title, s.cameras.URL(f.Name)})
	}

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
	serve("POST /sensors", s.startSensors)
	say := func(change func(*devicestest.Simulation, context.Context, string) error) func(r *http.Request) (any, error) {
		return func(r *http.Request) (any, error) {
			s.mu.Lock()
			sensors := s.sensors
			s.mu.Unlock()
			if sensors == nil {
				return nil, errors.New("the sensors do not run yet")
			}
			at := time.Now()
			return map[string]int64{"publishedAt": at.UnixMilli()}, change(sensors, r.Context(), r.PathValue("sensor"))
		}
	}
	serve("POST /alarm/{sensor}", say((*devicestest.Simulation).Alarm))
	serve("POST /normal/{sensor}", say((*devicestest.Simulation).Normal))
	serve("POST /cut/{camera}", func(r *http.Request) (any, error) {
		s.cameras.Cut(r.PathValue("camera"))
		return nil, nil
	})
	serve("POST /kill-centre", func(*http.Request) (any, error) {
		s.centre.kill()
		return nil, nil
	})
	return mux
}

// startSensors runs the simulated sensors with the account that the script made.
func (s *stage) startSensors(r *http.Request) (any, error) {
	var account struct {
		Username string
		Password station.Secret
	}
	if err := json.NewDecoder(r.Body).Decode(&account); err != nil {
		return nil, err
	}
	sensors := devicestest.Sensors(devicestest.Config{URL: "mqtt://" + s.broker, Username: account.Username, Password: account.Password, Interval: 5 * time.Second})
	s.mu.Lock()
	s.sensors = sensors
	s.mu.Unlock()
	failed := make(chan error, 1)
	s.running.Go(func() { failed <- sensors.Run(s.ctx) })
	select {
	case err := <-failed:
		return nil, err
	case <-sensors.Ready():
		return nil, nil
	}
}

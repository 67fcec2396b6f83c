//go:build linux

package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"

	"stationd/video/videotest"
)

// TestBrowserWall is an officer before sixteen cameras: the wall, one made large and
// small again without a black picture, and a patrol with its log. A real browser is
// driven by e2e/wall.mjs. STATIOND_SHOTS names the folder for its pictures.
func TestBrowserWall(t *testing.T) {
	films, err := videotest.Films()
	if err != nil {
		t.Fatal(err)
	}
	cfg := videotest.Config{Paths: map[string]string{}}
	for i := range 16 {
		cfg.Paths[fmt.Sprintf("cam-%02d", i+1)] = films[i%len(films)].Name
		cfg.Paths[fmt.Sprintf("cam-%02d-sub", i+1)] = films[i%len(films)].Name
	}
	cameras, err := videotest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer cameras.Close()
	small := drawFilm(t, "small", "320x180", "200k")
	for i := range 16 {
		path := fmt.Sprintf("cam-%02d-sub", i+1)
		if err := cameras.Reboot(path, small, 0); err != nil {
			t.Fatal(err)
		}
		if err := cameras.Restore(path); err != nil {
			t.Fatal(err)
		}
	}

	n := newNode(t, "village-1", t.TempDir(), `
station: {name: 示范村工作站}
devices: {broker: {listen: ""}}
video: {peer: {udp_listen: "127.0.0.1:0", tcp_listen: "127.0.0.1:0"}}
record: {volume_size: 64MiB, max_bytes: 512MiB, min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
`)
	n.start()
	type cameraFacts struct {
		ID   string `json:"id"`
		Name string `json:"name"`
		URL  string `json:"url"`
		Sub  string `json:"sub"`
	}
	facts := struct {
		Station stageNode     `json:"station"`
		Cameras []cameraFacts `json:"cameras"`
	}{Station: claimable(t, n)}
	for i := range 16 {
		id := fmt.Sprintf("cam-%02d", i+1)
		facts.Cameras = append(facts.Cameras, cameraFacts{id, fmt.Sprintf("%d号楼%s", i/4+1, films[i%len(films)].Title), cameras.URL(id), cameras.URL(id + "-sub")})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(facts) })
	control := httptest.NewServer(mux)
	defer control.Close()
	browse(t, "e2e/wall.mjs", "STATIOND_RIG="+control.URL)
}

// drawFilm makes a film of a size, as ffmpeg draws it: bright, with something that moves.
func drawFilm(t *testing.T, name, size, rate string) videotest.Film {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size="+size+":rate=25", "-t", "4", "-pix_fmt", "yuv420p",
		"-c:v", "libx264", "-profile:v", "baseline", "-preset", "ultrafast", "-b:v", rate, "-maxrate", rate, "-bufsize", rate, "-g", "50", "-keyint_min", "50", "-sc_threshold", "0",
		"-x264-params", "aud=1:repeat-headers=1", "-f", "h264", "-")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n(if it is missing: %s)", cmd, err, ffmpegPackages)
	}
	return videotest.NewFilm(name, name, out)
}

package agent_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stationd/agent"
	"stationd/agent/station"
)

// drawing is a picture of some size, as PNG.
func drawing(t *testing.T, width, height int) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, width, height))
	img.Set(1, 1, color.White)
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// The smallest lossless WebP of 16 × 16 pixels, all of one colour.
const tinyWebP = "UklGRhoAAABXRUJQVlA4TA4AAAAvD8ADAAcQEf0PRET/Aw=="

func withPlans(dir string) func(*agent.Config, *agent.Deps) {
	return func(c *agent.Config, _ *agent.Deps) { c.Plans = dir }
}

func TestPlanPictures(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plans")
	r := newRig(t, withPlans(dir))
	put := func(path string, b []byte) (int, string) {
		rec := r.serve(admin, "PUT", path, b)
		return rec.Code, rec.Body.String()
	}
	files := func() int {
		entries, err := os.ReadDir(dir)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return len(entries)
	}
	if code, text := put("/api/v1/plans/p1/picture", drawing(t, 40, 30)); code != 404 {
		t.Fatal(code, text)
	}
	r.must(r.do(station.CommandPutPlan, "p1", station.Plan{Name: "3号楼", Floor: "12 层", Order: 2}))
	r.must(r.do(station.CommandPutPlan, "p0", station.Plan{Name: "全村", Order: 1}))
	if plans, err := r.Plans(); err != nil || len(plans) != 2 || plans[0].ID != "p0" {
		t.Fatalf("%+v %v", plans, err)
	}
	r.refused(r.do(station.CommandPutPlan, "p2", station.Plan{}), "setup.invalid", "name")
	r.refused(r.do(station.CommandPutPicture, "p1", station.Picture{Digest: "../../etc/passwd"}), "picture.gone", "")

	whole := drawing(t, 300, 200)
	for name, b := range map[string][]byte{
		"a drawing with programs": []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`),
		"no picture":              []byte("hello"),
		"nothing":                 nil,
		"half a picture":          whole[:len(whole)/2],
		"a tiny one":              drawing(t, 2, 2),
		"a huge one":              drawing(t, 12001, 16),
		"GIF":                     []byte("GIF89a\x10\x00\x10\x00\x00\x00\x00;"),
	} {
		if code, text := put("/api/v1/plans/p1/picture", b); code != 422 || !strings.Contains(text, "picture.invalid") || !strings.Contains(text, "hint") {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	if code, text := put("/api/v1/plans/p1/picture", append(drawing(t, 40, 30), make([]byte, 9<<20)...)); code != 413 {
		t.Errorf("too large: %d %.200s", code, text)
	}
	if files() != 0 {
		t.Errorf("%d files of refused pictures", files())
	}
	if rec := r.serve(operator, "PUT", "/api/v1/plans/p1/picture", whole); rec.Code != 403 {
		t.Error(rec.Code)
	}

	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, image.NewGray(image.Rect(0, 0, 64, 48)), nil); err != nil {
		t.Fatal(err)
	}
	webp, err := base64.StdEncoding.DecodeString(tinyWebP)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		media  string
		width  int
		height int
		bytes  []byte
	}{{"image/jpeg", 64, 48, photo.Bytes()}, {"image/webp", 16, 16, webp}, {"image/png", 300, 200, whole}} {
		code, text := put("/api/v1/plans/p1/picture", c.bytes)
		var p station.Plan
		if err := json.Unmarshal([]byte(text), &p); err != nil || code != 200 || p.Picture == nil || p.Picture.Type != c.media || p.Picture.Width != c.width || p.Picture.Height != c.height {
			t.Fatalf("%s: %d %s", c.media, code, text)
		}
		rec := r.serve(viewer, "GET", "/api/v1/plans/p1/picture?v="+p.Picture.Digest, nil)
		h := rec.Header()
		if !bytes.Equal(rec.Body.Bytes(), c.bytes) || h.Get("Content-Type") != c.media || h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || !strings.Contains(h.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", c.media, rec.Code, h)
		}
		if rec := r.serve(viewer, "GET", "/api/v1/plans/p1/picture", nil, "If-None-Match", h.Get("ETag")); rec.Code != 304 {
			t.Errorf("%s: asked again, %d", c.media, rec.Code)
		}
		if files() != 1 {
			t.Errorf("%d files for one picture", files())
		}
	}
	// A changed name keeps the picture; a picture that is lost is told as that.
	r.must(r.do(station.CommandPutPlan, "p1", station.Plan{Name: "3号楼 12 层"}))
	if rec := r.serve(viewer, "GET", "/api/v1/plans/p1/picture", nil); rec.Code != 200 {
		t.Error(rec.Code)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if rec := r.serve(viewer, "GET", "/api/v1/plans/p1/picture", nil); rec.Code != 404 || !strings.Contains(rec.Body.String(), "picture.lost") {
		t.Error(rec.Code, rec.Body)
	}
}

// A plan that goes takes its picture and every position with it, of more sensors
// than one transaction changes, and also when the program ended in between.
func TestRemovedPlanClearsPositions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plans")
	r := newRig(t, withPlans(dir))
	r.must(r.do(station.CommandPutPlan, "p1", station.Plan{Name: "全村"}))
	if rec := r.serve(admin, "PUT", "/api/v1/plans/p1/picture", drawing(t, 40, 30)); rec.Code != 200 {
		t.Fatal(rec.Body)
	}
	at := &station.Position{Plan: "p1", X: 0.5, Y: 0.5}
	r.refused(r.do(station.CommandPutCamera, "c1", station.CameraOrder{Camera: station.Camera{ID: "c1", Name: "门", URL: "rtsp://127.0.0.1/x", Position: &station.Position{Plan: "p1", X: 2}}}), "setup.invalid", "position")
	r.must(r.do(station.CommandPutCamera, "c1", station.CameraOrder{Camera: station.Camera{ID: "c1", Name: "门", URL: "rtsp://127.0.0.1/x", Position: at}}))
	for i := range 205 {
		id := "s" + strings.Repeat("x", i/26) + string(rune('a'+i%26))
		r.must(r.do(station.CommandPutSensor, id, station.Sensor{ID: id, Name: "x", Class: station.ClassSmoke, Position: at, Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "json", Topic: "t/" + id}}))
	}
	r.report("sa", station.KindSmoke, true)
	if v, _ := r.serve(viewer, "GET", "/api/v1/alarms/"+r.live()[0].ID, nil), 0; !strings.Contains(v.Body.String(), `"plan":{"id":"p1"`) {
		t.Errorf("the alarm's view has no plan: %s", v.Body)
	}
	r.must(r.do(station.CommandRemovePlan, "p1", nil))
	sensors, err := r.Sensors()
	if err != nil {
		t.Fatal(err)
	}
	cameras, err := r.Cameras()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sensors {
		if s.Sensor.Position != nil {
			t.Fatalf("%s still stands on the plan", s.Sensor.ID)
		}
	}
	if cameras[0].Camera.Position != nil {
		t.Error("the camera still stands on the plan")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("the picture is still there: %v", entries)
	}
	// What was left by an end in between goes at the next start.
	if err := os.WriteFile(filepath.Join(dir, strings.Repeat("a", 64)+".part"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.eventually(func() bool {
		entries, err := os.ReadDir(dir)
		return err == nil && len(entries) == 0
	})
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

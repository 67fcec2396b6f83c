package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
	"stationd/video/peer/peertest"
	"stationd/video/videotest"
)

// Who may see a camera, tried on every route of the real node. A route behind which
// a camera stands, or may stand, has its row here; one that has none fails.

// cameraRoute is how a route is asked for what belongs to one camera.
type cameraRoute struct {
	// id is what its path's wildcard stands for: the camera itself, its clip, a viewing.
	id func(cam *watchedCamera) string
	// query, mediaType and body complete the request.
	query     func(cam *watchedCamera) string
	mediaType string
	body      func(cam *watchedCamera) any
	// list answers about several cameras: those that may not be seen are left out.
	list bool
	// empty lists may have nothing of either camera.
	empty bool
	// shared is of no one camera.
	shared bool
}

// watchedCamera is a camera with all that comes to belong to one.
type watchedCamera struct {
	id, name   string
	clip, whep string
	talk       string // through a camera of its own that is as closed
}

func itself(c *watchedCamera) string  { return c.id }
func itsClip(c *watchedCamera) string { return c.clip }
func itsView(c *watchedCamera) string { return c.whep }
func itsTalk(c *watchedCamera) string { return c.talk }

func anew(*watchedCamera) string      { return station.NewID() }
func itsHold(c *watchedCamera) string { return "hold-" + c.id }

func holding(c *watchedCamera) any {
	return station.HoldOrder{ID: itsHold(c), Camera: c.id, Reason: "事故", From: time.Now().Add(-time.Minute), To: time.Now()}
}

func grouping(c *watchedCamera) any { return station.CameraGroup{Name: "组", Cameras: []string{c.id}} }

func patrolling(c *watchedCamera) any {
	now := time.Now()
	return station.PatrolOrder{Tour: "t", Started: now, Views: []station.PatrolView{{Camera: c.id, From: now, To: now}}}
}

// probing asks for the password that is kept of a camera.
func probing(c *watchedCamera) any {
	return map[string]any{"id": c.id, "name": c.name, "url": "rtsp://127.0.0.1:1/" + c.id, "password": station.SecretMask}
}

func aMinute(*watchedCamera) string {
	return "from=2026-11-21T08:00:00Z&to=2026-11-21T08:01:00Z"
}
func emptyBody(*watchedCamera) any { return map[string]any{} }

// cameraRoutes is every route that shows something of a camera or changes it.
var cameraRoutes = map[string]cameraRoute{
	"GET /api/v1/cameras":         {list: true},
	"GET /api/v1/cameras/viewers": {list: true, empty: true}, // a viewing may have ended
	"PUT /api/v1/cameras/{id}":    {id: itself, body: emptyBody},
	"DELETE /api/v1/cameras/{id}": {id: itself},

	"POST /api/v1/cameras/{id}/whep": {id: itself, mediaType: "application/sdp"},
	"DELETE /api/v1/whep/{session}":  {id: itsView},

	"POST /api/v1/cameras/{id}/talk": {id: itself, mediaType: "application/sdp"},
	"DELETE /api/v1/talk/{talk}":     {id: itsTalk},

	"GET /api/v1/cameras/{id}/ptz":                 {id: itself},
	"POST /api/v1/cameras/{id}/ptz":                {id: itself, body: emptyBody},
	"POST /api/v1/cameras/{id}/presets":            {id: itself, body: emptyBody},
	"POST /api/v1/cameras/{id}/presets/{preset}":   {id: itself},
	"DELETE /api/v1/cameras/{id}/presets/{preset}": {id: itself},

	"GET /api/v1/cameras/{id}/timeline":                   {id: itself, query: aMinute},
	"GET /api/v1/cameras.csv":                             {list: true},
	"POST /api/v1/cameras.csv":                            {shared: true}, // TestUnseenCamerasStayOutOfTables
	"POST /api/v1/cameras/probe":                          {body: probing},
	"POST /api/v1/cameras/{id}/probe":                     {id: itself},
	"GET /api/v1/cameras/{id}/live.ws":                    {id: itself},
	"GET /api/v1/cameras/{id}/streams":                    {id: itself},
	"GET /api/v1/cameras/{id}/days":                       {id: itself},
	"GET /api/v1/cameras/{id}/media":                      {id: itself, query: aMinute},
	"GET /api/v1/cameras/{id}/playlist.m3u8":              {id: itself, query: aMinute},
	"GET /api/v1/cameras/{id}/init/{name}":                {id: itself},
	"GET /api/v1/cameras/{id}/segment/{name}":             {id: itself},
	"GET /api/v1/cameras/{id}/preview":                    {id: itself},
	"GET /api/v1/cameras/{id}/snapshot":                   {id: itself},
	"GET /api/v1/cameras/{id}/snapshot.jpg":               {id: itself},
	"POST /api/v1/cameras/{id}/clips":                     {id: itself, body: emptyBody},
	"POST /api/v1/cameras/{id}/export":                    {id: itself, body: emptyBody},
	"GET /api/v1/cameras/{id}/exports":                    {id: itself},
	"GET /api/v1/cameras/{id}/exports/{export}/video.mp4": {id: itself},
	"DELETE /api/v1/cameras/{id}/exports/{export}":        {id: itself},
	"GET /api/v1/exports":                                 {list: true},
	"GET /api/v1/evidence":                                {list: true},
	"PUT /api/v1/evidence/{id}":                           {id: itsHold, body: holding},
	"POST /api/v1/evidence/{id}/release":                  {id: itsHold, body: emptyBody},
	"GET /api/v1/storage":                                 {list: true, empty: true},

	"GET /api/v1/walls":                 {list: true},
	"GET /api/v1/camera-groups":         {list: true},
	"PUT /api/v1/camera-groups/{id}":    {id: itself, body: grouping},
	"DELETE /api/v1/camera-groups/{id}": {shared: true},
	"GET /api/v1/tours":                 {list: true},
	"GET /api/v1/patrols":               {list: true, empty: true},
	"PUT /api/v1/patrols/{id}":          {id: anew, body: patrolling},
	"GET /api/v1/patrols.csv":           {list: true, empty: true},

	"GET /api/v1/clips/{id}":           {id: itsClip},
	"DELETE /api/v1/clips/{id}":        {id: itsClip},
	"GET /api/v1/clips/{id}/video.mp4": {id: itsClip},
}

// behind tells whether a camera stands, or may stand, behind a route.
func (g *guarded) behind(r station.Route) bool {
	kind, _, _ := strings.Cut(r.Resource, "/")
	_, others := g.cameraOf()[kind]
	return r.Permission == station.PermVideo || slices.Contains([]string{"camera", "clip", "export", "evidence"}, kind) || others || strings.Contains(r.Pattern, "camera")
}

func TestEveryCameraRouteAsksWhoMaySeeIt(t *testing.T) {
	g, _ := startGuarded(t)
	var err error
	if g.loud, err = videotest.Start(videotest.Config{Hears: videotest.SoundPCMA}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.loud.Close)
	cookies := map[string]string{}
	for _, role := range account.Roles() {
		cookies[role] = g.signIn(role)
	}
	secret := g.camera("secret", "家委会机房", []string{account.RoleChief}, cookies[account.RoleAdmin])
	open := g.camera("open", "小区北门", nil, cookies[account.RoleAdmin])

	for path, body := range map[string]any{
		"walls/w":         station.Wall{Name: "墙", Layout: 4, Cameras: []string{secret.id, open.id}},
		"camera-groups/g": station.CameraGroup{Name: "组", Cameras: []string{secret.id, open.id}},
		"tours/t":         station.Tour{Name: "巡", Dwell: 9, Steps: []station.TourStep{{Camera: secret.id}, {Camera: open.id}}},
	} {
		if resp, text := g.ask("PUT", "/api/v1/"+path, cookies[account.RoleAdmin], body); resp.StatusCode != http.StatusOK {
			t.Fatal(text)
		}
	}
	todo := maps.Clone(cameraRoutes)
	var routes []station.Route
	for _, r := range g.routes {
		if !g.behind(r) {
			continue
		}
		if _, ok := todo[r.Pattern]; !ok {
			t.Errorf("%s (resource %q) shows a camera, it seems, and has no row in cameraRoutes", r.Pattern, r.Resource)
			continue
		}
		delete(todo, r.Pattern)
		routes = append(routes, r)
	}
	for pattern := range todo {
		t.Errorf("there is no route %s", pattern)
	}
	// What removes something comes last: the others need it. Behind a camera that is
	// gone its record is as closed as before.
	slices.SortStableFunc(routes, func(a, b station.Route) int { return removes(a) - removes(b) })

	for _, r := range routes {
		row := cameraRoutes[r.Pattern]
		for role, cookie := range cookies {
			if account.Authorize(station.Actor{Account: "x", Role: role}, r.Permission, "") != nil {
				continue // TestEveryRouteIsGuarded has seen to that
			}
			allowed := role == account.RoleAdmin || role == account.RoleChief
			if row.shared {
				continue
			}
			if row.list {
				_, text := g.askFor(r, row, secret, cookie)
				if has := strings.Contains(text, secret.id); has && !allowed || !row.empty && (has != allowed || !strings.Contains(text, open.id)) || strings.Contains(text, secret.name) && !allowed {
					t.Errorf("%s lists for %s: %.300s", r.Pattern, role, text)
				}
				continue
			}
			if !allowed {
				if resp, text := g.askFor(r, row, secret, cookie); resp.StatusCode != http.StatusForbidden || !strings.Contains(text, `"camera.restricted"`) {
					t.Errorf("%s for %s, who may not see the camera: %d %.200s", r.Pattern, role, resp.StatusCode, text)
				}
			}
			if removes(r) > 0 {
				continue // it would be gone for those who follow
			}
			if resp, text := g.askFor(r, row, open, cookie); strings.Contains(text, "restricted") || strings.Contains(text, `"code":"access.`) {
				t.Errorf("%s for %s, a camera that is open: %d %.200s", r.Pattern, role, resp.StatusCode, text)
			}
			if allowed {
				if resp, text := g.askFor(r, row, secret, cookie); strings.Contains(text, "restricted") || strings.Contains(text, `"code":"access.`) {
					t.Errorf("%s for %s, who may see the camera: %d %.200s", r.Pattern, role, resp.StatusCode, text)
				}
			}
		}
	}

	if resp, text := g.ask("DELETE", "/api/v1/cameras/secret", cookies[account.RoleAdmin], nil); resp.StatusCode != http.StatusNoContent {
		t.Fatal(text)
	}
	for _, r := range routes {
		if row := cameraRoutes[r.Pattern]; strings.HasPrefix(r.Resource, "clip/") && removes(r) == 0 {
			if resp, text := g.askFor(r, row, secret, cookies[account.RoleOperator]); resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s when the camera is gone: %d %.200s", r.Pattern, resp.StatusCode, text)
			}
		}
	}
}

// namesBySetting are the lists of sensors with their settings: a sensor's name the
// cameras that see it by ID, or whoever saves them would take those off.
var namesBySetting = map[string]bool{"GET /api/v1/sensors": true, "GET /api/v1/sensors.csv": true}

// What answers about everything there is, cameras or not, names none to those who
// may not see it. No route has to be entered here to be asked.
func TestNoListNamesAnUnseenCamera(t *testing.T) {
	g, _ := startGuarded(t)
	cookies := map[string]string{}
	for _, role := range account.Roles() {
		cookies[role] = g.signIn(role)
	}
	secret := g.camera("vault-7", "家委会机房", []string{account.RoleChief}, cookies[account.RoleAdmin])
	named, asked := 0, 0
	for _, r := range g.routes {
		method, path, _ := strings.Cut(r.Pattern, " ")
		if method != http.MethodGet || strings.Contains(path, "{") || path == "/api/v1/events" { // TestUnseenCamerasInEvents
			continue
		}
		queries := []string{""}
		for _, p := range r.Params {
			if p.In == "query" && slices.Contains([]string{"camera", "q", "text", "cameras", "id"}, p.Name) {
				queries = append(queries, "?"+p.Name+"="+secret.id, "?"+p.Name+"="+url.QueryEscape(secret.name))
			}
		}
		for role, cookie := range cookies {
			if account.Authorize(station.Actor{Account: "x", Role: role}, r.Permission, "") != nil {
				continue
			}
			for _, query := range queries {
				resp, text := g.ask("GET", path+query, cookie, nil)
				if resp.StatusCode != http.StatusOK {
					continue
				}
				asked++
				found := strings.Contains(text, secret.name) || strings.Contains(text, secret.clip)
				if !namesBySetting[r.Pattern] {
					found = found || strings.Contains(text, secret.id)
				}
				switch {
				case found && (role == account.RoleAdmin || role == account.RoleChief):
					named++
				case found:
					t.Errorf("%s%s tells %s of a camera that is not for them to see: %.300s", r.Pattern, query, role, text)
				}
			}
		}
	}
	if named == 0 {
		t.Error("no list names the camera to anybody: nothing was tried")
	}
	t.Logf("%d answers, of which %d name the camera to those who may see it", asked, named)
}

// Whoever watches a camera that is taken from them sees no more of it.
func TestViewingEndsWithTheRight(t *testing.T) {
	g, _ := startGuarded(t)
	admin := g.signIn(account.RoleAdmin)
	cam := g.camera("gate", "小区北门", nil, admin)
	view := g.watch(cam.id, g.signIn(account.RoleOperator))
	if g.video.CameraOf(view) != cam.id {
		t.Fatalf("viewing %q is of %q", view, g.video.CameraOf(view))
	}
	g.putCamera(cam, []string{account.RoleChief}, admin)
	deadline := time.Now().Add(10 * time.Second)
	for g.video.CameraOf(view) != "" {
		if time.Now().After(deadline) {
			t.Fatal("the viewing goes on")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if g.video.CameraOf(cam.whep) == "" {
		t.Error("the administrator's viewing ended too")
	}
}

func removes(r station.Route) int {
	if strings.HasPrefix(r.Pattern, "DELETE ") {
		return 1
	}
	return 0
}

var pathWildcard = regexp.MustCompile(`\{[a-z]+(\.\.\.)?\}`)

// askFor asks a route for what belongs to a camera. Where a path has several
// wildcards the first is the camera's.
func (g *guarded) askFor(r station.Route, row cameraRoute, cam *watchedCamera, cookie string) (*http.Response, string) {
	g.t.Helper()
	method, path, _ := strings.Cut(r.Pattern, " ")
	first := true
	path = pathWildcard.ReplaceAllStringFunc(path, func(string) string {
		if first && row.id != nil {
			first = false
			return row.id(cam)
		}
		return "1"
	})
	if row.query != nil {
		path += "?" + row.query(cam)
	}
	var body io.Reader
	if row.body != nil {
		raw, err := json.Marshal(row.body(cam))
		if err != nil {
			g.t.Fatal(err)
		}
		body = bytes.NewReader(raw)
	}
	// A route that answers without end has begun when it answers.
	ctx, cancel := context.WithTimeout(g.t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, g.console.URL()+path, body)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Cookie", cookie)
	if row.mediaType != "" {
		req.Header.Set("Content-Type", row.mediaType)
	}
	resp, err := g.client.Do(req)
	if err != nil {
		g.t.Fatalf("%s: %v", r.Pattern, err)
	}
	defer resp.Body.Close()
	text := make([]byte, 64<<10)
	n, err := io.ReadFull(resp.Body, text)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		g.t.Fatalf("%s: %v", r.Pattern, err)
	}
	return resp, string(text[:n])
}

func (g *guarded) putCamera(cam *watchedCamera, roles []string, cookie string) {
	g.t.Helper()
	resp, text := g.ask("PUT", "/api/v1/cameras/"+cam.id, cookie, map[string]any{"name": cam.name, "url": "rtsp://127.0.0.1:1/" + cam.id, "roles": roles, "record": false})
	if resp.StatusCode != http.StatusOK {
		g.t.Fatal(text)
	}
}

// camera sets a camera up and makes everything that can belong to one.
func (g *guarded) camera(id, name string, roles []string, cookie string) *watchedCamera {
	g.t.Helper()
	cam := &watchedCamera{id: id, name: name}
	g.putCamera(cam, roles, cookie)
	sensor := "smoke-" + station.NewID()
	resp, text := g.ask("PUT", "/api/v1/sensors/"+sensor, cookie, map[string]any{
		"name": "烟感", "class": station.ClassSmoke, "cameras": []string{id}, "source": map[string]any{"broker": station.EmbeddedBroker, "family": "zigbee2mqtt", "topic": "zigbee2mqtt/" + sensor},
	})
	if resp.StatusCode != http.StatusOK {
		g.t.Fatal(text)
	}
	err := g.agent.HandleReport(g.t.Context(), station.Report{
		Sensor: sensor, Received: time.Now(), Live: true, Values: map[string]station.Value{"smoke": true},
		Signals: []station.Signal{{Kind: station.KindSmoke, Active: true}},
	})
	if err != nil {
		g.t.Fatal(err)
	}
	live, err := g.agent.AllLiveAlarms()
	if err != nil {
		g.t.Fatal(err)
	}
	for _, al := range live {
		if al.Sensor == sensor {
			cam.clip = al.Clip
		}
	}
	if cam.clip == "" {
		g.t.Fatal("the alarm has no clip")
	}
	cam.whep = g.watch(id, cookie)
	if g.loud != nil {
		loud := "loud-" + id
		resp, text := g.ask("PUT", "/api/v1/cameras/"+loud, cookie, map[string]any{"name": loud, "url": g.loud.URL("gate"), "roles": roles, "record": false})
		if resp.StatusCode != http.StatusOK {
			g.t.Fatal(text)
		}
		cam.talk = g.talk(loud, cookie)
	}
	err = g.store.Update(g.t.Context(), station.LaneNormal, func(tx *store.Tx) error {
		if err := store.Put(tx, store.Key("hold/hold-"+id), station.Hold{ID: "hold-" + id, Camera: id, At: time.Now(), Reason: "事故"}); err != nil {
			return err
		}
		return store.Put(tx, store.Key("export/"+id), station.Export{ID: id, Camera: id, Name: name, Status: station.ExportRemoved, At: time.Now()})
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return cam
}

// watch opens a viewing, as a browser does, and returns its ID.
func (g *guarded) watch(camera, cookie string) string {
	g.t.Helper()
	v, err := peertest.New(peertest.Config{Loopback: true})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(v.Close)
	client := *g.client
	location := ""
	client.Transport = signedIn{g.client.Transport, cookie, &location}
	if err := v.Watch(g.t.Context(), &client, g.console.URL()+"/api/v1/cameras/"+camera+"/whep"); err != nil {
		g.t.Fatal(err)
	}
	return location[strings.LastIndex(location, "/")+1:]
}

// talk begins to talk through a camera, as a browser does, and returns the talk's ID.
func (g *guarded) talk(camera, cookie string) string {
	g.t.Helper()
	mouth, err := peertest.NewTalker("audio/PCMA")
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(mouth.Close)
	offer, err := mouth.Offer()
	if err != nil {
		g.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, g.console.URL()+"/api/v1/cameras/"+camera+"/talk", strings.NewReader(offer))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/sdp")
	req.Header.Set("Cookie", cookie)
	resp, err := g.client.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusCreated {
		g.t.Fatalf("talk: %s %s %v", resp.Status, answer, err)
	}
	if err := mouth.Take(string(answer)); err != nil {
		g.t.Fatal(err)
	}
	location := resp.Header.Get("Location")
	return location[strings.LastIndex(location, "/")+1:]
}

// signedIn sends a session's cookie and keeps where the answer points to.
type signedIn struct {
	http.RoundTripper
	cookie   string
	location *string
}

func (s signedIn) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Cookie", s.cookie)
	resp, err := s.RoundTripper.RoundTrip(r)
	if err == nil && resp.Header.Get("Location") != "" {
		*s.location = resp.Header.Get("Location")
	}
	return resp, err
}

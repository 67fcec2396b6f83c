package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"stationd/agent/account"
	"stationd/video/videotest"
)

// Who may no longer answer, or may no longer see the camera, talks no longer; and the
// audit has when and why.
func TestTalkEndsWithTheRight(t *testing.T) {
	g, _ := startGuarded(t)
	var err error
	if g.loud, err = videotest.Start(videotest.Config{Hears: videotest.SoundPCMA}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.loud.Close)
	admin := g.signIn(account.RoleAdmin)
	for name, take := range map[string]func(camera string){
		"the camera is for others": func(camera string) {
			resp, text := g.ask("PUT", "/api/v1/cameras/"+camera, admin, map[string]any{"name": camera, "url": g.loud.URL("gate"), "roles": []string{account.RoleChief}, "record": false})
			if resp.StatusCode != http.StatusOK {
				t.Fatal(text)
			}
		},
		"the account may only look": func(string) {
			resp, text := g.ask("PUT", "/api/v1/accounts/a-"+account.RoleOperator, admin, map[string]any{"name": "x", "role": account.RoleViewer})
			if resp.StatusCode != http.StatusOK {
				t.Fatal(text)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			operator := g.signIn(account.RoleOperator)
			camera := "gate-" + strings.ReplaceAll(name, " ", "-")
			resp, text := g.ask("PUT", "/api/v1/cameras/"+camera, admin, map[string]any{"name": camera, "url": g.loud.URL("gate"), "record": false})
			if resp.StatusCode != http.StatusOK {
				t.Fatal(text)
			}
			id := g.talk(camera, operator)
			if g.video.TalkThrough(id) != camera {
				t.Fatalf("talk %q is through %q", id, g.video.TalkThrough(id))
			}
			take(camera)
			for late := time.Now().Add(10 * time.Second); g.video.TalkThrough(id) != ""; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(late) {
					t.Fatal("the talk goes on")
				}
			}
			for late := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				_, text := g.ask("GET", "/api/v1/audit", admin, nil)
				if strings.Contains(text, `"camera.talk.end","subject":"camera/`+camera) && strings.Contains(text, "may no longer talk") {
					break
				}
				if time.Now().After(late) {
					t.Fatalf("the audit has no end of it: %s", text)
				}
			}
		})
	}
}

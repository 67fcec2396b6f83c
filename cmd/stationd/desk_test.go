//go:build linux

package main_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"stationd/agent/console"
	"stationd/agent/station"
)

// desk is a person at a console, as far as the API goes: a browser's cookies and
// nothing else.
type desk struct {
	t    *testing.T
	base string
	http *http.Client
}

func newDesk(t *testing.T, base string) *desk {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &desk{t: t, base: base, http: &http.Client{Jar: jar, Timeout: 30 * time.Second}}
}

// do sends one request and decodes a good answer into reply.
func (d *desk) do(method, path string, body, reply any) (status int, text []byte, err error) {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, d.base+path, in)
	if err != nil {
		return 0, nil, err
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 == 2 && reply != nil {
		err = json.Unmarshal(text, reply)
	}
	return resp.StatusCode, text, err
}

// try is do whose answer must be a good one.
func (d *desk) try(method, path string, body, reply any) error {
	status, text, err := d.do(method, path, body, reply)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("%s %s: %d: %s", method, path, status, bytes.TrimSpace(text))
	}
	return err
}

func (d *desk) must(method, path string, body, reply any) {
	d.t.Helper()
	if err := d.try(method, path, body, reply); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) get(path string, reply any) {
	d.t.Helper()
	d.must(http.MethodGet, path, nil, reply)
}

func (d *desk) put(path string, body, reply any) {
	d.t.Helper()
	d.must(http.MethodPut, path, body, reply)
}

func (d *desk) status() console.Status {
	d.t.Helper()
	var s console.Status
	d.get("/api/v1/status", &s)
	return s
}

// lamp is the code of a lamp, as every page shows it.
func lamp(s console.Status, id string) string {
	for _, l := range s.Lamps {
		if l.ID == id {
			return l.Code
		}
	}
	return ""
}

type alarmPage struct {
	Alarms []station.Alarm
	More   bool
}

// live are the live alarms.
func (d *desk) live() []station.Alarm {
	d.t.Helper()
	var page alarmPage
	d.get("/api/v1/alarms?live=1&limit=500", &page)
	return page.Alarms
}

// alarms are all alarms, page by page, the oldest first.
func (d *desk) alarms() []station.Alarm {
	d.t.Helper()
	var all []station.Alarm
	for before := ""; ; {
		var page alarmPage
		d.get("/api/v1/alarms?limit=500&before="+before, &page)
		all = append(all, page.Alarms...)
		if !page.More {
			slices.Reverse(all)
			return all
		}
		before = all[len(all)-1].ID
	}
}

// alarmView is an alarm with what stands beside it on the desk.
type alarmView struct {
	Alarm  station.Alarm
	Clip   *station.Clip
	Centre struct{ ReceivedAt time.Time }
}

func (d *desk) alarm(id string) (v alarmView, err error) {
	return v, d.try(http.MethodGet, "/api/v1/alarms/"+id, nil, &v)
}

// awaitClip waits until the alarm is here and its clip can be played.
func (d *desk) awaitClip(within time.Duration, alarm string) station.Clip {
	d.t.Helper()
	var clip station.Clip
	eventually(d.t, within, "alarm "+alarm+" and its clip are at "+d.base, func() error {
		v, err := d.alarm(alarm)
		switch {
		case err != nil:
			return err
		case v.Clip == nil:
			return errors.New("no clip")
		case v.Clip.Status == station.ClipFailed:
			d.t.Fatalf("the clip failed: %+v", *v.Clip)
		case v.Clip.Status != station.ClipReady:
			return fmt.Errorf("the clip is %s", v.Clip.Status)
		}
		req, err := http.NewRequest(http.MethodHead, d.base+"/api/v1/clips/"+v.Clip.ID+"/video.mp4", nil)
		if err != nil {
			return err
		}
		resp, err := d.http.Do(req)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("the film: %s", resp.Status)
		}
		clip = *v.Clip
		return nil
	})
	return clip
}

// download fetches a clip's film into a file, and holds it to its record.
func (d *desk) download(clip station.Clip) (file string) {
	d.t.Helper()
	resp, err := d.http.Get(d.base + "/api/v1/clips/" + clip.ID + "/video.mp4")
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	film, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		d.t.Fatalf("download the clip: %s, %v", resp.Status, err)
	}
	sum := sha256.Sum256(film)
	if got := hex.EncodeToString(sum[:]); got != clip.SHA256 || int64(len(film)) != clip.Size {
		d.t.Errorf("%s: the film has %d bytes and SHA-256 %s, its record says %d and %s", d.base, len(film), got, clip.Size, clip.SHA256)
	}
	file = filepath.Join(d.t.TempDir(), "clip.mp4")
	if err := os.WriteFile(file, film, 0o600); err != nil {
		d.t.Fatal(err)
	}
	return file
}

// journal reads the node's events from the first to the last, as the console
// does that has missed everything. What it reads ends with an event of its own.
func (d *desk) journal() []station.Event {
	d.t.Helper()
	mark := "reader-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	d.put("/api/v1/accounts/"+mark, map[string]any{"name": "reader", "role": "viewer", "password": "a long enough one", "disabled": true}, nil)
	ctx, cancel := context.WithTimeout(d.t.Context(), 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+"/api/v1/events", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Last-Event-ID", "0")
	client := *d.http
	client.Timeout = 0
	resp, err := client.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		d.t.Fatalf("events: %s", resp.Status)
	}
	var events []station.Event
	lines := bufio.NewReaderSize(resp.Body, 1<<20)
	isEvent := false
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			d.t.Fatalf("read the journal: %v after %d events", err, len(events))
		}
		line = strings.TrimSuffix(line, "\n")
		data, isData := strings.CutPrefix(line, "data: ")
		switch {
		case strings.HasPrefix(line, "event: "):
			isEvent = line != "event: status"
		case isData && isEvent:
			var ev station.Event
			if err := json.Unmarshal([]byte(data), &ev); err != nil {
				d.t.Fatalf("event %s: %v", data, err)
			}
			if ev.Subject == "account/"+mark {
				return events
			}
			events = append(events, ev)
		}
	}
}

// login signs in with a one-time link, as opening it does.
func (d *desk) login(link string) {
	d.t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		d.t.Fatal(err)
	}
	token, ok := strings.CutPrefix(u.Fragment, "login=")
	if !ok || d.base != u.Scheme+"://"+u.Host {
		d.t.Fatalf("%q is no link to sign in with at %s", link, d.base)
	}
	d.must(http.MethodPost, "/api/v1/login", map[string]string{"token": token}, nil)
}

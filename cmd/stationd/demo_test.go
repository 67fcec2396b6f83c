//go:build linux

package main_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"stationd/agent/station"
)

// TestDemo is what a newcomer sees: one command, two links, and a minute later
// an alarm with its film at the station and at the centre.
func TestDemo(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	first := startDemo(t, data)

	cameras := []string{"corridor", "garage", "gate", "manhole"}
	screens := map[string]*screen{}
	for _, c := range cameras {
		screens["station "+c] = first.station.watch(c)
	}
	screens["centre"] = first.centre.watch("demo-village.gate")
	for name, s := range screens {
		s.awaitPictures(t, "live pictures: "+name, 50)
	}
	for name, s := range screens {
		s.awaitPictures(t, "they go on: "+name, 25)
		_, broken := s.pictures()
		stream, at := s.hangUp()
		if n := decodedPictures(t, stream, "-f", "h264", "-i", "-"); n != len(at) || broken > 0 {
			t.Errorf("%s: %d pictures, %d broken; %d can be decoded", name, len(at), broken, n)
		} else {
			t.Logf("%s: %d pictures decoded", name, n)
		}
	}

	// Untouched, an alarm comes, and all of it is at the centre.
	alarm, at := first.awaitAlarm(t, time.Until(first.began.Add(60*time.Second)), "")
	t.Logf("demo → alarm, its clip and both at the centre: %v", at.Round(time.Millisecond))
	clips := map[string]string{}
	for name, d := range map[string]*desk{"station": first.station, "centre": first.centre} {
		clip := d.awaitClip(time.Second, alarm)
		f := probe(t, d.download(clip))
		if asked := clip.To.Sub(clip.From); f.duration < asked-time.Second || f.duration > asked+5*time.Second {
			t.Errorf("%s: the film lasts %v, asked for were %v", name, f.duration, asked)
		}
		clips[name] = clip.SHA256
	}
	if clips["station"] != clips["centre"] {
		t.Errorf("the clips differ: %v", clips)
	}
	before := first.journals(t)
	first.end(t)

	// The second demo goes on where the first was.
	second := startDemo(t, data)
	for name, d := range map[string]*desk{"station": second.station, "centre": second.centre} {
		clip := d.awaitClip(5*time.Second, alarm)
		if clip.SHA256 != clips[name] {
			t.Errorf("%s: another clip after the restart", name)
		}
		d.download(clip)
	}
	after := second.journals(t)
	for i, name := range []string{"station", "centre"} {
		was, is := before[i], after[i]
		if len(is) <= len(was) || !slices.EqualFunc(was, is[:len(was)], func(x, y station.Event) bool { return x.ID == y.ID && x.Seq == y.Seq }) {
			t.Errorf("%s: the journal of the first demo is not the beginning of the second's (%d and %d events)", name, len(was), len(is))
		}
		if e := epochs(is); len(e) != i+1 { // the centre has the station's events too
			t.Errorf("%s: lives of stores: %v", name, e)
		}
	}
	screen := second.centre.watch("demo-village.corridor")
	screen.awaitPictures(t, "live pictures after the restart", 25)
	next, _ := second.awaitAlarm(t, 60*time.Second, alarm)
	if next <= alarm {
		t.Errorf("alarm %s after %s", next, alarm)
	}
	second.end(t)
}

// demoRun is one demo, with an officer signed in at both consoles.
type demoRun struct {
	*process
	began           time.Time
	station, centre *desk
}

func startDemo(t *testing.T, data string) *demoRun {
	t.Helper()
	log := openLogbook(t, "demo")
	d := &demoRun{process: launch(t, log, "demo", "--data", data)}
	d.began = time.Now()
	var found [][]string
	took := eventually(t, 60*time.Second, "the demo prints what to open", func() error {
		if !d.running() {
			t.Fatalf("the demo ended: %v", d.cmd.ProcessState)
		}
		found = log.all(0, `(?m)^(station|centre) +(http://\S+)\n\s+sign in once with (\S+)$`)
		if len(found) < 2 {
			return errors.New("not all of it yet")
		}
		return nil
	})
	t.Logf("demo → consoles and links: %v", took.Round(time.Millisecond))
	for _, f := range found {
		officer, stranger := newDesk(t, f[2]), newDesk(t, f[2])
		officer.login(f[3])
		if f[1] == "station" {
			d.station = officer
		} else {
			d.centre = officer
		}
		if status, _, err := stranger.do("POST", "/api/v1/login", map[string]string{"token": f[3][len(f[2])+len("/#login="):]}, nil); err != nil || status != 401 {
			t.Errorf("the link of the %s works twice: %d, %v", f[1], status, err)
		}
	}
	return d
}

// awaitAlarm waits for an alarm behind another, until it and its clip are at the
// centre.
func (d *demoRun) awaitAlarm(t *testing.T, within time.Duration, behind string) (id string, at time.Duration) {
	t.Helper()
	deadline := time.Now().Add(within)
	eventually(t, within, "an alarm comes by itself", func() error {
		for _, a := range d.station.alarms() {
			if a.ID > behind && a.Clip != "" {
				id = a.ID
				return nil
			}
		}
		return errors.New("none")
	})
	for _, at := range []*desk{d.station, d.centre} {
		at.awaitClip(time.Until(deadline), id)
	}
	at = time.Since(d.began)
	v, err := d.station.alarm(id)
	if err != nil || v.Centre.ReceivedAt.IsZero() {
		t.Errorf("the station does not know that the centre has it: %+v, %v", v.Centre, err)
	}
	return id, at
}

// journals are the own events of station and centre.
func (d *demoRun) journals(t *testing.T) [2][]station.Event {
	t.Helper()
	var out [2][]station.Event
	for i, at := range []*desk{d.station, d.centre} {
		for _, ev := range at.journal() {
			// The stream leaves out readings that a newer one has overtaken.
			if ev.Type != station.EventReading {
				out[i] = append(out[i], ev)
			}
		}
	}
	return out
}

// epochs are the lives of stores that events come from.
func epochs(events []station.Event) []string {
	var all []string
	for _, ev := range events {
		if e := fmt.Sprint(ev.Origin.Node, " ", ev.Origin.Epoch); !slices.Contains(all, e) {
			all = append(all, e)
		}
	}
	return all
}

// end ends the demo with Ctrl-C.
func (d *demoRun) end(t *testing.T) {
	t.Helper()
	code, took := d.stop(os.Interrupt, 5*time.Second)
	if code != 0 {
		t.Errorf("Ctrl-C: exit code %d, want 0", code)
	}
	if d.leftovers() {
		t.Error("the demo left a process behind")
	}
	t.Logf("Ctrl-C → ended: %v", took.Round(time.Millisecond))
}

//go:build linux

package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"stationd/agent/console"
	"stationd/agent/station"
	"stationd/devices/devicestest"
)

// TestKill kills the station again and again while twenty publishers speak, half of
// them through the built-in broker, half through a Mosquitto that stays up and is
// set up as docs/mosquitto.md says; meanwhile the centre is stopped for a while, and
// killed too. Of what a sensor's broker has acknowledged every message is kept at
// the station, every opening of a door is counted once, at the centre too, and each
// smoke detector that has called has one alarm.
//
// Doors that come and go like these chatter, so that their alarms are held and
// count: it is openings that are compared. Smoke detectors never chatter.
func TestKill(t *testing.T) {
	// At least so many kills and messages, and as many more as there is time for.
	least, messages, smokes, lasts := 30, int64(0), 4, 20*time.Second
	if long() {
		least, messages, smokes, lasts = 60, 50_000, 25, 0
	}
	const publishersEach = 10
	mosquitto := devicestest.StartDocumented(t, filepath.Join("..", "..", "docs", "mosquitto.md"), "station", "doors")
	broker := freePort(t)
	centre, village := newPair(t, filepath.Join(t.TempDir(), "station"), fmt.Sprintf(`
log: {level: warn}
devices: {broker: {listen: %q}}
record: {min_free: 512MiB, clips_min_free: 128MiB}
store: {space: {low: 512MiB}}
`, broker))
	for _, n := range []*node{centre, village} {
		n.start()
		n.claim()
	}
	village.put("/api/v1/brokers/mosquitto", map[string]any{
		"url": mosquitto.URL(), "username": "station", "password": devicestest.Password("station"), "topics": []string{"devices/#"},
	}, nil)
	var account station.DeviceCredential
	village.put("/api/v1/devices/doors", nil, &account)

	var publishers []*doors
	for i := range publishersEach {
		window := 1 + 3*(i%4)
		publishers = append(publishers,
			newDoors(village.put, "embedded", &publisher{address: broker, client: fmt.Sprint("embedded-", i), user: account.Username, password: account.Password, window: window}, 30*time.Millisecond, smokes),
			// Less of it: what Mosquitto cannot pass on now is for the end of the test.
			newDoors(village.put, "mosquitto", &publisher{address: mosquitto.Addr, client: fmt.Sprint("mosquitto-", i), user: "doors", password: devicestest.Password("doors"), window: window}, 60*time.Millisecond, smokes))
	}
	linked := func() error {
		s := village.status()
		for _, b := range s.Brokers {
			if b.ID == "mosquitto" && b.Connected {
				return nil
			}
		}
		return fmt.Errorf("brokers %+v", s.Brokers)
	}
	eventually(t, 10*time.Second, "Mosquitto is linked to", linked)

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	if long() {
		ctx, cancel = context.WithTimeout(t.Context(), 2*time.Hour)
	}
	defer cancel()
	var publishing sync.WaitGroup
	defer publishing.Wait()
	defer cancel()
	closing := make(chan struct{})
	for _, d := range publishers {
		publishing.Go(func() { d.err = d.run(ctx, closing) })
	}
	acknowledged := func(route string) (n int64) {
		for _, d := range publishers {
			if d.route == route {
				n += d.acked.Load()
			}
		}
		return n
	}

	sent := func() (n int64) {
		for _, d := range publishers {
			n += d.sent.Load()
		}
		return n
	}

	began := time.Now()
	var starts []time.Duration
	centreKills, centreStops := 0, 0
	kills := 0
	for ; kills < least || sent() < messages || time.Since(began) < lasts; kills++ {
		// Each life is long enough to take alarms in on both ways, and is cut off
		// at no particular moment.
		before := acknowledged("embedded")
		eventually(t, 20*time.Second, "alarms are taken in again", func() error {
			if got := acknowledged("embedded") - before; got < 20 {
				return fmt.Errorf("%d acknowledged in this life", got)
			}
			return linked()
		})
		switch kills % 20 {
		case 6:
			code, _ := centre.stop(syscall.SIGTERM, 10*time.Second)
			if code != 0 {
				t.Errorf("the centre: SIGTERM: exit code %d", code)
			}
			centreStops++
		case 10:
			centre.start()
		case 12, 13, 15, 17, 18:
			time.Sleep(rand.N(300 * time.Millisecond))
			centre.kill()
			centreKills++
			centre.start()
		}
		time.Sleep(rand.N(500 * time.Millisecond))
		village.kill()
		starts = append(starts, village.start())
	}
	took := time.Since(began)
	if !centre.running() {
		centre.start()
	}

	close(closing)
	eventually(t, 60*time.Second, "everything is acknowledged", func() error {
		waiting := 0
		for _, d := range publishers {
			if d.running.Load() {
				waiting++
			}
		}
		if waiting > 0 {
			return fmt.Errorf("%d publishers wait", waiting)
		}
		return nil
	})
	publishing.Wait()
	for _, d := range publishers {
		if d.err != nil {
			t.Fatal(d.err)
		}
	}
	// The last word is "shut", after everything else has come.
	eventually(t, 300*time.Second, "every opening is counted and every door is shut", func() error {
		counted := openings(village.alarms(), "")
		for _, d := range publishers {
			for _, s := range d.sensors {
				if n := counted.of(s.id); n < s.seq {
					return fmt.Errorf("%s: %d of %d", s.id, n, s.seq)
				}
			}
		}
		live := 0
		for _, a := range village.alarms() { // in a flood they are live and not on the desk
			if a.Kind != station.KindDoor || a.State == station.StateCleared {
				continue
			}
			live++
			for _, d := range publishers {
				for _, s := range d.sensors {
					if s.id == a.Sensor {
						d.say(t, s)
					}
				}
			}
		}
		if live > 0 {
			time.Sleep(2 * time.Second) // a chattering door is held for so long
			return fmt.Errorf("%d alarms are live", live)
		}
		return nil
	})
	eventually(t, 60*time.Second, "everything is at the centre", func() error {
		if s := village.status(); s.Uplink == nil || slices.ContainsFunc(s.Uplink.Lanes, func(l console.LaneStatus) bool { return l.Backlog > 0 }) {
			return fmt.Errorf("uplink %+v", s.Uplink)
		}
		return nil
	})

	// From here on only what people see, and what the publishers know.
	atStation, atCentre := village.alarms(), centre.alarms()
	for _, a := range slices.Concat(atStation, atCentre) {
		if a.Kind == station.KindDoor && a.State != station.StateCleared {
			t.Errorf("a door is shut, and its alarm says %+v", a)
			break
		}
	}
	told := lastTold(t, centre.journal())
	seen := map[string]openedDoors{
		"the station's alarms": openings(atStation, ""),
		"the centre's alarms":  openings(atCentre, "village-1."),
		"the centre's journal": openings(told, "village-1."),
	}
	called := map[string]map[string][]int{
		"the station's alarms": calls(atStation, ""),
		"the centre's alarms":  calls(atCentre, "village-1."),
		"the centre's journal": calls(told, "village-1."),
	}
	liveAtLast := slices.Concat(village.live(), centre.live())
	turned := village.log.all(0, `msg="sensor client turned away".*`)
	if code, _ := village.stop(syscall.SIGTERM, 10*time.Second); code != 0 {
		t.Errorf("SIGTERM: exit code %d", code)
	}
	kept := openRecords(t, village)
	for _, route := range []string{"embedded", "mosquitto"} {
		openings, published, resent, missing, lost, twice, alarms := 0, int64(0), 0, 0, 0, 0, 0
		for _, d := range publishers {
			if d.route != route {
				continue
			}
			openings, published, resent = openings+d.published(), published+d.sent.Load(), resent+d.resent
			for _, s := range d.sensors {
				n, inOrder := kept.of(s, "door", 2)
				if missing += n; !inOrder {
					t.Errorf("%s: its messages were not taken in in order", s.id)
				}
				for place, all := range seen {
					if n := all.of(s.id); n < s.seq {
						lost += s.seq - n
					} else {
						twice += n - s.seq
					}
					// Each alarm says which openings it counts.
					if !all.inOrder(s.id) {
						t.Errorf("%s: %s are not in order: %v", s.id, place, all[s.id])
					}
				}
			}
			for _, s := range d.smokes {
				n, _ := kept.of(s, "smoke", 1)
				missing += n
				alarms += s.seq
				for place, all := range called {
					if got := all[s.id]; len(got) != s.seq || s.seq == 1 && got[0] != 1 {
						t.Errorf("%s has called %d times, and among %s there are %d (counting %v)", s.id, s.seq, place, len(got), got)
					}
				}
			}
		}
		t.Logf("%s: %d messages published and acknowledged, of which %d were sent again by the publishers, and %d are not kept; %d openings, in three places lost %d, twice %d; %d smoke alarms",
			route, published, resent, missing, openings, lost, twice, alarms)
		if missing+lost+twice > 0 {
			t.Errorf("%s: %d messages are lost, %d openings are lost and %d are counted twice", route, missing, lost, twice)
		}
		if resent == 0 && route == "embedded" {
			t.Error("no message was sent again: the kills met nothing on its way")
		}
		if alarms == 0 {
			t.Error("no smoke detector has called")
		}
	}
	slices.Sort(starts)
	t.Logf("%d kills of the station and %d of the centre, which was stopped %d times, in %v; kill → ready p50 %v, at most %v",
		kills, centreKills, centreStops, took.Round(time.Second), starts[len(starts)/2].Round(time.Millisecond), starts[len(starts)-1].Round(time.Millisecond))
	if len(turned) > 0 {
		t.Errorf("a client that is known was turned away %d times: %s", len(turned), turned[0][0])
	}
	for _, a := range liveAtLast {
		// So many alarms are a flood, which is over in ten minutes; a smoke alarm
		// waits for an answer.
		if a.Kind != station.KindFlood && a.Kind != station.KindSmoke {
			t.Errorf("an alarm is live still: %+v", a)
			break
		}
	}
}

//go:build linux

package main_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"stationd/agent/console"
	"stationd/agent/station"
	"stationd/devices/devicestest"
)

// TestKill kills the station again and again while sensors publish alarms, half
// of them through the built-in broker, half through a Mosquitto that stays up;
// meanwhile the centre is stopped for a while, and killed too. What a sensor's
// broker has acknowledged is at the station and at the centre once, and each
// sensor's alarms are in order.
func TestKill(t *testing.T) {
	// At least so many kills, and as many more as there is time for.
	least, most, lasts := 40, 100, time.Minute
	if long() {
		least, most, lasts = 500, 500, 0
	}
	// Its window is the default one. When it is behind, Mosquitto then keeps
	// neither to the order of messages nor to the window (2.0.11 of Debian 12):
	// "shut" may come before its "open". So what is counted are openings, not
	// alarms: doors that chatter like these are held in one alarm, which counts.
	mosquitto := devicestest.StartMosquitto(t)
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
	village.put("/api/v1/brokers/mosquitto", map[string]any{"url": mosquitto.URL(), "topics": []string{"doors/#"}}, nil)
	var account station.DeviceCredential
	village.put("/api/v1/devices/doors", nil, &account)

	var publishers []*doors
	for i := range 4 {
		publishers = append(publishers,
			newDoors(village, "embedded", &publisher{address: broker, client: fmt.Sprint("embedded-", i), user: account.Username, password: account.Password, window: 1 + 3*i}, 15*time.Millisecond),
			// Less of it: what Mosquitto cannot pass on now is for the end of the test.
			newDoors(village, "mosquitto", &publisher{address: mosquitto.Addr, client: fmt.Sprint("mosquitto-", i), window: 1 + 3*i}, 100*time.Millisecond))
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

	began := time.Now()
	var starts []time.Duration
	centreKills, centreStops := 0, 0
	kills := 0
	for ; kills < least || kills < most && time.Since(began) < lasts; kills++ {
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
	eventually(t, 120*time.Second, "every opening is counted and every door is shut", func() error {
		counted := openings(village.alarms(), "")
		for _, d := range publishers {
			for _, s := range d.sensors {
				if n := counted.of(s.id); n < s.seq {
					return fmt.Errorf("%s: %d of %d", s.id, n, s.seq)
				}
			}
		}
		live := 0
		for _, a := range village.live() {
			if a.Kind != station.KindDoor {
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
	seen := map[string]openedDoors{
		"the station's alarms": openings(atStation, ""),
		"the centre's alarms":  openings(atCentre, "village-1."),
		"the centre's journal": openings(lastTold(t, centre.journal()), "village-1."),
	}
	for _, route := range []string{"embedded", "mosquitto"} {
		sent, resent, lost, twice := 0, 0, 0, 0
		for _, d := range publishers {
			if d.route != route {
				continue
			}
			sent, resent = sent+d.published(), resent+d.resent
			for _, s := range d.sensors {
				for place, all := range seen {
					if n := all.of(s.id); n < s.seq {
						lost += s.seq - n
					} else {
						twice += n - s.seq
					}
					// The built-in broker keeps the order, so that each alarm says
					// which openings it counts.
					if route == "embedded" && !all.inOrder(s.id) {
						t.Errorf("%s: %s are not in order: %v", s.id, place, all[s.id])
					}
				}
			}
		}
		t.Logf("%s: %d openings published and acknowledged, %d messages sent again by the publishers; lost %d, twice %d", route, sent, resent, lost, twice)
		if lost+twice > 0 {
			t.Errorf("%s: %d openings are lost and %d are counted twice, in three places", route, lost, twice)
		}
		if resent == 0 && route == "embedded" {
			t.Error("no message was sent again: the kills met nothing on its way")
		}
	}
	slices.Sort(starts)
	t.Logf("%d kills of the station and %d of the centre, which was stopped %d times, in %v; kill → ready p50 %v, at most %v",
		kills, centreKills, centreStops, took.Round(time.Second), starts[len(starts)/2].Round(time.Millisecond), starts[len(starts)-1].Round(time.Millisecond))
	if turned := village.log.all(0, `msg="sensor client turned away".*`); len(turned) > 0 {
		t.Errorf("a client that is known was turned away %d times: %s", len(turned), turned[0][0])
	}
	for _, a := range slices.Concat(village.live(), centre.live()) {
		if a.Kind != station.KindFlood { // so many alarms are one; it is over in ten minutes
			t.Errorf("an alarm is live still: %+v", a)
			break
		}
	}
}

// doors is a publisher with a few doors that are opened and shut. Each opening
// has the door's next number in its payload, and so has the alarm.
type doors struct {
	*publisher
	route   string
	sensors []*door
	acked   atomic.Int64  // openings
	pace    time.Duration // between two openings
	running atomic.Bool
	err     error
}

type door struct {
	id, topic string
	seq       int
}

func newDoors(n *node, broker string, p *publisher, pace time.Duration) *doors {
	d := &doors{publisher: p, route: broker, pace: pace}
	for i := range 2 {
		s := &door{id: fmt.Sprint(p.client, "-", i), topic: fmt.Sprint("doors/", p.client, "/", i)}
		d.sensors = append(d.sensors, s)
		n.put("/api/v1/sensors/"+s.id, station.Sensor{
			Name: s.id, Class: station.ClassDoor,
			Source: station.SensorSource{Broker: broker, Family: "json", Topic: s.topic, Fields: map[string]string{"door": "open", "seq": "seq"}},
		}, nil)
	}
	return d
}

// run opens and shuts the doors until it is told to close.
func (d *doors) run(ctx context.Context, closing <-chan struct{}) error {
	d.running.Store(true)
	defer d.running.Store(false)
	feed := make(chan *publication)
	var feeding sync.WaitGroup
	defer feeding.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	feeding.Go(func() {
		defer close(feed)
		pace := time.NewTicker(d.pace)
		defer pace.Stop()
		for {
			for _, s := range d.sensors {
				select {
				case <-closing:
					return
				case <-ctx.Done():
					return
				case <-pace.C:
				}
				s.seq++
				for _, open := range []bool{true, false} {
					m := &publication{topic: s.topic, payload: fmt.Appendf(nil, `{"open":%t,"seq":%d}`, open, s.seq)}
					if open {
						m.acked = func() { d.acked.Add(1) }
					}
					select {
					case feed <- m:
					case <-ctx.Done():
						return
					}
				}
			}
		}
	})
	return d.publisher.run(ctx, feed)
}

func (d *doors) published() (n int) {
	for _, s := range d.sensors {
		n += s.seq
	}
	return n
}

// say shuts a door once more.
func (d *doors) say(t *testing.T, s *door) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	feed := make(chan *publication, 1)
	feed <- &publication{topic: s.topic, payload: fmt.Appendf(nil, `{"open":false,"seq":%d}`, s.seq)}
	close(feed)
	if err := d.publisher.run(ctx, feed); err != nil {
		t.Fatal(err)
	}
}

// openedDoors are the alarms of each door, in the order in which they were raised.
type openedDoors map[string][]opened

// opened is one alarm: the number of the opening that raised it, and how many it
// counts.
type opened struct{ first, count int }

// openings lists them.
func openings(alarms []station.Alarm, prefix string) openedDoors {
	slices.SortStableFunc(alarms, func(x, y station.Alarm) int { return cmp.Compare(x.Seq, y.Seq) })
	out := openedDoors{}
	for _, a := range alarms {
		if a.Kind == station.KindDoor {
			id := strings.TrimPrefix(a.Sensor, prefix)
			out[id] = append(out[id], opened{number(a), a.Count})
		}
	}
	return out
}

// of is how many openings of a door are counted.
func (o openedDoors) of(id string) (n int) {
	for _, a := range o[id] {
		n += a.count
	}
	return n
}

// inOrder tells whether each alarm begins behind what the one before it counts.
func (o openedDoors) inOrder(id string) bool {
	next := 1
	for _, a := range o[id] {
		if a.first != next {
			return false
		}
		next += a.count
	}
	return true
}

func number(a station.Alarm) int {
	n, _ := a.Values["seq"].(float64)
	return int(n)
}

// lastTold is what a journal says last of each alarm. An alarm is raised once, and
// before anything else is told of it.
func lastTold(t *testing.T, journal []station.Event) []station.Alarm {
	t.Helper()
	last := map[string]station.Alarm{}
	for _, ev := range journal {
		if !strings.HasPrefix(ev.Subject, "alarm/") || !strings.HasPrefix(ev.Type, "cityops.alarm.") {
			continue
		}
		var a station.Alarm
		if err := json.Unmarshal(ev.Data, &a); err != nil {
			t.Fatal(err)
		}
		if a.ID == "" {
			continue // not an alarm but what was done about one
		}
		if _, known := last[a.ID]; known == (ev.Type == station.EventAlarmRaised) {
			t.Errorf("event %d is %s of number %d of %s, which was raised before: %t", ev.Seq, ev.Type, number(a), a.Sensor, known)
		}
		last[a.ID] = a
	}
	return slices.Collect(maps.Values(last))
}

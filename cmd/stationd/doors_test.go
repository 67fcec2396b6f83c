//go:build linux

package main_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stationd/agent/history"
	"stationd/agent/station"
	"stationd/agent/store"
)

// doors is a publisher with a few doors that are opened and shut, and with smoke
// detectors that each call once. Each opening has the door's next number in its
// payload, and so has the alarm.
type doors struct {
	*publisher
	route   string
	sensors []*door
	smokes  []*door       // those that have called have a number
	acked   atomic.Int64  // openings
	sent    atomic.Int64  // messages
	pace    time.Duration // between two openings
	running atomic.Bool
	err     error
}

// smokeEvery is after how many openings one of the smoke detectors calls.
const smokeEvery = 20

type door struct {
	id, topic string
	seq       int
}

func newDoors(put func(path string, body, reply any), broker string, p *publisher, pace time.Duration, smokes int) *doors {
	d := &doors{publisher: p, route: broker, pace: pace}
	add := func(to *[]*door, class, field, name string) {
		s := &door{id: p.client + "-" + name, topic: "devices/doors/" + p.client + "/" + name}
		*to = append(*to, s)
		put("/api/v1/sensors/"+s.id, station.Sensor{
			Name: s.id, Class: class,
			Source: station.SensorSource{Broker: broker, Family: "json", Topic: s.topic, Fields: map[string]string{field: "on", "seq": "seq"}},
		}, nil)
	}
	for i := range 2 {
		add(&d.sensors, station.ClassDoor, "door", fmt.Sprint(i))
	}
	for i := range smokes {
		add(&d.smokes, station.ClassSmoke, "smoke", fmt.Sprint("smoke-", i))
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
		publish := func(s *door, on bool, acked func()) bool {
			m := &publication{topic: s.topic, payload: fmt.Appendf(nil, `{"on":%t,"seq":%d}`, on, s.seq), acked: acked}
			select {
			case feed <- m:
				d.sent.Add(1)
				return true
			case <-ctx.Done():
				return false
			}
		}
		for n := 1; ; n++ {
			s := d.sensors[n%len(d.sensors)]
			select {
			case <-closing:
				return
			case <-ctx.Done():
				return
			case <-pace.C:
			}
			s.seq++
			if !publish(s, true, func() { d.acked.Add(1) }) || !publish(s, false, nil) {
				return
			}
			if k := n / smokeEvery; n%smokeEvery == 0 && k <= len(d.smokes) {
				d.smokes[k-1].seq++
				if !publish(d.smokes[k-1], true, nil) {
					return
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
	feed <- &publication{topic: s.topic, payload: fmt.Appendf(nil, `{"on":false,"seq":%d}`, s.seq)}
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

// calls are the numbers of alarms of each smoke detector, each with how often it
// was counted.
func calls(alarms []station.Alarm, prefix string) map[string][]int {
	out := map[string][]int{}
	for _, a := range alarms {
		if a.Kind == station.KindSmoke {
			id := strings.TrimPrefix(a.Sensor, prefix)
			out[id] = append(out[id], a.Count)
		}
	}
	return out
}

// records are the messages that a station has kept, read from its store when it
// does not run.
type records struct {
	t       *testing.T
	history *history.History
}

func openRecords(t *testing.T, n *node) records {
	t.Helper()
	cfg := store.DefaultConfig()
	cfg.Dir, cfg.Node = filepath.Join(n.data, "store"), station.NodeID(n.id)
	st, err := store.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return records{t, history.New(history.DefaultConfig(), st, time.Now, slog.New(slog.DiscardHandler))}
}

// of tells what is kept of a sensor: how many of its messages are not, and whether
// they were taken in in the order in which they were sent. each is how many there
// are of one number: a door is opened, and shut.
func (r records) of(s *door, field string, each int) (lost int, inOrder bool) {
	r.t.Helper()
	place := func(seq int, on bool) int {
		if on || each == 1 {
			return each * seq
		}
		return each*seq + 1
	}
	had, last := map[int]bool{}, 0
	inOrder = true
	for reading, err := range r.history.Readings(r.t.Context(), s.id, time.Now().Add(-2*year), time.Now().Add(2*year)) {
		if err != nil {
			r.t.Fatal(err)
		}
		seq, _ := reading.Values["seq"].(float64)
		on, _ := reading.Values[field].(bool)
		at := place(int(seq), on)
		if had[at] {
			continue // it was sent again
		}
		inOrder = inOrder && at > last
		had[at], last = true, at
	}
	for seq := 1; seq <= s.seq; seq++ {
		for _, on := range []bool{true, false}[:each] {
			if !had[place(seq, on)] {
				lost++
			}
		}
	}
	return lost, inOrder
}

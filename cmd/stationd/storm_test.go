//go:build linux

package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stationd/agent/station"
)

// TestStorm offers a station twice what it can take in, from 500 sensors, doors
// among them that are opened and shut, and lets smoke detectors alarm in the
// middle of it, behind one of the busy bridges and on a connection of their own.
// Times are compared with those of the same run.
func TestStorm(t *testing.T) {
	lasts, sustain := 15*time.Second, 4*time.Second
	if long() {
		lasts, sustain = time.Minute, 10*time.Second
	}
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
	var account station.DeviceCredential
	village.put("/api/v1/devices/storm", nil, &account)
	const bridges, each, smokes, calm = 25, 20, 8, 60
	furnish(village.desk, bridges, each, smokes+calm)
	login := func(client string, window int) *publisher {
		return &publisher{address: broker, client: client, user: account.Username, password: account.Password, window: window}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	admitted := login("probe", 1)
	eventually(t, 20*time.Second, "the sensors are let in", func() error {
		feed := make(chan *publication)
		close(feed)
		return admitted.session(ctx, feed)
	})

	// One publisher, one message after the other: what a commit takes.
	commit := func(client string, n int) time.Duration {
		var took []time.Duration
		one := newCaller(ctx, login(client, 1))
		for i := range n {
			took = append(took, one.call(t, "storm/0/0", fmt.Sprintf(`{"open":false,"n":%d}`, -i)))
		}
		one.close()
		slices.Sort(took)
		return took[len(took)/2]
	}
	quiet := commit("quiet", 200)

	crowd := newCrowd(ctx, bridges, each, login)
	sustained := crowd.drive(sustain, 0)
	t.Logf("quiet commit %v; %d sensors on %d connections sustain %.0f readings/s", quiet, bridges*each, bridges, sustained)

	// The desk is open meanwhile.
	desk := village.watchAlarms(ctx)
	own := newCaller(ctx, login("smoke", 1))
	alarm := func(n int) (durable, seen time.Duration) {
		id := fmt.Sprintf("smoke-%d", n)
		began := time.Now()
		durable = own.call(t, "smoke/"+id, `{"smoke":true}`)
		select {
		case at := <-desk.seen(id):
			seen = at.Sub(began)
		case <-time.After(30 * time.Second):
			t.Errorf("the alarm of %s is not on the desk", id)
		}
		return durable, seen
	}
	ordinary := make(chan float64, 1)
	go func() { ordinary <- crowd.drive(sustain, min(1000, sustained/2)) }()
	var onDesk []time.Duration
	for i := range calm {
		_, seen := alarm(smokes + i)
		onDesk = append(onDesk, seen)
		time.Sleep(sustain / (2 * calm))
	}
	rate := <-ordinary
	slices.Sort(onDesk)
	t.Logf("at %.0f readings/s an alarm is on the desk after %v, p99 %v", rate, onDesk[len(onDesk)/2], onDesk[len(onDesk)*99/100])

	storm := make(chan float64, 1)
	go func() { storm <- crowd.drive(lasts, 2*sustained) }()
	time.Sleep(lasts / 4)
	busy := commit("busy", 50)
	var durable, seen, pages []time.Duration
	for i := range smokes {
		d, s := alarm(i)
		durable, seen = append(durable, d), append(seen, s)
		asked := time.Now()
		village.live()
		pages = append(pages, time.Since(asked))
		time.Sleep(lasts / 40)
	}
	own.close()
	inStorm := <-storm
	crowd.close(t)
	desk.close()
	slices.Sort(durable)
	slices.Sort(seen)
	slices.Sort(pages)
	t.Logf("storm: offered %.0f/s, taken in %.0f/s, left out by the sensors %d; commit meanwhile %v; smoke durable after %v to %v, on the desk after %v to %v; the desk's list in %v to %v",
		2*sustained, inStorm, crowd.leftOut.Load(), busy, durable[0], durable[len(durable)-1], seen[0], seen[len(seen)-1], pages[0], pages[len(pages)-1])
	// The median, because the machine that tests has other things to do.
	if half := durable[len(durable)/2]; half > 10*max(busy, quiet) {
		t.Errorf("a smoke alarm was durable after %v, that is more than ten commits of %v", half, max(busy, quiet))
	}
	if half := seen[len(seen)/2]; half > time.Second {
		t.Errorf("a smoke alarm was on the desk after %v", half)
	}

	// Nothing is lost: each sensor's last word is known, each smoke is one alarm,
	// here and at the centre, and what bulk gave up is counted.
	var list struct {
		Sensors []struct{ State station.SensorState }
	}
	eventually(t, 30*time.Second, "what each sensor said last is stored", func() error {
		village.get("/api/v1/sensors", &list)
		for _, s := range list.Sensors {
			want, ok := crowd.last(s.State.Sensor)
			if n, _ := s.State.Values["seq"].(float64); ok && int(n) != want {
				return fmt.Errorf("%s is at %v of %d", s.State.Sensor, s.State.Values["seq"], want)
			}
		}
		return nil
	})
	dropped := 0
	for _, ev := range village.journal() { // a desk that is behind gets only the newest reading of each sensor
		if ev.Type != station.EventReadingsDropped {
			continue
		}
		var d station.Dropped
		if err := json.Unmarshal(ev.Data, &d); err != nil {
			t.Fatal(err)
		}
		dropped += int(d.Count)
	}
	_, metrics, err := village.do(http.MethodGet, "/metrics", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	stored := metric(t, metrics, "stationd_sensor_reports_total")
	said := int(crowd.acked.Load()) + 250 + smokes + calm // those of the lone publishers too
	t.Logf("%d messages acknowledged, %d stored, %d counted as dropped", said, stored, dropped)
	if stored+dropped < said {
		t.Errorf("%d messages are neither stored nor counted as dropped", said-stored-dropped)
	}
	// Dozens of doors were opened within seconds: the centre is told of one flood.
	if n := floods(t, centre.journal()); n != 1 {
		t.Errorf("the centre was told of %d floods", n)
	}
	for place, n := range map[string]*node{"station": village, "centre": centre} {
		prefix := map[string]string{"station": "", "centre": "village-1."}[place]
		eventually(t, 60*time.Second, "each smoke is one alarm at the "+place, func() error {
			times := map[string]int{}
			for _, a := range n.live() {
				if a.Kind == station.KindSmoke {
					times[strings.TrimPrefix(a.Sensor, prefix)]++
				}
			}
			for i := range smokes + calm {
				if times[fmt.Sprintf("smoke-%d", i)] != 1 {
					return fmt.Errorf("%v", times)
				}
			}
			return nil
		})
	}
}

// furnish registers the doors of a crowd, and smoke detectors beside them.
func furnish(d *desk, bridges, each, smokes int) {
	d.t.Helper()
	for b := range bridges {
		for i := range each {
			id := fmt.Sprintf("door-%d-%d", b, i)
			d.put("/api/v1/sensors/"+id, station.Sensor{
				Name: id, Place: fmt.Sprintf("%d号楼 %d01 室", b+1, i+1), Class: station.ClassDoor, Adopted: true,
				Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "json", Topic: fmt.Sprintf("storm/%d/%d", b, i), Fields: map[string]string{"door": "open", "seq": "n"}},
			}, nil)
		}
	}
	for i := range smokes {
		id := fmt.Sprintf("smoke-%d", i)
		d.put("/api/v1/sensors/"+id, station.Sensor{
			Name: id, Place: fmt.Sprintf("7号楼 %d02 室", i+1), Class: station.ClassSmoke, Adopted: true,
			Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "json", Topic: "smoke/" + id, Fields: map[string]string{"smoke": "smoke"}},
		}, nil)
	}
}

// floods counts the floods that a node's journal tells of.
func floods(t *testing.T, journal []station.Event) int {
	t.Helper()
	all := map[string]bool{}
	for _, ev := range journal {
		if ev.Type == station.EventFlood {
			all[ev.Subject] = true
		}
	}
	return len(all)
}

// metric reads a counter without labels.
func metric(t *testing.T, text []byte, name string) int {
	t.Helper()
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(f)
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// caller publishes one message after the other.
type caller struct {
	feed chan *publication
	done chan error
}

func newCaller(ctx context.Context, p *publisher) *caller {
	c := &caller{feed: make(chan *publication), done: make(chan error, 1)}
	go func() { c.done <- p.run(ctx, c.feed) }()
	return c
}

// call returns how long the acknowledgement took.
func (c *caller) call(t *testing.T, topic, payload string) time.Duration {
	t.Helper()
	acked := make(chan time.Time, 1)
	m := &publication{topic: topic, payload: []byte(payload), acked: func() { acked <- time.Now() }}
	began := time.Now()
	select {
	case c.feed <- m:
	case err := <-c.done:
		t.Fatal(err)
	}
	select {
	case at := <-acked:
		return at.Sub(began)
	case err := <-c.done:
		t.Fatal(err)
	case <-time.After(time.Minute):
		t.Fatalf("%s was not acknowledged within a minute", topic)
	}
	return 0
}

func (c *caller) close() {
	close(c.feed)
	<-c.done
}

// crowd is the sensors behind many bridges.
type crowd struct {
	each    int
	feeds   []chan *publication
	done    []chan error
	acked   atomic.Int64
	leftOut atomic.Int64

	mu     sync.Mutex
	number map[string]int
}

func newCrowd(ctx context.Context, bridges, each int, login func(string, int) *publisher) *crowd {
	c := &crowd{each: each, number: map[string]int{}}
	for b := range bridges {
		feed, done := make(chan *publication), make(chan error, 1)
		p := login(fmt.Sprint("bridge-", b), 40)
		c.feeds, c.done = append(c.feeds, feed), append(c.done, done)
		go func() { done <- p.run(ctx, feed) }()
	}
	return c
}

// drive lets the crowd speak for a while, at a rate of its own or, when that is
// zero, as fast as it is listened to, and returns how many readings a second were
// acknowledged. One in twenty opens or shuts its door.
func (c *crowd) drive(span time.Duration, rate float64) (perSecond float64) {
	before, began := c.acked.Load(), time.Now()
	var all sync.WaitGroup
	for b, feed := range c.feeds {
		all.Go(func() {
			step := time.Duration(0)
			if rate > 0 {
				step = time.Duration(float64(time.Second) * float64(len(c.feeds)) / rate)
			}
			end := time.NewTimer(span)
			defer end.Stop()
			for n, due := 0, began; time.Since(began) < span; n++ {
				m := c.next(b, n)
				if step == 0 {
					select {
					case feed <- m:
						c.said(b, n, m)
					case <-end.C:
						return
					}
					continue
				}
				time.Sleep(time.Until(due))
				due = due.Add(step)
				select {
				case feed <- m:
					c.said(b, n, m)
				case <-time.After(step / 2):
					c.leftOut.Add(1)
				}
			}
		})
	}
	all.Wait()
	return float64(c.acked.Load()-before) / time.Since(began).Seconds()
}

func (c *crowd) id(b, n int) string { return fmt.Sprintf("door-%d-%d", b, n%c.each) }

func (c *crowd) next(b, n int) *publication {
	c.mu.Lock()
	number := c.number[c.id(b, n)] + 1
	c.mu.Unlock()
	open := number%40 < 20 && number%20 == 0
	return &publication{
		topic: fmt.Sprintf("storm/%d/%d", b, n%c.each), payload: fmt.Appendf(nil, `{"open":%t,"n":%d}`, open, number),
		acked: func() { c.acked.Add(1) },
	}
}

func (c *crowd) said(b, n int, _ *publication) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.number[c.id(b, n)]++
}

// last is the last number that a sensor of the crowd has said.
func (c *crowd) last(sensor string) (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.number[sensor]
	return n, ok
}

// close waits until everything is acknowledged.
func (c *crowd) close(t *testing.T) {
	t.Helper()
	for _, feed := range c.feeds {
		close(feed)
	}
	for _, done := range c.done {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(2 * time.Minute):
			t.Fatal("not everything is acknowledged after two minutes")
		}
	}
}

// alarmWatch is an open desk: it notes when each sensor's alarm appears.
type alarmWatch struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu    sync.Mutex
	waits map[string]chan time.Time
}

func (d *desk) watchAlarms(ctx context.Context) *alarmWatch {
	d.t.Helper()
	w := &alarmWatch{done: make(chan struct{}), waits: map[string]chan time.Time{}}
	ctx, w.cancel = context.WithCancel(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+"/api/v1/events", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	client := *d.http
	client.Timeout = 0
	resp, err := client.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	go func() {
		defer close(w.done)
		defer resp.Body.Close()
		lines := bufio.NewReaderSize(resp.Body, 1<<20)
		for raised := false; ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if kind, ok := strings.CutPrefix(line, "event: "); ok {
				raised = strings.TrimSpace(kind) == station.EventAlarmRaised
			}
			data, ok := strings.CutPrefix(line, "data: ")
			if !ok || !raised {
				continue
			}
			at := time.Now()
			var ev struct{ Data station.Alarm }
			if json.Unmarshal([]byte(data), &ev) == nil {
				select {
				case w.seen(ev.Data.Sensor) <- at:
				default:
				}
			}
		}
	}()
	return w
}

// seen receives when the first alarm of a sensor appeared.
func (w *alarmWatch) seen(sensor string) chan time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waits[sensor] == nil {
		w.waits[sensor] = make(chan time.Time, 1)
	}
	return w.waits[sensor]
}

func (w *alarmWatch) close() {
	w.cancel()
	<-w.done
}

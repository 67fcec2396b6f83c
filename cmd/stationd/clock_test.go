//go:build linux

package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"stationd/agent"
	"stationd/agent/account"
	"stationd/agent/history"
	"stationd/agent/station"
	"stationd/agent/store"
	"stationd/devices"
	"stationd/devices/devicestest"
)

const year = 365 * 24 * time.Hour

// wallClock is the machine's clock as somebody sets it: what it says jumps, and its
// monotonic reading, by which Go measures, does not.
type wallClock struct{ step atomic.Int64 }

func (c *wallClock) set(step time.Duration) { c.step.Store(int64(step)) }

func (c *wallClock) now() time.Time {
	t := time.Now()
	// The first word of a time with a monotonic reading has the seconds above
	// thirty bits of nanoseconds. There is no other way to set one apart from the
	// other; TestSetClock sees whether it is still so.
	first := (*uint64)(unsafe.Pointer(&t))
	*first += uint64(time.Duration(c.step.Load())/time.Second) << 30
	return t
}

func TestSetClock(t *testing.T) {
	var c wallClock
	for _, step := range []time.Duration{year, -year, time.Hour, 0} {
		before := c.now()
		c.set(step)
		after := c.now()
		c.set(0)
		if d := after.Sub(before); d < 0 || d > time.Minute {
			t.Errorf("set by %v: the monotonic reading moved by %v", step, d)
		}
		if d := after.Round(0).Sub(before.Round(0)) - step; d.Abs() > time.Minute {
			t.Errorf("set by %v: the wall clock is off by %v", step, d)
		}
	}
}

// core is a station's core and its sensors' brokers in this process, on a clock
// that can be set.
type core struct {
	t       *testing.T
	store   *store.Store
	agent   *agent.Agent
	stop    func()
	history *history.History
}

func startCore(t *testing.T, dir, broker string, clock *wallClock, told func(station.Message)) *core {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	cfg := store.DefaultConfig()
	cfg.Dir, cfg.Node = dir, "village-1"
	st, err := store.Open(cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	var set *devices.Set
	acfg := agent.DefaultConfig()
	acfg.Alarms.ChatterQuiet = time.Second
	a := agent.New(acfg, agent.Deps{
		Store: st, Log: quiet, Now: clock.now,
		CheckSensor: func(s station.Sensor) error { return set.Check(s) },
		Apply: func(r agent.Registry) {
			reg := devices.Registry{Sensors: r.Sensors, States: r.States, Accounts: r.Accounts, JoiningUntil: r.JoiningUntil}
			for _, b := range r.Brokers {
				reg.Brokers = append(reg.Brokers, devices.BrokerLink{Broker: b.Broker, Password: b.Password})
			}
			set.Apply(reg)
		},
		Deliver: func(_ context.Context, _ station.ChannelLink, m station.Message) (station.Delivery, error) {
			told(m)
			return station.Delivery{State: "sent"}, nil
		},
	})
	dcfg := devices.DefaultConfig()
	dcfg.Broker.Listen, dcfg.Grace = broker, 2*time.Second
	set = devices.New(dcfg, devices.Deps{Node: "village-1", Sink: a, Log: quiet, Now: clock.now})
	registry, err := a.Registry()
	if err != nil {
		t.Fatal(err)
	}
	set.Apply(devices.Registry{Sensors: registry.Sensors, States: registry.States, Accounts: registry.Accounts})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{a.Run, set.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	c := &core{t: t, store: st, agent: a, history: history.New(history.DefaultConfig(), st, clock.now, quiet)}
	c.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(c.stop)
	return c
}

func (c *core) order(kind, subject string, body any) station.Receipt {
	c.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	who := station.Actor{Account: "li", Name: "李站长", Role: account.RoleAdmin}
	r := c.agent.Handle(context.Background(), station.Command{ID: station.NewID(), Type: kind, Subject: subject, Actor: who, Issued: time.Now(), Body: raw})
	if r.Problem != nil {
		c.t.Fatal(r.Problem)
	}
	return r
}

// all are the alarms of one kind, over or not.
func (c *core) all(kind station.AlarmKind) (out []station.Alarm) {
	c.t.Helper()
	events, err := c.store.Read(0, 1_000_000, station.LaneUrgent, station.LaneNormal)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, a := range lastTold(c.t, events) {
		if a.Kind == kind {
			out = append(out, a)
		}
	}
	return out
}

// TestClockSteps sets the station's clock by a year, there and back, again and again
// while sensors alarm through its own broker and through a Mosquitto, and while it
// is stopped in between. No message is lost and no alarm doubled, none is taken for
// old news; what waits neither comes a year early nor never.
func TestClockSteps(t *testing.T) {
	t.Parallel()
	mosquitto := devicestest.StartDocumented(t, filepath.Join("..", "..", "docs", "mosquitto.md"), "station", "doors")
	dir, broker := t.TempDir(), freePort(t)
	var clock wallClock
	var mu sync.Mutex
	var told []time.Time
	begin := func() *core {
		return startCore(t, dir, broker, &clock, func(station.Message) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, time.Now())
		})
	}
	c := begin()
	put := func(p string, body, _ any) {
		s := body.(station.Sensor)
		s.ID, s.Adopted = path.Base(p), true
		c.order(station.CommandPutSensor, s.ID, s)
	}
	var doorsAccount station.DeviceCredential
	if err := json.Unmarshal(c.order(station.CommandPutDevice, "doors", nil).Result, &doorsAccount); err != nil {
		t.Fatal(err)
	}
	c.order(station.CommandPutBroker, "mosquitto", map[string]any{
		"id": "mosquitto", "url": mosquitto.URL(), "username": "station", "password": devicestest.Password("station"), "topics": []string{"devices/#"},
	})
	const smokes = 10
	var publishers []*doors
	for i := range 2 {
		publishers = append(publishers,
			newDoors(put, station.EmbeddedBroker, &publisher{address: broker, client: fmt.Sprint("embedded-", i), user: doorsAccount.Username, password: doorsAccount.Password, window: 5}, 20*time.Millisecond, smokes),
			newDoors(put, "mosquitto", &publisher{address: mosquitto.Addr, client: fmt.Sprint("mosquitto-", i), user: "doors", password: devicestest.Password("doors"), window: 5}, 20*time.Millisecond, smokes))
	}
	source := func(topic, field string) station.SensorSource {
		return station.SensorSource{Broker: station.EmbeddedBroker, Family: "json", Topic: topic, Fields: map[string]string{field: "v"}}
	}
	// What waits: a delay, a contact, a silence that is short and one that is long.
	const delay, deskWaits, silence = 6 * time.Second, 6 * time.Second, 30 * time.Second
	put("boiler", station.Sensor{Name: "锅炉房", Class: station.ClassTemperature, Source: source("boiler", "temperature"), Rules: []station.Rule{
		{Kind: station.KindTemperature, Field: "temperature", Op: "gt", Value: 60.0, Timing: station.Timing{For: delay}},
	}}, nil)
	put("meter", station.Sensor{Name: "水表", Class: station.ClassTemperature, Source: source("meter", "temperature"), SilentAfter: silence}, nil)
	put("attic", station.Sensor{Name: "阁楼烟感", Class: station.ClassSmoke, Source: source("attic", "smoke")}, nil)
	c.order(station.CommandPutChannel, "robot", station.ChannelOrder{Channel: station.Channel{ID: "robot", Name: "值班", Kind: station.ChannelWebhook, URL: "https://hook.example.org"}})
	c.order(station.CommandPutContact, "first", station.Contact{ID: "first", Name: "甲", WaitSeconds: 600, Channels: []station.Way{{Channel: "robot"}}})
	c.order(station.CommandPutDuty, "", station.Duty{Escalate: []station.Severity{station.SeverityCritical}, DeskSeconds: int(deskWaits.Seconds()), ParentSeconds: 10})

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	var publishing sync.WaitGroup
	defer publishing.Wait()
	defer cancel()
	say := func(topic, payload string) {
		one := newCaller(ctx, &publisher{address: broker, client: "one", user: doorsAccount.Username, password: doorsAccount.Password, window: 1})
		one.call(t, topic, payload)
		one.close()
	}
	say("attic", `{"v":false}`)
	say("meter", `{"v":20}`)
	say("boiler", `{"v":20}`)
	say("boiler", `{"v":80}`)
	began := time.Now()
	closing := make(chan struct{})
	for _, d := range publishers {
		publishing.Go(func() { d.err = d.run(ctx, closing) })
	}
	steps, restarts := 0, 0
	for i, step := range []time.Duration{year, 0, -year, year, -year, 0, year, -year, 0, -year, year, 0} {
		time.Sleep(400 * time.Millisecond)
		if i%4 == 3 { // while it is stopped
			c.stop()
			clock.set(step)
			c = begin()
			restarts++
			continue
		}
		clock.set(step)
		steps++
	}
	early := func(kind station.AlarmKind, sensor string) error {
		for _, a := range c.all(kind) {
			if a.Sensor == sensor {
				return nil
			}
		}
		return errors.New("no alarm")
	}
	if time.Since(began) < delay && early(station.KindTemperature, "boiler") == nil {
		t.Error("the delay was cut short by the clock")
	}
	eventually(t, 30*time.Second, "the delay's alarm", func() error { return early(station.KindTemperature, "boiler") })
	if took := time.Since(began); took < delay {
		t.Errorf("the delay of %v took %v", delay, took)
	}
	eventually(t, 60*time.Second, "the silent meter is found", func() error { return early(station.KindOffline, "meter") })
	close(closing)
	publishing.Wait()
	for _, d := range publishers {
		if d.err != nil {
			t.Fatal(d.err)
		}
	}
	eventually(t, 60*time.Second, "everything is taken in, and the doors are shut", func() error {
		counted := openings(c.all(station.KindDoor), "")
		for _, d := range publishers {
			for _, s := range d.sensors {
				if n := counted.of(s.id); n < s.seq {
					return fmt.Errorf("%s: %d of %d", s.id, n, s.seq)
				}
			}
		}
		return nil
	})
	eventually(t, 30*time.Second, "the first contact is told", func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(told) == 0 {
			return errors.New("nobody is told")
		}
		return nil
	})
	mu.Lock()
	// The first smoke detector calls after the first openings.
	if first := told[0].Sub(began); first < deskWaits {
		t.Errorf("the first contact was told after %v, before the desk's time of %v was over", first, deskWaits)
	}
	mu.Unlock()

	doorAlarms, smokeAlarms := openings(c.all(station.KindDoor), ""), calls(c.all(station.KindSmoke), "")
	for _, kind := range []station.AlarmKind{station.KindSmoke, station.KindDoor} {
		if i := slices.IndexFunc(c.all(kind), func(a station.Alarm) bool { return a.Late }); i >= 0 {
			t.Errorf("an alarm is taken for old news: %+v", c.all(kind)[i])
		}
	}
	for _, a := range c.all(station.KindOffline) {
		if a.Sensor != "meter" {
			t.Errorf("%q counts as silent by the clock alone", a.Sensor)
		}
	}
	if n := len(c.all(station.KindOffline)); n != 1 {
		t.Errorf("the silent meter raised %d alarms", n)
	}
	messages, missing, called := int64(0), 0, 0
	kept := records{t, c.history}
	for _, d := range publishers {
		messages += d.sent.Load()
		for _, s := range d.sensors {
			n, _ := kept.of(s, "door", 2) // the order of times is not that of the messages here
			missing += n
			if got := doorAlarms.of(s.id); got != s.seq {
				t.Errorf("%s: opened %d times, and its alarms count %d", s.id, s.seq, got)
			}
		}
		for _, s := range d.smokes {
			called += s.seq
			if got := smokeAlarms[s.id]; len(got) != s.seq || s.seq == 1 && got[0] != 1 {
				t.Errorf("%s has called %d times, and its alarms are %v", s.id, s.seq, got)
			}
		}
	}
	if missing > 0 || called == 0 {
		t.Errorf("%d messages are not kept; %d smoke detectors have called", missing, called)
	}
	t.Logf("%d steps of a year while it ran and %d while it did not; %d messages, of which %d are not kept; %d smoke alarms", steps, restarts, messages, missing, called)
}

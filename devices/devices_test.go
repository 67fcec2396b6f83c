package devices_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"

	"stationd/agent/station"
	"stationd/devices"
	"stationd/devices/devicestest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func config() devices.Config {
	cfg := devices.DefaultConfig()
	cfg.Broker.Listen = "127.0.0.1:0"
	cfg.Broker.Hold = 200 * time.Millisecond
	cfg.Link.RetryMin, cfg.Link.RetryMax = 20*time.Millisecond, 200*time.Millisecond
	return cfg
}

// run runs a set for the length of the test.
func run(t *testing.T, cfg devices.Config, sink devices.Sink, reg devices.Registry) *devices.Set {
	t.Helper()
	s := devices.New(cfg, devices.Deps{Node: "n1", Sink: sink, Log: slog.New(slog.DiscardHandler)})
	s.Apply(reg)
	start(t, s)
	return s
}

// start runs s for the length of the test, and returns when it listens.
func start(t *testing.T, s *devices.Set) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run does not return")
		}
	})
	select {
	case <-s.Ready():
	case err := <-done:
		t.Fatalf("Run: %v", err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// linked tells whether the only broker is connected.
func linked(s *devices.Set) func() bool {
	return func() bool { l := s.Links(); return len(l) == 1 && l[0].Connected }
}

// device connects a client with an account to the built-in broker.
func device(t *testing.T, s *devices.Set, username string, password station.Secret) paho.Client {
	t.Helper()
	c, err := devicestest.Connect(t.Context(), devicestest.Config{
		URL: "mqtt://" + s.Addr().String(), Username: username, Password: password, ClientID: "device-" + username,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Disconnect(50) })
	return c
}

func acked(t *testing.T, tok paho.Token) {
	t.Helper()
	if !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatalf("not acknowledged: %v", tok.Error())
	}
}

func TestAHouseholdThroughTheBuiltInBroker(t *testing.T) {
	account, password := devicestest.Account("sim")
	d := &desk{}
	s := run(t, config(), d, devices.Registry{Accounts: []station.BrokerAccount{account}})
	sim := devicestest.Sensors(devicestest.Config{URL: "mqtt://" + s.Addr().String(), Username: "sim", Password: password, Interval: 50 * time.Millisecond})
	s.Apply(devices.Registry{Accounts: []station.BrokerAccount{account}, Sensors: sim.Registered()})
	simulate(t, sim)
	household(t, sim, d)
	if l := s.Lamps()[0]; l.Code != "sensors.ok" || l.Args["total"] != len(sim.Registered()) {
		t.Errorf("lamp %+v", l)
	}
	if st := s.Stats(); st.Undecodable+st.Unrouted+st.Failed > 0 {
		t.Errorf("stats %+v, oddities %+v", st, s.Oddities())
	}
}

func TestAHouseholdThroughMosquitto(t *testing.T) {
	broker := devicestest.StartMosquitto(t)
	d := &desk{}
	sim := devicestest.Sensors(devicestest.Config{URL: broker.URL(), Broker: "yard", Interval: 50 * time.Millisecond})
	reg := devices.Registry{Sensors: sim.Registered(), Brokers: []devices.BrokerLink{{Broker: station.Broker{ID: "yard", URL: broker.URL(), Topics: []string{"#"}}}}}
	cfg := config()
	cfg.Broker.Listen = ""
	s := run(t, cfg, d, reg)
	eventually(t, "link", linked(s))
	simulate(t, sim)
	household(t, sim, d)

	s.Apply(devices.Registry{Sensors: sim.Registered()}) // the broker is removed
	eventually(t, "the end of the link", func() bool { return len(s.Links()) == 0 })
	s.Apply(reg)
	eventually(t, "the link again", linked(s))
	n := len(d.all())
	eventually(t, "readings again", func() bool { return len(d.all()) > n+10 })
}

// TestABrokerThatIsAwayIsAnAlarm: its sensors are not called silent, so that at an
// unattended station nobody would know.
func TestABrokerThatIsAwayIsAnAlarm(t *testing.T) {
	broker := devicestest.StartMosquitto(t)
	sn := z2m("a", station.ClassSmoke)
	sn.Source.Broker = "yard"
	reg := devices.Registry{Sensors: []station.Sensor{sn}, Brokers: []devices.BrokerLink{{Broker: station.Broker{ID: "yard", URL: broker.URL(), Topics: []string{"#"}}}}}
	cfg := config()
	cfg.Broker.Listen = ""
	d := &desk{}
	s := devices.New(cfg, devices.Deps{Node: "n1", Sink: d, Log: slog.New(slog.DiscardHandler)})
	s.SetPatience(100 * time.Millisecond)
	s.Apply(reg)
	start(t, s)
	// On a slow machine the link may take longer than the patience: it is away
	// first then, and that is right.
	until := func(want string) func() bool {
		return func() bool {
			s.Apply(reg) // it makes the timers look at once
			return strings.HasSuffix(d.ownSignals(), want)
		}
	}
	eventually(t, "all is well", until("-offline"))
	broker.Stop()
	eventually(t, "the alarm", until("-offline +offline"))
	s.Apply(devices.Registry{Sensors: reg.Sensors}) // the broker is given up
	eventually(t, "its end", func() bool { return strings.HasSuffix(d.ownSignals(), "-offline +offline -offline") })
}

func simulate(t *testing.T, sim *devicestest.Simulation) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sim.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("simulation: %v", err)
		}
	})
	select {
	case <-sim.Ready():
	case err := <-done:
		t.Fatalf("simulation: %v", err)
	}
}

// household checks that each simulated sensor is heard and can raise its alarm.
func household(t *testing.T, sim *devicestest.Simulation, d *desk) {
	t.Helper()
	for _, sn := range sim.Registered() {
		eventually(t, sn.ID+" is heard", func() bool {
			for _, r := range d.all() {
				if r.Sensor == sn.ID && r.Live && len(r.Values) > 0 && r.Unknown == nil && !r.Late {
					return true
				}
			}
			return false
		})
		if strings.Contains(d.signals(sn.ID), "+") {
			t.Errorf("%s alarms by itself: %s", sn.ID, d.signals(sn.ID))
		}
		if err := sim.Alarm(t.Context(), sn.ID); err != nil {
			t.Fatal(err)
		}
		eventually(t, sn.ID+" alarms", func() bool { return strings.Contains(d.signals(sn.ID), "+"+sn.Class) })
		if err := sim.Normal(t.Context(), sn.ID); err != nil {
			t.Fatal(err)
		}
		if sn.Class == station.ClassSOS {
			continue
		}
		eventually(t, sn.ID+" is normal again", func() bool {
			all := d.signals(sn.ID)
			return strings.LastIndex(all, "-"+sn.Class) > strings.LastIndex(all, "+"+sn.Class)
		})
	}
}

func TestAFailedCommitComesAgain(t *testing.T) {
	account, password := devicestest.Account("z2m")
	d := &desk{}
	fails := 2
	d.setRefuse(func(station.Report) error {
		if fails--; fails >= 0 {
			return errors.New("disk on fire")
		}
		return nil
	})
	s := run(t, config(), d, devices.Registry{Accounts: []station.BrokerAccount{account}, Sensors: []station.Sensor{z2m("a", station.ClassSmoke)}})
	c := device(t, s, "z2m", password)
	acked(t, c.Publish("zigbee2mqtt/a", 1, false, `{"smoke":true}`))
	eventually(t, "the alarm", func() bool { return len(d.all()) == 1 })
	r := d.all()[0]
	if say(r.Signals) != "+smoke" || !r.Duplicate || r.Fingerprint == 0 || r.Link != "embedded/device-z2m" || r.Packet == 0 || r.Part != 0 {
		t.Errorf("got %+v", r)
	}
	if st := s.Links()[0]; st.Refused != 2 {
		t.Errorf("status %+v", st)
	}
}

func TestACommitThatTakesTooLongIsRefused(t *testing.T) {
	account, password := devicestest.Account("z2m")
	cfg := config()
	cfg.CommitTimeout = 100 * time.Millisecond
	var late blocking
	late.release = make(chan struct{})
	s := run(t, cfg, &late, devices.Registry{Accounts: []station.BrokerAccount{account}, Sensors: []station.Sensor{z2m("a", station.ClassSmoke)}})
	tok := device(t, s, "z2m", password).Publish("zigbee2mqtt/a", 1, false, `{"smoke":true}`)
	eventually(t, "refusal", func() bool { return s.Links()[0].Refused > 0 })
	if tok.WaitTimeout(time.Millisecond) {
		t.Error("acknowledged")
	}
	close(late.release)
	acked(t, tok)
}

// blocking is a sink that waits until it is released or given up.
type blocking struct{ release chan struct{} }

func (b *blocking) HandleReport(ctx context.Context, _ station.Report) error {
	select {
	case <-b.release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// full refuses, as a store on its reserve does, whatever raises no alarm.
func full(r station.Report) error {
	for _, s := range r.Signals {
		if s.Active {
			return nil
		}
	}
	return station.ErrNoSpace
}

func TestWithoutSpaceAlarmsPassTheReadingsBeforeThem(t *testing.T) {
	sensors := []station.Sensor{z2m("t", station.ClassTemperature), z2m("a", station.ClassSmoke)}
	t.Run("built-in", func(t *testing.T) {
		account, password := devicestest.Account("z2m")
		d := &desk{}
		d.setRefuse(full)
		// What an unnamed device has been too warm for raised nothing, so its end
		// must not be held against those behind it.
		unnamed := z2m("u", station.ClassTemperature)
		unnamed.Adopted = false
		s := run(t, config(), d, devices.Registry{
			Accounts: []station.BrokerAccount{account}, Sensors: append(sensors, unnamed),
			States: []station.SensorState{{Sensor: "u", Values: map[string]station.Value{"temperature": 70.0}}},
		})
		c := device(t, s, "z2m", password)
		c.Publish("zigbee2mqtt/u", 1, false, `{"temperature":20}`)
		reading := c.Publish("zigbee2mqtt/t", 1, false, `{"temperature":20.5}`)
		c.Publish("zigbee2mqtt/a", 1, false, `{"smoke":false}`)
		acked(t, c.Publish("zigbee2mqtt/a", 1, false, `{"smoke":true}`))
		if reading.WaitTimeout(time.Millisecond) {
			t.Error("the reading was refused and acknowledged")
		}
		d.setRefuse(nil) // space returns, and the readings come by themselves
		acked(t, reading)
		eventually(t, "the reading", func() bool { return strings.Contains(d.signals("t"), "-temperature") })
		// "No smoke" was said before the alarm, and comes after it.
		eventually(t, "the message put off", func() bool {
			all := d.all()
			return slices.ContainsFunc(all, func(r station.Report) bool { return r.Sensor == "a" && r.Values["smoke"] == false })
		})
		if got := d.signals("a"); got != "+smoke" {
			t.Errorf("what was put off before the alarm ended it: %s", got)
		}
	})
	t.Run("Mosquitto", func(t *testing.T) {
		broker := devicestest.StartMosquitto(t)
		for i := range sensors {
			sensors[i].Source.Broker = "yard"
		}
		d := &desk{}
		d.setRefuse(full)
		cfg := config()
		cfg.Broker.Listen = ""
		s := run(t, cfg, d, devices.Registry{Sensors: sensors, Brokers: []devices.BrokerLink{{Broker: station.Broker{ID: "yard", URL: broker.URL(), Topics: []string{"zigbee2mqtt/#"}}}}})
		eventually(t, "link", linked(s))
		for range 30 { // more than fit Mosquitto's window
			broker.Publish("zigbee2mqtt/t", `{"temperature":20.5}`)
		}
		broker.Publish("zigbee2mqtt/a", `{"smoke":true}`)
		eventually(t, "the alarm", func() bool { return strings.Contains(d.signals("a"), "+smoke") })
		eventually(t, "the count", func() bool { return s.Stats().Spared == 30 })
		// The end of an alarm is no mere reading: it waits.
		broker.Publish("zigbee2mqtt/a", `{"smoke":false}`)
		eventually(t, "attempts", func() bool { return s.Links()[0].Refused > 1 })
		d.setRefuse(nil)
		eventually(t, "the end of the alarm", func() bool { return d.signals("a") == "+smoke -smoke" })
	})
}

func TestStrangers(t *testing.T) {
	cfg := config()
	cfg.Broker.Listen, cfg.MaxUnknown = "", 3
	d := &desk{}
	s := devices.New(cfg, devices.Deps{Node: "n", Sink: d, Log: slog.New(slog.DiscardHandler)})
	s.Apply(devices.Registry{JoiningUntil: time.Now().Add(time.Minute)})
	hear(t, s, "zigbee2mqtt/厨房/烟感", `{"smoke":true,"battery":90}`)
	hear(t, s, "zigbee2mqtt/厨房/烟感", `{"smoke":false,"battery":90}`)
	hear(t, s, "zigbee2mqtt/lamp", `{"state":"ON","brightness":200}`)
	hear(t, s, "other/x", `{"smoke":true}`)
	reports := d.all()
	if len(reports) != 2 {
		t.Fatalf("got %+v", reports)
	}
	u := reports[0].Unknown
	if u == nil || u.ID != reports[0].Sensor || u.Adopted || u.Class != station.ClassSmoke || u.Name != "厨房/烟感" || u.Source.Topic != "zigbee2mqtt/厨房/烟感" || u.Source.Family != "zigbee2mqtt" {
		t.Errorf("proposed as %+v", u)
	}
	if say(reports[0].Signals) != "-battery +smoke" || reports[1].Sensor != u.ID {
		t.Errorf("got %+v", reports)
	}
	if err := s.Check(*u); err != nil {
		t.Errorf("what is proposed cannot be registered: %v", err)
	}

	// Registered, the device is itself.
	sn := *u
	sn.Name = "Kitchen"
	s.Apply(devices.Registry{Sensors: []station.Sensor{sn}, JoiningUntil: time.Now().Add(time.Minute)})
	hear(t, s, "zigbee2mqtt/厨房/烟感", `{"smoke":true}`)
	if r := d.all()[2]; r.Unknown != nil || r.Sensor != sn.ID {
		t.Errorf("got %+v", r)
	}

	for i := range 5 {
		hear(t, s, fmt.Sprintf("zigbee2mqtt/new-%d", i), `{"temperature":20}`)
	}
	if n := len(d.all()); n != 3+3 || s.Stats().Strangers != 2 {
		t.Errorf("%d reports, stats %+v", n, s.Stats())
	}
	hear(t, s, "zigbee2mqtt/new-9", `{"gas":true}`)
	if r := d.all()[6]; say(r.Signals) != "+gas" || r.Unknown == nil {
		t.Errorf("a stranger in danger is not heard: %+v", r)
	}
}

// TestStrangersBeyondWhatTheSinkTakes: what the sink will never take must not come
// again for ever, or what is behind it would never come.
func TestStrangersBeyondWhatTheSinkTakes(t *testing.T) {
	d := &desk{}
	d.setRefuse(func(r station.Report) error {
		if r.Unknown != nil {
			return station.Errorf(507, "sensor.unknown", "", "too many")
		}
		return nil
	})
	account, password := devicestest.Account("z2m")
	account.Topics = []string{"zigbee2mqtt/#"}
	s := run(t, config(), d, devices.Registry{Accounts: []station.BrokerAccount{account}, Sensors: []station.Sensor{z2m("a", station.ClassSmoke)}})
	c := device(t, s, "z2m", password)
	c.Publish("zigbee2mqtt/nobody", 1, false, `{"temperature":20}`)
	c.Publish("zigbee2mqtt/a", 1, false, `{"smoke":true}`)
	eventually(t, "the alarm", func() bool { return len(d.all()) > 0 })
	if r := d.all()[0]; r.Sensor != "a" || r.Duplicate || s.Stats().Strangers != 1 {
		t.Errorf("the alarm behind a stranger: %+v, stats %+v", r, s.Stats())
	}
}

func TestApplyFromWithinTheSink(t *testing.T) {
	cfg := config()
	cfg.Broker.Listen = ""
	var s *devices.Set
	d := &desk{}
	d.setRefuse(func(r station.Report) error {
		if r.Unknown != nil {
			s.Apply(devices.Registry{Sensors: []station.Sensor{*r.Unknown}})
		}
		return nil
	})
	s = devices.New(cfg, devices.Deps{Node: "n", Sink: d, Log: slog.New(slog.DiscardHandler)})
	hear(t, s, "zigbee2mqtt/a", `{"smoke":true}`)
	hear(t, s, "zigbee2mqtt/a", `{"smoke":true}`)
	if r := d.all()[1]; r.Unknown != nil {
		t.Error("not adopted")
	}
}

func TestNewsFromThePast(t *testing.T) {
	cfg := config()
	cfg.Broker.Listen = ""
	d := &desk{}
	s := devices.New(cfg, devices.Deps{Node: "n", Sink: d, Log: slog.New(slog.DiscardHandler)})
	s.Apply(devices.Registry{Sensors: []station.Sensor{z2m("a", station.ClassSmoke)}})
	now := time.Now()
	for age, late := range map[time.Duration]bool{time.Minute: false, -time.Minute: false, 6 * time.Minute: true, 48 * time.Hour: true, 10000 * time.Hour: false} {
		hear(t, s, "zigbee2mqtt/a", fmt.Sprintf(`{"smoke":true,"last_seen":%d}`, now.Add(-age).UnixMilli()))
		all := d.all()
		if r := all[len(all)-1]; r.Late != late || r.Live == late || r.DeviceTime.IsZero() || say(r.Signals) != "+smoke" {
			t.Errorf("%s old: %+v", age, r)
		}
	}
}

func TestRetainedMessagesOfAnExternalBrokerAreStates(t *testing.T) {
	broker := devicestest.StartMosquitto(t)
	broker.Publish("zigbee2mqtt/a", `{"smoke":true}`, "-r")
	sn := z2m("a", station.ClassSmoke)
	sn.Source.Broker = "yard"
	d := &desk{}
	cfg := config()
	cfg.Broker.Listen = ""
	run(t, cfg, d, devices.Registry{Sensors: []station.Sensor{sn}, Brokers: []devices.BrokerLink{{Broker: station.Broker{ID: "yard", URL: broker.URL(), Topics: []string{"#"}}}}})
	eventually(t, "the retained message", func() bool { return len(d.all()) == 1 })
	if r := d.all()[0]; !r.Retained || r.Live {
		t.Errorf("got %+v", r)
	}
	broker.Publish("zigbee2mqtt/a", `{"smoke":true}`, "-r")
	eventually(t, "the live message", func() bool { return len(d.all()) == 2 })
	if r := d.all()[1]; r.Retained || !r.Live {
		t.Errorf("got %+v", r)
	}
}

func TestWhatCannotBeReadIsAcknowledgedAndKept(t *testing.T) {
	account, password := devicestest.Account("z2m")
	d := &desk{}
	s := run(t, config(), d, devices.Registry{Accounts: []station.BrokerAccount{account}, Sensors: []station.Sensor{z2m("a", station.ClassSmoke)}})
	c := device(t, s, "z2m", password)
	for i := range 30 {
		acked(t, c.Publish("zigbee2mqtt/a", 1, false, fmt.Sprintf("{broken %d", i)))
	}
	odd := s.Oddities()
	if len(odd) != 20 || odd[19].Payload != "{broken 29" || odd[19].Topic != "zigbee2mqtt/a" || odd[19].Cause == "" || s.Stats().Undecodable != 30 {
		t.Errorf("%d kept, stats %+v, last %+v", len(odd), s.Stats(), odd[len(odd)-1])
	}
}

func TestAccountsChangeLive(t *testing.T) {
	a, passwordA := devicestest.Account("a")
	b, passwordB := devicestest.Account("b")
	a.Topics, a.Subscribe = []string{"zigbee2mqtt/#"}, []string{"zigbee2mqtt/+/set"}
	d := &desk{}
	s := run(t, config(), d, devices.Registry{Accounts: []station.BrokerAccount{a, b}})
	if _, err := devicestest.Connect(t.Context(), devicestest.Config{URL: "mqtt://" + s.Addr().String(), Username: "a", Password: passwordB, ClientID: "x"}, nil); err == nil {
		t.Error("let in with another account's password")
	}
	if _, err := devicestest.Connect(t.Context(), devicestest.Config{URL: "mqtt://" + s.Addr().String(), ClientID: "x"}, nil); err == nil {
		t.Error("let in without a name")
	}
	ca := device(t, s, "a", passwordA)
	// One that does not come back: paho cannot be stopped while it tries to.
	cb := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + s.Addr().String()).SetClientID("b").SetAutoReconnect(false).
		SetUsername("b").SetPassword(passwordB.Reveal()))
	acked(t, cb.Connect())
	defer cb.Disconnect(50)
	acked(t, ca.Publish("zigbee2mqtt/x", 1, false, `{"smoke":true}`))
	acked(t, cb.Publish("any/thing", 1, false, `1`))
	if got := ca.Subscribe("any/#", 1, nil).(*paho.SubscribeToken); got.WaitTimeout(5*time.Second) && got.Result()["any/#"] != 0x80 {
		t.Error("may listen to what it may not say")
	}
	acked(t, ca.Subscribe("zigbee2mqtt/+/set", 1, nil))
	s.Apply(devices.Registry{Accounts: []station.BrokerAccount{a}})
	eventually(t, "the removed account is thrown out", func() bool { return s.Links()[0].Clients == 1 })
	acked(t, ca.Publish("zigbee2mqtt/x", 1, false, `{"smoke":false}`))
}

func TestASensorWithUnusableRulesKeepsTheDefaultOnes(t *testing.T) {
	cfg := config()
	cfg.Broker.Listen = ""
	d := &desk{}
	s := devices.New(cfg, devices.Deps{Node: "n", Sink: d, Log: slog.New(slog.DiscardHandler)})
	sn := z2m("a", station.ClassSmoke)
	sn.Rules = []station.Rule{{Kind: "smoke", Field: "smoke", Op: "resembles", Value: true}}
	if s.Check(sn) == nil {
		t.Error("unusable rules pass the check")
	}
	s.Apply(devices.Registry{Sensors: []station.Sensor{sn}})
	hear(t, s, "zigbee2mqtt/a", `{"smoke":true}`)
	if got := d.signals("a"); got != "+smoke" {
		t.Errorf("got %q", got)
	}
}

func TestSeveralSensorsOfOnePayload(t *testing.T) {
	cfg := config()
	cfg.Broker.Listen = ""
	d := &desk{}
	s := devices.New(cfg, devices.Deps{Node: "n", Sink: d, Log: slog.New(slog.DiscardHandler)})
	one := func(id, path string) station.Sensor {
		return station.Sensor{ID: id, Class: station.ClassWater, Adopted: true, Source: station.SensorSource{
			Broker: station.EmbeddedBroker, Family: "json", Topic: "rtu/1", Fields: map[string]string{"water": path},
		}}
	}
	s.Apply(devices.Registry{Sensors: []station.Sensor{one("east", "in.0"), one("west", "in.1")}})
	hear(t, s, "rtu/1", `{"in":[0,1]}`)
	if e, w := d.signals("east"), d.signals("west"); e != "-water" || w != "+water" {
		t.Errorf("east %q, west %q", e, w)
	}
}

func TestLamps(t *testing.T) {
	s := run(t, config(), &desk{}, devices.Registry{})
	if l := s.Lamps()[0]; l.Code != "sensors.none" || l.State != station.LampOff || l.Hint == "" {
		t.Errorf("%+v", l)
	}
	if links := s.Links(); len(links) != 1 || links[0].Broker != station.EmbeddedBroker || !links[0].Connected {
		t.Errorf("%+v", links)
	}
}

func TestABrokerThatCannotListenIsAnError(t *testing.T) {
	first := run(t, config(), &desk{}, devices.Registry{})
	cfg := config()
	cfg.Broker.Listen = first.Addr().String()
	s := devices.New(cfg, devices.Deps{Node: "n", Sink: &desk{}, Log: slog.New(slog.DiscardHandler)})
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), cfg.Broker.Listen) {
		t.Errorf("Run: %v", err)
	}
	if l := s.Lamps()[0]; l.Code != "sensors.broker" {
		t.Errorf("%+v", l)
	}
}

func TestValidate(t *testing.T) {
	if err := devices.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	cfg := devices.DefaultConfig()
	cfg.Broker.Listen, cfg.Broker.Hold, cfg.Link.Workers, cfg.Grace, cfg.Zigbee2MQTT = "x", 0, 0, 0, []string{"a/#"}
	err := cfg.Validate()
	for _, key := range []string{"broker.listen", "broker.hold", "link.workers", "grace", "zigbee2mqtt"} {
		if err == nil || !strings.Contains(err.Error(), key+": ") {
			t.Errorf("%s is not named in: %v", key, err)
		}
	}
	s := devices.New(devices.DefaultConfig(), devices.Deps{Node: "n", Log: slog.New(slog.DiscardHandler)})
	if s.CheckBroker(station.Broker{ID: "yard", URL: "mqtts://h", Topics: []string{"a/+/#"}}) != nil {
		t.Error("a good broker is refused")
	}
	for _, b := range []station.Broker{{ID: "embedded", URL: "mqtt://h", Topics: []string{"a"}}, {ID: "a", URL: "h:1", Topics: []string{"a"}}, {ID: "a", URL: "mqtt://h"}, {ID: "a", URL: "mqtt://h", Topics: []string{"a#"}}} {
		if s.CheckBroker(b) == nil {
			t.Errorf("%+v is accepted", b)
		}
	}
}

type nothing struct{}

func (nothing) HandleReport(context.Context, station.Report) error { return nil }

// BenchmarkReading is the way of one message from a broker to the sink.
func BenchmarkReading(b *testing.B) {
	cfg := config()
	cfg.Broker.Listen = ""
	s := devices.New(cfg, devices.Deps{Node: "n", Sink: nothing{}, Log: slog.New(slog.DiscardHandler)})
	var sensors []station.Sensor
	for i := range 2000 {
		sensors = append(sensors, z2m(fmt.Sprintf("s%d", i), station.ClassSmoke))
	}
	s.Apply(devices.Registry{Sensors: sensors})
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Hear(b.Context(), "zigbee2mqtt/s77", `{"smoke":false,"battery":90,"battery_low":false,"tamper":false,"linkquality":120,"last_seen":1767225600000}`); err != nil {
			b.Fatal(err)
		}
	}
}

// say writes signals as "+smoke -battery".
func say(signals []station.Signal) string {
	var out []string
	for _, s := range signals {
		sign := "-"
		if s.Active {
			sign = "+"
		}
		out = append(out, sign+string(s.Kind))
	}
	return strings.Join(out, " ")
}

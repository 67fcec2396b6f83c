package devices_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stationd/agent/station"
	"stationd/devices"
)

// desk is a sink that keeps the reports.
type desk struct {
	mu      sync.Mutex
	reports []station.Report
	own     []station.Signal // of the station itself
	refuse  func(station.Report) error
}

func (d *desk) HandleReport(ctx context.Context, r station.Report) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Sensor == "" {
		d.own = append(d.own, r.Signals...)
		return ctx.Err()
	}
	if d.refuse != nil {
		if err := d.refuse(r); err != nil {
			return err
		}
	}
	d.reports = append(d.reports, r)
	return ctx.Err()
}

func (d *desk) all() []station.Report {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]station.Report(nil), d.reports...)
}

// signals are those of one sensor, in order, as "+offline".
func (d *desk) signals(sensor string) string {
	var out []station.Signal
	for _, r := range d.all() {
		if r.Sensor == sensor {
			out = append(out, r.Signals...)
		}
	}
	return say(out)
}

// ownSignals are those of the station itself, in order.
func (d *desk) ownSignals() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return say(d.own)
}

func (d *desk) setRefuse(f func(station.Report) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refuse = f
}

func z2m(id, class string) station.Sensor {
	return station.Sensor{
		ID: id, Name: id, Class: class, Adopted: true,
		Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "zigbee2mqtt", Topic: "zigbee2mqtt/" + id},
	}
}

// bubble runs f with a set whose timers run in synthetic time.
func bubble(t *testing.T, reg devices.Registry, f func(t *testing.T, s *devices.Set, d *desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		cfg := devices.DefaultConfig()
		cfg.Broker.Listen = ""
		s := devices.New(cfg, devices.Deps{Node: "n", Sink: d, Log: slog.New(slog.DiscardHandler)})
		for i := range reg.States { // ages become times
			if st := &reg.States[i]; !st.LastSeen.IsZero() {
				st.LastSeen = time.Now().Add(-time.Unix(0, 0).Sub(st.LastSeen))
			}
		}
		s.Apply(reg)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.KeepTime(ctx) })
		f(t, s, d)
		cancel()
		wg.Wait()
	})
}

// seen makes a state of a sensor last heard so long ago.
func seen(sensor string, ago time.Duration) station.SensorState {
	return station.SensorState{Sensor: sensor, LastSeen: time.Unix(0, 0).Add(-ago)}
}

func expect(t *testing.T, d *desk, sensor, want string) {
	t.Helper()
	synctest.Wait()
	if got := d.signals(sensor); got != want {
		t.Errorf("%s: got %q, want %q", sensor, got, want)
	}
}

func hear(t *testing.T, s *devices.Set, topic, body string) {
	t.Helper()
	if err := s.Hear(t.Context(), topic, body); err != nil {
		t.Errorf("%s %s: %v", topic, body, err)
	}
}

func TestSilenceIsNoticedWithoutAMessage(t *testing.T) {
	mains, battery := z2m("mains", station.ClassTemperature), z2m("battery", station.ClassSmoke)
	own, never, stranger := z2m("own", station.ClassSmoke), z2m("never", station.ClassTemperature), z2m("stranger", station.ClassTemperature)
	own.SilentAfter, never.SilentAfter, stranger.Adopted = time.Hour, -1, false
	telling := z2m("telling", station.ClassTemperature)
	bubble(t, devices.Registry{Sensors: []station.Sensor{mains, battery, own, never, stranger, telling}}, func(t *testing.T, s *devices.Set, d *desk) {
		hear(t, s, "zigbee2mqtt/telling", `{"temperature":20,"battery":80}`)
		time.Sleep(10*time.Minute - time.Second)
		expect(t, d, "mains", "")
		time.Sleep(2 * time.Second)
		expect(t, d, "mains", "+offline")
		time.Sleep(50 * time.Minute)
		expect(t, d, "own", "+offline")
		expect(t, d, "battery", "")
		time.Sleep(25 * time.Hour)
		expect(t, d, "battery", "+offline")
		expect(t, d, "mains", "+offline") // once
		expect(t, d, "never", "")
		expect(t, d, "stranger", "")
		expect(t, d, "telling", "-battery -temperature +offline") // its battery made it a day
		for _, r := range d.all() {
			if r.Live && len(r.Values) == 0 {
				t.Errorf("a timer's report counts as a sign of life: %+v", r)
			}
		}
		if l := s.Lamps()[0]; l.Args["total"] != 5 {
			t.Errorf("lamp %+v", l)
		}
		hear(t, s, "zigbee2mqtt/battery", `{"smoke":false}`)
		expect(t, d, "battery", "+offline -smoke -offline")
		time.Sleep(26 * time.Hour)
		expect(t, d, "battery", "+offline -smoke -offline +offline")
	})
}

func TestSilenceSurvivesARestart(t *testing.T) {
	reg := devices.Registry{
		Sensors: []station.Sensor{z2m("dead", station.ClassSmoke), z2m("fine", station.ClassSmoke), z2m("known", station.ClassSmoke)},
		States:  []station.SensorState{seen("dead", 24*time.Hour+50*time.Minute), seen("fine", time.Hour), {Sensor: "known", Offline: true, LastSeen: time.Unix(0, 0).Add(-90 * time.Hour)}},
	}
	bubble(t, reg, func(t *testing.T, s *devices.Set, d *desk) {
		time.Sleep(11 * time.Minute)
		expect(t, d, "dead", "+offline")
		expect(t, d, "fine", "")
		expect(t, d, "known", "") // reported before
		hear(t, s, "zigbee2mqtt/known", `{"smoke":false}`)
		expect(t, d, "known", "-smoke -offline")
	})
}

func TestNoSilenceBeforeTheBrokerHasBeenUpForAWhile(t *testing.T) {
	reg := devices.Registry{Sensors: []station.Sensor{z2m("a", station.ClassSmoke)}, States: []station.SensorState{seen("a", 100*time.Hour)}}
	bubble(t, reg, func(t *testing.T, s *devices.Set, d *desk) {
		time.Sleep(9 * time.Minute)
		expect(t, d, "a", "")
		s.BrokerUp(false)
		time.Sleep(30 * time.Hour)
		expect(t, d, "a", "")
		s.BrokerUp(true)
		time.Sleep(9 * time.Minute)
		expect(t, d, "a", "")
		time.Sleep(2 * time.Minute)
		expect(t, d, "a", "+offline")
	})
}

func TestABridgeThatIsAwayIsOneFault(t *testing.T) {
	reg := devices.Registry{Sensors: []station.Sensor{z2m("a", station.ClassTemperature), z2m("b", station.ClassTemperature)}}
	bubble(t, reg, func(t *testing.T, s *devices.Set, d *desk) {
		hear(t, s, "zigbee2mqtt/bridge/state", `{"state":"offline"}`)
		hear(t, s, "zigbee2mqtt/a/availability", `{"state":"offline"}`)
		time.Sleep(2 * time.Hour)
		expect(t, d, "a", "")
		expect(t, d, "b", "")
		reports := d.all()
		if len(reports) != 1 || reports[0].Unknown == nil || say(reports[0].Signals) != "+offline" || reports[0].Live {
			t.Fatalf("got %+v", reports)
		}
		if !reports[0].Unknown.Adopted {
			t.Error("the one fault waits for somebody to name the bridge")
		}
		if l := s.Lamps()[0]; l.Code == "sensors.ok" {
			t.Error("the lamp says that all is well")
		}
		hear(t, s, "zigbee2mqtt/bridge/state", `{"state":"online"}`)
		if got := d.signals(reports[0].Sensor); got != "+offline -offline" {
			t.Errorf("the bridge: %s", got)
		}
		time.Sleep(9 * time.Minute) // they have their time to be heard
		expect(t, d, "a", "")
		time.Sleep(2 * time.Minute)
		expect(t, d, "a", "+offline")
	})
}

func TestWhatTheBridgeSaysOfADevice(t *testing.T) {
	bubble(t, devices.Registry{Sensors: []station.Sensor{z2m("a", station.ClassSmoke)}}, func(t *testing.T, s *devices.Set, d *desk) {
		hear(t, s, "zigbee2mqtt/a/availability", "offline")
		hear(t, s, "zigbee2mqtt/a/availability", "offline")
		expect(t, d, "a", "+offline")
		hear(t, s, "zigbee2mqtt/a/availability", `{"state":"online"}`)
		hear(t, s, "zigbee2mqtt/a/availability", `{"state":"online"}`)
		expect(t, d, "a", "+offline -offline")
		for _, r := range d.all() {
			if r.Live {
				t.Error("the bridge's word counts as a sign of life")
			}
		}
		time.Sleep(26 * time.Hour) // silent: then it must be heard itself
		hear(t, s, "zigbee2mqtt/a/availability", `{"state":"online"}`)
		expect(t, d, "a", "+offline -offline +offline")
	})
}

func TestAPressIsOverAfterAWhile(t *testing.T) {
	button := z2m("b", station.ClassSOS)
	own := z2m("o", station.ClassSOS)
	own.Rules = []station.Rule{{Kind: station.KindSOS, Field: "action", Op: "eq", Value: "hold"}}
	bubble(t, devices.Registry{Sensors: []station.Sensor{button, own}}, func(t *testing.T, s *devices.Set, d *desk) {
		hear(t, s, "zigbee2mqtt/b", `{"action":"emergency"}`)
		time.Sleep(20 * time.Second)
		hear(t, s, "zigbee2mqtt/b", `{"action":"emergency"}`)
		hear(t, s, "zigbee2mqtt/o", `{"action":"hold"}`)
		time.Sleep(20 * time.Second)
		expect(t, d, "b", "+sos +sos")
		time.Sleep(15 * time.Second)
		expect(t, d, "b", "+sos +sos -sos")
		expect(t, d, "o", "+sos -sos")
		time.Sleep(time.Hour)
		expect(t, d, "b", "+sos +sos -sos")
	})
}

func TestAPressFromBeforeTheRestartIsEnded(t *testing.T) {
	st := seen("b", time.Minute)
	st.Values = map[string]station.Value{"sos": true, "action": "emergency"}
	bubble(t, devices.Registry{Sensors: []station.Sensor{z2m("b", station.ClassSOS)}, States: []station.SensorState{st}}, func(t *testing.T, s *devices.Set, d *desk) {
		time.Sleep(31 * time.Second)
		expect(t, d, "b", "-sos")
	})
}

func TestATimersReportIsTriedAgain(t *testing.T) {
	bubble(t, devices.Registry{Sensors: []station.Sensor{z2m("a", station.ClassTemperature)}}, func(t *testing.T, s *devices.Set, d *desk) {
		d.setRefuse(func(station.Report) error { return errors.New("not now") })
		time.Sleep(time.Hour)
		expect(t, d, "a", "")
		d.setRefuse(nil)
		time.Sleep(6 * time.Second)
		expect(t, d, "a", "+offline")
	})
}

// TestASensorThatIsRefusedIsNotSilent: a full disk is one fault, not one for each
// sensor.
func TestASensorThatIsRefusedIsNotSilent(t *testing.T) {
	bubble(t, devices.Registry{Sensors: []station.Sensor{z2m("a", station.ClassTemperature)}}, func(t *testing.T, s *devices.Set, d *desk) {
		d.setRefuse(full)
		for range 20 {
			time.Sleep(time.Minute)
			if err := s.Hear(t.Context(), "zigbee2mqtt/a", `{"temperature":20}`); !errors.Is(err, station.ErrNoSpace) {
				t.Fatal(err)
			}
		}
		expect(t, d, "a", "")
		time.Sleep(11 * time.Minute)
		expect(t, d, "a", "+offline")
	})
}

// TestABrokerThatIsNotSetUp: nothing will ever come from there, and no link says
// that it is down.
func TestABrokerThatIsNotSetUp(t *testing.T) {
	lost := z2m("a", station.ClassTemperature)
	lost.Source.Broker = "yard"
	bubble(t, devices.Registry{Sensors: []station.Sensor{lost}}, func(t *testing.T, s *devices.Set, d *desk) {
		time.Sleep(11 * time.Minute)
		expect(t, d, "a", "+offline")
	})
}

// TestAnOfflineReportOfUnknownOutcomeIsTakenBack: it may have been stored.
func TestAnOfflineReportOfUnknownOutcomeIsTakenBack(t *testing.T) {
	bubble(t, devices.Registry{Sensors: []station.Sensor{z2m("a", station.ClassTemperature)}}, func(t *testing.T, s *devices.Set, d *desk) {
		d.setRefuse(func(station.Report) error { return context.DeadlineExceeded })
		time.Sleep(10*time.Minute + 2*time.Second)
		synctest.Wait()
		d.setRefuse(nil)
		hear(t, s, "zigbee2mqtt/a", `{"temperature":20}`)
		expect(t, d, "a", "-temperature -offline")
		hear(t, s, "zigbee2mqtt/a", `{"temperature":20}`)
		expect(t, d, "a", "-temperature -offline -temperature")
	})
}

func TestProgress(t *testing.T) {
	bubble(t, devices.Registry{}, func(t *testing.T, s *devices.Set, d *desk) {
		for range 3 {
			was := s.Progress()
			time.Sleep(6 * time.Second)
			synctest.Wait()
			if s.Progress() == was {
				t.Error("no progress while idle")
			}
		}
	})
}

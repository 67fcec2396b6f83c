package devices_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stationd/agent/station"
	"stationd/devices"
	"stationd/devices/payload"
)

// life is a set in a bubble of synthetic time that can be stopped and started
// again: what it has stored is all that it keeps.
type life struct {
	t      *testing.T
	d      *desk
	set    *devices.Set
	reg    devices.Registry
	cancel context.CancelFunc
	wg     sync.WaitGroup
	states map[string]station.SensorState
	heard  int // reports that are in states
}

// lives runs f in a bubble.
func lives(t *testing.T, reg devices.Registry, f func(l *life)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &life{t: t, d: &desk{}, reg: reg, states: map[string]station.SensorState{}}
		l.start()
		f(l)
		l.stop()
	})
}

func (l *life) start() {
	cfg := devices.DefaultConfig()
	cfg.Broker.Listen = ""
	l.set = devices.New(cfg, devices.Deps{Node: "n", Sink: l.d, Families: payload.Families("", hub{}), Log: slog.New(slog.DiscardHandler)})
	l.reg.States = nil
	for _, st := range l.states {
		l.reg.States = append(l.reg.States, st)
	}
	l.set.Apply(l.reg)
	ctx, cancel := context.WithCancel(l.t.Context())
	l.cancel = cancel
	l.wg.Go(func() { l.set.KeepTime(ctx) })
	synctest.Wait()
}

// stop ends it; states are what the core would have stored.
func (l *life) stop() {
	synctest.Wait()
	l.cancel()
	l.wg.Wait()
	all := l.d.all()
	for _, r := range all[l.heard:] {
		st := l.states[r.Sensor]
		st.Sensor = r.Sensor
		if r.Live {
			st.LastSeen = r.Received
		}
		if r.Interval > 0 {
			st.Interval = r.Interval
		}
		if len(r.Values) > 0 {
			st.Values = r.Values
		}
		for _, sig := range r.Signals {
			if sig.Kind == station.KindOffline {
				st.Offline = sig.Active
			}
		}
		l.states[r.Sensor] = st
	}
	l.heard = len(all)
}

func (l *life) restart() {
	l.stop()
	l.start()
}

func (l *life) says(device, more string) {
	l.t.Helper()
	hear(l.t, l.set, "hub/1/up", fmt.Sprintf(`{"readings":[{"device":%q%s}]}`, device, more))
}

// offline is how often a sensor went offline and came back.
func (l *life) offline(sensor string) (gone, back int) {
	synctest.Wait()
	for _, r := range l.d.all() {
		for _, sig := range r.Signals {
			switch {
			case r.Sensor != sensor || sig.Kind != station.KindOffline:
			case sig.Active:
				gone++
			default:
				back++
			}
		}
	}
	return gone, back
}

func (l *life) expect(sensor string, gone, back int) {
	l.t.Helper()
	if g, b := l.offline(sensor); g != gone || b != back {
		l.t.Errorf("%s went offline %d times and came back %d times, want %d and %d", sensor, g, b, gone, back)
	}
}

// TestOfflineOfEveryClass: each class, by each power, is found offline within its
// limit and a tenth, once, and back once, whenever the station is restarted.
func TestOfflineOfEveryClass(t *testing.T) {
	battery := map[string]bool{"smoke": true, "water": true, "sos": true, "manhole": true, "door": true, "motion": true}
	for _, class := range station.Classes() {
		for _, power := range []station.Power{"", station.PowerMains, station.PowerBattery, station.PowerLoRa} {
			limit := 10 * time.Minute
			interval := ""
			switch {
			case power == station.PowerLoRa:
				limit, interval = 3*20*time.Minute, `,"interval":1200000000000` // 20 min
			case power == station.PowerBattery, power == "" && battery[class]:
				limit = 25 * time.Hour
			}
			for _, restarts := range []bool{false, true} {
				if !restarts && class != station.ClassDoor {
					continue // the restarts are what differs; one class is enough without
				}
				t.Run(fmt.Sprintf("%s %s restarts %v", class, power, restarts), func(t *testing.T) {
					sn := hubSensor("a", class)
					sn.Power = power
					lives(t, devices.Registry{Sensors: []station.Sensor{sn}}, func(l *life) {
						restart := func() {
							if restarts {
								l.restart()
							}
						}
						for round := range 2 {
							l.says("a", `,"values":{"humidity":40}`+interval)
							restart()
							time.Sleep(limit * 95 / 100)
							l.expect("a", round, round)
							if limit > time.Hour {
								restart() // the grace after a start is less than what is left of it
							}
							time.Sleep(limit * 15 / 100)
							l.expect("a", round+1, round)
							restart()
							time.Sleep(limit / 2)
							l.expect("a", round+1, round)
							l.says("a", `,"values":{"humidity":40}`+interval)
							restart()
							l.says("a", `,"values":{"humidity":40}`+interval)
							l.expect("a", round+1, round+1)
						}
					})
				})
			}
		}
	}
}

func TestWhatWasSetForASensorWins(t *testing.T) {
	sn := hubSensor("a", station.ClassSmoke)
	sn.Power, sn.SilentAfter = station.PowerBattery, 30*time.Minute
	lives(t, devices.Registry{Sensors: []station.Sensor{sn}}, func(l *life) {
		l.says("a", `,"values":{"smoke":false},"interval":86400000000000`)
		time.Sleep(29 * time.Minute)
		l.expect("a", 0, 0)
		time.Sleep(3 * time.Minute)
		l.expect("a", 1, 0)
	})
}

// TestALoRaDevicesPaceIsLearned from a day of listening, and what happens to make
// it speak more often does not make it look dead.
func TestALoRaDevicesPaceIsLearned(t *testing.T) {
	sn := hubSensor("a", station.ClassDoor)
	sn.Power = station.PowerLoRa
	lives(t, devices.Registry{Sensors: []station.Sensor{sn}}, func(l *life) {
		for range 25 { // each hour, and busy now and then
			l.says("a", `,"values":{"door":false}`)
			time.Sleep(time.Minute)
			l.says("a", `,"values":{"door":true}`)
			time.Sleep(59 * time.Minute)
		}
		for range 60 {
			l.says("a", `,"values":{"door":false}`)
			time.Sleep(time.Minute)
		}
		l.restart()
		time.Sleep(2*time.Hour + 50*time.Minute)
		l.expect("a", 0, 0)
		time.Sleep(20 * time.Minute)
		l.expect("a", 1, 0)
	})
}

func TestNoSignOfLife(t *testing.T) {
	sn := hubSensor("a", station.ClassTemperature)
	for what, said := range map[string]string{
		"the bridge's memory": `,"cached":true,"values":{"temperature":20}`,
		"a backlog":           `,"backlog":true,"values":{"temperature":20}`,
		"an old message":      `,"deviceTime":"1999-12-31T12:00:00Z","values":{"temperature":20}`,
		"the bridge's word":   `,"via":"gw","presence":"online"`,
		"its description":     `,"model":"S2"`,
	} {
		t.Run(what, func(t *testing.T) {
			lives(t, devices.Registry{Sensors: []station.Sensor{sn}}, func(l *life) {
				l.says("a", `,"values":{"temperature":20}`)
				time.Sleep(11 * time.Minute)
				l.expect("a", 1, 0)
				l.says("a", said)
				l.expect("a", 1, 0)
			})
		})
	}
}

// TestBirthAndWill: what a device says when it connects is a sign of life, its will
// is told at once, and while it is connected it may have nothing to say.
func TestBirthAndWill(t *testing.T) {
	lives(t, devices.Registry{Sensors: []station.Sensor{hubSensor("a", station.ClassTemperature)}}, func(l *life) {
		l.says("a", `,"values":{"temperature":20}`)
		time.Sleep(11 * time.Minute)
		l.expect("a", 1, 0)
		l.says("a", `,"presence":"online"`)
		l.expect("a", 1, 1)
		time.Sleep(24 * time.Hour)
		l.expect("a", 1, 1)
		l.says("a", `,"presence":"offline"`)
		l.says("a", `,"presence":"offline"`)
		l.expect("a", 2, 1)
		l.restart()
		l.says("a", `,"presence":"offline"`) // as a broker tells everybody who comes
		time.Sleep(48 * time.Hour)
		l.expect("a", 2, 1)
		l.says("a", `,"presence":"online"`)
		l.says("a", `,"presence":"online"`)
		l.expect("a", 2, 2)
		time.Sleep(26 * time.Hour) // it says that it is there and never measures
		l.expect("a", 3, 2)
	})
}

// estate is a gateway with two hundred devices.
func estate(register func(*station.Sensor)) devices.Registry {
	gateway := hubSensor("gw", station.ClassOther)
	gateway.Power = station.PowerMains
	reg := devices.Registry{Sensors: []station.Sensor{gateway}}
	for i := range 200 {
		sn := hubSensor(fmt.Sprintf("d%d", i), station.ClassTemperature)
		if register != nil {
			register(&sn)
		}
		reg.Sensors = append(reg.Sensors, sn)
	}
	return reg
}

// gone counts the sensors that were reported as offline, and those as back.
func (l *life) gone() string {
	synctest.Wait()
	gone, back := map[string]int{}, map[string]int{}
	for _, r := range l.d.all() {
		for _, sig := range r.Signals {
			if sig.Kind == station.KindOffline && sig.Active {
				gone[r.Sensor]++
			} else if sig.Kind == station.KindOffline {
				back[r.Sensor]++
			}
		}
	}
	return fmt.Sprint(gone, back)
}

// TestOneAlarmNotTwoHundred: a gateway that is away, whoever says so, is one alarm,
// and none when it returns, across restarts.
func TestOneAlarmNotTwoHundred(t *testing.T) {
	viaGateway := func(l *life) {
		for i := range 200 {
			l.says(fmt.Sprintf("d%d", i), `,"via":"gw","values":{"temperature":20}`)
		}
	}
	alive := func(l *life) { l.says("gw", `,"bridge":true,"presence":"online"`) }
	registered := func(sn *station.Sensor) { sn.Bridge = "gw" }
	for name, c := range map[string]struct {
		register func(*station.Sensor)
		away     func(l *life)
	}{
		"its will": {nil, func(l *life) { l.says("gw", `,"bridge":true,"presence":"offline"`) }},
		"its will, then the word of each": {nil, func(l *life) {
			l.says("gw", `,"bridge":true,"presence":"offline"`)
			for i := range 200 {
				l.says(fmt.Sprintf("d%d", i), `,"via":"gw","presence":"offline"`)
			}
		}},
		"its silence, after that of the others": {registered, func(l *life) { time.Sleep(11*time.Minute + 30*time.Second) }},
	} {
		t.Run(name, func(t *testing.T) {
			lives(t, estate(c.register), func(l *life) {
				viaGateway(l)
				time.Sleep(20 * time.Second)
				if c.register != nil {
					l.says("gw", `,"values":{"humidity":40}`)
				} else {
					alive(l)
				}
				c.away(l)
				if got := l.gone(); got != "map[gw:1] map[]" {
					t.Errorf("when it went: %s", got)
				}
				time.Sleep(time.Hour)
				l.restart()
				time.Sleep(time.Hour)
				if got := l.gone(); got != "map[gw:1] map[]" && c.register != nil {
					t.Errorf("after a restart: %s", got)
				}
				if c.register == nil {
					return // who speaks through it is learned again when they do
				}
				l.says("gw", `,"values":{"humidity":40}`)
				time.Sleep(9 * time.Minute)
				l.says("gw", `,"values":{"humidity":40}`)
				viaGateway(l)
				time.Sleep(5 * time.Minute)
				if got := l.gone(); got != "map[gw:1] map[gw:1]" {
					t.Errorf("when it had returned: %s", got)
				}
			})
		})
	}
}

// TestABridgeOfABrokerThatIsAway is not called silent, and nobody behind it.
func TestABridgeOfABrokerThatIsAway(t *testing.T) {
	lives(t, estate(func(sn *station.Sensor) { sn.Bridge = "gw" }), func(l *life) {
		l.says("gw", `,"values":{"humidity":40}`)
		l.set.BrokerUp(false)
		time.Sleep(5 * time.Hour)
		l.set.BrokerUp(true)
		time.Sleep(9 * time.Minute)
		if got := l.gone(); got != "map[] map[]" {
			t.Error(got)
		}
		time.Sleep(3 * time.Minute)
		if got := l.gone(); got != "map[gw:1] map[]" {
			t.Errorf("afterwards: %s", strings.TrimSpace(got))
		}
	})
}

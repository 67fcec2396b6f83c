package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"golang.org/x/sync/errgroup"

	"stationd/agent/station"
	"stationd/devices/devicestest"
)

// newsRig is a station that hears an estate of every payload family through a real
// Mosquitto.
type newsRig struct {
	t         *testing.T
	mosquitto *devicestest.Mosquitto
	estate    *devicestest.Estate
	lines     []paho.Client
	serial    map[int]int

	cfg  Config
	node *node
	stop func()
}

func (r *newsRig) order(kind, subject string, body any) {
	r.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	got := r.node.agent.Handle(r.t.Context(), station.Command{ID: station.NewID(), Type: kind, Subject: subject, Actor: station.System(), Issued: time.Now(), Body: raw})
	if got.Problem != nil {
		r.t.Fatalf("%s %s: %v", kind, subject, got.Problem)
	}
}

func (r *newsRig) start() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	g, ctx := errgroup.WithContext(ctx)
	n, err := startDemoNode(ctx, g, r.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		cancel()
		r.t.Fatal(err)
	}
	r.node = n
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := g.Wait(); err != nil {
			r.t.Error(err)
		}
	})
}

func (r *newsRig) eventually(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("in vain: %s", what)
		}
	}
}

func (r *newsRig) linked(want bool) {
	r.t.Helper()
	r.eventually("the link to Mosquitto", func() bool {
		for _, l := range r.node.devices.Links() {
			if l.Broker == "yard" {
				return l.Connected == want
			}
		}
		return !want
	})
}

// connect connects a line as its devices do, with will and births.
func (r *newsRig) connect(i int) {
	r.t.Helper()
	l := r.estate.Lines[i]
	o := paho.NewClientOptions().SetCleanSession(false).SetOnConnectHandler(func(c paho.Client) {
		for _, out := range l.Births(time.Now()) {
			c.Publish(out.Topic, 1, out.Retain, out.Payload)
		}
	})
	if l.Will != nil {
		o.SetBinaryWill(l.Will.Topic, l.Will.Payload, 1, l.Will.Retain)
	}
	c, err := devicestest.Connect(r.t.Context(), devicestest.Config{URL: r.mosquitto.URL(), ClientID: l.Client}, o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.lines[i] = c
}

// say lets every unit speak, and returns when the station has heard all of it.
func (r *newsRig) say(alarm func(u *devicestest.Unit) bool) {
	r.t.Helper()
	for i, u := range r.estate.Units {
		r.serial[i]++
		for _, out := range u.Say(devicestest.Moment{At: time.Now(), Alarm: alarm(u), Battery: 90, Serial: r.serial[i], Value: 0.3}) {
			tok := r.lines[u.Line].Publish(out.Topic, 1, out.Retain, out.Payload)
			if !tok.WaitTimeout(20*time.Second) || tok.Error() != nil {
				r.t.Fatalf("not published: %v", tok.Error())
			}
		}
	}
	r.settle()
}

// settle waits until the station has been silent for a moment: nothing is under way.
func (r *newsRig) settle() {
	r.t.Helper()
	last, since := uint64(0), time.Now()
	r.eventually("silence", func() bool {
		if now := r.node.devices.Stats().Messages; now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > 700*time.Millisecond
	})
}

// alarms are all that were ever raised, by sensor and kind.
func (r *newsRig) alarms() map[string]int {
	r.t.Helper()
	out := map[string]int{}
	before := ""
	for {
		list, more, err := r.node.agent.Alarms(before, 500)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, a := range list {
			out[a.Sensor+" "+string(a.Kind)]++
			before = a.ID
		}
		if !more {
			return out
		}
	}
}

// TestNoFalseNews: an estate of every payload family through a real Mosquitto. Half
// of the units alarm and stay so, half alarm and return. Whatever then happens to
// the station, the broker and the bridges, nobody alarms anew; what is away is
// told once, and not what is behind it.
func TestNoFalseNews(t *testing.T) {
	r := &newsRig{t: t, mosquitto: devicestest.StartMosquitto(t, "autosave_on_changes false", "autosave_interval 1", "sys_interval 0"), serial: map[int]int{}}
	r.estate = devicestest.NewEstate(7, 40, "yard")
	r.lines = make([]paho.Client, len(r.estate.Lines))
	r.cfg = quietPorts(demoConfig(t.TempDir(), "news", "示范村工作站", 0))
	r.cfg.Devices.ComeBack = 2 * time.Second
	r.start()
	defer func() { r.stop() }()
	broker := station.BrokerOrder{Broker: station.Broker{ID: "yard", URL: r.mosquitto.URL(), Topics: []string{"#", "$sys/#", "$oc/#", "$aws/#"}}}
	r.order(station.CommandPutBroker, "yard", broker)
	for _, sn := range r.estate.Sensors() {
		r.order(station.CommandPutSensor, sn.ID, sn)
	}
	r.linked(true)
	for i := range r.lines {
		r.connect(i)
	}
	defer func() {
		for _, c := range r.lines {
			c.Disconnect(20)
		}
	}()
	normal := func(*devicestest.Unit) bool { return false }
	r.say(normal)
	if got := r.alarms(); len(got) > 0 {
		t.Fatalf("alarms before anything happened: %v", got)
	}
	stays := map[*devicestest.Unit]bool{}
	for i, u := range r.estate.Units {
		stays[u] = i%2 == 0 && u.Kind != station.KindSOS && u.Kind != station.KindMotion
	}
	r.say(func(u *devicestest.Unit) bool { return u.Kind != "" })
	r.say(func(u *devicestest.Unit) bool { return u.Kind != "" && stays[u] })
	known := r.alarms()
	families := map[string]bool{}
	for _, u := range r.estate.Units {
		if u.Kind != "" && known[u.Sensor.ID+" "+string(u.Kind)] == 1 {
			families[u.Sensor.Source.Family] = true
		} else if u.Kind != "" {
			t.Errorf("%s (%s) raised %d alarms", u.Sensor.ID, u.Kind, known[u.Sensor.ID+" "+string(u.Kind)])
		}
	}
	t.Logf("%d alarms of %v", len(known), slices.Sorted(maps.Keys(families)))

	nothingNew := func(t *testing.T) {
		t.Helper()
		r.settle()
		if got := r.alarms(); !maps.Equal(got, known) {
			for k, n := range got {
				if n != known[k] {
					t.Errorf("%s: %d alarms, %d were known", k, n, known[k])
				}
			}
			known = got
		}
	}
	repeat := func() { r.say(func(u *devicestest.Unit) bool { return u.Kind != "" && stays[u] }) }
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"said again", repeat},
		{"the station is started again", func() { r.stop(); r.start(); r.linked(true) }},
		{"and its sensors say it again", repeat},
		{"the station reconnects, and is told what is retained", func() {
			r.order(station.CommandRemoveBroker, "yard", nil)
			r.linked(false)
			r.order(station.CommandPutBroker, "yard", broker)
			r.linked(true)
		}},
		{"the broker is started again", func() { r.mosquitto.Stop(); r.linked(false); r.mosquitto.Start(); r.linked(true) }},
		{"and its sensors come back and say it again", func() {
			for i, c := range r.lines {
				r.eventually("line "+r.estate.Lines[i].Client, c.IsConnectionOpen)
			}
			repeat()
		}},
		{"delivered twice: the station ends before it has answered", func() {
			r.stop()
			for i, u := range r.estate.Units { // waits at the broker
				r.serial[i]++
				for _, out := range u.Say(devicestest.Moment{At: time.Now(), Alarm: u.Kind != "" && stays[u], Battery: 90, Serial: r.serial[i], Value: 0.3}) {
					r.lines[u.Line].Publish(out.Topic, 1, out.Retain, out.Payload).Wait()
				}
			}
			r.start()
			r.stop() // in the middle of it
			r.start()
			r.linked(true)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.do()
			nothingNew(t)
		})
	}
	wills := func() (n int) { // as the broker says it of those that break off
		for i, l := range r.estate.Lines {
			if l.Will != nil {
				r.lines[i].Publish(l.Will.Topic, 1, l.Will.Retain, l.Will.Payload).Wait()
				n++
			}
		}
		return n
	}
	births := func() {
		for i, l := range r.estate.Lines {
			for _, out := range l.Births(time.Now()) {
				r.lines[i].Publish(out.Topic, 1, out.Retain, out.Payload).Wait()
			}
		}
	}
	t.Run("bridges that come back at once", func(t *testing.T) {
		wills()
		births()
		time.Sleep(2 * r.cfg.Devices.ComeBack)
		nothingNew(t)
	})
	t.Run("bridges that are away are told once, and not what is behind them", func(t *testing.T) {
		n := wills()
		time.Sleep(3 * r.cfg.Devices.ComeBack)
		now, told := r.alarms(), 0
		for k, times := range now {
			if times != known[k] {
				if told++; times != 1 || !strings.HasSuffix(k, " offline") {
					t.Errorf("%s: %d alarms", k, times)
				}
			}
		}
		// A Sparkplug node's will of an earlier session is none.
		if told > n || told < n-1 {
			t.Errorf("%d alarms for %d that went", told, n)
		}
		known = now
		births()
		repeat()
		nothingNew(t)
	})
}

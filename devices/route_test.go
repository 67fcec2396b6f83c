package devices_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stationd/agent/station"
	"stationd/devices"
	"stationd/devices/devicestest"
	"stationd/devices/payload"
)

// hub is a family of a gateway that speaks for many devices in one message, and
// counts how often it was asked.
type hub struct{ asked *int }

func (hub) Name() string      { return "hub" }
func (hub) Filters() []string { return []string{"hub/+/up"} }
func (h hub) Open() payload.Session {
	return h
}

func (h hub) Decode(m payload.Message) (payload.Result, error) {
	if h.asked != nil {
		*h.asked++
	}
	var said struct {
		Readings []payload.Reading `json:"readings"`
		Ask      []string          `json:"ask"`
		Listen   []string          `json:"listen"`
	}
	if strings.HasPrefix(m.Topic, "elsewhere/") {
		return payload.Result{Readings: []payload.Reading{{Device: "led", Values: map[string]station.Value{"smoke": string(m.Payload) == "on"}}}}, nil
	}
	if string(m.Payload) == "panic" {
		panic("a fault of the family")
	}
	if err := json.Unmarshal(m.Payload, &said); err != nil {
		return payload.Result{}, err
	}
	res := payload.Result{Readings: said.Readings, Listen: said.Listen}
	for _, topic := range said.Ask {
		res.Requests = append(res.Requests, payload.Request{Topic: topic, Payload: []byte("?"), QoS: 1})
	}
	return res, nil
}

func hubSensor(id, class string) station.Sensor {
	return station.Sensor{ID: id, Name: id, Class: class, Adopted: true, Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "hub", Device: id}}
}

func withHub(d devices.Sink, more ...payload.Family) *devices.Set {
	cfg := config()
	cfg.Broker.Listen = ""
	return devices.New(cfg, devices.Deps{Node: "n", Sink: d, Families: payload.Families("", append(more, hub{})...), Log: slog.New(slog.DiscardHandler)})
}

func TestManyDevicesOfOneMessage(t *testing.T) {
	d := &desk{}
	asked := 0
	account, password := devicestest.Account("gateway")
	s := devices.New(config(), devices.Deps{Node: "n", Sink: d, Families: payload.Families("", hub{&asked}), Log: slog.New(slog.DiscardHandler)})
	fails := 1
	d.setRefuse(func(r station.Report) error {
		if r.Sensor == "b" && fails > 0 {
			fails--
			return errors.New("not now")
		}
		return nil
	})
	s.Apply(devices.Registry{
		Accounts: []station.BrokerAccount{account},
		Sensors:  []station.Sensor{hubSensor("a", station.ClassSmoke), hubSensor("b", station.ClassSmoke), hubSensor("c", station.ClassDoor)},
	})
	start(t, s)
	c := device(t, s, "gateway", password)
	acked(t, c.Publish("hub/1/up", 1, false, `{"readings":[{"device":"a","values":{"smoke":true}},{"device":"b","values":{"smoke":false}},{"device":"c","values":{"door":true}},{"device":"a","values":{"smoke":false}}]}`))
	eventually(t, "every part", func() bool { return len(d.all()) >= 4 })
	got := ""
	packet := uint16(0)
	for _, r := range d.all() {
		got += fmt.Sprintf("%s%d%s ", r.Sensor, r.Part, say(r.Signals))
		if packet == 0 {
			packet = r.Packet
		}
		if r.Link != "embedded/device-gateway" || r.Packet != packet || r.Fingerprint == 0 {
			t.Errorf("report %+v", r)
		}
	}
	// What was stored before the fault is not stored again, and the family was
	// asked once although the message came twice.
	if want := "a0+smoke b1-smoke c2+door a3-smoke "; got != want || asked != 1 {
		t.Errorf("got %q after asking %d times, want %q", got, asked, want)
	}
	if r := d.all()[1]; !r.Duplicate {
		t.Error("what came again is not marked")
	}
}

// TestAReadingThatCanWaitDoesNotHoldTheAlarmBehindIt, of one and the same message.
func TestAReadingThatCanWaitDoesNotHoldTheAlarmBehindIt(t *testing.T) {
	d := &desk{}
	d.setRefuse(full)
	s := withHub(d)
	s.Apply(devices.Registry{Sensors: []station.Sensor{hubSensor("a", station.ClassTemperature), hubSensor("b", station.ClassSmoke)}})
	err := s.Hear(t.Context(), "hub/1/up", `{"readings":[{"device":"a","values":{"temperature":20}},{"device":"b","values":{"smoke":true}}]}`)
	if !errors.Is(err, station.ErrNoSpace) || d.signals("b") != "+smoke" {
		t.Errorf("error %v, alarm %q", err, d.signals("b"))
	}
}

func TestAFamilyThatPanicsCostsOneMessage(t *testing.T) {
	d := &desk{}
	s := withHub(d)
	s.Apply(devices.Registry{Sensors: []station.Sensor{hubSensor("a", station.ClassSmoke)}})
	hear(t, s, "hub/1/up", "panic")
	hear(t, s, "hub/1/up", `{"readings":[{"device":"a","values":{"smoke":true}}]}`)
	if d.signals("a") != "+smoke" || s.Stats().Undecodable != 1 {
		t.Errorf("%q, %+v", d.signals("a"), s.Stats())
	}
}

func TestAFamilysRequestsArePublishedAndBounded(t *testing.T) {
	account, password := devicestest.Account("gateway")
	s := devices.New(config(), devices.Deps{Node: "n", Sink: &desk{}, Families: payload.Families("", hub{}), Log: slog.New(slog.DiscardHandler)})
	s.Apply(devices.Registry{Accounts: []station.BrokerAccount{account}})
	start(t, s)
	c := device(t, s, "gateway", password)
	asked := make(chan string, 100)
	acked(t, c.Subscribe("hub/+/down", 1, func(_ paho.Client, m paho.Message) { asked <- m.Topic() }))
	for i := range 30 {
		acked(t, c.Publish("hub/1/up", 1, false, fmt.Sprintf(`{"ask":["hub/%d/down"]}`, i)))
	}
	if topic := <-asked; topic != "hub/0/down" {
		t.Errorf("asked at %s", topic)
	}
	eventually(t, "the requests that pass", func() bool { return len(asked)+1+int(s.Stats().Unasked) == 30 })
	if n := s.Stats().Unasked; n < 5 {
		t.Errorf("only %d were held back", n)
	}
}

func TestATopicThatAFamilyLearnsOf(t *testing.T) {
	m := devicestest.StartMosquitto(t)
	d := &desk{}
	led := hubSensor("led", station.ClassSmoke)
	led.Source.Broker = "yard"
	s := withHub(d)
	s.Apply(devices.Registry{Sensors: []station.Sensor{led}, Brokers: []devices.BrokerLink{{Broker: station.Broker{ID: "yard", URL: m.URL(), Families: []string{"hub"}}}}})
	start(t, s)
	eventually(t, "link", linked(s))
	m.Publish("elsewhere/led", "on")
	m.Publish("hub/1/up", `{"listen":["elsewhere/led"]}`)
	eventually(t, "what was learned", func() bool {
		m.Publish("elsewhere/led", "on")
		return strings.HasPrefix(d.signals("led"), "+smoke")
	})
	m.Stop()
	eventually(t, "the loss", func() bool { return !s.Links()[0].Connected })
	m.Start()
	eventually(t, "the link again", linked(s))
	m.Publish("elsewhere/led", "off")
	eventually(t, "the topic after a reconnection", func() bool { return strings.HasSuffix(d.signals("led"), "-smoke") })
}

func TestPublishToABrokerOutside(t *testing.T) {
	m := devicestest.StartMosquitto(t)
	s := withHub(&desk{})
	s.Apply(devices.Registry{Brokers: []devices.BrokerLink{{Broker: station.Broker{ID: "yard", URL: m.URL(), Topics: []string{"a/#"}}}}})
	if p, _ := station.AsProblem(s.Publish(t.Context(), "yard", "siren/1", []byte("on"), true)); p == nil || p.Code != "broker.unknown" {
		t.Errorf("before it runs: %v", p)
	}
	start(t, s)
	eventually(t, "link", linked(s))
	if err := s.Publish(t.Context(), "yard", "siren/1", []byte("on"), true); err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1)
	c, err := devicestest.Connect(t.Context(), devicestest.Config{URL: m.URL(), ClientID: "siren"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	acked(t, c.Subscribe("siren/1", 1, func(_ paho.Client, m paho.Message) { heard <- string(m.Payload()) }))
	if got := <-heard; got != "on" {
		t.Errorf("got %q", got)
	}
	c.Disconnect(50) // one that is cut off tries for ever, and cannot be stopped
	m.Stop()
	eventually(t, "the loss", func() bool { return !s.Links()[0].Connected })
	if p, _ := station.AsProblem(s.Publish(t.Context(), "yard", "siren/1", []byte("on"), true)); p == nil || p.Code != "broker.away" {
		t.Errorf("while it is away: %v", p)
	}
	if p, _ := station.AsProblem(s.Publish(t.Context(), station.EmbeddedBroker, "siren/1", []byte("on"), true)); p == nil || p.Code != "broker.away" {
		t.Errorf("the built-in one: %v", p)
	}
}

func TestWhichFamiliesListen(t *testing.T) {
	s := withHub(&desk{})
	at := func(b station.Broker) string {
		b.ID, b.URL = "yard", "mqtt://h"
		s.Apply(devices.Registry{Brokers: []devices.BrokerLink{{Broker: b}}})
		var list struct {
			Families []devices.FamilyView `json:"families"`
		}
		call(t, s, "GET /api/v1/families", "", nil, &list)
		var names []string
		for _, f := range list.Families {
			for _, id := range f.Brokers {
				if id == "yard" && (f.Name == "hub" || f.Name == "zigbee2mqtt") {
					names = append(names, f.Name)
				}
			}
		}
		return strings.Join(names, " ")
	}
	for want, b := range map[string]station.Broker{
		"hub zigbee2mqtt": {Topics: []string{"#"}},
		"zigbee2mqtt":     {Topics: []string{"zigbee2mqtt/+"}},
		"hub":             {Topics: []string{"#"}, Families: []string{"hub"}},
		"":                {Topics: []string{"street/#"}},
	} {
		if got := at(b); got != want {
			t.Errorf("%v: %q listen, want %q", b, got, want)
		}
	}
	if s.CheckBroker(station.Broker{ID: "yard", URL: "mqtt://h", Families: []string{"nonesuch"}}) == nil {
		t.Error("a family that does not exist is accepted")
	}
	if err := s.CheckBroker(station.Broker{ID: station.EmbeddedBroker, Families: []string{"hub"}}); err != nil {
		t.Errorf("the families of the built-in broker cannot be set: %v", err)
	}
	s.Apply(devices.Registry{Sensors: []station.Sensor{hubSensor("a", station.ClassSmoke)}, Brokers: []devices.BrokerLink{{Broker: station.Broker{ID: station.EmbeddedBroker, Families: []string{"zigbee2mqtt"}}}}})
	hear(t, s, "hub/1/up", `{"readings":[{"device":"a","values":{"smoke":true}}]}`)
	if st := s.Stats(); st.Reports != 0 || st.Unrouted != 1 {
		t.Errorf("a family that does not listen was asked: %+v", st)
	}
}

func TestWhoMayAppear(t *testing.T) {
	d := &desk{}
	s := withHub(d)
	reading := func(device, values string) string {
		return fmt.Sprintf(`{"readings":[{"device":%q,"name":"Hall","class":"door","model":"D1","maker":"M","firmware":"3","power":"lora","via":"gw","values":{%s}}]}`, device, values)
	}
	hear(t, s, "hub/1/up", reading("closed", `"door":true`))
	if n := len(d.all()); n != 0 || s.Stats().Unknown != 1 {
		t.Fatalf("%d reports while joining is closed, %+v", n, s.Stats())
	}
	// Whoever calls for help is heard at any time, and what he says next too.
	hear(t, s, "hub/1/up", reading("help", `"smoke":true`))
	hear(t, s, "hub/1/up", reading("help", `"smoke":false`))
	if all := d.all(); len(all) != 2 || all[0].Unknown == nil || say(all[0].Signals) != "+smoke" || say(all[1].Signals) != "-smoke" {
		t.Fatalf("got %+v", all)
	}
	// A window from the future is from before the clock was set back.
	s.Apply(devices.Registry{JoiningUntil: time.Now().Add(2 * station.MaxJoining)})
	hear(t, s, "hub/1/up", reading("future", `"door":true`))
	s.Apply(devices.Registry{JoiningUntil: time.Now().Add(-time.Second)})
	hear(t, s, "hub/1/up", reading("past", `"door":true`))
	if n := len(d.all()); n != 2 {
		t.Fatalf("%d reports", n)
	}
	gateway := hubSensor("gw", station.ClassOther)
	s.Apply(devices.Registry{JoiningUntil: time.Now().Add(time.Minute), Sensors: []station.Sensor{gateway}})
	hear(t, s, "hub/1/up", reading("open", `"door":true`))
	u := d.all()[2].Unknown
	want := station.Sensor{
		ID: u.ID, Name: "Hall", Class: "door", Model: "D1", Maker: "M", Firmware: "3", Power: station.PowerLoRa, Bridge: "gw",
		Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "hub", Topic: "hub/1/up", Device: "open"},
	}
	if fmt.Sprint(*u) != fmt.Sprint(want) {
		t.Errorf("proposed as\n%+v, want\n%+v", *u, want)
	}
	if err := s.Check(*u); err != nil {
		t.Errorf("what is proposed cannot be registered: %v", err)
	}
	var list struct {
		Unknown []devices.BenchDevice
	}
	call(t, s, "GET /api/v1/workbench/topics", "", nil, &list)
	if len(list.Unknown) != 3 || list.Unknown[0].Proposed.Source.Device != "past" || list.Unknown[0].Count != 1 {
		t.Errorf("the workbench shows %+v", list.Unknown)
	}
}

// TestAnAccountOfItsOwnMayAppear at any time: somebody has given it to the device.
func TestAnAccountOfItsOwnMayAppear(t *testing.T) {
	own, ownPassword := devicestest.Account("own")
	own.Topics = []string{"zigbee2mqtt/#"}
	general, generalPassword := devicestest.Account("general")
	d := &desk{}
	s := run(t, config(), d, devices.Registry{Accounts: []station.BrokerAccount{own, general}})
	acked(t, device(t, s, "general", generalPassword).Publish("zigbee2mqtt/a", 1, false, `{"temperature":20}`))
	acked(t, device(t, s, "own", ownPassword).Publish("zigbee2mqtt/b", 1, false, `{"temperature":20}`))
	if all := d.all(); len(all) != 1 || all[0].Unknown == nil || all[0].Unknown.Source.Topic != "zigbee2mqtt/b" {
		t.Errorf("got %+v", all)
	}
}

func TestWhatADeviceSaysOfItself(t *testing.T) {
	d := &desk{}
	s := withHub(d)
	sn := hubSensor("a", station.ClassSmoke)
	sn.Power = station.PowerMains
	s.Apply(devices.Registry{Sensors: []station.Sensor{sn, hubSensor("gw", station.ClassOther)}})
	const message = `{"readings":[{"device":"a","model":"S2","firmware":"1.1","power":"battery","via":"gw"}]}`
	hear(t, s, "hub/1/up", message)
	r := d.all()[0]
	if r.About == nil || r.Live || len(r.Values) != 0 {
		t.Fatalf("got %+v", r)
	}
	next, news := r.About.Changes(sn)
	if !news || next.Model != "S2" || next.Firmware != "1.1" || next.Power != station.PowerMains || next.Bridge != "gw" {
		t.Errorf("it becomes %+v", next)
	}
	s.Apply(devices.Registry{Sensors: []station.Sensor{next, hubSensor("gw", station.ClassOther)}})
	hear(t, s, "hub/1/up", message)
	hear(t, s, "hub/1/up", `{"readings":[{"device":"a","model":"S2","values":{"smoke":false}}]}`)
	if all := d.all(); len(all) != 2 || all[1].About != nil {
		t.Errorf("it is told again: %+v", all)
	}
}

// TestTheDevicesOwnNameOfAMessage: an integration sends again under a new packet
// identifier what it got no answer for.
func TestTheDevicesOwnNameOfAMessage(t *testing.T) {
	d := &desk{}
	s := withHub(d)
	s.Apply(devices.Registry{Sensors: []station.Sensor{hubSensor("a", station.ClassDoor)}})
	for _, serial := range []string{"7", "7", "8"} {
		hear(t, s, "hub/1/up", fmt.Sprintf(`{"readings":[{"device":"a","serial":%q,"values":{"door":true}}]}`, serial))
	}
	if got := d.signals("a"); got != "+door +door" || s.Stats().Repeated != 1 {
		t.Errorf("got %q, %+v", got, s.Stats())
	}
}

func TestABacklogAndABridgesMemory(t *testing.T) {
	d := &desk{}
	s := withHub(d)
	s.Apply(devices.Registry{Sensors: []station.Sensor{hubSensor("a", station.ClassDoor)}})
	hear(t, s, "hub/1/up", `{"readings":[{"device":"a","backlog":true,"values":{"door":true}},{"device":"a","cached":true,"values":{"door":true}}]}`)
	all := d.all()
	if !all[0].Late || all[0].Live || !all[1].Retained || all[1].Live {
		t.Errorf("got %+v", all)
	}
}

// call calls a route as the console would.
func call(t *testing.T, s *devices.Set, pattern, query string, body, reply any) int {
	t.Helper()
	for _, r := range s.Routes() {
		if r.Pattern != pattern {
			continue
		}
		method, path, _ := strings.Cut(pattern, " ")
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		r.Handler.ServeHTTP(w, httptest.NewRequest(method, path+query, strings.NewReader(string(text))))
		if w.Code == http.StatusOK && reply != nil {
			if err := json.Unmarshal(w.Body.Bytes(), reply); err != nil {
				t.Fatal(err)
			}
		}
		return w.Code
	}
	t.Fatalf("there is no route %s", pattern)
	return 0
}

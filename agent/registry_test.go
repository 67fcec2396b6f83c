package agent_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/account"
	"stationd/agent/station"
)

var (
	operator  = station.Actor{Account: "wang", Name: "王值班", Role: account.RoleOperator}
	installer = station.Actor{Account: "zhao", Name: "赵安装", Role: account.RoleInstaller}
	viewer    = station.Actor{Account: "qian", Name: "钱", Role: account.RoleViewer}
)

// result decodes what a command answered.
func result[T any](r *rig, rec station.Receipt) T {
	r.t.Helper()
	var v T
	if err := json.Unmarshal(r.must(rec).Result, &v); err != nil {
		r.t.Fatal(err)
	}
	return v
}

func (r *rig) refused(rec station.Receipt, code, place string) {
	r.t.Helper()
	if rec.Problem == nil || rec.Problem.Code != code || place != "" && !strings.Contains(rec.Problem.Place+" "+rec.Problem.Message, place) {
		r.t.Fatalf("want a refusal %s at %q, got %+v", code, place, rec.Problem)
	}
	if rec.Problem.Hint == "" {
		r.t.Fatalf("%s names no remedy", code)
	}
}

func (r *rig) sensor(id string) (station.Sensor, bool) {
	r.t.Helper()
	all, err := r.Sensors()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, v := range all {
		if v.Sensor.ID == id {
			return v.Sensor, true
		}
	}
	return station.Sensor{}, false
}

// appear lets a device that nobody knows report.
func (r *rig) appear(id, class, topic string, values map[string]station.Value, signals ...station.Signal) {
	r.t.Helper()
	r.report(id, "", false, func(rep *station.Report) {
		rep.Unknown = &station.Sensor{Name: topic, Class: class, Model: "M-1", Firmware: "1.2", Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "tasmota", Topic: topic}}
		rep.Values, rep.Signals = values, signals
	})
}

// events tells the journal's events of all lanes as one text.
func (r *rig) journal() string {
	r.t.Helper()
	events, err := r.store.Read(0, 10000)
	if err != nil {
		r.t.Fatal(err)
	}
	b, err := json.Marshal(events)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

func TestJoiningEndsByItself(t *testing.T) {
	dir := t.TempDir()
	r := newRigOn(t, dir, nil)
	for _, minutes := range []int{0, 61, -1} {
		r.refused(r.do(station.CommandOpenJoining, "", station.JoiningOrder{Minutes: minutes}), "setup.invalid", "minutes")
	}
	r.refused(r.doAs(operator, station.NewID(), station.CommandOpenJoining, "", station.JoiningOrder{Minutes: 5}), "access.denied", "")
	r.must(r.doAs(installer, station.NewID(), station.CommandOpenJoining, "", station.JoiningOrder{Minutes: 10}))
	until := r.clock.now().Add(10 * time.Minute)
	reg, err := r.Registry()
	if err != nil || !reg.JoiningUntil.Equal(until) {
		t.Fatalf("joining until %v, want %v (%v)", reg.JoiningUntil, until, err)
	}
	j, err := r.Joining()
	if err != nil || j.By != "zhao" || j.Name != "赵安装" || !j.Open(r.clock.now()) {
		t.Fatalf("%+v %v", j, err)
	}
	// It outlives a restart, and ends without anybody doing anything.
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	again := newRigOn(t, dir, nil)
	again.clock.add(9 * time.Minute)
	if reg, err := again.Registry(); err != nil || !reg.JoiningUntil.Equal(until) {
		t.Fatalf("after a restart: %v %v", reg.JoiningUntil, err)
	}
	again.clock.add(time.Minute)
	if reg, err := again.Registry(); err != nil || !reg.JoiningUntil.IsZero() {
		t.Fatalf("after its end: %v %v", reg.JoiningUntil, err)
	}
	// A clock that was set back by a year does not open it for a year.
	again.clock.add(-365 * 24 * time.Hour)
	if reg, _ := again.Registry(); !reg.JoiningUntil.IsZero() {
		t.Fatal("open for a year")
	}
	again.clock.add(365*24*time.Hour - 5*time.Minute)
	again.must(again.do(station.CommandCloseJoining, "", nil))
	if reg, _ := again.Registry(); !reg.JoiningUntil.IsZero() {
		t.Fatal("open after it was closed")
	}
}

func TestAdoption(t *testing.T) {
	r := newRig(t)
	r.appear("d1", station.ClassSmoke, "tele/kitchen/SENSOR", map[string]station.Value{"smoke": false})
	rec := r.do(station.CommandAdoptSensor, "d1", station.AdoptionOrder{
		Name: "", Cameras: []string{"none"}, Bridge: "nobody", Position: &station.Position{Plan: "p", X: 0.5, Y: 0.5}, SilentAfter: time.Second, Power: "steam",
	})
	r.refused(rec, "setup.invalid", "")
	for _, place := range []string{"name", "cameras[0]", "bridge", "position", "silentAfter", "power"} {
		if !strings.Contains(rec.Problem.Place+": "+rec.Problem.Message, place) {
			t.Errorf("the refusal does not name %s: %v", place, rec.Problem)
		}
	}
	if s, _ := r.sensor("d1"); s.Adopted || s.Name != "tele/kitchen/SENSOR" {
		t.Fatalf("half adopted: %+v", s)
	}
	r.must(r.do(station.CommandPutCamera, "c1", station.CameraOrder{Camera: station.Camera{ID: "c1", Name: "走廊", URL: "rtsp://127.0.0.1/x"}}))
	r.must(r.do(station.CommandPutPlan, "p1", station.Plan{Name: "3号楼", Floor: "12 层"}))
	r.must(r.do(station.CommandAdoptSensor, "d1", station.AdoptionOrder{
		Name: "厨房烟感", Place: "3号楼 1202 室", Cameras: []string{"c1"}, Important: true, Position: &station.Position{Plan: "p1", X: 0.25, Y: 1},
	}))
	s, _ := r.sensor("d1")
	if !s.Adopted || s.Class != station.ClassSmoke || s.Model != "M-1" || s.Firmware != "1.2" || s.Source.Topic != "tele/kitchen/SENSOR" || !s.Important || s.Position.X != 0.25 {
		t.Fatalf("%+v", s)
	}
	r.refused(r.do(station.CommandAdoptSensor, "d1", station.AdoptionOrder{Name: "x"}), "sensor.adopted", "")
	r.refused(r.do(station.CommandAdoptSensor, "d2", station.AdoptionOrder{Name: "x"}), "not-found", "")
}

func TestCredentialReachesItsOwnTopics(t *testing.T) {
	for _, c := range []struct {
		family, topic      string
		publish, subscribe string
	}{
		{"tasmota", "tele/kitchen/SENSOR", "tele/kitchen/# stat/kitchen/# tasmota/discovery/#", "cmnd/kitchen/# cmnd/tasmotas/#"},
		{"tasmota", "kitchen/tele/SENSOR", "kitchen/tele/# kitchen/stat/# tasmota/discovery/#", "kitchen/cmnd/# tasmotas/cmnd/#"},
		{"zigbee2mqtt", "zigbee2mqtt/bridge/state", "zigbee2mqtt/#", "zigbee2mqtt/#"},
		{"zigbee2mqtt", "house/3/bridge/state", "house/3/#", "house/3/#"},
		{"esphome", "balcony/status", "balcony/# homeassistant/+/balcony/#", "balcony/+/+/command/# homeassistant/status"},
		{"shelly", "shellies/gas-1/sensor/gas", "shellies/gas-1/# shellies/announce", "shellies/gas-1/# shellies/command"},
		{"shelly", "smoke-7/events/rpc", "smoke-7/#", "smoke-7/rpc smoke-7/command/#"},
		{"sparkplug", "spBv1.0/plant/NBIRTH/edge1", "spBv1.0/plant/+/edge1/#", "spBv1.0/plant/NCMD/edge1 spBv1.0/plant/DCMD/edge1/# spBv1.0/STATE/#"},
		{"alink", "/sys/pk/dn/thing/event/property/post", "/sys/pk/dn/#", "/sys/pk/dn/#"},
		{"iotda", "$oc/devices/n1/sys/properties/report", "$oc/devices/n1/#", "$oc/devices/n1/#"},
		{"iotda", "/huawei/v1/devices/g1/data/json", "/huawei/v1/devices/g1/#", "/huawei/v1/devices/g1/#"},
		{"onenet", "$sys/p/d/thing/property/post", "$sys/p/d/#", "$sys/p/d/#"},
		{"tuya", "tylink/t1/thing/property/report", "tylink/t1/#", "tylink/t1/#"},
		{"thingsboard", "v1/devices/pump/telemetry", "v1/devices/pump/#", "v1/devices/pump/#"},
		{"thingsboard", "v1/gateway/telemetry", "v1/devices/me/# v1/gateway/#", "v1/devices/me/# v1/gateway/#"},
		{"homeassistant", "boxes/17/state", "homeassistant/# boxes/#", "homeassistant/status boxes/#"},
		{"json", "site/level", "site/level", ""},
	} {
		r := newRig(t)
		r.must(r.do(station.CommandPutSensor, "s", station.Sensor{ID: "s", Name: "x", Class: station.ClassSmoke, Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: c.family, Topic: c.topic}}))
		cred := result[station.DeviceCredential](r, r.do(station.CommandPutCredential, "s", nil))
		if strings.Join(cred.Publish, " ") != c.publish || strings.Join(cred.Subscribe, " ") != c.subscribe || len(cred.Password) < 20 {
			t.Errorf("%s %s: %q %q", c.family, c.topic, cred.Publish, cred.Subscribe)
		}
		if strings.Contains(r.journal(), cred.Password) {
			t.Error("the password is in the journal")
		}
		reg, err := r.Registry()
		if err != nil || len(reg.Accounts) != 1 || reg.Accounts[0].Digest != account.Digest(cred.Password) || strings.Join(reg.Accounts[0].Subscribe, " ") != c.subscribe {
			t.Errorf("%+v %v", reg.Accounts, err)
		}
		// A gateway's account stays when one of its devices goes, a device's own does not.
		r.must(r.do(station.CommandRemoveSensor, "s", nil))
		left, _ := r.Devices()
		if gateway := c.family == "zigbee2mqtt" || c.family == "sparkplug" || c.family == "homeassistant" || c.topic == "v1/gateway/telemetry"; gateway != (len(left) == 1) {
			t.Errorf("%s: %d accounts are left", c.family, len(left))
		}
	}
	r := newRig(t)
	r.must(r.do(station.CommandPutSensor, "gw", station.Sensor{ID: "gw", Name: "网关", Class: station.ClassOther, Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "zigbee2mqtt", Topic: "zigbee2mqtt/bridge/state"}}))
	r.must(r.do(station.CommandPutSensor, "s", station.Sensor{ID: "s", Name: "x", Class: station.ClassSmoke, Bridge: "gw", Source: station.SensorSource{Broker: station.EmbeddedBroker, Family: "zigbee2mqtt", Topic: "zigbee2mqtt/x"}}))
	r.refused(r.do(station.CommandPutCredential, "s", nil), "credential.bridge", "")
	r.must(r.do(station.CommandPutDevice, "gw", nil))
	id := station.NewID()
	first := r.doAs(admin, id, station.CommandPutCredential, "gw", nil)
	second := r.doAs(admin, id, station.CommandPutCredential, "gw", nil)
	if a, b := result[station.DeviceCredential](r, first), result[station.DeviceCredential](r, second); b.Password != station.SecretMask || a.Password == b.Password {
		t.Error("the password is shown twice")
	}
}

// A broken detector is replaced: what people know stays, what the device was goes.
func TestReplacement(t *testing.T) {
	r := newRig(t)
	r.addSensor("a", station.ClassSmoke)
	r.must(r.do(station.CommandPutPeople, "a", station.People{List: []station.Person{{Name: "张三", Phone: "13812341234"}}}))
	r.report("a", station.KindSmoke, true)
	r.report("a", station.KindOffline, true)
	r.report("a", station.KindBattery, true, func(rep *station.Report) { rep.Values = map[string]station.Value{"battery": 3.0} })
	if n := len(r.live()); n != 3 {
		t.Fatalf("%d alarms", n)
	}
	old, _ := r.sensor("a")
	smoke := station.Signal{Kind: station.KindSmoke, Active: true, Field: "smoke", Value: true}
	r.appear("new", station.ClassSmoke, "tele/new/SENSOR", map[string]station.Value{"smoke": true, "battery": 100.0}, smoke)
	r.appear("door", station.ClassDoor, "tele/door/SENSOR", map[string]station.Value{"door": false})

	r.refused(r.do(station.CommandReplaceSensor, "a", station.ReplacementOrder{}), "setup.invalid", "sensor")
	r.refused(r.do(station.CommandReplaceSensor, "a", station.ReplacementOrder{Sensor: "a"}), "setup.invalid", "sensor")
	r.refused(r.do(station.CommandReplaceSensor, "a", station.ReplacementOrder{Sensor: "door"}), "sensor.class", "sensor")
	r.refused(r.do(station.CommandReplaceSensor, "a", station.ReplacementOrder{Source: &old.Source}), "sensor.same", "source")
	r.must(r.do(station.CommandReplaceSensor, "a", station.ReplacementOrder{Sensor: "new"}))

	s, _ := r.sensor("a")
	if s.Source.Topic != "tele/new/SENSOR" || s.Name != old.Name || s.Model != "M-1" || len(s.Was) != 1 || s.Was[0].Topic != old.Source.Topic {
		t.Fatalf("%+v", s)
	}
	if _, there := r.sensor("new"); there {
		t.Error("the new device's own record is still there")
	}
	live := r.live()
	// The sensor's own smoke alarm stays, and counts what the new device sends; that
	// of the new device waits for a judgement like any other.
	if len(live) != 2 || live[0].Kind != station.KindSmoke || live[0].Sensor != "a" || live[1].Sensor != "new" || live[1].ReturnedAt.IsZero() {
		t.Fatalf("%+v", live)
	}
	r.must(r.answer(live[1].ID, station.AnswerReal))
	all, err := r.Sensors()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if v.Sensor.ID == "a" && (v.State.Values["battery"] != 100.0 || v.State.Offline) {
			t.Errorf("%+v", v.State)
		}
	}
	if p, err := r.People(operator, "a"); err != nil || len(p.List) != 1 {
		t.Errorf("the people went with the device: %+v %v", p, err)
	}
	// The old device speaks again: a stranger.
	r.report("a-2", "", false, func(rep *station.Report) {
		rep.Unknown = &station.Sensor{Name: "x", Class: station.ClassSmoke, Source: old.Source}
		rep.Values, rep.Signals = map[string]station.Value{"smoke": false}, nil
	})
	if s, ok := r.sensor("a-2"); !ok || s.Adopted {
		t.Errorf("%+v %v", s, ok)
	}
	// By its source alone, before it was ever heard; the mapping of fields stays.
	r.must(r.do(station.CommandReplaceSensor, "a", station.ReplacementOrder{Source: &station.SensorSource{Broker: station.EmbeddedBroker, Family: "tasmota", Topic: "tele/third/SENSOR"}}))
	if s, _ := r.sensor("a"); len(s.Was) != 2 || s.Model != "" {
		t.Errorf("%+v", s)
	}
	// What burns in the new device is the sensor's from now on.
	r.must(r.answer(live[0].ID, station.AnswerFalse))
	r.report("a", station.KindSmoke, false)
	r.appear("fourth", station.ClassSmoke, "tele/fourth/SENSOR", map[string]station.Value{"smoke": true}, smoke)
	r.must(r.do(station.CommandReplaceSensor, "a", station.ReplacementOrder{Sensor: "fourth"}))
	if live := r.live(); len(live) != 1 || live[0].Sensor != "a" || live[0].Place != old.Place {
		t.Errorf("%+v", live)
	}
}

func TestServiceEndsByItself(t *testing.T) {
	r := newRig(t)
	r.addSensor("a", station.ClassSmoke)
	for _, o := range []station.ServiceOrder{{Mode: "holiday", Minutes: 5}, {Mode: station.ServiceTest}, {Mode: station.ServiceTest, Minutes: 7*24*60 + 1}} {
		r.refused(r.do(station.CommandServiceSensor, "a", o), "setup.invalid", "")
	}
	r.must(r.do(station.CommandServiceSensor, "a", station.ServiceOrder{Mode: station.ServiceMaintenance, Minutes: 30, Why: "换电池"}))
	s, _ := r.sensor("a")
	now := r.clock.now()
	if s.Service.Current(now) != station.ServiceMaintenance || s.Service.Name != "李站长" || s.Service.Why != "换电池" {
		t.Fatalf("%+v", s.Service)
	}
	if s.Service.Current(now.Add(30*time.Minute)) != "" || s.Service.Current(now.AddDate(-1, 0, 0)) != "" {
		t.Error("it does not end by itself")
	}
	// Editing the sensor does not end it.
	s.Name, s.Service = "新名字", nil
	r.must(r.do(station.CommandPutSensor, "a", s))
	if s, _ := r.sensor("a"); s.Service == nil {
		t.Error("a changed name ended the maintenance")
	}
	r.must(r.do(station.CommandEndService, "a", nil))
	if s, _ := r.sensor("a"); s.Service != nil {
		t.Error("still in maintenance")
	}
}

func TestCardsKeepTheirVersions(t *testing.T) {
	r := newRig(t)
	for _, kind := range []station.AlarmKind{"smoke", "gas", "water", "sos", "manhole", "door", "motion", "temperature", "level", "tamper", "battery", "offline", "disk", "store", "sound"} {
		c, err := r.Card(kind)
		if err != nil || c.Kind != kind || len(c.Text["zh"].Steps) == 0 || len(c.Text["zh"].Steps) != len(c.Text["en"].Steps) {
			t.Errorf("%s: %+v %v", kind, c, err)
		}
	}
	c, _ := r.Card("landslide")
	if c.Kind != agent.CardOther {
		t.Errorf("%+v", c)
	}
	c, _ = r.Card(station.KindSmoke)
	c.Text = map[string]station.CardText{"zh": {Steps: []station.CardStep{{Text: "打电话"}, {Text: "不要乘电梯", Dont: true}}, Phones: []station.CardPhone{{Label: "物业", Number: "021-5555 1234"}}}}
	first := result[station.Card](r, r.do(station.CommandPutCard, "smoke", c))
	if first.Version != 1 || first.Name != "李站长" {
		t.Fatalf("%+v", first)
	}
	r.refused(r.do(station.CommandPutCard, "smoke", c), "card.version", "version")
	c.Text["zh"] = station.CardText{Steps: []station.CardStep{{Text: " "}}, Phones: []station.CardPhone{{Label: "x", Number: "javascript:1"}}}
	c.Version = 1
	r.refused(r.do(station.CommandPutCard, "smoke", c), "setup.invalid", "text.zh.phones[0].number")
	r.must(r.do(station.CommandResetCard, "smoke", nil))
	now, _ := r.Card(station.KindSmoke)
	versions, err := r.CardVersions(station.KindSmoke)
	if err != nil || now.Version != 2 || len(versions) != 2 || versions[0].Version != 1 || versions[1].Version != 0 {
		t.Fatalf("%+v %+v %v", now, versions, err)
	}
	own := result[station.Card](r, r.do(station.CommandPutCard, "landslide", station.Card{Text: map[string]station.CardText{"zh": {Steps: []station.CardStep{{Text: "疏散"}}}}}))
	if own.Version != 1 || own.Kind != "landslide" {
		t.Errorf("%+v", own)
	}
	r.refused(r.doAs(operator, station.NewID(), station.CommandPutCard, "smoke", c), "access.denied", "")
}

// A battery that was told of yesterday is not told of now.
func TestVitalsHaveTheirTime(t *testing.T) {
	r := newRig(t)
	r.addSensor("a", station.ClassSmoke)
	first := r.clock.now()
	r.report("a", station.KindSmoke, false, func(rep *station.Report) {
		rep.Values = map[string]station.Value{"smoke": false, "battery": 71.0, "rssi": -60.0}
	})
	r.clock.add(26 * time.Hour)
	r.report("a", station.KindSmoke, false, func(rep *station.Report) {
		rep.Values = map[string]station.Value{"smoke": false, "rssi": -90.0}
	})
	all, err := r.Sensors()
	if err != nil {
		t.Fatal(err)
	}
	st := all[0].State
	if st.Values["battery"] != 71.0 || !st.VitalsAt["battery"].Equal(first) || !st.VitalsAt["rssi"].Equal(r.clock.now()) || len(st.VitalsAt) != 2 {
		t.Errorf("%+v", st)
	}
}

func TestShiftNotes(t *testing.T) {
	r := newRig(t)
	r.refused(r.do(station.CommandWriteShiftNote, "", station.ShiftNoteOrder{Text: "  "}), "setup.invalid", "text")
	r.refused(r.doAs(viewer, station.NewID(), station.CommandWriteShiftNote, "", station.ShiftNoteOrder{Text: "x"}), "access.denied", "")
	for range 5 {
		r.must(r.doAs(operator, station.NewID(), station.CommandWriteShiftNote, "", station.ShiftNoteOrder{Text: " 3号楼电梯在修 "}))
	}
	page, more, err := r.ShiftNotes("", 3)
	if err != nil || !more || len(page) != 3 || page[0].Text != "3号楼电梯在修" || page[0].Name != "王值班" {
		t.Fatalf("%+v %v %v", page, more, err)
	}
	rest, more, err := r.ShiftNotes(page[2].ID, 3)
	if err != nil || more || len(rest) != 2 {
		t.Fatalf("%+v %v %v", rest, more, err)
	}
	if !strings.Contains(r.journal(), station.EventShiftNote) {
		t.Error("no event")
	}
}

// eventually waits for something that another goroutine does.
func (r *rig) eventually(done func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatal("it did not happen")
		}
	}
}

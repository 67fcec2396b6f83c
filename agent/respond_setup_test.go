package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stationd/agent"
	"stationd/agent/account"
	"stationd/agent/station"
)

const channelKey = "Geheimer-Schluessel-4711"

// The key of a channel is sealed: no answer, event, log line or file shows it.
func TestChannelSecretsStayInside(t *testing.T) {
	var log bytes.Buffer
	out := &outbox{fail: func(ch station.ChannelLink, _ station.Message) (station.Delivery, error) {
		if ch.Secret.Reveal() != channelKey {
			t.Errorf("the sender has the secret %q", ch.Secret.Reveal())
		}
		return station.Delivery{Final: true}, station.Errorf(502, "notify.refused", "x", "no")
	}}
	r := responding(t, out, func(_ *agent.Config, d *agent.Deps) { d.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	robot := station.Channel{ID: "group", Name: "值班群", Kind: station.ChannelRobot, URL: "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=" + channelKey, Always: []station.Severity{station.SeverityCritical}}
	rec := r.must(r.do(station.CommandPutChannel, "group", station.ChannelOrder{Channel: robot}))
	// The form sends back what it was given.
	var kept station.Channel
	if err := json.Unmarshal(rec.Result, &kept); err != nil || !kept.HasSecret {
		t.Fatalf("%s %v", rec.Result, err)
	}
	body := map[string]any{"id": "group", "name": "群", "kind": kept.Kind, "url": kept.URL, "secret": station.SecretMask, "always": kept.Always}
	rec2 := r.must(r.do(station.CommandPutChannel, "group", body))
	body["url"] = "https://elsewhere.example.org"
	if rec := r.do(station.CommandPutChannel, "group", body); rec.Problem == nil || rec.Problem.Place != "secret" {
		t.Errorf("the kept key may be sent elsewhere: %+v", rec)
	}
	res := r.must(r.do(station.CommandTestChannel, "group", station.ChannelTest{}))
	var result station.ChannelTestResult
	if err := json.Unmarshal(res.Result, &result); err != nil || result.State != "failed" || result.Problem == nil || result.Problem.Message != "no" {
		t.Errorf("%s %v", res.Result, err)
	}
	r.addSensor("a", station.ClassSmoke)
	stop := r.run()
	r.report("a", station.KindSmoke, true)
	id := r.live()[0].ID
	until(t, "the failure", func() bool { return told(r.response(id)) == "wecom-robot:failed" })
	stop()
	events, err := r.store.Read(0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	all := log.String() + string(rec.Result) + string(rec2.Result)
	for _, ev := range events {
		all += string(ev.Data)
	}
	if rows, err := r.Audit(0, 100); err == nil {
		b, _ := json.Marshal(rows)
		all += string(b)
	}
	if strings.Contains(all, channelKey) {
		t.Error("the key is told")
	}
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	if at := grep(t, r.dir, channelKey); at != "" {
		t.Errorf("the key lies in the clear in %s", at)
	}
}

// Every fault has its place and a remedy, and leaves nothing behind.
func TestSetupOfResponseIsChecked(t *testing.T) {
	r := responding(t, &outbox{})
	r.contacts()
	way := []station.Way{{Channel: "sms", Address: "13800000001"}}
	good := station.Contact{ID: "third", Name: "三", WaitSeconds: 60, Channels: way}
	for place, change := range map[string]func(*station.Contact){
		"id":                  func(c *station.Contact) { c.ID = "Third!" },
		"name":                func(c *station.Contact) { c.Name = " " },
		"waitSeconds":         func(c *station.Contact) { c.WaitSeconds = 5 },
		"channels":            func(c *station.Contact) { c.Channels = nil },
		"channels[0].channel": func(c *station.Contact) { c.Channels = []station.Way{{Channel: "pigeon", Address: "x"}} },
		"channels[0].address": func(c *station.Contact) { c.Channels = []station.Way{{Channel: "sms"}} },
		"hours[0].from":       func(c *station.Contact) { c.Hours = station.Hours{{From: "8", To: "17:00"}} },
		"hours[0].days[0]":    func(c *station.Contact) { c.Hours = station.Hours{{From: "08:00", To: "17:00", Days: []int{8}}} },
		"account":             func(c *station.Contact) { c.Account = "nobody" },
	} {
		c := good
		change(&c)
		rec := r.do(station.CommandPutContact, c.ID, c)
		if rec.Problem == nil || rec.Problem.Place != place || rec.Problem.Hint == "" {
			t.Errorf("%s: %+v", place, rec.Problem)
		}
	}
	for place, d := range map[string]station.Duty{
		"open[0].to":    {Open: station.Hours{{From: "08:00", To: "25:00"}}, ParentSeconds: 60},
		"escalate[0]":   {Escalate: []station.Severity{"grave"}, ParentSeconds: 60},
		"deskSeconds":   {DeskSeconds: -1, ParentSeconds: 60},
		"parentSeconds": {},
		"escalate":      {Escalate: []station.Severity{station.SeverityMajor}, ParentSeconds: 60},
	} {
		if rec := r.do(station.CommandPutDuty, "", d); rec.Problem == nil || rec.Problem.Place != place || rec.Problem.Hint == "" {
			t.Errorf("%s: %+v", place, rec.Problem)
		}
	}
	if rec := r.do(station.CommandRemoveChannel, "sms", nil); rec.Problem == nil || rec.Problem.Code != "channel.used" {
		t.Errorf("a channel that is used was removed: %+v", rec)
	}
	if rec := r.do(station.CommandPutChannel, "none", station.Channel{ID: "none", Name: "x", Kind: station.ChannelRobot, URL: "https://x"}); rec.Problem == nil || rec.Problem.Place != "secret" {
		t.Errorf("a robot without a key: %+v", rec)
	}
	if list, err := r.Contacts(); err != nil || len(list) != 2 {
		t.Errorf("%+v %v", list, err)
	}
	if list, err := r.Channels(); err != nil || len(list) != 1 {
		t.Errorf("%+v %v", list, err)
	}
	r.must(r.do(station.CommandPutContact, "third", good))
	r.must(r.do(station.CommandPutContact, "phone", station.Contact{ID: "phone", Name: "电话", Phone: "0571-1", WaitSeconds: 60}))
	rows, err := r.Audit(0, 1)
	if err != nil || rows[0].Action != station.CommandPutContact || rows[0].Subject != "contact/phone" {
		t.Errorf("%+v %v", rows, err)
	}
}

// Numbers are shown to who needs them.
func TestContactsAreMasked(t *testing.T) {
	r := responding(t, &outbox{})
	r.contacts()
	get := func(role string) string {
		for _, route := range r.Routes() {
			if route.Pattern == "GET /api/v1/contacts" {
				req := httptest.NewRequest("GET", "/api/v1/contacts", nil)
				w := httptest.NewRecorder()
				route.Handler.ServeHTTP(w, req.WithContext(station.WithActor(context.Background(), station.Actor{Account: "x", Role: role})))
				return w.Body.String()
			}
		}
		return ""
	}
	if text := get(account.RoleOperator); !strings.Contains(text, "13800000001") {
		t.Error(text)
	}
	if text := get(account.RoleViewer); strings.Contains(text, "13800000001") || !strings.Contains(text, "01") {
		t.Error(text)
	}
}

// A telephone call is logged with one tap: whom, when, by whom, reached or not.
func TestCallsAreLogged(t *testing.T) {
	r := responding(t, &outbox{})
	r.addSensor("a", station.ClassSmoke)
	r.report("a", station.KindSmoke, true)
	r.report("a", station.KindBattery, true)
	for _, al := range r.live() {
		r.must(r.do(station.CommandLogCall, al.ID, station.CallOrder{To: "儿子 李四", Reached: false}))
		r.must(r.do(station.CommandLogCall, al.ID, station.CallOrder{To: "119", Reached: true, Note: "已出动"}))
		v, err := r.Alarm(al.ID)
		if err != nil || v.Response == nil || len(v.Response.Calls) != 2 {
			t.Fatalf("%+v %v", v.Response, err)
		}
		if c := v.Response.Calls[1]; c.To != "119" || !c.Reached || c.By != "li" || c.Name != "李站长" || c.Note != "已出动" || !c.At.Equal(r.clock.now()) {
			t.Errorf("%+v", c)
		}
		if al.Kind == station.KindSmoke && (v.Response.Stopped != "" || v.Response.NextAt.IsZero()) {
			t.Errorf("a call is no answer: %+v", v.Response)
		}
	}
	rows, err := r.Audit(0, 1)
	if err != nil || rows[0].Action != station.CommandLogCall || rows[0].Detail != "reached" {
		t.Errorf("%+v %v", rows, err)
	}
	if rec := r.do(station.CommandLogCall, r.live()[0].ID, station.CallOrder{}); rec.Problem == nil || rec.Problem.Place != "to" {
		t.Errorf("%+v", rec)
	}
	if rec := r.do(station.CommandLogCall, "none", station.CallOrder{To: "x"}); rec.Problem == nil || rec.Problem.Status != 404 {
		t.Errorf("%+v", rec)
	}
}

// What a child has told and to whom is seen at its parent, about its own alarms.
func TestAChildsResponse(t *testing.T) {
	r := newRig(t)
	r.addSensor("own", station.ClassSmoke)
	r.report("own", station.KindSmoke, true)
	own := r.live()[0].ID
	east := r.child("east")
	east.tell(station.LaneUrgent, station.EventAlarmRaised, "alarm/e1", alarmOf("east", "e1"))
	resp := station.Response{Alarm: "e1", Parent: true, Tellings: []station.Telling{{ID: "t", Kind: station.TellingParent, State: "waiting"}}}
	east.tell(station.LaneUrgent, station.EventResponse, "alarm/e1", resp)
	if got := r.response("e1"); !got.Parent || len(got.Tellings) != 1 {
		t.Errorf("%+v", got)
	}
	resp.Alarm = own
	east.tell(station.LaneUrgent, station.EventResponse, "alarm/"+own, resp)
	if got := r.response(own); got.Parent {
		t.Error("a child changed the response to an alarm of ours")
	}
}

// A storm rings no telephone a hundred times: what goes to one person at the same
// moment is one message, and is noted for each alarm. A system gets each.
func TestAStormIsOneMessage(t *testing.T) {
	out := &outbox{}
	r := responding(t, out)
	r.contacts()
	r.must(r.do(station.CommandPutChannel, "hook", station.ChannelOrder{Channel: station.Channel{ID: "hook", Name: "平台", Kind: station.ChannelWebhook, URL: "https://hook.example.org", Always: []station.Severity{station.SeverityCritical}}}))
	const storm = 30
	for i := range storm {
		id := "s" + strings.Repeat("x", i)
		r.addSensor(id, station.ClassSmoke)
		r.report(id, station.KindSmoke, true)
	}
	r.clock.add(31 * time.Second)
	r.step()
	r.run()
	sent := func() (sms, hooks int) {
		for _, m := range out.all() {
			if m.channel.ID == "hook" {
				hooks++
			} else {
				sms++
			}
		}
		return sms, hooks
	}
	until(t, "all of it", func() bool {
		for _, al := range r.live() {
			if got := told(r.response(al.ID)); al.Sensor != "" && got != "webhook:sent first:sent" {
				return false
			}
		}
		return true
	})
	if sms, hooks := sent(); sms != 1 || hooks != storm {
		t.Errorf("%d messages to a telephone, %d to the platform", sms, hooks)
	}
	for _, m := range out.all() {
		if m.channel.ID == "sms" && (m.OtherCount < storm-1 || len(m.Others) != 5 || m.Link == "") {
			t.Errorf("%+v", m.Message)
		}
	}
}

// A channel that does not get through says so, until it does again.
func TestTroubleOfAChannel(t *testing.T) {
	broken := true
	out := &outbox{}
	out.fail = func(station.ChannelLink, station.Message) (station.Delivery, error) {
		if broken {
			return station.Delivery{Final: true}, station.Errorf(502, "notify.refused", "x", "the account is empty")
		}
		return station.Delivery{}, nil
	}
	r := responding(t, out)
	r.contacts()
	r.addSensor("a", station.ClassSmoke)
	r.addSensor("b", station.ClassSmoke)
	if _, failing := r.ChannelLamp(); failing {
		t.Error("trouble before anything was sent")
	}
	stop := r.run()
	r.report("a", station.KindSmoke, true)
	r.clock.add(31 * time.Second)
	until(t, "the trouble", func() bool { _, failing := r.ChannelLamp(); return failing })
	list, err := r.Channels()
	if err != nil || list[0].Trouble == nil || list[0].Trouble.Problem.Message != "the account is empty" {
		t.Fatalf("%+v %v", list, err)
	}
	stop()
	out.mu.Lock()
	broken = false
	out.mu.Unlock()
	r.must(r.do(station.CommandTestChannel, "sms", station.ChannelTest{To: "13800000001"}))
	if l, failing := r.ChannelLamp(); failing {
		t.Errorf("%+v", l)
	}
}

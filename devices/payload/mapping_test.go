package payload_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stationd/devices/payload"
)

const worked = `
family: greenhouse
title: Greenhouse boxes
source: https://example.org/format
maker: Example
power: battery
messages:
  - topic: greenhouse/{device}/data
    when:
      type: [measure, alarm]
    unpack: body
    each: body.sensors.*
    device: "{device}/{.no}"
    name: "{$.label} {.no}"
    serial: "{$.seq}"
    via: "{device}"
    model: "{$.hw.model}"
    time: {path: $.at, format: "2006-01-02 15:04:05", zone: "+08:00"}
    backlog: {$.resent: ["true"]}
    fields:
      temperature: {path: [t, temp], unit: "C", scale: 0.1}
      smoke: {path: state, words: {fire: true, quiet: false}, skip: [unknown]}
      battery: {path: bat, scale: 100}
      tamper: {path: flags, bit: 2}
      door: {path: closed, not: true}
      gas: {path: ppm, above: 50}
      action: {path: key, event: true}
    others: {path: more, prefix: x_, except: [noise]}
    class:
      - {is: smoke, fields: [smoke]}
  - topic: greenhouse/{device}/status
    kind: presence
    format: text
    bridge: true
  - topic: greenhouse/{device}/hello
    kind: birth
    firmware: "{.fw}"
    interval: {path: every, scale: 60}
  - topic: greenhouse/{device}/debug
    kind: ignored
`

func TestAMappingReadsWhatItsFileSays(t *testing.T) {
	m, problems := payload.ParseMapping("greenhouse.yaml", []byte(worked))
	if m == nil {
		t.Fatal(problems)
	}
	if got := m.Filters(); !slices.Contains(got, "greenhouse/+/data") || m.Name() != "greenhouse" {
		t.Errorf("%s hears %v", m.Name(), got)
	}
	decode := func(topic, text string) string {
		res, err := m.Open().Decode(payload.Message{Topic: topic, Payload: []byte(text), Received: time.Unix(1767225600, 0)})
		if err != nil {
			return err.Error()
		}
		out, err := json.Marshal(res.Readings)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	body := `{"sensors":[{"no":1,"t":"215 C","state":"FIRE","bat":0.93,"flags":4,"closed":true,"more":{"co2":400,"noise":1}},{"no":2,"state":"unknown","ppm":51,"key":"up"}]}`
	packed, _ := json.Marshal(body)
	for _, c := range []struct{ topic, in, want string }{
		{
			"greenhouse/g7/data", `{"type":"measure","label":"North","seq":12345678901234567890,"resent":true,"hw":{"model":"B2"},"at":"2026-01-01 08:00:00","body":` + string(packed) + `}`,
			`[{"device":"g7/1","values":{"battery":93,"door":false,"smoke":true,"tamper":true,"temperature":21.5,"x_co2":400},"deviceTime":"2026-01-01T08:00:00+08:00","via":"g7","backlog":true,"serial":"12345678901234567890","name":"North 1","class":"smoke","maker":"Example","model":"B2","power":"battery"},` +
				`{"device":"g7/2","values":{"action":"up","gas":true},"events":["action"],"deviceTime":"2026-01-01T08:00:00+08:00","via":"g7","backlog":true,"serial":"12345678901234567890","name":"North 2","class":"gas","maker":"Example","model":"B2","power":"battery"}]`,
		},
		{"greenhouse/g7/data", `{"type":"other"}`, "not a reading"},
		{"greenhouse/g7/data", `{"type":`, "greenhouse: unexpected EOF"},
		{"greenhouse/g7/data", ``, "not a reading"},
		{"greenhouse/g7/status", `Offline`, `[{"device":"g7","presence":"offline","bridge":true,"maker":"Example","power":"battery"}]`},
		{"greenhouse/g7/status", `so so`, `greenhouse: neither online nor offline: "so so"`},
		{"greenhouse/g7/hello", `{"fw":"1.2","every":15}`, `[{"device":"g7","presence":"online","maker":"Example","firmware":"1.2","power":"battery","interval":900000000000}]`},
		{"greenhouse/g7/debug", `{`, "not a reading"},
		{"elsewhere", `{}`, "not a reading"},
	} {
		if got := decode(c.topic, c.in); got != c.want {
			t.Errorf("%s %s\n got %s\nwant %s", c.topic, c.in, got, c.want)
		}
	}
}

// Each fault of a file is told with its line and what to do about it.
func TestABadMappingIsToldOf(t *testing.T) {
	for _, c := range []struct{ text, line, want string }{
		{"family: a\nmessages:\n  - topic: a/{device}\n    feilds: {smoke: x}\n", "line 4", "did you mean fields?"},
		{"family: a\nmessages:\n  - topic: a/{device}\n    fields:\n      smoke: {path: x, sacle: 2}\n", "line 5", "did you mean scale?"},
		{"family: a\nmessages:\n  - topic: a/b\n    fields: {smoke: x}\n", "line 3", "name a level of the topic {device}"},
		{"family: a\nmessages:\n  - topic: a/{device}\n    serial: '{nobody}'\n    fields: {smoke: x}\n", "line 3", "nothing is called {nobody}"},
		{"family: a\nmessages:\n  - topic: a/{device}\n    time: {path: t, format: '2006-01-02 15:04'}\n    fields: {smoke: x}\n", "line 4", "add zone:"},
		{"family: a\nmessages:\n  - topic: a/{device}\n    fields: {smoke: a..b}\n", "line 4", "empty step"},
		{"family: a\nmessages:\n  - topic: a/x{device}\n    fields: {smoke: a}\n", "line 3", "must stand alone"},
		{"family: A b\nmessages:\n  - topic: a/{device}\n    fields: {smoke: a}\n", "line 1", "small letters"},
		{"family: a\nmessages:\n  - topic: a/{device}\n    kind: raeding\n    fields: {smoke: a}\n", "line 4", "write one of reading"},
		{"family: a\nmessages:\n  - topic: a/{device}\n    include: {nothing: x}\n", "line 4", "no set of fields"},
		{"family: a\nmessages:\n  - topic: a/{device}\n    when: {'{nobody}': x}\n    fields: {smoke: a}\n", "line 3", "which nothing is called"},
		{"family: a\nmessages:\n  - topic: a/{device}\n    unpack: a.*\n    fields: {smoke: a}\n", "line 4", "plain keys only"},
		{"family: a\n", "line 1", "add messages:"},
		{"family: a\n  b: [", "", "YAML"},
		{"", "", "empty"},
		{"- 1\n- 2\n", "line 1", "indented"},
		{strings.Repeat("[", 100_000), "", "deep"},
		{"family: a\nfamily: b\nmessages: []\n", "", "family"},
	} {
		m, problems := payload.ParseMapping("bad.yaml", []byte(c.text))
		if m != nil || len(problems) == 0 {
			t.Errorf("accepted: %q", clip(c.text))
			continue
		}
		text := ""
		for _, p := range problems {
			text += p.Error() + "\n"
			if p.File != "bad.yaml" || p.Hint == "" || p.Message == "" {
				t.Errorf("%+v does not tell all", p)
			}
		}
		if !strings.Contains(text, c.line) || !strings.Contains(text, c.want) {
			t.Errorf("%q:\n%swant %q %q", clip(c.text), text, c.line, c.want)
		}
	}
}

func clip(s string) string { return s[:min(len(s), 200)] }

// What is dropped into the directory is there after a reload; a bad file is told
// of and keeps nothing else from working.
func TestADroppedFamilyIsTakenUp(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := payload.Families(filepath.Join(dir, "nothing-here"))
	if len(c.Problems()) != 0 || !slices.Contains(c.Names(), payload.FamilyZigbee2MQTT) {
		t.Fatalf("what is shipped: %v %v", c.Names(), c.Problems())
	}
	c = payload.Families(dir)
	before := len(c.Names())
	write("good.yaml", worked)
	write("shared.yml", "set: common\nfields:\n  battery: {path: bat, unit: '%'}\n  smoke: s\n")
	write("user.yaml", "family: user\nmessages:\n  - topic: u/{device}\n    include: {common: inner}\n    fields: {smoke: other}\n")
	write("bad.yaml", "family: bad\nmessages: 7\n")
	write("twice.yaml", "family: greenhouse\nmessages:\n  - {topic: 'a/{device}', fields: {smoke: a}}\n")
	write("taken.yaml", "family: zigbee2mqtt\nmessages:\n  - {topic: 'a/{device}', fields: {smoke: a}}\n")
	write("notes.txt", "nothing")
	write("huge.yaml", strings.Repeat("#", 1<<20))
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	c.Reload()
	if got := c.Names(); len(got) != before+2 {
		t.Errorf("families: %v", got)
	}
	if e, ok := c.Entry("greenhouse"); !ok || e.Origin != payload.OriginDropped || e.File != "good.yaml" || e.Title != "Greenhouse boxes" {
		t.Errorf("%+v", e)
	}
	f, _ := c.Family("user")
	res, err := f.Open().Decode(payload.Message{Topic: "u/7", Payload: []byte(`{"other":0,"inner":{"bat":"45 %","s":1}}`)})
	if err != nil || res.Readings[0].Values["battery"] != 45.0 || res.Readings[0].Values["smoke"] != false {
		t.Errorf("%+v %v", res, err)
	}
	told := map[string]bool{}
	for _, p := range c.Problems() {
		told[p.File] = true
	}
	for _, name := range []string{"bad.yaml", "twice.yaml", "taken.yaml", "huge.yaml", "link.yaml"} {
		if !told[name] {
			t.Errorf("%s is not told of: %v", name, c.Problems())
		}
	}
	if len(told) != 5 {
		t.Errorf("told of %v", told)
	}
}

// TestTheNewestOfSeveralTimesCounts: a battery that was measured hours ago does not
// make the fire beside it old news.
func TestTheNewestOfSeveralTimesCounts(t *testing.T) {
	for topic, data := range map[string]string{
		"/sys/pk/dn/thing/event/property/post": `{"id":"1","params":{"BatteryPercentage":{"value":80,"time":1767200000000},"SmokeSensorState":{"value":1,"time":1767225600000}},"method":"thing.event.property.post"}`,
		"$sys/p/d/thing/property/post":         `{"id":"1","params":{"battery":{"value":80,"time":1767200000000},"smoke":{"value":1,"time":1767225600000}}}`,
	} {
		c := payload.Families("")
		read := 0
		for _, name := range []string{"alink", "onenet"} {
			f, _ := c.Family(name)
			res, err := f.Open().Decode(payload.Message{Topic: topic, Payload: []byte(data)})
			if err != nil || len(res.Readings) == 0 {
				continue
			}
			read++
			if r := res.Readings[0]; r.DeviceTime.Unix() != 1767225600 || r.Values["smoke"] != true {
				t.Errorf("%s: %+v", topic, r)
			}
		}
		if read != 1 {
			t.Errorf("%s was read %d times", topic, read)
		}
	}
}

// TestMoreReadingsThanAreTaken: of a batch that is too long what is beyond is told
// of, and what calls for help is not left out.
func TestMoreReadingsThanAreTaken(t *testing.T) {
	f, _ := payload.Families("").Family("thingsboard")
	var parts []string
	for i := range 600 {
		parts = append(parts, fmt.Sprintf(`{"ts":%d,"values":{"temperature":20}}`, 1767225600000+i))
	}
	parts = append(parts, `{"ts":1767225700000,"values":{"smoke":true}}`)
	res, err := f.Open().Decode(payload.Message{Topic: "v1/gateway/telemetry", Payload: []byte(`{"hall":[` + strings.Join(parts, ",") + `]}`)})
	if err != nil || len(res.Readings) > payload.MaxReadings || len(res.Unsupported) == 0 {
		t.Fatalf("%d readings, %v, %v", len(res.Readings), res.Unsupported, err)
	}
	if last := res.Readings[len(res.Readings)-1]; last.Values["smoke"] != true {
		t.Errorf("the fire is left out: %+v", last)
	}
}

func FuzzMapping(f *testing.F) {
	f.Add([]byte(worked), "greenhouse/a/data", []byte(`{"type":"alarm","body":"{\"sensors\":[{}]}"}`))
	f.Add([]byte("family: a\nmessages:\n  - {topic: '{device+}', format: pairs, others: ''}\n"), "x/y", []byte("smoke=1;t=21.5 C"))
	f.Add([]byte("set: a\nfields: {smoke: [a, b]}\n"), "x", []byte(`{}`))
	f.Add([]byte("a: &x [*x]\n<<: {a: 1}\n? b\n: !!int c\n"), "x", []byte(`{}`))
	f.Fuzz(func(t *testing.T, file []byte, topic string, data []byte) {
		m, problems := payload.ParseMapping("f.yaml", file)
		if m == nil {
			if len(problems) == 0 {
				t.Error("refused without a word")
			}
			return
		}
		res, err := m.Open().Decode(payload.Message{Topic: topic, Payload: data, Received: time.Unix(1767225600, 0)})
		for _, r := range res.Readings {
			check(t, r, err)
		}
	})
}

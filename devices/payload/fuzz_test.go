package payload_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"stationd/devices/payload"
)

// seeds adds the messages of the golden conversations of a family.
func seeds(f *testing.F, family string) {
	f.Helper()
	files, err := filepath.Glob("testdata/golden/" + family + "/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var g conversation
		if json.Unmarshal(data, &g) != nil {
			continue
		}
		for i, s := range g.Steps {
			first := g.Steps[max(0, i-1)]
			f.Add(first.Topic, first.bytes(), s.Topic, s.bytes())
		}
	}
}

func (s step) bytes() []byte {
	if s.Text != nil {
		return []byte(*s.Text)
	}
	return s.Payload
}

// pair holds for whatever two messages a family is given one after the other.
func pair(t *testing.T, family payload.Family, topics [2]string, payloads [2][]byte) {
	t.Helper()
	session := family.Open()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range topics {
		before := bytes.Clone(payloads[i])
		res, err := session.Decode(payload.Message{Topic: topics[i], Payload: payloads[i], Received: at.Add(time.Duration(i) * time.Second)})
		sound(t, res, err)
		if !bytes.Equal(before, payloads[i]) {
			t.Error("the payload was changed")
		}
	}
}

// sound holds for whatever a session returns.
func sound(t *testing.T, res payload.Result, err error) {
	t.Helper()
	if err != nil && len(res.Readings) > 0 {
		t.Errorf("readings and an error: %v", err)
	}
	if err != nil && len(err.Error()) > 4096 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
	if len(res.Readings) > payload.MaxReadings {
		t.Errorf("%d readings", len(res.Readings))
	}
	for _, topic := range res.Listen {
		if topic == "" || !utf8.ValidString(topic) || strings.ContainsAny(topic, "+#") {
			t.Errorf("%q is to be listened to", topic)
		}
	}
	for _, r := range res.Readings {
		check(t, r, err)
		if r.Device == "" {
			t.Error("a reading of nobody")
		}
		for _, text := range []string{r.Device, r.Via, r.Serial, r.Name, r.Class, r.Maker, r.Model, r.Firmware} {
			if len(text) > 2*payload.MaxText+16 || !utf8.ValidString(text) {
				t.Errorf("a text of %d bytes, valid %v", len(text), utf8.ValidString(text))
			}
		}
		for _, e := range r.Events {
			if _, ok := r.Values[e]; !ok {
				t.Errorf("an event %q without a value", e)
			}
		}
	}
}

func fuzzFamily(f *testing.F, family payload.Family) {
	seeds(f, family.Name())
	f.Fuzz(func(t *testing.T, topic1 string, data1 []byte, topic2 string, data2 []byte) {
		pair(t, family, [2]string{topic1, topic2}, [2][]byte{data1, data2})
	})
}

func FuzzZigbee2MQTTSession(f *testing.F) { fuzzFamily(f, payload.NewZigbee2MQTT()) }
func FuzzTasmota(f *testing.F)            { fuzzFamily(f, payload.Tasmota{}) }
func FuzzESPHome(f *testing.F)            { fuzzFamily(f, payload.ESPHome{}) }
func FuzzHomeAssistant(f *testing.F)      { fuzzFamily(f, payload.NewHomeAssistant("")) }
func FuzzShelly(f *testing.F)             { fuzzFamily(f, payload.Shelly{}) }

// FuzzShipped is for the mapping files that come with the program: whichever of
// them hears the topic reads it.
func FuzzShipped(f *testing.F) {
	c := payload.Families("")
	for _, name := range c.Names() {
		seeds(f, name)
	}
	f.Fuzz(func(t *testing.T, topic1 string, data1 []byte, topic2 string, data2 []byte) {
		for _, name := range c.Names() {
			family, _ := c.Family(name)
			if heard(family, topic1) || heard(family, topic2) {
				pair(t, family, [2]string{topic1, topic2}, [2][]byte{data1, data2})
			}
		}
	})
}

// FuzzTemplate puts any text where Home Assistant has a template.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{
		"{{ value_json.a.b | float(0) | round(1) }}", "{% if value == 'x' %}a{% elif not value %}b{% else %}c{% endif %}",
		"{{ (value_json['k'] ~ 'x') in ['a', 1] and 2 // 3 % 4 is defined }}", "{{ value | replace('', value) }}", "{{ iif(value, 1, 2) if 1 else - - 3 }}",
	} {
		f.Add(text, []byte(`{"a":{"b":"3.5"},"k":[1,{"x":null}]}`))
	}
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		config, err := json.Marshal(map[string]any{"state_topic": "s", "value_template": text, "device": map[string]any{"identifiers": "d"}})
		if err != nil {
			t.Skip()
		}
		pair(t, payload.NewHomeAssistant(""), [2]string{"homeassistant/sensor/d/x/config", "s"}, [2][]byte{config, data})
	})
}

// hostile are payloads made to take room, time or the stack.
func hostile() map[string][]byte {
	wide := []byte("{")
	for i := range 12_000 {
		if i > 0 {
			wide = append(wide, ',')
		}
		wide = append(wide, `"k`...)
		wide = append(wide, []byte(strings.Repeat("x", i%7)+string(rune('a'+i%26)))...)
		wide = append(wide, []byte(`_`+time.Duration(i).String()+`":{"a":[1,2,{"b":"c"}]}`)...)
	}
	wide = append(wide, '}')
	return map[string][]byte{
		"nothing":          nil,
		"zeros":            make([]byte, 1<<16),
		"arrays":           bytes.Repeat([]byte("["), 1<<17),
		"closed arrays":    append(bytes.Repeat([]byte("["), 1<<16), bytes.Repeat([]byte("]"), 1<<16)...),
		"objects":          bytes.Repeat([]byte(`{"a":`), 1<<16),
		"shelly objects":   append([]byte(`{"src":"x","method":"NotifyStatus","params":`), bytes.Repeat([]byte(`{"a":`), 1<<16)...),
		"wide":             wide,
		"long text":        []byte(`"` + strings.Repeat("火", 1<<17) + `"`),
		"long number":      []byte(strings.Repeat("9", 1<<17)),
		"large number":     []byte(`{"smoke":1e999,"battery":-1e308,"temperature":1e-999}`),
		"too long":         bytes.Repeat([]byte(" "), payload.MaxPayload+1),
		"not utf-8":        []byte("{\"smoke\":\"\xff\xfe\",\"\xc3\x28\":1}"),
		"half a surrogate": []byte(`{"smoke":"\ud800","name":"\udc00"}`),
		"null":             []byte(`null`),
		"nulls":            []byte(`{"params":null,"object":null,"data":[null,{"a":null}],"device":null,"cmps":{"x":null}}`),
		"twice":            []byte(`{} {}`),
		"pairs":            bytes.Repeat([]byte("a=1;"), 1<<15),
	}
}

// Every family lives through whatever is sent to it, with bounded memory and in
// bounded time.
func TestEveryFamilySurvivesStrangers(t *testing.T) {
	c := payload.Families("")
	for _, name := range c.Names() {
		t.Run(name, func(t *testing.T) {
			family, _ := c.Family(name)
			session := family.Open()
			topics := []string{"", "/", strings.Repeat("/", 60_000), strings.Repeat("a", 60_000), "\xff/\x00"}
			for _, filter := range family.Filters() {
				for _, level := range []string{"x", "火", "binary_sensor"} {
					topics = append(topics, strings.NewReplacer("+", level, "#", level+"/"+level).Replace(filter))
				}
			}
			files, err := filepath.Glob("testdata/golden/" + name + "/*.json")
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				var g conversation
				if json.Unmarshal(data, &g) == nil && len(g.Steps) > 0 {
					topics = append(topics, g.Steps[len(g.Steps)-1].Topic)
				}
			}
			most := 16
			if e, _ := c.Entry(name); e.Origin == payload.OriginShipped {
				most = 9 // one engine reads them all
			}
			topics = topics[:min(len(topics), most)]
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			payloads := hostile()
			for _, topic := range topics {
				for what, data := range payloads {
					start := time.Now()
					res, err := session.Decode(payload.Message{Topic: topic, Payload: data, Received: start})
					if took := time.Since(start); took > 20*time.Second {
						t.Errorf("%s on %.40q took %s", what, topic, took)
					}
					sound(t, res, err)
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
				t.Errorf("%d MiB are kept", grown>>20)
			}
			runtime.KeepAlive(session)
		})
	}
}

// A session that is flooded with new devices remembers a bounded number of them.
func TestMemoryOfSessionsIsBounded(t *testing.T) {
	session := payload.NewHomeAssistant("").Open()
	refused := 0
	for i := range 10_000 {
		id := time.Duration(i).String()
		res, err := session.Decode(payload.Message{
			Topic:   "homeassistant/binary_sensor/" + id + "/smoke/config",
			Payload: []byte(`{"device_class":"smoke","state_topic":"s/` + id + `","device":{"identifiers":["` + id + `"]}}`),
		})
		if err != nil && !errors.Is(err, payload.ErrIgnored) {
			t.Fatal(err)
		}
		if len(res.Unsupported) > 0 {
			refused++
		}
	}
	if refused == 0 {
		t.Error("10,000 entities are remembered without a bound")
	}
}

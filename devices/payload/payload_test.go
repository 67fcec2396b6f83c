package payload_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"stationd/devices/payload"
)

var update = flag.Bool("update", false, "rewrite the expected halves of the golden files")

// golden is one file: what comes in and what must come out, side by side.
type golden struct {
	Note    string            `json:"note,omitempty"`
	Topic   string            `json:"topic"`
	Fields  map[string]string `json:"fields,omitempty"`
	Payload json.RawMessage   `json:"payload,omitempty"`
	Text    *string           `json:"text,omitempty"` // a payload that is no JSON
	Reading *payload.Reading  `json:"reading,omitempty"`
	Error   string            `json:"error,omitempty"`
}

func (g golden) decode(t *testing.T, family string) (payload.Reading, error) {
	t.Helper()
	in := []byte(g.Payload)
	if g.Text != nil {
		in = []byte(*g.Text)
	}
	switch family {
	case payload.FamilyZigbee2MQTT:
		return payload.Zigbee2MQTT{}.Decode(g.Topic, in)
	default:
		d, err := payload.NewJSON(g.Fields)
		if err != nil {
			t.Fatal(err)
		}
		return d.Decode(g.Topic, in)
	}
}

func TestGoldenFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*/*.json")
	if err != nil || len(files) < 15 {
		t.Fatalf("found %d golden files: %v", len(files), err)
	}
	for _, file := range files {
		family := filepath.Base(filepath.Dir(file))
		t.Run(family+"/"+strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(data), `"steps"`) {
				t.Skip("a conversation, see TestGoldenConversations")
			}
			var g golden
			if err := json.Unmarshal(data, &g); err != nil {
				t.Fatal(err)
			}
			want := pretty(t, g)
			r, err := g.decode(t, family)
			g.Reading, g.Error = nil, ""
			if err != nil {
				g.Error = err.Error()
			} else {
				g.Reading = &r
			}
			got := pretty(t, g)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func pretty(t *testing.T, g golden) string {
	t.Helper()
	out, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}

func TestMappingsThatCannotBeRead(t *testing.T) {
	for _, fields := range []map[string]string{nil, {}, {"smoke": "a..b"}, {"": "a"}, {"smoke": "."}} {
		if _, err := payload.NewJSON(fields); err == nil {
			t.Errorf("%v was accepted", fields)
		}
	}
}

// check holds for whatever a decoder is given.
func check(t *testing.T, r payload.Reading, err error) {
	t.Helper()
	if err != nil {
		return
	}
	if len(r.Values) > payload.MaxFields+16 {
		t.Errorf("%d fields", len(r.Values))
	}
	for k, v := range r.Values {
		switch v := v.(type) {
		case bool, float64:
		case string:
			if len(v) > payload.MaxText || !utf8.ValidString(v) {
				t.Errorf("field %q is %d bytes, valid %v", k, len(v), utf8.ValidString(v))
			}
		default:
			t.Errorf("field %q is a %T", k, v)
		}
	}
	if _, err := json.Marshal(r); err != nil {
		t.Errorf("a reading cannot be stored: %v", err)
	}
}

func FuzzZigbee2MQTT(f *testing.F) {
	f.Add("zigbee2mqtt/kitchen/smoke", []byte(`{"smoke":true,"battery":97,"last_seen":1767225600000}`))
	f.Add("zigbee2mqtt/kitchen/availability", []byte(`{"state":"offline"}`))
	f.Add("zigbee2mqtt/bridge/state", []byte(`online`))
	f.Add("zigbee2mqtt/x", []byte(`{"action":"sos","last_seen":"2026-01-01T00:00:00+08:00"}`))
	f.Add("zigbee2mqtt/x", []byte(`{"last_seen":1e300,"contact":"\ud800"}`))
	f.Fuzz(func(t *testing.T, topic string, data []byte) {
		r, err := payload.Zigbee2MQTT{}.Decode(topic, data)
		check(t, r, err)
		if err == nil && !r.Bridge && r.Device == "" {
			t.Error("a reading of nobody")
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add("data.0.alarm", []byte(`{"data":[{"alarm":1}]}`))
	f.Add(`a\.b.c`, []byte(`{"a.b":{"c":"21.5 C"}}`))
	f.Add("", []byte(`42`))
	f.Fuzz(func(t *testing.T, path string, data []byte) {
		d, err := payload.NewJSON(map[string]string{"smoke": path, "temperature": path, payload.FieldTime: path})
		if err != nil {
			return
		}
		r, err := d.Decode("t", data)
		check(t, r, err)
	})
}

func TestAnIgnoredMessageIsNoFault(t *testing.T) {
	for _, topic := range []string{"zigbee2mqtt", "zigbee2mqtt/", "other/x", "zigbee2mqtt/bridge/devices", "zigbee2mqtt/a/set", "zigbee2mqtt/a/b/get", "zigbee2mqtt/a/set/state"} {
		if _, err := (payload.Zigbee2MQTT{}).Decode(topic, []byte(`{}`)); !errors.Is(err, payload.ErrIgnored) {
			t.Errorf("%s: %v", topic, err)
		}
	}
}

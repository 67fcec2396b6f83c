package payload_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"stationd/devices/payload"
)

// FuzzFlat: what is read in a single pass is what encoding/json reads.
func FuzzFlat(f *testing.F) {
	for _, s := range []string{
		`{}`, ` { "a" : 1 , "b":true,"c":"x" } `, `{"a":-0.5e+3,"a":null,"b":"烟感"}`, `{"a":01}`, `{"a":1.}`, `{"a":"\u0041"}`, `{"a":1,}`, `{"a":{}}`, `{"a":1}x`,
		`{"a":1e999}`, `{"a":tru}`, `{"a":"` + "\xff" + `"}`, `{"battery":88,"water_leak":false,"last_seen":1764579845123}`, `{`, ``, `{"":0}`, `{"a"`, `{"a":-}`, "{\"a\":\"\n\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := payload.Flat(b)
		if !ok {
			return
		}
		var want map[string]any
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatalf("%q is no JSON: %v", b, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q is %v, want %v", b, got, want)
		}
	})
}

func TestFlatTakesWhatBridgesSend(t *testing.T) {
	for _, s := range []string{`{"battery":88,"battery_low":false,"last_seen":1764579845123,"linkquality":117,"tamper":false,"water_leak":false}`, `{ "temperature": 21.55, "state": "ON" }`, `{}`} {
		if _, ok := payload.Flat([]byte(s)); !ok {
			t.Errorf("%s is left to encoding/json", s)
		}
	}
}

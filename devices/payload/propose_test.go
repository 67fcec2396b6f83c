package payload_test

import (
	"maps"
	"testing"

	"stationd/agent/station"
	"stationd/devices/payload"
)

// A sample becomes a mapping that reads the sample.
func TestAProposalReadsItsSample(t *testing.T) {
	for _, c := range []struct {
		sample string
		fields map[string]string
		values map[string]station.Value
	}{
		{
			`{"dev":"77","ts":1767225600,"data":[{"smoke_alarm":1,"temp":21.5,"a.b":{"battery":"87 %"}}],"rssi":-71}`,
			map[string]string{"time": "ts", "smoke": "data.0.smoke_alarm", "temperature": "data.0.temp", "battery": `data.0.a\.b.battery`, "linkquality": "rssi"},
			map[string]station.Value{"smoke": true, "temperature": 21.5, "battery": 87.0, "linkquality": -71.0},
		},
		{`{"params":{"GasSensor":{"value":"alarm"},"door":{"state":"open"}}}`, map[string]string{"gas": "params.GasSensor.value", "door": "params.door.state"}, map[string]station.Value{"gas": true, "door": true}},
		{"temp=21.5;smoke=0", map[string]string{"temperature": "temp", "smoke": "smoke"}, map[string]station.Value{"temperature": 21.5, "smoke": false}},
		{`{"temp":4000,"smoke":0.31,"time":"noon"}`, map[string]string{}, nil},
	} {
		fields := map[string]string{}
		for _, p := range payload.Propose([]byte(c.sample)) {
			if p.Field != "" {
				fields[p.Field] = p.Path
			}
		}
		if !maps.Equal(fields, c.fields) {
			t.Errorf("%s: %v", c.sample, fields)
		}
		if len(c.fields) == 0 {
			continue
		}
		d, err := payload.NewJSON(fields)
		if err != nil {
			t.Fatal(err)
		}
		r, err := d.Decode("t", []byte(c.sample))
		if err != nil || !maps.Equal(r.Values, c.values) {
			t.Errorf("%s: %v %v", c.sample, r.Values, err)
		}
	}
	if p := payload.Propose([]byte("ON")); len(p) != 1 || p[0].Path != "" || p[0].Value != "ON" {
		t.Errorf("a bare value: %+v", p)
	}
	if p := payload.Propose([]byte("\x00\x01\xff")); len(p) != 0 {
		t.Errorf("binary: %+v", p)
	}
}

func FuzzPropose(f *testing.F) {
	f.Add([]byte(`{"a":[{"smoke":1}],"b.c":{"d\\":"x"}}`))
	f.Add([]byte("t=21.5;smoke=1"))
	f.Add([]byte("ON"))
	f.Fuzz(func(t *testing.T, data []byte) {
		seen := map[string]bool{}
		for _, p := range payload.Propose(data) {
			if p.Field == "" {
				continue
			}
			if seen[p.Field] {
				t.Errorf("%s is proposed twice", p.Field)
			}
			seen[p.Field] = true
			if _, err := payload.NewJSON(map[string]string{p.Field: p.Path}); err != nil {
				t.Errorf("a path that is none: %v", err)
			}
		}
	})
}

// A name that says something about a detector is not taken for its alarm.
func TestABatteryOfASmokeDetectorIsNoSmoke(t *testing.T) {
	for id, alarms := range map[string]bool{
		"smoke": true, "kitchen_smoke_alarm": true, "water_leak": true, "gas_detected": true,
		"smoke_battery_low": false, "smoke_detector_fault": false, "smoke_test": false, "gas_valve": false, "door_bell": false, "door_lock": false,
	} {
		res, err := payload.ESPHome{}.Decode(payload.Message{Topic: "hall/binary_sensor/" + id + "/state", Payload: []byte("ON")})
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Readings[0].Class != ""; got != alarms {
			t.Errorf("%s: %+v", id, res.Readings[0])
		}
	}
}

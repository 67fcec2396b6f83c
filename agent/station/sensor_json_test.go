package station_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"stationd/agent/station"
)

// What is written without reflection is to the byte what is written with it.
func TestStateAsJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	texts := []string{"", "a", "battery", "linkquality", "烟感", "a<b>&\"c\"\\", "\u2028\x00\xff\x7f", "tab\t"}
	text := func() string { return texts[r.IntN(len(texts))] }
	at := func() time.Time {
		t := time.Unix(r.Int64N(1<<32), r.Int64N(1e9))
		switch r.IntN(4) {
		case 0:
			return t.UTC()
		case 1:
			return t.In(time.FixedZone("x", 60*(r.IntN(2000)-1000)))
		case 2:
			return time.Time{}
		}
		return t.Truncate(time.Second)
	}
	value := func() station.Value {
		switch r.IntN(6) {
		case 0:
			return r.IntN(2) == 0
		case 1:
			return text()
		case 2:
			return math.Float64frombits(r.Uint64() &^ (1 << 62)) // finite, of any size
		case 3:
			return float64(r.IntN(1000)) / 10
		case 4:
			return nil
		}
		return []any{0.0, math.Copysign(0, -1), 1e21, 1e-7, 1e20, 5e-324}[r.IntN(6)]
	}
	for range 5000 {
		s := station.SensorState{Sensor: text(), Node: station.NodeID(text()), LastSeen: at(), Offline: r.IntN(2) == 0}
		if r.IntN(2) == 0 {
			s.Values, s.VitalsAt = map[string]station.Value{}, map[string]time.Time{}
			for range r.IntN(40) {
				s.Values[text()+text()] = value()
				s.VitalsAt[text()] = at()
			}
			s.Heard, s.DeviceSkew, s.Interval = time.Duration(r.Int64()), -time.Duration(r.Int64()), time.Duration(r.IntN(3))
			s.Seen = []byte(text())
		}
		want, err := json.Marshal(s)
		got, err2 := s.AppendJSON([]byte("before"))
		if (err == nil) != (err2 == nil) || err == nil && string(got) != "before"+string(want) {
			t.Fatalf("%s %v, want %s %v", got, err2, want, err)
		}
	}
	for _, s := range []station.SensorState{
		{LastSeen: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)},
		{LastSeen: time.Unix(0, 0).In(time.FixedZone("", 24*3600))},
		{Values: map[string]station.Value{"x": math.NaN()}},
	} {
		if _, err := s.AppendJSON(nil); err == nil {
			t.Errorf("%+v is written", s)
		}
	}
}

func BenchmarkStateAsJSON(b *testing.B) {
	now := time.Now()
	s := station.SensorState{
		Sensor: "water-01", LastSeen: now, Heard: time.Since(now.Add(-time.Hour)), DeviceSkew: -12345,
		Values:   map[string]station.Value{"battery": 88.0, "battery_low": false, "linkquality": 117.0, "tamper": false, "water": false},
		VitalsAt: map[string]time.Time{"battery": now, "battery_low": now, "linkquality": now},
	}
	b.Run("reflection", func(b *testing.B) {
		for b.Loop() {
			_, _ = json.Marshal(s)
		}
	})
	b.Run("appended", func(b *testing.B) {
		var buf []byte
		for b.Loop() {
			buf, _ = s.AppendJSON(buf[:0])
		}
	})
}

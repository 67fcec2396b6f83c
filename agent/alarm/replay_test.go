package alarm_test

import (
	"fmt"
	"iter"
	"testing"
	"time"

	"stationd/agent/alarm"
	"stationd/agent/station"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// history makes verdicts from "seconds, active" pairs.
func history(timing station.Timing, points ...any) iter.Seq2[time.Time, station.Signal] {
	return func(yield func(time.Time, station.Signal) bool) {
		for i := 0; i < len(points); i += 2 {
			at := noon.Add(time.Duration(points[i].(int)) * time.Second)
			if !yield(at, station.Signal{Kind: station.KindDoor, Active: points[i+1].(bool), Timing: timing}) {
				return
			}
		}
	}
}

// TestReplay: the alarms that a rule would have raised, by the second.
func TestReplay(t *testing.T) {
	for name, c := range map[string]struct {
		timing station.Timing
		points []any
		want   []int
	}{
		"at once":                       {station.Timing{}, []any{5, true, 65, false, 125, true}, []int{5, 125}},
		"held long enough":              {station.Timing{For: 30 * time.Second}, []any{0, true, 29, false, 100, true, 131, false}, []int{130}},
		"held to the end of the record": {station.Timing{For: 30 * time.Second}, []any{0, true}, []int{30}},
		"repeats do not begin anew":     {station.Timing{For: 30 * time.Second}, []any{0, true, 20, true, 40, true}, []int{30}},
		"three within a minute":         {station.Timing{Count: 3, Within: time.Minute}, []any{0, true, 1, false, 50, true, 51, false, 70, true, 71, false, 72, true}, []int{72}},
		"an off-delay joins two":        {station.Timing{Off: 20 * time.Second}, []any{0, true, 10, false, 25, true, 30, false, 100, true}, []int{0, 100}},
		"chatter is held":               {station.Timing{}, []any{0, true, 1, false, 2, true, 3, false, 4, true, 5, false, 6, true, 7, false, 50, true, 51, false, 200, true}, []int{0, 2, 4, 200}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []int
			for al := range alarm.Replay(station.KindDoor, alarm.DefaultLimits(), history(c.timing, c.points...), noon.Add(time.Hour)) {
				got = append(got, int(al.RaisedAt.Sub(noon)/time.Second))
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("raised at %v, want %v", got, c.want)
			}
		})
	}
}

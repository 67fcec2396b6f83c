package agent_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
)

type uptimeRows struct {
	Rows []struct {
		Kind, ID, Name, From string
		Node                 station.NodeID
		Up, Down             time.Duration
		Lost                 int
		Rate                 *float64
	}
}

func (l *life) uptimes(query string) uptimeRows {
	l.t.Helper()
	var out uptimeRows
	if p := l.call(admin, "GET", "/api/v1/availability"+query, nil, &out); p != nil {
		l.t.Fatal(p)
	}
	return out
}

// Three days of a station: there, away for six hours over a midnight, the centre itself
// away for an hour, of which nobody knows.
func TestUptimesByDay(t *testing.T) {
	begin := time.Date(2026, 3, 2, 0, 0, 0, 0, time.Local) // a Monday
	l := newLife(t, t.TempDir(), begin).begins()
	east := l.child("east")
	east.tell(station.LaneNormal, station.EventCameraChanged, "camera/c", station.Camera{ID: "c", Name: "=大门"})
	east.tell(station.LaneNormal, station.EventCameraState, "camera/c", station.CameraState{Camera: "c", Status: station.CameraOnline})
	east.tell(station.LaneBulk, station.EventReading, "sensor/s", station.SensorState{Sensor: "s", LastSeen: begin})
	l.pass(21 * time.Hour)
	l.sees("east", station.Presence{})
	l.pass(6 * time.Hour)
	l.comes("east")
	east.tell(station.LaneNormal, station.EventCameraState, "camera/c", station.CameraState{Camera: "c", Status: station.CameraOffline})
	l.pass(9 * time.Hour) // noon of the second day
	l = l.end(time.Hour).begins()
	l.pass(time.Minute)
	l.comes("east")
	l.pass(35*time.Hour - time.Minute) // the end of the third day

	days := l.uptimes("?from=2026-03-02&by=day&kind=node")
	want := []struct{ up, down time.Duration }{{21 * time.Hour, 3 * time.Hour}, {9*time.Hour + 11*time.Hour - time.Minute, 3 * time.Hour}, {24 * time.Hour, 0}}
	if len(days.Rows) != 3 {
		t.Fatalf("%+v", days)
	}
	for i, w := range want {
		if r := days.Rows[i]; r.ID != "east" || r.Up.Round(time.Second) != w.up || r.Down.Round(time.Second) != w.down {
			t.Errorf("day %s: up %s down %s, want %+v", r.From, r.Up, r.Down, w)
		}
	}
	week := l.uptimes("?from=2026-03-02&by=week").Rows
	if len(week) != 3 || week[0].Kind != "node" || week[1].Kind != "camera" || week[2].Kind != "sensor" || week[0].From != "2026-03-02" || week[0].Lost != 1 {
		t.Fatalf("%+v", week)
	}
	if r := week[1]; r.Node != "east" || r.Rate == nil || math.Abs(*r.Rate-100*27.0/72) > 0.1 {
		t.Errorf("the camera was there for 27 of 72 hours: %+v", r)
	}
	if r := week[2]; r.Rate == nil || *r.Rate != 100 {
		t.Errorf("the sensor: %+v", r)
	}
	if rows := l.uptimes("?from=2026-03-04&by=month&kind=node").Rows; len(rows) != 1 || rows[0].From != "2026-03-01" || rows[0].Up.Round(time.Second) != 24*time.Hour {
		t.Errorf("the third day alone: %+v", rows)
	}
	for _, query := range []string{"?from=yesterday", "?by=year", "?kind=cat", "?from=2030-01-01", "?from=2001-01-01"} {
		if p := l.call(admin, "GET", "/api/v1/availability"+query, nil, nil); p == nil || p.Hint == "" {
			t.Errorf("%s: %v", query, p)
		}
	}
	file := l.serve(admin, "GET", "/api/v1/availability?format=csv&from=2026-03-02", nil).Body.String()
	if !strings.HasPrefix(file, "\ufeff站点,") || !strings.Contains(file, "'=大门") || strings.Count(file, "\r\n") != 4 {
		t.Errorf("the file: %q", file)
	}
}

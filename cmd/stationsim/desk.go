package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"stationd/agent/station"
)

// desk is an open screen at the station: it reads the console's event stream as a
// browser does, and measures how long alarms take to come up there.
type desk struct {
	body io.ReadCloser

	mu      sync.Mutex
	waiting map[string]time.Time // by sensor: when its alarm was due
	took    latencies
}

// openDesk returns when the stream has begun. It ends with ctx.
func openDesk(ctx context.Context, s *stationAPI) (*desk, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.path("events"), nil)
	if err != nil {
		return nil, err
	}
	forever := &http.Client{Transport: s.http.Transport, Jar: s.http.Jar}
	resp, err := forever.Do(req)
	if err != nil {
		return nil, fmt.Errorf("open a desk at the station: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("open a desk at the station: %s", resp.Status)
	}
	return &desk{body: resp.Body, waiting: map[string]time.Time{}}, nil
}

// raised is told before a sensor alarms.
func (d *desk) raised(sensor string, due time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, already := d.waiting[sensor]; !already {
		d.waiting[sensor] = due
	}
}

// watch reads until the stream ends. That it was cut before ctx ended is an error.
func (d *desk) watch(ctx context.Context) error {
	defer func() { _ = d.body.Close() }()
	lines := bufio.NewScanner(d.body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		data, is := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !is || !bytes.Contains(data, []byte(station.EventAlarmRaised)) {
			continue
		}
		var ev station.Event
		var alarm station.Alarm
		if json.Unmarshal(data, &ev) == nil && ev.Type == station.EventAlarmRaised && json.Unmarshal(ev.Data, &alarm) == nil {
			d.shows(alarm.Sensor, time.Now())
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(errors.New("the station cut the desk's stream of events"), lines.Err())
}

// shows takes the first alarm of a sensor; the next one is of the same alarm.
func (d *desk) shows(sensor string, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if due := d.waiting[sensor]; !due.IsZero() {
		d.took.add(at.Sub(due))
		d.waiting[sensor] = time.Time{}
	}
}

// summary prints what was seen; an alarm that did not come up is an error.
func (d *desk) summary(out io.Writer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	missing := len(d.waiting) - d.took.count
	fmt.Fprintf(out, "on the desk       %v (%d)\n", &d.took, d.took.count)
	if missing > 0 {
		return fmt.Errorf("%d alarms did not come up on the desk", missing)
	}
	return nil
}

package playback

import (
	"net/http"
	"slices"
	"time"

	"stationd/agent/station"
	"stationd/video/record"
)

// Timeline is what there is of a camera between two times.
type Timeline struct {
	Camera string    `json:"camera"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	// Now is the station's time; what is later has not been recorded yet.
	Now time.Time `json:"now"`
	// Recorded are the stretches with pictures, Gaps those between them, with the
	// reason. Both may reach beyond From and To.
	Recorded []record.Span `json:"recorded"`
	Gaps     []record.Gap  `json:"gaps"`
	// Steps are where the station's clock was set. Where it was set back an hour is
	// there twice, of which the later telling is played; where it was set forward
	// there is a gap with the reason "clock".
	Steps []record.Step `json:"steps"`
	// Held is what is kept as events or as evidence; both may reach beyond From
	// and To.
	Held []Held `json:"held"`
	// Events are the alarms in the camera's sight, the oldest first.
	Events []Event `json:"events"`
	// More tells that there were more alarms than are listed.
	More bool `json:"more,omitempty"`
}

// Held is a stretch that makes no room for newer ones, or later than others.
type Held struct {
	record.Span
	Class record.Class `json:"class"`
}

// Event is an alarm as the timeline shows it.
type Event struct {
	Alarm    string             `json:"alarm"`
	Kind     station.AlarmKind  `json:"kind"`
	Severity station.Severity   `json:"severity"`
	State    station.AlarmState `json:"state"`
	Name     string             `json:"name"`
	Place    string             `json:"place,omitempty"`
	Test     bool               `json:"test,omitempty"`
	// From is when it was raised, To when its condition ended; zero while it holds.
	From time.Time `json:"from"`
	To   time.Time `json:"to,omitzero"`
	Clip string    `json:"clip,omitempty"`
}

// mostEvents is how many alarms one answer lists.
const mostEvents = 1000

// Timeline tells what there is. It reads nothing of the record from the disk.
func (p *Playback) Timeline(camera string, from, to time.Time) (Timeline, error) {
	line := Timeline{Camera: camera, From: from, To: to, Now: p.now(), Recorded: []record.Span{}, Gaps: []record.Gap{}, Steps: []record.Step{}, Held: []Held{}, Events: []Event{}}
	spans, gaps := p.archive.Timeline(camera, from, to)
	line.Steps = append(line.Steps, p.archive.Steps(camera, from, to)...)
	for _, class := range []record.Class{record.Event, record.Evidence} {
		for _, s := range p.archive.Held(class, camera, from, to) {
			line.Held = append(line.Held, Held{s, class})
		}
	}
	line.Recorded = append(line.Recorded, union(spans)...)
	line.Gaps = append(line.Gaps, gaps...)
	slices.SortFunc(line.Gaps, func(x, y record.Gap) int { return x.From.Compare(y.From) })
	alarms, err := p.alarms(camera, from, to, mostEvents+1)
	if err != nil {
		return line, err
	}
	if len(alarms) > mostEvents {
		alarms, line.More = alarms[:mostEvents], true
	}
	for _, al := range alarms {
		e := Event{Alarm: al.ID, Kind: al.Kind, Severity: al.Severity, State: al.State, Name: al.Name, Place: al.Place, Test: al.Test, From: al.RaisedAt, To: al.ReturnedAt, Clip: al.Clip}
		if e.To.IsZero() {
			e.To = al.ClearedAt
		}
		line.Events = append(line.Events, e)
	}
	return line, nil
}

// union joins spans that touch or lie over each other.
func union(spans []record.Span) []record.Span {
	sorted := slices.Clone(spans)
	slices.SortFunc(sorted, func(x, y record.Span) int { return x.From.Compare(y.From) })
	var out []record.Span
	for _, s := range sorted {
		if n := len(out); n > 0 && s.From.Sub(out[n-1].To) < gapAtLeast {
			if s.To.After(out[n-1].To) {
				out[n-1].To = s.To
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

func (p *Playback) serveTimeline(w http.ResponseWriter, r *http.Request) error {
	camera, err := cameraOf(r)
	if err != nil {
		return err
	}
	from, to, err := spanOf(r, mostTimeline)
	if err != nil {
		return err
	}
	line, err := p.Timeline(camera, from, to)
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, line)
}

// Month tells which days have a record.
type Month struct {
	Month string `json:"month"`
	// Zone is the time zone in which the days begin and end.
	Zone string `json:"zone"`
	// Days are those with a record or an alarm.
	Days []Day `json:"days"`
	// Oldest and Newest are the ends of the whole record.
	Oldest time.Time `json:"oldest,omitzero"`
	Newest time.Time `json:"newest,omitzero"`
}

// Day is one day of a camera.
type Day struct {
	Day string `json:"day"` // 2026-11-03
	// Recorded is how much of it is there, Gaps how many holes it has.
	Recorded time.Duration `json:"recorded"`
	Gaps     int           `json:"gaps,omitempty"`
	Alarms   int           `json:"alarms,omitempty"`
}

// Days tells which days of a month have a record.
func (p *Playback) Days(camera string, month time.Time) (Month, error) {
	next := month.AddDate(0, 1, 0)
	m := Month{Month: month.Format("2006-01"), Zone: month.Location().String(), Days: []Day{}}
	all, _ := p.archive.Timeline(camera, time.Unix(0, 0), time.Unix(1<<33, 0))
	all = union(all)
	if len(all) > 0 {
		m.Oldest, m.Newest = all[0].From, all[len(all)-1].To
	}
	_, gaps := p.archive.Timeline(camera, month, next)
	alarms, err := p.alarms(camera, month, next, mostEvents)
	if err != nil {
		return m, err
	}
	for at := month; at.Before(next); at = at.AddDate(0, 0, 1) {
		end := at.AddDate(0, 0, 1)
		d := Day{Day: at.Format(time.DateOnly)}
		for _, s := range all {
			d.Recorded += max(earlier(s.To, end).Sub(later(s.From, at)), 0)
		}
		for _, g := range gaps {
			if g.To.After(at) && g.From.Before(end) {
				d.Gaps++
			}
		}
		for _, al := range alarms {
			if !al.RaisedAt.Before(at) && al.RaisedAt.Before(end) {
				d.Alarms++
			}
		}
		if d.Recorded > 0 || d.Alarms > 0 {
			m.Days = append(m.Days, d)
		}
	}
	return m, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (p *Playback) serveDays(w http.ResponseWriter, r *http.Request) error {
	camera, err := cameraOf(r)
	if err != nil {
		return err
	}
	zone := time.Local
	if name := r.URL.Query().Get("zone"); name != "" {
		if zone, err = time.LoadLocation(name); err != nil || len(name) > 60 {
			return station.Errorf(http.StatusBadRequest, "query.zone", "use a name as Asia/Shanghai, or leave it out", "zone=%q is no time zone", short(name)).At("zone")
		}
	}
	text := r.URL.Query().Get("month")
	month, err := time.ParseInLocation("2006-01", text, zone)
	if err != nil || month.Year() < 1971 || month.Year() > 2200 {
		return station.Errorf(http.StatusBadRequest, "query.month", "write a month as 2026-11", "month=%q is no month", short(text)).At("month")
	}
	m, err := p.Days(camera, month)
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, m)
}

package agent

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// How long stations and devices were there, by days: 在线率. What is kept is the
// present span of each, and for each day on which something has changed how long it
// was there and how long not. A day without a change costs nothing; it is read off
// the span that covers it. Time of which nobody knows, since this program did not run
// or the station had announced that it is closed, counts as neither.

// upState is whether something is there.
type upState string

const (
	upHere    upState = "up"
	upAway    upState = "down"
	upUnknown upState = ""
)

// The kinds of things that are counted.
const (
	upNode   = "node"
	upCamera = "camera"
	upSensor = "sensor"
)

// upSpan is the present span.
type upSpan struct {
	State upState   `json:"state"`
	Since time.Time `json:"since"`
}

// upDay is what is known of one day.
type upDay struct {
	Up   time.Duration `json:"up"`
	Down time.Duration `json:"down"`
	Lost int           `json:"lost,omitempty"` // how often it went away
}

func (d *upDay) add(state upState, span time.Duration) {
	switch state {
	case upHere:
		d.Up += span
	case upAway:
		d.Down += span
	case upUnknown:
	}
}

// upOfSensor is whether a sensor is there: one that was never heard is not counted.
func upOfSensor(s station.SensorState) upState {
	switch {
	case s.Offline:
		return upAway
	case s.LastSeen.IsZero():
		return upUnknown
	}
	return upHere
}

// upOfCamera is whether a camera's picture comes.
func upOfCamera(s station.CameraState) upState {
	if s.Status == station.CameraOnline {
		return upHere
	}
	return upAway
}

// keepUpDays is how long days are kept: a year and what its last report wants.
const keepUpDays = 400

// longestSpan bounds what a clock that was set forward by years can write.
const longestSpan = keepUpDays * 24 * time.Hour

func upDayKey(day time.Time, kind, id string) store.Key {
	return key(upDayTable, day.Format(time.DateOnly), kind, id)
}

// noteUp notes how something stands from now on.
func noteUp(tx *store.Tx, now time.Time, kind, id string, state upState) error {
	span, known, err := store.Get[upSpan](tx, key(upTable, kind, id))
	if err != nil || known && span.State == state {
		return err
	}
	if known {
		if err := addSpan(tx, kind, id, span, now); err != nil {
			return err
		}
	}
	if known && span.State == upHere && state == upAway {
		k := upDayKey(now, kind, id)
		d, _, err := store.Get[upDay](tx, k)
		if err != nil {
			return err
		}
		d.Lost++
		if err := store.Put(tx, k, d); err != nil {
			return err
		}
	}
	return store.Put(tx, key(upTable, kind, id), upSpan{state, now})
}

// endUp ends the count of something that is taken away; its days stay.
func endUp(tx *store.Tx, now time.Time, kind, id string) error {
	k := key(upTable, kind, id)
	span, known, err := store.Get[upSpan](tx, k)
	if err != nil || !known {
		return err
	}
	if err := addSpan(tx, kind, id, span, now); err != nil {
		return err
	}
	return tx.Delete(k)
}

// closeSpan ends what is known of something at a moment that is past; zero is not
// known, and then nothing of the span is believed.
func (a *Agent) closeSpan(tx *store.Tx, kind, id string, until time.Time) error {
	span, known, err := store.Get[upSpan](tx, key(upTable, kind, id))
	if err != nil || !known {
		return err
	}
	if until.After(span.Since) {
		if err := addSpan(tx, kind, id, span, until); err != nil {
			return err
		}
	}
	return store.Put(tx, key(upTable, kind, id), upSpan{upUnknown, a.now()})
}

// addSpan adds a span that has ended to its days.
func addSpan(tx *store.Tx, kind, id string, span upSpan, until time.Time) error {
	if span.State == upUnknown || until.Sub(span.Since) > longestSpan {
		return nil
	}
	for day, part := range byDay(span.Since.In(until.Location()), until) {
		k := upDayKey(day, kind, id)
		d, _, err := store.Get[upDay](tx, k)
		if err != nil {
			return err
		}
		d.add(span.State, part)
		if err := store.Put(tx, k, d); err != nil {
			return err
		}
	}
	return nil
}

// byDay takes a span apart at the midnights of its zone.
func byDay(from, to time.Time) func(yield func(day time.Time, part time.Duration) bool) {
	return func(yield func(time.Time, time.Duration) bool) {
		for from.Before(to) {
			day := midnight(from)
			end := day.AddDate(0, 0, 1)
			if end.After(to) {
				end = to
			}
			if !yield(day, end.Sub(from)) {
				return
			}
			from = end
		}
	}
}

func midnight(at time.Time) time.Time {
	y, m, d := at.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, at.Location())
}

// forgetUpDays removes some of the days that are older than is kept; the others in
// its next rounds.
func (a *Agent) forgetUpDays(ctx context.Context) error {
	oldest := upDayTable + store.Key(a.now().AddDate(0, 0, -keepUpDays).Format(time.DateOnly))
	var old []store.Key
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, upDayTable, func(k store.Key, _ upDay) error {
			if k >= oldest || len(old) == forgetAtOnce {
				return store.ErrStop
			}
			old = append(old, k)
			return nil
		})
	})
	if err != nil || len(old) == 0 {
		return err
	}
	return a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		for _, k := range old {
			if err := tx.Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
}

// Uptime is how much of a time something was there.
type Uptime struct {
	Kind string         `json:"kind"` // "node", "camera", "sensor"
	ID   string         `json:"id"`
	Node station.NodeID `json:"node,omitempty"` // whose it is
	Name string         `json:"name"`
	// From is the first day of the row's span, "2026-03-01".
	From string        `json:"from"`
	Up   time.Duration `json:"up"`
	Down time.Duration `json:"down"`
	Lost int           `json:"lost"` // how often it went away
}

// Rate is the share of the known time, 0 to 1; ok is false when nothing is known.
func (u Uptime) Rate() (rate float64, ok bool) {
	if u.Up+u.Down == 0 {
		return 0, false
	}
	return float64(u.Up) / float64(u.Up+u.Down), true
}

// The spans of a report's rows.
const (
	byDays   = "day"
	byWeeks  = "week"
	byMonths = "month"
	byWhole  = "" // one row for the whole time
)

// rowOf is the first day of the row in which a day is counted.
func rowOf(day, from time.Time, by string) time.Time {
	switch by {
	case byDays:
		return day
	case byWeeks: // from Monday
		return day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
	case byMonths:
		return day.AddDate(0, 0, 1-day.Day())
	}
	return from
}

// uptimes counts from the midnight of from up to the moment to, in rows by day, week
// or month, for the things that want tells to count.
func (a *Agent) uptimes(from, to time.Time, by string, want func(kind, id string) bool) (map[string]*Uptime, error) {
	out := map[string]*Uptime{}
	row := func(kind, id string, day time.Time) *Uptime {
		first := rowOf(day, from, by).Format(time.DateOnly)
		k := kind + "/" + id + "/" + first
		if out[k] == nil {
			out[k] = &Uptime{Kind: kind, ID: id, From: first}
		}
		return out[k]
	}
	err := a.store.View(func(tx *store.Tx) error {
		for day := midnight(from); day.Before(to); day = day.AddDate(0, 0, 1) {
			prefix := key(upDayTable, day.Format(time.DateOnly)) + "/"
			err := store.Each(tx, prefix, func(k store.Key, d upDay) error {
				kind, id, err := upSubject(string(k[len(prefix):]))
				if err != nil || !want(kind, id) {
					return err
				}
				r := row(kind, id, day)
				r.Up, r.Down, r.Lost = r.Up+d.Up, r.Down+d.Down, r.Lost+d.Lost
				return nil
			})
			if err != nil {
				return err
			}
		}
		return store.Each(tx, upTable, func(k store.Key, s upSpan) error {
			kind, id, err := upSubject(string(k[len(upTable):]))
			if err != nil || !want(kind, id) {
				return err
			}
			begin := s.Since.In(from.Location())
			if begin.Before(from) {
				begin = from
			}
			for day, part := range byDay(begin, to) {
				d := upDay{}
				d.add(s.State, part)
				r := row(kind, id, day)
				r.Up, r.Down = r.Up+d.Up, r.Down+d.Down
			}
			return nil
		})
	})
	return out, err
}

func upSubject(rest string) (kind, id string, err error) {
	kind, id, ok := strings.Cut(rest, "/")
	if !ok {
		return "", "", fmt.Errorf("row of uptimes %q", rest)
	}
	id, err = url.PathUnescape(id)
	return kind, id, err
}

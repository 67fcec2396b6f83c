package agent

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
)

// Lists of alarms. An alarm's ID begins with its time, so the table of alarms is in
// the order of time, and so is the index of each sensor and of each kind. A page
// begins where the one before ended, whatever lies before it.

// scanAtMost bounds how many records one page looks at: a filter that little
// passes gives a short page, and the place where to go on.
const scanAtMost = 20_000

// AlarmFilter says which alarms are wanted. The zero value is all of them.
type AlarmFilter struct {
	Kind     station.AlarmKind
	Sensor   string
	Severity station.Severity
	From, To time.Time
	Text     string // part of the name, the place or a note
	Camera   string // in whose sight it was, or whose own it is
	// Before is the ID of an alarm; those before it are wanted.
	Before string
	// Limit is how many at most.
	Limit int
}

func (f *AlarmFilter) passes(al *station.Alarm) bool {
	return (f.Kind == "" || al.Kind == f.Kind) && (f.Sensor == "" || al.Sensor == f.Sensor) &&
		(f.Severity == "" || al.Severity == f.Severity) &&
		(f.From.IsZero() || !al.RaisedAt.Before(f.From)) && (f.To.IsZero() || al.RaisedAt.Before(f.To)) &&
		(f.Text == "" || says(al, f.Text)) &&
		(f.Camera == "" || al.Sensor == f.Camera || slices.Contains(al.Cameras, f.Camera))
}

func says(al *station.Alarm, text string) bool {
	text = strings.ToLower(text)
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	if has(al.Name) || has(al.Place) || has(al.ID) || has(al.Sensor) || has(string(al.Kind)) {
		return true
	}
	for _, n := range al.Notes {
		if has(n.Text) {
			return true
		}
	}
	for _, x := range al.Answers {
		if has(x.Note) {
			return true
		}
	}
	return false
}

// AlarmPage is one page of alarms, the newest first.
type AlarmPage struct {
	Alarms []station.Alarm `json:"alarms"`
	More   bool            `json:"more"`
	// Next is what to give as before for the next page.
	Next string `json:"next,omitempty"`
}

// take adds an alarm and tells whether more are wanted.
func (p *AlarmPage) take(al station.Alarm, limit int) bool {
	if len(p.Alarms) == limit {
		p.More = true
		return false
	}
	p.Alarms = append(p.Alarms, al)
	p.Next = al.ID
	return true
}

// FindAlarms lists the alarms that pass a filter, newest first.
func (a *Agent) FindAlarms(f AlarmFilter) (AlarmPage, error) {
	page := AlarmPage{Alarms: []station.Alarm{}}
	table := alarmTable
	switch {
	case f.Sensor != "":
		table = key(bySensorTable, f.Sensor) + "/"
	case f.Kind != "":
		table = key(byKindTable, string(f.Kind)) + "/"
	}
	before := f.Before
	if at := idAt(f.To, time.Minute); at != "" && (before == "" || at < before) {
		before = at
	}
	beyond := store.Key("")
	if before != "" {
		beyond = table + store.Key(before)
	}
	oldest := idAt(f.From, -time.Minute)
	looked, last := 0, ""
	look := func(tx *store.Tx, id string, al *station.Alarm) error {
		if id < oldest {
			return store.ErrStop
		}
		if looked++; looked > scanAtMost {
			page.More, page.Next = true, last
			return store.ErrStop
		}
		last = id
		if al == nil {
			found, ok, err := store.Get[station.Alarm](tx, key(alarmTable, id))
			if err != nil || !ok {
				return err
			}
			al = &found
		}
		if f.passes(al) && !page.take(*al, f.Limit) {
			return store.ErrStop
		}
		return nil
	}
	err := a.store.View(func(tx *store.Tx) error {
		if table == alarmTable {
			return store.EachBefore(tx, table, beyond, func(_ store.Key, al station.Alarm) error { return look(tx, al.ID, &al) })
		}
		return store.EachBefore(tx, table, beyond, func(k store.Key, _ bool) error {
			return look(tx, strings.TrimPrefix(string(k), string(table)), nil)
		})
	})
	if !page.More {
		page.Next = ""
	}
	return page, err
}

// idAt is the least ID of a moment; empty for none. An alarm's ID is drawn when it
// is stored, which may be a little after it was raised: hence the margin.
func idAt(at time.Time, margin time.Duration) string {
	if at.IsZero() {
		return ""
	}
	ms := uint64(at.Add(margin).UnixMilli())
	h := hex.EncodeToString([]byte{byte(ms >> 40), byte(ms >> 32), byte(ms >> 24), byte(ms >> 16), byte(ms >> 8), byte(ms)})
	return h[:8] + "-" + h[8:]
}

// Alarms lists alarms, newest first: at most limit of those before the one with
// the ID before ("" means from the newest). more tells that older ones exist.
func (a *Agent) Alarms(before string, limit int) (list []station.Alarm, more bool, err error) {
	page, err := a.FindAlarms(AlarmFilter{Before: before, Limit: limit})
	return page.Alarms, page.More, err
}

// indexAlarm enters a new alarm into the lists of its kind and its sensor.
func indexAlarm(tx *store.Tx, al *station.Alarm) error {
	if err := store.Put(tx, key(byKindTable, string(al.Kind), al.ID), true); err != nil {
		return err
	}
	return store.Put(tx, key(bySensorTable, al.Sensor, al.ID), true)
}

// indexAlarms enters the alarms that a version without indexes has left, a few at
// a time.
func (a *Agent) indexAlarms(ctx context.Context) error {
	done := false
	err := a.store.View(func(tx *store.Tx) (err error) {
		done, _, err = store.Get[bool](tx, indexedKey)
		return err
	})
	if err != nil {
		return err
	}
	for after, next := store.Key(""), store.Key(""); !done; after = next {
		err := a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
			n := 0
			err := store.EachAfter(tx, alarmTable, after, func(k store.Key, al station.Alarm) error {
				if n == forgetAtOnce {
					return store.ErrStop
				}
				n, next = n+1, k
				return indexAlarm(tx, &al)
			})
			if err != nil {
				return err
			}
			if done = n < forgetAtOnce; !done {
				return nil
			}
			return store.Put(tx, indexedKey, true)
		})
		if err != nil {
			return err
		}
	}
	if err := a.indexLatest(ctx); err != nil {
		return err
	}
	if err := a.enterConditions(ctx); err != nil {
		return err
	}
	a.indexed.Store(true)
	return nil
}

// indexLatest enters the newest alarms that are not in the lists: an older version
// may have run in between.
func (a *Agent) indexLatest(ctx context.Context) error {
	var missing []string
	err := a.store.View(func(tx *store.Tx) error {
		known := 0
		return store.EachReverse(tx, alarmTable, func(_ store.Key, al station.Alarm) error {
			_, ok, err := store.Get[bool](tx, key(byKindTable, string(al.Kind), al.ID))
			if err != nil {
				return err
			}
			if !ok {
				missing = append(missing, al.ID)
			} else if known++; known == 100 { // those of children come in their own order
				return store.ErrStop
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return a.inParts(ctx, forgetAtOnce, missing, func(tx *store.Tx, id string) error {
		al, ok, err := store.Get[station.Alarm](tx, key(alarmTable, id))
		if err != nil || !ok {
			return err
		}
		return indexAlarm(tx, &al)
	})
}

// enterConditions makes the records of the conditions whose alarms an older version
// has left live: without them nothing would end these.
func (a *Agent) enterConditions(ctx context.Context) error {
	var lost []string
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, liveTable, func(_ store.Key, id string) error {
			al, ok, err := store.Get[station.Alarm](tx, key(alarmTable, id))
			if err != nil || !ok || al.Node != a.store.Node() {
				return err
			}
			rec, _, err := store.Get[alarm.Record](tx, conditionKey(al.Sensor, al.Kind))
			if err == nil && !rec.Live {
				lost = append(lost, id)
			}
			return err
		})
	})
	if err != nil {
		return err
	}
	return a.inParts(ctx, 50, lost, func(tx *store.Tx, id string) error {
		al, ok, err := store.Get[station.Alarm](tx, key(alarmTable, id))
		if err != nil || !ok || !al.Live() {
			return err
		}
		c, _, err := a.condition(tx, station.Sensor{ID: al.Sensor}, al.Kind)
		if err != nil || c.Alarm == nil {
			return err
		}
		return store.Put(tx, conditionKey(al.Sensor, al.Kind), c.Record)
	})
}

package agent

import (
	"cmp"
	"slices"
	"time"

	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
)

// Performance is how the alarms of a span of time have been, and how they were
// answered (ISA-18.2, monitoring and assessment). Trials are not counted.
type Performance struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Total counts the alarms; False those that were judged so.
	Total int `json:"total"`
	False int `json:"false"`
	// Per10Min are the alarms of each ten minutes in which there were any. One is
	// what a person can attend to, more than ten are a flood.
	Per10Min []AlarmCount `json:"per10min"`
	// Top are the ten sensors with the most alarms.
	Top []BadActor `json:"top"`
	// Stale are the alarms that have been live for more than a day, Chattering
	// those that chatter now: of this moment, whatever the span.
	Stale      []station.Alarm `json:"stale"`
	Chattering []station.Alarm `json:"chattering"`
	// AckSeconds is how long it took until the first answer, Unanswered how many
	// have none.
	AckSeconds Quantiles                `json:"ackSeconds"`
	Unanswered int                      `json:"unanswered"`
	BySeverity map[station.Severity]int `json:"bySeverity"`
	// Flood are the ten minutes with more than the limit.
	Flood []AlarmCount `json:"flood"`
}

// AlarmCount counts the alarms of ten minutes.
type AlarmCount struct {
	At    time.Time `json:"at"`
	Count int       `json:"count"`
}

// BadActor is a sensor with many alarms.
type BadActor struct {
	Sensor string `json:"sensor"`
	Name   string `json:"name"`
	Count  int    `json:"count"`
}

// Quantiles are of times in seconds; zero when there are none.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	Max float64 `json:"max"`
}

const (
	staleAfter      = 24 * time.Hour
	longestReview   = 31 * 24 * time.Hour
	badActors       = 10
	performanceStep = 10 * time.Minute
)

// Performance reviews the alarms that were raised from from until to.
func (a *Agent) Performance(from, to time.Time) (Performance, error) {
	p := Performance{From: from, To: to, Per10Min: []AlarmCount{}, Flood: []AlarmCount{}, Top: []BadActor{}, Stale: []station.Alarm{}, Chattering: []station.Alarm{}, BySeverity: map[station.Severity]int{}}
	var acks []float64
	tens, actors := map[int64]int{}, map[string]*BadActor{}
	oldest, beyond := idAt(from, -time.Minute), alarmTable+store.Key(idAt(to, time.Minute))
	err := a.store.View(func(tx *store.Tx) error {
		return store.EachBefore(tx, alarmTable, beyond, func(_ store.Key, al station.Alarm) error {
			if al.ID < oldest {
				return store.ErrStop
			}
			if al.RaisedAt.Before(from) || !al.RaisedAt.Before(to) || al.Test || al.Suppressed == alarm.Maintenance {
				return nil
			}
			p.Total++
			p.BySeverity[al.Severity]++
			tens[al.RaisedAt.Truncate(performanceStep).Unix()]++
			if al.Verdict() == station.AnswerFalse {
				p.False++
			}
			if al.Sensor != "" {
				b := actors[al.Sensor]
				if b == nil {
					b = &BadActor{Sensor: al.Sensor, Name: al.Name}
					actors[al.Sensor] = b
				}
				b.Count++
			}
			if s, ok := ackSeconds(&al); ok {
				acks = append(acks, s)
			} else {
				p.Unanswered++
			}
			return nil
		})
	})
	if err != nil {
		return p, err
	}
	for at, n := range tens {
		c := AlarmCount{At: time.Unix(at, 0).In(from.Location()), Count: n}
		p.Per10Min = append(p.Per10Min, c)
		if n > a.cfg.Alarms.Flood {
			p.Flood = append(p.Flood, c)
		}
	}
	for _, list := range [][]AlarmCount{p.Per10Min, p.Flood} {
		slices.SortFunc(list, func(x, y AlarmCount) int { return x.At.Compare(y.At) })
	}
	for _, b := range actors {
		p.Top = append(p.Top, *b)
	}
	slices.SortFunc(p.Top, func(x, y BadActor) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.Sensor, y.Sensor))
	})
	p.Top = p.Top[:min(len(p.Top), badActors)]
	p.AckSeconds = quantilesOf(acks)
	live, err := a.AllLiveAlarms()
	now := a.now()
	for _, al := range live {
		if now.Sub(al.RaisedAt) > staleAfter {
			p.Stale = append(p.Stale, al)
		}
		if al.Chattering {
			p.Chattering = append(p.Chattering, al)
		}
	}
	return p, err
}

// ackSeconds is how long it took until somebody answered.
func ackSeconds(al *station.Alarm) (float64, bool) {
	for _, x := range al.Answers {
		if !x.Undone {
			return max(0, x.At.Sub(al.RaisedAt).Seconds()), true
		}
	}
	return 0, false
}

func quantilesOf(s []float64) (q Quantiles) {
	if len(s) == 0 {
		return q
	}
	slices.Sort(s)
	at := func(percent int) float64 { return s[(len(s)*percent+99)/100-1] }
	return Quantiles{P50: at(50), P90: at(90), Max: s[len(s)-1]}
}

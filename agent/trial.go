package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
)

// A rule is tried before it goes live: recorded readings go through the evaluator
// that judges live ones and through the machine that makes alarms of that.
// Schedules are not looked at: it is as if the rule were always armed.

// The bounds of a trial. One runs at a time.
const (
	trialTime     = 20 * time.Second
	trialReadings = 2_000_000
	trialSpan     = 31 * 24 * time.Hour
	trialShown    = 20
)

// RuleJudge judges the readings of one sensor by one rule, one after the other:
// decided is false for one that has nothing to say, due is true for one that
// should have had.
type RuleJudge = func(values map[string]station.Value) (sig station.Signal, decided, due bool)

// errEnough ends a trial at its bounds.
var errEnough = errors.New("enough")

// TryRule runs a rule over what was recorded.
func (a *Agent) TryRule(ctx context.Context, o station.TrialOrder) (station.Trial, error) {
	if a.rules.Try == nil {
		return station.Trial{}, station.Errorf(http.StatusNotImplemented, "trial.none", "try it at a station", "rules cannot be tried here")
	}
	select {
	case a.trying <- struct{}{}:
		defer func() { <-a.trying }()
	default:
		return station.Trial{}, station.Errorf(http.StatusTooManyRequests, "trial.busy", "wait until it has ended", "another rule is being tried")
	}
	if o.To.IsZero() {
		o.To = a.now()
	}
	if o.From.IsZero() {
		o.From = o.To.Add(-7 * 24 * time.Hour)
	}
	if !o.From.Before(o.To) || o.To.Sub(o.From) > trialSpan {
		return station.Trial{}, invalid("from", "try at most 31 days", "from %s to %s cannot be tried", o.From.Format(time.DateTime), o.To.Format(time.DateTime))
	}
	sensors, class, err := a.trialSensors(o)
	if err != nil {
		return station.Trial{}, err
	}
	judge, err := a.rules.Try(o.Rule, class)
	if err != nil {
		return station.Trial{}, station.Under("rule", err)
	}
	ctx, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	t := station.Trial{From: o.From, To: o.To, First: []station.TrialAlarm{}}
	for _, s := range sensors {
		t.Sensors++
		err := a.trySensor(ctx, &t, s, o, judge())
		if errors.Is(err, errEnough) || errors.Is(err, context.DeadlineExceeded) {
			t.Incomplete = true
			break
		}
		if err != nil {
			return t, err
		}
	}
	t.Message = trialMessage(t)
	return t, nil
}

func trialMessage(t station.Trial) string {
	switch {
	case t.Readings == 0:
		return "nothing was recorded in this time"
	case t.Incomplete:
		return fmt.Sprintf("would have raised at least %d alarms; it was too much to try all of it", t.Alarms)
	case t.Alarms == 1:
		return "would have raised 1 alarm"
	}
	return fmt.Sprintf("would have raised %d alarms", t.Alarms)
}

// trialSensors are the sensors to try on, and their class.
func (a *Agent) trialSensors(o station.TrialOrder) (list []station.Sensor, class string, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		if o.Sensor != "" {
			s, ok, err := store.Get[station.Sensor](tx, key(sensorTable, o.Sensor))
			if err == nil && (!ok || s.Node != "") {
				err = station.ErrNotFound.At("sensor/" + o.Sensor)
			}
			list, class = []station.Sensor{s}, s.Class
			return err
		}
		class = o.Class
		return store.Each(tx, sensorTable, func(_ store.Key, s station.Sensor) error {
			if s.Node == "" && s.Class == class {
				list = append(list, s)
			}
			return nil
		})
	})
	return list, class, err
}

func (a *Agent) trySensor(ctx context.Context, t *station.Trial, s station.Sensor, o station.TrialOrder, judge RuleJudge) error {
	var fault error
	verdicts := func(yield func(time.Time, station.Signal) bool) {
		var last time.Time
		for r, err := range a.history.Readings(ctx, s.ID, o.From, o.To) {
			if err != nil {
				fault = err
				return
			}
			if r.Late || r.At.Before(last) {
				continue // old news raises nothing
			}
			last = r.At
			if t.Readings++; t.Readings > trialReadings {
				fault = errEnough
				return
			}
			sig, decided, due := judge(r.Values)
			if due && !decided {
				t.Undecided++
			}
			if decided && !yield(r.At, sig) {
				return
			}
		}
	}
	for al := range alarm.Replay(o.Rule.Kind, a.cfg.Alarms, verdicts, o.To) {
		t.Alarms++
		if len(t.First) < trialShown {
			first := station.TrialAlarm{Sensor: s.ID, Name: s.Name, At: al.RaisedAt}
			if al.Why != nil {
				first.Why = *al.Why
			}
			t.First = append(t.First, first)
		}
	}
	return fault
}

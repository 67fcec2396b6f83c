package agent

import (
	"context"
	"maps"
	"net/http"
	"time"

	"stationd/agent/account"
	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
)

// The work mode, and when conditions that name a schedule are watched. Which
// schedules watch is state: it is stored and told when it changes, and a condition
// that holds at the edge raises its alarm then.

func modeOf(tx *store.Tx) (station.Mode, error) {
	m, known, err := store.Get[station.Mode](tx, modeKey)
	if !known {
		m = station.Mode{Mode: station.ModeRoutine, Armed: true}
	}
	return m, err
}

// armed tells whether a schedule watches. One that is not known always does: a
// name that somebody mistyped must not put a door to sleep.
func (a *Agent) armed(tx *store.Tx, schedule string) (bool, error) {
	m, err := modeOf(tx)
	if err != nil {
		return false, err
	}
	watches, known := m.Schedules[schedule]
	return m.Armed && (watches || !known), nil
}

// Mode is the node's work mode and what is armed.
func (a *Agent) Mode() (m station.Mode, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		m, err = modeOf(tx)
		return err
	})
	return m, err
}

// Schedules lists the arming schedules.
func (a *Agent) Schedules() ([]station.Schedule, error) {
	return all[station.Schedule](a, scheduleTable)
}

func (a *Agent) schedule(id string) (s station.Schedule, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		found := false
		if s, found, err = store.Get[station.Schedule](tx, key(scheduleTable, id)); err == nil && !found {
			err = station.ErrNotFound.At("schedule/" + id)
		}
		return err
	})
	return s, err
}

// watching is which schedules watch at a moment; nil when there are none.
func watching(tx *store.Tx, at time.Time) (map[string]bool, error) {
	var out map[string]bool
	err := store.Each(tx, scheduleTable, func(_ store.Key, s station.Schedule) error {
		if out == nil {
			out = map[string]bool{}
		}
		out[s.ID] = s.Watches(at)
		return nil
	})
	return out, err
}

// turnSchedules notices that a schedule has begun or ended.
func (a *Agent) turnSchedules(ctx context.Context) error {
	turned := false
	err := a.store.View(func(tx *store.Tx) error {
		m, err := modeOf(tx)
		if err != nil {
			return err
		}
		now, err := watching(tx, a.now())
		turned = !maps.Equal(m.Schedules, now)
		return err
	})
	if err != nil || !turned {
		return err
	}
	var change reportChange
	err = a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		change = reportChange{}
		m, err := modeOf(tx)
		if err != nil {
			return err
		}
		return a.turnTo(tx, m, "", &change)
	})
	a.afterReport(change)
	return err
}

// turnTo stores a mode, with what is watched now, tells of it if it is another one
// and judges what holds under a schedule that begins to watch.
func (a *Agent) turnTo(tx *store.Tx, m station.Mode, actor string, change *reportChange) error {
	now, err := a.moment(tx)
	if err != nil {
		return err
	}
	before, err := modeOf(tx)
	if err != nil {
		return err
	}
	if m.Schedules, err = watching(tx, now.Wall); err != nil {
		return err
	}
	if before.Mode == m.Mode && before.Armed == m.Armed && maps.Equal(before.Schedules, m.Schedules) {
		return nil
	}
	if err := store.Put(tx, modeKey, m); err != nil {
		return err
	}
	if err := appendEvent(tx, station.LaneNormal, station.EventModeChanged, "node/"+string(a.store.Node()), actor, now.Wall, m); err != nil {
		return err
	}
	return a.rearm(tx, now, "", change)
}

// rearmAtOnce bounds the conditions of one transaction: at night a whole estate
// may begin to be watched.
const rearmAtOnce = 50

// rearm judges the conditions that hold and have raised nothing, because nobody
// watched: some behind the key after, and the others in transactions of their own.
func (a *Agent) rearm(tx *store.Tx, now alarm.Now, after store.Key, change *reportChange) error {
	var waiting []alarm.Record
	last, more := store.Key(""), false
	err := store.EachAfter(tx, conditionTable, after, func(k store.Key, rec alarm.Record) error {
		if !rec.Holds || rec.Live || rec.Why.Timing.Schedule == "" || rec.RaiseAt != 0 {
			return nil
		}
		if more = len(waiting) == rearmAtOnce; more {
			return store.ErrStop
		}
		waiting, last = append(waiting, rec), k
		return nil
	})
	if err == nil && more {
		err = a.moveTimer(tx, timer{What: timerRearm, After: last}, 0, now.Tick)
	}
	if err != nil {
		return err
	}
	for _, rec := range waiting {
		sensor, ok, err := store.Get[station.Sensor](tx, key(sensorTable, rec.Sensor))
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		m, err := a.standing(tx, sensor, rec.Kind, rec.Why.Timing)
		if err != nil {
			return err
		}
		if m.Disarmed {
			continue
		}
		c, _, err := a.condition(tx, sensor, rec.Kind)
		if err != nil {
			return err
		}
		if err := a.follow(tx, now, c, c.Rearm(now, m, a.cfg.Alarms), "", change); err != nil {
			return err
		}
	}
	return nil
}

func preparePutMode(a *Agent, cmd station.Command) (plan, error) {
	body, err := decodeBody[station.ModeOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	switch body.Mode {
	case "", station.ModeRoutine, station.ModeJoint, station.ModeLinked:
	default:
		return plan{}, station.Errorf(http.StatusBadRequest, "mode.unknown", "use routine, joint or linked", "there is no work mode %q", body.Mode).At("mode")
	}
	if cmd.Actor.Role == account.RoleDisplay {
		return plan{}, station.Errorf(http.StatusForbidden, "access.denied", "sign in with an account of your own", "a display may answer alarms; it may not change what is watched")
	}
	detail := string(body.Mode)
	if body.Armed != nil {
		detail += map[bool]string{true: " armed", false: " disarmed"}[*body.Armed]
	}
	var change reportChange
	return plan{subject: "mode", detail: detail, lane: station.LaneUrgent, apply: func(tx *store.Tx) (any, error) {
		change = reportChange{}
		m, err := modeOf(tx)
		if err != nil {
			return nil, err
		}
		if body.Mode != "" {
			m.Mode = body.Mode
		}
		if body.Armed != nil {
			m.Armed = *body.Armed
		}
		m.By, m.Name, m.At = cmd.Actor.Account, cmd.Actor.Name, a.now()
		if err := a.turnTo(tx, m, cmd.Actor.Account, &change); err != nil {
			return nil, err
		}
		return modeOf(tx)
	}, after: func() error { a.afterReport(change); return nil }}, nil
}

// maxSchedules bounds what is looked at once a second.
const maxSchedules = 50

func preparePutSchedule(a *Agent, cmd station.Command) (plan, error) {
	s, err := decodeBody[station.Schedule](cmd)
	if err != nil {
		return plan{}, err
	}
	if err := checkID("id", s.ID); err != nil {
		return plan{}, err
	}
	if err := checkText("name", s.Name, 60); err != nil {
		return plan{}, err
	}
	if len(s.Windows) > 50 || len(s.HolidayWindows) > 50 || len(s.Holidays) > 400 {
		return plan{}, invalid("windows", "use at most 50 windows and 400 holidays", "the schedule is too long")
	}
	if err := s.Validate(); err != nil {
		return plan{}, err
	}
	var change reportChange
	return plan{subject: "schedule/" + s.ID, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		change = reportChange{}
		n := 0
		err := store.Each(tx, scheduleTable, func(_ store.Key, other station.Schedule) error {
			if other.ID != s.ID {
				n++
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if n >= maxSchedules {
			return nil, station.Errorf(http.StatusConflict, "schedule.many", "remove one that is not used", "there are %d schedules already", n)
		}
		if err := store.Put(tx, key(scheduleTable, s.ID), s); err != nil {
			return nil, err
		}
		return s, a.scheduleChanged(tx, s, cmd.Actor.Account, &change)
	}, after: func() error { a.afterReport(change); return nil }}, nil
}

// scheduleChanged tells of a schedule that was set or removed, and follows it.
func (a *Agent) scheduleChanged(tx *store.Tx, s station.Schedule, actor string, change *reportChange) error {
	if err := appendEvent(tx, station.LaneNormal, station.EventSetupChanged, "schedule/"+s.ID, actor, a.now(), s); err != nil {
		return err
	}
	m, err := modeOf(tx)
	if err != nil {
		return err
	}
	return a.turnTo(tx, m, actor, change)
}

func prepareRemoveSchedule(a *Agent, cmd station.Command) (plan, error) {
	var change reportChange
	return plan{subject: "schedule/" + cmd.Subject, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		change = reportChange{}
		s, ok, err := store.Get[station.Schedule](tx, key(scheduleTable, cmd.Subject))
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, station.ErrNotFound.At("schedule/" + cmd.Subject)
		}
		user := ""
		err = store.Each(tx, sensorTable, func(_ store.Key, sensor station.Sensor) error {
			for _, r := range sensor.Rules {
				if r.Schedule == s.ID && sensor.Node == "" {
					user = sensor.Name
					return store.ErrStop
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if user != "" {
			return nil, station.Errorf(http.StatusConflict, "schedule.used", "give its rules another schedule first", "the sensor %q is watched by it", user)
		}
		if err := tx.Delete(key(scheduleTable, s.ID)); err != nil {
			return nil, err
		}
		return nil, a.scheduleChanged(tx, s, cmd.Actor.Account, &change)
	}, after: func() error { a.afterReport(change); return nil }}, nil
}

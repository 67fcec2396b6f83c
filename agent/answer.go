package agent

import (
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"stationd/agent/station"
	"stationd/agent/store"
)

// What people do about an alarm.

func prepareAnswer(a *Agent, cmd station.Command) (plan, error) {
	body, err := decodeBody[station.AnswerOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	if !body.Kind.Valid() {
		return plan{}, station.Errorf(http.StatusBadRequest, "answer.kind", "use received, real, false, test, called or undo", "there is no answer %q", body.Kind).At("kind")
	}
	if utf8.RuneCountInString(body.Note) > 500 {
		return plan{}, station.Errorf(http.StatusBadRequest, "answer.note", "use at most 500 characters", "the note is too long").At("note")
	}
	now := a.now()
	return plan{
		subject: "alarm/" + cmd.Subject,
		lane:    station.LaneUrgent,
		apply: func(tx *store.Tx) (any, error) {
			alarm, ok, err := store.Get[station.Alarm](tx, key(alarmTable, cmd.Subject))
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, station.ErrNotFound.At("alarm/" + cmd.Subject)
			}
			if alarm.Node != a.store.Node() {
				return nil, station.Errorf(http.StatusConflict, "alarm.elsewhere", "answer it at the station", "the alarm belongs to the station %s", alarm.Node)
			}
			if body.Kind == station.AnswerUndo {
				err = undo(tx, &alarm, cmd.Actor, now)
			} else {
				alarm.Answers = append(alarm.Answers, station.Answer{
					Kind: body.Kind, By: cmd.Actor.Account, Name: cmd.Actor.Name, At: now, Note: strings.TrimSpace(body.Note),
				})
			}
			if err != nil {
				return nil, err
			}
			return alarm, a.settleAnswered(tx, &alarm, cmd.Actor.Account, now)
		},
	}, nil
}

// settleAnswered settles an alarm after an answer. A closed alarm stays closed
// when a late judgement is added; its live slot may belong to another by now.
func (a *Agent) settleAnswered(tx *store.Tx, alarm *station.Alarm, actor string, now time.Time) error {
	wasLive := alarm.Live()
	probe := *alarm
	if probe.Settle(now); !wasLive && !probe.Live() {
		*alarm = probe
		if err := store.Put(tx, key(alarmTable, alarm.ID), *alarm); err != nil {
			return err
		}
		return appendEvent(tx, station.LaneUrgent, station.EventAlarmAnswered, "alarm/"+alarm.ID, actor, now, *alarm)
	}
	return a.settle(tx, alarm, station.EventAlarmAnswered, actor, now)
}

// undo takes back the actor's own last answer, within a minute.
func undo(tx *store.Tx, alarm *station.Alarm, actor station.Actor, now time.Time) error {
	last := -1
	for i, x := range alarm.Answers {
		if !x.Undone && x.By == actor.Account {
			last = i
		}
	}
	if last < 0 {
		return station.Errorf(http.StatusConflict, "answer.none", "give the right answer instead", "there is no answer of yours to take back")
	}
	if now.Sub(alarm.Answers[last].At) > station.UndoWindow {
		return station.Errorf(http.StatusConflict, "answer.late", "give the right answer instead; both stay in the record", "the answer is older than a minute")
	}
	if !alarm.Live() {
		other, taken, err := store.Get[string](tx, liveKey(alarm.Sensor, alarm.Kind))
		if err != nil {
			return err
		}
		if taken && other != alarm.ID {
			return station.Errorf(http.StatusConflict, "answer.superseded", "answer the new alarm", "the sensor has raised a new alarm since")
		}
	}
	alarm.Answers[last].Undone = true
	return nil
}

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

// maxAnswers bounds the answers of one alarm: an alarm that is too large to be
// stored would make its sensor mute.
const maxAnswers = 50

// spareAnswers are kept for judgements: an alarm that nobody can judge any more
// would never end.
const spareAnswers = 10

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
		detail:  string(body.Kind),
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
			switch {
			case body.Kind == station.AnswerUndo:
				err = undo(&alarm, cmd.Actor, now)
			case len(alarm.Answers) >= mostAnswers(body.Kind):
				err = station.Errorf(http.StatusConflict, "answer.many", "what more there is to say belongs elsewhere", "the alarm has %d answers already", len(alarm.Answers))
			default:
				alarm.Answers = append(alarm.Answers, station.Answer{
					Kind: body.Kind, By: cmd.Actor.Account, Name: cmd.Actor.Name, At: now, Note: strings.TrimSpace(body.Note),
				})
			}
			if err != nil {
				return nil, err
			}
			if alarm.Kind == station.KindStore {
				// A store that was set aside stays so. What ends is that nobody
				// has read of it.
				alarm.ReturnedAt = time.Time{}
				if alarm.Answered() {
					alarm.ReturnedAt = now
				}
			}
			if err := a.settleAnswered(tx, &alarm, cmd.Actor.Account, now); err != nil {
				return nil, err
			}
			return alarm, nil
		},
	}, nil
}

// mostAnswers is how many answers there may be before one of a kind.
func mostAnswers(kind station.AnswerKind) int {
	if kind.Judges() {
		return maxAnswers + spareAnswers
	}
	return maxAnswers
}

// settleAnswered settles an alarm after an answer. A closed alarm stays closed
// when a late judgement is added. One that an undone answer would bring back
// finds its place taken when the sensor has raised another since.
func (a *Agent) settleAnswered(tx *store.Tx, al *station.Alarm, actor string, wall time.Time) error {
	now, err := a.moment(tx)
	if err != nil {
		return err
	}
	now.Wall = wall
	wasLive := al.Live()
	probe := *al
	if probe.Settle(wall); !wasLive && !probe.Live() {
		*al = probe
		if err := store.Put(tx, key(alarmTable, al.ID), *al); err != nil {
			return err
		}
		return appendEvent(tx, laneOfAlarm(al), station.EventAlarmAnswered, "alarm/"+al.ID, actor, wall, *al)
	}
	sensor, err := sensorOf(tx, al)
	if err != nil {
		return err
	}
	c, _, err := a.condition(tx, sensor, al.Kind)
	if err != nil {
		return err
	}
	if c.Alarm != nil && c.Alarm.ID != al.ID {
		return station.Errorf(http.StatusConflict, "answer.superseded", "answer the new alarm", "the sensor has raised a new alarm since")
	}
	c.Revive(al)
	return a.follow(tx, now, c, c.Settle(now), actor, &reportChange{})
}

// sensorOf is an alarm's sensor; of one that was removed only the ID is left.
func sensorOf(tx *store.Tx, al *station.Alarm) (station.Sensor, error) {
	s, _, err := store.Get[station.Sensor](tx, key(sensorTable, al.Sensor))
	s.ID = al.Sensor
	return s, err
}

// undo takes back the actor's own last answer, within a minute.
func undo(alarm *station.Alarm, actor station.Actor, now time.Time) error {
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
	alarm.Answers[last].Undone = true
	return nil
}

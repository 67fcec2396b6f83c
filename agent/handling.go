package agent

import (
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"stationd/agent/account"
	"stationd/agent/alarm"
	"stationd/agent/station"
	"stationd/agent/store"
)

// What people do about an alarm beside answering it: put it on the shelf, take it
// in hand, write a note. And what the parent lets us know: that somebody there has
// seen it, or takes it over. None of that silences anything here.

const (
	// longestShelf bounds a shelf: what is out of sight for longer belongs into
	// maintenance, or has no right to be an alarm.
	longestShelf = 24 * time.Hour
	// maxNotes bounds the notes of one alarm, for the reason of maxAnswers.
	maxNotes = 50
)

// onAlarm is the plan of a command about one alarm of this node's own. change is
// given the alarm's condition, with the alarm live in it or, for one that is over,
// beside it.
func (a *Agent) onAlarm(cmd station.Command, detail string, change func(tx *store.Tx, now alarm.Now, c *condition, al *station.Alarm) (alarm.Outcome, error)) plan {
	return plan{subject: "alarm/" + cmd.Subject, detail: detail, lane: station.LaneUrgent, apply: func(tx *store.Tx) (any, error) {
		al, ok, err := store.Get[station.Alarm](tx, key(alarmTable, cmd.Subject))
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, station.ErrNotFound.At("alarm/" + cmd.Subject)
		}
		if al.Node != a.store.Node() {
			return nil, station.Errorf(http.StatusConflict, "alarm.elsewhere", "do it at the station", "the alarm belongs to the station %s", al.Node)
		}
		now, err := a.moment(tx)
		if err != nil {
			return nil, err
		}
		sensor, err := sensorOf(tx, &al)
		if err != nil {
			return nil, err
		}
		c, _, err := a.condition(tx, sensor, al.Kind)
		if err != nil {
			return nil, err
		}
		if al.Live() {
			c.Alarm = &al
		} else {
			// Another one of the condition may be live; it is not meant.
			c = &condition{sensor: sensor}
			c.Sensor, c.Kind = sensor.ID, al.Kind
		}
		out, err := change(tx, now, c, &al)
		if err != nil {
			return nil, err
		}
		if al.Live() || out.Alarm == nil {
			return al, a.follow(tx, now, c, out, cmd.Actor.Account, &reportChange{})
		}
		if err := store.Put(tx, key(alarmTable, al.ID), al); err != nil {
			return nil, err
		}
		if err := appendEvent(tx, laneOfAlarm(&al), out.Event, "alarm/"+al.ID, cmd.Actor.Account, now.Wall, al); err != nil {
			return nil, err
		}
		return al, a.alarmChanged(tx, al)
	}}
}

// changed is the outcome of something that does not concern the alarm's state.
func changed(al *station.Alarm) alarm.Outcome {
	return alarm.Outcome{Alarm: al, Event: station.EventAlarmChanged}
}

func prepareShelve(a *Agent, cmd station.Command) (plan, error) {
	body, err := decodeBody[station.ShelfOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	span := time.Duration(body.Minutes) * time.Minute
	if body.Minutes < 1 || body.Minutes > int(longestShelf/time.Minute) {
		return plan{}, station.Errorf(http.StatusBadRequest, "shelf.minutes", "use 1 to 1440; for longer, set the sensor to maintenance", "%d minutes cannot be used", body.Minutes).At("minutes")
	}
	if cmd.Actor.Role == account.RoleDisplay {
		return plan{}, station.Errorf(http.StatusForbidden, "access.denied", "sign in with an account of your own", "a display may answer alarms; it may not put them out of sight")
	}
	why := strings.TrimSpace(body.Why)
	if n := utf8.RuneCountInString(why); n == 0 || n > 200 {
		return plan{}, station.Errorf(http.StatusBadRequest, "shelf.why", "say why in at most 200 characters", "the reason is missing or too long").At("why")
	}
	return a.onAlarm(cmd, span.String()+": "+why, func(_ *store.Tx, now alarm.Now, c *condition, _ *station.Alarm) (alarm.Outcome, error) {
		return c.Shelve(now, station.Shelf{By: cmd.Actor.Account, Name: cmd.Actor.Name, At: now.Wall, Until: now.Wall.Add(span), Why: why}, span)
	}), nil
}

func prepareUnshelve(a *Agent, cmd station.Command) (plan, error) {
	return a.onAlarm(cmd, "", func(_ *store.Tx, now alarm.Now, c *condition, al *station.Alarm) (alarm.Outcome, error) {
		if c.Alarm == nil || al.Shelf == nil {
			return alarm.Outcome{}, station.Errorf(http.StatusConflict, "shelf.none", "nothing is to be done", "the alarm is not on the shelf")
		}
		return c.Unshelve(now), nil
	}), nil
}

func prepareTake(a *Agent, cmd station.Command) (plan, error) {
	body, err := decodeBody[station.TakeOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	if err := checkText("seat", body.Seat, 40); err != nil {
		return plan{}, err
	}
	return a.onAlarm(cmd, body.Seat, func(_ *store.Tx, now alarm.Now, _ *condition, al *station.Alarm) (alarm.Outcome, error) {
		if t := al.TakenBy; t != nil && (t.By != cmd.Actor.Account || t.Seat != body.Seat) {
			return alarm.Outcome{}, station.Errorf(http.StatusConflict, "take.taken", "ask "+t.Name+" to give it up, or answer it all the same", "%s has taken it in hand%s", t.Name, atSeat(t.Seat))
		}
		al.TakenBy = &station.Taker{By: cmd.Actor.Account, Name: cmd.Actor.Name, Seat: body.Seat, At: now.Wall}
		return changed(al), nil
	}), nil
}

func atSeat(seat string) string {
	if seat == "" {
		return ""
	}
	return " at seat " + seat
}

func prepareRelease(a *Agent, cmd station.Command) (plan, error) {
	return a.onAlarm(cmd, "", func(_ *store.Tx, _ alarm.Now, _ *condition, al *station.Alarm) (alarm.Outcome, error) {
		if al.TakenBy == nil {
			return alarm.Outcome{}, nil
		}
		al.TakenBy = nil
		return changed(al), nil
	}), nil
}

func prepareNote(a *Agent, cmd station.Command) (plan, error) {
	body, err := decodeBody[station.NoteOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	text := strings.TrimSpace(body.Text)
	if n := utf8.RuneCountInString(text); n == 0 || n > 500 {
		return plan{}, station.Errorf(http.StatusBadRequest, "note.text", "write 1 to 500 characters", "the note is empty or too long").At("text")
	}
	return a.onAlarm(cmd, "", func(_ *store.Tx, now alarm.Now, _ *condition, al *station.Alarm) (alarm.Outcome, error) {
		if len(al.Notes) >= maxNotes {
			return alarm.Outcome{}, station.Errorf(http.StatusConflict, "note.many", "what more there is to say belongs elsewhere", "the alarm has %d notes already", len(al.Notes))
		}
		al.Notes = append(al.Notes, station.Note{By: cmd.Actor.Account, Name: cmd.Actor.Name, At: now.Wall, Text: text})
		return changed(al), nil
	}), nil
}

// parentSays checks what comes with an order of the parent about an alarm, and
// gives who ordered it, as shown.
func parentSays(cmd station.Command, by, note string) (string, error) {
	who := strings.TrimSpace(cmd.Actor.Name)
	if who == "" {
		who = parentName
	}
	return who, errors.Join(checkText("actor.name", who, 240), checkText("by", by, 64), checkText("note", note, 500))
}

// parentNotes keeps the note of the parent's officer, where there is room for it.
func parentNotes(al *station.Alarm, cmd station.Command, who, note string, at time.Time) {
	if note = strings.TrimSpace(note); note != "" && len(al.Notes) < maxNotes {
		al.Notes = append(al.Notes, station.Note{By: cmd.Actor.Account, Name: who, At: at, Text: note})
	}
}

func prepareSeen(a *Agent, cmd station.Command) (plan, error) {
	body := station.SeenOrder{}
	if len(cmd.Body) > 0 {
		var err error
		if body, err = decodeBody[station.SeenOrder](cmd); err != nil {
			return plan{}, err
		}
	}
	who, err := parentSays(cmd, body.By, body.Note)
	if err != nil {
		return plan{}, err
	}
	return a.onAlarm(cmd, body.By, func(_ *store.Tx, now alarm.Now, _ *condition, al *station.Alarm) (alarm.Outcome, error) {
		if !al.CentreSeenAt.IsZero() {
			return alarm.Outcome{}, nil
		}
		al.CentreSeenAt, al.CentreSeenBy = now.Wall, who
		parentNotes(al, cmd, who, body.Note, now.Wall)
		return changed(al), nil
	}), nil
}

func prepareTakeOver(a *Agent, cmd station.Command) (plan, error) {
	body := station.TakeOverOrder{}
	if len(cmd.Body) > 0 {
		var err error
		if body, err = decodeBody[station.TakeOverOrder](cmd); err != nil {
			return plan{}, err
		}
	}
	who, err := parentSays(cmd, body.By, body.Note)
	if err != nil {
		return plan{}, err
	}
	detail := strings.TrimSpace(body.By + map[bool]string{true: " handed back"}[body.Back])
	return a.onAlarm(cmd, detail, func(tx *store.Tx, now alarm.Now, _ *condition, al *station.Alarm) (alarm.Outcome, error) {
		taken := !al.CentreTakenAt.IsZero()
		switch {
		case body.Back && !taken:
			return alarm.Outcome{}, nil // it stands so already
		case body.Back:
			al.CentreTakenAt, al.CentreTakenBy = time.Time{}, ""
		case taken:
			// It deals with it still, and has its time again.
			if err := a.holdAgain(tx, *al); err != nil {
				return alarm.Outcome{}, err
			}
			if al.CentreTakenBy == who && strings.TrimSpace(body.Note) == "" {
				return alarm.Outcome{}, nil
			}
			al.CentreTakenBy = who
		default:
			al.CentreTakenAt, al.CentreTakenBy = now.Wall, who
			al.CentreLapsedAt, al.CentreLapsedBy = time.Time{}, ""
			if al.CentreSeenAt.IsZero() {
				al.CentreSeenAt, al.CentreSeenBy = now.Wall, who
			}
		}
		parentNotes(al, cmd, who, body.Note, now.Wall)
		return changed(al), nil
	}), nil
}

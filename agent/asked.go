package agent

import (
	"context"
	"net/http"
	"strings"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// What an officer of a centre asks a station for about one of its alarms: to note
// that somebody here looks at it, that the centre takes it over, or hands it back.
// The wish is stored and goes to the station until its receipt comes or its time is
// over, across restarts of both. The tick at the alarm is never made here: it comes
// with the station's own event.

const (
	// keepSeen and keepTakeOver are how long a wish is sent. That somebody looked
	// is no news after a while; who takes over wants it to arrive.
	keepSeen     = 10 * time.Minute
	keepTakeOver = time.Hour
)

type (
	askNote struct {
		Note string `json:"note,omitempty"`
	}
	askedReply struct {
		Asked station.Asked `json:"asked"`
		// Confirmed tells that the station has said so.
		Confirmed bool `json:"confirmed"`
	}
)

func askedKey(alarm string, what station.AskedWhat) store.Key {
	return key(askedTable, alarm, string(what))
}

func askingKey(alarm string, what station.AskedWhat) store.Key {
	return key(askingTable, alarm, string(what))
}

// askedOf are the wishes about one alarm.
func askedOf(tx *store.Tx, id string) (list []station.Asked, err error) {
	for _, what := range []station.AskedWhat{station.AskedSeen, station.AskedTakeOver} {
		x, known, err := store.Get[station.Asked](tx, askedKey(id, what))
		if err != nil {
			return nil, err
		}
		if known {
			list = append(list, x)
		}
	}
	return list, nil
}

func prepareAskSeen(a *Agent, cmd station.Command) (plan, error) {
	if cmd.Actor.Role == account.RoleDisplay {
		return plan{}, station.Errorf(http.StatusForbidden, "asked.display", "sign in as a person", "nobody in particular sits before a display: it cannot say that somebody has looked")
	}
	return a.prepareAsk(cmd, station.AskedSeen, keepSeen)
}

func prepareAskTakeOver(a *Agent, cmd station.Command) (plan, error) {
	return a.prepareAsk(cmd, station.AskedTakeOver, keepTakeOver)
}

func (a *Agent) prepareAsk(cmd station.Command, what station.AskedWhat, keep time.Duration) (plan, error) {
	body, err := decodeBody[station.AskOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	body.Note = strings.TrimSpace(body.Note)
	if err := checkText("note", body.Note, 500); err != nil {
		return plan{}, err
	}
	detail := body.Note
	if body.Back = body.Back && what == station.AskedTakeOver; body.Back {
		detail = strings.TrimSpace("hand back " + detail)
	}
	id := station.NewID()
	return plan{subject: "alarm/" + cmd.Subject, detail: detail, lane: station.LaneUrgent, after: a.wakeAsked, apply: func(tx *store.Tx) (any, error) {
		al, err := a.askable(tx, cmd.Subject, what, body.Back)
		if err != nil {
			return nil, err
		}
		last, known, err := store.Get[station.Asked](tx, askedKey(al.ID, what))
		if err != nil {
			return nil, err
		}
		if known && last.State == station.AskedWaiting && last.Back == body.Back {
			return last, nil
		}
		now := a.now()
		x := station.Asked{
			Alarm: al.ID, Node: al.Node, What: what, Back: body.Back, Command: id, By: cmd.Actor.Account, Name: cmd.Actor.Name, Note: body.Note,
			At: now, Until: now.Add(keep), State: station.AskedWaiting, StateAt: now,
		}
		if standsSo(al, x) && (!known || last.State != station.AskedWaiting) {
			// The station has said so already, and nothing is on its way that would change it.
			x.State = station.AskedDone
			return x, nil
		}
		if err := store.Put(tx, askingKey(al.ID, what), al.ID); err != nil {
			return nil, err
		}
		return x, a.putAsked(tx, x, now)
	}}, nil
}

// askable is the alarm, if there is a station below that can be asked about it.
func (a *Agent) askable(tx *store.Tx, id string, what station.AskedWhat, back bool) (al station.Alarm, err error) {
	al, ok, err := store.Get[station.Alarm](tx, key(alarmTable, id))
	if err != nil {
		return al, err
	}
	if !ok {
		return al, station.ErrNotFound.At("alarm/" + id)
	}
	if al.Node == a.store.Node() {
		return al, station.Errorf(http.StatusConflict, "asked.own", "answer it, or take it in hand", "the alarm is this node's own")
	}
	_, _, child, err := way(tx, al.Node)
	if err != nil {
		return al, err
	}
	if !child || a.orderBelow == nil {
		return al, station.Errorf(http.StatusConflict, "asked.far", "do it at the centre to which the station belongs", "the station %s is not directly below this node", al.Node)
	}
	if what == station.AskedTakeOver && !back && !al.Live() {
		return al, station.Errorf(http.StatusConflict, "asked.over", "nothing is to be done", "the alarm is over")
	}
	return al, nil
}

// standsSo tells whether the alarm, as its station told it last, is as was asked. To
// take over what is taken over is news to the station: its clock runs.
func standsSo(al station.Alarm, x station.Asked) bool {
	if x.What == station.AskedSeen {
		return !al.CentreSeenAt.IsZero()
	}
	return x.Back && al.CentreTakenAt.IsZero()
}

func (a *Agent) putAsked(tx *store.Tx, x station.Asked, now time.Time) error {
	if err := store.Put(tx, askedKey(x.Alarm, x.What), x); err != nil {
		return err
	}
	return appendEvent(tx, station.LaneUrgent, station.EventAsked, "alarm/"+x.Alarm, x.By, now, x)
}

// orderOf is the command that goes to the station. Who asks travels as a name to be
// shown: there, it has a node's rights and no other.
func (a *Agent) orderOf(x station.Asked) (station.Command, error) {
	cmd := station.Command{
		ID: x.Command, Type: station.CommandSeenAlarm, Subject: x.Alarm, Issued: x.At, Expires: x.Until,
		Actor: station.Actor{Account: x.By, Name: strings.TrimSpace(a.cfg.Name + " " + x.Name), Role: account.RoleNode},
	}
	var body any = station.SeenOrder{By: x.By, Note: x.Note}
	if x.What == station.AskedTakeOver {
		cmd.Type, body = station.CommandTakeOverAlarm, station.TakeOverOrder{Back: x.Back, By: x.By, Note: x.Note}
	}
	var err error
	cmd.Body, err = marshalResult(body)
	return cmd, err
}

// settleAsked notes what became of a wish, unless another one has taken its place.
func (a *Agent) settleAsked(ctx context.Context, x station.Asked, state station.AskedState, problem *station.Problem) error {
	return a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		now := a.now()
		last, known, err := store.Get[station.Asked](tx, askedKey(x.Alarm, x.What))
		if err != nil || !known || last.Command != x.Command || last.State != station.AskedWaiting {
			return err
		}
		last.State, last.StateAt, last.Problem = state, now, problem
		if err := tx.Delete(askingKey(x.Alarm, x.What)); err != nil {
			return err
		}
		if err := a.putAsked(tx, last, now); err != nil {
			return err
		}
		row := station.Audit{At: now, Actor: station.System(), Action: askedAction(x.What), Subject: "alarm/" + x.Alarm, Result: "ok", Detail: "for " + x.By + ": confirmed by " + string(x.Node)}
		switch state {
		case station.AskedExpired:
			row.Result, row.Detail = "command.expired", "for "+x.By+": "+string(x.Node)+" has not confirmed it in time"
		case station.AskedRefused:
			row.Result, row.Detail = problem.Code, "for "+x.By+": "+string(x.Node)+": "+problem.Message
		}
		return appendAudit(tx, row)
	})
}

func askedAction(what station.AskedWhat) string {
	if what == station.AskedTakeOver {
		return station.CommandAskTakeOver
	}
	return station.CommandAskSeen
}

// postAsk serves the routes: 202 while the station has not confirmed it.
func (a *Agent) postAsk(kind string, back bool) http.Handler {
	return station.Handler(func(w http.ResponseWriter, r *http.Request) error {
		var body askNote
		if !back && r.ContentLength != 0 {
			if err := station.ReadJSON(w, r, &body); err != nil {
				return err
			}
		}
		var x station.Asked
		if err := a.command(r, kind, r.PathValue("id"), station.AskOrder{Back: back, Note: body.Note}, &x); err != nil {
			return err
		}
		status := http.StatusAccepted
		if x.State == station.AskedDone {
			status = http.StatusOK
		}
		return station.WriteJSON(w, status, askedReply{Asked: x, Confirmed: x.State == station.AskedDone})
	})
}

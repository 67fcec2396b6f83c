package agent

import (
	"net/http"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// Which of a centre's seats deals with a station's alarm. It is the centre's own
// affair: the station is told by what the seat then does (asked.go, instruct.go). It
// ends when the seat lets go of it, or when the alarm is over.

func prepareClaim(a *Agent, cmd station.Command) (plan, error) {
	body, err := decodeBody[station.TakeOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	if err := checkText("seat", body.Seat, 40); err != nil {
		return plan{}, err
	}
	if cmd.Actor.Role == account.RoleDisplay {
		return plan{}, station.Errorf(http.StatusForbidden, "access.denied", "sign in with an account of your own", "nobody in particular sits before a display")
	}
	return a.claiming(cmd, body.Seat, func(al station.Alarm, c station.Claim) (station.Claim, error) {
		if t := c.TakenBy; t != nil && (t.By != cmd.Actor.Account || t.Seat != body.Seat) {
			return c, station.Errorf(http.StatusConflict, "take.taken", "ask "+t.Name+" to give it up", "%s has taken it in hand%s", t.Name, atSeat(t.Seat))
		}
		if !al.Live() {
			return c, station.Errorf(http.StatusConflict, "asked.over", "nothing is to be done", "the alarm is over")
		}
		c.TakenBy = &station.Taker{By: cmd.Actor.Account, Name: cmd.Actor.Name, Seat: body.Seat, At: a.now()}
		return c, nil
	}), nil
}

// prepareUnclaim lets go. Anybody may free an alarm whose seat has gone home; the audit
// says who did.
func prepareUnclaim(a *Agent, cmd station.Command) (plan, error) {
	return a.claiming(cmd, "", func(_ station.Alarm, c station.Claim) (station.Claim, error) {
		c.TakenBy = nil
		return c, nil
	}), nil
}

func (a *Agent) claiming(cmd station.Command, detail string, change func(station.Alarm, station.Claim) (station.Claim, error)) plan {
	return plan{subject: "alarm/" + cmd.Subject, detail: detail, lane: station.LaneUrgent, apply: func(tx *store.Tx) (any, error) {
		al, ok, err := store.Get[station.Alarm](tx, key(alarmTable, cmd.Subject))
		switch {
		case err != nil:
			return nil, err
		case !ok:
			return nil, station.ErrNotFound.At("alarm/" + cmd.Subject)
		case al.Node == a.store.Node():
			return nil, station.Errorf(http.StatusConflict, "asked.own", "answer it, or take it in hand", "the alarm is this node's own")
		}
		k := key(claimTable, al.ID)
		c, _, err := store.Get[station.Claim](tx, k)
		if err != nil {
			return nil, err
		}
		c.Alarm = al.ID
		if c, err = change(al, c); err != nil {
			return nil, err
		}
		if c.TakenBy == nil {
			err = tx.Delete(k)
		} else {
			err = store.Put(tx, k, c)
		}
		if err != nil {
			return nil, err
		}
		return c, appendEvent(tx, station.LaneUrgent, station.EventClaim, "alarm/"+al.ID, cmd.Actor.Account, a.now(), c)
	}}
}

// endClaim ends the claim of an alarm that is over.
func (c childTx) endClaim(al *station.Alarm) error {
	if al.Live() {
		return nil
	}
	k := key(claimTable, al.ID)
	if _, known, err := store.Get[station.Claim](c.tx, k); err != nil || !known {
		return err
	}
	if err := c.tx.Delete(k); err != nil {
		return err
	}
	return appendEvent(c.tx, station.LaneUrgent, station.EventClaim, "alarm/"+al.ID, "", c.now(), station.Claim{Alarm: al.ID})
}

// Claims lists what the seats deal with.
func (a *Agent) Claims() ([]station.Claim, error) { return all[station.Claim](a, claimTable) }

type claimList struct {
	Claims []station.Claim `json:"claims"`
}

func (a *Agent) claimRoutes() []station.Route {
	return []station.Route{
		{Pattern: "GET /api/v1/claims", Permission: station.PermWatch, Summary: "Which seats of this centre deal with which alarms of its stations", Reply: claimList{}, Handler: list(a.Claims, func(v []station.Claim) any { return claimList{v} })},
		{Pattern: "POST /api/v1/alarms/{id}/claim", Permission: station.PermAnswer, Resource: "alarm/{id}", Summary: "Say that this seat deals with a station's alarm", Body: station.TakeOrder{}, Reply: station.Claim{}, Params: commandParams, Handler: a.order(station.CommandClaim)},
		{Pattern: "DELETE /api/v1/alarms/{id}/claim", Permission: station.PermAnswer, Resource: "alarm/{id}", Summary: "Let go of it", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandUnclaim)},
	}
}

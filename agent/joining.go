package agent

import (
	"fmt"
	"net/http"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// The joining window: for a limited time unknown devices may appear by themselves
// and wait to be adopted. Outside it a stranger that calls for help is still heard;
// see adoptUnknown. The window is kept, so that a restart does not shorten it, and
// nothing closes it but its own end and a person.

const joiningKey = store.Key("joining")

// Joining is the joining window; the zero value when none was ever opened or the
// last one was closed. Whether it is open Joining.Open tells.
func (a *Agent) Joining() (station.Joining, error) {
	var j station.Joining
	err := a.store.View(func(tx *store.Tx) (err error) {
		j, _, err = store.Get[station.Joining](tx, joiningKey)
		return err
	})
	return j, err
}

func prepareOpenJoining(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.JoiningOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	most := int(station.MaxJoining / time.Minute)
	if o.Minutes < 1 || o.Minutes > most {
		return plan{}, invalid("minutes", fmt.Sprintf("use 1 to %d", most), "devices cannot be let in for %d minutes", o.Minutes)
	}
	now := a.now()
	j := station.Joining{Since: now, Until: now.Add(time.Duration(o.Minutes) * time.Minute), By: cmd.Actor.Account, Name: cmd.Actor.Name}
	return plan{
		subject: "joining", detail: fmt.Sprintf("for %d minutes", o.Minutes), lane: station.LaneNormal, registry: true,
		apply: func(tx *store.Tx) (any, error) {
			if err := store.Put(tx, joiningKey, j); err != nil {
				return nil, err
			}
			return j, setupEvent(tx, "joining", cmd.Actor, now, j)
		},
	}, nil
}

func prepareCloseJoining(a *Agent, cmd station.Command) (plan, error) {
	now := a.now()
	return plan{subject: "joining", lane: station.LaneNormal, registry: true, apply: func(tx *store.Tx) (any, error) {
		if err := tx.Delete(joiningKey); err != nil {
			return nil, err
		}
		return nil, setupEvent(tx, "joining", cmd.Actor, now, station.Joining{})
	}}, nil
}

// setupEvent journals a change of what is set up around sensors and alarms.
func setupEvent(tx *store.Tx, subject string, actor station.Actor, at time.Time, record any) error {
	return appendEvent(tx, station.LaneNormal, station.EventSetupChanged, subject, actor.Account, at, record)
}

// joiningView is the window as it is asked for.
type joiningView struct {
	station.Joining
	Open bool `json:"open"`
}

func (a *Agent) joiningRoutes() []station.Route {
	const path = "/api/v1/joining"
	return []station.Route{
		{Pattern: "GET " + path, Permission: station.PermWatch, Resource: "joining", Summary: "The joining window: whether unknown devices may appear", Reply: joiningView{}, Handler: station.Handler(a.getJoining)},
		{Pattern: "POST " + path, Permission: station.PermConfigure, Resource: "joining", Summary: "Let unknown devices appear for 1 to 60 minutes", Body: station.JoiningOrder{}, Reply: joiningView{}, Params: commandParams, Handler: station.Handler(func(w http.ResponseWriter, r *http.Request) error {
			var o station.JoiningOrder
			if err := station.ReadJSON(w, r, &o); err != nil {
				return err
			}
			if err := a.command(r, station.CommandOpenJoining, "", o, nil); err != nil {
				return err
			}
			return a.getJoining(w, r)
		})},
		{Pattern: "DELETE " + path, Permission: station.PermConfigure, Resource: "joining", Summary: "Close the joining window", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandCloseJoining)},
	}
}

func (a *Agent) getJoining(w http.ResponseWriter, _ *http.Request) error {
	j, err := a.Joining()
	if err != nil {
		return err
	}
	return station.WriteJSON(w, http.StatusOK, joiningView{Joining: j, Open: j.Open(a.now())})
}

package agent

import (
	"net/http"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// A station's people announce that they close for the day, or open again. Nothing at
// the station changes by it: its PC goes on, and its alarms are told as ever. Its
// centre does not miss it until then.

// longestClosed is the longest time for which a station closes: a long holiday.
const longestClosed = 14 * 24 * time.Hour

func prepareCloseNode(a *Agent, cmd station.Command) (plan, error) {
	body, err := decodeBody[station.CloseOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	now := a.now()
	if d := body.Until.Sub(now); d <= 0 || d > longestClosed {
		return plan{}, invalid("until", "give a time within the next 14 days", "the station cannot be closed until %s", body.Until.Format(time.DateTime))
	}
	if cmd.Actor.Role == account.RoleDisplay {
		return plan{}, station.Errorf(http.StatusForbidden, "access.denied", "sign in with an account of your own", "nobody in particular sits before a display")
	}
	return a.closing(cmd, "until "+body.Until.Format(time.DateTime), func(self *station.Node) {
		self.ClosedAt, self.ClosedUntil, self.ClosedBy = now, body.Until, cmd.Actor.Name
	}), nil
}

func prepareOpenNode(a *Agent, cmd station.Command) (plan, error) {
	return a.closing(cmd, "", func(self *station.Node) {
		self.ClosedAt, self.ClosedUntil, self.ClosedBy = time.Time{}, time.Time{}, ""
	}), nil
}

func (a *Agent) closing(cmd station.Command, detail string, change func(*station.Node)) plan {
	return plan{subject: "node", detail: detail, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		self, err := a.selfNode(tx)
		if err != nil {
			return nil, err
		}
		before := self
		change(&self)
		if self == before {
			return self, nil
		}
		if err := store.Put(tx, selfKey, self); err != nil {
			return nil, err
		}
		return self, appendEvent(tx, station.LaneNormal, station.EventNodeState, "node/"+string(self.ID), cmd.Actor.Account, a.now(), self)
	}}
}

// selfNode is what this node tells of itself.
func (a *Agent) selfNode(tx *store.Tx) (station.Node, error) {
	n, known, err := store.Get[station.Node](tx, selfKey)
	if !known {
		n = station.Node{ID: a.store.Node(), Name: a.cfg.Name, Version: a.cfg.Version}
	}
	return n, err
}

// Self is this node as it tells of itself, with whether it is closed.
func (a *Agent) Self() (n station.Node, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		n, err = a.selfNode(tx)
		return err
	})
	return n, err
}

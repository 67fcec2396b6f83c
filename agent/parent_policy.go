package agent

import (
	"net/http"
	"slices"
	"strings"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// What a station's parent may order, and what the station's people refuse of it. A
// parent has a node's rights and no person's: of what people do here, only what is
// named below is open to it.

// fromAbove are the commands that a parent may give beside those that are meant for
// nodes alone, and those of either that can be refused.
var fromAbove = map[string]station.OrderClass{
	station.CommandAnswerAlarm:   station.ClassAlarms,
	station.CommandTakeOverAlarm: station.ClassAlarms,
	station.CommandRecordClip:    station.ClassRecord,
	station.CommandPutCard:       station.ClassSetup,
	station.CommandPutSchedule:   station.ClassSetup,
	station.CommandPutMode:       station.ClassMode,
	station.CommandPutBroadcast:  station.ClassBroadcast,
}

// permissionFor is what whoever gives a command needs, and the class of it where that
// is the parent.
func permissionFor(cmd station.Command, usual station.Permission) (station.Permission, station.OrderClass) {
	class, open := fromAbove[cmd.Type]
	if !open || cmd.Actor.Role != account.RoleNode {
		return usual, ""
	}
	return station.PermNode, class
}

// OpenToParent tells whether a parent may give a command that people give, too.
func OpenToParent(kind string) bool {
	_, open := fromAbove[kind]
	return open
}

// heedParentPolicy refuses what this station's people do not want from above.
func heedParentPolicy(tx *store.Tx, class station.OrderClass) error {
	p, _, err := store.Get[station.ParentPolicy](tx, parentPolicyKey)
	if err != nil || class == "" || !slices.Contains(p.Refuse, class) {
		return err
	}
	message := "the station does not take this from above"
	if p.Why != "" {
		message += ": " + p.Why
	}
	return station.Errorf(http.StatusForbidden, "parent.policy", "ask the station's people to change that", "%s", message).
		With(map[string]string{"class": string(class), "why": p.Why, "name": p.ByName})
}

// TakesFromParent tells whether the parent may have orders of a class carried out.
func (a *Agent) TakesFromParent(class station.OrderClass) error {
	return a.store.View(func(tx *store.Tx) error { return heedParentPolicy(tx, class) })
}

func preparePutParentPolicy(a *Agent, cmd station.Command) (plan, error) {
	p, err := decodeBody[station.ParentPolicy](cmd)
	if err != nil {
		return plan{}, err
	}
	p.Why = strings.TrimSpace(p.Why)
	if err := checkText("why", p.Why, 200); err != nil {
		return plan{}, err
	}
	slices.Sort(p.Refuse)
	p.Refuse = slices.Compact(p.Refuse)
	words := make([]string, 0, len(p.Refuse))
	for _, c := range p.Refuse {
		if !slices.Contains(station.OrderClasses(), c) {
			return plan{}, invalid("refuse", "choose of the classes that the API document names", "there is no class of orders %q", c)
		}
		words = append(words, string(c))
	}
	p.By, p.ByName, p.At = cmd.Actor.Account, cmd.Actor.Name, a.now()
	detail := "takes all"
	if len(words) > 0 {
		detail = "refuses " + strings.Join(words, ", ")
	}
	return plan{subject: "parent-policy", detail: detail, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		if err := store.Put(tx, parentPolicyKey, p); err != nil {
			return nil, err
		}
		return p, setupEvent(tx, "parent-policy", cmd.Actor, p.At, p)
	}}, nil
}

// ParentPolicy is what is not taken from above.
func (a *Agent) ParentPolicy() (p station.ParentPolicy, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		p, _, err = store.Get[station.ParentPolicy](tx, parentPolicyKey)
		return err
	})
	return p, err
}

package agent

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// Displays: screens of the duty room that never sign out. An administrator arms
// one and opens its link on the screen's browser, once; from then on it shows and
// answers for the shift on duty, across restarts, until it is disarmed.

const (
	// maxDisplays bounds the screens of one station.
	maxDisplays = 20
	// displayLinkLife is how long an administrator has for the walk to the screen.
	displayLinkLife = time.Hour
	// displayPrefix is in front of a display's name where accounts stand. No
	// person's account has a colon.
	displayPrefix = "display:"
	displayInvite = "display"
)

func prepareArmDisplay(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.DisplayOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	if err := onlyAdmin(cmd.Actor); err != nil {
		return plan{}, err
	}
	o.Name = strings.TrimSpace(o.Name)
	if o.Name == "" {
		return plan{}, invalid("name", "say where the screen stands", "the display has no name")
	}
	if err := checkText("name", o.Name, 30); err != nil {
		return plan{}, err
	}
	now := a.now()
	token, digest := account.NewToken()
	d := station.Display{ID: station.NewID(), Name: o.Name, By: cmd.Actor.Account, ArmedAt: now, LinkUntil: now.Add(displayLinkLife)}
	return plan{
		subject: "displays", detail: d.Name, lane: station.LaneNormal, kept: station.DisplayLink{Display: d, Token: station.SecretMask},
		apply: func(tx *store.Tx) (any, error) {
			n := 0
			err := store.Each(tx, displayTable, func(store.Key, station.Display) error { n++; return nil })
			if err != nil {
				return nil, err
			}
			if n >= maxDisplays {
				return nil, station.Errorf(http.StatusConflict, "display.many", "disarm one that is not used", "there are %d displays already", n)
			}
			if err := store.Put(tx, key(displayTable, d.ID), d); err != nil {
				return nil, err
			}
			inv := account.Invitation{Digest: digest, Purpose: displayInvite, Account: displayPrefix + d.ID, Expires: d.LinkUntil}
			if err := store.Put(tx, key(inviteTable, digest), inv); err != nil {
				return nil, err
			}
			return station.DisplayLink{Display: d, Token: token}, setupEvent(tx, "display/"+d.ID, cmd.Actor, now, d)
		},
	}, nil
}

func onlyAdmin(actor station.Actor) error {
	if actor.Role == account.RoleAdmin || actor.Role == account.RoleSystem {
		return nil
	}
	return station.Errorf(http.StatusForbidden, "account.rank", "ask an administrator", "only an administrator arms and disarms displays")
}

func prepareDisarmDisplay(a *Agent, cmd station.Command) (plan, error) {
	if err := onlyAdmin(cmd.Actor); err != nil {
		return plan{}, err
	}
	now := a.now()
	return plan{subject: "display/" + cmd.Subject, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		d, ok, err := store.Get[station.Display](tx, key(displayTable, cmd.Subject))
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, station.ErrNotFound.At("display/" + cmd.Subject)
		}
		if err := tx.Delete(key(displayTable, d.ID)); err != nil {
			return nil, err
		}
		if err := shutOut(tx, displayPrefix+d.ID); err != nil {
			return nil, err
		}
		return nil, setupEvent(tx, "display/"+d.ID, cmd.Actor, now, map[string]any{"id": d.ID, "removed": true})
	}}, nil
}

// Displays lists the armed displays.
func (a *Agent) Displays() ([]station.Display, error) {
	return all[station.Display](a, displayTable)
}

// openDisplay signs a display in by its link, in the transaction that uses the
// link up.
func (a *Agent) openDisplay(tx *store.Tx, inv account.Invitation, address string) (string, station.Actor, error) {
	id := strings.TrimPrefix(inv.Account, displayPrefix)
	d, ok, err := store.Get[station.Display](tx, key(displayTable, id))
	if err != nil {
		return "", station.Actor{}, err
	}
	if !ok {
		return "", station.Actor{}, &errLink
	}
	now := a.now()
	d.OpenedAt, d.SeenAt, d.Address, d.LinkUntil = now, now, address, time.Time{}
	if err := store.Put(tx, key(displayTable, id), d); err != nil {
		return "", station.Actor{}, err
	}
	token, digest := account.NewToken()
	s := account.Session{Digest: digest, Account: inv.Account, Display: id, Created: now, Seen: now, Address: address}
	if err := store.Put(tx, key(sessionTable, digest), s); err != nil {
		return "", station.Actor{}, err
	}
	actor, err := displayActor(tx, d, address, now)
	return token, actor, err
}

// displayActor is a display as one who asks: in the audit it is "display:ID", and
// its name says which screen and whose shift.
func displayActor(tx *store.Tx, d station.Display, address string, now time.Time) (station.Actor, error) {
	shift, err := onDuty(tx, now)
	name := d.Name
	if len(shift) > 0 {
		name += " (" + strings.Join(shift, "、") + ")"
	}
	return station.Actor{Account: displayPrefix + d.ID, Name: name, Role: account.RoleDisplay, Address: address}, err
}

// maxShift bounds how many names a shift is told by.
const maxShift = 5

// onDuty are the names of those whom an answer at a display is put down to: who is
// signed in at the station and may answer alarms.
func onDuty(tx *store.Tx, now time.Time) ([]string, error) {
	var names []string
	err := store.Each(tx, sessionTable, func(_ store.Key, s account.Session) error {
		if s.Display != "" || !s.Valid(now) {
			return nil
		}
		acc, ok, err := store.Get[account.Account](tx, key(accountTable, s.Account))
		if err != nil || !ok || acc.Disabled || !slices.Contains(account.Permissions(acc.Role), station.PermAnswer) {
			return err
		}
		names = append(names, acc.Name)
		return nil
	})
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(len(names), maxShift)], err
}

// displaySession is who a display's session stands for; the zero Actor when the
// display was disarmed.
func (a *Agent) displaySession(ctx context.Context, s account.Session, address string) (station.Actor, error) {
	now := a.now()
	var d station.Display
	var actor station.Actor
	err := a.store.View(func(tx *store.Tx) (err error) {
		var ok bool
		if d, ok, err = store.Get[station.Display](tx, key(displayTable, s.Display)); err != nil || !ok {
			return err
		}
		actor, err = displayActor(tx, d, address, now)
		return err
	})
	if err != nil || actor.Account == "" {
		return station.Actor{}, err
	}
	if since := now.Sub(d.SeenAt); since >= account.SessionTouch || since < 0 {
		err := a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
			d, ok, err := store.Get[station.Display](tx, key(displayTable, s.Display))
			if err != nil || !ok {
				return err
			}
			d.SeenAt, d.Address = now, address
			return store.Put(tx, key(displayTable, d.ID), d)
		})
		if err != nil {
			a.log.Debug("use of a display not written down", "err", err)
		}
	}
	return actor, nil
}

type displayList struct {
	Displays []station.Display `json:"displays"`
}

func (a *Agent) displayRoutes() []station.Route {
	const path = "/api/v1/displays"
	return []station.Route{
		{Pattern: "GET " + path, Permission: station.PermAccounts, Resource: "displays", Summary: "List the displays that were armed", Reply: displayList{}, Handler: list(a.Displays, func(v []station.Display) any { return displayList{v} })},
		{Pattern: "POST " + path, Permission: station.PermAccounts, Resource: "displays", Summary: "Arm a display of the duty room; the token opens it once, within the hour", Body: station.DisplayOrder{}, Reply: station.DisplayLink{}, Params: commandParams, Handler: a.order(station.CommandArmDisplay)},
		{Pattern: "DELETE " + path + "/{id}", Permission: station.PermAccounts, Resource: "display/{id}", Summary: "Disarm a display", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandDisarmDisplay)},
	}
}

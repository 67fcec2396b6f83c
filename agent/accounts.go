package agent

import (
	"net/http"
	"strings"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// Who may sign in, as far as commands change it.

func preparePutAccount(a *Agent, cmd station.Command) (plan, error) {
	o, err := decodeBody[station.AccountOrder](cmd)
	if err != nil {
		return plan{}, err
	}
	acc := account.Account{Account: o.Account, Name: strings.TrimSpace(o.Name), Role: o.Role, Disabled: o.Disabled}
	if err := acc.Validate(); err != nil {
		return plan{}, err
	}
	var hash string
	if o.Password != "" && !o.Password.Unchanged() {
		if err := account.CheckPassword(acc.Account, o.Password); err != nil {
			return plan{}, err
		}
		hash = account.Hash(o.Password)
	}
	now := a.now()
	detail := "role " + acc.Role
	if acc.Disabled {
		detail += ", disabled"
	}
	if hash != "" {
		detail += ", new password"
	}
	return plan{subject: "account/" + acc.Account, detail: detail, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		acc := acc
		before, known, err := store.Get[account.Account](tx, key(accountTable, acc.Account))
		if err != nil {
			return nil, err
		}
		if acc.Role == account.RoleAdmin && cmd.Actor.Role != account.RoleAdmin && cmd.Actor.Role != account.RoleSystem {
			return nil, station.Errorf(http.StatusForbidden, "account.rank", "ask an administrator", "only an administrator makes administrators").At("role")
		}
		if known && before.Role == account.RoleAdmin && cmd.Actor.Role != account.RoleAdmin && cmd.Actor.Role != account.RoleSystem {
			return nil, station.Errorf(http.StatusForbidden, "account.rank", "ask an administrator", "only an administrator changes an administrator").At("account")
		}
		switch {
		case hash != "":
			acc.Hash = hash
		case known:
			acc.Hash = before.Hash
		default:
			return nil, invalid("password", "give a first password", "a new account needs a password")
		}
		acc.Created = now
		if known {
			acc.Created = before.Created
		}
		if err := store.Put(tx, key(accountTable, acc.Account), acc); err != nil {
			return nil, err
		}
		if err := keepAnAdmin(tx); err != nil {
			return nil, err
		}
		if acc.Disabled || hash != "" {
			if err := shutOut(tx, acc.Account); err != nil {
				return nil, err
			}
		}
		return acc.Public(), auditEvent(tx, station.EventAccountChanged, cmd.Actor, cmd.Type, acc.Account, now)
	}}, nil
}

func prepareRemoveAccount(a *Agent, cmd station.Command) (plan, error) {
	now := a.now()
	return plan{subject: "account/" + cmd.Subject, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		acc, ok, err := store.Get[account.Account](tx, key(accountTable, cmd.Subject))
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, station.ErrNotFound.At("account/" + cmd.Subject)
		}
		if acc.Role == account.RoleAdmin && cmd.Actor.Role != account.RoleAdmin && cmd.Actor.Role != account.RoleSystem {
			return nil, station.Errorf(http.StatusForbidden, "account.rank", "ask an administrator", "only an administrator removes an administrator").At("account")
		}
		if err := tx.Delete(key(accountTable, acc.Account)); err != nil {
			return nil, err
		}
		if err := keepAnAdmin(tx); err != nil {
			return nil, err
		}
		if err := shutOut(tx, acc.Account); err != nil {
			return nil, err
		}
		return nil, auditEvent(tx, station.EventAccountChanged, cmd.Actor, cmd.Type, acc.Account, now)
	}}, nil
}

// auditEvent journals, for the parent, that an account was changed.
func auditEvent(tx *store.Tx, kind string, actor station.Actor, action, subject string, at time.Time) error {
	row := station.Audit{At: at, Actor: actor, Action: action, Subject: "account/" + subject, Result: "ok"}
	return appendEvent(tx, station.LaneNormal, kind, row.Subject, actor.Account, at, row)
}

// keepAnAdmin refuses the change after which nobody could administer the node.
func keepAnAdmin(tx *store.Tx) error {
	found := false
	err := store.Each(tx, accountTable, func(_ store.Key, acc account.Account) error {
		if acc.Role == account.RoleAdmin && !acc.Disabled {
			found = true
			return store.ErrStop
		}
		return nil
	})
	if err == nil && !found {
		err = station.Errorf(http.StatusConflict, "account.last-admin", "make another administrator first", "this is the last administrator")
	}
	return err
}

// shutOut ends an account's sessions and the links that would open new ones.
func shutOut(tx *store.Tx, name string) error {
	var gone []store.Key
	err := store.Each(tx, sessionTable, func(k store.Key, s account.Session) error {
		if s.Account == name {
			gone = append(gone, k)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = store.Each(tx, inviteTable, func(k store.Key, i account.Invitation) error {
		if i.Account == name {
			gone = append(gone, k)
		}
		return nil
	})
	for _, k := range gone {
		if err == nil {
			err = tx.Delete(k)
		}
	}
	return err
}

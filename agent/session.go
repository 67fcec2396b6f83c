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

// Who gets in: the first claim, sign-in, sign-in links, sessions. All of it may
// use the reserve of the disk: whoever comes to answer an alarm must get in.

var (
	errLogin = station.Problem{Code: "login.refused", Status: http.StatusUnauthorized, Message: "account or password is wrong", Hint: "check both; after five failures the account is locked for a quarter of an hour"}
	errLink  = station.Problem{Code: "login.link", Status: http.StatusUnauthorized, Message: "this link or code was used already or has expired", Hint: "ask for a new one"}
)

// Claimed tells whether the node has an administrator.
func (a *Agent) Claimed() (bool, error) {
	claimed := false
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, accountTable, func(_ store.Key, acc account.Account) error {
			claimed = true
			return store.ErrStop
		})
	})
	return claimed, err
}

// Invite makes a single-use token: for the claim of a fresh node, or for a
// sign-in as an account. Earlier claim codes stop working.
func (a *Agent) Invite(ctx context.Context, purpose, name string, life time.Duration) (string, error) {
	token, digest := account.NewToken()
	inv := account.Invitation{Digest: digest, Purpose: purpose, Account: name, Expires: a.now().Add(life)}
	err := a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		if purpose == "claim" {
			var old []store.Key
			err := store.Each(tx, inviteTable, func(k store.Key, i account.Invitation) error {
				if i.Purpose == "claim" {
					old = append(old, k)
				}
				return nil
			})
			if err != nil {
				return err
			}
			for _, k := range old {
				if err := tx.Delete(k); err != nil {
					return err
				}
			}
		}
		if err := store.Put(tx, key(inviteTable, digest), inv); err != nil {
			return err
		}
		return appendAudit(tx, station.Audit{At: a.now(), Actor: station.System(), Action: "invite." + purpose, Subject: accountSubject(name), Result: "ok"})
	})
	return token, err
}

// accountSubject is how the audit names an account; without a name, accounts as
// such. What strangers typed is no name: it may be a password in the wrong place.
func accountSubject(name string) string {
	if name == "" {
		return "account"
	}
	return "account/" + name
}

// redeem uses an invitation up.
func (a *Agent) redeem(tx *store.Tx, token string, purposes ...string) (account.Invitation, error) {
	k := key(inviteTable, account.Digest(token))
	inv, ok, err := store.Get[account.Invitation](tx, k)
	if err != nil {
		return inv, err
	}
	if !ok || !slices.Contains(purposes, inv.Purpose) || a.now().After(inv.Expires) {
		return inv, &errLink
	}
	return inv, tx.Delete(k)
}

// Claim makes the first administrator of a fresh node and signs them in.
func (a *Agent) Claim(ctx context.Context, code string, o station.AccountOrder, address string) (token string, actor station.Actor, err error) {
	if err := a.guesses.allow(address); err != nil {
		return "", actor, err
	}
	acc := account.Account{Account: o.Account, Name: o.Name, Role: account.RoleAdmin, Created: a.now()}
	if err := acc.Validate(); err != nil {
		return "", actor, err
	}
	if err := account.CheckPassword(acc.Account, o.Password); err != nil {
		return "", actor, err
	}
	if acc.Hash, err = a.hashes.hash(ctx, o.Password); err != nil {
		return "", actor, err
	}
	actor = acc.Actor(address)
	err = a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		taken := false
		err := store.Each(tx, accountTable, func(_ store.Key, _ account.Account) error {
			taken = true
			return store.ErrStop
		})
		if err != nil {
			return err
		}
		if taken {
			return station.Errorf(http.StatusConflict, "claim.taken", "sign in; the administrator makes further accounts", "this station has been claimed already")
		}
		if _, err := a.redeem(tx, code, "claim"); err != nil {
			return err
		}
		if err := store.Put(tx, key(accountTable, acc.Account), acc); err != nil {
			return err
		}
		if token, err = a.openSession(tx, acc, address); err != nil {
			return err
		}
		if err := appendAudit(tx, station.Audit{At: a.now(), Actor: actor, Action: "claim", Subject: "account/" + acc.Account, Result: "ok"}); err != nil {
			return err
		}
		return auditEvent(tx, station.EventAccountChanged, actor, "claim", acc.Account, a.now())
	})
	if err != nil {
		a.Refused(ctx, station.Actor{Address: address}, "claim", accountSubject(""), err)
		return "", station.Actor{}, err
	}
	return token, actor, nil
}

// Login signs in by password. The answer to a wrong name and to a wrong
// password is the same and takes the same time.
func (a *Agent) Login(ctx context.Context, name string, password station.Secret, address string) (token string, actor station.Actor, err error) {
	if err := a.guesses.allow(address); err != nil {
		return "", actor, err
	}
	before, err := a.account(name)
	if err != nil {
		return "", actor, err
	}
	good, err := a.hashes.matches(ctx, before.Hash, password)
	if err != nil {
		return "", actor, err
	}
	var refusal *station.Problem
	err = a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		token, actor, refusal = "", station.Actor{}, nil
		now := a.now()
		acc, known, err := store.Get[account.Account](tx, key(accountTable, name))
		if err != nil {
			return err
		}
		// The account may have changed while the password was hashed; tries that
		// come at once are counted here, one after the other.
		left, locked := acc.Locked(now)
		switch {
		case locked:
			refusal = station.Errorf(http.StatusTooManyRequests, "login.locked", "wait, or ask an administrator for a new password", "the account is locked for another %d minutes", int(left.Minutes())+1)
		case !good || !known || acc.Disabled || acc.Hash != before.Hash:
			refusal = &errLogin
			acc.Failed(now)
		default:
			acc.Succeeded()
		}
		row := station.Audit{At: now, Actor: station.Actor{Account: acc.Account, Address: address}, Action: "login", Subject: accountSubject(acc.Account), Result: "ok"}
		event := station.EventLoginSucceeded
		if refusal != nil {
			row.Result, event = refusal.Code, station.EventLoginFailed
		} else {
			actor = acc.Actor(address)
			row.Actor = actor
			if token, err = a.openSession(tx, acc, address); err != nil {
				return err
			}
		}
		if known {
			if err := store.Put(tx, key(accountTable, name), acc); err != nil {
				return err
			}
		}
		if err := appendAudit(tx, row); err != nil {
			return err
		}
		return appendEvent(tx, station.LaneNormal, event, row.Subject, acc.Account, row.At, row)
	})
	switch {
	case err != nil:
		return "", station.Actor{}, err
	case refusal != nil:
		return "", station.Actor{}, refusal
	}
	return token, actor, nil
}

// LoginByLink signs in by a single-use link.
func (a *Agent) LoginByLink(ctx context.Context, link, address string) (token string, actor station.Actor, err error) {
	if err := a.guesses.allow(address); err != nil {
		return "", actor, err
	}
	err = a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		inv, err := a.redeem(tx, link, "login", displayInvite)
		if err != nil {
			return err
		}
		if inv.Purpose == displayInvite {
			if token, actor, err = a.openDisplay(tx, inv, address); err != nil {
				return err
			}
			return appendAudit(tx, station.Audit{At: a.now(), Actor: actor, Action: "display.open", Subject: "display/" + strings.TrimPrefix(inv.Account, displayPrefix), Result: "ok"})
		}
		acc, ok, err := store.Get[account.Account](tx, key(accountTable, inv.Account))
		if err != nil {
			return err
		}
		if !ok || acc.Disabled {
			return &errLink
		}
		actor = acc.Actor(address)
		if token, err = a.openSession(tx, acc, address); err != nil {
			return err
		}
		row := station.Audit{At: a.now(), Actor: actor, Action: "login.link", Subject: accountSubject(acc.Account), Result: "ok"}
		if err := appendAudit(tx, row); err != nil {
			return err
		}
		return appendEvent(tx, station.LaneNormal, station.EventLoginSucceeded, row.Subject, acc.Account, row.At, row)
	})
	if err != nil {
		a.Refused(ctx, station.Actor{Address: address}, "login.link", accountSubject(""), err)
		return "", station.Actor{}, err
	}
	return token, actor, nil
}

func (a *Agent) openSession(tx *store.Tx, acc account.Account, address string) (string, error) {
	token, digest := account.NewToken()
	now := a.now()
	return token, store.Put(tx, key(sessionTable, digest), account.Session{Digest: digest, Account: acc.Account, Created: now, Seen: now, Address: address})
}

// Session is who holds the token: the zero Actor when nobody does. Using a
// session keeps it alive; that is written down once a minute.
func (a *Agent) Session(ctx context.Context, token, address string) (station.Actor, error) {
	if token == "" {
		return station.Actor{}, nil
	}
	k := key(sessionTable, account.Digest(token))
	var s account.Session
	var acc account.Account
	err := a.store.View(func(tx *store.Tx) (err error) {
		if s, _, err = store.Get[account.Session](tx, k); err != nil || s.Account == "" {
			return err
		}
		acc, _, err = store.Get[account.Account](tx, key(accountTable, s.Account))
		return err
	})
	if err == nil && s.Display != "" {
		return a.displaySession(ctx, s, address)
	}
	now := a.now()
	if err != nil || acc.Account == "" || acc.Disabled || !s.Valid(now) {
		return station.Actor{}, err
	}
	if now.Sub(s.Seen) >= account.SessionTouch {
		err := a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
			s, ok, err := store.Get[account.Session](tx, k)
			if err != nil || !ok {
				return err
			}
			s.Seen = now
			return store.Put(tx, k, s)
		})
		if err != nil {
			a.log.Debug("session use not written down", "err", err)
		}
	}
	return acc.Actor(address), nil
}

// Logout ends the session; one that is not there is over already.
func (a *Agent) Logout(ctx context.Context, token string) error {
	k := key(sessionTable, account.Digest(token))
	return a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		s, ok, err := store.Get[account.Session](tx, k)
		if err != nil || !ok {
			return err
		}
		if err := tx.Delete(k); err != nil {
			return err
		}
		acc, known, err := store.Get[account.Account](tx, key(accountTable, s.Account))
		if err != nil {
			return err
		}
		if !known {
			acc.Account = s.Account // a display
		}
		return appendAudit(tx, station.Audit{At: a.now(), Actor: acc.Actor(s.Address), Action: "logout", Subject: accountSubject(s.Account), Result: "ok"})
	})
}

func (a *Agent) account(name string) (account.Account, error) {
	var acc account.Account
	err := a.store.View(func(tx *store.Tx) (err error) {
		acc, _, err = store.Get[account.Account](tx, key(accountTable, name))
		return err
	})
	return acc, err
}

// Accounts lists the accounts without their hashes.
func (a *Agent) Accounts() ([]account.Account, error) {
	out := []account.Account{}
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, accountTable, func(_ store.Key, acc account.Account) error {
			out = append(out, acc.Public())
			return nil
		})
	})
	return out, err
}

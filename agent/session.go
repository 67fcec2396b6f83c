package agent

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"stationd/agent/account"
	"stationd/agent/station"
	"stationd/agent/store"
)

// Who gets in: the first claim, sign-in, sign-in links, sessions. All of it may
// use the reserve of the disk: whoever comes to answer an alarm must get in.

// limiter slows guessing from one address: a burst of ten, then one in six
// seconds. It remembers a bounded number of addresses and forgets all of them
// when there are too many, which favours the innocent.
type limiter struct {
	mu   sync.Mutex
	from map[string]*rate.Limiter
}

const maxAddresses = 4096

func (l *limiter) allow(address string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.from == nil || len(l.from) >= maxAddresses {
		l.from = map[string]*rate.Limiter{}
	}
	lim := l.from[address]
	if lim == nil {
		lim = rate.NewLimiter(rate.Every(6*time.Second), 10)
		l.from[address] = lim
	}
	if !lim.Allow() {
		return station.Errorf(http.StatusTooManyRequests, "login.slow-down", "wait a minute and try again", "there were too many tries from this address")
	}
	return nil
}

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
		return store.Put(tx, key(inviteTable, digest), inv)
	})
	return token, err
}

// redeem uses an invitation up.
func (a *Agent) redeem(tx *store.Tx, purpose, token string) (account.Invitation, error) {
	k := key(inviteTable, account.Digest(token))
	inv, ok, err := store.Get[account.Invitation](tx, k)
	if err != nil {
		return inv, err
	}
	if !ok || inv.Purpose != purpose || a.now().After(inv.Expires) {
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
	acc.Hash = account.Hash(o.Password)
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
		if _, err := a.redeem(tx, "claim", code); err != nil {
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
	return token, actor, err
}

// Login signs in by password. The answer to a wrong name and to a wrong
// password is the same and takes the same time.
func (a *Agent) Login(ctx context.Context, name string, password station.Secret, address string) (string, station.Actor, error) {
	if err := a.guesses.allow(address); err != nil {
		return "", station.Actor{}, err
	}
	acc, err := a.account(name)
	if err != nil {
		return "", station.Actor{}, err
	}
	if left, locked := acc.Locked(a.now()); locked {
		return "", station.Actor{}, station.Errorf(http.StatusTooManyRequests, "login.locked", "wait, or ask an administrator for a new password", "the account is locked for another %d minutes", int(left.Minutes())+1)
	}
	good := account.Matches(acc.Hash, password) && !acc.Disabled
	var token string
	err = a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		row := station.Audit{At: a.now(), Actor: station.Actor{Account: name, Address: address}, Action: "login", Subject: "account/" + name, Result: "ok"}
		now, known, err := store.Get[account.Account](tx, key(accountTable, name))
		if err != nil {
			return err
		}
		kind := station.EventLoginSucceeded
		if !good || !known || now.Hash != acc.Hash {
			good, row.Result, kind = false, errLogin.Code, station.EventLoginFailed
			now.Failed(a.now())
		} else {
			now.Succeeded()
			row.Actor = now.Actor(address)
			if token, err = a.openSession(tx, now, address); err != nil {
				return err
			}
		}
		if known {
			if err := store.Put(tx, key(accountTable, name), now); err != nil {
				return err
			}
		}
		if err := appendAudit(tx, row); err != nil {
			return err
		}
		return appendEvent(tx, station.LaneNormal, kind, row.Subject, name, row.At, row)
	})
	if err != nil {
		return "", station.Actor{}, err
	}
	if !good {
		return "", station.Actor{}, &errLogin
	}
	return token, acc.Actor(address), nil
}

// LoginByLink signs in by a single-use link.
func (a *Agent) LoginByLink(ctx context.Context, link, address string) (token string, actor station.Actor, err error) {
	if err := a.guesses.allow(address); err != nil {
		return "", actor, err
	}
	err = a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		inv, err := a.redeem(tx, "login", link)
		if err != nil {
			return err
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
		return appendAudit(tx, station.Audit{At: a.now(), Actor: actor, Action: "login.link", Subject: "account/" + acc.Account, Result: "ok"})
	})
	return token, actor, err
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

// Logout ends the session.
func (a *Agent) Logout(ctx context.Context, token string) error {
	return a.store.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
		return tx.Delete(key(sessionTable, account.Digest(token)))
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

package account

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"stationd/agent/station"
)

// Account is a person who may sign in.
type Account struct {
	Account  string    `json:"account"` // the sign-in name
	Name     string    `json:"name"`    // as shown
	Role     string    `json:"role"`
	Disabled bool      `json:"disabled,omitempty"`
	Hash     string    `json:"hash,omitempty"` // PHC string; never leaves the store
	Created  time.Time `json:"created"`
	// Failures since the last success, and until when the account is locked.
	Failures    int       `json:"failures,omitempty"`
	LockedUntil time.Time `json:"lockedUntil,omitzero"`
}

// Actor is the account as one who asks.
func (a Account) Actor(address string) station.Actor {
	return station.Actor{Account: a.Account, Name: a.Name, Role: a.Role, Address: address}
}

// Public is the account without what must stay in the store.
func (a Account) Public() Account {
	a.Hash = ""
	return a
}

// Validate reports what is wrong with the account's name and role.
func (a Account) Validate() error {
	bad := func(place, hint, format string, args ...any) error {
		return station.Errorf(http.StatusBadRequest, "account.invalid", hint, format, args...).At(place)
	}
	switch {
	case len(a.Account) < 2 || len(a.Account) > 32:
		return bad("account", "use 2 to 32 letters, digits, '.', '-' or '_'", "the account name has %d characters", len(a.Account))
	case strings.ContainsFunc(a.Account, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	}):
		return bad("account", "use lower-case letters, digits, '.', '-' or '_'", "the account name %q has other characters", a.Account)
	case a.Account == station.System().Account:
		return bad("account", "choose another one", "in the audit this name is the program's own")
	case strings.TrimSpace(a.Name) == "" || len(a.Name) > 96:
		return bad("name", "give the person's name, at most 32 Chinese characters", "the name is empty or too long")
	case !slices.Contains(Roles(), a.Role):
		return bad("role", "use one of "+strings.Join(Roles(), ", "), "there is no role %q", a.Role)
	}
	return nil
}

// The limits on guessing.
const (
	MaxFailures = 5
	LockFor     = 15 * time.Minute
)

// Locked tells whether sign-in is closed at now, and for how long still. A lock
// that would last longer than locks do is from before the clock was set back.
func (a Account) Locked(now time.Time) (time.Duration, bool) {
	left := a.LockedUntil.Sub(now)
	return left, left > 0 && left <= LockFor
}

// Failed counts a wrong password; the fifth in a row locks.
func (a *Account) Failed(now time.Time) {
	a.Failures++
	if a.Failures >= MaxFailures {
		a.Failures, a.LockedUntil = 0, now.Add(LockFor)
	}
}

// Succeeded forgets the failures.
func (a *Account) Succeeded() { a.Failures, a.LockedUntil = 0, time.Time{} }

// Session is one signed-in browser. It is kept under the digest of its token.
type Session struct {
	Digest  string    `json:"digest"`
	Account string    `json:"account"`
	Created time.Time `json:"created"`
	// Seen is when it was last used, to the minute.
	Seen    time.Time `json:"seen"`
	Address string    `json:"address,omitempty"`
	// Display is the ID of the display whose session it is; it ends when that is
	// disarmed.
	Display string `json:"display,omitempty"`
}

// How long a session lives. A desk with an open event stream is in use; a
// browser that was closed is not.
const (
	SessionIdle = 15 * time.Minute
	SessionLife = 24 * time.Hour
	// SessionTouch is how often its use is written down.
	SessionTouch = time.Minute
)

// Valid tells whether the session may still be used at now. A display's never ends
// by itself. One that was used in
// the future is from before the clock was set back: nobody knows how old it is.
func (s Session) Valid(now time.Time) bool {
	if s.Display != "" {
		return true
	}
	idle := now.Sub(s.Seen)
	return idle > -SessionTouch && idle < SessionIdle+SessionTouch && now.Sub(s.Created) < SessionLife
}

// Invitation is a single-use way in: the claim of a fresh station, or a
// sign-in link. It is kept under the digest of its token.
type Invitation struct {
	Digest  string    `json:"digest"`
	Purpose string    `json:"purpose"` // "claim", "login" or "display"
	Account string    `json:"account,omitempty"`
	Expires time.Time `json:"expires"`
}

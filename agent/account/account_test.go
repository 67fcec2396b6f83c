package account_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
)

// Deny by default: an unknown role, an unknown permission, nobody at all.
func TestAuthorizeDeniesByDefault(t *testing.T) {
	for _, role := range append(account.Roles(), account.RoleNode, account.RoleSystem, "nonsense", "") {
		for _, p := range append(station.Permissions(), "", "nonsense") {
			err := account.Authorize(station.Actor{Account: "x", Role: role}, p, "camera/1")
			want := p == station.PermPublic || slices.Contains(account.Permissions(role), p)
			if (err == nil) != want {
				t.Errorf("role %q, permission %q: %v", role, p, err)
			}
		}
	}
	if p, _ := station.AsProblem(account.Authorize(station.Actor{}, station.PermWatch, "")); p == nil || p.Status != 401 {
		t.Errorf("nobody: %v", p)
	}
	if p, _ := station.AsProblem(account.Authorize(station.Actor{Role: account.RoleAdmin}, station.PermWatch, "")); p == nil || p.Status != 401 {
		t.Errorf("a role without an account: %v", p)
	}
	if slices.Contains(account.Permissions(account.RoleAdmin), station.PermNode) {
		t.Error("a person can pass for a node")
	}
}

func TestPasswords(t *testing.T) {
	hash := account.Hash("正确 马 电池 订书钉")
	if !account.Matches(hash, "正确 马 电池 订书钉") || account.Matches(hash, "正确 马 电池") {
		t.Error("a password does not match itself, or another does")
	}
	if again := account.Hash("正确 马 电池 订书钉"); again == hash {
		t.Error("two hashes of one password are the same: no salt")
	}
	for _, broken := range []string{"", "x", "$argon2id$v=19$m=19456,t=2,p=1$$", "$argon2id$v=19$m=99999999,t=2,p=1$AAAA$AAAA", strings.Replace(hash, "argon2id", "argon2i", 1)} {
		if account.Matches(broken, "正确 马 电池 订书钉") {
			t.Errorf("%q matches", broken)
		}
	}
	for password, good := range map[station.Secret]bool{"kurz": false, "aaaaaaaaaa": false, "zhangsan-1": false, "长城长城长城 9": true} {
		if err := account.CheckPassword("zhangsan-1", password); (err == nil) != good {
			t.Errorf("%q: %v", password.Reveal(), err)
		}
	}
}

func TestTokens(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		token, digest := account.NewToken()
		if len(token) != 32 || seen[token] || digest != account.Digest(token) || strings.ContainsAny(token, "01ilo") {
			t.Fatal(token)
		}
		seen[token] = true
	}
}

func TestFiveFailuresLock(t *testing.T) {
	now := time.Now()
	var a account.Account
	for i := range account.MaxFailures {
		if _, locked := a.Locked(now); locked {
			t.Fatalf("locked after %d failures", i)
		}
		a.Failed(now)
	}
	if left, locked := a.Locked(now); !locked || left != account.LockFor {
		t.Errorf("not locked: %v", left)
	}
	if _, locked := a.Locked(now.Add(account.LockFor)); locked {
		t.Error("locked for ever")
	}
}

// A station's clock may be years off until it is set.
func TestClockSetBack(t *testing.T) {
	wrong := time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)
	right := wrong.AddDate(-10, 0, 0)
	a := account.Account{}
	for range account.MaxFailures {
		a.Failed(wrong)
	}
	if _, locked := a.Locked(wrong); !locked {
		t.Error("not locked")
	}
	if left, locked := a.Locked(right); locked {
		t.Errorf("locked for %s", left)
	}
	s := account.Session{Created: wrong, Seen: wrong}
	if !s.Valid(wrong) || s.Valid(right) {
		t.Error("a session lives for ten years")
	}
	if !s.Valid(wrong.Add(-account.SessionTouch / 2)) {
		t.Error("a clock that is set by seconds ends sessions")
	}
}

// A person must not pass for the program in the audit.
func TestNobodyIsCalledSystem(t *testing.T) {
	a := account.Account{Account: "system", Name: "x", Role: account.RoleAdmin}
	if p, ok := station.AsProblem(a.Validate()); !ok || p.Place != "account" {
		t.Error(p)
	}
	a.Account = "systems"
	if err := a.Validate(); err != nil {
		t.Error(err)
	}
}

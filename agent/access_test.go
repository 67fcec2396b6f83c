package agent_test

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
)

const goodPassword = "长城 2026 abc"

// claim makes the first administrator, li.
func (r *rig) claim() (token string) {
	r.t.Helper()
	ctx := context.Background()
	code, err := r.Invite(ctx, "claim", "", time.Hour)
	if err != nil {
		r.t.Fatal(err)
	}
	token, _, err = r.Claim(ctx, code, station.AccountOrder{Account: "li", Name: "李站长", Password: goodPassword}, "1.1.1.1")
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

func (r *rig) audit(limit int) []station.Audit {
	r.t.Helper()
	rows, err := r.Audit(0, limit)
	if err != nil {
		r.t.Fatal(err)
	}
	return rows
}

// Everybody who comes and goes, and everybody who is turned away, has a row.
func TestAuditOfComingAndGoing(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	if _, _, err := r.Claim(ctx, "wrong", station.AccountOrder{Account: "li", Name: "李", Password: goodPassword}, "6.6.6.6"); err == nil {
		t.Fatal("claimed with a wrong code")
	}
	token := r.claim()
	link, err := r.Invite(ctx, "login", "li", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.LoginByLink(ctx, link, "2.2.2.2"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.LoginByLink(ctx, link, "6.6.6.6"); err == nil {
		t.Fatal("a link opened twice")
	}
	if err := r.Logout(ctx, token); err != nil {
		t.Fatal(err)
	}
	if err := r.Logout(ctx, token); err != nil { // nobody's any more
		t.Fatal(err)
	}
	if _, _, err := r.Login(ctx, "li", "falsch", "6.6.6.6"); err == nil {
		t.Fatal("signed in by a wrong password")
	}
	var got []string
	for _, row := range r.audit(100) {
		got = append(got, strings.Join([]string{row.Action, row.Subject, row.Actor.Account, row.Actor.Address, row.Result}, " "))
	}
	want := []string{
		"login account/li li 6.6.6.6 login.refused",
		"logout account/li li 1.1.1.1 ok",
		"login.link account  6.6.6.6 login.link",
		"login.link account/li li 2.2.2.2 ok",
		"invite.login account/li system  ok",
		"claim account/li li 1.1.1.1 ok",
		"invite.claim account system  ok",
		"claim account  6.6.6.6 login.link",
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("rows:\n%s\nwant:\n%s", g, w)
	}
	logins := 0
	events, err := r.store.Read(0, 100, station.LaneNormal)
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range events {
		if ev.Type == station.EventLoginSucceeded {
			logins++
		}
	}
	if logins != 1 {
		t.Errorf("%d sign-ins told, want 1", logins)
	}
}

// People type their password where the name goes. It must not be kept for ever,
// nor be told to the centre.
func TestUnknownNamesAreNotKept(t *testing.T) {
	r := newRig(t)
	r.claim()
	for _, name := range []string{"mein-passwort-77", strings.Repeat("z", 100_000)} {
		if _, _, err := r.Login(context.Background(), name, "x", "6.6.6.6"); err == nil {
			t.Fatal("signed in")
		}
	}
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mein-passwort-77", "zzzzzzzzzzzzzzzzzzzz"} {
		if at := grep(t, r.dir, name); at != "" {
			t.Errorf("%s is kept in %s", name, at)
		}
	}
}

// Tries that come at once count like tries that come one by one.
func TestLockHoldsAgainstTriesAtOnce(t *testing.T) {
	r := newRig(t)
	r.claim()
	ctx := context.Background()
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			if _, _, err := r.Login(ctx, "li", "falsch", fmt.Sprint("6.6.6.", i)); err == nil {
				t.Error("signed in by a wrong password")
			}
		})
	}
	wg.Wait()
	results := map[string]int{}
	for _, row := range r.audit(100) {
		if row.Action == "login" {
			results[row.Result]++
		}
	}
	if results["login.refused"] != account.MaxFailures || results["login.locked"] != 12-account.MaxFailures {
		t.Errorf("results: %v", results)
	}
	if _, _, err := r.Login(ctx, "li", goodPassword, "7.7.7.7"); err == nil {
		t.Error("a locked account was opened")
	}
}

// Passwords are made dear on purpose; strangers must not buy the whole memory.
func TestHashingIsBounded(t *testing.T) {
	r := newRig(t)
	done := make(chan struct{})
	peak := make(chan uint64)
	go func() {
		var most uint64
		for {
			select {
			case <-done:
				peak <- most
				return
			case <-time.After(time.Millisecond):
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse)
			}
		}
	}()
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() { _, _, _ = r.Login(context.Background(), "nobody", "x", fmt.Sprint("6.6.6.", i)) })
	}
	wg.Wait()
	close(done)
	if most := <-peak; most > 300<<20 {
		t.Errorf("%d MiB for 24 tries at once", most>>20)
	}
}

// Whoever is shut out is shut out of every door.
func TestShutOut(t *testing.T) {
	for what, change := range map[string][]map[string]any{
		"a new password":       {{"password": "lang genug 2"}},
		"disabled for a while": {{"disabled": true}, {}},
		"made anew":            {nil, {"password": "lang genug 1"}},
	} {
		r := newRig(t)
		r.claim()
		ctx := context.Background()
		put := func(change map[string]any) {
			t.Helper()
			body := map[string]any{"account": "wang", "name": "王", "role": "operator"}
			maps.Copy(body, change)
			r.must(r.do(station.CommandPutAccount, "wang", body))
		}
		put(map[string]any{"password": "lang genug 1"})
		token, _, err := r.Login(ctx, "wang", "lang genug 1", "2.2.2.2")
		if err != nil {
			t.Fatal(err)
		}
		link, err := r.Invite(ctx, "login", "wang", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range change {
			if c == nil {
				r.must(r.do(station.CommandRemoveAccount, "wang", nil))
			} else {
				put(c)
			}
		}
		if who, err := r.Session(ctx, token, "2.2.2.2"); err != nil || who.Account != "" {
			t.Errorf("%s: the session lives on (%v)", what, err)
		}
		if _, _, err := r.LoginByLink(ctx, link, "2.2.2.2"); err == nil {
			t.Errorf("%s: an old link still opens", what)
		}
	}
}

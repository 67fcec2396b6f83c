package main

import (
	"context"
	"log/slog"
	"testing"

	"stationd/agent"
	"stationd/agent/station"
	"stationd/agent/store"
	"stationd/uplink/centre"
	"stationd/uplink/uplinktest"
)

// What comes over the line cannot say who it is: it gets as far as a node may, to
// the alarm that is not there; what people do here and a parent may order, too, gets
// past the door; and everything else no farther than that.
func TestParentHasANodesRights(t *testing.T) {
	cfg := store.DefaultConfig()
	cfg.Dir, cfg.Node = t.TempDir(), "village"
	st, err := store.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	a := agent.New(agent.DefaultConfig(), agent.Deps{Store: st, Log: slog.New(slog.DiscardHandler)})
	for name, permission := range agent.CommandPermissions() {
		want := "access.denied"
		if permission == station.PermNode {
			want = station.ErrNotFound.Code
		}
		if name == station.CommandTakeTemplate || name == station.CommandRouteAlarm {
			want = "setup.invalid" // an empty one gets as far as being read
		}
		cmd := station.Command{ID: station.NewID(), Type: name, Subject: "x", Actor: station.System(), Body: []byte(`{}`)}
		got := ""
		if r := (fromParent{agent: a}).Handle(context.Background(), cmd); r.Problem != nil {
			got = r.Problem.Code
		}
		wrong := got != want
		if agent.OpenToParent(name) && permission != station.PermNode {
			wrong = got == "access.denied"
		}
		if wrong {
			t.Errorf("%s from whoever called himself system: %q, want %s", name, got, want)
		}
	}
}

// The core is a centre's inbox: it passes what every inbox must pass.
func TestAgentIsAnInbox(t *testing.T) {
	stores := map[*agent.Agent]*store.Store{}
	open := func(t *testing.T) centre.Inbox {
		cfg := store.DefaultConfig()
		cfg.Dir, cfg.Node = t.TempDir(), "centre"
		st, err := store.Open(cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		})
		a := agent.New(agent.DefaultConfig(), agent.Deps{Store: st, Log: slog.New(slog.DiscardHandler)})
		stores[a] = st
		return inbox{a}
	}
	uplinktest.TestInbox(t, open, func(b centre.Inbox, node station.NodeID, lane station.Lane) (out []station.Event) {
		events, err := stores[b.(inbox).agent].Read(0, 10_000, lane)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range events {
			if ev.Origin.Node == node {
				out = append(out, ev)
			}
		}
		return out
	})
}

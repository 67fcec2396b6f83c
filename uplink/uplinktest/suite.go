package uplinktest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/uplink/centre"
	"stationd/uplink/protocol"
)

// TestInbox is what every centre.Inbox must pass. open gives an empty inbox, and
// stored what it holds of a node and lane, in the order of its coming.
func TestInbox(t *testing.T, open func(t *testing.T) centre.Inbox, stored func(b centre.Inbox, node station.NodeID, lane station.Lane) []station.Event) {
	const a, b = station.NodeID("a"), station.NodeID("b")
	const lane = station.LaneUrgent
	batch := func(node station.NodeID, epoch station.Epoch, seq, hop uint64, n int) (out []protocol.Envelope) {
		for i := range uint64(n) {
			out = append(out, protocol.Envelope{Epoch: epoch, Hop: hop + i, Event: station.Event{
				Seq: seq + i, Origin: station.Origin{Node: node, Epoch: epoch, Seq: seq + i},
				ID: fmt.Sprintf("%s-%s-%d", node, epoch, seq+i), Type: "cityops.test.v1", Subject: "test/1", Lane: lane, Time: time.Now(),
			}})
		}
		return out
	}
	accept := func(t *testing.T, in centre.Inbox, node station.NodeID, events []protocol.Envelope, want centre.Mark) {
		t.Helper()
		got, err := in.Accept(context.Background(), node, lane, events)
		if err != nil || got != want {
			t.Fatalf("Accept: mark %+v, %v; want %+v", got, err, want)
		}
		if m, err := in.Mark(context.Background(), node, lane); err != nil || m != want {
			t.Fatalf("Mark: %+v, %v; want %+v", m, err, want)
		}
	}
	count := func(t *testing.T, in centre.Inbox, node station.NodeID, want int) {
		t.Helper()
		got := stored(in, node, lane)
		if len(got) != want {
			t.Fatalf("%d events of %s stored, want %d", len(got), node, want)
		}
		seen := map[station.Origin]bool{}
		for _, ev := range got {
			if seen[ev.Origin] {
				t.Fatalf("%s stored twice", ev.Origin)
			}
			seen[ev.Origin] = true
		}
	}
	t.Run("empty", func(t *testing.T) {
		if m, err := open(t).Mark(context.Background(), a, lane); err != nil || m != (centre.Mark{}) {
			t.Errorf("mark %+v, %v", m, err)
		}
	})
	t.Run("once and in order", func(t *testing.T) {
		in := open(t)
		accept(t, in, a, batch(a, "e1", 10, 1, 3), centre.Mark{Epoch: "e1", Seq: 12, Hop: 3})
		accept(t, in, a, batch(a, "e1", 10, 1, 3), centre.Mark{Epoch: "e1", Seq: 12, Hop: 3})
		accept(t, in, a, batch(a, "e1", 12, 3, 3), centre.Mark{Epoch: "e1", Seq: 14, Hop: 5})
		count(t, in, a, 5)
		got := stored(in, a, lane)
		for i, ev := range got {
			if ev.Origin.Seq != uint64(10+i) {
				t.Errorf("place %d holds %s", i, ev.Origin)
			}
		}
	})
	t.Run("a gap stores nothing", func(t *testing.T) {
		in := open(t)
		accept(t, in, a, batch(a, "e1", 1, 1, 2), centre.Mark{Epoch: "e1", Seq: 2, Hop: 2})
		accept(t, in, a, batch(a, "e1", 9, 4, 2), centre.Mark{Epoch: "e1", Seq: 2, Hop: 2})
		count(t, in, a, 2)
	})
	t.Run("nodes and lanes apart", func(t *testing.T) {
		in := open(t)
		accept(t, in, a, batch(a, "e1", 1, 1, 2), centre.Mark{Epoch: "e1", Seq: 2, Hop: 2})
		accept(t, in, b, batch(b, "e1", 1, 1, 2), centre.Mark{Epoch: "e1", Seq: 2, Hop: 2})
		count(t, in, a, 2)
		count(t, in, b, 2)
		if m, err := in.Mark(context.Background(), a, station.LaneBulk); err != nil || m != (centre.Mark{}) {
			t.Errorf("mark of another lane %+v, %v", m, err)
		}
	})
	t.Run("a restored station", func(t *testing.T) {
		in := open(t)
		accept(t, in, a, batch(a, "e1", 1, 1, 10), centre.Mark{Epoch: "e1", Seq: 10, Hop: 10})
		// Restored to event 7, with a cursor at 5: 6 and 7 come again under their
		// old identity, 8 and 9 are new ones with old numbers.
		again := batch(a, "e1", 6, 1, 2)
		for i := range again {
			again[i].Epoch = "e2"
		}
		accept(t, in, a, append(again, batch(a, "e2", 8, 3, 2)...), centre.Mark{Epoch: "e2", Seq: 9, Hop: 4})
		count(t, in, a, 12)
	})
	t.Run("an epoch that comes back", func(t *testing.T) {
		in := open(t)
		accept(t, in, a, batch(a, "e1", 1, 1, 10), centre.Mark{Epoch: "e1", Seq: 10, Hop: 10})
		accept(t, in, a, batch(a, "e2", 1, 1, 3), centre.Mark{Epoch: "e2", Seq: 3, Hop: 3})
		accept(t, in, a, batch(a, "e1", 1, 1, 8), centre.Mark{Epoch: "e1", Seq: 10, Hop: 10})
		accept(t, in, a, batch(a, "e1", 9, 9, 4), centre.Mark{Epoch: "e1", Seq: 12, Hop: 12})
		accept(t, in, a, batch(a, "e2", 4, 4, 1), centre.Mark{Epoch: "e2", Seq: 4, Hop: 4})
		count(t, in, a, 16)
	})
}

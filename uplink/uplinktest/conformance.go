package uplinktest

import (
	"slices"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/uplink"
	"stationd/uplink/transport"
)

// Rig is one transport with a receiver at its other end.
type Rig struct {
	Config uplink.Config
	// Dialer is the transport; it is made bad by the suite.
	Dialer transport.Dialer
	// Got lists the ids of what the receiver has of a lane, in its order.
	Got func(lane station.Lane) []string
	// Down takes the receiver away, Up brings it back with all that it had.
	Down, Up func()
}

// TestTransport is what every transport must pass: whatever the line and the other
// end do, the receiver has each event once and in the order of its lane, and what
// was not delivered is not taken for delivered.
func TestTransport(t *testing.T, open func(t *testing.T, node station.NodeID) Rig) {
	const node = station.NodeID("cunju-1")
	run := func(t *testing.T, r Rig, faults Faults) (*Journal, *uplink.Uplink, *Line) {
		t.Helper()
		j := NewJournal(node)
		line := NewLine(r.Dialer, 5, faults)
		u := uplink.New(r.Config, uplink.Deps{Journal: j, Dialer: line, Log: logFor(t)})
		Run(t, u)
		return j, u, line
	}
	same := func(t *testing.T, r Rig, lane station.Lane, want []station.Event) {
		t.Helper()
		ids := make([]string, len(want))
		for i, ev := range want {
			ids[i] = ev.ID
		}
		Eventually(t, time.Minute, "all of lane "+string(lane), func() bool { return len(r.Got(lane)) >= len(ids) })
		if got := r.Got(lane); !slices.Equal(got, ids) {
			t.Errorf("lane %s: %d events, want %d, in their order", lane, len(got), len(ids))
		}
	}
	t.Run("all lanes in order", func(t *testing.T) {
		r := open(t, node)
		j, u, _ := run(t, r, Faults{})
		want := map[station.Lane][]station.Event{}
		for range 20 {
			for _, lane := range station.Lanes() {
				want[lane] = append(want[lane], j.Append(lane, "x/1", 30)...)
			}
		}
		for _, lane := range station.Lanes() {
			same(t, r, lane, want[lane])
			last := want[lane][len(want[lane])-1].Seq
			Eventually(t, 30*time.Second, "the station knows", func() bool { return u.Received(lane) == last })
			Eventually(t, 30*time.Second, "the cursor is stored", func() bool {
				c, err := j.Cursor(r.Config.Target, lane)
				return err == nil && c.Seq == last
			})
		}
	})
	t.Run("a bad line", func(t *testing.T) {
		r := open(t, node)
		j, _, line := run(t, r, Faults{Lose: 0.05, Double: 0.1, Swap: 0.05, Break: 0.02, Delay: 2 * time.Millisecond})
		want := map[station.Lane][]station.Event{}
		for range 25 {
			for _, lane := range station.Lanes() {
				want[lane] = append(want[lane], j.Append(lane, "x/1", 10)...)
			}
		}
		line.Cut()
		Eventually(t, 90*time.Second, "something has come", func() bool { return len(r.Got(station.LaneUrgent)) > 50 })
		line.Mend()
		for _, lane := range station.Lanes() {
			same(t, r, lane, want[lane])
		}
	})
	t.Run("a receiver that goes", func(t *testing.T) {
		r := open(t, node)
		j, u, _ := run(t, r, Faults{})
		want := j.Append(station.LaneUrgent, "x/1", 10)
		same(t, r, station.LaneUrgent, want)
		r.Down()
		more := j.Append(station.LaneUrgent, "x/1", 300)
		want = append(want, more...)
		Eventually(t, 30*time.Second, "the station says why", func() bool {
			st := u.Status()
			return st.LastError != "" && st.Hint != ""
		})
		if got := u.Received(station.LaneUrgent); got >= more[0].Seq {
			t.Errorf("%d was acknowledged by nobody", got)
		}
		r.Up()
		same(t, r, station.LaneUrgent, want)
	})
}

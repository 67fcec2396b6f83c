package uplink_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"stationd/agent/station"
	"stationd/uplink"
	"stationd/uplink/uplinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const node = station.NodeID("cunju-1")

// TestEventReachesCentre is the thin path: an event, the centre's inbox, its
// acknowledgement, the cursor; over a real broker with mutual TLS.
func TestEventReachesCentre(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Start()
	j := uplinktest.NewJournal(node)
	u := uplink.New(w.Station(node), uplink.Deps{Version: "1.2.3", Journal: j, Log: w.Log})
	stop := uplinktest.Run(t, u)

	ev := j.Append(station.LaneUrgent, "alarm/1", 1)[0]
	uplinktest.Eventually(t, 10*time.Second, "the event is acknowledged", func() bool { return u.Received(station.LaneUrgent) == ev.Seq })
	got := w.Inbox.Events(node, station.LaneUrgent)
	if len(got) != 1 || got[0].ID != ev.ID || string(got[0].Data) != string(ev.Data) || got[0].Origin != ev.Origin || !got[0].Time.Equal(ev.Time) {
		t.Fatalf("stored %+v, want %+v", got, ev)
	}
	uplinktest.Eventually(t, time.Second, "the cursor is stored", func() bool {
		c, err := j.Cursor("centre", station.LaneUrgent)
		return err == nil && c.Seq == ev.Seq && c.Hop == 1 && c.Epoch == j.Epoch()
	})
	st := u.Status()
	if !st.Connected || st.Parent != "centre" || st.Lanes[0].Backlog != 0 || st.Lanes[0].LastAck.IsZero() || st.LastError != "" {
		t.Errorf("status %+v", st)
	}
	if l := u.Lamps(); len(l) != 1 || l[0].Code != "uplink.ok" || l[0].State != station.LampOK {
		t.Errorf("lamps %+v", l)
	}
	if !w.Inbox.Online(node) {
		t.Error("the centre does not know that the station is there")
	}
	stop()
	uplinktest.Eventually(t, 5*time.Second, "the centre knows that the station went", func() bool { return !w.Inbox.Online(node) })
	if n := w.Centre.Nodes(); len(n) != 1 || n[0].Version != "1.2.3" || n[0].Events != 1 {
		t.Errorf("nodes %+v", n)
	}
}

package uplink_test

import (
	"sync/atomic"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/uplink"
	"stationd/uplink/uplinktest"
)

// TestClockIsSetWhileConnected: a station's clock that goes wrong while the line is
// up is known at both ends without a new connection, and so is its mending.
func TestClockIsSetWhileConnected(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Start()
	var wrong atomic.Int64 // the station's clock, minus the right one
	cfg := w.Station(node)
	cfg.ClockEvery = 20 * time.Millisecond
	u := uplink.New(cfg, uplink.Deps{
		Journal: uplinktest.NewJournal(node), Log: w.Log,
		Now: func() time.Time { return time.Now().Add(time.Duration(wrong.Load())) },
	})
	uplinktest.Run(t, u)
	uplinktest.Eventually(t, 10*time.Second, "connected", func() bool { return u.Status().Connected })
	since := u.Status().Since
	for _, off := range []time.Duration{7 * time.Minute, -3 * 24 * time.Hour, 0} {
		wrong.Store(int64(off))
		near := func(d time.Duration) bool { return (d - off).Abs() < 3*time.Second }
		uplinktest.Eventually(t, 10*time.Second, "both know of it", func() bool {
			return near(-u.Status().ClockOffset) && near(w.Inbox.Clock(node)) && near(w.Centre.Nodes()[0].Offset)
		})
		lamp := u.Lamps()[0]
		if told := lamp.Code == "uplink.clock" && lamp.State == station.LampWarn; told != (off != 0) {
			t.Errorf("%s off: lamp %+v", off, lamp)
		}
	}
	if st := u.Status(); !st.Connected || !st.Since.Equal(since) {
		t.Errorf("it connected anew: %+v", st)
	}
}

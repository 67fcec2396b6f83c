package uplink_test

import (
	"sync/atomic"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/uplink"
	"stationd/uplink/uplinktest"
)

// TestSecondLine: while the first line is cut, alarms go by the second, and nothing
// else does; when the first is back all goes there, and nothing comes twice.
func TestSecondLine(t *testing.T) {
	w := uplinktest.NewWorld(t)
	w.Start()
	var mended atomic.Bool
	first := uplinktest.NewProxy(t, w.Config.Listen, func() int64 {
		if mended.Load() {
			return -1
		}
		return 0 // cut at the first byte
	})
	cfg := w.Station(node)
	cfg.Second = uplink.Second{URL: cfg.URL, After: 50 * time.Millisecond}
	cfg.URL = "mqtts://" + first.Addr()
	j := uplinktest.NewJournal(node)
	j.Append(station.LaneNormal, "case/1", 30)
	j.Append(station.LaneUrgent, "alarm/1", 40)
	u := uplink.New(cfg, uplink.Deps{Journal: j, Log: w.Log})
	uplinktest.Run(t, u)
	arrived := func(urgent, normal int) func() bool {
		return func() bool {
			return w.Inbox.Count(node, station.LaneUrgent) == urgent && w.Inbox.Count(node, station.LaneNormal) == normal
		}
	}
	uplinktest.Eventually(t, 20*time.Second, "the alarms on the second line", arrived(40, 0))
	if st := u.Status(); st.Connected || st.Second == nil || !st.Second.Connected {
		t.Errorf("%+v, second %+v", st, st.Second)
	}
	j.Append(station.LaneUrgent, "alarm/2", 10)
	uplinktest.Eventually(t, 20*time.Second, "a later alarm", arrived(50, 0))
	mended.Store(true)
	uplinktest.Eventually(t, 20*time.Second, "the rest on the first line", arrived(50, 30))
	j.Append(station.LaneUrgent, "alarm/3", 10)
	uplinktest.Eventually(t, 20*time.Second, "an alarm on the first line", arrived(60, 30))
	uplinktest.Eventually(t, 20*time.Second, "the second line hangs up", func() bool {
		st := u.Status()
		return st.Connected && !st.Second.Connected && st.Second.Used == 1
	})
	last := map[string]uint64{}
	for _, ev := range w.Inbox.Events(node, station.LaneUrgent) {
		if ev.Seq <= last[ev.Subject] {
			t.Errorf("%s: event %d after %d", ev.Subject, ev.Seq, last[ev.Subject])
		}
		last[ev.Subject] = ev.Seq
	}
}

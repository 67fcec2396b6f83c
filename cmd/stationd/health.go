package main

import (
	"maps"

	"stationd/agent/station"
)

// health is what this node tells its parent of itself now and then.
func (n *node) health() station.NodeHealth {
	st := n.status()
	h := station.NodeHealth{
		At: st.Now, Started: n.started, Backlog: map[station.Lane]int{},
		DiskFree: st.Storage.Free, DiskTotal: st.Storage.Total, DaysLeft: st.Storage.DaysLeft,
		Cameras: station.Share{Online: st.Cameras.Online, Total: st.Cameras.Total},
		Sensors: station.Share{Online: st.Sensors.Online, Total: st.Sensors.Total},
	}
	if st.Uplink != nil {
		for _, l := range st.Uplink.Lanes {
			if l.Backlog == 0 {
				continue
			}
			h.Backlog[l.Lane] = l.Backlog
			if h.Oldest.IsZero() || l.Oldest.Before(h.Oldest) {
				h.Oldest = l.Oldest
			}
		}
	}
	for _, l := range st.Lamps {
		if l.State == station.LampWarn || l.State == station.LampBad {
			l.Args = maps.Clone(l.Args)
			h.Lamps = append(h.Lamps, l)
		}
	}
	if len(h.Lamps) > mostLampsTold {
		h.Lamps = h.Lamps[:mostLampsTold]
	}
	return h
}

// mostLampsTold is as many as a parent takes.
const mostLampsTold = 16

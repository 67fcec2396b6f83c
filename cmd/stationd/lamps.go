package main

import (
	"slices"

	"stationd/agent/station"
	"stationd/agent/store/disk"
	"stationd/video/record"
)

// lamps gathers the lamps of all rooms. Storage has one lamp for database and
// video; the worse one shows.
func (n *node) lamps(space disk.State, usage record.Usage, nodes []station.Node) []station.Lamp {
	var out []station.Lamp
	if n.uplink != nil {
		out = append(out, n.uplink.Lamps()...)
	}
	if n.centre != nil {
		out = append(out, childrenLamp(nodes))
	}
	for _, l := range append(append(n.video.Lamps(), n.devices.Lamps()...), n.agent.SoundLamp()) {
		if n.centre != nil && l.State == station.LampOff {
			continue // a centre need not have cameras and sensors of its own
		}
		out = append(out, l)
	}
	if l, failing := n.agent.ChannelLamp(); failing {
		out = append(out, l)
	}
	storage := append([]station.Lamp{spaceLamp(space)}, n.archive.Lamps()...)
	slices.SortStableFunc(storage, func(a, b station.Lamp) int { return badness(b.State) - badness(a.State) })
	lamp := storage[0]
	if lamp.State == station.LampOK {
		lamp.Args = map[string]any{"free": uint64(space.Free), "daysLeft": usage.DaysKept}
	}
	lamp.ID = "storage"
	out = append(out, lamp)
	switch rep := n.store.Opened(); {
	case rep.Quarantined != "":
		out = append(out, station.Lamp{ID: "store", State: station.LampBad, Code: "store.restored", Hint: "store.look"})
	case rep.Sealing != nil:
		out = append(out, station.Lamp{ID: "store", State: station.LampBad, Code: "store.secrets", Hint: "store.retype-passwords"})
	}
	return out
}

func badness(s station.LampState) int {
	switch s {
	case station.LampBad:
		return 2
	case station.LampWarn:
		return 1
	}
	return 0
}

func spaceLamp(space disk.State) station.Lamp {
	l := station.Lamp{ID: "storage", State: station.LampOK, Code: "storage.ok", Args: map[string]any{"free": uint64(space.Free)}}
	switch space.Level {
	case disk.LevelOK:
	case disk.LevelLow:
		l.State, l.Code, l.Hint = station.LampWarn, "storage.low", "storage.free-space"
	case disk.LevelFull:
		l.State, l.Code, l.Hint = station.LampBad, "storage.full", "storage.free-space"
	default:
		l.State, l.Code, l.Hint = station.LampBad, "storage.reserve", "storage.free-space"
	}
	return l
}

func childrenLamp(nodes []station.Node) station.Lamp {
	online, closed := 0, 0
	for _, c := range nodes {
		switch {
		case c.Online:
			online++
		case c.State == station.NodeClosed, c.State == station.NodeNever:
			closed++ // nobody misses it
		}
	}
	l := station.Lamp{ID: "children", State: station.LampOK, Code: "children.ok", Args: map[string]any{"online": online, "total": len(nodes)}}
	switch {
	case len(nodes) == 0:
		l.State = station.LampOff
	case online+closed < len(nodes):
		l.State, l.Code, l.Hint = station.LampWarn, "children.offline", "children.check-line"
	}
	return l
}

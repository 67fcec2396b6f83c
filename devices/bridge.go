package devices

import (
	"slices"
	"time"

	"stationd/agent/station"
	"stationd/devices/payload"
)

// A bridge speaks for many sensors. While it is away none of them is reported
// as offline by itself: it is one fault, and the bridge is reported, as a
// device of its own. A sensor's bridge is the one that is registered for it
// (Sensor.Bridge) and the one that it was last heard through.

// bridgeState is what a bridge said of itself last.
type bridgeState struct {
	down  bool
	since time.Time
}

// bridgeChanged notes whether a bridge is there.
func (s *Set) bridgeChanged(b address, p payload.Presence, now time.Time) {
	was, known := s.bridges[b]
	if down := p == payload.Offline; !known || was.down != down {
		if !known && len(s.bridges) >= maxBridges {
			return
		}
		s.bridges[b] = bridgeState{down: down, since: now}
		wake(s.kick)
	}
}

// maxBridges bounds how many bridges are remembered that nobody has registered.
const maxBridges = 1024

// presenceSignals turns what a bridge says about a sensor, or about itself, or a
// device by its birth and will, into signals; nil when there is nothing to
// report.
func (s *Set) presenceSignals(sn *sensor, r payload.Reading, live bool) []station.Signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	mem := sn.memory
	if r.Bridge {
		s.bridgeChanged(sn.address, r.Presence, s.now())
		if away := r.Presence == payload.Offline; away != (mem.offline == active) || mem.unsure {
			return []station.Signal{{Kind: station.KindOffline, Active: away}}
		}
		return nil
	}
	if r.Presence == payload.Offline && (!sn.Adopted || mem.offline == active) {
		return nil
	}
	if up, _ := s.bridgeUp(sn, s.now()); !up {
		return nil
	}
	switch {
	case r.Presence == payload.Offline:
		return []station.Signal{{Kind: station.KindOffline, Active: true}}
	case (mem.offline == active || mem.unsure) && (live || mem.cause != bySilence && !s.overdue(sn)):
		// What was silent for too long must be heard itself.
		return []station.Signal{{Kind: station.KindOffline}}
	}
	return nil
}

// holdAbsence puts off what a broker outside says of somebody who is gone; the
// timer tells it when he has not come back within Config.ComeBack: a broker that
// is started again tells the wills of all who were connected. What the built-in broker says is
// true at once: it keeps the wills to itself when it ends.
func (s *Set) holdAbsence(sn *sensor, r payload.Reading, m *message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	mem, now := sn.memory, s.now()
	if m.broker == station.EmbeddedBroker || s.feed(m.broker) {
		return false
	}
	if r.Presence != payload.Offline {
		mem.leaving = time.Time{}
		return false
	}
	if r.Bridge {
		s.bridgeChanged(sn.address, r.Presence, now)
	}
	mem.watched = false
	if mem.leaving.IsZero() && mem.offline != active {
		mem.leaving = now.Add(s.cfg.ComeBack)
		wake(s.kick)
	}
	return true
}

// feed tells whether a broker's name is that of a feed.
func (s *Set) feed(id string) bool { return slices.Contains(s.feeds, id) }

// overdue tells whether it is not known why a sensor is gone, because that was
// before the start, and it has been silent for so long that it would be missed once
// more; with s.mu held.
func (s *Set) overdue(sn *sensor) bool {
	mem := sn.memory
	return mem.cause == unknownAbsence && s.now().Sub(mem.heard) >= s.limit(sn)
}

// maxBridged is how many bridges may stand behind each other.
const maxBridged = 4

// bridgeUp tells whether the bridges of a sensor, and those behind them, are
// there, as far as is known, and since when; with s.mu held.
func (s *Set) bridgeUp(sn *sensor, now time.Time) (up bool, since time.Time) {
	return s.bridgesUp(sn, maxBridged)
}

func (s *Set) bridgesUp(sn *sensor, most int) (up bool, since time.Time) {
	up = true
	note := func(away bool, at time.Time) {
		up = up && !away
		if at.After(since) {
			since = at
		}
	}
	if b, known := s.bridges[sn.memory.via]; known {
		note(b.down, b.since)
	}
	for _, p := range s.parents(sn) {
		note(p.memory.offline == active, p.memory.since)
		if most > 1 {
			behind, at := s.bridgesUp(p, most-1)
			note(!behind, at)
		}
	}
	return up, since
}

// parents are the sensors that stand for the bridges of sn; with s.mu held.
func (s *Set) parents(sn *sensor) []*sensor {
	reg := s.registry.Load()
	var out []*sensor
	if p := reg.byID[sn.Bridge]; p != nil && p.ID != sn.ID {
		out = append(out, p)
	}
	if sn.memory.via != (address{}) {
		for _, p := range reg.byDevice[sn.memory.via] {
			if p.ID != sn.ID && p.ID != sn.Bridge {
				out = append(out, p)
			}
		}
		if p := s.strangers[sn.memory.via]; p != nil && p.ID != sn.ID {
			out = append(out, p)
		}
	}
	return out
}

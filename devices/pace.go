package devices

import (
	"time"

	"stationd/agent/station"
	"stationd/devices/payload"
)

// How long a sensor may be silent: what was set for it, else by its power and
// class. Devices on the mains report every few minutes. Those on batteries report
// when something happens, and once a day that nothing does. LoRa devices report
// at an interval of their own, which they say or which is learned.
const (
	mainsSilence   = 10 * time.Minute
	batterySilence = 25 * time.Hour
	loraTimes      = 3 // intervals
)

// SilentAfter is how long a sensor may be silent by its class and power; where
// its power is not known whoever reports a battery has one. interval is how often
// it is heard, zero is not known.
func SilentAfter(class string, power station.Power, hasBattery bool, interval time.Duration) time.Duration {
	usual := mainsSilence
	switch power {
	case station.PowerMains:
	case station.PowerBattery:
		usual = batterySilence
	case station.PowerLoRa:
		if interval > 0 {
			return loraTimes * interval
		}
		usual = batterySilence
	default:
		switch class {
		case station.ClassSmoke, station.ClassWater, station.ClassSOS, station.ClassManhole, station.ClassDoor, station.ClassMotion:
			usual = batterySilence
		}
		if hasBattery {
			usual = batterySilence
		}
	}
	return max(usual, loraTimes*interval) // whoever says that he is heard seldom is
}

// limit is how long sn may be silent now; with s.mu held.
func (s *Set) limit(sn *sensor) time.Duration {
	if sn.SilentAfter > 0 {
		return sn.SilentAfter
	}
	mem := sn.memory
	silence := SilentAfter(sn.Class, sn.Power, mem.battery, mem.pace.interval(sn.Power))
	if mem.watched {
		// Its will, or its bridge, tells at once when it is gone: that it has
		// nothing to say is no news.
		silence = max(silence, batterySilence)
	}
	return silence
}

// pace is how often a sensor is heard. Its interval is the longest time between
// two signs of life during a day in which it was heard often enough: what happens
// to make it speak more often must not make it look dead at night.
type pace struct {
	given bool          // the device says it
	known time.Duration // what holds now; zero is not known
	told  time.Duration // what was reported of it
	since time.Time     // when the day began
	gaps  int           // in this day
	most  time.Duration // the longest of them
}

const (
	paceDay   = 24 * time.Hour
	paceGaps  = 4
	paceLeast = time.Minute
	paceMost  = 48 * time.Hour
)

// interval is what is known; what was learned counts for LoRa only.
func (p *pace) interval(power station.Power) time.Duration {
	if p.given || power == station.PowerLoRa {
		return p.known
	}
	return 0
}

// hears notes a sign of life after a gap in which the sensor could be heard, and
// returns the interval when it has not been reported yet.
func (p *pace) hears(now time.Time, gap, given time.Duration) time.Duration {
	switch {
	case given > 0:
		p.given, p.known = true, min(max(given, paceLeast), paceMost)
	case p.given || gap <= 0:
	default:
		if p.since.IsZero() {
			p.since = now.Add(-gap)
		}
		p.gaps++
		p.most = max(p.most, gap)
		if now.Sub(p.since) >= paceDay && p.gaps >= paceGaps {
			p.known = min(max(p.most, paceLeast), paceMost)
			p.since, p.gaps, p.most = now, 0, 0
		}
	}
	if p.known == p.told {
		return 0
	}
	return p.known
}

// paceOf notes that sn was heard and returns its interval when it is news.
func (s *Set) paceOf(sn *sensor, r payload.Reading, now time.Time) time.Duration {
	if r.Interval == 0 && sn.Power != station.PowerLoRa {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	mem := sn.memory
	gap := now.Sub(mem.heard)
	up, ok := s.upSince(sn.Source.Broker)
	_, bridged := s.bridgeUp(sn, now)
	if !ok || up.After(mem.heard) || bridged.After(mem.heard) || mem.offline == active {
		gap = 0 // it may have been heard by nobody
	}
	return mem.pace.hears(now, gap, r.Interval)
}

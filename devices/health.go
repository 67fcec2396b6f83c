package devices

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"stationd/agent/station"
	"stationd/devices/mqtt"
	"stationd/devices/payload"
)

// counts are kept since the start.
type counts struct {
	messages, reports, failed, ignored, unrouted, undecodable, spared, tooMany, unknown, repeated, unlearned, unasked atomic.Uint64
}

// Stats are what became of the messages.
type Stats struct {
	Messages    uint64 `json:"messages"`    // that came, from any broker
	Reports     uint64 `json:"reports"`     // handed on and stored
	Failed      uint64 `json:"failed"`      // attempts to hand one on that failed
	Ignored     uint64 `json:"ignored"`     // that say nothing about a sensor
	Unrouted    uint64 `json:"unrouted"`    // on topics that are nobody's
	Undecodable uint64 `json:"undecodable"` // that could not be read
	Spared      uint64 `json:"spared"`      // readings refused for want of space
	Strangers   uint64 `json:"strangers"`   // of devices beyond Config.MaxUnknown
	Unknown     uint64 `json:"unknown"`     // of devices that may not appear by themselves
	Repeated    uint64 `json:"repeated"`    // readings that their devices sent again
	Unlearned   uint64 `json:"unlearned"`   // topics that families asked for beyond what is remembered
	Unasked     uint64 `json:"unasked"`     // messages that families wanted published and that were too many
}

// Stats returns the counters.
func (s *Set) Stats() Stats {
	c := &s.counts
	return Stats{
		Messages: c.messages.Load(), Reports: c.reports.Load(), Failed: c.failed.Load(), Ignored: c.ignored.Load(), Unrouted: c.unrouted.Load(),
		Undecodable: c.undecodable.Load(), Spared: c.spared.Load(), Strangers: c.tooMany.Load(),
		Unknown: c.unknown.Load(), Repeated: c.repeated.Load(), Unlearned: c.unlearned.Load(), Unasked: c.unasked.Load(),
	}
}

// LinkStatus is how a broker is.
type LinkStatus struct {
	Broker    string
	URL       string
	Connected bool
	Since     time.Time
	// Problem is what is wrong and what to do, nil when all is well.
	Problem *station.Problem
	// Clients is how many devices are connected, for the built-in broker.
	Clients  int
	Received uint64
	Refused  uint64 // attempts that failed, of whatever cause
	Dropped  uint64 // messages lost
	// Version is what the broker says that it is; empty is not told.
	Version string
	// Warnings are why alarms would be lost at the broker while the station is
	// down, as far as that can be found out.
	Warnings []*station.Problem
}

// Links tells how the brokers are, the built-in one first.
func (s *Set) Links() []LinkStatus {
	var out []LinkStatus
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.links {
		st := r.link.Status()
		out = append(out, LinkStatus{
			Broker: r.target.ID, URL: mqtt.Shown(r.target.URL), Connected: st.Connected, Since: st.Since, Problem: st.Problem,
			Received: st.Received, Refused: st.Retries, Dropped: st.Dropped, Version: st.Version, Warnings: st.Warnings,
		})
	}
	slices.SortFunc(out, func(a, b LinkStatus) int { return strings.Compare(a.Broker, b.Broker) })
	if s.cfg.Broker.Listen == "" {
		return out
	}
	own := LinkStatus{Broker: station.EmbeddedBroker, URL: "mqtt://" + s.cfg.Broker.Listen, Since: s.listenedAt}
	if s.embedded != nil {
		st := s.embedded.Stats()
		own.Connected, own.URL, own.Clients = true, "mqtt://"+s.embedded.Addr().String(), int(st.Clients)
		own.Received, own.Refused, own.Dropped = st.Received, st.Refused+st.Later+st.Denied, st.Dropped
	} else {
		own.Problem = station.Errorf(503, "broker.not-listening", "see in the log why, mostly because another program uses the port", "the built-in broker does not listen")
	}
	return append([]LinkStatus{own}, out...)
}

// connecting is how long a link may take before its lamp goes out.
const connecting = 15 * time.Second

// Lamps is the lamp of the sensors. A broker that is away comes first: it
// explains whatever else is wrong.
func (s *Set) Lamps() []station.Lamp {
	lamp := station.Lamp{ID: "sensors", State: station.LampOK, Code: "sensors.ok"}
	total, offline := 0, 0
	s.mu.Lock()
	for _, sn := range s.registry.Load().sensors {
		if !sn.Adopted {
			continue
		}
		total++
		if up, _ := s.bridgeUp(sn, s.now()); sn.memory.offline == active || !up {
			offline++
		}
	}
	s.mu.Unlock()
	warned := ""
	for _, l := range s.Links() {
		if len(l.Warnings) > 0 {
			warned = l.Broker
		}
		if !l.Connected && s.now().Sub(l.Since) > connecting {
			lamp.State, lamp.Code, lamp.Hint = station.LampBad, "sensors.broker", "sensors.check-broker"
			lamp.Args = map[string]any{"broker": l.Broker}
			return []station.Lamp{lamp}
		}
	}
	switch {
	case total == 0:
		lamp.State, lamp.Code, lamp.Hint = station.LampOff, "sensors.none", "sensors.add"
		return []station.Lamp{lamp}
	case warned != "":
		lamp.State, lamp.Code, lamp.Hint = station.LampWarn, "sensors.broker-drops", "sensors.set-broker"
		lamp.Args = map[string]any{"broker": warned, "online": total - offline, "total": total}
		return []station.Lamp{lamp}
	case offline > 0:
		lamp.State, lamp.Code, lamp.Hint = station.LampWarn, "sensors.offline", "sensors.check-power"
	}
	lamp.Args = map[string]any{"online": total - offline, "total": total}
	return []station.Lamp{lamp}
}

// Oddity is a message that could not be read.
type Oddity struct {
	At      time.Time
	Broker  string
	Client  string
	Topic   string
	Payload string // its beginning
	Cause   string
}

// oddities keeps the last few.
type oddities struct {
	mu   sync.Mutex
	last []Oddity
}

const keptOddities = 20

func (o *oddities) add(x Oddity) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.last) == keptOddities {
		o.last = append(o.last[:0], o.last[1:]...)
	}
	o.last = append(o.last, x)
}

// Oddities returns the last messages that could not be read, the newest last.
func (s *Set) Oddities() []Oddity {
	s.odd.mu.Lock()
	defer s.odd.mu.Unlock()
	return slices.Clone(s.odd.last)
}

func excerpt(p []byte) string {
	return strings.ToValidUTF8(string(p[:min(len(p), payload.MaxText)]), "\uFFFD")
}

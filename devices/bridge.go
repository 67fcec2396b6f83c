package devices

import (
	"encoding/hex"
	"hash/fnv"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/devices/payload"
	"stationd/devices/rule"
)

// A bridge speaks for many sensors. While it is away none of them is reported
// as offline by itself: it is one fault, and the bridge is reported, as a
// device of its own.

// bridgeChanged notes whether a bridge is there.
func (s *Set) bridgeChanged(b bridge, p payload.Presence, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, known := s.bridges[b]
	if down := p == payload.Offline; !known || was.down != down {
		s.bridges[b] = bridgeState{down: down, since: now}
		wake(s.kick)
	}
}

// presenceSignals turns what a bridge says about a sensor, or about itself, into
// signals; nil when there is nothing to report.
func (s *Set) presenceSignals(sn *sensor, r payload.Reading) []station.Signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Bridge {
		return []station.Signal{{Kind: station.KindOffline, Active: r.Presence == payload.Offline}}
	}
	if !sn.Adopted || s.bridges[sn.bridge].down {
		return nil
	}
	switch mem := sn.memory; {
	case r.Presence == payload.Offline && mem.offline != active:
		return []station.Signal{{Kind: station.KindOffline, Active: true}}
	case r.Presence == payload.Online && mem.offline == active && mem.cause != bySilence:
		// What was silent for too long must be heard itself.
		return []station.Signal{{Kind: station.KindOffline}}
	}
	return nil
}

// stranger finds or makes the sensor for a message that no registered sensor's
// topic fits; nil when there is nothing to report.
func (s *Set) stranger(reg *registry, m *message, b bridge, r payload.Reading) *sensor {
	proposed := station.Sensor{Source: station.SensorSource{Broker: m.broker, Family: payload.FamilyZigbee2MQTT, Topic: m.topic}}
	switch {
	case r.Bridge:
		// It need not be named by anybody: while it is away its sensors are not
		// reported, so that its own alarm must be.
		proposed.Name, proposed.Class, proposed.SilentAfter, proposed.Adopted = "Zigbee2MQTT "+b.base, station.ClassOther, -1, true
	case r.Presence != "":
		// It concerns a registered sensor or nobody.
		for _, sn := range reg.byTopic[source{m.broker, b.base + "/" + r.Device}] {
			return sn
		}
		s.counts.ignored.Add(1)
		return nil
	default:
		class, ok := ClassOf(r.Values)
		if !ok { // a lamp, a group
			s.counts.ignored.Add(1)
			return nil
		}
		proposed.Name, proposed.Class = r.Device, class
	}
	proposed.ID = proposedID(proposed.Name, m.broker, m.topic)
	for reg.byID[proposed.ID] != nil { // it was given another topic since
		proposed.ID += "-2"
	}
	at := source{m.broker, m.topic}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sn := s.strangers[at]; sn != nil {
		return sn
	}
	rs, err := rule.Compile(rule.Defaults(proposed.Class), proposed.Class)
	if err != nil {
		s.log.Error("default rules are invalid", "class", proposed.Class, "error", err)
		return nil
	}
	sn := &sensor{Sensor: proposed, rules: rs, bridge: b, stranger: true, decoder: payload.Zigbee2MQTT{Base: b.base}}
	sn.memory = s.remember(sn, station.SensorState{})
	if len(s.strangers) < s.cfg.MaxUnknown || proposed.Adopted {
		s.strangers[at], s.memories[proposed.ID] = sn, sn.memory
		return sn
	}
	// There is no room to remember it, but somebody may be in danger.
	for _, sig := range rs.Evaluate(r.Values, nil, sn.memory.verdicts, make([]verdict, rs.Len()), nil) {
		if sig.Active && sig.Kind.LifeSafety() {
			return sn
		}
	}
	s.counts.tooMany.Add(1)
	return nil
}

// proposedID is made of the name, as far as an ID can hold it, and of a digest
// of where the device is heard, which makes it one of a kind and always the same.
func proposedID(name, broker, topic string) string {
	var id strings.Builder
	dash := false
	for _, c := range strings.ToLower(name) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			if dash && id.Len() > 0 {
				id.WriteByte('-')
			}
			id.WriteRune(c)
			dash = false
		} else {
			dash = true
		}
		if id.Len() >= 40 {
			break
		}
	}
	if id.Len() == 0 {
		id.WriteString("device")
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(broker + "\x00" + topic))
	return id.String() + "-" + hex.EncodeToString(h.Sum(nil))
}

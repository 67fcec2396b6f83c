package devices

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/devices/broker"
	"stationd/devices/mqtt"
	"stationd/devices/payload"
)

// message is what any broker delivered.
type message struct {
	broker, client, topic string
	payload               []byte
	retained, duplicate   bool
	will                  bool
	packetID              uint16
}

// link is the connection's own name: whoever sends a message again does so under
// the same one.
func (m *message) link() string {
	if len(m.client) <= maxLinkName {
		return m.broker + "/" + m.client
	}
	sum := sha256.Sum256([]byte(m.client)) // a device may call itself what it likes
	return m.broker + "/" + hex.EncodeToString(sum[:16])
}

const maxLinkName = 64

// fingerprint names the transmission. What has no packet identifier is never
// sent again, so it has none.
func (m *message) fingerprint() uint64 {
	if m.packetID == 0 {
		return 0
	}
	h := fnv.New64a()
	for _, part := range []string{m.broker, m.client, m.topic} {
		_, _ = h.Write([]byte(part))
		_, _ = h.Write([]byte{0})
	}
	var id [2]byte
	binary.BigEndian.PutUint16(id[:], m.packetID)
	_, _ = h.Write(id[:])
	_, _ = h.Write(m.payload)
	return h.Sum64()
}

// takeFrom is what a link does with a message.
func (s *Set) takeFrom(t mqtt.Target) func(context.Context, mqtt.Message) error {
	return func(ctx context.Context, m mqtt.Message) error {
		return s.handle(ctx, &message{
			broker: t.ID, client: t.ClientID, topic: m.Topic, payload: m.Payload,
			retained: m.Retained, duplicate: m.Duplicate, packetID: m.PacketID,
		}, func(err error) error {
			// Acknowledged, that is given up. The broker keeps a window of so
			// many unacknowledged messages (20 with Mosquitto) and sends nothing
			// more when it is full: held readings would keep the alarms behind
			// them from coming at all.
			s.counts.spared.Add(1)
			s.log.Warn("reading given up for want of space", "broker", t.ID, "topic", m.Topic)
			return nil
		})
	}
}

// takeEmbedded is what the built-in broker does with a message.
func (s *Set) takeEmbedded(ctx context.Context, m broker.Message) error {
	return s.handle(ctx, &message{
		broker: station.EmbeddedBroker, client: m.Client.ID, topic: m.Topic, payload: m.Payload,
		duplicate: m.Duplicate, packetID: m.PacketID, will: m.Will,
		// Not retained: here the flag only asks that others be told later too.
		// What comes is new; only a broker that we subscribe to sends old news.
	}, func(err error) error {
		// Not acknowledged, and the client keeps it: but it is not held on the
		// spot, because the alarm that comes next on the same connection, from
		// a bridge with a hundred sensors, must pass.
		s.counts.spared.Add(1)
		return errors.Join(broker.ErrLater, err)
	})
}

// handle finds out whose m is and hands on what it says. An error means that m
// must come again. refused is asked about a report that the sink has no space
// for and that can be done without.
func (s *Set) handle(ctx context.Context, m *message, refused func(error) error) error {
	s.counts.messages.Add(1)
	reg := s.registry.Load()
	at := source{m.broker, m.topic}
	if sensors := reg.byTopic[at]; len(sensors) > 0 {
		for part, sn := range sensors {
			r, err := sn.decoder.Decode(m.topic, m.payload)
			if err != nil {
				s.unread(m, err)
				continue
			}
			if err := s.say(ctx, sn, r, m, part, refused); err != nil {
				return err
			}
		}
		return nil
	}
	for _, base := range reg.bases[m.broker] {
		if !strings.HasPrefix(m.topic, base+"/") {
			continue
		}
		r, err := payload.Zigbee2MQTT{Base: base}.Decode(m.topic, m.payload)
		if err != nil {
			s.unread(m, err)
			return nil
		}
		sn := s.stranger(reg, m, bridge{m.broker, base}, r)
		if sn == nil {
			return nil
		}
		return s.say(ctx, sn, r, m, 0, refused)
	}
	s.counts.unrouted.Add(1)
	return nil
}

// unread counts a message that says nothing or cannot be read.
func (s *Set) unread(m *message, err error) {
	if errors.Is(err, payload.ErrIgnored) {
		s.counts.ignored.Add(1)
		return
	}
	s.counts.undecodable.Add(1)
	s.odd.add(Oddity{At: s.now(), Broker: m.broker, Client: m.client, Topic: m.topic, Payload: excerpt(m.payload), Cause: err.Error()})
	s.log.Info("payload cannot be read", "broker", m.broker, "topic", m.topic, "error", err)
}

// say judges a reading and hands it on.
func (s *Set) say(ctx context.Context, sn *sensor, r payload.Reading, m *message, part int, refused func(error) error) error {
	mem := sn.memory
	mem.turn.Lock()
	defer mem.turn.Unlock()
	mem.follow(sn.rules)

	now := s.now()
	rep := station.Report{
		Sensor: sn.ID, Values: r.Values, Received: now, DeviceTime: r.DeviceTime,
		Retained: m.retained, Duplicate: m.duplicate, Fingerprint: m.fingerprint(), Link: m.link(), Packet: m.packetID, Part: part,
	}
	if sn.stranger {
		proposed := sn.Sensor
		rep.Unknown = &proposed
	}
	// Older than a month is no backlog but a clock that was never set.
	age := now.Sub(r.DeviceTime)
	rep.Late = !r.DeviceTime.IsZero() && age > s.cfg.LateAfter && age < 30*24*time.Hour
	rep.Live = !rep.Late && !rep.Retained && !m.will

	var next []verdict
	if r.Presence != "" {
		if r.Bridge {
			s.bridgeChanged(bridge{m.broker, strings.TrimSuffix(m.topic, "/bridge/state")}, r.Presence, now)
			rep.Live = rep.Live && r.Presence == payload.Online
		} else {
			rep.Live = false
		}
		rep.Signals = s.presenceSignals(sn, r)
		if rep.Signals == nil && !r.Bridge {
			return nil
		}
	} else {
		next = make([]verdict, sn.rules.Len())
		rep.Signals = sn.rules.Evaluate(r.Values, mem.values, mem.verdicts, next, make([]station.Signal, 0, sn.rules.Len()+1))
		if rep.Live && s.isOffline(mem) {
			rep.Signals = append(rep.Signals, station.Signal{Kind: station.KindOffline})
		}
	}
	if mem.overtaken(rep.Fingerprint) {
		// It was put off, and what was sent behind it has been stored since: an
		// end of an alarm from before the alarm must not end it.
		rep.Late, rep.Live, rep.Signals, next = true, false, nil, nil
	}
	spare := s.canSpare(sn, rep.Signals)
	switch err := s.deliver(ctx, rep); {
	case err == nil:
		mem.stored(rep.Fingerprint)
		s.learn(sn, r, &rep, next)
		return nil
	case spare && errors.Is(err, station.ErrNoSpace):
		// The sensor was heard, whatever becomes of what it said.
		if rep.Live {
			s.mu.Lock()
			mem.heard = now
			s.mu.Unlock()
		}
		if err = refused(err); err != nil {
			mem.putOff(rep.Fingerprint)
		}
		return err
	case sn.stranger && isUnknown(err):
		// There are too many of them, and this one is in no danger. If it came
		// again and again, nothing behind it would ever be heard.
		s.counts.tooMany.Add(1)
		s.log.Info("device beyond the limit of unknown ones", "broker", m.broker, "topic", m.topic)
		return nil
	default:
		return err
	}
}

// isUnknown tells that the sink takes in no further device.
func isUnknown(err error) bool {
	p, ok := station.AsProblem(err)
	return ok && p.Code == "sensor.unknown"
}

// mostOwed bounds how many messages of a sensor are known to have been put off.
const mostOwed = 64

// putOff notes that a message was left for later. m.turn is held, here and in
// the two below.
func (m *memory) putOff(fingerprint uint64) {
	if fingerprint == 0 {
		return
	}
	if m.owed == nil || len(m.owed) >= mostOwed {
		m.owed = map[uint64]uint64{}
	}
	if _, known := m.owed[fingerprint]; !known {
		m.owed[fingerprint] = m.taken
	}
}

// stored notes that a message was.
func (m *memory) stored(fingerprint uint64) {
	m.taken++
	delete(m.owed, fingerprint)
}

// overtaken tells that a message was put off and a later one stored since.
func (m *memory) overtaken(fingerprint uint64) bool {
	at, owed := m.owed[fingerprint]
	return owed && m.taken > at
}

// canSpare tells whether a report can be done without: no condition holds in
// it, and none that was reported before ends. It is not enough to ask whether
// it has signals: a smoke detector says "no smoke" in every message.
func (s *Set) canSpare(sn *sensor, signals []station.Signal) bool {
	for _, sig := range signals {
		if !sn.Adopted && !sig.Kind.LifeSafety() && sig.Kind != station.KindOffline {
			continue // it raises nothing while nobody has named the device
		}
		if sig.Active || sn.rules.Holds(sig.Kind, sn.memory.verdicts) || sig.Kind == station.KindOffline {
			return false
		}
	}
	return true
}

// deliver hands a report to the sink.
func (s *Set) deliver(ctx context.Context, rep station.Report) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CommitTimeout)
	defer cancel()
	err := s.sink.HandleReport(ctx, rep)
	s.progress.Add(1)
	if err != nil {
		s.counts.failed.Add(1)
		return err
	}
	s.counts.reports.Add(1)
	return nil
}

// learn remembers what was reported, once it is stored.
func (s *Set) learn(sn *sensor, r payload.Reading, rep *station.Report, next []verdict) {
	mem := sn.memory
	if next != nil {
		mem.verdicts = next
		if mem.values == nil {
			mem.values = make(map[string]station.Value, len(r.Values))
		}
		maps.Copy(mem.values, r.Values)
		for _, field := range r.Events { // a press is no state: it is not true of what comes next
			delete(mem.values, field)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	mem.battery = mem.battery || hasBattery(r.Values)
	if rep.Live {
		mem.heard = rep.Received
	}
	for _, sig := range rep.Signals {
		switch {
		case sig.Kind == station.KindOffline && sig.Active:
			mem.offline, mem.cause, mem.unsure = active, byBridge, false
		case sig.Kind == station.KindOffline:
			mem.offline, mem.unsure = inactive, false
		case sig.Active && slices.Contains(r.Events, sig.Field):
			mem.presses[sig.Kind] = rep.Received.Add(s.cfg.PressLasts)
			wake(s.kick)
		default:
			delete(mem.presses, sig.Kind)
		}
	}
}

// isOffline tells whether the sensor was reported as offline, or may have been.
func (s *Set) isOffline(m *memory) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return m.offline == active || m.unsure
}

package devices

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"stationd/agent/station"
	"stationd/devices/broker"
	"stationd/devices/mqtt"
	"stationd/devices/payload"
)

// takeFrom is what a link does with a message.
func (s *Set) takeFrom(t mqtt.Target) func(context.Context, mqtt.Message) error {
	return func(ctx context.Context, m mqtt.Message) error {
		return s.handle(ctx, &message{
			broker: t.ID, client: t.ClientID, topic: m.Topic, payload: m.Payload,
			retained: m.Retained, duplicate: m.Duplicate, packetID: m.PacketID, waited: m.Waited,
		}, func(err error) error {
			// Acknowledged, that is given up. The broker keeps a window of so
			// many unacknowledged messages (20 with Mosquitto) and sends nothing
			// more when it is full: held readings would keep the alarms behind
			// them from coming at all.
			s.counts.spared.Add(1)
			s.lost(s.now())
			s.log.Debug("reading given up for want of space", "broker", t.ID, "topic", m.Topic) // the count is what people are told
			return nil
		})
	}
}

// takeEmbedded is what the built-in broker does with a message.
func (s *Set) takeEmbedded(ctx context.Context, m broker.Message) error {
	return s.handle(ctx, &message{
		broker: station.EmbeddedBroker, client: m.Client.ID, topic: m.Topic, payload: m.Payload,
		duplicate: m.Duplicate, packetID: m.PacketID, will: m.Will, account: m.Client.Username, flood: m.Flood,
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
	h := s.undone.take(m)
	if h == nil {
		h = s.ask(reg, m)
	}
	t := &telling{set: s, message: m, heard: h, registry: reg, refused: refused}
	err := t.tell(ctx)
	if err != nil && !m.flood { // of a flood nothing comes again
		s.undone.put(m, h)
	}
	s.bench.note(m, t, s.now())
	return err
}

// telling is one message being handed on.
type telling struct {
	set      *Set
	message  *message
	heard    *heard
	registry *registry
	refused  func(error) error

	parts   int
	sensors []string // whose reports were made
	odd     error    // what could not be read
	unknown bool     // that it speaks of a device that may not appear by itself
	later   error    // a part that can wait was refused; what is behind it was not
}

// tell hands on every reading, one after the other: those of the sensors that
// bring their own mapping, then those of the families.
func (t *telling) tell(ctx context.Context) error {
	m, h, reg := t.message, t.heard, t.registry
	here := reg.byTopic[source{m.broker, m.topic}]
	var fault error
	for _, sn := range here {
		if sn.own == nil {
			continue
		}
		h.asked = true
		r, err := sn.own.Decode(m.topic, m.payload)
		switch {
		case errors.Is(err, payload.ErrIgnored):
			h.ignored = true
		case err != nil:
			fault = errors.Join(fault, err)
		default:
			if err := t.say(ctx, sn, r); err != nil {
				return err
			}
		}
	}
	speaker := t.speaker(here)
	for _, r := range h.readings {
		sensors := t.whose(here, r)
		if len(sensors) == 0 {
			if r.rank != speaker {
				continue
			}
			if sn := t.set.stranger(t, r); sn != nil {
				sensors = []*sensor{sn}
			}
		}
		for _, sn := range sensors {
			if err := t.say(ctx, sn, r.Reading); err != nil {
				return err
			}
		}
	}
	t.settle(fault)
	return t.later
}

// speaker is the rank of the family whose word counts for devices that nobody has
// registered; -1 is none. Two families may understand one message, and then it is
// one device: that of the family which has a registered sensor in it, or else the
// more exact family's. What a sensor's own mapping has read is that sensor's.
func (t *telling) speaker(here []*sensor) int {
	if t.parts > 0 {
		return -1
	}
	first := -1
	for _, r := range t.heard.readings {
		if len(t.whose(here, r)) > 0 {
			return r.rank
		}
		if first < 0 && !r.aside {
			first = r.rank
		}
	}
	return first
}

// whose finds the registered sensors of a reading.
func (t *telling) whose(here []*sensor, r saying) []*sensor {
	if r.Device != "" {
		if found := t.registry.byDevice[address{t.message.broker, r.family, r.Device}]; len(found) > 0 {
			return found
		}
	}
	var out []*sensor
	for _, sn := range here {
		if sn.own == nil && sn.Source.Family == r.family {
			out = append(out, sn)
		}
	}
	return out
}

// settle counts what became of the message.
func (t *telling) settle(fault error) {
	s, h := t.set, t.heard
	if fault == nil && len(h.readings) == 0 {
		fault = h.fault
	}
	switch {
	case fault != nil:
		t.odd = fault
		s.unread(t.message, fault)
	case !h.asked:
		s.counts.unrouted.Add(1)
	case t.parts == 0 && !t.unknown:
		s.counts.ignored.Add(1)
	}
}

// say hands on one part, unless it was stored when the message came before.
func (t *telling) say(ctx context.Context, sn *sensor, r payload.Reading) error {
	part := t.parts
	t.parts++
	if !slices.Contains(t.sensors, sn.ID) {
		t.sensors = append(t.sensors, sn.ID)
	}
	if t.heard.done.has(part) {
		return nil
	}
	err := t.set.say(ctx, sn, r, t.message, part, t.refused)
	switch {
	case err == nil:
		t.heard.done.add(part)
		return nil
	case errors.Is(err, errSpared):
		t.later = err // what is behind it may be an alarm
		return nil
	}
	return err
}

// errSpared marks a report that can wait and has to come again.
var errSpared = errors.New("can wait")

// unread counts a message that cannot be read, and keeps it.
func (s *Set) unread(m *message, err error) {
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
	if mem.knows(r, m, part) && s.stillThere(mem, r, m, now) {
		s.counts.repeated.Add(1)
		return nil
	}
	r.DeviceTime = writable(r.DeviceTime)
	rep := station.Report{
		Sensor: sn.ID, Values: r.Values, Received: now, DeviceTime: r.DeviceTime, About: s.about(sn, r),
		Retained: m.retained || r.Cached, Duplicate: m.duplicate, Fingerprint: m.fingerprint(), Link: m.link(), Packet: m.packetID, Part: part,
	}
	if sn.stranger {
		proposed := sn.Sensor
		rep.Unknown = &proposed
	}
	rep.Late = r.Backlog || !r.DeviceTime.IsZero() && mem.clock.late(now, age(r, now), s.cfg.LateAfter)
	// What tells its own time was judged by that.
	rep.Waited = m.waited > s.cfg.LateAfter && r.DeviceTime.IsZero() && !rep.Late && !rep.Retained
	rep.Live = !rep.Late && !rep.Retained && !rep.Waited && !m.will

	var next []verdict
	switch {
	case r.Presence != "":
		// What a bridge says of a device is no sign of life of the device; what a
		// device says when it has connected is.
		rep.Live = rep.Live && r.Presence == payload.Online && (r.Via == "" || r.Bridge)
		rep.Values = nil
		if s.holdAbsence(sn, r, m) {
			return nil
		}
		rep.Signals = s.presenceSignals(sn, r, rep.Live)
		if rep.Signals == nil && !rep.Live && rep.About == nil && !sn.stranger {
			return nil
		}
	case len(r.Values) == 0:
		rep.Live = false
		if rep.About == nil && !sn.stranger {
			return nil
		}
	default:
		next = make([]verdict, sn.rules.Len())
		rep.Signals = sn.rules.Evaluate(r.Values, mem.values, mem.verdicts, next, make([]station.Signal, 0, sn.rules.Len()+1))
		if rep.Live && s.isOffline(mem) {
			rep.Signals = append(rep.Signals, station.Signal{Kind: station.KindOffline})
		}
	}
	if rep.Live {
		rep.Interval = s.paceOf(sn, r, now)
	}
	if mem.overtaken(rep.Fingerprint) {
		// It was put off, and what was sent behind it has been stored since: an
		// end of an alarm from before the alarm must not end it.
		rep.Late, rep.Live, rep.Signals, next = true, false, nil, nil
	}
	spare := s.canSpare(sn, rep.Signals)
	if m.flood && spare && rep.About == nil && !sn.stranger {
		if rep.Live {
			s.mu.Lock()
			mem.heard = now
			s.mu.Unlock()
		}
		return errors.Join(errSpared, broker.ErrFlood)
	}
	switch err := s.deliver(ctx, rep); {
	case err == nil:
		mem.stored(rep.Fingerprint)
		mem.serial, mem.part = r.Serial, part
		if r.Serial != "" {
			mem.content = m.content()
		}
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
			err = errors.Join(errSpared, err)
		}
		return err
	case sn.stranger && isUnknown(err):
		// There are too many of them, and this one is in no danger. If it came
		// again and again, nothing behind it would ever be heard.
		s.counts.tooMany.Add(1)
		s.mu.Lock()
		s.noRoomFor(sn)
		s.mu.Unlock()
		s.log.Info("device beyond the limit of unknown ones", "broker", m.broker, "topic", m.topic)
		return nil
	default:
		return err
	}
}

// knows tells whether the device's own name of the message says that it was stored
// before: an integration server sends again what it got no answer for, under a
// new packet identifier. With turn held.
func (m *memory) knows(r payload.Reading, msg *message, part int) bool {
	return r.Serial != "" && r.Serial == m.serial && part <= m.part && msg.content() == m.content
}

// stillThere takes a message that is known for a sign of life, because there are
// devices that give each message the same name; false is that it is one which has to
// be reported, that of a sensor that was gone.
func (s *Set) stillThere(mem *memory, r payload.Reading, m *message, now time.Time) bool {
	if m.duplicate || m.retained || m.will || r.Cached || r.Backlog || r.Presence != "" {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if mem.offline == active || mem.unsure {
		return false
	}
	mem.heard = now
	return true
}

// about is what a reading tells of the device that is not registered; nil for
// nothing.
func (s *Set) about(sn *sensor, r payload.Reading) *station.About {
	a := station.About{Maker: r.Maker, Model: r.Model, Firmware: r.Firmware, Power: r.Power}
	if r.Via != "" && !sn.stranger {
		via := address{sn.Source.Broker, sn.Source.Family, r.Via}
		for _, bridge := range s.registry.Load().byDevice[via] {
			a.Bridge = bridge.ID
		}
	}
	if _, news := a.Changes(sn.Sensor); !news {
		return nil
	}
	told := a // which is then the only one that outlives the call
	return &told
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

// mostKnown bounds the fields that are known of one sensor: one may call them
// otherwise in every message. Beyond it what the newest says counts.
const mostKnown = 500

// learn remembers what was reported, once it is stored.
func (s *Set) learn(sn *sensor, r payload.Reading, rep *station.Report, next []verdict) {
	mem := sn.memory
	if next != nil {
		mem.verdicts = next
		if mem.values == nil {
			mem.values = make(map[string]station.Value, len(r.Values))
		}
		maps.Copy(mem.values, r.Values)
		if len(mem.values) > mostKnown {
			mem.values = maps.Clone(r.Values)
		}
		for _, field := range r.Events { // a press is no state: it is not true of what comes next
			delete(mem.values, field)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	mem.battery = mem.battery || hasBattery(r.Values)
	if rep.Interval > 0 {
		mem.pace.told = rep.Interval
	}
	if r.Via != "" {
		mem.via = address{sn.Source.Broker, sn.Source.Family, r.Via}
	}
	if rep.Live {
		mem.heard, mem.leaving = rep.Received, time.Time{}
	}
	if r.Presence != "" {
		mem.watched = r.Presence == payload.Online
		if mem.watched {
			wake(s.kick)
		}
	}
	for _, sig := range rep.Signals {
		switch {
		case sig.Kind == station.KindOffline && sig.Active:
			mem.goes(active, byBridge, rep.Received)
		case sig.Kind == station.KindOffline:
			mem.goes(inactive, mem.cause, rep.Received)
			wake(s.kick)
		case sig.Active && slices.Contains(r.Events, sig.Field):
			mem.presses[sig.Kind] = rep.Received.Add(s.cfg.PressLasts)
			wake(s.kick)
		default:
			delete(mem.presses, sig.Kind)
		}
	}
}

// goes notes that the sensor is offline, or back. With Set.mu held.
func (m *memory) goes(v verdict, why absence, at time.Time) {
	if m.offline != v {
		m.since = at
	}
	m.offline, m.cause, m.unsure = v, why, false
}

// isOffline tells whether the sensor was reported as offline, or may have been.
func (s *Set) isOffline(m *memory) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return m.offline == active || m.unsure
}

package devices

import (
	"encoding/hex"
	"hash/fnv"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/devices/broker"
	"stationd/devices/payload"
	"stationd/devices/rule"
)

// A stranger is a device that nobody has registered. It appears by itself while
// joining is open, or where its own account of the built-in broker let it in;
// else it is counted and shown in the workbench. What calls for help is reported
// at any time.

// stranger finds or makes the sensor for a reading that is no registered sensor's;
// nil when there is nothing to report.
func (s *Set) stranger(t *telling, r saying) *sensor {
	reg, m := t.registry, t.message
	at := address{m.broker, r.family, r.Device}
	if r.Device == "" {
		at.device = m.topic
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sn := s.strangers[at]; sn != nil {
		return sn
	}
	proposed := station.Sensor{
		Name: r.Name, Class: r.Class, Maker: r.Maker, Model: r.Model, Firmware: r.Firmware, Power: r.Power,
		Source: station.SensorSource{Broker: m.broker, Family: r.family, Topic: m.topic, Device: r.Device},
	}
	if broker.ValidTopic(r.topic) {
		proposed.Source.Topic = r.topic // an account for it must reach there
	}
	if proposed.Name == "" {
		proposed.Name = at.device
	}
	switch {
	case r.Bridge:
		// It need not be named by anybody: while it is away its sensors are not
		// reported, so that its own alarm must be.
		proposed.SilentAfter, proposed.Adopted = -1, true
	case r.Presence != "":
		t.unknown = true // nobody knows yet what it is
		return nil
	}
	if proposed.Class == "" {
		class, ok := ClassOf(r.Values)
		if !ok && !r.Bridge { // a lamp, a group
			return nil
		}
		proposed.Class = class
	}
	if proposed.Class == "" {
		proposed.Class = station.ClassOther
	}
	proposed.Name = clipName(proposed.Name)
	proposed.ID = proposedID(proposed.Name, at)
	for reg.byID[proposed.ID] != nil { // it was given another source since
		proposed.ID += "-2"
	}
	via := address{m.broker, r.family, r.Via}
	for _, b := range reg.byDevice[via] {
		proposed.Bridge = b.ID
	}
	if b := s.strangers[via]; b != nil && r.Via != "" {
		proposed.Bridge = b.ID
	}
	rs, err := rule.Compile(rule.Defaults(proposed.Class), proposed.Class)
	if err != nil {
		s.log.Error("default rules are invalid", "class", proposed.Class, "error", err)
		return nil
	}
	sn := &sensor{Sensor: proposed, rules: rs, address: at, stranger: true}
	sn.memory = s.remember(sn, station.SensorState{})
	if r.Via != "" {
		sn.memory.via = via
	}
	help := callsForHelp(rs, sn.memory, r.Values)
	may := s.mayAppear(reg, m, r)
	many := reg.waiting+len(s.strangers) >= s.crowded()
	full := s.now().Before(s.fullUntil) || len(s.strangers) >= s.cfg.MaxUnknown
	switch {
	case help && many:
		// Somebody may be in danger, or wants to bury us in devices.
		s.bench.unknown(at, proposed, s.now())
		return s.crowd(reg, sn)
	case help, may && (!full || proposed.Adopted && !many):
		s.strangers[at], s.memories[proposed.ID] = sn, sn.memory
		return sn
	case may:
		s.counts.tooMany.Add(1)
	default:
		s.counts.unknown.Add(1)
	}
	t.unknown = true
	s.bench.unknown(at, proposed, s.now())
	return nil
}

// crowded is how many devices may wait to be named, or stand for themselves, before
// those that call for help are told of as one.
func (s *Set) crowded() int { return 4*s.cfg.MaxUnknown + 16 }

// crowdDevice is the name of the device that stands for those beyond crowded.
const crowdDevice = "…"

// crowd is that device, for whoever is heard at a broker by a family; with s.mu
// held.
func (s *Set) crowd(reg *registry, sn *sensor) *sensor {
	at := address{sn.address.broker, sn.address.family, crowdDevice}
	if found := reg.byDevice[at]; len(found) > 0 {
		return found[0]
	}
	if one := s.strangers[at]; one != nil {
		return one
	}
	one := *sn
	one.Sensor = station.Sensor{
		ID: proposedID("crowd", at), Name: "其他未登记设备", Class: sn.Class,
		Source: station.SensorSource{Broker: at.broker, Family: at.family, Device: crowdDevice},
	}
	one.address = at
	s.strangers[at], s.memories[one.ID] = &one, one.memory
	return &one
}

// noRoomFor notes that the sink takes in no further device for a while; with s.mu
// held. To ask it again for each message would cost the alarms their time.
func (s *Set) noRoomFor(sn *sensor) {
	s.fullUntil = s.now().Add(fullFor)
	if s.strangers[sn.address] == sn {
		delete(s.strangers, sn.address)
		delete(s.memories, sn.ID)
	}
}

const fullFor = 10 * time.Second

// callsForHelp tells whether a reading says that people may be in danger.
func callsForHelp(rs *rule.Set, mem *memory, values map[string]station.Value) bool {
	for _, sig := range rs.Evaluate(values, nil, mem.verdicts, make([]verdict, rs.Len()), nil) {
		if sig.Active && sig.Kind.LifeSafety() {
			return true
		}
	}
	return false
}

// mayAppear tells whether a device may enter itself now. A bridge may whose
// sensors are registered.
func (s *Set) mayAppear(reg *registry, m *message, r saying) bool {
	if left := reg.joining.Sub(s.now()); left > 0 && left <= station.MaxJoining {
		return true
	}
	if r.Bridge {
		for _, sn := range reg.sensors {
			if sn.memory.via == (address{m.broker, r.family, r.Device}) {
				return true
			}
		}
	}
	if m.broker != station.EmbeddedBroker {
		return false
	}
	account, known := reg.accounts[m.account]
	return known && (account.Sensor != "" || len(account.Topics) > 0)
}

// clipName keeps a device's own name within what a sensor's may be.
func clipName(name string) string {
	const most = 60
	runes := []rune(strings.TrimSpace(strings.ToValidUTF8(name, "\uFFFD")))
	return string(runes[:min(len(runes), most)])
}

// proposedID is made of the name, as far as an ID can hold it, and of a digest
// of where the device is heard, which makes it one of a kind and always the same.
func proposedID(name string, at address) string {
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
	_, _ = h.Write([]byte(at.broker + "\x00" + at.device))
	if at.family != payload.FamilyZigbee2MQTT { // which came first
		_, _ = h.Write([]byte("\x00" + at.family))
	}
	return id.String() + "-" + hex.EncodeToString(h.Sum(nil))
}

package devices

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/devices/broker"
	"stationd/devices/mqtt"
	"stationd/devices/payload"
	"stationd/devices/rule"
)

// registry is one Registry made ready: messages to sensors, names to accounts.
type registry struct {
	sensors  []*sensor
	byID     map[string]*sensor
	byTopic  map[source][]*sensor  // those that their topic alone tells
	byDevice map[address][]*sensor // those that their family tells by name
	families map[string][]*listener
	firsts   map[source][]*listener // by broker and first level of their filters
	targets  map[string]mqtt.Target
	accounts map[string]station.BrokerAccount
	joining  time.Time // devices may appear by themselves until then
	waiting  int       // devices that appeared by themselves: those nobody has named yet, and bridges
}

// source is a topic at a broker.
type source struct{ broker, topic string }

// address is a device, or a bridge, by the name that its family has for it.
type address struct{ broker, family, device string }

// addressOf is where a sensor is found by its family; zero where only its topic
// tells. What was registered before families had names for devices is found too.
func addressOf(src station.SensorSource) address {
	device := src.Device
	if device == "" && src.Family == payload.FamilyZigbee2MQTT {
		device = strings.TrimSuffix(src.Topic, "/bridge/state")
	}
	if device == "" {
		return address{}
	}
	return address{src.Broker, src.Family, device}
}

// sensor is a registered sensor made ready. It is never changed; what changes is
// in its memory, which outlives it when the registry is replaced.
type sensor struct {
	station.Sensor
	own      payload.Decoder // where the sensor brings its own mapping; else nil
	rules    *rule.Set
	address  address
	stranger bool // not in the registry
	memory   *memory
}

// memory is what is remembered of a sensor.
type memory struct {
	turn sync.Mutex // one report at a time; held while the sink works
	// With turn held:
	judged   *rule.Set // the rules that verdicts belong to
	verdicts []verdict // one for each rule
	values   map[string]station.Value
	taken    uint64            // messages stored
	owed     map[uint64]uint64 // those put off, by fingerprint: taken at that time
	serial   string            // the device's own name of the last message
	content  uint64            // and what it was
	part     int               // and which part of it
	clock    slowClock         // the device's own

	// With Set.mu held:
	heard   time.Time // last sign of life, or when it was first looked for
	offline verdict
	since   time.Time // when offline last changed; zero is before the start
	cause   absence
	unsure  bool                            // it may have been reported as offline: the answer did not come
	battery bool                            // has reported a battery
	presses map[station.AlarmKind]time.Time // when an event's condition is over
	retryAt time.Time                       // no timer report before
	via     address                         // the bridge that it was last heard through
	leaving time.Time                       // when a word that it is gone counts; zero is none
	watched bool                            // somebody says when it is gone: its will, its bridge
	pace    pace
}

// absence is why a sensor counts as offline.
type absence int8

const (
	unknownAbsence absence = iota // from before the program was started
	bySilence
	byBridge
)

// Check tells whether a sensor's source and rules can be used, for those who are
// about to store it.
func (s *Set) Check(sn station.Sensor) error {
	var faults []error
	src := sn.Source
	if !broker.ValidTopic(src.Topic) && (src.Topic != "" || src.Device == "") {
		faults = append(faults, station.Errorf(400, "sensor.topic", "write the topic without wildcards, as the device publishes it", "%q is no topic", src.Topic).At("source.topic"))
	}
	if len(src.Device) > payload.MaxText {
		faults = append(faults, station.Errorf(400, "sensor.device", "write it as the workbench shows it", "the device's name is longer than %d bytes", payload.MaxText).At("source.device"))
	}
	if !slices.Contains(station.Classes(), sn.Class) {
		faults = append(faults, station.Errorf(400, "sensor.class", "choose one of "+strings.Join(station.Classes(), ", "), "there is no device class %q", sn.Class).At("class"))
	}
	if _, err := s.decoderFor(src); err != nil {
		hint := "choose one of " + strings.Join(append(s.catalogue.Names(), payload.FamilyJSON), ", ") + "; for json name the fields"
		faults = append(faults, station.Errorf(400, "sensor.source", hint, "%v", err).At("source"))
	}
	for i, r := range sn.Rules {
		if p, ok := station.AsProblem(rule.Check(r, sn.Class)); ok {
			faults = append(faults, p.At("rules."+strconv.Itoa(i)))
		}
	}
	return errors.Join(faults...)
}

// CheckBroker tells whether an external broker can be linked to, or what is set of
// the built-in one.
func (s *Set) CheckBroker(b station.Broker) error {
	var faults []error
	own := b.ID == station.EmbeddedBroker
	switch {
	case b.ID == "":
		faults = append(faults, station.Errorf(400, "broker.id", "choose a name", "the broker has no name").At("id"))
	case own && (b.URL != "" || b.Username != "" || len(b.Topics) > 0):
		faults = append(faults, station.Errorf(400, "broker.id", "choose another name for a broker outside; of the built-in one only the families are chosen", "%q is the built-in broker", b.ID).At("id"))
	case !own:
		if _, _, err := mqtt.Endpoint(b.URL); err != nil {
			p, _ := station.AsProblem(err)
			faults = append(faults, p.At("url"))
		}
		if len(b.Topics) == 0 && len(b.Families) == 0 {
			faults = append(faults, station.Errorf(400, "broker.topics", "name at least one, such as zigbee2mqtt/#, or the families to listen with", "no topic is subscribed to").At("topics"))
		}
	}
	for _, t := range b.Topics {
		if !broker.ValidFilter(t) {
			faults = append(faults, station.Errorf(400, "broker.topics", "a wildcard stands alone in its level, # at the end only", "%q is no topic filter", t).At("topics"))
		}
	}
	for _, f := range b.Families {
		if _, ok := s.catalogue.Family(f); !ok {
			faults = append(faults, station.Errorf(400, "broker.families", "choose among "+strings.Join(s.catalogue.Names(), ", "), "there is no payload family %q", f).At("families"))
		}
	}
	return errors.Join(faults...)
}

// decoderFor makes the decoder of a source that brings its own mapping; nil for
// one whose family is asked. The error tells that there is no such family.
func (s *Set) decoderFor(src station.SensorSource) (payload.Decoder, error) {
	if src.Family == payload.FamilyJSON {
		return payload.NewJSON(src.Fields)
	}
	if _, ok := s.catalogue.Family(src.Family); !ok && !slices.Contains(s.feeds, src.Family) {
		return nil, errors.New("there is no payload family " + src.Family)
	}
	if src.Family == payload.FamilyZigbee2MQTT && src.Device == "" && !strings.Contains(src.Topic, "/") {
		return nil, errors.New("a Zigbee2MQTT topic is its base topic, a slash and the device's name")
	}
	return nil, nil
}

// Apply replaces the registry. It takes effect with the next message, waits for
// none, and may be called from within Sink.HandleReport.
func (s *Set) Apply(r Registry) {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.apply(r)
}

// apply is Apply with its turn held.
func (s *Set) apply(r Registry) {
	s.applied = r
	next := &registry{
		byID: map[string]*sensor{}, byTopic: map[source][]*sensor{}, byDevice: map[address][]*sensor{},
		targets: map[string]mqtt.Target{}, accounts: map[string]station.BrokerAccount{}, joining: r.JoiningUntil,
	}
	s.route(r, next)
	for _, a := range r.Accounts {
		next.accounts[a.Username] = a
	}
	states := make(map[string]station.SensorState, len(r.States))
	for _, st := range r.States {
		states[st.Sensor] = st
	}
	s.mu.Lock()
	memories := make(map[string]*memory, len(r.Sensors))
	for _, cfg := range r.Sensors {
		sn, err := s.prepare(cfg)
		if err != nil {
			s.log.Warn("sensor cannot be used as it is registered", "sensor", cfg.ID, "error", err)
		}
		if _, twice := next.byID[cfg.ID]; sn == nil || twice {
			continue
		}
		sn.memory = s.memories[sn.ID]
		if sn.memory == nil {
			sn.memory = s.remember(sn, states[sn.ID])
		}
		memories[sn.ID] = sn.memory
		next.sensors = append(next.sensors, sn)
		if !sn.Adopted || sn.SilentAfter < 0 {
			next.waiting++
		}
		next.byID[sn.ID] = sn
		if sn.address != (address{}) {
			next.byDevice[sn.address] = append(next.byDevice[sn.address], sn)
			delete(s.strangers, sn.address)
		} else {
			at := source{cfg.Source.Broker, cfg.Source.Topic}
			next.byTopic[at] = append(next.byTopic[at], sn)
		}
	}
	for _, sn := range s.strangers {
		memories[sn.ID] = sn.memory
	}
	s.memories = memories
	old := s.registry.Swap(next)
	embedded := s.embedded
	s.mu.Unlock()

	if old != nil && embedded != nil {
		embedded.Disconnect(func(c broker.Client) bool {
			return !reflect.DeepEqual(old.accounts[c.Username], next.accounts[c.Username])
		})
	}
	wake(s.changed)
	wake(s.kick)
}

// prepare makes a sensor ready; nil when its source cannot be used. A sensor whose
// own rules are unusable gets the default ones, because a detector without rules
// would be silent.
func (s *Set) prepare(cfg station.Sensor) (*sensor, error) {
	own, err := s.decoderFor(cfg.Source)
	if err != nil {
		return nil, err
	}
	sn := &sensor{Sensor: cfg, own: own}
	if own == nil {
		sn.address = addressOf(cfg.Source)
	}
	rules := cfg.Rules
	if len(rules) == 0 {
		rules = rule.Defaults(cfg.Class)
	}
	if sn.rules, err = rule.Compile(rules, cfg.Class); err != nil {
		var fallback error
		sn.rules, fallback = rule.Compile(rule.Defaults(cfg.Class), cfg.Class)
		err = errors.Join(err, fallback)
	}
	return sn, err
}

// remember makes the memory of a sensor from what is stored of it.
func (s *Set) remember(sn *sensor, st station.SensorState) *memory {
	m := &memory{heard: st.LastSeen, values: maps.Clone(st.Values), presses: map[station.AlarmKind]time.Time{}}
	now := s.now()
	if m.heard.IsZero() || m.heard.After(now) { // never heard, or the clock was set back
		m.heard = now
	}
	if st.Offline {
		m.offline = active
	}
	m.battery = hasBattery(st.Values)
	m.pace.known, m.pace.told = st.Interval, st.Interval
	m.pace.given = st.Interval > 0 && sn.Power != station.PowerLoRa
	if sn.Source.Family == payload.FamilyZigbee2MQTT {
		m.via = address{sn.Source.Broker, sn.Source.Family, s.zigbeeBase(sn.address.device)}
	}
	m.follow(sn.rules)
	for i := range sn.rules.Len() {
		// A press whose end nobody reported before the restart.
		r := sn.rules.At(i)
		if field := r.Field; m.verdicts[i] == active && sn.own == nil && (field == station.ClassSOS || field == payload.FieldAction) {
			m.presses[r.Kind] = now.Add(s.cfg.PressLasts)
		}
	}
	return m
}

// follow makes the verdicts fit rs, from the last known values.
func (m *memory) follow(rs *rule.Set) {
	if m.judged.Equal(rs) {
		m.judged = rs
		return
	}
	m.judged, m.verdicts = rs, make([]verdict, rs.Len())
	rs.Evaluate(m.values, nil, make([]verdict, rs.Len()), m.verdicts, nil)
}

func hasBattery(values map[string]station.Value) bool {
	_, percent := values[payload.FieldBattery]
	_, low := values[payload.FieldBatteryLow]
	return percent || low
}

// wake puts a token into c unless one is there.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

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
	byTopic  map[source][]*sensor
	bases    map[string][]string // Zigbee2MQTT's base topics at a broker, longest first
	targets  map[string]mqtt.Target
	accounts map[string]station.BrokerAccount
}

// source is where messages come from.
type source struct{ broker, topic string }

// bridge is one Zigbee2MQTT.
type bridge struct{ broker, base string }

type bridgeState struct {
	down  bool
	since time.Time
}

// sensor is a registered sensor made ready. It is never changed; what changes is
// in its memory, which outlives it when the registry is replaced.
type sensor struct {
	station.Sensor
	decoder  payload.Decoder
	rules    *rule.Set
	bridge   bridge // zero for other families
	stranger bool   // not in the registry
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

	// With Set.mu held:
	heard   time.Time // last sign of life, or when it was first looked for
	offline verdict
	cause   absence
	unsure  bool                            // it may have been reported as offline: the answer did not come
	battery bool                            // has reported a battery
	presses map[station.AlarmKind]time.Time // when an event's condition is over
	retryAt time.Time                       // no timer report before
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
func Check(sn station.Sensor) error {
	var faults []error
	if !broker.ValidTopic(sn.Source.Topic) {
		faults = append(faults, station.Errorf(400, "sensor.topic", "write the topic without wildcards, as the device publishes it", "%q is no topic", sn.Source.Topic).At("source.topic"))
	}
	if !slices.Contains(station.Classes(), sn.Class) {
		faults = append(faults, station.Errorf(400, "sensor.class", "choose one of "+strings.Join(station.Classes(), ", "), "there is no device class %q", sn.Class).At("class"))
	}
	if _, err := decoderFor(sn.Source); err != nil {
		faults = append(faults, station.Errorf(400, "sensor.source", "choose zigbee2mqtt or json, and name the fields for json", "%v", err).At("source"))
	}
	for i, r := range sn.Rules {
		if p, ok := station.AsProblem(rule.Check(r, sn.Class)); ok {
			faults = append(faults, p.At("rules."+strconv.Itoa(i)))
		}
	}
	return errors.Join(faults...)
}

// CheckBroker tells whether an external broker can be linked to.
func CheckBroker(b station.Broker) error {
	var faults []error
	if _, _, err := mqtt.Endpoint(b.URL); err != nil {
		p, _ := station.AsProblem(err)
		faults = append(faults, p.At("url"))
	}
	if b.ID == "" || b.ID == station.EmbeddedBroker {
		faults = append(faults, station.Errorf(400, "broker.id", "choose another name", "%q cannot name an external broker", b.ID).At("id"))
	}
	if len(b.Topics) == 0 {
		faults = append(faults, station.Errorf(400, "broker.topics", "name at least one, such as zigbee2mqtt/#", "no topic is subscribed to").At("topics"))
	}
	for _, t := range b.Topics {
		if !broker.ValidFilter(t) {
			faults = append(faults, station.Errorf(400, "broker.topics", "a wildcard stands alone in its level, # at the end only", "%q is no topic filter", t).At("topics"))
		}
	}
	return errors.Join(faults...)
}

// decoderFor makes the decoder of a source.
func decoderFor(src station.SensorSource) (payload.Decoder, error) {
	switch src.Family {
	case payload.FamilyZigbee2MQTT:
		base, _, ok := strings.Cut(src.Topic, "/")
		if !ok {
			return nil, errors.New("a Zigbee2MQTT topic is its base topic, a slash and the device's name")
		}
		return payload.Zigbee2MQTT{Base: base}, nil
	case payload.FamilyJSON:
		return payload.NewJSON(src.Fields)
	}
	return nil, errors.New("there is no payload family " + src.Family)
}

// Apply replaces the registry. It takes effect with the next message, waits for
// none, and may be called from within Sink.HandleReport.
func (s *Set) Apply(r Registry) {
	s.applying.Lock()
	defer s.applying.Unlock()
	next := &registry{
		byID: map[string]*sensor{}, byTopic: map[source][]*sensor{}, bases: map[string][]string{},
		targets: map[string]mqtt.Target{}, accounts: map[string]station.BrokerAccount{},
	}
	for _, b := range r.Brokers {
		next.targets[b.ID] = mqtt.Target{
			ID: b.ID, URL: b.URL, Username: b.Username, Password: b.Password, Topics: slices.Sorted(slices.Values(b.Topics)),
			// The broker's ID is part of it: two links to one broker under one
			// client id would throw each other out.
			ClientID: "stationd-" + string(s.node) + "-" + b.ID,
		}
	}
	for _, a := range r.Accounts {
		next.accounts[a.Username] = a
	}
	for id := range next.targets {
		next.bases[id] = slices.Clone(s.cfg.Zigbee2MQTT)
	}
	next.bases[station.EmbeddedBroker] = slices.Clone(s.cfg.Zigbee2MQTT)

	states := make(map[string]station.SensorState, len(r.States))
	for _, st := range r.States {
		states[st.Sensor] = st
	}
	s.mu.Lock()
	memories := make(map[string]*memory, len(r.Sensors))
	for _, cfg := range r.Sensors {
		sn, err := s.prepare(cfg, next)
		if err != nil {
			s.log.Warn("sensor cannot be used as it is registered", "sensor", cfg.ID, "error", err)
		}
		if _, twice := next.byID[sn.ID]; sn.decoder == nil || twice {
			continue
		}
		sn.memory = s.memories[sn.ID]
		if sn.memory == nil {
			sn.memory = s.remember(sn, states[sn.ID])
		}
		memories[sn.ID] = sn.memory
		next.sensors = append(next.sensors, sn)
		next.byID[sn.ID] = sn
		at := source{cfg.Source.Broker, cfg.Source.Topic}
		next.byTopic[at] = append(next.byTopic[at], sn)
		delete(s.strangers, at)
	}
	for _, sn := range s.strangers {
		memories[sn.ID] = sn.memory
	}
	s.memories = memories
	for _, bases := range next.bases {
		slices.SortFunc(bases, func(a, b string) int { return len(b) - len(a) })
	}
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

// prepare makes a sensor ready. A sensor whose own rules are unusable gets the
// default ones, because a detector without rules would be silent.
func (s *Set) prepare(cfg station.Sensor, next *registry) (*sensor, error) {
	sn := &sensor{Sensor: cfg}
	var faults []error
	var err error
	sn.decoder, err = decoderFor(cfg.Source)
	faults = append(faults, err)
	if cfg.Source.Family == payload.FamilyZigbee2MQTT && sn.decoder != nil {
		base := sn.decoder.(payload.Zigbee2MQTT).Base
		known := next.bases[cfg.Source.Broker]
		if i := slices.IndexFunc(known, func(b string) bool { return strings.HasPrefix(cfg.Source.Topic, b+"/") }); i >= 0 {
			base = known[i]
		} else {
			next.bases[cfg.Source.Broker] = append(known, base)
		}
		sn.decoder = payload.Zigbee2MQTT{Base: base}
		sn.bridge = bridge{cfg.Source.Broker, base}
	}
	own := cfg.Rules
	if len(own) == 0 {
		own = rule.Defaults(cfg.Class)
	}
	if sn.rules, err = rule.Compile(own, cfg.Class); err != nil {
		faults = append(faults, err)
		sn.rules, err = rule.Compile(rule.Defaults(cfg.Class), cfg.Class)
		faults = append(faults, err)
	}
	return sn, errors.Join(faults...)
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
	m.follow(sn.rules)
	for i := range sn.rules.Len() {
		// A press whose end nobody reported before the restart.
		r := sn.rules.At(i)
		if field := r.Field; m.verdicts[i] == active && sn.bridge != (bridge{}) && (field == station.ClassSOS || field == payload.FieldAction) {
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

package devices

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"stationd/agent/station"
	"stationd/devices/broker"
	"stationd/devices/mqtt"
	"stationd/devices/payload"
)

// This file finds out which families are asked about a message. Each broker has
// its own sessions of them, because what a family remembers (births, discovery
// messages) is true at one broker only.

// listener is one family listening on one broker.
type listener struct {
	broker, name string
	family       payload.Family
	filters      []string
	requests     bucket // of what the family wants published
	generation   int    // of the mapping files

	mu      sync.Mutex // one message at a time
	session payload.Session
}

// newListener opens a session.
func newListener(id string, f payload.Family) *listener {
	return &listener{broker: id, name: f.Name(), family: f, filters: f.Filters(), session: f.Open()}
}

// match tells how exactly the topic is the family's: the length of what its filter
// has before the first wildcard; -1 is not at all.
func (l *listener) match(topic string) int {
	best := -1
	for _, f := range l.filters {
		if broker.Match(f, topic) {
			best = max(best, exactness(f))
		}
	}
	return best
}

func exactness(filter string) int {
	if i := strings.IndexAny(filter, "+#"); i >= 0 {
		return i
	}
	return len(filter)
}

// decode asks the family. What a stranger's bytes break in it costs this message
// and nothing else.
func (l *listener) decode(m payload.Message) (res payload.Result, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("family %s panicked: %v\n%s", l.name, p, debug.Stack())
		}
	}()
	return l.session.Decode(m)
}

// route gives the brokers of r their families and links.
func (s *Set) route(r Registry, next *registry) {
	brokers := append([]BrokerLink{{Broker: station.Broker{ID: station.EmbeddedBroker}}}, r.Brokers...)
	next.families, next.firsts = map[string][]*listener{}, map[source][]*listener{}
	kept := map[[2]string]*listener{}
	for _, b := range brokers {
		var all []*listener
		for _, f := range s.familiesOf(b.Broker, r.Sensors) {
			key := [2]string{b.ID, f.Name()}
			l := s.listeners[key]
			entry, _ := s.catalogue.Entry(f.Name())
			stale := l != nil && entry.Origin != payload.OriginCode && l.generation != s.generation
			if l == nil || stale || !slices.Equal(l.filters, f.Filters()) {
				l = newListener(b.ID, f)
				l.generation = s.generation
			}
			kept[key] = l
			all = append(all, l)
		}
		next.families[b.ID] = all
		if b.ID == station.EmbeddedBroker {
			continue
		}
		filters := slices.Clone(b.Topics)
		if len(b.Families) > 0 {
			for _, l := range all {
				filters = append(filters, l.filters...)
			}
		}
		filters = leastFilters(filters)
		next.targets[b.ID] = mqtt.Target{
			ID: b.ID, URL: b.URL, Username: b.Username, Password: b.Password, Topics: filters,
			// The broker's ID is part of it: two links to one broker under one
			// client id would throw each other out.
			ClientID: "stationd-" + string(s.node) + "-" + b.ID,
			Lane:     laneOf,
			UpUntil:  r.UpUntil,
			Covers: func(topic string) bool {
				return slices.ContainsFunc(filters, func(f string) bool { return broker.Covers(f, topic) })
			},
		}
	}
	for id, all := range next.families {
		byFirstLevel(id, all, next.firsts)
	}
	s.listeners = kept
}

// familiesOf lists the families that listen on a broker.
func (s *Set) familiesOf(b station.Broker, sensors []station.Sensor) []payload.Family {
	names := b.Families
	chosen := len(names) > 0
	if !chosen {
		names = s.catalogue.Names()
	}
	var out []payload.Family
	for _, name := range names {
		f, ok := s.catalogue.Family(name)
		if !ok {
			s.log.Warn("family is not known", "broker", b.ID, "family", name)
			continue
		}
		if name == payload.FamilyZigbee2MQTT {
			f = payload.NewZigbee2MQTT(s.zigbeeBases(b.ID, sensors)...)
		}
		if chosen || len(b.Topics) == 0 || slices.ContainsFunc(f.Filters(), func(want string) bool {
			return slices.ContainsFunc(b.Topics, func(have string) bool { return broker.Overlap(have, want) })
		}) {
			out = append(out, f)
		}
	}
	return out
}

// zigbeeBases are the base topics of Zigbee2MQTT at a broker: those that are
// configured, and those of the sensors that are registered there.
func (s *Set) zigbeeBases(id string, sensors []station.Sensor) []string {
	bases := slices.Clone(s.cfg.Zigbee2MQTT)
	for _, sn := range sensors {
		if sn.Source.Broker != id || sn.Source.Family != payload.FamilyZigbee2MQTT {
			continue
		}
		if base := s.zigbeeBase(addressOf(sn.Source).device); !slices.Contains(bases, base) {
			bases = append(bases, base)
		}
	}
	slices.Sort(bases)
	return bases
}

// zigbeeBase is the base topic in the name of a device or bridge.
func (s *Set) zigbeeBase(device string) string {
	base := ""
	for _, known := range s.cfg.Zigbee2MQTT {
		if len(known) > len(base) && (device == known || strings.HasPrefix(device, known+"/")) {
			base = known
		}
	}
	if base == "" {
		base, _, _ = strings.Cut(device, "/")
	}
	return base
}

// leastFilters leaves out what another filter covers: a broker may send a message
// once for each filter that fits it.
func leastFilters(all []string) []string {
	all = slices.Compact(slices.Sorted(slices.Values(all)))
	return slices.DeleteFunc(slices.Clone(all), func(f string) bool {
		return slices.ContainsFunc(all, func(other string) bool { return other != f && broker.Covers(other, f) })
	})
}

// laneOf names what must be taken in the order in which it came: a topic, or all
// topics of a Sparkplug node, which are numbered through.
func laneOf(topic string) string {
	parts := strings.SplitN(topic, "/", 5)
	if len(parts) >= 4 && parts[0] == "spBv1.0" {
		return parts[1] + "/" + parts[3]
	}
	return topic
}

// likely lists the families whose filters can fit a topic, by its first level: most
// families have no filter there, and need not be asked about every message.
func (r *registry) likely(at source) []*listener {
	first, _, _ := strings.Cut(at.topic, "/")
	if some, named := r.firsts[source{at.broker, first}]; named {
		return some
	}
	return r.firsts[source{at.broker, anyLevel}]
}

// anyLevel stands for every first level that no filter names. No topic has it.
const anyLevel = "+"

// byFirstLevel lists families by the first level of their filters, each list in
// the order of all; a filter that begins with a wildcard is on every list.
func byFirstLevel(id string, all []*listener, into map[source][]*listener) {
	firstOf := func(filter string) string {
		first, _, _ := strings.Cut(filter, "/")
		if first == "#" {
			return anyLevel
		}
		return first
	}
	levels := map[string]bool{anyLevel: true}
	for _, l := range all {
		for _, f := range l.filters {
			levels[firstOf(f)] = true
		}
	}
	for level := range levels {
		var some []*listener
		for _, l := range all {
			if slices.ContainsFunc(l.filters, func(f string) bool { first := firstOf(f); return first == level || first == anyLevel }) {
				some = append(some, l)
			}
		}
		into[source{id, level}] = some
	}
}

// maxLearned bounds the topics that families have asked for.
const maxLearned = 8192

// listenersFor lists the families to be asked about a topic, the most exact first.
// A topic that one of them has learned of is that one's (owned): it comes first,
// and the others only speak for the sensors that are registered. They are asked,
// because anybody may describe a topic as his.
func (s *Set) listenersFor(reg *registry, at source) (all []*listener, owned bool) {
	s.learnedMu.RLock()
	owner := s.learned[at]
	s.learnedMu.RUnlock()
	owned = owner != nil && slices.Contains(reg.families[at.broker], owner)
	type candidate struct {
		l     *listener
		exact int
	}
	var few [8]candidate
	fit := few[:0]
	if owned {
		fit = append(fit, candidate{owner, math.MaxInt})
	}
	for _, l := range reg.likely(at) {
		if owned && l == owner {
			continue
		}
		if exact := l.match(at.topic); exact >= 0 {
			fit = append(fit, candidate{l, exact})
		}
	}
	slices.SortStableFunc(fit, func(a, b candidate) int { return cmp.Compare(b.exact, a.exact) })
	all = make([]*listener, len(fit))
	for i, c := range fit {
		all[i] = c.l
	}
	return all, owned
}

// learnTopics notes what a family wants to hear from now on, and subscribes to it
// where the broker is outside.
func (s *Set) learnTopics(l *listener, topics []string) {
	if len(topics) == 0 { // as with nearly every message
		return
	}
	var fresh []string
	s.learnedMu.Lock()
	for _, t := range topics {
		at := source{l.broker, t}
		if !broker.ValidTopic(t) || s.learned[at] == l {
			continue
		}
		if s.learned[at] == nil && len(s.learned) >= maxLearned {
			s.counts.unlearned.Add(1)
			continue
		}
		s.learned[at] = l
		fresh = append(fresh, t)
	}
	s.learnedMu.Unlock()
	if len(fresh) == 0 {
		return
	}
	s.mu.Lock()
	r := s.links[l.broker]
	s.mu.Unlock()
	if r != nil {
		r.link.Listen(fresh...)
	}
}

// recall lets the families remember what devices have said of themselves before the
// built-in broker was started again: not all of them say it anew. What it tells of
// now is no news and left out.
func (s *Set) recall(retained map[string][]byte) {
	reg := s.registry.Load()
	for topic, body := range retained {
		all, _ := s.listenersFor(reg, source{station.EmbeddedBroker, topic})
		for _, l := range all {
			res, err := l.decode(payload.Message{Topic: topic, Payload: body, Retained: true, Received: s.now()})
			if err == nil {
				s.learnTopics(l, res.Listen)
			}
		}
	}
}

// heard is what a message says, before it is known whose it is.
type heard struct {
	readings    []saying
	fault       error // why a family that should could not read it
	asked       bool  // that a family or a sensor listens there
	ignored     bool  // that a family knows it and it says nothing
	families    []string
	unsupported []string
	done        parts // that are stored, when it comes again
}

// parts is a set of the parts of a message; nearly all have only one.
type parts struct {
	few  uint64 // of the first 64
	more map[int]bool
}

func (p *parts) has(i int) bool {
	if i < 64 {
		return p.few>>i&1 == 1
	}
	return p.more[i]
}

func (p *parts) add(i int) {
	if i < 64 {
		p.few |= 1 << i
		return
	}
	if p.more == nil {
		p.more = map[int]bool{}
	}
	p.more[i] = true
}

// saying is one reading and whose word it is.
type saying struct {
	payload.Reading
	family string
	rank   int  // of the family among those that were asked
	aside  bool // the topic is another family's: it counts for registered sensors only
	// topic is where the device will report, when the message only describes it.
	topic string
}

// ask has a message read by the families that listen to it.
func (s *Set) ask(reg *registry, m *message) *heard {
	h := &heard{}
	all, owned := s.listenersFor(reg, source{m.broker, m.topic})
	for rank, l := range all {
		h.asked = true
		aside := owned && rank > 0
		res, err := l.decode(payload.Message{Topic: m.topic, Payload: m.payload, Retained: m.retained, Received: s.now()})
		s.publishRequests(l, res.Requests)
		s.learnTopics(l, res.Listen)
		h.unsupported = append(h.unsupported, res.Unsupported...)
		switch {
		case errors.Is(err, payload.ErrIgnored):
			h.ignored = h.ignored || h.fault == nil
			continue
		case err != nil && aside: // it is not for this family to understand it
			continue
		case err != nil:
			if h.fault == nil && !h.ignored { // the more exact family's word counts
				h.fault = fmt.Errorf("%s: %w", l.name, err)
			}
			continue
		}
		h.ignored = h.ignored || len(res.Readings) == 0
		h.families = append(h.families, l.name)
		for _, r := range res.Readings {
			said := saying{Reading: r, family: l.name, rank: rank, aside: aside}
			if len(r.Values) == 0 && r.Presence == "" && len(res.Listen) > 0 {
				said.topic = res.Listen[0]
			}
			h.readings = append(h.readings, said)
		}
	}
	return h
}

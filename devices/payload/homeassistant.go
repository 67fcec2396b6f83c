package payload

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"stationd/agent/station"
)

// Home Assistant discovery: devices describe themselves in retained messages
// below <prefix>/…/config, and then write to topics of their own choice. A session
// remembers the descriptions and asks for those topics (Result.Listen).
//
// Each entity (a smoke detector's "smoke", its "battery") is a field of its
// device. Of two smoke entities of one device each is a device of its own, via
// the device, because each may have a place. An availability topic that several
// devices share is a bridge.
//
// What Zigbee2MQTT announces is left to its own family, which knows more.

// FamilyHomeAssistant is its name.
const FamilyHomeAssistant = "homeassistant"

// What a session remembers at most; what is beyond is not heard, and is told of
// as unsupported.
const (
	maxEntities    = 8192
	maxConfig      = 64 << 10 // bytes of one description
	maxDeviceParts = 256      // entities in the description of a device
	maxSharers     = 256      // entities that read one topic
)

// NewHomeAssistant is the family of the devices that announce themselves below
// this prefix; empty means "homeassistant".
func NewHomeAssistant(prefix string) Family {
	if prefix == "" {
		prefix = FamilyHomeAssistant
	}
	return homeAssistant{prefix}
}

type homeAssistant struct{ prefix string }

func (homeAssistant) Name() string { return FamilyHomeAssistant }

func (h homeAssistant) Filters() []string {
	return []string{h.prefix + "/+/+/config", h.prefix + "/+/+/+/config"}
}

func (h homeAssistant) Open() Session {
	return &haSession{
		prefix: h.prefix, configs: map[string][]*haEntity{}, states: map[string][]*haEntity{},
		available: map[string][]*haEntity{}, devices: map[string]*haDevice{},
	}
}

type haSession struct {
	prefix    string
	configs   map[string][]*haEntity // by the topic of their description
	states    map[string][]*haEntity // by state topic
	available map[string][]*haEntity // by availability topic
	devices   map[string]*haDevice
	entities  int
}

// haDevice is what the entities of one device have in common.
type haDevice struct {
	about  Reading
	fields map[string]int    // how many entities have the field
	heard  map[string]string // availability topics: the last word
}

// Decode reads one message.
func (s *haSession) Decode(m Message) (Result, error) {
	if err := usable(m.Topic); err != nil {
		return Result{}, err
	}
	if rest, ok := strings.CutPrefix(m.Topic, s.prefix+"/"); ok {
		if place, ok := strings.CutSuffix(rest, "/config"); ok {
			return s.config(m.Topic, strings.Split(place, "/"), m.Payload)
		}
	}
	var res Result
	var faults []error
	states, available := s.states[m.Topic], s.available[m.Topic]
	if len(states)+len(available) == 0 {
		return res, ErrIgnored
	}
	scope, err := newJinjaScope(m.Payload)
	if err != nil {
		return res, fmt.Errorf("home assistant: %w", err)
	}
	if len(states) > 0 {
		res.Readings, faults = s.state(states, scope)
	}
	if len(available) > 0 {
		res.Readings = append(res.Readings, s.availability(m.Topic, available, scope)...)
	}
	switch {
	case len(res.Readings) > 0:
		return res, nil
	case len(faults) > 0:
		return res, faults[0]
	}
	return res, ErrIgnored
}

// config takes in a description; an empty one takes it back.
func (s *haSession) config(topic string, place []string, payload []byte) (Result, error) {
	if len(place) != 2 && len(place) != 3 {
		return Result{}, ErrIgnored
	}
	component, object := place[0], place[len(place)-1]
	node := ""
	if len(place) == 3 {
		node = place[1]
	}
	s.forget(topic)
	if len(strings.TrimSpace(string(payload))) == 0 {
		return Result{}, ErrIgnored
	}
	if len(payload) > maxConfig {
		return Result{}, fmt.Errorf("home assistant description: longer than %d KiB", maxConfig>>10)
	}
	var raw map[string]any
	if err := parseInto(payload, &raw); err != nil {
		return Result{}, fmt.Errorf("home assistant description: %w", err)
	}
	config := haSpell(raw, "")
	if origin, ok := config["origin"].(map[string]any); ok && textOf(origin["name"]) == "Zigbee2MQTT" {
		return Result{}, ErrIgnored
	}
	var res Result
	if component == "device" {
		parts, _ := config["components"].(map[string]any)
		for i, id := range slices.Sorted(maps.Keys(parts)) {
			part, _ := parts[id].(map[string]any)
			if len(part) < 2 || i >= maxDeviceParts { // with its platform alone it is taken back
				continue
			}
			whole := haSpell(part, textOf(raw["~"]))
			for _, shared := range []string{"device", "availability", "availability_topic", "availability_mode", "payload_available", "payload_not_available", "availability_template", "state_topic"} {
				if _, own := whole[shared]; !own && config[shared] != nil {
					whole[shared] = config[shared]
				}
			}
			s.add(topic, textOf(whole["platform"]), object, id, whole, &res)
		}
	} else {
		if node == "" {
			node = object
		}
		s.add(topic, component, node, object, config, &res)
	}
	if len(res.Readings)+len(res.Listen)+len(res.Unsupported) == 0 {
		return res, ErrIgnored
	}
	return res, nil
}

// add takes in one entity.
func (s *haSession) add(topic, component, node, object string, config map[string]any, res *Result) {
	if component != "binary_sensor" && component != "sensor" && component != "event" && component != "device_automation" {
		return // it reports nothing that can alarm: a lamp, an update
	}
	unsupported := func(format string, args ...any) {
		if len(res.Unsupported) < 16 {
			res.Unsupported = append(res.Unsupported, clip(component+" "+object+": "+fmt.Sprintf(format, args...)))
		}
	}
	if s.entities >= maxEntities {
		unsupported("more than %d entities", maxEntities)
		return
	}
	e, err := newHAEntity(component, object, config)
	if err != nil {
		unsupported("%v", err)
		return
	}
	if len(s.states[e.state]) >= maxSharers {
		unsupported("more than %d entities read one topic", maxSharers)
		return
	}
	about := haAbout(config, node)
	if about.Device == "" {
		unsupported("it does not tell whose it is")
		return
	}
	d := s.devices[about.Device]
	if d == nil {
		d = &haDevice{fields: map[string]int{}, heard: map[string]string{}}
		s.devices[about.Device] = d
	}
	if d.about.Device == "" || about.Model != "" || about.Name != about.Device {
		power, interval := d.about.Power, d.about.Interval
		d.about = about
		d.about.Power, d.about.Interval = power, interval
	}
	if e.field == FieldBattery || e.field == FieldBatteryLow {
		d.about.Power = station.PowerBattery
	}
	if e.expire > 0 && (d.about.Interval == 0 || e.expire < d.about.Interval) {
		d.about.Interval = e.expire
	}
	e.device = d
	d.fields[e.field]++
	s.entities++
	s.configs[topic] = append(s.configs[topic], e)
	listen := func(to map[string][]*haEntity, topic string) {
		if len(to[topic]) == 0 && !slices.Contains(res.Listen, topic) {
			res.Listen = append(res.Listen, topic)
		}
		to[topic] = append(to[topic], e)
	}
	listen(s.states, e.state)
	for _, a := range e.availability {
		listen(s.available, a.topic)
	}
	if len(res.Readings) == 0 || res.Readings[len(res.Readings)-1].Device != d.about.Device {
		res.Readings = append(res.Readings, s.describe(d))
	} else {
		res.Readings[len(res.Readings)-1] = s.describe(d)
	}
}

// describe is what is known of a device, without any value.
func (s *haSession) describe(d *haDevice) Reading {
	r := d.about
	fields := map[string]station.Value{}
	for field, n := range d.fields {
		if n > 0 {
			fields[field] = true
		}
	}
	r.Class = classOf(fields)
	return r
}

// forget takes back what a description has brought.
func (s *haSession) forget(topic string) {
	for _, e := range s.configs[topic] {
		s.entities--
		if e.device.fields[e.field]--; e.device.fields[e.field] <= 0 {
			delete(e.device.fields, e.field)
		}
		if len(e.device.fields) == 0 {
			delete(s.devices, e.device.about.Device)
		}
		drop := func(from map[string][]*haEntity, topic string) {
			if from[topic] = slices.DeleteFunc(from[topic], func(x *haEntity) bool { return x == e }); len(from[topic]) == 0 {
				delete(from, topic)
			}
		}
		drop(s.states, e.state)
		for _, a := range e.availability {
			drop(s.available, a.topic)
		}
	}
	delete(s.configs, topic)
}

// state reads a message on a state topic for all the entities that look at it.
func (s *haSession) state(entities []*haEntity, scope jinjaScope) ([]Reading, []error) {
	var readings []Reading
	var faults []error
	at := map[string]int{}
	for _, e := range entities {
		v, ok, err := e.read(scope)
		if err != nil {
			faults = append(faults, fmt.Errorf("home assistant %s: %w", clip(e.object), err))
		}
		if !ok {
			continue
		}
		r, field := s.begin(e)
		i, there := at[r.Device]
		if !there {
			if len(readings) >= MaxReadings {
				break
			}
			i = len(readings)
			at[r.Device] = i
			readings = append(readings, r)
		}
		switch {
		case e.component == "event" || e.component == "device_automation":
			readings[i].pressed(textOf(v))
		case e.passing && v == true:
			readings[i].event(field, v)
		default:
			readings[i].set(field, v)
		}
		readings[i].Class = classOf(readings[i].Values)
	}
	return readings, faults
}

// begin is the reading that the entity's value belongs into, and under which name.
func (s *haSession) begin(e *haEntity) (Reading, string) {
	r, field := e.device.about, e.field
	if r.Via == "" {
		r.Via = s.bridgeOf(e)
	}
	if e.device.fields[field] < 2 {
		return r, field
	}
	if yesOrNo(field) {
		r.Via, r.Device, r.Name = r.Device, clip(r.Device+"/"+e.object), clip(r.Name+" "+e.label)
		return r, field
	}
	return r, field + "_" + snake(e.object)
}

// bridgeOf is the bridge that stands behind an availability topic which devices
// share; empty when there is none.
func (s *haSession) bridgeOf(e *haEntity) string {
	for _, a := range e.availability {
		if s.shared(a.topic) {
			return clip(a.topic)
		}
	}
	return ""
}

func (s *haSession) shared(topic string) bool {
	entities := s.available[topic]
	return slices.ContainsFunc(entities, func(e *haEntity) bool { return e.device != entities[0].device })
}

// availability reads a message on an availability topic.
func (s *haSession) availability(topic string, entities []*haEntity, scope jinjaScope) []Reading {
	if s.shared(topic) {
		for _, e := range entities {
			if p := e.presence(topic, scope); p != "" {
				bridge := Reading{Device: clip(topic), Name: clip(topic), Presence: p, Bridge: true, Class: station.ClassOther}
				if via := e.device.about.Via; via != "" {
					bridge.Device, bridge.Name = via, via
				}
				return []Reading{bridge}
			}
		}
		return nil
	}
	for _, e := range entities {
		p := e.presence(topic, scope)
		if p == "" {
			continue
		}
		d := e.device
		d.heard[topic] = string(p)
		r := d.about
		if r.Presence = e.together(d.heard, p); r.Presence == "" {
			continue
		}
		return []Reading{r}
	}
	return nil
}

// haAbout is what a description tells of its device.
func haAbout(config map[string]any, node string) Reading {
	device, _ := config["device"].(map[string]any)
	r := Reading{Device: clip(haFirst(device["identifiers"]))}
	if r.Device == "" {
		if pairs, ok := device["connections"].([]any); ok && len(pairs) > 0 {
			if pair, ok := pairs[0].([]any); ok && len(pair) == 2 {
				r.Device = clip(textOf(pair[1]))
			}
		}
	}
	if r.Device == "" {
		r.Device = clip(node)
	}
	r.Name = clip(textOf(device["name"]))
	if r.Name == "" {
		r.Name = r.Device
	}
	r.Maker, r.Model = clip(textOf(device["manufacturer"])), clip(textOf(device["model"]))
	r.Firmware, r.Via = clip(textOf(device["sw_version"])), clip(textOf(device["via_device"]))
	if r.Via == r.Device {
		r.Via = ""
	}
	return r
}

// haFirst is a text, or the first of a list of them.
func haFirst(v any) string {
	if list, ok := v.([]any); ok && len(list) > 0 {
		return textOf(list[0])
	}
	return textOf(v)
}

// haSeconds is a span in seconds.
func haSeconds(v any) time.Duration {
	f, ok := toNumber(v)
	if !ok || f <= 0 || f > 1e7 {
		return 0
	}
	return time.Duration(f * float64(time.Second))
}

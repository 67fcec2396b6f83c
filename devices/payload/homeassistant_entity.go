package payload

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"stationd/agent/station"
)

// haEntity is one entity: where its state is written and what it means.
type haEntity struct {
	component, object, label string
	field                    string
	device                   *haDevice
	state                    string
	value                    *template
	on, off                  string
	match                    string // device_automation: the payload that means it
	action                   string
	fahrenheit               bool
	passing                  bool // nothing will say when it is over
	expire                   time.Duration
	availability             []haAvailability
	mode                     string
}

type haAvailability struct {
	topic                   string
	available, notAvailable string
	value                   *template
}

func newHAEntity(component, object string, config map[string]any) (*haEntity, error) {
	e := &haEntity{
		component: component, object: object, label: textOf(config["name"]), on: "ON", off: "OFF",
		expire: haSeconds(config["expire_after"]), mode: textOf(config["availability_mode"]),
	}
	if id := textOf(config["object_id"]); id != "" && component != "device_automation" {
		e.object = id
	}
	if e.label == "" {
		e.label = e.object
	}
	e.state = textOf(config["state_topic"])
	if component == "device_automation" {
		if textOf(config["automation_type"]) != "trigger" {
			return nil, errors.New("only triggers are supported")
		}
		e.state, e.match = textOf(config["topic"]), textOf(config["payload"])
		e.action = textOf(config["type"])
		if sub := textOf(config["subtype"]); sub != "" && e.action != "action" {
			e.action += "_" + sub
		} else if sub != "" {
			e.action = sub
		}
	}
	if e.state == "" || strings.ContainsAny(e.state, "+#") {
		return nil, errors.New("it has no state topic")
	}
	var err error
	if e.value, err = haTemplate(config["value_template"]); err != nil {
		return nil, err
	}
	if v, ok := config["payload_on"]; ok {
		e.on = jinjaText(v)
	}
	if v, ok := config["payload_off"]; ok {
		e.off = jinjaText(v)
	}
	e.passing = haSeconds(config["off_delay"]) > 0
	class := textOf(config["device_class"])
	e.fahrenheit = class == "temperature" && strings.HasSuffix(textOf(config["unit_of_measurement"]), "F")
	e.field = haField(component, class, e.object, object)
	return e, e.readAvailability(config)
}

func haTemplate(v any) (*template, error) {
	text := textOf(v)
	if text == "" {
		return nil, nil
	}
	t, err := parseTemplate(text)
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", clip(text), err)
	}
	return &t, nil
}

func (e *haEntity) readAvailability(config map[string]any) error {
	add := func(topic string, from map[string]any, template string) error {
		if topic == "" || strings.ContainsAny(topic, "+#") || len(e.availability) >= 8 {
			return nil
		}
		a := haAvailability{topic: topic, available: "online", notAvailable: "offline"}
		if v, ok := from["payload_available"]; ok {
			a.available = jinjaText(v)
		}
		if v, ok := from["payload_not_available"]; ok {
			a.notAvailable = jinjaText(v)
		}
		var err error
		a.value, err = haTemplate(from[template])
		e.availability = append(e.availability, a)
		return err
	}
	faults := []error{add(textOf(config["availability_topic"]), config, "availability_template")}
	list, _ := config["availability"].([]any)
	if one, ok := config["availability"].(map[string]any); ok {
		list = []any{one}
	}
	for _, item := range list {
		if object, ok := item.(map[string]any); ok {
			faults = append(faults, add(textOf(object["topic"]), object, "value_template"))
		}
	}
	return errors.Join(faults...)
}

// haField is our name for what an entity reports. A sensor's "gas" and "water" are
// meters, not alarms.
func haField(component, class, object, place string) string {
	if component == "event" || component == "device_automation" {
		return FieldAction
	}
	name := snake(object)
	if name == "" {
		name = snake(place)
	}
	if component == "sensor" {
		switch class {
		case "temperature", "humidity", "battery":
			return class
		case "signal_strength":
			return FieldLink
		}
		if yesOrNo(name) || name == "" {
			name += "_value"
		}
		return name
	}
	switch class {
	case "smoke", "gas", "tamper", "vibration", "motion", "door":
		return class
	case "carbon_monoxide":
		return station.ClassGas
	case "moisture":
		return station.ClassWater
	case "window", "garage_door", "opening":
		return station.ClassDoor
	case "occupancy", "presence", "moving":
		return station.ClassMotion
	case "battery":
		return FieldBatteryLow
	case "":
		if field, _ := fieldOfWords(place); field != "" {
			return field
		}
		if field, _ := fieldOfWords(object); field != "" {
			return field
		}
	}
	return name
}

// read is the entity's value in a state message; false when it has none now.
func (e *haEntity) read(scope jinjaScope) (station.Value, bool, error) {
	text := strings.TrimSpace(scope.value)
	if e.value != nil {
		var err error
		if text, err = e.value.write(scope); err != nil {
			return nil, false, err
		}
	}
	if text == "" || text == "None" || text == "unavailable" || text == "unknown" || len(text) > maxTemplateText {
		return nil, false, nil
	}
	text = strings.ToValidUTF8(text, "�")
	switch e.component {
	case "binary_sensor":
		switch text {
		case e.on:
			return true, true, nil
		case e.off:
			return false, true, nil
		}
		return nil, false, fmt.Errorf("neither %q nor %q: %q", clip(e.on), clip(e.off), clip(text))
	case "device_automation":
		if e.match != "" && text != e.match {
			return nil, false, nil
		}
		return clip(e.action), e.action != "", nil
	case "event":
		root, err := parse([]byte(text))
		if err != nil {
			return nil, false, fmt.Errorf("an event that is no JSON: %w", err)
		}
		kind, _ := member(root, "event_type")
		return clip(textOf(kind)), textOf(kind) != "", nil
	}
	v := bareValue([]byte(text))
	out, ok := scalar(v)
	if f, isNumber := out.(float64); isNumber && e.fahrenheit {
		out = rounded((f - 32) * 5 / 9)
	}
	return out, ok, nil
}

// presence is what a message on an availability topic says; empty is nothing.
func (e *haEntity) presence(topic string, scope jinjaScope) Presence {
	for _, a := range e.availability {
		if a.topic != topic {
			continue
		}
		text := strings.TrimSpace(scope.value)
		if a.value != nil {
			var err error
			if text, err = a.value.write(scope); err != nil {
				return ""
			}
		}
		switch text {
		case a.available:
			return Online
		case a.notAvailable:
			return Offline
		}
	}
	return ""
}

// together joins what several availability topics say: all of them must be there,
// any, or the last word counts.
func (e *haEntity) together(heard map[string]string, last Presence) Presence {
	if e.mode != "all" && e.mode != "any" || len(e.availability) < 2 {
		return last
	}
	var said []Presence
	for _, a := range e.availability {
		said = append(said, Presence(heard[a.topic]))
	}
	decides, otherwise := Offline, Online
	if e.mode == "any" {
		decides, otherwise = Online, Offline
	}
	switch {
	case slices.Contains(said, decides):
		return decides
	case slices.Contains(said, ""): // not all of them are known
		return ""
	}
	return otherwise
}

// haSpell writes out the abbreviations of a description and puts the base topic,
// its own or that of the whole, in the place of "~".
func haSpell(raw map[string]any, base string) map[string]any {
	if own := textOf(raw["~"]); own != "" {
		base = own
	}
	out := make(map[string]any, len(raw))
	for key, v := range raw {
		if long, ok := haAbbreviations[key]; ok {
			key = long
		}
		switch key {
		case "~":
			continue
		case "device", "origin":
			if object, ok := v.(map[string]any); ok {
				v = haSpellDevice(object)
			}
		case "availability":
			v = haSpellList(v, base)
		}
		if text, ok := v.(string); ok && base != "" && strings.HasSuffix(key, "topic") {
			v = haBase(text, base)
		}
		out[key] = v
	}
	return out
}

func haBase(topic, base string) string {
	switch {
	case strings.HasPrefix(topic, "~"):
		return base + topic[1:]
	case strings.HasSuffix(topic, "~"):
		return topic[:len(topic)-1] + base
	}
	return topic
}

func haSpellList(v any, base string) any {
	list, ok := v.([]any)
	if one, single := v.(map[string]any); single {
		list, ok = []any{one}, true
	}
	if !ok {
		return v
	}
	var out []any
	for _, item := range list {
		object, ok := item.(map[string]any)
		if !ok {
			continue
		}
		long := map[string]any{}
		for key, v := range object {
			if name, ok := haAbbreviations[key]; ok {
				key = name
			}
			if text, ok := v.(string); ok && key == "topic" && base != "" {
				v = haBase(text, base)
			}
			long[key] = v
		}
		out = append(out, long)
	}
	return out
}

func haSpellDevice(object map[string]any) map[string]any {
	out := make(map[string]any, len(object))
	for key, v := range object {
		if long, ok := haDeviceAbbreviations[key]; ok {
			key = long
		}
		out[key] = v
	}
	return out
}

// haAbbreviations are those of the keys that are used here.
var haAbbreviations = map[string]string{
	"stat_t": "state_topic", "val_tpl": "value_template", "dev_cla": "device_class", "unit_of_meas": "unit_of_measurement",
	"pl_on": "payload_on", "pl_off": "payload_off", "off_dly": "off_delay", "exp_aft": "expire_after", "obj_id": "object_id",
	"uniq_id": "unique_id", "avty": "availability", "avty_t": "availability_topic", "avty_tpl": "availability_template",
	"avty_mode": "availability_mode", "pl_avail": "payload_available", "pl_not_avail": "payload_not_available",
	"dev": "device", "o": "origin", "cmps": "components", "p": "platform", "t": "topic", "pl": "payload",
	"atype": "automation_type", "stype": "subtype", "ent_cat": "entity_category", "evt_typ": "event_types", "def_ent_id": "default_entity_id",
}

var haDeviceAbbreviations = map[string]string{
	"ids": "identifiers", "cns": "connections", "mf": "manufacturer", "mdl": "model", "sw": "sw_version",
	"hw": "hw_version", "sn": "serial_number", "mdl_id": "model_id",
}

package payload

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"stationd/agent/station"
)

// Mapping is a family that is told by a mapping file: which topics it has, and
// where in their payloads what is found. docs/families.md describes the file. It
// remembers nothing, so that it is its own Session.
type Mapping struct {
	name, title, source string
	messages            []*messageMap
}

// Title is the family's name for people.
func (m *Mapping) Title() string { return m.title }

// Source is the address of the format's public documentation.
func (m *Mapping) Source() string { return m.source }

// Name is as in station.SensorSource.
func (m *Mapping) Name() string { return m.name }

// Filters are the MQTT topic filters of its messages.
func (m *Mapping) Filters() []string {
	var filters []string
	for _, kind := range m.messages {
		for _, t := range kind.topics {
			if f := t.filter(); !slices.Contains(filters, f) {
				filters = append(filters, f)
			}
		}
	}
	return filters
}

// Open returns the mapping itself.
func (m *Mapping) Open() Session { return m }

// messageMap is how one kind of message is read.
type messageMap struct {
	topics []topicPattern
	when   conditions
	kind   messageKind
	format payloadFormat
	unpack []dataPath
	each   *dataPath
	// goOn lets the kinds of message below this one read the message too.
	goOn bool

	device, label, via, serial, maker, model, firmware phrases

	fields  []*fieldMap
	others  []*otherFields
	class   []classRule
	instant *timeMap
	backlog conditions
	always  bool // backlog: always

	presence        Presence // fixed
	presenceAt      *fieldMap
	online, offline []string
	bridge          bool

	power    station.Power
	interval time.Duration
	every    *fieldMap // interval, in seconds
}

type messageKind string

// The kinds of message.
const (
	kindReading  messageKind = "reading"  // values
	kindPresence messageKind = "presence" // whether it is there
	kindBirth    messageKind = "birth"    // it has come, and what it is
	kindAbout    messageKind = "about"    // what it is
	kindIgnored  messageKind = "ignored"
)

type payloadFormat string

// The formats.
const (
	formatJSON  payloadFormat = "json"
	formatText  payloadFormat = "text"
	formatPairs payloadFormat = "pairs"
)

// maxMappedPayload bounds what a mapping is asked to read.
const maxMappedPayload = 1 << 20

// Decode reads one message by the first of the kinds of message that fits it.
func (m *Mapping) Decode(msg Message) (Result, error) {
	if err := usable(msg.Topic); err != nil {
		return Result{}, err
	}
	var res Result
	var faults []error
	formats := map[payloadFormat]any{} // read once, however many kinds look at it
	fits, readable := false, false
	for _, kind := range m.messages {
		names, ok := kind.match(msg.Topic)
		if !ok {
			continue
		}
		if kind.kind == kindIgnored && len(kind.when) == 0 {
			break // what those above have read, or could not read, stands
		}
		if len(strings.TrimSpace(string(msg.Payload))) == 0 && kind.format == formatJSON {
			return res, ErrIgnored // a retained message was deleted
		}
		root, ok := formats[kind.format]
		if !ok {
			var err error
			if root, err = kind.format.read(msg.Payload); err != nil {
				root = err
				faults = append(faults, err)
			} else {
				readable = true
			}
			formats[kind.format] = root
		}
		if _, failed := root.(error); failed {
			continue
		}
		budget := stepBudget
		if len(kind.unpack) > 0 {
			root = unpack(root, kind.unpack)
		}
		from := place{root: root, at: root, names: names, budget: &budget}
		if !kind.when.hold(from) {
			continue
		}
		fits = true
		if kind.kind == kindIgnored {
			break
		}
		if err := kind.read(from, &res); err != nil {
			faults = append(faults, err)
		}
		if !kind.goOn {
			break
		}
	}
	switch {
	case len(res.Readings) > 0:
		return res, nil
	case len(faults) > 0 && (fits || !readable):
		return res, fmt.Errorf("%s: %w", m.name, errors.Join(faults...))
	}
	return res, ErrIgnored
}

func (k *messageMap) match(topic string) (map[string]string, bool) {
	for _, t := range k.topics {
		if names, ok := t.match(topic); ok {
			return names, true
		}
	}
	return nil, false
}

// read is the payload in the form that paths lead through.
func (f payloadFormat) read(payload []byte) (any, error) {
	if len(payload) > maxMappedPayload {
		return nil, fmt.Errorf("the payload is longer than %d KiB", maxMappedPayload>>10)
	}
	switch f {
	case formatText:
		return bareValue(payload), nil
	case formatPairs:
		found, ok := pairs(payload)
		if !ok {
			return nil, errors.New("the payload has no pairs of names and values")
		}
		return found, nil
	}
	return parse(payload)
}

// unpack replaces texts that hold JSON by what they hold. The payload is not
// changed: what is on the way is copied.
func unpack(root any, paths []dataPath) any {
	for _, p := range paths {
		root = unpackAt(root, p.steps)
	}
	return root
}

func unpackAt(v any, steps []pathStep) any {
	if len(steps) == 0 {
		text, ok := v.(string)
		if !ok {
			return v
		}
		inner, err := parse([]byte(text))
		if err != nil {
			return v // a text like any other
		}
		return inner
	}
	object, ok := v.(map[string]any)
	if !ok || steps[0].kind != stepKey {
		return v
	}
	old, ok := object[steps[0].key]
	if !ok {
		return v
	}
	copied := make(map[string]any, len(object))
	for k, x := range object {
		copied[k] = x
	}
	copied[steps[0].key] = unpackAt(old, steps[1:])
	return copied
}

// read adds what the message says to res.
func (k *messageMap) read(from place, res *Result) error {
	if k.each == nil {
		return k.one(from, res)
	}
	var faults []error
	left := 0
	k.each.visit(from, func(v any, names map[string]string) bool {
		inner := from
		inner.at, inner.names = v, names
		var one Result
		if err := k.one(inner, &one); err != nil && len(faults) < 3 {
			faults = append(faults, err)
		}
		for _, r := range one.Readings {
			if !res.take(r) {
				left++
			}
		}
		return true
	})
	if left > 0 {
		res.Unsupported = append(res.Unsupported, fmt.Sprintf("more than %d readings in one message: %d are left out", MaxReadings, left))
	}
	if *from.budget < 0 {
		faults = append(faults, errors.New("the payload holds too much to be read"))
	}
	return errors.Join(faults...)
}

// take adds a reading, if there is room. A call for help has it: the last reading
// that is none gives way. False is that one was left out.
func (res *Result) take(r Reading) bool {
	if len(res.Readings) < MaxReadings {
		res.Readings = append(res.Readings, r)
		return true
	}
	if !r.callsForHelp() {
		return false
	}
	for i, old := range slices.Backward(res.Readings) {
		if !old.callsForHelp() {
			res.Readings = append(slices.Delete(res.Readings, i, i+1), r)
			return false
		}
	}
	return false
}

// callsForHelp tells whether a reading says that people may be in danger.
func (r Reading) callsForHelp() bool {
	for _, field := range []string{station.ClassSmoke, station.ClassGas, station.ClassWater, station.ClassSOS} {
		if r.Values[field] == true {
			return true
		}
	}
	return false
}

// one reads one element.
func (k *messageMap) one(from place, res *Result) error {
	r := Reading{
		Device: k.device.write(from), Via: k.via.write(from), Serial: k.serial.write(from), Name: k.label.write(from),
		Maker: k.maker.write(from), Model: k.model.write(from), Firmware: k.firmware.write(from),
		Bridge: k.bridge, Power: k.power, Interval: k.interval,
	}
	if r.Device == "" {
		return errors.New("the message does not tell whose it is")
	}
	if r.Via == r.Device {
		r.Via = ""
	}
	if k.every != nil {
		if v, ok := k.every.read(from); ok {
			if seconds, ok := v.(float64); ok && seconds > 0 && seconds < 1e7 {
				r.Interval = time.Duration(seconds * float64(time.Second))
			}
		}
	}
	if k.instant != nil {
		r.DeviceTime = k.instant.read(from)
	}
	r.Backlog = k.always || len(k.backlog) > 0 && k.backlog.hold(from)
	switch k.kind {
	case kindBirth:
		r.Presence = Online
	case kindPresence:
		p, err := k.presenceOf(from)
		if err != nil {
			return err
		}
		r.Presence = p
	}
	k.values(from, &r)
	if k.kind == kindReading && len(r.Values) == 0 {
		return nil
	}
	r.Class = proposeClass(k.class, r)
	res.Readings = append(res.Readings, r)
	return nil
}

func (k *messageMap) values(from place, r *Reading) {
	if len(k.fields) == 0 && len(k.others) == 0 {
		return
	}
	r.Values = make(map[string]station.Value, len(k.fields))
	for _, f := range k.fields {
		v, ok := f.read(from)
		if !ok {
			continue
		}
		// A field may be described in several ways; the first that is there counts.
		if _, twice := r.Values[f.name]; twice || len(r.Values) >= MaxFields && !essential(f.name) {
			continue
		}
		r.Values[f.name] = v
		if f.event {
			r.Events = append(r.Events, f.name)
		}
	}
	for _, o := range k.others {
		o.read(from, r)
	}
	if len(r.Values) == 0 {
		r.Values = nil
	}
}

// presenceOf reads whether the device is there.
func (k *messageMap) presenceOf(from place) (Presence, error) {
	if k.presence != "" {
		return k.presence, nil
	}
	v, _ := k.presenceAt.raw(from)
	text := strings.ToLower(strings.TrimSpace(textOf(v)))
	switch {
	case text == "":
		return "", ErrIgnored
	case slices.Contains(k.online, text):
		return Online, nil
	case slices.Contains(k.offline, text):
		return Offline, nil
	}
	return "", fmt.Errorf("neither online nor offline: %q", clip(text))
}

// conditions must all hold.
type conditions []condition

type condition struct {
	capture string
	path    dataPath
	words   []string // one of these
	prefix  string
	exists  *bool
}

func (cs conditions) hold(from place) bool {
	for _, c := range cs {
		if !c.holds(from) {
			return false
		}
	}
	return true
}

func (c condition) holds(from place) bool {
	fits := func(v any) bool {
		if c.exists != nil {
			return v != nil
		}
		text := textOf(v)
		switch v.(type) {
		case string, bool, float64, json.Number:
		default:
			return false
		}
		return slices.Contains(c.words, text) || c.prefix != "" && strings.HasPrefix(text, c.prefix)
	}
	found := false
	if c.capture != "" {
		text, ok := from.names[c.capture]
		found = ok && fits(text)
	} else {
		c.path.visit(from, func(v any, _ map[string]string) bool {
			found = fits(v)
			return !found
		})
	}
	if c.exists != nil {
		return found == *c.exists
	}
	return found
}

// classRule proposes a class for a reading with one of the fields, of one of the
// models.
type classRule struct {
	class  string
	fields []string
	models []string // beginnings
}

// proposeClass is the class of the first rule that fits, or else what the fields
// tell.
func proposeClass(rules []classRule, r Reading) string {
	for _, rule := range rules {
		has := len(rule.fields) == 0 || slices.ContainsFunc(rule.fields, func(f string) bool { _, ok := r.Values[f]; return ok })
		is := len(rule.models) == 0 || slices.ContainsFunc(rule.models, func(m string) bool { return strings.HasPrefix(r.Model, m) })
		if has && is {
			return rule.class
		}
	}
	return classOf(r.Values)
}

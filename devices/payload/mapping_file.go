package payload

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"stationd/agent/station"
)

// A mapping file is either a family ("family: chirpstack") or a set of fields
// ("set: milesight") that families take in at a place of theirs ("include:
// {milesight: object}").

// What a mapping file holds at most.
const (
	maxMessages  = 64
	maxMapFields = 256
)

// fieldSet is a table of fields that several families share.
type fieldSet struct {
	name   string
	fields []*fieldMap
	others []*otherFields
	class  []classRule
}

// ParseMapping reads a mapping file that is complete in itself; the mapping is
// nil when it cannot be used.
func ParseMapping(file string, text []byte) (*Mapping, []Problem) {
	f := parseMappingFile(file, text)
	m := f.link(nil)
	return m, f.problems
}

// mappingFile is a file that was read and is not yet joined to the sets that it
// includes.
type mappingFile struct {
	yamlReader
	mapping  *Mapping  // one of these two, unless the file cannot be used
	set      *fieldSet //
	includes []inclusion
	head     messageMap // what holds for all messages
}

type inclusion struct {
	message *messageMap
	set     string
	at      dataPath
	node    ast.Node
}

func parseMappingFile(file string, text []byte) *mappingFile {
	f := &mappingFile{yamlReader: yamlReader{file: file}}
	body := f.document(text)
	if body == nil {
		return f
	}
	isSet := false
	if _, ok := body.(ast.MapNode); ok {
		f.entries(body, "the file", func(key string, _, _ ast.Node) { isSet = isSet || key == "set" })
	}
	if isSet {
		f.readSet(body)
	} else {
		f.readFamily(body)
	}
	if len(f.problems) > 0 {
		f.mapping, f.set = nil, nil
	}
	return f
}

// link takes in the sets; the mapping is nil when it cannot be used.
func (f *mappingFile) link(sets map[string]*fieldSet) *Mapping {
	if f.mapping == nil {
		if f.set != nil && sets == nil {
			f.fault(nil, "this is no family; it is taken in by one", "the file holds a set of fields only")
		}
		return nil
	}
	for _, inc := range f.includes {
		set := sets[inc.set]
		if set == nil {
			f.fault(inc.node, "drop the file that holds it, or correct the name", "there is no set of fields %q", inc.set)
			continue
		}
		m := inc.message
		own := slices.Clone(m.fields)
		for _, field := range set.fields {
			if slices.ContainsFunc(own, func(f *fieldMap) bool { return f.name == field.name }) {
				continue // the family says itself where it is
			}
			m.fields = append(m.fields, field.under(inc.at))
		}
		for _, o := range set.others {
			moved := *o
			moved.path = o.path.under(inc.at)
			m.others = append(m.others, &moved)
		}
		m.class = append(m.class, set.class...)
	}
	if len(f.problems) > 0 {
		return nil
	}
	return f.mapping
}

// under is the path moved below another.
func (p dataPath) under(base dataPath) dataPath {
	if p.root {
		return p
	}
	return dataPath{root: base.root, steps: append(slices.Clone(base.steps), p.steps...)}
}

func (f *fieldMap) under(base dataPath) *fieldMap {
	moved := *f
	moved.paths = nil
	for _, p := range f.paths {
		moved.paths = append(moved.paths, p.under(base))
	}
	moved.when = nil
	for _, c := range f.when {
		if c.capture == "" {
			c.path = c.path.under(base)
		}
		moved.when = append(moved.when, c)
	}
	return &moved
}

func (f *mappingFile) readSet(body ast.Node) {
	f.set = &fieldSet{}
	f.object(body, "a set of fields", keys{
		"set":    func(n ast.Node) { f.set.name = f.name(n) },
		"title":  func(n ast.Node) { f.text(n) },
		"source": func(n ast.Node) { f.texts(n) },
		"fields": func(n ast.Node) { f.set.fields = f.fields(n) },
		"others": func(n ast.Node) { f.set.others = f.others(n) },
		"class":  func(n ast.Node) { f.set.class = f.classes(n) },
	}, "set", "fields")
}

// name is a family's or a set's name.
func (f *mappingFile) name(n ast.Node) string {
	name := f.text(n)
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') || len(name) > 40 {
			f.fault(n, "write it in small letters, digits and dashes, 40 at most", "%q cannot be a name", clip(name))
			break
		}
	}
	return name
}

func (f *mappingFile) readFamily(body ast.Node) {
	m := &Mapping{}
	f.mapping = m
	var messages ast.Node
	known := f.messageKeys(&f.head)
	for _, own := range []string{"topic", "when", "kind", "format", "unpack", "each", "continue", "include", "presence", "online", "offline", "path"} {
		delete(known, own) // of one message only
	}
	maps.Copy(known, keys{
		"family":   func(n ast.Node) { m.name = f.name(n) },
		"title":    func(n ast.Node) { m.title = f.text(n) },
		"source":   func(n ast.Node) { m.source = strings.Join(f.texts(n), " ") },
		"messages": func(n ast.Node) { messages = n },
	})
	f.object(body, "a family", known, "family", "messages")
	m.title = cmp.Or(m.title, m.name)
	if messages == nil {
		return
	}
	if _, ok := messages.(*ast.SequenceNode); !ok {
		f.fault(messages, "write one message a dash", "messages must be a list")
		return
	}
	f.list(messages, func(n ast.Node) {
		if len(m.messages) == maxMessages {
			f.fault(n, "put some of them into another family", "there are more than %d messages", maxMessages)
			return
		}
		m.messages = append(m.messages, f.message(n))
	})
	if len(m.messages) == 0 {
		f.fault(messages, "describe at least one kind of message", "the family has no messages")
	}
}

// message reads one kind of message. It begins with what holds for all of them.
func (f *mappingFile) message(n ast.Node) *messageMap {
	k := f.head
	k.kind, k.format = kindReading, formatJSON
	k.fields, k.others, k.class = slices.Clone(k.fields), slices.Clone(k.others), slices.Clone(k.class)
	f.object(n, "a message", f.messageKeys(&k), "topic")
	if len(k.online) == 0 {
		k.online = []string{"online", "true", "1", "connected", "alive"}
	}
	if len(k.offline) == 0 {
		k.offline = []string{"offline", "false", "0", "disconnected", "lost"}
	}
	f.checkMessage(n, &k)
	return &k
}

// checkMessage finds what is well-formed and cannot work.
func (f *mappingFile) checkMessage(n ast.Node, k *messageMap) {
	if k.kind == kindIgnored {
		return
	}
	var known []string
	for i, t := range k.topics {
		names := t.captures()
		if i == 0 {
			known = names
		}
		known = slices.DeleteFunc(known, func(name string) bool { return !slices.Contains(names, name) })
	}
	if k.each != nil {
		known = append(known, k.each.captures()...)
	}
	if len(k.device) == 0 && slices.Contains(known, "device") {
		k.device = phrases{{parts: []phrasePart{{capture: "device"}}}}
	}
	if len(k.device) == 0 {
		f.fault(n, "add device:, or name a level of the topic {device}", "the message does not tell whose it is")
	}
	told := []phrases{k.device, k.label, k.via, k.serial, k.maker, k.model, k.firmware}
	for _, o := range k.others {
		told = append(told, o.as)
	}
	for _, ps := range told {
		for _, name := range ps.captures() {
			if !slices.Contains(known, name) {
				f.fault(n, "name a level of the topic so, or write {.path} for a path", "nothing is called {%s}", name)
			}
		}
	}
	if k.kind == kindReading && len(k.fields) == 0 && len(k.others) == 0 && !slices.ContainsFunc(f.includes, func(i inclusion) bool { return i.message == k }) {
		f.fault(n, "add fields:, or kind: ignored", "the message is a reading without fields")
	}
	f.checkConditions(n, k, known)
	if len(k.fields) > maxMapFields {
		f.fault(n, "leave out what nobody asks for", "there are more than %d fields", maxMapFields)
	}
}

// checkConditions finds names in conditions that nothing defines.
func (f *mappingFile) checkConditions(n ast.Node, k *messageMap, known []string) {
	all := slices.Concat(k.when, k.backlog)
	for _, field := range k.fields {
		all = append(all, field.when...)
	}
	for _, c := range all {
		if c.capture != "" && !slices.Contains(known, c.capture) {
			f.fault(n, "name a level of the topic so, or write a path without braces", "a condition looks at {%s}, which nothing is called", c.capture)
		}
	}
}

func (f *mappingFile) messageKeys(k *messageMap) keys {
	ps := func(to *phrases) func(ast.Node) {
		return func(n ast.Node) { *to = f.phrases(n) }
	}
	return keys{
		"topic": func(n ast.Node) {
			for _, text := range f.texts(n) {
				t, err := parseTopicPattern(text)
				f.check(n, err, `write levels such as application/{app}/device/{device}/event/up`)
				k.topics = append(k.topics, t)
			}
		},
		"when": func(n ast.Node) { k.when = f.conditions(n) },
		"kind": func(n ast.Node) {
			k.kind = messageKind(f.oneOf(n, string(kindReading), string(kindPresence), string(kindBirth), string(kindAbout), string(kindIgnored)))
		},
		"format": func(n ast.Node) {
			k.format = payloadFormat(f.oneOf(n, string(formatJSON), string(formatText), string(formatPairs)))
		},
		"unpack": func(n ast.Node) {
			for _, p := range f.paths(n) {
				if slices.ContainsFunc(p.steps, func(s pathStep) bool { return s.kind != stepKey }) {
					f.fault(n, "write each of the paths out", "unpack takes plain keys only")
				}
				k.unpack = append(k.unpack, p)
			}
		},
		"each":     func(n ast.Node) { p := f.path(n); k.each = &p },
		"continue": func(n ast.Node) { k.goOn = f.truth(n) },
		"device":   ps(&k.device),
		"name":     ps(&k.label),
		"via":      ps(&k.via),
		"serial":   ps(&k.serial),
		"maker":    ps(&k.maker),
		"model":    ps(&k.model),
		"firmware": ps(&k.firmware),
		"fields":   func(n ast.Node) { k.fields = append(k.fields, f.fields(n)...) },
		"others":   func(n ast.Node) { k.others = append(k.others, f.others(n)...) },
		"class":    func(n ast.Node) { k.class = f.classes(n) },
		"time":     func(n ast.Node) { k.instant = f.time(n) },
		"backlog": func(n ast.Node) {
			if _, isBool := n.(*ast.BoolNode); isBool {
				k.always = f.truth(n)
			} else {
				k.backlog = f.conditions(n)
			}
		},
		"presence": func(n ast.Node) { k.presence = Presence(f.oneOf(n, string(Online), string(Offline))) },
		"path":     func(n ast.Node) { k.presenceAt = &fieldMap{paths: f.paths(n), bit: -1, scale: 1} },
		"online":   func(n ast.Node) { k.online = lowered(f.texts(n)) },
		"offline":  func(n ast.Node) { k.offline = lowered(f.texts(n)) },
		"bridge":   func(n ast.Node) { k.bridge = f.truth(n) },
		"power": func(n ast.Node) {
			k.power = station.Power(f.oneOf(n, string(station.PowerMains), string(station.PowerBattery), string(station.PowerLoRa)))
		},
		"interval": func(n ast.Node) {
			if _, isMap := n.(ast.MapNode); isMap {
				k.every = f.field("interval", n)
				k.every.number = true
			} else {
				k.interval = f.span(n)
			}
		},
		"include": func(n ast.Node) {
			f.entries(n, "include", func(set string, at, value ast.Node) {
				f.includes = append(f.includes, inclusion{message: k, set: set, at: f.path(value), node: at})
			})
		},
	}
}

func lowered(words []string) []string {
	for i, w := range words {
		words[i] = strings.ToLower(strings.TrimSpace(w))
	}
	return words
}

func (f *mappingFile) check(n ast.Node, err error, hint string) {
	if err != nil {
		f.fault(n, hint, "%v", err)
	}
}

func (f *mappingFile) path(n ast.Node) dataPath {
	p, err := parsePath(f.text(n))
	f.check(n, err, `write keys joined by dots, with * for "all of them"`)
	return p
}

func (f *mappingFile) paths(n ast.Node) []dataPath {
	var all []dataPath
	for _, text := range f.texts(n) {
		p, err := parsePath(text)
		f.check(n, err, `write keys joined by dots, with * for "all of them"`)
		all = append(all, p)
	}
	return all
}

func (f *mappingFile) phrases(n ast.Node) phrases {
	var all phrases
	for _, text := range f.texts(n) {
		p, err := parsePhrase(text)
		f.check(n, err, `write "{name}" for a level of the topic and "{.path}" for a path`)
		all = append(all, p)
	}
	return all
}

// conditions are paths, or names in braces, with what must stand there.
func (f *mappingFile) conditions(n ast.Node) conditions {
	var all conditions
	f.entries(n, "when", func(key string, at, value ast.Node) {
		var c condition
		if isCapture(key) {
			c.capture = key[1 : len(key)-1]
		} else {
			var err error
			c.path, err = parsePath(key)
			f.check(at, err, "write a path, or a name in braces")
		}
		if _, isMap := value.(ast.MapNode); isMap {
			f.object(value, "a condition", keys{
				"is":     func(n ast.Node) { c.words = f.texts(n) },
				"prefix": func(n ast.Node) { c.prefix = f.text(n) },
				"exists": func(n ast.Node) { yes := f.truth(n); c.exists = &yes },
			})
		} else {
			c.words = f.texts(value)
		}
		all = append(all, c)
	})
	return all
}

func (f *mappingFile) fields(n ast.Node) []*fieldMap {
	var all []*fieldMap
	f.entries(n, "fields", func(name string, at, value ast.Node) {
		if name == "" || len(name) > 64 {
			f.fault(at, "write a name of at most 64 letters", "a field has no usable name")
			return
		}
		f.described(value, func(n ast.Node) { all = append(all, f.field(name, n)) })
	})
	slices.SortStableFunc(all, func(a, b *fieldMap) int { return cmp.Compare(a.name, b.name) })
	return all
}

// described is for a field that is described in more than one way: a list of objects.
// A list of texts is one description with several paths.
func (f *mappingFile) described(n ast.Node, each func(ast.Node)) {
	if list, ok := n.(*ast.SequenceNode); ok && len(list.Values) > 0 {
		if _, objects := list.Values[0].(ast.MapNode); objects {
			f.list(n, each)
			return
		}
	}
	each(n)
}

// field reads one field: a path, several paths of which the first that is there
// counts, or an object.
func (f *mappingFile) field(name string, n ast.Node) *fieldMap {
	m := &fieldMap{name: name, bit: -1, scale: 1, truth: yesOrNo(name), number: measured(name)}
	if _, isMap := n.(ast.MapNode); !isMap {
		m.paths = f.paths(n)
		return m
	}
	f.object(n, "a field", keys{
		"path": func(n ast.Node) { m.paths = f.paths(n) },
		"skip": func(n ast.Node) { m.skip = f.texts(n) },
		"words": func(n ast.Node) {
			m.words = map[string]station.Value{}
			f.entries(n, "words", func(word string, _, value ast.Node) {
				m.words[strings.ToLower(strings.TrimSpace(word))] = f.value(value)
			})
		},
		"else":   func(n ast.Node) { m.rest = f.value(n) },
		"number": func(n ast.Node) { m.number = f.truth(n) },
		"unit":   func(n ast.Node) { f.text(n); m.number = true },
		"scale":  func(n ast.Node) { m.scale, m.number = f.number(n), true },
		"offset": func(n ast.Node) { m.offset, m.number = f.number(n), true },
		"bit": func(n ast.Node) {
			bit := f.number(n)
			if bit != float64(int(bit)) || bit < 0 || bit > 52 {
				f.fault(n, "count bits from 0, the lowest, to 52", "%v is no bit", bit)
				bit = 0
			}
			m.bit, m.number = int(bit), true
		},
		"above": func(n ast.Node) { v := f.number(n); m.above, m.number = &v, true },
		"below": func(n ast.Node) { v := f.number(n); m.below, m.number = &v, true },
		"truth": func(n ast.Node) { m.truth = f.truth(n) },
		"not":   func(n ast.Node) { m.not = f.truth(n) },
		"event": func(n ast.Node) { m.event = f.truth(n) },
		"when":  func(n ast.Node) { m.when = f.conditions(n) },
		"value": func(n ast.Node) { m.fixed = f.value(n) },
	})
	if len(m.paths) == 0 && m.fixed == nil {
		f.fault(n, "add path: or value:", "the field %q does not say where it is found", name)
	}
	if m.not && !m.truth && m.words == nil && m.bit < 0 && m.above == nil && m.below == nil {
		m.truth = true
	}
	return m
}

func (f *mappingFile) others(n ast.Node) []*otherFields {
	var all []*otherFields
	f.list(n, func(n ast.Node) {
		o := &otherFields{}
		if _, isMap := n.(ast.MapNode); !isMap {
			o.path = f.path(n)
		} else {
			f.object(n, "others", keys{
				"path":   func(n ast.Node) { o.path = f.path(n) },
				"prefix": func(n ast.Node) { o.prefix = f.text(n) },
				"value":  func(n ast.Node) { o.value = f.text(n) },
				"except": func(n ast.Node) { o.except = f.texts(n) },
				"as":     func(n ast.Node) { o.as = f.phrases(n) },
				"number": func(n ast.Node) { o.number = f.truth(n) },
			}, "path")
		}
		all = append(all, o)
	})
	return all
}

// classes are proposals; the first whose fields and models fit counts.
func (f *mappingFile) classes(n ast.Node) []classRule {
	class := func(n ast.Node) string { return f.oneOf(n, station.Classes()...) }
	if _, ok := plain(n); ok {
		return []classRule{{class: class(n)}}
	}
	var all []classRule
	f.list(n, func(n ast.Node) {
		var c classRule
		f.object(n, "a class", keys{
			"is":     func(n ast.Node) { c.class = class(n) },
			"fields": func(n ast.Node) { c.fields = f.texts(n) },
			"models": func(n ast.Node) { c.models = f.texts(n) },
		}, "is")
		all = append(all, c)
	})
	return all
}

// time is a path, or a path with how the time is written.
func (f *mappingFile) time(n ast.Node) *timeMap {
	t := &timeMap{zone: time.UTC}
	if _, isMap := n.(ast.MapNode); !isMap {
		t.paths = f.paths(n)
		return t
	}
	zoned := false
	var format ast.Node
	f.object(n, "time", keys{
		"path": func(n ast.Node) { t.paths = f.paths(n) },
		"format": func(n ast.Node) {
			format = n
			switch text := f.text(n); text {
			case "auto":
			case "s":
				t.unit = time.Second
			case "ms":
				t.unit = time.Millisecond
			case "us":
				t.unit = time.Microsecond
			case "ns":
				t.unit = time.Nanosecond
			case "rfc3339":
				t.layout = time.RFC3339
			default:
				t.layout = text
			}
		},
		"zone": func(n ast.Node) {
			zone, err := parseZone(f.text(n))
			f.check(n, err, `write "+08:00", UTC, local or a name such as Asia/Shanghai`)
			t.zone, zoned = zone, true
		},
	}, "path")
	if t.layout != "" && t.layout != time.RFC3339 {
		if !strings.Contains(t.layout, "06") {
			f.fault(format, "write s, ms, us, ns, rfc3339, auto, or the 2nd of January 2006, 15:04:05, as the device would", "%q is no form of a time", t.layout)
		} else if !zoned && !strings.Contains(t.layout, "-07") && !strings.Contains(t.layout, "Z07") {
			f.fault(n, `add zone: such as "+08:00"; which one the device means cannot be guessed`, "the time has no zone")
		}
	}
	return t
}

func parseZone(text string) (*time.Location, error) {
	switch text {
	case "UTC", "Z":
		return time.UTC, nil
	case "local":
		return time.Local, nil
	case "":
		return time.UTC, errors.New("the zone is empty")
	}
	if at, err := time.Parse("-07:00", text); err == nil {
		_, offset := at.Zone()
		return time.FixedZone(text, offset), nil
	}
	zone, err := time.LoadLocation(text)
	if err != nil {
		return time.UTC, errors.New("the zone " + clip(text) + " is not known")
	}
	return zone, nil
}

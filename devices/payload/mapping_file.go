package payload

import (
	"cmp"
	"maps"
	"slices"
	"strings"

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

package payload

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"stationd/agent/station"
)

// The parts that messages of a mapping file are made of: paths, phrases, conditions,
// fields, classes and times.

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

package payload

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A path leads through a payload: "params.smoke.value". Its steps are
//
//	smoke              a member of an object, or an index of an array
//	*                  every member or element
//	{device}           every one, and its key is remembered under that name
//	[service_id=smoke] the elements whose member has this value
//	[id={device}]      the elements that have this member, whose value is remembered
//	                   under that name; [identity\.name={device}] looks deeper
//
// joined by dots; "\." is a dot within a key. A path that begins with "$." starts
// at the whole payload, any other at the element that is being read. The empty
// path, and "$", are all of it.
type dataPath struct {
	root  bool
	steps []pathStep
}

type pathStep struct {
	kind stepKind
	key  string // the member, the name of the capture, or the filter's member
	want string // the filter's value
	keep string // or the name under which the member's value is remembered
}

type stepKind int8

const (
	stepKey stepKind = iota
	stepEach
	stepFilter
)

const maxPathSteps = 16

func parsePath(text string) (dataPath, error) {
	var p dataPath
	switch {
	case text == "$":
		return dataPath{root: true}, nil
	case strings.HasPrefix(text, "$."):
		p.root, text = true, text[2:]
	}
	keys, err := splitPath(text)
	if err != nil {
		return p, err
	}
	if len(keys) > maxPathSteps {
		return p, fmt.Errorf("path %q has more than %d steps", text, maxPathSteps)
	}
	for _, key := range keys {
		switch {
		case key == "*":
			p.steps = append(p.steps, pathStep{kind: stepEach})
		case len(key) > 2 && key[0] == '{' && key[len(key)-1] == '}':
			p.steps = append(p.steps, pathStep{kind: stepEach, key: key[1 : len(key)-1]})
		case len(key) > 2 && key[0] == '[' && key[len(key)-1] == ']':
			member, want, ok := strings.Cut(key[1:len(key)-1], "=")
			if !ok || member == "" {
				return p, fmt.Errorf("step %q of a path is not [member=value]", key)
			}
			step := pathStep{kind: stepFilter, key: member, want: want}
			if isCapture(want) {
				step.want, step.keep = "", want[1:len(want)-1]
			}
			p.steps = append(p.steps, step)
		default:
			p.steps = append(p.steps, pathStep{key: key})
		}
	}
	return p, nil
}

// captures are the names that the path remembers.
func (p dataPath) captures() []string {
	var names []string
	for _, s := range p.steps {
		if s.kind == stepEach && s.key != "" {
			names = append(names, s.key)
		}
		if s.keep != "" {
			names = append(names, s.keep)
		}
	}
	return names
}

// place is where paths start, and what was captured on the way there.
type place struct {
	root, at any
	names    map[string]string
	// budget bounds the steps that one message may cost, whatever it holds.
	budget *int
}

const stepBudget = 1 << 18

// visit calls f with all that the path leads to, in order, until it returns false.
// The names that f gets are only valid during the call.
func (p dataPath) visit(from place, f func(v any, names map[string]string) bool) {
	v := from.at
	if p.root {
		v = from.root
	}
	p.descend(v, 0, from, f)
}

func (p dataPath) descend(v any, i int, from place, f func(any, map[string]string) bool) bool {
	if *from.budget--; *from.budget < 0 {
		return false
	}
	if i == len(p.steps) {
		return f(v, from.names)
	}
	step := p.steps[i]
	if step.kind == stepKey {
		next, ok := member(v, step.key)
		return !ok || p.descend(next, i+1, from, f)
	}
	enter := func(key string, next any) bool {
		if *from.budget--; *from.budget < 0 {
			return false
		}
		inner := from
		switch {
		case step.kind == stepFilter:
			got, ok := next, true
			for _, k := range strings.Split(step.key, ".") {
				if got, ok = member(got, k); !ok {
					return true
				}
			}
			text := textOf(got)
			switch {
			case step.keep == "" && text != step.want, step.keep != "" && text == "":
				return true
			case step.keep != "":
				inner.names = remember(from.names, step.keep, text)
			}
		case step.key != "":
			inner.names = remember(from.names, step.key, key)
		}
		return p.descend(next, i+1, inner, f)
	}
	switch at := v.(type) {
	case map[string]any:
		if *from.budget -= len(at); *from.budget < 0 {
			return false
		}
		for _, key := range slices.Sorted(maps.Keys(at)) { // the same first match each time
			if !enter(key, at[key]) {
				return false
			}
		}
	case []any:
		for key, next := range at {
			if !enter(strconv.Itoa(key), next) {
				return false
			}
		}
	}
	return true
}

// remember is names and one more. Those of other elements stay as they are.
func remember(names map[string]string, name, value string) map[string]string {
	names = maps.Clone(names)
	return capture(names, name, value)
}

// member is one step into an object or an array.
func member(v any, key string) (any, bool) {
	switch at := v.(type) {
	case map[string]any:
		next, ok := at[key]
		return next, ok
	case []any:
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i >= len(at) {
			return nil, false
		}
		return at[i], true
	}
	return nil, false
}

// first is the first thing the path leads to.
func (p dataPath) first(from place) (found any, ok bool) {
	p.visit(from, func(v any, _ map[string]string) bool {
		found, ok = v, true
		return false
	})
	return found, ok
}

// firstScalar is the first number, text or truth value the path leads to.
func (p dataPath) firstScalar(from place) (found any, ok bool) {
	p.visit(from, func(v any, _ map[string]string) bool {
		switch v.(type) {
		case bool, string, float64, json.Number:
			found, ok = v, true
		}
		return !ok
	})
	return found, ok
}

// textOf writes a scalar as it would stand in a text; what is none is empty.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case json.Number:
		return v.String()
	}
	return ""
}

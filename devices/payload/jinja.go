package payload

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Templates of Home Assistant, the useful part of them: texts with {{ expressions }}
// and {% if %} … {% elif %} … {% else %} … {% endif %}. An expression knows value
// and value_json, members, ['keys'], literals, arithmetic, comparisons, in, and,
// or, not, "a if b else c", is defined, the filters of jinjaFilters and iif().
// Everything else is refused when the template is read, not when it is used:
// loops, set, macros, states and time.
//
// There is nothing in it that repeats, so that an evaluation takes as long as the
// template.

// template is a template that was read.
type template struct{ parts []templatePart }

type templatePart struct {
	text string
	expr jinja
	// choices are the branches of an if; the one without a condition is the last.
	choices []templateChoice
}

type templateChoice struct {
	when jinja
	then template
}

// What a template holds at most.
const (
	maxTemplate      = 2048 // bytes
	maxTemplateDepth = 32
	maxTemplateText  = 4096     // bytes of what it writes
	maxTemplateInput = 64 << 10 // bytes of a payload
)

// jinja is an expression.
type jinja func(jinjaScope) (any, error)

// jinjaScope is what an expression may look at.
type jinjaScope struct {
	value string
	json  any // undefined{} when the payload is none
}

// undefined is what is not there.
type undefined struct{}

var errTemplate = errors.New("the template cannot be evaluated")

// parseTemplate reads a template; an error says what is not understood.
func parseTemplate(text string) (template, error) {
	if len(text) > maxTemplate {
		return template{}, fmt.Errorf("it is longer than %d bytes", maxTemplate)
	}
	p := &templateReader{rest: text}
	t, end, err := p.read(0)
	if err == nil && end != "" {
		err = fmt.Errorf("{%% %s %%} without an if", end)
	}
	return t, err
}

type templateReader struct{ rest string }

// read reads up to the tag that ends the part: endif, else or elif.
func (p *templateReader) read(depth int) (template, string, error) {
	var t template
	if depth > 4 {
		return t, "", errors.New("ifs within ifs within ifs")
	}
	for p.rest != "" {
		at := strings.IndexByte(p.rest, '{')
		if at < 0 || at+1 >= len(p.rest) {
			t.parts = append(t.parts, templatePart{text: p.rest})
			p.rest = ""
			break
		}
		kind := p.rest[at+1]
		if kind != '{' && kind != '%' && kind != '#' {
			t.parts = append(t.parts, templatePart{text: p.rest[:at+1]})
			p.rest = p.rest[at+1:]
			continue
		}
		if at > 0 {
			t.parts = append(t.parts, templatePart{text: p.rest[:at]})
		}
		closing := map[byte]string{'{': "}}", '%': "%}", '#': "#}"}[kind]
		inside, rest, ok := strings.Cut(p.rest[at+2:], closing)
		if !ok {
			return t, "", fmt.Errorf("%q is not closed", p.rest[at:at+2])
		}
		p.rest = rest
		inside = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(inside, "-"), "-"))
		switch kind {
		case '{':
			expr, err := parseJinja(inside)
			if err != nil {
				return t, "", err
			}
			t.parts = append(t.parts, templatePart{expr: expr})
		case '%':
			word, condition, _ := strings.Cut(inside, " ")
			switch word {
			case "if":
				part, err := p.readIf(condition, depth)
				if err != nil {
					return t, "", err
				}
				t.parts = append(t.parts, part)
			case "elif", "else", "endif":
				return t, inside, nil
			default:
				return t, "", fmt.Errorf("{%% %s %%} is not supported", clip(word))
			}
		}
	}
	return t, "", nil
}

func (p *templateReader) readIf(condition string, depth int) (templatePart, error) {
	var part templatePart
	for {
		when := jinja(func(jinjaScope) (any, error) { return true, nil })
		if condition != "" {
			var err error
			if when, err = parseJinja(condition); err != nil {
				return part, err
			}
		}
		then, end, err := p.read(depth + 1)
		if err != nil {
			return part, err
		}
		part.choices = append(part.choices, templateChoice{when, then})
		word, next, _ := strings.Cut(end, " ")
		switch {
		case word == "endif":
			return part, nil
		case word == "elif" && next != "":
			condition = next
		case word == "else":
			condition = ""
		default:
			return part, errors.New("an if without an endif")
		}
	}
}

// newJinjaScope is what the templates look at when a message comes.
func newJinjaScope(payload []byte) (jinjaScope, error) {
	if len(payload) > maxTemplateInput {
		return jinjaScope{}, fmt.Errorf("the payload is longer than %d KiB", maxTemplateInput>>10)
	}
	scope := jinjaScope{value: string(payload), json: undefined{}}
	if root, err := parse(payload); err == nil {
		scope.json = root
	}
	return scope, nil
}

// write evaluates the template.
func (t template) write(scope jinjaScope) (string, error) {
	var out strings.Builder
	if err := t.into(&out, scope); err != nil {
		return "", err
	}
	return strings.TrimSpace(out.String()), nil
}

func (t template) into(out *strings.Builder, scope jinjaScope) error {
	for _, part := range t.parts {
		switch {
		case part.choices != nil:
			for _, c := range part.choices {
				v, err := c.when(scope)
				if err != nil {
					return err
				}
				if !truthy(v) {
					continue
				}
				if err := c.then.into(out, scope); err != nil {
					return err
				}
				break
			}
		case part.expr != nil:
			v, err := part.expr(scope)
			if err != nil {
				return err
			}
			out.WriteString(jinjaText(v))
		default:
			out.WriteString(part.text)
		}
		if out.Len() > maxTemplateText {
			return errTemplate
		}
	}
	return nil
}

// jinjaText writes a value as Python does: True, None.
func jinjaText(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		return v
	case json.Number:
		return v.String()
	case undefined:
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil || len(text) > maxTemplateText {
		return ""
	}
	return string(text)
}

func truthy(v any) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case float64:
		return v != 0
	case json.Number:
		f, err := v.Float64()
		return err != nil || f != 0
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}

// numeric is a value as a number, if it is one.
func numeric(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// toNumber also reads texts, as the filters float and int do.
func toNumber(v any) (float64, bool) {
	if text, ok := v.(string); ok {
		text = strings.TrimSpace(text)
		f, err := strconv.ParseFloat(text, 64)
		return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
	}
	return numeric(v)
}

func jinjaEqual(a, b any) bool {
	if x, ok := numeric(a); ok {
		y, ok := numeric(b)
		return ok && x == y
	}
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		return ok && a == b
	case nil:
		return b == nil
	}
	return false
}

// jinjaCompare tells whether a op b holds; texts and numbers have no order among
// each other.
func jinjaCompare(op string, a, b any) (bool, error) {
	switch op {
	case "==":
		return jinjaEqual(a, b), nil
	case "!=":
		return !jinjaEqual(a, b), nil
	case "in":
		switch b := b.(type) {
		case string:
			a, ok := a.(string)
			return ok && strings.Contains(b, a), nil
		case []any:
			return slices.ContainsFunc(b, func(x any) bool { return jinjaEqual(a, x) }), nil
		case map[string]any:
			key, ok := a.(string)
			_, there := b[key]
			return ok && there, nil
		}
		return false, errTemplate
	}
	order := 0
	if x, ok := numeric(a); ok {
		y, ok := numeric(b)
		if !ok {
			return false, errTemplate
		}
		switch {
		case x < y:
			order = -1
		case x > y:
			order = 1
		}
	} else {
		x, okX := a.(string)
		y, okY := b.(string)
		if !okX || !okY {
			return false, errTemplate
		}
		order = strings.Compare(x, y)
	}
	switch op {
	case "<":
		return order < 0, nil
	case "<=":
		return order <= 0, nil
	case ">":
		return order > 0, nil
	}
	return order >= 0, nil
}

func jinjaArithmetic(op string, a, b any) (any, error) {
	if op == "~" {
		return writable(jinjaText(a) + jinjaText(b))
	}
	if x, ok := a.(string); ok && op == "+" {
		if y, ok := b.(string); ok {
			return writable(x + y)
		}
		return nil, errTemplate
	}
	x, okX := numeric(a)
	y, okY := numeric(b)
	if !okX || !okY {
		return nil, errTemplate
	}
	var out float64
	switch op {
	case "+":
		out = x + y
	case "-":
		out = x - y
	case "*":
		out = x * y
	case "/", "//", "%":
		if y == 0 {
			return nil, errTemplate
		}
		out = x / y
		if op != "/" {
			out = math.Floor(out)
		}
		if op == "%" {
			out = x - out*y
		}
	}
	if math.IsNaN(out) || math.IsInf(out, 0) {
		return nil, errTemplate
	}
	return rounded(out), nil
}

func writable(text string) (any, error) {
	if len(text) > maxTemplateText {
		return nil, errTemplate
	}
	return text, nil
}

package rule

import (
	"strconv"
	"strings"

	"stationd/agent/station"
)

// form is a rule as it is filled in: a field, a comparison and a value.
type form struct {
	op      string
	number  float64 // the value as a number, for the ordering operators and eq
	numeric bool
	yes     bool // the value as a bool
	boolean bool
	text    string
	clear   *float64
}

func compileForm(r station.Rule) (form, error) {
	f := form{op: r.Op, clear: r.Clear}
	if r.Field == "" {
		return f, bad("field", "a rule needs a field or an expression")
	}
	f.number, f.numeric = number(r.Value)
	f.yes, f.boolean = r.Value.(bool)
	f.text, _ = r.Value.(string)
	switch r.Op {
	case "eq", "ne":
		switch r.Value.(type) {
		case bool, float64, int, string:
		default:
			return f, bad("value", "a rule's value is yes or no, a number or a text")
		}
	case "gt", "ge", "lt", "le":
		if !f.numeric {
			return f, bad("value", "%q compares numbers, %v is none", r.Op, r.Value)
		}
		if r.Clear != nil {
			below := r.Op == "gt" || r.Op == "ge"
			if below && *r.Clear > f.number || !below && *r.Clear < f.number {
				return f, bad("clear", "an alarm at %v cannot end at %v: that still is one", r.Value, *r.Clear)
			}
		}
	default:
		return f, bad("op", "%q is no comparison; eq, ne, gt, ge, lt and le are", r.Op)
	}
	return f, nil
}

// number reads v as a number; of a text such as "2.40 m" it is the first word.
func number(v station.Value) (float64, bool) {
	switch x := v.(type) {
	case float64:
		return x, true
	case int: // as written in Go; what was decoded has only float64
		return float64(x), true
	case string:
		word, _, _ := strings.Cut(strings.TrimSpace(x), " ")
		f, err := strconv.ParseFloat(word, 64)
		return f, err == nil && f == f
	}
	return 0, false
}

// judge tells what the form holds for true after v was read, was being its
// verdict before; not ok when v is nothing that it could judge.
func (f *form) judge(v station.Value, was Verdict) (now Verdict, ok bool) {
	switch f.op {
	case "eq", "ne":
		equal, ok := f.equals(v)
		if !ok {
			return was, false
		}
		return decided(equal == (f.op == "eq")), true
	}
	x, ok := number(v)
	if !ok {
		return was, false
	}
	var over, within bool // beyond the limit; not yet back beyond clear
	switch f.op {
	case "gt":
		over = x > f.number
		within = f.clear != nil && x > *f.clear
	case "ge":
		over = x >= f.number
		within = f.clear != nil && x > *f.clear
	case "lt":
		over = x < f.number
		within = f.clear != nil && x < *f.clear
	case "le":
		over = x <= f.number
		within = f.clear != nil && x < *f.clear
	}
	if !over && within {
		return was, true // in the deadband nothing changes, and nothing becomes known
	}
	return decided(over), true
}

// equals compares as far as the kinds of value allow.
func (f *form) equals(v station.Value) (equal, ok bool) {
	switch x := v.(type) {
	case bool:
		return x == f.yes, f.boolean
	case float64:
		return x == f.number, f.numeric
	case string:
		if f.numeric && f.text == "" {
			n, isNumber := number(v)
			return n == f.number, isNumber
		}
		return x == f.text, !f.boolean
	}
	return false, false
}

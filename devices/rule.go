package devices

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"stationd/agent/station"
	"stationd/devices/payload"
)

// verdict is what a rule holds for true now.
type verdict int8

const (
	undecided verdict = iota // its field has not been seen yet
	inactive
	active
)

// rule is a station.Rule made ready to be evaluated.
type rule struct {
	station.Rule
	number  float64 // Value as a number, for the ordering operators and eq
	numeric bool
	yes     bool // Value as a bool
	boolean bool
	text    string
}

// rules are a sensor's, those of one kind next to each other.
type rules []rule

// CheckRule tells whether r can be evaluated.
func CheckRule(r station.Rule) error {
	_, err := compile(r)
	return err
}

func compile(r station.Rule) (rule, error) {
	bad := func(format string, args ...any) error {
		return station.Errorf(400, "rule.invalid", "correct the rule in the form of the sensor", format, args...)
	}
	c := rule{Rule: r}
	if r.Kind == "" || r.Field == "" {
		return c, bad("a rule needs a kind of alarm and a field")
	}
	c.number, c.numeric = number(r.Value)
	c.yes, c.boolean = r.Value.(bool)
	c.text, _ = r.Value.(string)
	switch r.Op {
	case "eq", "ne":
		switch r.Value.(type) {
		case bool, float64, int, string:
		default:
			return c, bad("a rule's value is yes or no, a number or a text")
		}
	case "gt", "ge", "lt", "le":
		if !c.numeric {
			return c, bad("%q compares numbers, %v is none", r.Op, r.Value)
		}
		if r.Clear != nil {
			below := r.Op == "gt" || r.Op == "ge"
			if below && *r.Clear > c.number || !below && *r.Clear < c.number {
				return c, bad("an alarm at %v cannot end at %v: that still is one", r.Value, *r.Clear)
			}
		}
	default:
		return c, bad("%q is no comparison; eq, ne, gt, ge, lt and le are", r.Op)
	}
	return c, nil
}

func compileAll(all []station.Rule) (rules, error) {
	out := make(rules, 0, len(all))
	for i, r := range all {
		c, err := compile(r)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b rule) int { return strings.Compare(string(a.Kind), string(b.Kind)) })
	return out, nil
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

// judge tells what the rule holds for true after v was read, was being its
// verdict before; not ok when v is nothing that it could judge.
func (r *rule) judge(v station.Value, was verdict) (now verdict, ok bool) {
	switch r.Op {
	case "eq", "ne":
		equal, ok := r.equals(v)
		if !ok {
			return was, false
		}
		return decided(equal == (r.Op == "eq")), true
	}
	x, ok := number(v)
	if !ok {
		return was, false
	}
	var over, within bool // beyond the limit; not yet back beyond Clear
	switch r.Op {
	case "gt":
		over = x > r.number
		within = r.Clear != nil && x > *r.Clear
	case "ge":
		over = x >= r.number
		within = r.Clear != nil && x > *r.Clear
	case "lt":
		over = x < r.number
		within = r.Clear != nil && x < *r.Clear
	case "le":
		over = x <= r.number
		within = r.Clear != nil && x < *r.Clear
	}
	if !over && within {
		return was, true // in the deadband nothing changes, and nothing becomes known
	}
	return decided(over), true
}

// equals compares as far as the kinds of value allow.
func (r *rule) equals(v station.Value) (equal, ok bool) {
	switch x := v.(type) {
	case bool:
		return x == r.yes, r.boolean
	case float64:
		return x == r.number, r.numeric
	case string:
		if r.numeric && r.text == "" {
			f, isNumber := number(v)
			return f == r.number, isNumber
		}
		return x == r.text, !r.boolean
	}
	return false, false
}

func decided(yes bool) verdict {
	if yes {
		return active
	}
	return inactive
}

// evaluate appends to signals one for each kind that values decide, and writes
// the rules' new verdicts to next, which is as long as rs; was are the ones
// before. It allocates nothing when signals has room.
func (rs rules) evaluate(values map[string]station.Value, was, next []verdict, signals []station.Signal) []station.Signal {
	copy(next, was)
	for from := 0; from < len(rs); {
		kind, to := rs[from].Kind, from
		seen, unsure, cause := false, false, -1
		state := undecided
		for ; to < len(rs) && rs[to].Kind == kind; to++ {
			r := &rs[to]
			if v, ok := values[r.Field]; ok {
				judged := false
				next[to], judged = r.judge(v, was[to])
				seen = seen || judged
				unsure = unsure || judged && next[to] == undecided
			}
			// Several rules of a kind: one that holds is enough.
			if next[to] > state {
				state, cause = next[to], to
			}
		}
		if seen && (state == active || state == inactive && !unsure) {
			r := &rs[cause]
			signals = append(signals, station.Signal{Kind: kind, Active: state == active, Field: r.Field, Value: values[r.Field]})
		}
		from = to
	}
	return signals
}

// holds tells whether any rule of kind is active in vs.
func (rs rules) holds(kind station.AlarmKind, vs []verdict) bool {
	for i := range rs {
		if rs[i].Kind == kind && vs[i] == active {
			return true
		}
	}
	return false
}

// DefaultRules are the rules of a sensor that has none of its own. Every class
// heeds smoke, gas and calls for help: a device that can tell of them must
// never be silent about them because it was filed wrongly.
func DefaultRules(class string) []station.Rule {
	is := func(kind station.AlarmKind, field string) station.Rule {
		return station.Rule{Kind: kind, Field: field, Op: "eq", Value: true}
	}
	clear := func(v float64) *float64 { return &v }
	all := []station.Rule{
		is(station.KindSmoke, station.ClassSmoke),
		is(station.KindGas, station.ClassGas),
		is(station.KindSOS, station.ClassSOS),
		is(station.KindTamper, payload.FieldTamper),
		is(station.KindBattery, payload.FieldBatteryLow),
		{Kind: station.KindBattery, Field: payload.FieldBattery, Op: "lt", Value: 10.0, Clear: clear(15)},
	}
	switch class {
	case station.ClassWater:
		all = append(all, is(station.KindWater, station.ClassWater))
	case station.ClassManhole: // a contact on the cover reports itself as a door
		all = append(all, is(station.KindManhole, station.ClassManhole), is(station.KindManhole, station.ClassDoor))
	case station.ClassDoor:
		all = append(all, is(station.KindDoor, station.ClassDoor))
	case station.ClassMotion:
		all = append(all, is(station.KindMotion, station.ClassMotion))
	case station.ClassTemperature:
		all = append(all, station.Rule{Kind: station.KindTemperature, Field: station.ClassTemperature, Op: "gt", Value: 60.0, Clear: clear(55)})
	case station.ClassLevel: // a float switch; for a gauge only its owner knows the limit
		all = append(all, is(station.KindLevel, station.ClassLevel))
	}
	return all
}

// SilentAfter is how long a sensor of a class may be silent. Those that run on
// batteries report when something happens, and once a day that nothing does;
// whoever reports a battery is one of them, whatever its class.
func SilentAfter(class string, hasBattery bool) time.Duration {
	switch class {
	case station.ClassSmoke, station.ClassWater, station.ClassSOS, station.ClassManhole, station.ClassDoor, station.ClassMotion:
		return batterySilence
	}
	if hasBattery {
		return batterySilence
	}
	return mainsSilence
}

// The measure for one day's sign of life, with an hour to spare, and for
// devices on the mains, which report every few minutes.
const (
	batterySilence = 25 * time.Hour
	mainsSilence   = 10 * time.Minute
)

// ClassOf proposes a class from the fields that a device was heard with, and
// tells whether it is a sensor at all.
func ClassOf(values map[string]station.Value) (string, bool) {
	for _, class := range []string{
		station.ClassSmoke, station.ClassGas, station.ClassSOS, station.ClassWater, station.ClassManhole,
		station.ClassDoor, station.ClassMotion, station.ClassTemperature, station.ClassLevel,
	} {
		if _, ok := values[class]; ok {
			return class, true
		}
	}
	for _, field := range []string{payload.FieldTamper, payload.FieldVibration, payload.FieldHumidity, payload.FieldAction, payload.FieldBattery} {
		if _, ok := values[field]; ok {
			return station.ClassOther, true
		}
	}
	return "", false
}

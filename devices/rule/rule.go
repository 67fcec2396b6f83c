package rule

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"stationd/agent/station"
)

// Set is the rules of one sensor, made ready to judge its readings. A nil Set
// has no rules.
type Set struct {
	rules []compiled // those of one kind next to each other
	class string
}

// compiled is a station.Rule made ready to be evaluated.
type compiled struct {
	station.Rule
	form form
	expr *program // in place of the form; nil for a form
}

// Verdict is what a rule holds for true now.
type Verdict int8

// The verdicts. Of several rules of a kind the greatest counts.
const (
	Undecided Verdict = iota // its field has not been seen yet
	Inactive
	Active
)

func decided(yes bool) Verdict {
	if yes {
		return Active
	}
	return Inactive
}

func bad(place, format string, args ...any) error {
	return station.Errorf(400, "rule.invalid", "correct the rule in the form of the sensor", format, args...).At(place)
}

// Check tells whether r can be evaluated for a sensor of class. The error's
// place is the rule's field by its JSON name.
func Check(r station.Rule, class string) error {
	_, err := compile(r, class)
	return err
}

func compile(r station.Rule, class string) (c compiled, err error) {
	c.Rule = r
	faults := []error{checkTiming(r.Timing)}
	if r.Kind == "" {
		faults = append(faults, bad("kind", "a rule needs a kind of alarm"))
	}
	switch {
	case r.Expr == "":
		c.form, err = compileForm(r)
	case r.Field != "" || r.Op != "" || r.Value != nil:
		err = bad("expr", "a rule has a form or an expression, and this one has both")
	case r.Clear != nil:
		err = bad("clear", "an expression says itself when it ends: temperature > (active ? 55 : 60)")
	default:
		c.expr, err = compileExpr(r.Expr, class)
	}
	return c, errors.Join(append(faults, err)...)
}

// The bounds of a rule's timing.
const (
	maxDelay = 30 * 24 * time.Hour
	maxCount = 1000
)

func checkTiming(t station.Timing) error {
	var faults []error
	for _, x := range []struct {
		place string
		d     time.Duration
	}{{"for", t.For}, {"off", t.Off}, {"within", t.Within}} {
		if x.d < 0 || x.d > maxDelay {
			faults = append(faults, bad(x.place, "%s is not within 0s and %s", x.d, maxDelay))
		}
	}
	switch {
	case t.Count < 0 || t.Count > maxCount:
		faults = append(faults, bad("count", "%d is not within 0 and %d", t.Count, maxCount))
	case t.Count > 1 && t.Within == 0:
		faults = append(faults, bad("within", "%d times need a time within which", t.Count))
	}
	switch t.Severity {
	case "", station.SeverityCritical, station.SeverityMajor, station.SeverityMinor:
	default:
		faults = append(faults, bad("severity", "%q is no severity; critical, major and minor are", t.Severity))
	}
	return errors.Join(faults...)
}

// Compile makes rules ready for sensors of a class. Disabled ones are checked
// and left out. The error names every rule that cannot be used, by its index.
func Compile(all []station.Rule, class string) (*Set, error) {
	s := &Set{class: class}
	var faults []error
	for i, r := range all {
		c, err := compile(r, class)
		switch {
		case err != nil:
			faults = append(faults, station.Under(strconv.Itoa(i), err))
		case !r.Disabled:
			s.rules = append(s.rules, c)
		}
	}
	// The most urgent of a kind first: where several hold, it is the one that is
	// told as the cause, and its timing counts.
	slices.SortStableFunc(s.rules, func(a, b compiled) int {
		return cmp.Or(
			strings.Compare(string(a.Kind), string(b.Kind)),
			cmp.Compare(a.For, b.For), cmp.Compare(a.Count, b.Count),
			cmp.Compare(rank(a.Rule), rank(b.Rule)),
		)
	})
	return s, errors.Join(faults...)
}

// rank orders severities, the gravest first.
func rank(r station.Rule) int {
	return slices.Index([]station.Severity{station.SeverityCritical, station.SeverityMajor, station.SeverityMinor}, cmp.Or(r.Severity, r.Kind.Severity()))
}

// Len is the number of rules, and of verdicts.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.rules)
}

// At is the rule whose verdict is the i-th.
func (s *Set) At(i int) station.Rule { return s.rules[i].Rule }

// Equal tells whether the verdicts of one are good for the other.
func (s *Set) Equal(other *Set) bool {
	if s == other {
		return true
	}
	if s == nil || other == nil || s.class != other.class {
		return false
	}
	return slices.EqualFunc(s.rules, other.rules, func(a, b compiled) bool { return reflect.DeepEqual(a.Rule, b.Rule) })
}

// Holds tells whether any rule of kind is active in vs.
func (s *Set) Holds(kind station.AlarmKind, vs []Verdict) bool {
	for i := range s.Len() {
		if s.rules[i].Kind == kind && vs[i] == Active {
			return true
		}
	}
	return false
}

// Evaluate appends to out one signal for each kind that values decide, and
// writes the rules' new verdicts to next; was are the ones before, and both are
// as long as Len. known are the last values of the fields that this reading does
// not carry, for rules over several fields; nil is none. It allocates nothing
// when out has room.
func (s *Set) Evaluate(values, known map[string]station.Value, was, next []Verdict, out []station.Signal) []station.Signal {
	copy(next, was)
	for from := 0; from < s.Len(); {
		kind, to := s.rules[from].Kind, from
		seen, unsure, cause := false, false, from
		state := Undecided
		for ; to < len(s.rules) && s.rules[to].Kind == kind; to++ {
			r := &s.rules[to]
			if now, judged, due := r.judge(values, known, was[to]); due {
				next[to] = now
				seen = seen || judged
				unsure = unsure || judged && next[to] == Undecided
			}
			switch {
			case next[to] > state: // one that holds is enough
				state, cause = next[to], to
			case next[to] == Inactive && state == Inactive && was[to] == Active && was[cause] != Active:
				cause = to // it held until now: that it ends is the news
			}
		}
		if seen && (state == Active || state == Inactive && !unsure) {
			out = append(out, s.rules[cause].signal(state == Active, values, known))
		}
		from = to
	}
	return out
}

// judge tells what the rule holds for true now. It is due when the reading has
// something for it; judged when that was something that it can judge.
func (c *compiled) judge(values, known map[string]station.Value, was Verdict) (now Verdict, judged, due bool) {
	if c.expr == nil {
		v, ok := values[c.Field]
		if !ok {
			return was, false, false
		}
		now, judged = c.form.judge(v, was)
		return now, judged, true
	}
	return c.expr.judge(values, known, was)
}

// signal tells what the rule decided, and why. Of an expression's fields it
// names one that came with this reading, if any did.
func (c *compiled) signal(active bool, values, known map[string]station.Value) station.Signal {
	field, v, ok := c.Field, station.Value(nil), false
	if c.expr != nil {
		if field, v, ok = c.expr.touches(values); !ok {
			field = c.expr.fields[0].name
		}
	} else {
		v, ok = values[field]
	}
	if !ok {
		v = known[field]
	}
	return station.Signal{
		Kind: c.Kind, Active: active, Field: field, Value: v, Op: c.Op, Limit: c.Value, Expr: c.Expr,
		Rule: c.ID, Version: c.Version, Timing: c.Timing,
	}
}

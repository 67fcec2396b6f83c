package rule_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"stationd/agent/station"
	"stationd/devices/rule"
)

type values = map[string]station.Value

// judge is a set with the verdicts that it has come to.
type judge struct {
	set       *rule.Set
	was, next []rule.Verdict
	known     values
	signals   []station.Signal
}

func newJudge(all ...station.Rule) (*judge, error) {
	set, err := rule.Compile(all, station.ClassOther)
	return judgeOf(set), err
}

func judgeOf(set *rule.Set) *judge {
	n := set.Len()
	return &judge{set, make([]rule.Verdict, n), make([]rule.Verdict, n), values{}, make([]station.Signal, 0, n)}
}

// Evaluate keeps the verdicts; its result is good until it is called again.
func (j *judge) Evaluate(v values) []station.Signal {
	out := j.set.Evaluate(v, j.known, j.was, j.next, j.signals[:0])
	j.was, j.next = j.next, j.was
	maps.Copy(j.known, v)
	return out
}

// say writes signals as "+smoke -battery".
func say(signals []station.Signal) string {
	var out []string
	for _, s := range signals {
		sign := "-"
		if s.Active {
			sign = "+"
		}
		out = append(out, sign+string(s.Kind))
	}
	return strings.Join(out, " ")
}

func limit(v float64) *float64 { return &v }

func TestRules(t *testing.T) {
	hot := station.Rule{Kind: "temperature", Field: "t", Op: "gt", Value: 60.0, Clear: limit(55)}
	cold := station.Rule{Kind: "temperature", Field: "t", Op: "lt", Value: 0.0, Clear: limit(2)}
	for name, x := range map[string]struct {
		rules []station.Rule
		steps []any // values, and what they must lead to
	}{
		"yes and no": {
			[]station.Rule{{Kind: "smoke", Field: "smoke", Op: "eq", Value: true}},
			[]any{values{"smoke": true}, "+smoke", values{"smoke": true}, "+smoke", values{"battery": 3.0}, "", values{"smoke": false}, "-smoke"},
		},
		"deadband": {
			[]station.Rule{hot},
			[]any{values{"t": 57.0}, "", values{"t": 50.0}, "-temperature", values{"t": 57.0}, "-temperature", values{"t": 60.5}, "+temperature", values{"t": 56.0}, "+temperature", values{"t": 55.0}, "-temperature"},
		},
		"deadband from below": {
			[]station.Rule{cold},
			[]any{values{"t": -1.0}, "+temperature", values{"t": 1.9}, "+temperature", values{"t": 2.0}, "-temperature"},
		},
		"two rules of one kind": {
			[]station.Rule{hot, cold},
			[]any{values{"t": 20.0}, "-temperature", values{"t": 70.0}, "+temperature", values{"t": -5.0}, "+temperature", values{"t": 20.0}, "-temperature"},
		},
		"the edges": {
			[]station.Rule{{Kind: "a", Field: "v", Op: "gt", Value: 1.0}, {Kind: "b", Field: "v", Op: "ge", Value: 1.0}, {Kind: "c", Field: "v", Op: "lt", Value: 1.0}, {Kind: "d", Field: "v", Op: "le", Value: 1.0}},
			[]any{values{"v": 1.0}, "-a +b -c +d"},
		},
		"texts": {
			[]station.Rule{{Kind: "a", Field: "s", Op: "eq", Value: "hold"}, {Kind: "b", Field: "s", Op: "ne", Value: "hold"}},
			[]any{values{"s": "hold"}, "+a -b", values{"s": "single"}, "-a +b"},
		},
		"a number with its unit": {
			[]station.Rule{{Kind: "level", Field: "v", Op: "gt", Value: 2}},
			[]any{values{"v": "2.40 m"}, "+level", values{"v": "no idea"}, "", values{"v": "1.2 m"}, "-level"},
		},
		"another kind of value decides nothing": {
			[]station.Rule{{Kind: "gas", Field: "gas", Op: "eq", Value: true}},
			[]any{values{"gas": 37.0}, "", values{"gas": "maybe"}, ""},
		},
		"a battery told in two ways": {
			rule.Defaults(station.ClassOther),
			[]any{values{"battery": 8.0}, "+battery", values{"battery_low": false}, "+battery", values{"battery": 14.0, "battery_low": false}, "+battery", values{"battery": 15.0}, "-battery"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := newJudge(x.rules...)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(x.steps); i += 2 {
				if got := say(r.Evaluate(x.steps[i].(values))); got != x.steps[i+1] {
					t.Errorf("step %d, %v: got %q, want %q", i/2+1, x.steps[i], got, x.steps[i+1])
				}
			}
		})
	}
}

func TestEveryClassHeedsWhatEndangersPeople(t *testing.T) {
	for _, class := range station.Classes() {
		for _, r := range rule.Defaults(class) {
			if err := rule.Check(r, station.ClassOther); err != nil {
				t.Errorf("%s: %v", class, err)
			}
		}
		r, err := newJudge(rule.Defaults(class)...)
		if err != nil {
			t.Fatal(err)
		}
		if got := say(r.Evaluate(values{"smoke": true, "gas": true, "sos": true, "water": true})); got != "+gas +smoke +sos +water" {
			t.Errorf("%s: %s", class, got)
		}
		if class != station.ClassOther && class != station.ClassTemperature {
			if got := say(r.Evaluate(values{class: true})); !strings.Contains(got, "+"+class) {
				t.Errorf("%s: its own field gives %q", class, got)
			}
		}
	}
}

func TestRulesThatCannotBeEvaluated(t *testing.T) {
	for _, r := range []station.Rule{
		{},
		{Kind: "a", Field: "b"},
		{Kind: "a", Field: "b", Op: "like", Value: 1.0},
		{Kind: "a", Field: "b", Op: "gt", Value: true},
		{Kind: "a", Field: "b", Op: "eq"},
		{Kind: "a", Field: "b", Op: "eq", Value: []any{1}},
		{Kind: "a", Field: "b", Op: "gt", Value: 10.0, Clear: limit(12)},
		{Kind: "a", Field: "b", Op: "lt", Value: 10.0, Clear: limit(8)},
	} {
		if rule.Check(r, station.ClassOther) == nil {
			t.Errorf("%+v is accepted", r)
		}
	}
}

func TestEvaluatingAllocatesNothing(t *testing.T) {
	r, err := newJudge(rule.Defaults(station.ClassTemperature)...)
	if err != nil {
		t.Fatal(err)
	}
	v := values{"temperature": 61.0, "battery": 50.0, "tamper": false, "linkquality": 90.0}
	if n := testing.AllocsPerRun(100, func() { r.Evaluate(v) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func ExampleDefaults() {
	for _, r := range rule.Defaults(station.ClassTemperature) {
		fmt.Println(r.Kind, r.Field, r.Op, r.Value)
	}
	// Output:
	// smoke smoke eq true
	// gas gas eq true
	// sos sos eq true
	// water water eq true
	// tamper tamper eq true
	// battery battery_low eq true
	// battery battery lt 10
	// temperature temperature gt 60
}

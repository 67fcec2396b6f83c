package rule_test

import (
	"encoding/json"
	"strings"
	"testing"

	"stationd/agent/station"
	"stationd/devices/rule"
)

func TestExpressions(t *testing.T) {
	for name, x := range map[string]struct {
		expr  string
		steps []any // values, and what they must lead to
	}{
		"two fields, told in two messages": {
			"temperature > 50 && humidity < 20",
			[]any{values{"temperature": 60.0}, "", values{"humidity": 10.0}, "+x", values{"battery": 50.0}, "", values{"temperature": 20.0}, "-x"},
		},
		"a field that is not there decides nothing": {
			"!tamper",
			[]any{values{"battery": 1.0}, "", values{"tamper": false}, "+x"},
		},
		"a stand-in for a field that is not there": {
			"(co2 ?? 400) > 1000 || smoke",
			[]any{values{"smoke": false}, "-x", values{"smoke": true}, "+x", values{"co2": 2000.0, "smoke": false}, "+x"},
		},
		"a deadband of its own": {
			"temperature > (active ? 55 : 60)",
			[]any{values{"temperature": 57.0}, "-x", values{"temperature": 61.0}, "+x", values{"temperature": 56.0}, "+x", values{"temperature": 55.0}, "-x", values{"temperature": 57.0}, "-x"},
		},
		"texts": {
			`action in ["hold", "double"] or action startsWith "sos"`,
			[]any{values{"action": "single"}, "-x", values{"action": "hold"}, "+x", values{"action": "sos_1"}, "+x"},
		},
		"a pattern": {
			`lower(action) matches "^(sos|help)"`,
			[]any{values{"action": "HELP me"}, "+x", values{"action": "no"}, "-x"},
		},
		"a field of this device alone": {
			`value("kitchen.t1") > 90 and value("mode") == "auto"`,
			[]any{values{"kitchen.t1": 95.0}, "", values{"mode": "auto"}, "+x", values{"kitchen.t1": "hot"}, "", values{"kitchen.t1": 5.0}, "-x"},
		},
		"a stand-in for a field of this device alone": {
			`(value("t1") ?? 0) + (value("t2") ?? 0) > 10`,
			[]any{values{"t1": 11.0}, "+x", values{"t2": -5.0}, "-x"},
		},
		"a number with its unit": {
			"water_level > 2",
			[]any{values{"water_level": "2.40 m"}, "+x", values{"water_level": "no idea"}, "", values{"water_level": "1 m"}, "-x"},
		},
		"a value of another kind": {
			"smoke", []any{values{"smoke": 1.0}, "", values{"smoke": true}, "+x"},
		},
		"numbers": {
			"abs(temperature - round(pressure / 10)) >= max(2, humidity * 0.5) && battery ** 2 < 4",
			[]any{values{"temperature": 10.0, "pressure": 1.0, "humidity": 1.0}, "", values{"battery": 1.0}, "+x", values{"battery": 2.0}, "-x"},
		},
		"either of them by a choice": {
			"battery_low ? true : temperature < -20",
			[]any{values{"battery_low": true, "temperature": 0.0}, "+x", values{"battery_low": false}, "-x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := rule.Compile([]station.Rule{{Kind: "x", Expr: x.expr, ID: "r1", Version: 3}}, station.ClassLevel)
			if err != nil {
				t.Fatal(err)
			}
			j := judgeOf(set)
			for i := 0; i < len(x.steps); i += 2 {
				got := j.Evaluate(x.steps[i].(values))
				if say(got) != x.steps[i+1] {
					t.Errorf("step %d, %v: got %q, want %q", i/2+1, x.steps[i], say(got), x.steps[i+1])
				}
				for _, s := range got {
					if s.Expr != x.expr || s.Field == "" || s.Value == nil || s.Rule != "r1" || s.Version != 3 {
						t.Errorf("step %d does not explain itself: %+v", i/2+1, s)
					}
				}
			}
		})
	}
}

// What is wrong with an expression is told with its place, before it goes live.
func TestExpressionsThatAreRefused(t *testing.T) {
	for expr, want := range map[string]string{
		"temprature > 60":                        `at character 1: there is no field "temprature"`,
		"smoke &&\n  temprature > 60":            `at line 2, character 3: there is no field "temprature"`,
		"temperature >":                          "at character 13: unexpected token EOF",
		`temperature > "hot"`:                    "at character 13: invalid operation: >",
		"temperature + 1":                        "expected bool",
		"smoke + 1 > 2":                          "invalid operation: +",
		"true":                                   "reads no field",
		"active":                                 "reads no field",
		"1..1000000000 == temperature":           "ranges are not allowed",
		"all(1..9, # > temperature)":             "there is no function all",
		"let x = temperature; x > 1":             "more than a rule may do",
		"map([1], {# + temperature})[0] > 1":     "fields have no parts",
		`repeat("a", 1000000000) == action`:      "there is no function repeat",
		"now().Unix() > temperature":             "only functions are called",
		"kitchen.t1 > 3":                         `fields have no parts`,
		`$env["smoke"]`:                          "fields have no parts",
		"value(action) > 1":                      "value takes the name of a field in quotes",
		`value("a", "b") > 1`:                    "value takes the name of a field in quotes",
		`value("active")`:                        "value takes the name of a field in quotes",
		"temperature.foo() > 1":                  "only functions are called",
		`action matches state`:                   "the pattern behind matches",
		`action matches "("`:                     "missing closing )",
		strings.Repeat("smoke || ", 200):         "more than 1000",
		strings.Repeat("!", 800) + "smoke":       "exceeds maximum allowed nodes",
		"{\"a\": smoke}":                         "more than a rule may do",
		"temperature % 2 == 0":                   "invalid operation: %",
		"smoke; gas":                             "more than a rule may do",
		"if smoke { gas } else { water }":        "",
		"temperature > 60 ? smoke : temperature": "", // what is no yes or no decides nothing
	} {
		err := rule.Check(station.Rule{Kind: "x", Expr: expr}, station.ClassSmoke)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", expr, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s is accepted", expr)
			continue
		}
		p, ok := station.AsProblem(err)
		if !ok || p.Place != "expr" || !strings.Contains(p.Message, want) {
			t.Errorf("%s: got %q, want %q", expr, err, want)
		}
		if strings.Contains(want, "there is no field") && !strings.Contains(p.Hint, "the fields are smoke, smoke_density") {
			t.Errorf("%s: the hint names no fields: %q", expr, p.Hint)
		}
	}
	low := 10.0
	for place, r := range map[string]station.Rule{
		"expr":     {Kind: "x", Expr: "smoke", Field: "smoke", Op: "eq", Value: true},
		"clear":    {Kind: "x", Expr: "temperature > 60", Clear: &low},
		"kind":     {Expr: "smoke"},
		"within":   {Kind: "x", Expr: "smoke", Timing: station.Timing{Count: 3}},
		"for":      {Kind: "x", Expr: "smoke", Timing: station.Timing{For: -1}},
		"severity": {Kind: "x", Expr: "smoke", Timing: station.Timing{Severity: "bad"}},
		"count":    {Kind: "x", Expr: "smoke", Timing: station.Timing{Count: -1}},
	} {
		if p, ok := station.AsProblem(rule.Check(r, station.ClassSmoke)); !ok || p.Place != place {
			t.Errorf("%+v: got %v", r, p)
		}
	}
}

// A rule may not use up the station, whatever stands in it.
func TestAnExpressionIsBounded(t *testing.T) {
	long := strings.Repeat("x", 256)
	set, err := rule.Compile([]station.Rule{{Kind: "x", Expr: strings.Repeat("action+", 90) + `"" == "a"`}}, station.ClassSmoke)
	if err != nil {
		t.Fatal(err)
	}
	if got := say(judgeOf(set).Evaluate(values{"action": long})); got != "-x" {
		t.Errorf("got %q", got)
	}
}

func FuzzExpression(f *testing.F) {
	for _, s := range []string{
		"temperature > 50 && humidity < 20", "(co2 ?? 400) > 1000 || smoke", "temperature > (active ? 55 : 60)", `value("a.b") in [1, "x", true]`,
		`lower(action) matches "^(sos|help)"`, `action[0:1] == "a"`, "let x = 1; x", "1..10", "smoke ?? gas ?? water", "-temperature ** 2 > 1e308", `min([temperature, 1]) < abs(-1)`,
		"if smoke { gas } else { water }", `action contains "a" + "b"`, "round(temperature) % 2 == 0", "nil == action", "[smoke] == [true]", `max("a", temperature) > 1`,
	} {
		f.Add(s, 1.5, "on", true)
	}
	f.Fuzz(func(t *testing.T, expr string, number float64, text string, yes bool) {
		set, err := rule.Compile([]station.Rule{{Kind: "x", Expr: expr}}, station.ClassOther)
		if err != nil {
			if _, ok := station.AsProblem(err); !ok {
				t.Errorf("%q: %v is for nobody", expr, err)
			}
			return
		}
		j := judgeOf(set)
		for _, f := range rule.Fields(station.ClassOther) {
			for _, v := range []station.Value{number, text, yes} {
				if n := len(j.Evaluate(values{f.Name: v})); n > 1 {
					t.Errorf("%q: %d signals", expr, n)
				}
			}
		}
	})
}

// FuzzRule takes a rule as it comes over the line, and a reading.
func FuzzRule(f *testing.F) {
	f.Add([]byte(`{"kind":"temperature","field":"temperature","op":"gt","value":60,"clear":55,"for":60000000000}`), []byte(`{"temperature":61}`))
	f.Add([]byte(`{"kind":"a","field":"s","op":"ne","value":"on"}`), []byte(`{"s":"2.4 m"}`))
	f.Add([]byte(`{"kind":"a","expr":"smoke || value(\"x\") > 1"}`), []byte(`{"smoke":true,"x":"a"}`))
	f.Add([]byte(`{"kind":"a","field":"b","op":"eq","value":[1],"disabled":true,"count":2,"within":1}`), []byte(`{"b":null}`))
	f.Fuzz(func(t *testing.T, ruleJSON, readingJSON []byte) {
		var r station.Rule
		var v values
		if json.Unmarshal(ruleJSON, &r) != nil || json.Unmarshal(readingJSON, &v) != nil {
			return
		}
		set, err := rule.Compile([]station.Rule{r}, station.ClassOther)
		if (err == nil) != (rule.Check(r, station.ClassOther) == nil) {
			t.Errorf("Check and Compile disagree about %s: %v", ruleJSON, err)
		}
		if err != nil {
			return
		}
		for range 2 {
			for _, s := range judgeOf(set).Evaluate(v) {
				if s.Kind != r.Kind {
					t.Errorf("a rule for %q gave %+v", r.Kind, s)
				}
			}
		}
	})
}

package main

import (
	"stationd/agent"
	"stationd/agent/station"
	"stationd/devices/rule"
)

// judging lends the core the evaluator of live readings: what a trial says is
// what would happen.
func judging() agent.Rules {
	return agent.Rules{
		Check:    rule.Check,
		Defaults: rule.Defaults,
		Fields: func(class string) (out []station.RuleField) {
			for _, f := range rule.Fields(class) {
				out = append(out, station.RuleField{Name: f.Name, Type: string(f.Type), Unit: f.Unit, Known: true})
			}
			return out
		},
		Try: func(r station.Rule, class string) (func() agent.RuleJudge, error) {
			begin, err := rule.Try(r, class)
			if err != nil {
				return nil, err
			}
			return func() agent.RuleJudge { return begin() }, nil
		},
	}
}

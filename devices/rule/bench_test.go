package rule_test

import (
	"testing"

	"stationd/agent/station"
	"stationd/devices/rule"
)

func benchmark(b *testing.B, v values, all ...station.Rule) {
	set, err := rule.Compile(all, station.ClassTemperature)
	if err != nil {
		b.Fatal(err)
	}
	j := judgeOf(set)
	b.ReportAllocs()
	for b.Loop() {
		j.set.Evaluate(v, nil, j.was, j.next, j.signals[:0])
	}
}

var reading = values{"temperature": 61.0, "battery": 50.0, "tamper": false, "linkquality": 90.0}

// BenchmarkRuleForm is one typed rule on one reading.
func BenchmarkRuleForm(b *testing.B) {
	benchmark(b, reading, station.Rule{Kind: "temperature", Field: "temperature", Op: "gt", Value: 60.0, Clear: limit(55)})
}

// BenchmarkRuleExpr is one expression over two fields.
func BenchmarkRuleExpr(b *testing.B) {
	benchmark(b, reading, station.Rule{Kind: "temperature", Expr: "temperature > 60 && battery > 10"})
}

// BenchmarkRuleDefaults is all that a temperature sensor without own rules heeds.
func BenchmarkRuleDefaults(b *testing.B) {
	benchmark(b, reading, rule.Defaults(station.ClassTemperature)...)
}

// BenchmarkRuleCompileExpr is what it costs to make an expression ready.
func BenchmarkRuleCompileExpr(b *testing.B) {
	for b.Loop() {
		if err := rule.Check(station.Rule{Kind: "x", Expr: "temperature > 60 && battery > 10"}, station.ClassTemperature); err != nil {
			b.Fatal(err)
		}
	}
}

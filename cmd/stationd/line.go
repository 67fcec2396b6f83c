package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"stationd/uplink/budget"
)

// lineMetrics are who spends what of the line to the parent.
func (n *node) lineMetrics(reg *prometheus.Registry) { reg.MustRegister(lineCollector{n.budget}) }

var (
	lineBytes = prometheus.NewDesc("stationd_line_bytes_total", "Bytes on the line to the parent, as far as this program sends or receives them.", []string{"class", "direction"}, nil)
	lineHeld  = prometheus.NewDesc("stationd_line_held_bits", "Bits per second that live pictures and sound have a place for.", []string{"class"}, nil)
	lineWait  = prometheus.NewDesc("stationd_line_waited_seconds_total", "How long senders were held up for others.", []string{"class"}, nil)
	lineLimit = prometheus.NewDesc("stationd_line_limit_bits", "What the line carries, as configured, in bits per second.", []string{"direction"}, nil)
	lineCalls = prometheus.NewDesc("stationd_line_calls_total", "Live pictures that got no place on the line, or lost theirs.", []string{"outcome"}, nil)
)

// lineCollector reads one report for all its metrics.
type lineCollector struct{ line *budget.Budget }

func (c lineCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{lineBytes, lineHeld, lineWait, lineLimit, lineCalls} {
		ch <- d
	}
}

func (c lineCollector) Collect(ch chan<- prometheus.Metric) {
	r := c.line.Report()
	tell := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	for _, u := range r.Classes {
		class := string(u.Class)
		tell(lineBytes, prometheus.CounterValue, float64(u.Up.Bytes), class, "up")
		tell(lineBytes, prometheus.CounterValue, float64(u.Down.Bytes), class, "down")
		tell(lineHeld, prometheus.GaugeValue, float64(u.Held), class)
		tell(lineWait, prometheus.CounterValue, u.Waited, class)
	}
	tell(lineLimit, prometheus.GaugeValue, float64(r.Up), "up")
	tell(lineLimit, prometheus.GaugeValue, float64(r.Down), "down")
	tell(lineCalls, prometheus.CounterValue, float64(r.Refused), "refused")
	tell(lineCalls, prometheus.CounterValue, float64(r.Yielded), "yielded")
}

package main

import (
	"fmt"
	"math"
	"time"
)

// latencies counts times in steps of two percent, so that an hour of them takes
// no more room than a second.
type latencies struct {
	steps [1024]uint32 // the last is an hour
	count int
	most  time.Duration
}

// step is the ratio of two steps, the first of which is ten microseconds.
const step = 1.02

func (l *latencies) add(d time.Duration) {
	i := 0
	if us := float64(d) / float64(10*time.Microsecond); us > 1 {
		i = min(int(math.Log(us)/math.Log(step)), len(l.steps)-1)
	}
	l.steps[i]++
	l.count++
	l.most = max(l.most, d)
}

// quantile is the time that so many percent did not exceed.
func (l *latencies) quantile(percent float64) time.Duration {
	want := int(math.Ceil(float64(l.count) * percent / 100))
	for i, n := range l.steps {
		if want -= int(n); want <= 0 && l.count > 0 {
			return min(time.Duration(float64(10*time.Microsecond)*math.Pow(step, float64(i+1))), l.most)
		}
	}
	return l.most
}

// String is what is printed.
func (l *latencies) String() string {
	if l.count == 0 {
		return "none"
	}
	return fmt.Sprintf("p50 %s  p99 %s  max %s", brief(l.quantile(50)), brief(l.quantile(99)), brief(l.most))
}

// brief is a time with three digits or so.
func brief(d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.2fms", float64(d)/float64(time.Millisecond))
	case d < 10*time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

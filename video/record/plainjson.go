package record

import (
	"bytes"
	"time"
)

// plainJSON reads JSON as encoding/json writes it: without white space, with names that
// need no escaping, whole numbers, and each key of an object once. What is anything
// else makes it bad, and from then on it reads nothing.
type plainJSON struct {
	text []byte
	at   int
	bad  bool
	r    *sealReader
}

// take passes over one byte if it is c.
func (p *plainJSON) take(c byte) bool {
	if p.bad || p.at >= len(p.text) || p.text[p.at] != c {
		return false
	}
	p.at++
	return true
}

func (p *plainJSON) must(c byte) {
	if !p.take(c) {
		p.bad = true
	}
}

// object reads {"key":value,…}; value reads what belongs to a key.
func (p *plainJSON) object(value func(key string)) {
	p.must('{')
	if p.take('}') {
		return
	}
	var seen [8]string // objects with more keys than this have them of people's choice, who look for themselves
	for n := 0; !p.bad; n++ {
		key := p.name()
		for i := range min(n, len(seen)) {
			p.bad = p.bad || seen[i] == key
		}
		if n < len(seen) {
			seen[n] = key
		}
		p.must(':')
		if p.bad {
			return
		}
		value(key)
		if !p.take(',') {
			p.must('}')
			return
		}
	}
}

// list reads [value,…] or null.
func (p *plainJSON) list(value func()) {
	if !p.bad && bytes.HasPrefix(p.text[p.at:], []byte("null")) {
		p.at += len("null")
		return
	}
	p.must('[')
	if p.take(']') {
		return
	}
	for !p.bad {
		value()
		if !p.take(',') {
			p.must(']')
			return
		}
	}
}

// name reads a string of plain ASCII.
func (p *plainJSON) name() string {
	p.must('"')
	if p.bad {
		return ""
	}
	for i := p.at; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '"':
			raw := p.text[p.at:i]
			p.at = i + 1
			known, ok := p.r.names[string(raw)]
			if !ok {
				known = string(raw)
				p.r.names[known] = known
			}
			return known
		case c < ' ', c == '\\', c > '~':
			p.bad = true
			return ""
		}
	}
	p.bad = true
	return ""
}

// number reads a whole number.
func (p *plainJSON) number() int64 {
	minus := p.take('-')
	began := p.at
	n := p.digits(18)
	if length := p.at - began; length == 0 || length > 1 && p.text[began] == '0' {
		p.bad = true
	}
	if p.at < len(p.text) {
		switch p.text[p.at] {
		case ',', '}', ']':
		default:
			p.bad = true // a fraction, an exponent, or more digits
		}
	}
	if minus {
		return -n
	}
	return n
}

// digits reads at most so many.
func (p *plainJSON) digits(most int) (n int64) {
	for i := 0; i < most && !p.bad && p.at < len(p.text); i++ {
		c := p.text[p.at]
		if c < '0' || c > '9' {
			return n
		}
		n = 10*n + int64(c-'0')
		p.at++
	}
	return n
}

// two reads two digits that make no more than most.
func (p *plainJSON) two(most int64) int {
	began := p.at
	n := p.digits(2)
	if p.at-began != 2 || n > most {
		p.bad = true
	}
	return int(n)
}

// moment reads a time as time.Time is written.
func (p *plainJSON) moment() time.Time {
	p.must('"')
	year := p.two(99)*100 + p.two(99)
	p.must('-')
	month := time.Month(p.two(12))
	p.must('-')
	day := p.two(31)
	p.must('T')
	hour := p.two(23)
	p.must(':')
	minute := p.two(59)
	p.must(':')
	second := p.two(59)
	nanos := 0
	if p.take('.') {
		began := p.at
		nanos = int(p.digits(9))
		if p.at == began {
			p.bad = true
		}
		for range 9 - (p.at - began) {
			nanos *= 10
		}
	}
	var east time.Duration
	zone := time.UTC
	if !p.take('Z') {
		minus := p.take('-')
		if !minus {
			p.must('+')
		}
		east = time.Duration(p.two(23)) * time.Hour
		p.must(':')
		east += time.Duration(p.two(59)) * time.Minute
		if minus {
			east = -east
		}
		zone = time.Local
	}
	p.must('"')
	t := time.Date(year, month, day, hour, minute, second, nanos, time.UTC)
	if p.bad || t.Day() != day || t.Month() != month { // the 30th of February
		p.bad = true
		return time.Time{}
	}
	return t.Add(-east).In(zone)
}

package payload

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Most readings are one flat JSON object of numbers, texts and yes or no. Such a
// one is read in a single pass; anything else, a fault too, is left to
// encoding/json.

// pair is a name of an object and what stands behind it: nil, bool, float64 or
// string; in one that was read by encoding/json also a list or an object.
type pair struct {
	name  string
	value any
}

// flat reads a flat object in the order of its names, the last of a name counting.
// Not ok is that this is for encoding/json.
func flat(payload []byte, into []pair) (all []pair, ok bool) {
	s := flatScan{b: payload}
	if !s.next('{') {
		return into, false
	}
	for first := true; ; first = false {
		if s.space(); first && s.is('}') {
			break
		}
		name, ok := s.text()
		if !ok || !s.next(':') {
			return into, false
		}
		s.space()
		value, ok := s.value()
		if !ok {
			return into, false
		}
		into = append(into, pair{known(name), value})
		if s.space(); s.is('}') {
			break
		}
		if !s.is(',') {
			return into, false
		}
	}
	if s.space(); s.at != len(s.b) {
		return into, false
	}
	slices.SortStableFunc(into, func(x, y pair) int { return strings.Compare(x.name, y.name) })
	all = into[:0]
	for i, p := range into {
		if i+1 < len(into) && into[i+1].name == p.name {
			continue
		}
		all = append(all, p)
	}
	return all, true
}

// flatScan goes through an object's bytes.
type flatScan struct {
	b  []byte
	at int
}

func (s *flatScan) space() {
	for s.at < len(s.b) && (s.b[s.at] == ' ' || s.b[s.at] == '\n' || s.b[s.at] == '\r' || s.b[s.at] == '\t') {
		s.at++
	}
}

// is takes a byte when it is the one that comes.
func (s *flatScan) is(c byte) bool {
	if s.at < len(s.b) && s.b[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *flatScan) next(c byte) bool {
	s.space()
	return s.is(c)
}

// word takes a word when it is the one that comes.
func (s *flatScan) word(w string) bool {
	if len(s.b)-s.at >= len(w) && string(s.b[s.at:s.at+len(w)]) == w {
		s.at += len(w)
		return true
	}
	return false
}

// text takes a text without escapes.
func (s *flatScan) text() ([]byte, bool) {
	if !s.is('"') {
		return nil, false
	}
	from, plain := s.at, true
	for ; s.at < len(s.b); s.at++ {
		switch c := s.b[s.at]; {
		case c == '"':
			text := s.b[from:s.at]
			s.at++
			return text, plain || utf8.Valid(text)
		case c == '\\' || c < ' ':
			return nil, false
		case c >= utf8.RuneSelf:
			plain = false
		}
	}
	return nil, false
}

func (s *flatScan) value() (any, bool) {
	if s.at == len(s.b) {
		return nil, false
	}
	switch s.b[s.at] {
	case '"':
		text, ok := s.text()
		return string(text), ok
	case 't':
		return true, s.word("true")
	case 'f':
		return false, s.word("false")
	case 'n':
		return nil, s.word("null")
	}
	return s.number()
}

// number takes what JSON calls a number.
func (s *flatScan) number() (any, bool) {
	from := s.at
	s.is('-')
	if !s.is('0') && !s.digits() {
		return nil, false
	}
	if s.is('.') && !s.digits() {
		return nil, false
	}
	if s.is('e') || s.is('E') {
		if !s.is('+') {
			s.is('-')
		}
		if !s.digits() {
			return nil, false
		}
	}
	f, err := strconv.ParseFloat(string(s.b[from:s.at]), 64)
	return f, err == nil
}

func (s *flatScan) digits() bool {
	from := s.at
	for s.at < len(s.b) && s.b[s.at] >= '0' && s.b[s.at] <= '9' {
		s.at++
	}
	return s.at > from
}

// known is a field's name, without a copy of the usual ones.
func known(name []byte) string {
	switch string(name) {
	case "battery":
		return "battery"
	case "battery_low":
		return "battery_low"
	case "linkquality":
		return "linkquality"
	case "last_seen":
		return "last_seen"
	case "tamper":
		return "tamper"
	case "voltage":
		return "voltage"
	case "temperature":
		return "temperature"
	case "humidity":
		return "humidity"
	case "contact":
		return "contact"
	case "occupancy":
		return "occupancy"
	case "smoke":
		return "smoke"
	case "gas":
		return "gas"
	case "water_leak":
		return "water_leak"
	case "state":
		return "state"
	case "power":
		return "power"
	}
	return string(name)
}

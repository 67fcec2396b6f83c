package budget

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate is an amount of data in a time, in bits per second. In configuration it is
// a number with a unit: "50Mbit/s", "800kbit/s".
type Rate int64

// The units, which are decimal, as lines are sold.
const (
	Kbit Rate = 1e3
	Mbit Rate = 1e6
	Gbit Rate = 1e9
)

// RateOf is what bytes in a time come to.
func RateOf(bytes uint64, in time.Duration) Rate {
	if in <= 0 {
		return 0
	}
	return Rate(float64(bytes) * 8 / in.Seconds())
}

// String is r with the largest unit that divides it.
func (r Rate) String() string {
	for _, u := range []struct {
		size Rate
		name string
	}{{Gbit, "Gbit/s"}, {Mbit, "Mbit/s"}, {Kbit, "kbit/s"}} {
		if r != 0 && r%u.size == 0 {
			return strconv.FormatInt(int64(r/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(r), 10) + "bit/s"
}

// MarshalYAML writes r as String does; in JSON it is a number.
func (r Rate) MarshalYAML() (any, error) { return r.String(), nil }

// UnmarshalYAML reads what ParseRate does.
func (r *Rate) UnmarshalYAML(unmarshal func(any) error) error {
	var s any
	if err := unmarshal(&s); err != nil {
		return err
	}
	v, err := ParseRate(fmt.Sprint(s))
	if err == nil {
		*r = v
	}
	return err
}

// ParseRate reads a number with an optional unit: k, M or G, with or without bit/s.
func ParseRate(s string) (Rate, error) {
	unit := strings.TrimLeft(strings.TrimSpace(s), "0123456789")
	n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(s), unit), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("rate %q: want a number with a unit, for example 50Mbit/s", s)
	}
	var size int64
	switch strings.TrimSuffix(strings.ToLower(strings.TrimSpace(unit)), "bit/s") {
	case "":
		size = 1
	case "k":
		size = int64(Kbit)
	case "m":
		size = int64(Mbit)
	case "g":
		size = int64(Gbit)
	default:
		return 0, fmt.Errorf("rate %q: unknown unit %q, want kbit/s, Mbit/s or Gbit/s", s, unit)
	}
	if n > (1<<62)/size {
		return 0, fmt.Errorf("rate %q: too large", s)
	}
	return Rate(n * size), nil
}

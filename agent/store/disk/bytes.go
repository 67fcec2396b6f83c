package disk

import (
	"fmt"
	"strconv"
	"strings"
)

// Bytes is an amount of storage. In configuration it is a number with a binary
// unit: "64MiB", "2GiB", "4096".
type Bytes int64

// The binary units.
const (
	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
	TiB Bytes = 1 << 40
)

// String is b with the largest unit that divides it.
func (b Bytes) String() string {
	for _, u := range []struct {
		size Bytes
		name string
	}{{TiB, "TiB"}, {GiB, "GiB"}, {MiB, "MiB"}, {KiB, "KiB"}} {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// MarshalText writes b as String does.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a number with an optional unit: KiB, MiB, GiB, TiB, and
// their short forms K, M, G, T; KB, MB, GB and TB are the decimal ones.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	cut := len(s)
	for cut > 0 && (s[cut-1] < '0' || s[cut-1] > '9') {
		cut--
	}
	n, err := strconv.ParseInt(s[:cut], 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("size %q: want a number with a unit, for example 64MiB", s)
	}
	var unit int64
	switch strings.ToLower(strings.TrimSpace(s[cut:])) {
	case "", "b":
		unit = 1
	case "k", "kib":
		unit = int64(KiB)
	case "m", "mib":
		unit = int64(MiB)
	case "g", "gib":
		unit = int64(GiB)
	case "t", "tib":
		unit = int64(TiB)
	case "kb":
		unit = 1e3
	case "mb":
		unit = 1e6
	case "gb":
		unit = 1e9
	case "tb":
		unit = 1e12
	default:
		return fmt.Errorf("size %q: unknown unit %q, want KiB, MiB, GiB or TiB", s, s[cut:])
	}
	if n > (1<<63-1)/unit {
		return fmt.Errorf("size %q: too large", s)
	}
	*b = Bytes(n * unit)
	return nil
}

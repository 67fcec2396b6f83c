package protocol

import (
	"fmt"
	"strconv"
)

// Decimal is a sequence or hop number on the wire: a decimal string, because
// CloudEvents' Integer has 32 bits and JSON readers often keep 53.
type Decimal uint64

// MarshalJSON writes a decimal string.
func (d Decimal) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, strconv.FormatUint(uint64(d), 10)), nil
}

// UnmarshalJSON takes a decimal string, or a plain integer.
func (d *Decimal) UnmarshalJSON(b []byte) error {
	s := string(b)
	if s == "null" {
		return nil
	}
	if len(s) >= 2 && s[0] == '"' {
		s = s[1 : len(s)-1]
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return fmt.Errorf("number %.40q: want decimal digits, up to 64 bits", s)
	}
	*d = Decimal(n)
	return nil
}

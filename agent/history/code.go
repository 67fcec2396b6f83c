package history

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"stationd/agent/station"
)

// How readings lie in the store: a row is one of them with its fields' names, a
// block many, with the names once and times as differences.

// reading is one message's fields at one moment.
type reading struct {
	at     int64 // nanoseconds since 1970
	late   bool
	fields []field
}

type field struct {
	name  string
	value station.Value // bool, float64 or string
}

func (r *reading) values() map[string]station.Value {
	m := make(map[string]station.Value, len(r.fields))
	for _, f := range r.fields {
		m[f.name] = f.value
	}
	return m
}

// The first byte of a value.
const (
	tagFalse = iota
	tagTrue
	tagCents // a number with at most two decimals, as its hundredfold
	tagFloat
	tagText
)

const (
	lateFlag     = 1
	blockVersion = 1
)

var errCut = errors.New("the history's row is cut off")

func encodeRow(sensor string, at int64, late bool, values map[string]station.Value) []byte {
	b := make([]byte, 0, len(sensor)+16*len(values)+12)
	b = appendText(b, sensor)
	b = binary.AppendUvarint(b, uint64(max(0, at)))
	b = append(b, flags(late))
	for name, v := range values {
		if !keeps(v) {
			continue
		}
		b = appendText(b, name)
		b = appendValue(b, v)
	}
	return b
}

func flags(late bool) byte {
	if late {
		return lateFlag
	}
	return 0
}

// keeps tells whether a value is of a kind that readings have.
func keeps(v station.Value) bool {
	switch x := v.(type) {
	case bool, string:
		return true
	case float64:
		return x-x == 0 // no NaN, nothing infinite
	}
	return false
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendValue(b []byte, v station.Value) []byte {
	switch x := v.(type) {
	case bool:
		if x {
			return append(b, tagTrue)
		}
		return append(b, tagFalse)
	case float64:
		if cents := math.Round(x * 100); math.Abs(cents) < 1<<40 && cents/100 == x {
			return binary.AppendVarint(append(b, tagCents), int64(cents))
		}
		return binary.BigEndian.AppendUint64(append(b, tagFloat), math.Float64bits(x))
	case string:
		return appendText(append(b, tagText), x)
	}
	return b
}

// cursor reads bytes; after the first fault it reads nothing more.
type cursor struct {
	b   []byte
	err error
}

func (c *cursor) fail() {
	c.b, c.err = nil, errCut
}

func (c *cursor) byte() byte {
	if len(c.b) == 0 {
		c.fail()
		return 0
	}
	x := c.b[0]
	c.b = c.b[1:]
	return x
}

func (c *cursor) uvarint() uint64 {
	x, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.b = c.b[n:]
	return x
}

func (c *cursor) varint() int64 {
	x, n := binary.Varint(c.b)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.b = c.b[n:]
	return x
}

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.b)) {
		c.fail()
		return nil
	}
	x := c.b[:n]
	c.b = c.b[n:]
	return x
}

func (c *cursor) text() string { return string(c.take(c.uvarint())) }

func (c *cursor) value() station.Value {
	switch tag := c.byte(); tag {
	case tagFalse:
		return false
	case tagTrue:
		return true
	case tagCents:
		return float64(c.varint()) / 100
	case tagFloat:
		if b := c.take(8); b != nil {
			return math.Float64frombits(binary.BigEndian.Uint64(b))
		}
	case tagText:
		return c.text()
	default:
		c.fail()
	}
	return nil
}

// sensorOf cuts the sensor off a row.
func sensorOf(row []byte) (sensor, rest []byte, ok bool) {
	c := cursor{b: row}
	sensor = c.take(c.uvarint())
	return sensor, c.b, c.err == nil
}

// decodeRow reads what is behind the sensor.
func decodeRow(b []byte) (reading, error) {
	c := cursor{b: b}
	r := reading{at: int64(c.uvarint() & math.MaxInt64), late: c.byte()&lateFlag != 0}
	for c.err == nil && len(c.b) > 0 {
		r.fields = append(r.fields, field{c.text(), c.value()})
	}
	return r, c.err
}

// encodeBlock packs readings of one day, in the order of their times.
func encodeBlock(list []reading) []byte {
	index := map[string]uint64{}
	var names []string
	for i := range list {
		for _, f := range list[i].fields {
			if _, known := index[f.name]; !known {
				index[f.name] = uint64(len(names))
				names = append(names, f.name)
			}
		}
	}
	b := []byte{blockVersion}
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, n := range names {
		b = appendText(b, n)
	}
	last := int64(0)
	for i := range list {
		r := &list[i]
		ms := r.at / int64(time.Millisecond)
		b = binary.AppendUvarint(b, uint64(ms-last))
		last = ms
		b = binary.AppendUvarint(append(b, flags(r.late)), uint64(len(r.fields)))
		for _, f := range r.fields {
			b = appendValue(binary.AppendUvarint(b, index[f.name]), f.value)
		}
	}
	return b
}

// decodeBlock calls fn for each reading of a block.
func decodeBlock(b []byte, fn func(reading) error) error {
	c := cursor{b: b}
	if c.byte() != blockVersion {
		return errors.New("the history's block is of another version")
	}
	n := c.uvarint()
	if n > uint64(len(b)) {
		return errCut
	}
	names := make([]string, n)
	for i := range names {
		names[i] = c.text()
	}
	ms := uint64(0)
	var fields []field
	for c.err == nil && len(c.b) > 0 {
		ms += c.uvarint()
		late := c.byte()&lateFlag != 0
		fields = fields[:0]
		for range c.uvarint() {
			i := c.uvarint()
			if c.err != nil || i >= n {
				return errCut
			}
			fields = append(fields, field{names[i], c.value()})
		}
		if c.err == nil {
			if err := fn(reading{at: int64(ms) * int64(time.Millisecond), late: late, fields: fields}); err != nil {
				return err
			}
		}
	}
	return c.err
}

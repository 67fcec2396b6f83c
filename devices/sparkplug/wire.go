package sparkplug

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"stationd/agent/station"
	"stationd/devices/payload"
)

// message is a Sparkplug payload, as far as it concerns readings. The field
// numbers are those of the specification's chapter 6.4 ("Payload B"); they are
// read with protowire, so that nothing generated has to be carried along.
type message struct {
	timestamp uint64 // milliseconds since 1970
	metrics   []metric
	seq       uint64
	hasSeq    bool
}

// metric is one named value.
type metric struct {
	name       string
	hasName    bool
	alias      uint64
	hasAlias   bool
	timestamp  uint64
	datatype   uint64
	historical bool
	null       bool
	quality    uint64
	hasQuality bool
	value      station.Value // nil where there is none that can be read
	long       uint64        // an integer as it came
	isInteger  bool
}

// The data types of the specification, chapter 6.4.16, that are not what the
// bytes say by themselves.
const (
	typeInt8     = 1
	typeInt16    = 2
	typeInt32    = 3
	typeInt64    = 4
	typeBoolean  = 11
	typeDateTime = 13
)

// goodQuality is what the property "Quality" says of a value that can be trusted.
const goodQuality = 192

// MaxMetrics is how many metrics of one message are read; a message with more
// is refused.
const MaxMetrics = 4096

var (
	errTooMany    = fmt.Errorf("sparkplug payload: more than %d metrics", MaxMetrics)
	errCompressed = errors.New("sparkplug payload: it is compressed; switch compression off at the node")
)

// fields walks the fields of a protobuf message. take returns the number of
// bytes that it has read of the rest, zero for a field that is none of its.
func fields(b []byte, take func(num protowire.Number, typ protowire.Type, rest []byte) (int, error)) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("sparkplug payload: %w", protowire.ParseError(n))
		}
		b = b[n:]
		n, err := take(num, typ, b)
		if err != nil {
			return err
		}
		if n == 0 {
			if typ == protowire.StartGroupType {
				// Not part of the format; skipping one may recurse as deep as
				// the sender likes.
				return errors.New("sparkplug payload: it has a group")
			}
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return fmt.Errorf("sparkplug payload: %w", protowire.ParseError(n))
		}
		b = b[n:]
	}
	return nil
}

// parse reads a payload.
func parse(b []byte) (message, error) {
	var m message
	err := fields(b, func(num protowire.Number, typ protowire.Type, rest []byte) (n int, err error) {
		switch {
		case num == 1 && typ == protowire.VarintType:
			m.timestamp, n = protowire.ConsumeVarint(rest)
		case num == 2 && typ == protowire.BytesType:
			var body []byte
			if body, n = protowire.ConsumeBytes(rest); n < 0 {
				return n, nil
			}
			if len(m.metrics) == MaxMetrics {
				return n, errTooMany
			}
			one, err := parseMetric(body)
			if err != nil {
				return n, err
			}
			m.metrics = append(m.metrics, one)
		case num == 3 && typ == protowire.VarintType:
			m.seq, n = protowire.ConsumeVarint(rest)
			m.hasSeq = true
		case num == 4 && typ == protowire.BytesType:
			var uuid []byte
			if uuid, n = protowire.ConsumeBytes(rest); n > 0 && string(uuid) == "SPBV1.0_COMPRESSED" {
				return n, errCompressed
			}
		}
		return n, nil
	})
	return m, err
}

// parseMetric reads one metric.
func parseMetric(b []byte) (metric, error) {
	var m metric
	var (
		integer            uint64
		isInt, isYes       bool
		number             float64
		isNumber, isString bool
		text               string
	)
	err := fields(b, func(num protowire.Number, typ protowire.Type, rest []byte) (n int, err error) {
		switch typ {
		case protowire.VarintType:
			var v uint64
			if v, n = protowire.ConsumeVarint(rest); n < 0 {
				return n, nil
			}
			switch num {
			case 2:
				m.alias, m.hasAlias = v, true
			case 3:
				m.timestamp = v
			case 4:
				m.datatype = v
			case 5:
				m.historical = v != 0
			case 7:
				m.null = v != 0
			case 10, 11:
				integer, isInt = v, true
			case 14:
				integer, isYes = v, true
			}
		case protowire.Fixed32Type:
			var v uint32
			if v, n = protowire.ConsumeFixed32(rest); n > 0 && num == 12 {
				number, isNumber = float64(math.Float32frombits(v)), true
				number = shortest(number)
			}
		case protowire.Fixed64Type:
			var v uint64
			if v, n = protowire.ConsumeFixed64(rest); n > 0 && num == 13 {
				number, isNumber = math.Float64frombits(v), true
			}
		case protowire.BytesType:
			var v []byte
			if v, n = protowire.ConsumeBytes(rest); n < 0 {
				return n, nil
			}
			switch num {
			case 1:
				m.name, m.hasName = string(v), true
			case 9:
				q, has, err := quality(v)
				if err != nil {
					return n, err
				}
				m.quality, m.hasQuality = q, has
			case 15:
				text, isString = string(v), true
			}
		}
		return n, nil
	})
	switch {
	case err != nil:
		return metric{}, err
	case m.hasName && !utf8.ValidString(m.name):
		return metric{}, errors.New("sparkplug payload: a metric's name is no UTF-8")
	case m.null:
	case isYes:
		m.value = integer != 0
	case isInt:
		m.long, m.isInteger = integer, true
	case isNumber && !math.IsNaN(number) && !math.IsInf(number, 0):
		m.value = number
	case isString && utf8.ValidString(text):
		m.value = clip(text)
	}
	return m, nil
}

// settle turns an integer into a value by the metric's type, which data after
// the birth need not repeat.
func (m *metric) settle(datatype uint64) {
	if !m.isInteger || m.null {
		return
	}
	switch datatype {
	case typeInt8: // a small negative number comes as its bits in 32
		m.value = float64(int8(m.long))
	case typeInt16:
		m.value = float64(int16(m.long))
	case typeInt32:
		m.value = float64(int32(m.long))
	case typeInt64:
		m.value = float64(int64(m.long))
	case typeBoolean: // not as specified, and what is meant is plain
		m.value = m.long != 0
	case typeDateTime:
		if m.long < maxMillis {
			m.value = time.UnixMilli(int64(m.long)).UTC().Format(time.RFC3339)
		}
	default:
		m.value = float64(m.long)
	}
}

// quality finds the property "Quality" in a property set.
func quality(b []byte) (value uint64, has bool, err error) {
	at, i, k := -1, 0, 0
	var values []uint64
	err = fields(b, func(num protowire.Number, typ protowire.Type, rest []byte) (n int, err error) {
		if typ != protowire.BytesType {
			return 0, nil
		}
		body, n := protowire.ConsumeBytes(rest)
		switch {
		case n < 0:
		case num == 1:
			if string(body) == "Quality" && at < 0 {
				at = i
			}
			i++
		case num == 2 && k < 64:
			k++
			v := uint64(goodQuality)
			err = fields(body, func(num protowire.Number, typ protowire.Type, rest []byte) (n int, err error) {
				if typ == protowire.VarintType && (num == 3 || num == 4) {
					v, n = protowire.ConsumeVarint(rest)
				}
				return n, nil
			})
			values = append(values, v)
		}
		return n, err
	})
	if err != nil || at < 0 || at >= len(values) {
		return 0, false, err
	}
	return values[at], true, nil
}

// maxMillis bounds the times that are believed: the year 2200.
const maxMillis = 7_258_118_400_000

// minMillis is 2001; before it the node's clock was never set.
const minMillis = 978_307_200_000

// instant is a time in milliseconds, or none.
func instant(ms uint64) time.Time {
	if ms < minMillis || ms > maxMillis {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// shortest is the float64 that is written like the float32 it came from: 21.3,
// not 21.299999237060547.
func shortest(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return f
	}
	g, err := strconv.ParseFloat(strconv.FormatFloat(f, 'g', -1, 32), 64)
	if err != nil {
		return f
	}
	return g
}

// clip bounds a text to payload.MaxText bytes at a character's edge.
func clip(s string) string {
	if len(s) <= payload.MaxText {
		return s
	}
	n := payload.MaxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// rebirth is the payload of a command that asks a node for its births.
func rebirth(now time.Time) []byte {
	ms := uint64(max(now.UnixMilli(), 0))
	var m []byte
	m = protowire.AppendTag(m, 1, protowire.BytesType)
	m = protowire.AppendString(m, "Node Control/Rebirth")
	m = protowire.AppendTag(m, 3, protowire.VarintType)
	m = protowire.AppendVarint(m, ms)
	m = protowire.AppendTag(m, 4, protowire.VarintType)
	m = protowire.AppendVarint(m, typeBoolean)
	m = protowire.AppendTag(m, 14, protowire.VarintType)
	m = protowire.AppendVarint(m, 1)
	var b []byte
	b = protowire.AppendTag(b, 1, protowire.VarintType)
	b = protowire.AppendVarint(b, ms)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendBytes(b, m)
	return b
}

package station

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendJSON appends what json.Marshal makes of s. A state is written with each
// reading, and reflection would be a tenth of what a reading costs.
func (s SensorState) AppendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"sensor":`...)
	b = appendString(b, s.Sensor)
	if s.Node != "" {
		b = append(b, `,"node":`...)
		b = appendString(b, string(s.Node))
	}
	var err error
	if len(s.Values) > 0 {
		b = append(b, `,"values":`...)
		if b, err = appendMap(b, s.Values, appendValue); err != nil {
			return b, err
		}
	}
	b = append(b, `,"lastSeen":`...)
	if b, err = appendTime(b, s.LastSeen); err != nil {
		return b, err
	}
	b = appendDuration(b, `,"heard":`, s.Heard)
	b = append(b, `,"offline":`...)
	b = strconv.AppendBool(b, s.Offline)
	b = appendDuration(b, `,"deviceSkew":`, s.DeviceSkew)
	b = appendDuration(b, `,"interval":`, s.Interval)
	if len(s.VitalsAt) > 0 {
		b = append(b, `,"vitalsAt":`...)
		if b, err = appendMap(b, s.VitalsAt, appendTime); err != nil {
			return b, err
		}
	}
	if len(s.Seen) > 0 {
		b = append(b, `,"seen":"`...)
		b = append(base64.StdEncoding.AppendEncode(b, s.Seen), '"')
	}
	return append(b, '}'), nil
}

// appendMap appends an object, its names in order.
func appendMap[T any](b []byte, m map[string]T, one func([]byte, T) ([]byte, error)) ([]byte, error) {
	var few [24]string
	names := few[:0]
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(b, '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, name), ':')
		var err error
		if b, err = one(b, m[name]); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

func appendValue(b []byte, v Value) ([]byte, error) {
	switch x := v.(type) {
	case bool:
		return strconv.AppendBool(b, x), nil
	case string:
		return appendString(b, x), nil
	case float64:
		if a := math.Abs(x); a == 0 || a >= 1e-6 && a < 1e21 { // beyond, JSON writes exponents of its own
			return strconv.AppendFloat(b, x, 'f', -1, 64), nil
		}
	}
	return appendAny(b, v)
}

func appendTime(b []byte, t time.Time) ([]byte, error) {
	if _, offset := t.Zone(); t.Year() < 0 || t.Year() > 9999 || offset%60 != 0 || offset <= -24*3600 || offset >= 24*3600 {
		return appendAny(b, t)
	}
	return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"'), nil
}

// appendDuration appends nothing for zero.
func appendDuration(b []byte, name string, d time.Duration) []byte {
	if d == 0 {
		return b
	}
	return strconv.AppendInt(append(b, name...), int64(d), 10)
}

// appendString appends a text; one with anything to be escaped goes the long way.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c == 0x7f || c >= utf8.RuneSelf {
			long, err := json.Marshal(s)
			if err != nil { // a text can always be written
				return append(b, `""`...)
			}
			return append(b, long...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

func appendAny(b []byte, v any) ([]byte, error) {
	long, err := json.Marshal(v)
	return append(b, long...), err
}

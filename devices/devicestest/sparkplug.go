package devicestest

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// SparkplugPayload is what a simulated Sparkplug B node publishes (Eclipse
// Sparkplug 3.0, chapter 6.4).
type SparkplugPayload struct {
	Timestamp uint64            `json:"timestamp,omitempty"` // ms
	Metrics   []SparkplugMetric `json:"metrics,omitempty"`
	Seq       *uint64           `json:"seq,omitempty"` // nil for an NDEATH
}

// SparkplugMetric is one metric. Type is a data type of the specification (1
// Int8 … 8 UInt64, 9 Float, 10 Double, 11 Boolean, 12 String, 13 DateTime, 16
// DataSet); with Bare it decides how the value is written and is not sent.
type SparkplugMetric struct {
	Name       string  `json:"name,omitempty"`
	Alias      *uint64 `json:"alias,omitempty"`
	Timestamp  uint64  `json:"timestamp,omitempty"`
	Type       uint64  `json:"type"`
	Bare       bool    `json:"bare,omitempty"`
	Historical bool    `json:"historical,omitempty"`
	Null       bool    `json:"null,omitempty"`
	Quality    *uint64 `json:"quality,omitempty"`
	Value      any     `json:"value,omitempty"` // bool, float64 or string
}

// Encode writes the payload as Protocol Buffers.
func (p SparkplugPayload) Encode() []byte {
	var b []byte
	b = appendUint(b, 1, p.Timestamp, p.Timestamp != 0)
	for _, m := range p.Metrics {
		b = appendBytes(b, 2, m.encode())
	}
	if p.Seq != nil {
		b = appendUint(b, 3, *p.Seq, true)
	}
	return b
}

func (m SparkplugMetric) encode() []byte {
	var b []byte
	if m.Name != "" {
		b = appendBytes(b, 1, []byte(m.Name))
	}
	if m.Alias != nil {
		b = appendUint(b, 2, *m.Alias, true)
	}
	b = appendUint(b, 3, m.Timestamp, m.Timestamp != 0)
	b = appendUint(b, 4, m.Type, !m.Bare)
	b = appendUint(b, 5, 1, m.Historical)
	b = appendUint(b, 7, 1, m.Null)
	if m.Quality != nil {
		set := appendBytes(nil, 1, []byte("Quality"))
		set = appendBytes(set, 2, appendUint(appendUint(nil, 1, 3, true), 3, *m.Quality, true))
		b = appendBytes(b, 9, set)
	}
	switch v := m.Value.(type) {
	case bool:
		n := uint64(0)
		if v {
			n = 1
		}
		b = appendUint(b, 14, n, true)
	case string:
		b = appendBytes(b, 15, []byte(v))
	case float64:
		switch m.Type {
		case 1, 2, 3: // the bits of a negative number, in 32
			b = appendUint(b, 10, uint64(uint32(int32(v))), true)
		case 5, 6, 7:
			b = appendUint(b, 10, uint64(v), true)
		case 9:
			b = protowire.AppendTag(b, 12, protowire.Fixed32Type)
			b = protowire.AppendFixed32(b, math.Float32bits(float32(v)))
		case 10:
			b = protowire.AppendTag(b, 13, protowire.Fixed64Type)
			b = protowire.AppendFixed64(b, math.Float64bits(v))
		case 16: // an empty data set
			b = appendBytes(b, 17, appendUint(nil, 1, 0, true))
		default:
			b = appendUint(b, 11, uint64(int64(v)), true)
		}
	}
	return b
}

func appendUint(b []byte, num protowire.Number, v uint64, there bool) []byte {
	if !there {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

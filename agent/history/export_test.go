package history

import "stationd/agent/station"

// Code packs readings into a block and takes them out again.
func Code(list []Reading) ([]Reading, error) {
	var in []reading
	for _, r := range list {
		_, rest, ok := sensorOf(encodeRow("s", r.At.UnixNano(), r.Late, r.Values))
		row, err := decodeRow(rest)
		if err != nil || !ok {
			return nil, err
		}
		in = append(in, row)
	}
	var out []Reading
	err := decodeBlock(encodeBlock(in), func(r reading) error {
		out = append(out, Reading{At: timeAt(r.at), Late: r.late, Values: r.values()})
		return nil
	})
	return out, err
}

// Decode reads bytes as each of the three forms.
func Decode(b []byte) (fields int) {
	if _, rest, ok := sensorOf(b); ok {
		b = rest
	}
	if r, err := decodeRow(b); err == nil {
		fields += len(r.fields)
	}
	_ = decodeBlock(b, func(r reading) error { fields += len(r.fields); return nil })
	if h, err := decodeHours(b); err == nil {
		fields += len(h)
	}
	return fields
}

// Row is a reading as it is written.
func Row(values map[string]station.Value) []byte {
	return encodeRow("sensor-17", 1_700_000_000_000_000_000, false, values)
}

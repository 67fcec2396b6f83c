package history

import "stationd/agent/station"

// Code packs readings into a block and takes them out again.
func Code(list []Reading) ([]Reading, error) {
	var in []reading
	for _, r := range list {
		row, err := decodeRow(r.At.UnixNano(), encodeRow(r.Late, r.Values))
		if err != nil {
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
	if r, err := decodeRow(0, b); err == nil {
		fields += len(r.fields)
	}
	_ = decodeBlock(b, func(r reading) error { fields += len(r.fields); return nil })
	if h, err := decodeHours(b); err == nil {
		fields += len(h)
	}
	return fields
}

// Row is a reading as it is written.
func Row(values map[string]station.Value) []byte { return encodeRow(false, values) }

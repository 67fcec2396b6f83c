package payload

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"stationd/agent/station"
)

// FieldTime is the field whose path, in the mapping of a JSON sensor, leads to
// the device's own time.
const FieldTime = "time"

// JSON decodes any JSON payload by a mapping of our field names to paths, and also
// "name=value" pairs, as if they were an object, and bare values, at the empty path.
type JSON struct {
	fields []jsonField
}

type jsonField struct {
	name string
	path []string
}

// NewJSON makes a decoder of a mapping such as {"smoke": "data.0.alarm"}. A path
// is keys and indexes joined by dots; a dot within a key is written "\.". The
// empty path is the whole payload, for devices that send a bare value.
func NewJSON(fields map[string]string) (*JSON, error) {
	if len(fields) == 0 {
		return nil, errors.New("json mapping: it names no field")
	}
	if len(fields) > MaxFields {
		return nil, fmt.Errorf("json mapping: %d fields, at most %d are read", len(fields), MaxFields)
	}
	d := &JSON{}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name == "" {
			return nil, errors.New("json mapping: a field without a name")
		}
		path, err := splitPath(fields[name])
		if err != nil {
			return nil, fmt.Errorf("json mapping of %q: %w", name, err)
		}
		d.fields = append(d.fields, jsonField{name: name, path: path})
	}
	return d, nil
}

func splitPath(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	var steps []string
	var step strings.Builder
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\' && i+1 < len(path):
			i++
			step.WriteByte(path[i])
		case c == '.':
			steps = append(steps, step.String())
			step.Reset()
		default:
			step.WriteByte(c)
		}
	}
	steps = append(steps, step.String())
	if slices.Contains(steps, "") {
		return nil, fmt.Errorf("path %q has an empty step", path)
	}
	return steps, nil
}

// Decode reads the mapped fields. One that is missing is left out: devices send
// what has changed. A payload with none of them is ignored.
func (d *JSON) Decode(_ string, payload []byte) (Reading, error) {
	root, err := readAny(payload)
	if err != nil {
		return Reading{}, fmt.Errorf("json reading: %w", err)
	}
	r := Reading{Values: make(map[string]station.Value, len(d.fields))}
	for _, f := range d.fields {
		at, ok := walk(root, f.path)
		if !ok {
			continue
		}
		if f.name == FieldTime {
			r.DeviceTime, _ = instant(at)
			continue
		}
		v, ok := scalar(at)
		if !ok {
			continue
		}
		if yesOrNo(f.name) {
			v = truth(v)
		} else if text, isText := v.(string); isText && measured(f.name) {
			if v, ok = quantity(text); !ok { // "87 %" is 87
				continue
			}
		}
		r.Values[f.name] = v
	}
	if len(r.Values) == 0 {
		return Reading{}, ErrIgnored
	}
	return r, nil
}

// walk follows a path through objects and arrays.
func walk(v any, path []string) (any, bool) {
	for _, step := range path {
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[step]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(at) {
				return nil, false
			}
			v = at[i]
		default:
			return nil, false
		}
	}
	return v, true
}

package payload

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"stationd/agent/station"
)

// fieldMap is where one of our fields is found in a payload and what is made of
// what is found there, in this order: values that mean nothing are left out,
// words are replaced, units stripped, numbers scaled and compared, yes and no
// recognised and turned round.
type fieldMap struct {
	name  string
	paths []dataPath
	skip  []string
	words map[string]station.Value
	// rest is for what words does not name; nil keeps what was found.
	rest   station.Value
	number bool // a text is read as a number, whatever unit is behind it
	scale  float64
	offset float64
	bit    int // -1 is none
	above  *float64
	below  *float64
	truth  bool
	not    bool
	event  bool
	when   conditions
	fixed  station.Value // is not looked for
}

// raw is what stands in the payload.
func (f *fieldMap) raw(from place) (any, bool) {
	if f == nil {
		v, ok := dataPath{}.firstScalar(from)
		return v, ok
	}
	for _, p := range f.paths {
		if v, ok := p.firstScalar(from); ok {
			return v, true
		}
	}
	return nil, false
}

// read is the field's value; false when the payload has none.
func (f *fieldMap) read(from place) (station.Value, bool) {
	if len(f.when) > 0 && !f.when.hold(from) {
		return nil, false
	}
	if f.fixed != nil {
		return f.fixed, true
	}
	v, ok := f.raw(from)
	if !ok {
		return nil, false
	}
	return f.value(v)
}

// value makes the field's value of what was found.
func (f *fieldMap) value(v any) (station.Value, bool) {
	text := strings.TrimSpace(textOf(v))
	if slices.Contains(f.skip, text) {
		return nil, false
	}
	if len(f.words) > 0 || f.rest != nil {
		if known, ok := f.words[strings.ToLower(text)]; ok {
			return known, true
		}
		if f.rest != nil {
			return f.rest, true
		}
	}
	out, ok := scalar(v)
	if !ok {
		return nil, false
	}
	if s, isText := out.(string); isText && f.number {
		if out, ok = quantity(s); !ok {
			return nil, false
		}
	}
	if n, isNumber := out.(float64); isNumber {
		switch {
		case f.bit >= 0:
			if n < 0 || n > 1<<53 {
				return nil, false
			}
			out = uint64(n)>>f.bit&1 == 1
		default:
			n = rounded(n*f.scale + f.offset)
			if math.IsInf(n, 0) || math.IsNaN(n) {
				return nil, false
			}
			out = n
			if f.above != nil {
				out = n > *f.above
			}
			if f.below != nil {
				out = n < *f.below && (f.above == nil || n > *f.above)
			}
		}
	}
	if f.truth {
		out = truth(out)
	}
	if yes, isBool := out.(bool); isBool && f.not {
		out = !yes
	}
	return out, true
}

// otherFields takes the members of an object under their own names, as far as no
// other field is made of them.
type otherFields struct {
	path   dataPath
	prefix string
	value  string // the member of each that holds the value, if it is an object
	except []string
	as     phrases // the path leads to one value, which has this name
	number bool    // that value is read as a number, if it can be
}

func (o *otherFields) read(from place, r *Reading) {
	if len(o.as) > 0 {
		o.readOne(from, r)
		return
	}
	at, _ := o.path.first(from)
	object, _ := at.(map[string]any)
	if *from.budget -= len(object); *from.budget < 0 {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if len(r.Values) >= MaxFields {
			return
		}
		name := clip(o.prefix + key)
		if _, taken := r.Values[name]; taken || key == "" || slices.Contains(o.except, key) {
			continue
		}
		v := object[key]
		if o.value != "" {
			if inner, ok := member(v, o.value); ok {
				v = inner
			}
		}
		out, ok := scalar(v)
		if !ok {
			continue
		}
		if yesOrNo(name) {
			out = truth(out)
		}
		r.Values[name] = out
	}
}

// readOne takes one value under a name that the message tells.
func (o *otherFields) readOne(from place, r *Reading) {
	name := clip(o.prefix + o.as.write(from))
	v, ok := o.path.firstScalar(from)
	if _, taken := r.Values[name]; taken || !ok || name == "" || slices.Contains(o.except, name) || len(r.Values) >= MaxFields {
		return
	}
	out, ok := scalar(v)
	if !ok {
		return
	}
	if s, isText := out.(string); isText && o.number {
		if n, ok := quantity(s); ok {
			out = n
		}
	}
	if yesOrNo(name) {
		out = truth(out)
	}
	r.Values[name] = out
}

// timeMap is where the device's own time is and how it is written.
type timeMap struct {
	paths  []dataPath
	layout string // empty is to be told by its look
	unit   time.Duration
	zone   *time.Location
}

// read is the time at the first path that has one. Where the path leads to several
// (each value of a message may have its own) it is the newest: what is old beside it
// must not make an alarm of now old news.
func (t *timeMap) read(from place) time.Time {
	for _, p := range t.paths {
		var newest time.Time
		p.visit(from, func(v any, _ map[string]string) bool {
			if at, ok := t.parse(v); ok && at.After(newest) {
				newest = at
			}
			return true
		})
		if !newest.IsZero() {
			return newest
		}
	}
	return time.Time{}
}

func (t *timeMap) parse(v any) (time.Time, bool) {
	switch {
	case t.layout != "":
		at, err := time.ParseInLocation(t.layout, strings.TrimSpace(textOf(v)), t.zone)
		return at, err == nil && at.Year() > 1973
	case t.unit != 0:
		f, err := json.Number(strings.TrimSpace(textOf(v))).Float64()
		if err != nil {
			return time.Time{}, false
		}
		ms := f * float64(t.unit) / float64(time.Millisecond)
		if !(ms > 1e11 && ms < 1e14) { // before 1973, after 5138, or no number
			return time.Time{}, false
		}
		return time.UnixMilli(int64(ms)).UTC(), true
	}
	return instant(v)
}

// rounded takes off what scaling by 0.1 leaves behind in binary: 3 x 0.1 is 0.3.
func rounded(n float64) float64 {
	if math.Abs(n) > 1e6 {
		return n
	}
	return math.Round(n*1e9) / 1e9
}

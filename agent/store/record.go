package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/fnv"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// A record is stored as four bytes that name the set of fields of the type that
// wrote it, and its JSON. As long as the same type writes again, Put need not
// look into what it replaces; only a record of another version is taken apart,
// so that the fields which this version does not know are carried over.

const shapeSize = 4

// shape is the set of top-level fields of a type.
type shape struct {
	mark   uint32 // never 0 for a struct; 0 means "look inside"
	fields map[string]bool
}

// shapes remembers the shape of each type that was written.
type shapes struct{ byType sync.Map } // reflect.Type → *shape

var errShort = errors.New("the record is cut off")

func decode(b []byte, v any) error {
	if len(b) < shapeSize {
		return errShort
	}
	return json.Unmarshal(b[shapeSize:], v)
}

// appender is a record that can write its JSON itself; it must be that of
// json.Marshal.
type appender interface {
	AppendJSON([]byte) ([]byte, error)
}

func encode(known *shapes, old []byte, v any) ([]byte, error) {
	sh := known.of(reflect.TypeOf(v))
	out, err := appendRecord(make([]byte, shapeSize, max(len(old)+32, 64)), v)
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint32(out, sh.mark)
	if sh.fields != nil && len(old) > shapeSize && binary.BigEndian.Uint32(old) != sh.mark {
		merged, carried, err := carry(sh, old[shapeSize:], out[shapeSize:])
		if err != nil {
			return nil, err
		}
		if carried {
			return append(make([]byte, shapeSize, shapeSize+len(merged)), merged...), nil // the mark 0: look inside
		}
	}
	return out, nil
}

func appendRecord(b []byte, v any) ([]byte, error) {
	if a, ok := v.(appender); ok {
		return a.AppendJSON(b)
	}
	body, err := json.Marshal(v)
	return append(b, body...), err
}

// carry adds to body the fields of old that the shape does not have.
func carry(sh *shape, old, body []byte) (merged []byte, carried bool, err error) {
	var was, is map[string]json.RawMessage
	if json.Unmarshal(old, &was) != nil || json.Unmarshal(body, &is) != nil {
		return body, false, nil // one of them is no object: nothing to carry
	}
	for name, value := range was {
		// encoding/json matches names without regard to case, so we do too.
		if !sh.fields[strings.ToLower(name)] {
			is[name] = value
			carried = true
		}
	}
	if !carried {
		return body, false, nil
	}
	merged, err = json.Marshal(is)
	return merged, true, err
}

func (s *shapes) of(t reflect.Type) *shape {
	if t == nil {
		return &shape{}
	}
	if sh, ok := s.byType.Load(t); ok {
		return sh.(*shape)
	}
	sh := &shape{}
	elem := t
	for elem.Kind() == reflect.Pointer {
		elem = elem.Elem()
	}
	marshaler := reflect.TypeFor[json.Marshaler]()
	if elem.Kind() == reflect.Struct && !elem.Implements(marshaler) && !reflect.PointerTo(elem).Implements(marshaler) {
		sh.fields = make(map[string]bool)
		collect(elem, sh.fields)
		names := make([]string, 0, len(sh.fields))
		for n := range sh.fields {
			names = append(names, n)
		}
		slices.Sort(names)
		h := fnv.New32a()
		for _, n := range names {
			_, _ = h.Write([]byte(n + "\n"))
		}
		sh.mark = max(h.Sum32(), 1)
	}
	actual, _ := s.byType.LoadOrStore(t, sh)
	return actual.(*shape)
}

// collect gathers the JSON names of a struct's fields, embedded ones included.
func collect(t reflect.Type, into map[string]bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Tag.Get("json") == "-" {
			continue
		}
		if f.Anonymous && name == "" {
			e := f.Type
			for e.Kind() == reflect.Pointer {
				e = e.Elem()
			}
			if e.Kind() == reflect.Struct {
				collect(e, into)
				continue
			}
		}
		if !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		into[strings.ToLower(name)] = true
	}
}

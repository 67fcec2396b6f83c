package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// Key names a record: a path such as "alarm/ID".
type Key string

// Tx is one update or view. It is valid until the function that it was given to
// returns, and must not leave that function or its goroutine.
type Tx struct {
	s    *Store
	snap *badger.Txn
	// cache is the committer's; nil in a view. kept is what Keep was given, of
	// this update and those before it in the same batch.
	cache *cache
	kept  map[string]any
	// below are the writes of the updates before this one in the same batch,
	// writes its own; nil stands for a deletion.
	below, writes map[string][]byte
	// over lies over the database; under, over both, is what the transaction writes
	// that is on its way.
	over     *layer
	under    map[string][]byte
	loose    []byte // loose rows, each behind its length
	packed   packed // events of the bulk lane
	scratch  []byte
	size     int // of writes, loose rows and packs, as Badger will count it
	journal  journal
	readOnly bool
	done     bool
}

// maxRecord is the largest value. Larger ones would leave the log and go to
// Badger's value log, whose space cannot be got back in this set-up.
const maxRecord = 512 << 10

// ErrStop ends Each early; Each then returns nil.
var ErrStop = errors.New("stop")

var (
	errDone     = errors.New("store: the transaction is over")
	errReadOnly = errors.New("store: a view cannot write")
)

// Get reads the record at key. It tells whether there is one.
func Get[T any](tx *Tx, key Key) (T, bool, error) {
	var v T
	b, err := tx.get(stateRealm + string(key))
	if err != nil || b == nil {
		return v, false, err
	}
	if err := decode(b, &v); err != nil {
		return v, false, fmt.Errorf("read record %q: %w", string(key), err)
	}
	return v, true, nil
}

// Look is Get for a record that the caller only looks at: what it refers to
// (maps, slices, pointers) is shared with others who look, and must not be
// changed. In an update it costs no decoding when the record was looked at
// before.
func Look[T any](tx *Tx, key Key) (T, bool, error) {
	k := stateRealm + string(key)
	if v, ok := tx.kept[k].(T); ok && !tx.done {
		return v, true, nil
	}
	if tx.cache == nil || tx.done || tx.written(k) {
		return Get[T](tx, key)
	}
	var v T
	e := tx.cache.get(k)
	if e == nil {
		if b, err := tx.get(k); err != nil || b == nil {
			return v, false, err
		}
		if e = tx.cache.get(k); e == nil { // it made room for others at once
			return Get[T](tx, key)
		}
	}
	if e.raw == nil {
		return v, false, nil
	}
	if known, ok := e.decoded.(T); ok {
		return known, true, nil
	}
	if err := decode(e.raw, &v); err != nil {
		return v, false, fmt.Errorf("read record %q: %w", string(key), err)
	}
	e.decoded = v
	return v, true, nil
}

// written tells whether this batch has written or deleted k.
func (tx *Tx) written(k string) bool {
	if _, ok := tx.writes[k]; ok {
		return true
	}
	_, ok := tx.below[k]
	return ok
}

// Put writes the record at key. Top-level fields of the record that is replaced
// and that T does not know, a newer version's, are kept.
func Put[T any](tx *Tx, key Key, v T) error {
	_, err := put(tx, stateRealm+string(key), v)
	return err
}

// Keep is Put of a record that nobody changes any more, neither the caller nor
// whoever shares what it refers to: Look gives it back as it is. It returns the
// record's JSON, which must not be changed either.
func Keep[T any](tx *Tx, key Key, v T) (json.RawMessage, error) {
	k := stateRealm + string(key)
	b, err := put(tx, k, v)
	if err != nil {
		return nil, err
	}
	if tx.kept != nil {
		tx.kept[k] = v
	}
	return b[shapeSize:], nil
}

func put[T any](tx *Tx, k string, v T) ([]byte, error) {
	old, err := tx.get(k)
	if err != nil {
		return nil, err
	}
	b, err := encode(tx.s.shapes, old, v)
	if err != nil {
		return nil, fmt.Errorf("write record %q: %w", strings.TrimPrefix(k, stateRealm), err)
	}
	return b, tx.put(k, b)
}

// Each calls fn for the records whose keys begin with prefix, in the order of
// their keys, as they are when Each is called.
func Each[T any](tx *Tx, prefix Key, fn func(Key, T) error) error {
	return each(tx, prefix, "", false, fn)
}

// EachReverse is Each from the last key to the first.
func EachReverse[T any](tx *Tx, prefix Key, fn func(Key, T) error) error {
	return each(tx, prefix, "", true, fn)
}

// EachAfter is Each behind the key after, which need not exist; what lies before
// it costs nothing. An empty one is no bound.
func EachAfter[T any](tx *Tx, prefix, after Key, fn func(Key, T) error) error {
	return each(tx, prefix, after, false, fn)
}

// EachBefore is EachReverse from the key before on, which is left out.
func EachBefore[T any](tx *Tx, prefix, before Key, fn func(Key, T) error) error {
	return each(tx, prefix, before, true, fn)
}

func each[T any](tx *Tx, prefix, beyond Key, reverse bool, fn func(Key, T) error) error {
	from := ""
	if beyond != "" {
		from = stateRealm + string(beyond)
	}
	err := tx.scan(stateRealm+string(prefix), from, reverse, func(k string, b []byte) error {
		var v T
		key := Key(strings.TrimPrefix(k, stateRealm))
		if err := decode(b, &v); err != nil {
			return fmt.Errorf("read record %q: %w", string(key), err)
		}
		return fn(key, v)
	})
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}

// Delete removes the record at key; it is no error when there is none.
func (tx *Tx) Delete(key Key) error { return tx.put(stateRealm+string(key), nil) }

// get is the value at k, nil when there is none. It stays valid.
func (tx *Tx) get(k string) ([]byte, error) {
	if tx.done {
		return nil, errDone
	}
	if v, ok := tx.writes[k]; ok {
		return v, nil
	}
	if v, ok := tx.below[k]; ok {
		return v, nil
	}
	if tx.cache == nil || !cacheable(k) {
		return tx.read(k)
	}
	if e := tx.cache.get(k); e != nil {
		return e.raw, nil
	}
	b, err := tx.read(k)
	if err == nil {
		tx.cache.put(k, b)
	}
	return b, err
}

// read is the stored value at k, nil when there is none.
func (tx *Tx) read(k string) ([]byte, error) {
	if v, ok := tx.under[k]; ok {
		return v, nil
	}
	if row, ok := tx.over.rows[k]; ok {
		return row.value, nil
	}
	item, err := tx.snap.Get([]byte(k))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return item.ValueCopy([]byte{})
}

// put sets k to v, or deletes it when v is nil.
func (tx *Tx) put(k string, v []byte) error {
	switch {
	case tx.done:
		return errDone
	case tx.readOnly:
		return errReadOnly
	case len(v) > maxRecord:
		return errTooLarge("a record", len(v))
	}
	if old, ok := tx.writes[k]; ok {
		tx.size -= cost(k, old)
	}
	if tx.kept != nil {
		delete(tx.kept, k) // whatever it was, it is not what is stored
	}
	tx.writes[k] = v
	tx.size += cost(k, v)
	return nil
}

// cost is what Badger counts for an entry, and a little more.
func cost(k string, v []byte) int { return len(k) + len(v) + 32 }

// scan merges what is stored with what this batch and this update wrote. It
// begins beyond the key from; an empty one is no bound.
func (tx *Tx) scan(prefix, from string, reverse bool, fn func(k string, v []byte) error) error {
	if tx.done {
		return errDone
	}
	fresh := tx.overlaid(prefix, reverse)
	if from != "" {
		fresh = slices.DeleteFunc(fresh, func(k string) bool { return k == from || (k < from) != reverse })
	}
	opt := badger.DefaultIteratorOptions
	opt.PrefetchValues = false // everything lies inline
	opt.Prefix = []byte(prefix)
	opt.Reverse = reverse
	it := tx.snap.NewIterator(opt)
	defer it.Close()
	start := []byte(prefix)
	if reverse {
		start = append(start, 0xff)
	}
	switch {
	case from == "" || !reverse && from < prefix || reverse && from > string(start):
		it.Seek(start)
	default:
		it.Seek([]byte(from))
		if it.Valid() && string(it.Item().Key()) == from {
			it.Next()
		}
	}
	for {
		stored := it.ValidForPrefix(opt.Prefix)
		if !stored && len(fresh) == 0 {
			return nil
		}
		order := -1 // the stored one is next
		if !stored {
			order = 1
		} else if len(fresh) > 0 {
			order = bytes.Compare(it.Item().Key(), []byte(fresh[0]))
			if reverse {
				order = -order
			}
		}
		if order >= 0 {
			k := fresh[0]
			fresh = fresh[1:]
			if order == 0 {
				it.Next()
			}
			v := tx.fresh(k)
			if v == nil {
				continue
			}
			if err := fn(k, v); err != nil {
				return err
			}
			continue
		}
		v, err := it.Item().ValueCopy([]byte{})
		if err != nil {
			return err
		}
		if err := fn(string(it.Item().Key()), v); err != nil {
			return err
		}
		it.Next()
	}
}

// fresh is the value at a key that overlaid lists; nil is that it is deleted.
func (tx *Tx) fresh(k string) []byte {
	for _, writes := range [...]map[string][]byte{tx.writes, tx.below, tx.under} {
		if v, ok := writes[k]; ok {
			return v
		}
	}
	return tx.over.rows[k].value
}

// overlaid lists the written keys with that prefix, in order.
func (tx *Tx) overlaid(prefix string, reverse bool) []string {
	var keys []string
	for k := range tx.writes {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	for k := range tx.below {
		if _, mine := tx.writes[k]; !mine && strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	for k := range tx.under {
		if strings.HasPrefix(k, prefix) && !tx.written(k) {
			keys = append(keys, k)
		}
	}
	if strings.HasPrefix(prefix, stateRealm) {
		for k := range tx.over.rows {
			if _, ok := tx.under[k]; !ok && strings.HasPrefix(k, prefix) && !tx.written(k) {
				keys = append(keys, k)
			}
		}
	}
	slices.Sort(keys)
	if reverse {
		slices.Reverse(keys)
	}
	return keys
}

// getJSON and putJSON are for what the store keeps of itself.
func (tx *Tx) getJSON(k string, v any) (bool, error) {
	b, err := tx.get(k)
	if err != nil || b == nil {
		return false, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("read %q: %w", k, err)
	}
	return true, nil
}

func (tx *Tx) putJSON(k string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return tx.put(k, b)
}

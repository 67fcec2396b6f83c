package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// Rows are what there is too much of for records: plain bytes under a key,
// written without looking at what was there, read by ranges, deleted in masses.
// They are not in the backups.

// PutRow writes a row. The caller may not change v afterwards.
func (tx *Tx) PutRow(key Key, v []byte) error {
	if v == nil {
		v = []byte{}
	}
	return tx.put(rowRealm+string(key), v)
}

// DeleteRow removes a row; it is no error when there is none.
func (tx *Tx) DeleteRow(key Key) error { return tx.put(rowRealm+string(key), nil) }

// Row is the row at key, nil when there is none.
func (tx *Tx) Row(key Key) ([]byte, error) { return tx.get(rowRealm + string(key)) }

// EachRow calls fn for the rows from a key on, before another, in the order of
// their keys; an empty to is the end. The bytes are fn's to keep.
func (tx *Tx) EachRow(from, to Key, fn func(Key, []byte) error) error {
	err := tx.scanRows(rowRealm+string(from), rowRealm+string(to), to == "", func(k string, v []byte) error {
		return fn(Key(k[len(rowRealm):]), v)
	})
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}

func (tx *Tx) scanRows(from, to string, open bool, fn func(k string, v []byte) error) error {
	if tx.done {
		return errDone
	}
	within := func(k string) bool { return k >= from && (open && strings.HasPrefix(k, rowRealm) || !open && k < to) }
	fresh := slices.DeleteFunc(tx.overlaid(rowRealm, false), func(k string) bool { return !within(k) })
	opt := badger.DefaultIteratorOptions
	opt.PrefetchValues = false // everything lies inline
	opt.Prefix = []byte(rowRealm)
	it := tx.snap.NewIterator(opt)
	defer it.Close()
	it.Seek([]byte(from))
	for {
		stored := it.ValidForPrefix(opt.Prefix) && within(string(it.Item().Key()))
		if !stored && len(fresh) == 0 {
			return nil
		}
		order := -1 // the stored one is next
		if !stored {
			order = 1
		} else if len(fresh) > 0 {
			order = bytes.Compare(it.Item().Key(), []byte(fresh[0]))
		}
		if order < 0 {
			v, err := it.Item().ValueCopy([]byte{})
			if err != nil {
				return err
			}
			if err := fn(string(it.Item().Key()), v); err != nil {
				return err
			}
			it.Next()
			continue
		}
		k := fresh[0]
		fresh = fresh[1:]
		if order == 0 {
			it.Next()
		}
		v, mine := tx.writes[k]
		if !mine {
			v = tx.below[k]
		}
		if v == nil {
			continue
		}
		if err := fn(k, v); err != nil {
			return err
		}
	}
}

// Reclaim is Update for what only frees space: it is not asked for room.
func (s *Store) Reclaim(ctx context.Context, fn func(*Tx) error) error {
	return s.Update(ctx, laneAlways, fn)
}

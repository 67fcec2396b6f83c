package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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
		v := tx.fresh(k)
		if v == nil {
			continue
		}
		if err := fn(k, v); err != nil {
			return err
		}
	}
}

// Loose rows have no key of their own: those of all updates of one commit lie in
// one entry, since it is the entries that cost. They are read in the order in
// which they were written, wherever events are appended between two of them.
//
// An entry's key is the head of the journal and the time of the commit, 8 bytes
// each: the head goes on whatever the clock is set to.
const looseRealm = rowRealm + string(LooseBegin)

// LooseBegin comes before the keys of all entries of loose rows, which can be
// deleted like rows.
const LooseBegin = Key("~/")

const (
	maxLoose    = 64 << 10  // of one update
	maxLooseRow = 256 << 10 // of an entry
)

// AddLoose writes a loose row; b is copied. It cannot be read before the commit.
func (tx *Tx) AddLoose(b []byte) error {
	switch {
	case tx.done:
		return errDone
	case tx.readOnly:
		return errReadOnly
	case len(tx.loose)+len(b) > maxLoose:
		return errTooLarge("a loose row", len(b))
	}
	before := len(tx.loose)
	tx.loose = append(binary.AppendUvarint(tx.loose, uint64(len(b))), b...)
	tx.size += len(tx.loose) - before
	return nil
}

// EachLoose calls fn for the loose rows of the entries behind a key, with the
// entry's key; an empty one is the beginning. b is fn's only until it returns.
func (tx *Tx) EachLoose(after Key, fn func(entry Key, b []byte) error) error {
	from := LooseBegin
	if after != "" {
		from = after + "\x00"
	}
	return tx.EachRow(from, "\x7f", func(k Key, v []byte) error {
		for len(v) > 0 {
			size, n := binary.Uvarint(v)
			if n <= 0 || size > uint64(len(v)-n) {
				return fmt.Errorf("read loose rows of %x: they are cut off", string(k))
			}
			if err := fn(k, v[n:n+int(size)]); err != nil {
				return err
			}
			v = v[n+int(size):]
		}
		return nil
	})
}

// LooseTime is when the entry of loose rows was written.
func LooseTime(entry Key) time.Time {
	if len(entry) < 8 {
		return time.Time{}
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64([]byte(entry[len(entry)-8:]))))
}

// takeLoose takes over the loose rows of an update that has run.
func (l *load) takeLoose(tx *Tx) {
	if len(tx.loose) == 0 {
		return
	}
	if len(l.loose)+len(tx.loose) > maxLooseRow {
		l.closeLoose()
	}
	l.loose = append(l.loose, tx.loose...)
}

// closeLoose makes an entry of the loose rows so far.
func (l *load) closeLoose() {
	if len(l.loose) == 0 {
		return
	}
	k := binary.BigEndian.AppendUint64([]byte(looseRealm), l.journal.head)
	l.writes[string(binary.BigEndian.AppendUint64(k, uint64(time.Now().UnixNano())))] = l.loose
	l.loose = nil
}

// Reclaim is Update for what only frees space: it is not asked for room.
func (s *Store) Reclaim(ctx context.Context, fn func(*Tx) error) error {
	return s.Update(ctx, laneAlways, fn)
}

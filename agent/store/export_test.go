package store

import (
	"log/slog"
	"time"

	"stationd/agent/station"
)

// Schema lets tests pretend to be another version.
type Schema = schema

// Migration is exported for tests.
type Migration = migration

// OpenAs opens as a program of another version, or without grouping.
func OpenAs(cfg Config, log *slog.Logger, sc Schema, migrations []Migration, batch int) (*Store, error) {
	if sc == (Schema{}) {
		sc = currentSchema()
	}
	if batch == 0 {
		batch = maxBatch
	}
	return open(cfg, log, options{maxBatch: batch, schema: sc, migrations: migrations})
}

// Commits counts the transactions written.
func (s *Store) Commits() uint64 { return s.commits.Load() }

// Pack makes the row of a pack, without the time in front, of what follows its
// header, and Unpack reads such a row.
func Pack(s *Store, frames []byte) []byte { return s.closePack(frames)[8:] }

// Unpack reads what Pack has made, or a stranger's bytes.
func Unpack(row []byte) (all []station.Event, err error) {
	if len(row) == 0 {
		return nil, errPack
	}
	w := &walk{last: ^uint64(0)}
	for w.unpack(row[0], row[1:]); w.err == nil && len(w.row) > 0; {
		if w.step(); w.err != nil {
			break
		}
		ev, err := w.decode()
		if err != nil {
			return all, err
		}
		all = append(all, ev)
	}
	return all, w.err
}

// Merge merges tables now, as tend would.
func (s *Store) Merge() error { return s.db.Flatten(1) }

// RedoLasts sets how long an entry of the redo may lie. Nothing may be being written.
func (s *Store) RedoLasts(d time.Duration) { s.redo.lasts = d }

// RedoEntries counts the entries of the redo in the database.
func (s *Store) RedoEntries() (n int) {
	_ = s.View(func(tx *Tx) error {
		return tx.scan(redoRealm, "", false, func(string, []byte) error { n++; return nil })
	})
	return n
}

// Redone is how many entries of the redo there ever were.
func (s *Store) Redone() (n uint64) {
	_ = s.View(func(tx *Tx) (err error) {
		_, n, err = redoState(tx.snap)
		return err
	})
	return n
}

// ReadRedo reads an entry of the redo, or a stranger's bytes.
func ReadRedo(row []byte) (map[string][]byte, error) {
	records := map[string][]byte{}
	return records, readRedo(row, records)
}

package store

import "log/slog"

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

// Merge merges tables now, as tend would.
func (s *Store) Merge() error { return s.db.Flatten(1) }

package store

import (
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// openCore opens the database.
func (s *Store) openCore() error {
	db, err := badger.Open(badgerOptions(s.cfg.path(coreName), s.log))
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	s.db = db
	return nil
}

func (s *Store) keepManifest() {}

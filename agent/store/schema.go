package store

import (
	"errors"
	"fmt"

	"stationd/agent/station"
)

// schema is the version of what lies in the database. Migrations only add: a
// reader of version MinReader or later can read it.
type schema struct {
	Version   int `json:"version"`
	MinReader int `json:"minReader"`
}

// currentSchema is what this program writes. Since version 2 the bulk lane lies in
// packs; since version 3 there is the redo.
func currentSchema() schema { return schema{Version: 3, MinReader: 3} }

// migration leads to version To by adding.
type migration struct {
	To  int
	Run func(*Tx) error
}

// migrations are in ascending order. Version 1 is the first. Its rows of the bulk
// lane are read as they are; there will only be packs beside them.
func migrations() []migration {
	nothing := func(*Tx) error { return nil }
	return []migration{{To: 2, Run: nothing}, {To: 3, Run: nothing}}
}

// settle reads what the store knows of itself, and writes what is missing:
// schema, node, epoch, the state of the journal, the sealing key.
func (s *Store) settle(opt options) error {
	var have schema
	var known bool
	err := s.View(func(tx *Tx) (err error) {
		known, err = tx.getJSON(schemaKey, &have)
		if err != nil {
			return err
		}
		b, err := tx.get(headKey)
		if err != nil || b == nil {
			return err
		}
		j, err := decodeJournal(b)
		s.watch.advance(j)
		return err
	})
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if known && have.Version > opt.schema.Version && have.MinReader > opt.schema.Version {
		return ErrNewer
	}
	if err := s.resume(); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	switch {
	case known && have.Version > opt.schema.Version:
		s.report.Newer = true
	case known:
		for _, m := range opt.migrations {
			if m.To <= have.Version || m.To > opt.schema.Version {
				continue
			}
			err := s.local(func(tx *Tx) error {
				if err := m.Run(tx); err != nil {
					return err
				}
				return tx.putJSON(schemaKey, schema{m.To, opt.schema.MinReader})
			})
			if err != nil {
				return fmt.Errorf("migrate store to version %d: %w", m.To, err)
			}
		}
	}
	return s.local(func(tx *Tx) error { return s.introduce(tx, opt.schema, known) })
}

// introduce gives a new store its name and epoch, and a restored one a new epoch.
func (s *Store) introduce(tx *Tx, sc schema, known bool) error {
	if !known {
		if err := tx.putJSON(schemaKey, sc); err != nil {
			return err
		}
		s.report.Fresh = true
	}
	fence, err := tx.get(fenceKey)
	if err == nil && fence == nil {
		err = tx.put(fenceKey, []byte{1})
	}
	if err != nil {
		return err
	}
	named, err := tx.getJSON(nodeKey, &s.node)
	if err != nil {
		return err
	}
	switch {
	case !named:
		s.node = s.cfg.Node
		if s.node == "" {
			s.node = s.keptName()
		}
		if s.node == "" {
			s.node = station.NodeID("node-" + string(station.NewEpoch())[:8])
		}
		if err := tx.putJSON(nodeKey, s.node); err != nil {
			return err
		}
	case s.cfg.Node != "" && s.cfg.Node != s.node && s.cfg.Was == s.node:
		s.node = s.cfg.Node
		if err := errors.Join(tx.putJSON(nodeKey, s.node), tx.put(epochKey, nil)); err != nil {
			return err
		}
	case s.cfg.Node != "" && s.cfg.Node != s.node:
		return ErrOtherNode.Because(fmt.Errorf("it is %q, not %q", string(s.node), string(s.cfg.Node)))
	}
	if s.keptName() != s.node {
		if err := writeFile(s.cfg.path(nameFile), []byte(s.node+"\n"), 0o600); err != nil {
			return fmt.Errorf("keep the node's name: %w", err)
		}
	}
	lives, err := tx.getJSON(epochKey, &s.epoch)
	if err != nil {
		return err
	}
	if !lives {
		s.epoch = station.NewEpoch()
		if err := tx.putJSON(epochKey, s.epoch); err != nil {
			return err
		}
	}
	s.seal, err = openSealing(tx, s.cfg.path(keyName))
	if err == nil {
		s.report.Sealing = s.seal.problem
	}
	return err
}

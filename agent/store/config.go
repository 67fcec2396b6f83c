package store

import (
	"errors"
	"path/filepath"
	"time"

	"stationd/agent/station"
	"stationd/agent/store/disk"
)

// Config says where the store lies and what it keeps.
type Config struct {
	// Dir is the data directory; it is made when it is missing.
	Dir string `yaml:"-" json:"-"`
	// Node is the name that a new store takes; empty draws one. A store that
	// has a name keeps it, and refuses another.
	Node station.NodeID `yaml:"-" json:"-"`
	// Was is the name that the store may have had before it was given Node: it takes
	// the new one, and begins a new life with it.
	Was station.NodeID `yaml:"-" json:"-"`
	// KeepJournal is how long events stay in the journal after every target has
	// them.
	KeepJournal time.Duration `yaml:"keep_journal" json:"keepJournal"`
	// BulkCap is how many readings wait in the bulk lane at most; beyond it the
	// oldest are dropped, and that is said.
	BulkCap uint64 `yaml:"bulk_cap" json:"bulkCap"`
	// BulkAge is how long readings wait in the bulk lane at most; zero is no limit.
	// Alarms and everything else wait for as long as they must.
	BulkAge time.Duration `yaml:"bulk_age" json:"bulkAge"`
	// Queue is how many updates may wait; at the bound they block.
	Queue int `yaml:"queue" json:"queue"`
	// Space is the watermarks of the data disk.
	Space disk.Config `yaml:"space" json:"space"`
}

// DefaultConfig suits a station.
func DefaultConfig() Config {
	return Config{
		KeepJournal: 7 * 24 * time.Hour,
		BulkCap:     1_000_000,
		BulkAge:     30 * 24 * time.Hour,
		Queue:       1024,
		Space:       disk.DefaultConfig(),
	}
}

// Validate gathers all faults.
func (c Config) Validate() error {
	var faults []error
	fault := func(key, hint, message string) {
		faults = append(faults, station.Errorf(400, "config.invalid", hint, "%s", message).At(key))
	}
	if c.Dir == "" {
		fault("dir", "name a directory with --data", "the data directory is missing")
	}
	if c.Node != "" {
		if err := c.Node.Validate(); err != nil {
			fault("node", "use a-z, 0-9 and '-'", err.Error())
		}
	}
	if c.KeepJournal < time.Minute {
		fault("keep_journal", "use 168h", "must be a minute or more")
	}
	if c.BulkCap < 1000 {
		fault("bulk_cap", "use 1000000", "must be 1000 or more")
	}
	if c.BulkAge != 0 && c.BulkAge < time.Minute {
		fault("bulk_age", "use 720h, or 0 for no limit", "must be a minute or more")
	}
	if c.Queue < 1 || c.Queue > 1<<20 {
		fault("queue", "use 1024", "must be between 1 and 1048576")
	}
	faults = append(faults, station.Under("space", c.Space.Validate()))
	return errors.Join(faults...)
}

// The files of a store, all in its directory.
const (
	coreName     = "core"
	backupName   = "backup"
	lockName     = "lock"
	keyName      = "secret.key"
	manifestCopy = "core.manifest"
)

func (c Config) path(name string) string { return filepath.Join(c.Dir, name) }

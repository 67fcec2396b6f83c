package store

import (
	"log/slog"
	"time"

	"stationd/agent/store/disk"
)

// rotated is called by the committer after each commit.
func (s *Store) rotated() {
	if s.logs.used() {
		select {
		case s.wake <- struct{}{}:
		default: // it is awake already
		}
	}
}

// tend looks after the space while the store is open: the reserve, the merging
// of tables, the copy of the MANIFEST.
func (s *Store) tend() {
	defer s.tended.Done()
	every := time.NewTicker(time.Second)
	defer every.Stop()
	held := false
	var rotated time.Time
	for {
		select {
		case <-s.quit:
			return
		case <-s.wake:
			rotated = time.Now()
		case <-every.C:
		}
		if err := s.guard.Tend(); err != nil {
			s.log.Debug("reserve not taken", slog.Any("error", err))
		}
		if time.Since(rotated) < calm && s.freshTables() <= mostFresh {
			continue // a flood goes first
		}
		was := held
		held = !s.merge()
		if held && !was {
			s.log.Warn("merging of tables waits for free space")
		}
		s.keepManifest()
	}
}

const (
	// levelZero is how many tables gather before they are merged.
	levelZero = 3
	// mostFresh is how many may be there before everything else waits for that, at a
	// start or in a flood.
	mostFresh = 16
	// calm is for how long no log has become full: merging writes most of the database
	// anew, and takes a third of what a flood could be taken in with.
	calm = 2 * time.Second
)

// freshTables is how many tables have not been merged.
func (s *Store) freshTables() (n int) {
	for _, t := range s.db.Tables() {
		if t.Level == 0 {
			n++
		}
	}
	return n
}

// merge merges tables down when there are enough of them. It does nothing, and
// returns false, when there is not clearly room for the result: Badger would be
// killed by a full disk half way. Until there is, tables gather; there is room
// for as many as the reserve can make.
func (s *Store) merge() bool {
	var fresh, size disk.Bytes
	for _, t := range s.db.Tables() {
		if t.Level == 0 {
			fresh++
			size += disk.Bytes(t.OnDiskSize)
		}
	}
	if fresh <= levelZero {
		return true
	}
	// The merged tables exist beside their inputs until they are done: all fresh
	// ones once more, and what they overlap with, a level that is kept small.
	if s.guard.Spare() < 2*size+16*disk.MiB {
		return false
	}
	if err := s.db.Flatten(1); err != nil {
		s.log.Warn("tables not merged", slog.Any("error", err))
	}
	return true
}

package store

import (
	"log/slog"
	"time"
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

// tend looks after the space while the store is open.
func (s *Store) tend() {
	defer s.tended.Done()
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case <-s.quit:
			return
		case <-s.wake:
		case <-every.C:
		}
		if err := s.guard.Tend(); err != nil {
			s.log.Debug("reserve not taken", slog.Any("error", err))
		}
	}
}

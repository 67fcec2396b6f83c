package gb26875

import (
	"context"
	"encoding/hex"
	"hash/fnv"
	"slices"
	"time"

	"stationd/devices/payload"
)

// unit is what is remembered of a transmission unit: whether it is there, and
// which of its reports were stored last.
type unit struct {
	lines   int       // connections on which it has spoken
	heard   time.Time // its last frame
	present bool      // as it was reported last
	told    bool      // its presence was reported since the server was started
	used    uint64    // Server.clock
	done    []uint64  // marks of the reports stored last, the newest last
	// standing is what its parts and panels have reported as standing, by device.
	standing map[string]payload.Reading
}

// What is remembered of units.
const (
	maxUnits = 4096
	maxDone  = 128
)

// mark recognises a report that is sent again.
func (f Frame) mark() uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte{byte(f.Serial), byte(f.Serial >> 8), byte(f.Command)})
	_, _ = h.Write(f.Data)
	return h.Sum64()
}

// meet notes that a unit was heard. first tells that this connection had not
// spoken for it; back that it has to be reported as present.
func (s *Server) meet(a Address, first bool) (back bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.units[a]
	if u == nil {
		if len(s.units) >= maxUnits {
			s.forgetOldest()
		}
		u = &unit{}
		s.units[a] = u
	}
	s.clock++
	u.used, u.heard = s.clock, s.deps.Now()
	if first {
		u.lines++
	}
	return !u.present || !u.told
}

// Expect tells the server of units that are known to have reported before it was
// started, by their addresses as Address.String writes them. One that does not
// come within Config.Absent is reported as gone, as if it had left now. A unit
// that the server knows is not touched, and what is no address is left out.
func (s *Server) Expect(addresses ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range addresses {
		raw, err := hex.DecodeString(text)
		if err != nil || len(raw) != len(Address{}) || len(s.units) >= maxUnits {
			continue
		}
		a := Address(raw)
		slices.Reverse(a[:])
		if s.units[a] == nil {
			s.units[a] = &unit{present: true, heard: s.deps.Now()}
		}
	}
}

// part notes that a connection on which it spoke is gone.
func (s *Server) part(a Address) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.units[a]; u != nil {
		u.lines = max(u.lines-1, 0)
		u.heard = s.deps.Now()
	}
}

func (s *Server) forgetOldest() {
	var oldest Address
	found := false
	for a, u := range s.units {
		if u.lines == 0 && (!found || u.used < s.units[oldest].used) {
			oldest, found = a, true
		}
	}
	if found {
		delete(s.units, oldest)
	}
}

// stored tells whether a report was stored before.
func (s *Server) stored(a Address, mark uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.units[a]
	return u != nil && slices.Contains(u.done, mark)
}

// store notes that a report is.
func (s *Server) store(a Address, mark uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.units[a]
	if u == nil {
		return
	}
	if len(u.done) == maxDone {
		u.done = u.done[:copy(u.done, u.done[1:])]
	}
	u.done = append(u.done, mark)
}

// reported notes what was stored of a unit's presence.
func (s *Server) reported(a Address, present bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.units[a]; u != nil {
		u.present, u.told = present, true
	}
}

// watchUnits reports units that have not come back.
func (s *Server) watchUnits(ctx context.Context) {
	ticker := time.NewTicker(max(s.cfg.Absent/20, 100*time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, a := range s.absent() {
			r := Frame{Source: a}.unit()
			r.Presence = payload.Offline
			if err := s.deps.Handle(ctx, r); err != nil {
				s.deps.Log.Warn("absence of a transmission unit not stored", "unit", a.String(), "error", err)
				continue // the next tick tries again
			}
			s.reported(a, false)
		}
	}
}

// absent are the units that are to be reported as gone.
func (s *Server) absent() []Address {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.deps.Now()
	var gone []Address
	for a, u := range s.units {
		if u.present && u.lines == 0 && now.Sub(u.heard) >= s.cfg.Absent {
			gone = append(gone, a)
		}
	}
	return gone
}

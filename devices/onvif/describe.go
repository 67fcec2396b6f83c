package onvif

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"stationd/agent/station"
)

// Describe asks a device for all that its set-up needs. A password that a device
// has just refused is not tried again: whoever presses the button five times would
// lock the camera's account.
func (s *Set) Describe(ctx context.Context, login Login) (Description, error) {
	// What was entered is not kept, not even in memory: its digest tells as much.
	tried := refusal(sha256.Sum256(fmt.Appendf(nil, "%q %q %q", login.URL, login.Username, login.Password.Reveal())))
	if s.refusedLately(tried) {
		return Description{}, errWait
	}
	d, err := describe(ctx, s.cfg, login)
	if p, ok := station.AsProblem(err); ok && p.Code == errDenied.Code {
		s.noteRefused(tried)
	}
	return d, err
}

func describe(ctx context.Context, cfg Config, login Login) (Description, error) {
	c, err := Dial(ctx, cfg, login)
	if err != nil {
		return Description{}, err
	}
	defer c.Close()
	return c.Describe(ctx)
}

var errWait = station.Errorf(429, "onvif.wait", "enter another one, or wait a minute: many tries lock the device's account", "the device has just refused this password")

type refusal [sha256.Size]byte

// forgetAfter is how long a refused password is not tried again by hand.
const forgetAfter = time.Minute

func (s *Set) refusedLately(r refusal) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, known := s.refusals[r]
	return known && time.Since(at) < forgetAfter
}

func (s *Set) noteRefused(r refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for known, at := range s.refusals {
		if time.Since(at) >= forgetAfter || len(s.refusals) > 100 {
			delete(s.refusals, known)
		}
	}
	s.refusals[r] = time.Now()
}

package agent

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"stationd/agent/account"
	"stationd/agent/station"
)

// What guessing a password costs whoever guesses, and does not cost us.

// limiter slows guessing from one address: a burst of ten, then one in six
// seconds. It remembers a bounded number of addresses and forgets all of them
// when there are too many, which favours the innocent.
type limiter struct {
	mu   sync.Mutex
	from map[string]*rate.Limiter
}

const maxAddresses = 4096

func (l *limiter) allow(address string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.from == nil || len(l.from) >= maxAddresses {
		l.from = map[string]*rate.Limiter{}
	}
	lim := l.from[address]
	if lim == nil {
		lim = rate.NewLimiter(rate.Every(6*time.Second), 10)
		l.from[address] = lim
	}
	if !lim.Allow() {
		return station.Errorf(http.StatusTooManyRequests, "login.slow-down", "wait a minute and try again", "there were too many tries from this address")
	}
	return nil
}

// maxHashing bounds how many passwords are hashed at once: each takes 19 MiB, and
// strangers decide how many there are.
const maxHashing = 2

// hashes lets a few at a time hash a password.
type hashes chan struct{}

// matches is account.Matches, when it is its turn.
func (h hashes) matches(ctx context.Context, hash string, password station.Secret) (bool, error) {
	select {
	case h <- struct{}{}:
		defer func() { <-h }()
		return account.Matches(hash, password), nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// hash is account.Hash, when it is its turn.
func (h hashes) hash(ctx context.Context, password station.Secret) (string, error) {
	select {
	case h <- struct{}{}:
		defer func() { <-h }()
		return account.Hash(password), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

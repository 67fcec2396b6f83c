package devices

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"

	"stationd/devices/broker"
)

// brokerHooks lets devices into the built-in broker by their accounts.
func (s *Set) brokerHooks() broker.Hooks {
	return broker.Hooks{
		Authenticate: s.authenticate,
		MayPublish:   func(c broker.Client, topic string) bool { return s.mayUse(c, topic) },
		MaySubscribe: func(c broker.Client, filter string) bool { return s.mayUse(c, filter) },
		Publish:      s.takeEmbedded,
	}
}

// authenticate compares digests in constant time, also for a name that does not
// exist, so that names cannot be found out.
func (s *Set) authenticate(c broker.ConnectInfo) bool {
	account, known := s.registry.Load().accounts[c.Username]
	want, err := hex.DecodeString(account.Digest)
	if err != nil || len(want) != sha256.Size {
		want, known = make([]byte, sha256.Size), false
	}
	got := sha256.Sum256([]byte(c.Password.Reveal()))
	return subtle.ConstantTimeCompare(got[:], want) == 1 && known
}

// mayUse tells whether an account may publish or subscribe to what filter
// covers. A device may read what it may write: a bridge gets its commands
// below its own topics.
func (s *Set) mayUse(c broker.Client, filter string) bool {
	account, known := s.registry.Load().accounts[c.Username]
	if !known {
		return false
	}
	if len(account.Topics) == 0 {
		return broker.Covers("#", filter)
	}
	for _, allowed := range account.Topics {
		if broker.Covers(allowed, filter) {
			return true
		}
	}
	return false
}

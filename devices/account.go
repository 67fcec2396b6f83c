package devices

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"

	"stationd/devices/broker"
)

// brokerHooks lets devices into the built-in broker by their accounts.
func (s *Set) brokerHooks() broker.Hooks {
	return broker.Hooks{
		Authenticate: s.authenticate,
		MayPublish:   s.mayPublish,
		MaySubscribe: s.maySubscribe,
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

// mayPublish tells whether an account may publish to topic.
func (s *Set) mayPublish(c broker.Client, topic string) bool {
	account, known := s.registry.Load().accounts[c.Username]
	return known && covered(account.Topics, topic)
}

// maySubscribe tells whether an account may subscribe to what filter covers. An
// account that may only publish to topics of its own may read nothing unless it
// is told what: not even what it says itself, because others with the same
// rights may say it too.
func (s *Set) maySubscribe(c broker.Client, filter string) bool {
	account, known := s.registry.Load().accounts[c.Username]
	if !known || len(account.Subscribe) == 0 && len(account.Topics) > 0 {
		return false
	}
	return covered(account.Subscribe, filter)
}

// covered tells whether one of the filters covers what is wanted; none covers all.
func covered(filters []string, want string) bool {
	if len(filters) == 0 {
		// Wildcards do not reach topics that begin with "$", and some clouds'
		// devices publish there; only the server's own are nobody's.
		return broker.Covers("#", want) || strings.HasPrefix(want, "$") && !strings.HasPrefix(want, "$SYS")
	}
	for _, f := range filters {
		if broker.Covers(f, want) {
			return true
		}
	}
	return false
}

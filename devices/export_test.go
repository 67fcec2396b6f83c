package devices

import (
	"context"
	"net"
	"time"

	"stationd/agent/station"
)

// SetPatience sets how long a broker may be away.
func (s *Set) SetPatience(d time.Duration) { s.patience = d }

// KeepTime runs the timers alone, as if the built-in broker had listened since
// now: a real broker cannot be run in a bubble of synthetic time.
func (s *Set) KeepTime(ctx context.Context) {
	s.BrokerUp(true)
	s.keepTime(ctx)
}

func (s *Set) BrokerUp(up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listenedAt = time.Time{}
	if up {
		s.listenedAt = s.now()
	}
	wake(s.kick)
}

// Hear handles a message as from the built-in broker.
func (s *Set) Hear(ctx context.Context, topic, body string) error {
	return s.handle(ctx, &message{broker: station.EmbeddedBroker, client: "test", topic: topic, payload: []byte(body)}, func(err error) error { return err })
}

// BenchBytes is how many bytes of payloads and topics the workbench keeps.
func (s *Set) BenchBytes() int {
	s.bench.mu.Lock()
	defer s.bench.mu.Unlock()
	return s.bench.bytes
}

// AddrTLS is the built-in broker's address for TLS.
func (s *Set) AddrTLS() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.embedded.AddrTLS()
}

package devices

import (
	"context"
	"time"

	"stationd/agent/station"
	"stationd/devices/payload"
)

// Publish sends a message to those who subscribed at a broker: a siren, a display.
// At the built-in broker it returns when the message is on its way to whoever is
// connected; at one outside when that has acknowledged it, at QoS 1. Neither tells
// that anybody heard it. Safe for use from any goroutine.
//
// Errors: a problem with code "broker.unknown" or "broker.away", or one of the
// context.
func (s *Set) Publish(ctx context.Context, broker, topic string, payload []byte, retain bool) error {
	return s.publish(ctx, broker, topic, payload, 1, retain)
}

func (s *Set) publish(ctx context.Context, id, topic string, payload []byte, qos byte, retain bool) error {
	s.mu.Lock()
	own, r := s.embedded, s.links[id]
	s.mu.Unlock()
	switch {
	case id == station.EmbeddedBroker && own == nil:
		return station.Errorf(503, "broker.away", "look at the lamp of the sensors", "the built-in broker does not listen")
	case id == station.EmbeddedBroker:
		return own.Publish(topic, payload, retain, qos)
	case r == nil:
		return station.Errorf(404, "broker.unknown", "set the broker up first", "there is no broker %q", id)
	}
	return r.link.Publish(ctx, topic, payload, qos, retain)
}

// bucket lets so many through at once, and one more with each requestEvery.
type bucket struct {
	level float64
	at    time.Time
}

// What a family may have published: a broken device must not make the station
// shout at a broker.
const (
	requestsAtOnce = 16
	requestEvery   = time.Second
	requestsQueued = 64
	requestPatient = 5 * time.Second
)

// take tells whether one more may pass. The owner's lock is held.
func (b *bucket) take(now time.Time, most float64, every time.Duration) bool {
	if b.at.IsZero() {
		b.level = most
	} else if passed := now.Sub(b.at); passed > 0 {
		b.level = min(most, b.level+float64(passed)/float64(every))
	}
	b.at = now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}

// request is what a family wants published at its broker.
type request struct {
	broker string
	payload.Request
}

// publishRequests hands on what a family asks for. It never waits: what is too
// much is dropped and counted, and the family asks again.
func (s *Set) publishRequests(l *listener, all []payload.Request) {
	for _, r := range all {
		l.mu.Lock()
		pass := l.requests.take(s.now(), requestsAtOnce, requestEvery)
		l.mu.Unlock()
		if pass {
			select {
			case s.requests <- request{l.broker, r}:
				continue
			default:
			}
		}
		s.counts.unasked.Add(1)
	}
}

// answerRequests publishes what families ask for, until ctx ends.
func (s *Set) answerRequests(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-s.requests:
			once, cancel := context.WithTimeout(ctx, requestPatient)
			if err := s.publish(once, r.broker, r.Topic, r.Payload, r.QoS, false); err != nil && ctx.Err() == nil {
				s.log.Info("request of a family not published", "broker", r.broker, "topic", r.Topic, "error", err)
			}
			cancel()
		}
	}
}

package mqtt

import (
	"math"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stationd/agent/station"
)

// A broker gives what it has kept for a client before what comes now, and does not say
// where the one ends. So a mark is published as soon as the link is up: what comes
// before it was kept, or as good as. Where the mark does not come back, because the
// station may not publish there, everything counts as new after a minute.

const markPatience = time.Minute

// Forever is how long a message may have waited when it is not known since when.
const Forever = time.Duration(math.MaxInt64)

// mark is that of one connection.
type mark struct {
	topic, name string
	away        time.Duration // how long nobody had taken anything
	began       time.Time
	passed      atomic.Bool
}

// markTopic is read by the station alone, and below what a probe may publish to.
func (l *Link) markTopic() string { return probeTopic + l.target.ClientID + "/mark" }

// newMark is for a connection that is about to be made.
func (l *Link) newMark() *mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := &mark{topic: l.markTopic(), name: station.NewID(), away: Forever, began: time.Now()}
	if away := m.began.Sub(l.until); !l.until.IsZero() && away >= 0 {
		m.away = max(away, 1)
	}
	return m
}

// waited is how long a message may have lain at the broker.
func (m *mark) waited(msg paho.Message) time.Duration {
	switch {
	case m.passed.Load():
		return 0
	case msg.Topic() == m.topic && string(msg.Payload()) == m.name, time.Since(m.began) > markPatience:
		m.passed.Store(true)
		return 0
	}
	return m.away
}

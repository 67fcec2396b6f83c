package uplink

import (
	"context"
	"time"

	"stationd/agent/station"
	"stationd/uplink/protocol"
	"stationd/uplink/transport"
)

// A parent that asks for it is told now and then how this node is. It is news of the
// moment: it is not kept, and the next one stands for those that were lost.

const (
	leastHealthEvery = time.Second
	mostHealthEvery  = time.Hour
)

// healthEvery is how often the parent wants to hear of it.
func healthEvery(w protocol.Welcome) time.Duration {
	if w.HealthEvery <= 0 {
		return 0
	}
	return min(max(time.Duration(w.HealthEvery)*time.Second, leastHealthEvery), mostHealthEvery)
}

// healthTicks ticks when health is to be told again; never where nobody asks.
func (s *session) healthTicks() (ticks <-chan time.Time, stop func()) {
	if s.healthEvery == 0 || s.up.deps.Health == nil || s.second {
		return nil, func() {}
	}
	t := time.NewTicker(s.healthEvery)
	return t.C, t.Stop
}

func (s *session) tellHealth(ctx context.Context) error {
	if s.healthEvery == 0 || s.up.deps.Health == nil || s.second {
		return nil
	}
	b, err := protocol.Encode(protocol.Health{Protocol: protocol.Version, Session: s.id, Health: s.up.deps.Health()})
	if err != nil {
		s.up.log.Warn("health not told", "error", err)
		return nil
	}
	return s.conn.Send(ctx, transport.Message{Channel: protocol.ChannelHealth, Payload: b})
}

// goodbye is the last word of a session: a node that stops says so, and one whose
// connection failed says no more than its last will does.
func (s *session) goodbye(ctx context.Context, will []byte) []byte {
	if ctx.Err() == nil {
		return will
	}
	b, err := protocol.Encode(protocol.Status{Protocol: protocol.Version, Session: s.id, Software: s.up.deps.Version, Bye: station.ByeStop})
	if err != nil {
		return will
	}
	return b
}

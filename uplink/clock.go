package uplink

import (
	"context"
	"crypto/rand"
	"time"

	"stationd/uplink/protocol"
	"stationd/uplink/transport"
)

const (
	// clockPatience is how long an answer may take that is of use.
	clockPatience = 2 * time.Second
	// clockWrong is the difference that people are told of.
	clockWrong = 5 * time.Second
)

// askClock sends the parent our clock. Both learn from the answer how far the two
// are apart; a clock that is set in between is noticed within a minute.
func (s *session) askClock(ctx context.Context) error {
	now := s.up.deps.Now()
	s.clockDue = time.Now().Add(s.up.cfg.ClockEvery) // by a clock that nobody sets
	b, err := protocol.Encode(protocol.Signal{
		Protocol: protocol.Version, Kind: protocol.SignalClock, Session: rand.Text(),
		Issued: now, Lifetime: int(clockPatience.Seconds()), Offset: s.offset,
	})
	if err != nil {
		return err
	}
	return s.conn.Send(ctx, transport.Message{Channel: protocol.ChannelSignalUp, Payload: b})
}

// clock takes the parent's answer.
func (s *session) clock(sig protocol.Signal) {
	now := s.up.deps.Now()
	trip := now.Sub(sig.Echo)
	if sig.Echo.IsZero() || trip < 0 || trip > clockPatience {
		return // our clock was set meanwhile, or the line is too slow to tell
	}
	s.offset = sig.Issued.Sub(sig.Echo.Add(trip / 2))
	s.up.state.clock(s.offset)
}

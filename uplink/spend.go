package uplink

import (
	"context"
	"time"

	"stationd/agent/station"
	"stationd/uplink/budget"
	"stationd/uplink/protocol"
	"stationd/uplink/transport"
)

// What goes over the line is paid for here: a lane is sent when the budget lets
// its class go, and every message is counted. Clips pay on their own connection,
// live pictures by their grants.

// headers is what a message has around its payload, topic above all.
const headers = 48

// classOf is what a lane is to the budget. Alarms, states and cases come first
// even when they are old: what the centre must know goes before films.
func classOf(lane station.Lane) budget.Class {
	if lane == station.LaneBulk {
		return budget.Backlog
	}
	return budget.Control
}

// metered is a connection whose messages are counted.
type metered struct {
	transport.Conn
	budget *budget.Budget
}

func (m metered) Send(ctx context.Context, msg transport.Message) error {
	class := budget.Control
	if msg.Channel == protocol.ChannelEvents {
		class = classOf(msg.Lane)
	}
	// Counted before it goes: whatever looks whether it may go, looks after this.
	m.budget.Sent(class, budget.OnWire(headers+len(msg.Payload)))
	return m.Conn.Send(ctx, msg)
}

// heard counts what came down.
func (s *session) heard(m transport.Message) {
	s.up.budget.Received(budget.Control, budget.OnWire(headers+len(m.Payload)))
}

// mayGo tells whether the budget lets a lane send; if not, the session looks
// again when it may.
func (s *session) mayGo(lane station.Lane) bool {
	wait := s.up.budget.Wait(classOf(lane))
	if wait > 0 && (s.held == 0 || wait < s.held) {
		s.held = wait
	}
	return wait == 0
}

// holding is how long until a lane that was held back may go; a long time when
// none was.
func (s *session) holding() time.Duration {
	if s.held == 0 {
		return time.Hour
	}
	return s.held
}

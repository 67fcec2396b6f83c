// Package transport is the line to a parent, seen from the station: it dials,
// hands messages over and gives back what comes down. It promises order within
// a connection and nothing else: what was handed over may be lost, and only the
// parent's own Ack tells that something arrived. A connection that broke stays
// broken; whoever wants another dials again.
package transport

import (
	"context"
	"errors"

	"stationd/agent/station"
	"stationd/uplink/protocol"
)

// ErrLost is returned by a connection that is no more.
var ErrLost = errors.New("connection lost")

// Message is one message in either direction.
type Message struct {
	Channel protocol.Channel
	// Lane is set on protocol.ChannelEvents alone.
	Lane    station.Lane
	Payload []byte
}

// Call is what a dialler must know of the session that is about to begin.
type Call struct {
	Node station.NodeID
	// Session names the connection; no two are alike.
	Session string
	// Will is the protocol.Status that the other end is to see when the
	// connection breaks.
	Will []byte
	// Marks are where this end's own cursors stand, for a transport whose other
	// end keeps none.
	Marks map[station.Lane]protocol.Mark
}

// Dialer opens connections to one parent.
type Dialer interface {
	// Dial returns when messages can travel both ways, or why they cannot.
	// ctx is for dialling alone.
	Dial(ctx context.Context, call Call) (Conn, error)
}

// Conn is one connection. Its methods may be called from any goroutine.
type Conn interface {
	// Send hands a message over. It blocks while the line is busy.
	Send(ctx context.Context, m Message) error
	// Receive gives what comes down, in order. The channel is bounded; what
	// nobody fetches in time is dropped and counted, which every message of
	// the protocol survives. It is closed when the connection is lost.
	Receive() <-chan Message
	// Err is why the connection was lost; nil while it holds.
	Err() error
	// Dropped counts what came down and was dropped.
	Dropped() uint64
	// Close says goodbye and waits for everything that Dial started.
	Close() error
}

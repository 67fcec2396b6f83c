package centre

import (
	"context"
	"io"
	"time"

	"stationd/agent/station"
	"stationd/uplink/protocol"
)

// Mark is the newest event of one node and lane that is held durably.
type Mark struct {
	Epoch    station.Epoch
	Seq, Hop uint64
}

// Inbox is the durable store of what stations sent.
type Inbox interface {
	// Mark is the newest of node and lane, in whatever epoch came last. The
	// zero Mark when there is none.
	Mark(ctx context.Context, node station.NodeID, lane station.Lane) (Mark, error)
	// Accept stores events and the new mark in one durable commit, and returns
	// the mark. The events are of one epoch and lane and without a gap; an
	// implementation passes them and its mark through Admit inside its
	// transaction all the same, since its mark may be newer than the caller's.
	//
	// An event whose Origin names the same node and an earlier epoch, at or
	// below the mark kept for that epoch and lane, has been here before: the
	// station was restored from a backup and sends again what it does not
	// know to be delivered. The mark moves over it, the event is not stored.
	//
	// An epoch that comes back after another goes on behind its own mark: its
	// station has its old disk again, or is two machines under one name.
	Accept(ctx context.Context, node station.NodeID, lane station.Lane, events []protocol.Envelope) (Mark, error)
	// NodeSeen tells that a node came or went.
	NodeSeen(ctx context.Context, node station.NodeID, p station.Presence) error
	// NodeHeard is what a node says of itself now and then: a sign of life.
	NodeHeard(ctx context.Context, node station.NodeID, h station.NodeHealth) error
	// NodeClock tells how far a node's clock is from ours, whenever that has
	// changed by more than a second.
	NodeClock(ctx context.Context, node station.NodeID, offset time.Duration) error
}

// ClipStore keeps stations' clips.
type ClipStore interface {
	// Receive begins or resumes a clip. An id that another node holds is
	// refused with a problem of status 403. A clip that is whole already gives
	// a Receiving whose Offset is size and whose Finish returns nil.
	Receive(ctx context.Context, node station.NodeID, id string, size int64, sha256 string) (Receiving, error)
}

// Receiving is a clip on its way in. What was written is durable when Write
// returns, and is still there after a restart.
type Receiving interface {
	Offset() int64
	io.Writer
	// Finish checks the whole and makes it visible, durably. On a wrong digest
	// it discards what came and returns a problem with code "clip.corrupt".
	Finish() error
	// Close lets go; what was written stays.
	Close() error
}

// Live is the centre's end of live legs.
type Live interface {
	// AcceptLeg answers the offer that came for an OpenLeg.
	AcceptLeg(ctx context.Context, node station.NodeID, session, offer string) (answer string, err error)
}

// Admit tells which events of a batch are new behind mark, and the mark after
// them. The batch is dense in itself. A gap is reported when its first new event
// is not the next hop; nothing of it is fresh then. Another epoch than the
// mark's begins at hop 1.
func Admit(mark Mark, batch []protocol.Envelope) (fresh []protocol.Envelope, next Mark, gap bool) {
	if len(batch) == 0 {
		return nil, mark, false
	}
	if epoch := batch[0].Epoch; epoch != mark.Epoch {
		mark = Mark{Epoch: epoch}
	}
	for i, e := range batch {
		if e.Event.Seq <= mark.Seq {
			continue
		}
		if e.Hop != mark.Hop+1 {
			return nil, mark, true
		}
		last := batch[len(batch)-1]
		return batch[i:], Mark{Epoch: mark.Epoch, Seq: last.Event.Seq, Hop: last.Hop}, false
	}
	return nil, mark, false
}

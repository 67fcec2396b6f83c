package agent

import (
	"context"
	"fmt"

	"stationd/agent/station"
	"stationd/agent/store"
)

// This file is the third door: a centre takes in what its children send. An
// event is stored once, whatever the wire did: the child's mark moves in the
// same transaction.

// Mark is how far a child's lane is stored here.
type Mark struct {
	Epoch station.Epoch `json:"epoch"`
	// Seq is the child's own journal sequence of the newest stored event, Hop
	// its dense number on the way here.
	Seq uint64 `json:"seq"`
	Hop uint64 `json:"hop"`
}

// Arrival is one event of a child with its place in the child's lane.
type Arrival struct {
	Epoch station.Epoch
	Seq   uint64
	Hop   uint64
	Event station.Event
}

func markKey(node station.NodeID, lane station.Lane) store.Key {
	return key(markTable, string(node), string(lane))
}

// Mark is how far the lane of node is stored; the zero Mark when nothing is.
func (a *Agent) Mark(ctx context.Context, node station.NodeID, lane station.Lane) (Mark, error) {
	var m Mark
	if err := ctx.Err(); err != nil {
		return m, err
	}
	err := a.store.View(func(tx *store.Tx) (err error) {
		m, _, err = store.Get[Mark](tx, markKey(node, lane))
		return err
	})
	return m, err
}

// epochMarkKey keeps the newest mark of each life of the child's store: a child
// that was restored from a backup sends, under a new epoch, events that may have
// come here in the old one.
func epochMarkKey(node station.NodeID, lane station.Lane, epoch station.Epoch) store.Key {
	return key(pastTable, string(node), string(lane), string(epoch))
}

// acceptBytes bounds the data of one transaction: what the line lets through at
// once may be more than fits into one.
const acceptBytes = 128 << 10

// Accept stores a child's events in order and returns the lane's mark when that
// is durable. What is stored already is passed over. At a gap it stops: the
// mark that comes back tells the sender where to go on. An epoch that was never
// heard of begins a new count, from hop 1; one that comes back, of a disk that was
// put in again, goes on where it was.
func (a *Agent) Accept(ctx context.Context, node station.NodeID, lane station.Lane, arrivals []Arrival) (Mark, error) {
	for {
		n := 0
		for size := 0; n < len(arrivals) && (n == 0 || size+len(arrivals[n].Event.Data) <= acceptBytes); n++ {
			size += len(arrivals[n].Event.Data)
		}
		mark, err := a.accept(ctx, node, lane, arrivals[:n])
		if arrivals = arrivals[n:]; err != nil || len(arrivals) == 0 {
			return mark, err
		}
	}
}

// accept is Accept in one transaction.
func (a *Agent) accept(ctx context.Context, node station.NodeID, lane station.Lane, arrivals []Arrival) (Mark, error) {
	var mark Mark
	var registry bool
	err := a.store.Update(ctx, lane, func(tx *store.Tx) error {
		registry = false
		m, _, err := store.Get[Mark](tx, markKey(node, lane))
		if err != nil {
			return err
		}
		mark = m
		came := newPassages(tx, lane)
		for _, ar := range arrivals {
			if ar.Epoch != mark.Epoch {
				if mark.Epoch != "" && lane == station.LaneNormal {
					if err := a.pushAgain(tx, node); err != nil {
						return err
					}
				}
				if mark, _, err = store.Get[Mark](tx, epochMarkKey(node, lane, ar.Epoch)); err != nil {
					return err
				}
				mark.Epoch = ar.Epoch
			}
			if ar.Seq <= mark.Seq {
				continue
			}
			if ar.Hop != mark.Hop+1 {
				break
			}
			before, err := came.cameBefore(node, ar)
			if err != nil {
				return err
			}
			if !before {
				ar.Event.Received = a.now()
				changed, err := a.take(tx, node, ar.Event)
				if err != nil {
					return fmt.Errorf("take %s of %s: %w", ar.Event.Type, node, err)
				}
				registry = registry || changed
			}
			mark.Seq, mark.Hop = ar.Seq, ar.Hop
		}
		if mark == m {
			return nil
		}
		if err := came.keep(); err != nil {
			return err
		}
		n, _, err := store.Get[station.Node](tx, key(nodeTable, string(node)))
		if err != nil {
			return err
		}
		n.ID, n.LastEvent = node, a.now()
		if err := store.Put(tx, key(nodeTable, string(node)), n); err != nil {
			return err
		}
		if err := store.Put(tx, epochMarkKey(node, lane, mark.Epoch), mark); err != nil {
			return err
		}
		return store.Put(tx, markKey(node, lane), mark)
	})
	if err != nil {
		return Mark{}, err
	}
	if registry {
		a.registryChanged()
	}
	return mark, nil
}

// ClipReceived notes that a child's clip is here, whole.
func (a *Agent) ClipReceived(ctx context.Context, node station.NodeID, id string) error {
	return a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		c, _, err := store.Get[station.Clip](tx, key(clipTable, id))
		if err != nil {
			return err
		}
		// The file may be here before the event that describes it.
		c.ID, c.Node, c.Uploaded = id, node, a.now()
		if err := store.Put(tx, key(clipTable, id), c); err != nil {
			return err
		}
		return appendEvent(tx, station.LaneNormal, station.EventClipReady, "clip/"+id, "", c.Uploaded, c)
	})
}

// ClaimClip binds a clip that is about to be uploaded to the child that sends
// it. One that belongs to another node is refused.
func (a *Agent) ClaimClip(ctx context.Context, node station.NodeID, id string) error {
	return a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		c, known, err := store.Get[station.Clip](tx, key(clipTable, id))
		if err != nil {
			return err
		}
		if known && c.Node != node {
			return station.Errorf(403, "clip.elsewhere", "upload own clips only", "the clip belongs to another node").At("clip/" + id)
		}
		if known {
			return nil
		}
		return store.Put(tx, key(clipTable, id), station.Clip{ID: id, Node: node, Status: station.ClipPending})
	})
}

package uplinktest

import (
	"context"
	"os"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/uplink/centre"
	"stationd/uplink/protocol"
)

// Inbox is a centre's inbox in memory. It outlives the centre that writes to it,
// as a store on disk would.
type Inbox struct {
	// Fail, when set, is asked before (committed false) and after (committed
	// true) each commit; its error is what Accept returns.
	Fail func(committed bool) error
	// Sync, when set, is written to and synced at each commit.
	Sync *os.File

	mu      sync.Mutex
	marks   map[inboxKey]centre.Mark
	older   map[epochKey]centre.Mark
	events  map[inboxKey][]station.Event
	online  map[station.NodeID]bool
	clocks  map[station.NodeID]time.Duration
	byes    map[station.NodeID]station.Bye
	health  map[station.NodeID]station.NodeHealth
	changed chan struct{}
}

type inboxKey struct {
	node station.NodeID
	lane station.Lane
}

type epochKey struct {
	inboxKey
	epoch station.Epoch
}

// NewInbox makes an empty inbox.
func NewInbox() *Inbox {
	return &Inbox{
		marks: map[inboxKey]centre.Mark{}, older: map[epochKey]centre.Mark{}, events: map[inboxKey][]station.Event{},
		online: map[station.NodeID]bool{}, byes: map[station.NodeID]station.Bye{}, health: map[station.NodeID]station.NodeHealth{}, clocks: map[station.NodeID]time.Duration{}, changed: make(chan struct{}),
	}
}

func (b *Inbox) Mark(_ context.Context, node station.NodeID, lane station.Lane) (centre.Mark, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.marks[inboxKey{node, lane}], nil
}

func (b *Inbox) Accept(_ context.Context, node station.NodeID, lane station.Lane, events []protocol.Envelope) (centre.Mark, error) {
	if b.Fail != nil {
		if err := b.Fail(false); err != nil {
			return centre.Mark{}, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k := inboxKey{node, lane}
	mark := b.marks[k]
	if len(events) > 0 && events[0].Epoch != mark.Epoch {
		mark = b.older[epochKey{k, events[0].Epoch}]
	}
	fresh, next, gap := centre.Admit(mark, events)
	if gap {
		return mark, nil
	}
	for _, e := range fresh {
		o := e.Event.Origin
		if o.Node == node && o.Epoch != e.Epoch && o.Seq <= b.older[epochKey{k, o.Epoch}].Seq {
			continue // it was here before the station was restored
		}
		b.events[k] = append(b.events[k], e.Event)
	}
	b.marks[k] = next
	b.older[epochKey{k, next.Epoch}] = next
	if b.Sync != nil {
		if _, err := b.Sync.WriteAt([]byte{1}, 0); err != nil {
			return centre.Mark{}, err
		}
		if err := b.Sync.Sync(); err != nil {
			return centre.Mark{}, err
		}
	}
	b.wake()
	if b.Fail != nil {
		if err := b.Fail(true); err != nil {
			return centre.Mark{}, err
		}
	}
	return next, nil
}

func (b *Inbox) NodeSeen(_ context.Context, node station.NodeID, p station.Presence) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.online[node] = p.Online
	if !p.Online {
		b.byes[node] = p.Bye
	}
	b.wake()
	return nil
}

// NodeClock implements centre.Inbox.
func (b *Inbox) NodeClock(_ context.Context, node station.NodeID, offset time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clocks[node] = offset
	return nil
}

// Clock is how far a station's clock is off, as the centre noted it.
func (b *Inbox) Clock(node station.NodeID) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clocks[node]
}

// NodeHeard keeps the last health of each node.
func (b *Inbox) NodeHeard(_ context.Context, node station.NodeID, h station.NodeHealth) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.health[node] = h
	b.wake()
	return nil
}

// Health is what node said last of itself; known is false when it said nothing.
func (b *Inbox) Health(node station.NodeID) (h station.NodeHealth, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h, known = b.health[node]
	return h, known
}

// Bye is what node said when it went last.
func (b *Inbox) Bye(node station.NodeID) station.Bye {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.byes[node]
}

func (b *Inbox) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// Changed is closed at the next commit or coming or going.
func (b *Inbox) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// Events is what was stored of node and lane, in the order of its coming.
func (b *Inbox) Events(node station.NodeID, lane station.Lane) []station.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]station.Event(nil), b.events[inboxKey{node, lane}]...)
}

// Count is the number of events stored of node and lane.
func (b *Inbox) Count(node station.NodeID, lane station.Lane) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.events[inboxKey{node, lane}])
}

// Online tells what was last heard of node.
func (b *Inbox) Online(node station.NodeID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.online[node]
}

// Copy is the inbox as a backup would have it.
func (b *Inbox) Copy() *Inbox {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := NewInbox()
	for k, m := range b.marks {
		c.marks[k] = m
	}
	for k, s := range b.older {
		c.older[k] = s
	}
	for k, e := range b.events {
		c.events[k] = append([]station.Event(nil), e...)
	}
	return c
}

var _ centre.Inbox = (*Inbox)(nil)

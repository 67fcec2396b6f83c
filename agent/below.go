package agent

import (
	"slices"

	"stationd/agent/station"
	"stationd/agent/store"
)

// What lies below the stations that are connected here: a village below a sub-centre
// below us. It has no connection of its own; the child through which it speaks tells
// whether it is there, and takes our orders down to it.

// BelowNode is a node that speaks through a child of ours.
type BelowNode struct {
	station.Node
	Via station.NodeID `json:"via"`
}

// direct tells whether the node is one of our own children, who may come in.
func direct(tx *store.Tx, node station.NodeID) (bool, error) {
	_, child, err := store.Get[station.Node](tx, key(nodeTable, string(node)))
	if err != nil || !child {
		return false, err
	}
	e, _, err := store.Get[station.Enrolment](tx, key(enrolmentTable, string(node)))
	return e.ClosedAt.IsZero(), err
}

// speaksThrough tells whether what lies below may speak through that child: nobody
// else speaks for it. One that is away may have moved below another.
func speaksThrough(tx *store.Tx, node, child station.NodeID) (bool, error) {
	b, known, err := store.Get[BelowNode](tx, key(belowTable, string(node)))
	return !known || b.Via == child || !b.Online, err
}

// noteBelow keeps what a child says of a node below it.
func (c childTx) noteBelow(n station.Node) error {
	return store.Put(c.tx, key(belowTable, string(n.ID)), BelowNode{Node: n, Via: c.node})
}

// way tells through which child a node is reached, and whether it can be now. A
// child is its own way; a node that nobody knows has none.
func way(tx *store.Tx, node station.NodeID) (via station.NodeID, online, known bool, err error) {
	n, known, err := store.Get[station.Node](tx, key(nodeTable, string(node)))
	if err != nil {
		return "", false, false, err
	}
	b, deep, err := store.Get[BelowNode](tx, key(belowTable, string(node)))
	if err != nil || !deep || known && n.Online {
		return node, n.Online, known, err
	}
	n, _, err = store.Get[station.Node](tx, key(nodeTable, string(b.Via)))
	return b.Via, b.Online && n.Online, true, err
}

// WayTo tells through which child an order for node goes down, and whether both are
// there; the empty way of a node that is not known.
func (a *Agent) WayTo(node station.NodeID) (via station.NodeID, online bool, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		v, up, known, err := way(tx, node)
		if known {
			via, online = v, up
		}
		return err
	})
	return via, online, err
}

// Below lists what lies below the children.
func (a *Agent) Below() ([]BelowNode, error) { return all[BelowNode](a, belowTable) }

// Exactly once. A child's own events are known by its mark. What it passes on from
// below keeps its origin, and may come twice: the child was restored from a backup
// and sends under a new epoch what was here, or the station moved below another
// child, to which it tells what its journal holds. Each way that an origin's lane has
// come is kept as one span of the origin's sequence: a way brings them in order, so
// what lies within the span was here or was held back by the child's policy.

// passage is one way that a lane of an origin has come.
type passage struct {
	Via  station.NodeID `json:"via"`
	From uint64         `json:"from"`
	To   uint64         `json:"to"`
}

// maxPassages bounds what is remembered of one origin; the oldest is forgotten.
const maxPassages = 16

// passages are those that one transaction meets.
type passages struct {
	tx    *store.Tx
	lane  station.Lane
	known map[store.Key][]passage
	dirty map[store.Key]bool
}

func newPassages(tx *store.Tx, lane station.Lane) *passages {
	return &passages{tx: tx, lane: lane, known: map[store.Key][]passage{}, dirty: map[store.Key]bool{}}
}

func (p *passages) of(o station.Origin) (store.Key, []passage, error) {
	k := key(passageTable, string(o.Node), string(p.lane), string(o.Epoch))
	list, met := p.known[k]
	if !met {
		var err error
		if list, _, err = store.Get[[]passage](p.tx, k); err != nil {
			return k, nil, err
		}
		p.known[k] = list
	}
	return k, list, nil
}

// cameBefore tells whether an event that node brings has been here, and notes that
// it is here now if not.
func (p *passages) cameBefore(node station.NodeID, ar Arrival) (bool, error) {
	o := ar.Event.Origin
	k, list, err := p.of(o)
	if err != nil {
		return false, err
	}
	own := o.Node == node && o.Epoch == ar.Epoch
	at := -1
	for i, w := range list {
		if w.Via == node {
			at = i
		}
		if o.Seq >= w.From && o.Seq <= w.To && !(own && w.Via == node) {
			return true, nil
		}
	}
	if own {
		return false, nil // the child's mark knows
	}
	past, _, err := store.Get[Mark](p.tx, epochMarkKey(o.Node, p.lane, o.Epoch))
	if err != nil || o.Seq <= past.Seq {
		return err == nil, err
	}
	list = slices.Clone(list)
	if at < 0 {
		if len(list) == maxPassages {
			list = list[1:]
		}
		list = append(list, passage{Via: node, From: o.Seq, To: o.Seq})
	} else {
		list[at].From, list[at].To = min(list[at].From, o.Seq), max(list[at].To, o.Seq)
	}
	p.known[k], p.dirty[k] = list, true
	return false, nil
}

// keep stores what was noted.
func (p *passages) keep() error {
	for k := range p.dirty {
		if err := store.Put(p.tx, k, p.known[k]); err != nil {
			return err
		}
	}
	return nil
}

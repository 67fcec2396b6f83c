package sparkplug

import (
	"time"

	"stationd/devices/payload"
)

// node is what is known of an edge node since its birth.
type node struct {
	born     bool // its NBIRTH was heard
	heard    bool // a message with a sequence number was
	seq      uint64
	last     uint64 // fingerprint of the last message
	bdSeq    uint64
	hasBdSeq bool
	devices  map[string]*device // by name; "" is the node itself
	metrics  int
	used     uint64 // Session.clock when it was heard last

	stale    bool          // something of this session was missed
	asked    time.Time     // when a rebirth was asked for last
	patience time.Duration // before it is asked for again
}

// device is what is known of one device, or of the node as one.
type device struct {
	born    bool
	strange bool // the message at hand had an alias that no birth has taught
	names   map[string]*known
	aliases map[uint64]*known
	// on are, by field, the metrics that say yes.
	on map[string]map[string]bool
}

// known is a metric that a birth has taught.
type known struct {
	name     string
	datatype uint64
	field    string // ours; empty when it keeps its name
	shared   bool   // other metrics of the device have the same field
}

// node finds or begins a node, and makes room for it.
func (s *Session) node(name string) *node {
	s.clock++
	n := s.nodes[name]
	if n == nil {
		if len(s.nodes) >= MaxNodes {
			s.forgetOldest(nil)
		}
		n = &node{devices: map[string]*device{}}
		s.nodes[name] = n
	}
	n.used = s.clock
	return n
}

// forget ends a node's session. How patient we have been with it is kept, so that
// a node that misses something after each birth is not asked each time.
func (s *Session) forget(name string) {
	n := s.nodes[name]
	if n == nil {
		return
	}
	s.metrics -= n.metrics
	s.nodes[name] = &node{devices: map[string]*device{}, used: n.used, asked: n.asked, patience: n.patience}
}

// forgetOldest removes the node that was heard longest ago, other than keep.
func (s *Session) forgetOldest(keep *node) {
	oldest := ""
	for name, n := range s.nodes {
		if n != keep && (oldest == "" || n.used < s.nodes[oldest].used) {
			oldest = name
		}
	}
	if oldest != "" {
		s.metrics -= s.nodes[oldest].metrics
		delete(s.nodes, oldest)
	}
}

// newDevice is a device that nothing is known of yet, and that is not remembered.
func newDevice() *device {
	return &device{names: map[string]*known{}, aliases: map[uint64]*known{}, on: map[string]map[string]bool{}}
}

// drop forgets a device.
func (s *Session) drop(n *node, name string) {
	d := n.devices[name]
	if d == nil {
		return
	}
	gone := 1 + len(d.names)
	n.metrics -= gone
	s.metrics -= gone
	delete(n.devices, name)
}

// learn takes the names, types and aliases of a device from its birth.
func (s *Session) learn(n *node, name string, p message) *device {
	s.drop(n, name)
	d := newDevice()
	d.born = true
	fields := Fields()
	holders := map[string][]*known{}
	room := func() bool {
		for s.metrics >= MaxAllMetrics && len(s.nodes) > 1 {
			s.forgetOldest(n)
		}
		if n.metrics >= MaxNodeMetrics || s.metrics >= MaxAllMetrics {
			return false
		}
		n.metrics++
		s.metrics++
		return true
	}
	if !room() {
		return d // read this once, and not remembered
	}
	n.devices[name] = d
	for i := range p.metrics {
		m := &p.metrics[i]
		if !m.hasName || len(m.name) > payload.MaxText || d.names[m.name] != nil {
			continue
		}
		if !room() {
			break
		}
		k := &known{name: m.name, datatype: m.datatype}
		if !isControl(m.name) {
			k.field = fields[word(m.name)]
		}
		if k.field != "" {
			holders[k.field] = append(holders[k.field], k)
		}
		d.names[m.name] = k
		if m.hasAlias {
			d.aliases[m.alias] = k
		}
	}
	for field, list := range holders {
		if len(list) < 2 {
			continue
		}
		first := list[0]
		for _, k := range list {
			k.shared = true
			if len(k.name) < len(first.name) || len(k.name) == len(first.name) && k.name < first.name {
				first = k
			}
		}
		if yesOrNo(field) {
			continue
		}
		for _, k := range list { // numbers cannot be joined
			if k != first {
				k.field = ""
			}
		}
	}
	return d
}

// meaning finds what a metric of a message is. known is nil for one that no birth
// has taught and that has no name.
func (d *device) meaning(m *metric) *known {
	if m.hasName && m.name != "" {
		if k := d.names[m.name]; k != nil {
			return k
		}
		k := &known{name: m.name, datatype: m.datatype}
		if !isControl(m.name) {
			k.field = Fields()[word(m.name)]
			k.shared = len(d.on[k.field]) > 0
		}
		if d.born {
			d.strange = true // it should have been in the birth
		}
		return k
	}
	if !m.hasAlias {
		return nil
	}
	k := d.aliases[m.alias]
	if k == nil {
		d.strange = true
	}
	return k
}

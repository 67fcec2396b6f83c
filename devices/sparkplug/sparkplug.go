package sparkplug

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"
	"unicode/utf8"

	"stationd/devices/payload"
)

// FamilyName is the family as in station.SensorSource.
const FamilyName = "sparkplug"

// Family is Sparkplug B as a payload.Family.
type Family struct{}

// New makes the family. It needs no settings: the namespace is fixed by the
// specification.
func New() Family { return Family{} }

// Name is "sparkplug".
func (Family) Name() string { return FamilyName }

// Filters are all that is in the namespace.
func (Family) Filters() []string { return []string{namespace + "/#"} }

// Open begins to listen to one broker, knowing no births yet.
func (Family) Open() payload.Session { return &Session{nodes: map[string]*node{}} }

const namespace = "spBv1.0"

// What a session remembers at most.
const (
	MaxNodes       = 1024
	MaxNodeMetrics = 8192    // of one node and its devices, which count as one each
	MaxAllMetrics  = 100_000 // of all nodes
	MaxNameLength  = 128     // bytes of a group's, node's, device's name
)

// How often a rebirth is asked for.
const (
	RebirthAfter     = 10 * time.Second // of one node, the second time
	RebirthAtMost    = 10 * time.Minute // between two requests to one node
	RebirthPerSecond = 20               // of all nodes together
)

// Session is Sparkplug on one broker.
type Session struct {
	nodes   map[string]*node
	metrics int    // of all nodes
	clock   uint64 // grows with each message, to find who was heard longest ago

	second    time.Time // the second in which requests were made last
	requested int       // how many in it
}

// topic is where a message was published.
type topic struct {
	group, verb, node, device string
}

func (t topic) nodeName() string { return t.group + "/" + t.node }

// name is the Device of a reading.
func (t topic) name() string {
	if t.device == "" {
		return t.nodeName()
	}
	return t.nodeName() + "/" + t.device
}

func parseTopic(s string) (topic, error) {
	parts := strings.Split(s, "/")
	if len(parts) < 4 || len(parts) > 5 || parts[0] != namespace {
		return topic{}, payload.ErrIgnored
	}
	t := topic{group: parts[1], verb: parts[2], node: parts[3]}
	if len(parts) == 5 {
		t.device = parts[4]
	}
	switch t.verb {
	case "NBIRTH", "NDEATH", "NDATA":
		if len(parts) == 5 {
			return topic{}, errors.New("sparkplug topic: a node's message that names a device")
		}
	case "DBIRTH", "DDEATH", "DDATA":
		if t.device == "" {
			return topic{}, errors.New("sparkplug topic: a device's message without a device")
		}
	default: // commands, and the state of host applications
		return topic{}, payload.ErrIgnored
	}
	for _, p := range []string{t.group, t.node, t.device} {
		if len(p) > MaxNameLength || !utf8.ValidString(p) {
			return topic{}, fmt.Errorf("sparkplug topic: a name is longer than %d bytes, or no UTF-8", MaxNameLength)
		}
	}
	if t.group == "" || t.node == "" {
		return topic{}, errors.New("sparkplug topic: a name is empty")
	}
	return t, nil
}

// Decode reads one message. A message that cannot be read changes nothing.
func (s *Session) Decode(m payload.Message) (payload.Result, error) {
	t, err := parseTopic(m.Topic)
	if err != nil {
		return payload.Result{}, err
	}
	if len(m.Payload) == 0 { // a retained message was deleted
		return payload.Result{}, payload.ErrIgnored
	}
	p, err := parse(m.Payload)
	if err != nil {
		return payload.Result{}, err
	}
	switch t.verb {
	case "NBIRTH":
		return s.nodeBirth(t, p, m)
	case "NDEATH":
		return s.nodeDeath(t, p)
	}
	return s.data(t, p, m)
}

// nodeBirth begins a session of a node: all that was known of it is learnt anew.
func (s *Session) nodeBirth(t topic, p message, m payload.Message) (payload.Result, error) {
	if !p.hasSeq || p.seq > 255 {
		return payload.Result{}, errors.New("sparkplug NBIRTH: it has no sequence number within 0 and 255")
	}
	if old := s.nodes[t.nodeName()]; m.Retained && old != nil && old.born {
		return payload.Result{}, payload.ErrIgnored // of a session that may be long over
	}
	s.forget(t.nodeName())
	n := s.node(t.nodeName())
	n.born, n.heard, n.seq, n.last = true, true, p.seq, fingerprint(m)
	n.bdSeq, n.hasBdSeq = bdSeq(p)
	d := s.learn(n, "", p)
	r := payload.Result{Readings: []payload.Reading{{Device: t.nodeName(), Presence: payload.Online, Bridge: true, DeviceTime: instant(p.timestamp)}}}
	r.Readings = append(r.Readings, readings(t, d, p)...)
	return r, nil
}

// nodeDeath ends it, if it is of this session.
func (s *Session) nodeDeath(t topic, p message) (payload.Result, error) {
	bd, has := bdSeq(p)
	if n := s.nodes[t.nodeName()]; n != nil && n.born && n.hasBdSeq && has && n.bdSeq != bd {
		return payload.Result{}, payload.ErrIgnored // the will of a connection that was replaced
	}
	s.forget(t.nodeName())
	return payload.Result{Readings: []payload.Reading{{Device: t.nodeName(), Presence: payload.Offline, Bridge: true}}}, nil
}

// data is all that carries a sequence number and comes after the node's birth.
func (s *Session) data(t topic, p message, m payload.Message) (payload.Result, error) {
	n := s.node(t.nodeName())
	if again := n.heard && n.last == fingerprint(m); !again && !m.Retained && !n.follow(p) {
		n.stale = true
	}
	n.last = fingerprint(m)

	var r payload.Result
	switch t.verb {
	case "DDEATH":
		s.drop(n, t.device)
		r.Readings = []payload.Reading{{Device: t.name(), Via: t.nodeName(), Presence: payload.Offline, DeviceTime: instant(p.timestamp)}}
	case "DBIRTH":
		d := s.learn(n, t.device, p)
		r.Readings = []payload.Reading{{Device: t.name(), Via: t.nodeName(), Presence: payload.Online, DeviceTime: instant(p.timestamp)}}
		r.Readings = append(r.Readings, readings(t, d, p)...)
	default:
		d := n.devices[t.device]
		if d == nil {
			d = newDevice()
		}
		r.Readings = readings(t, d, p)
		if !d.born || d.strange {
			n.stale = true
		}
		d.strange = false
	}
	if !n.born || n.stale {
		r.Requests = s.ask(t, n, m.Received)
	}
	if len(r.Readings) == 0 && len(r.Requests) == 0 {
		return r, payload.ErrIgnored
	}
	return r, nil
}

// follow tells whether p is the message that comes next. After a gap it goes on
// from p, so that one gap is one gap.
func (n *node) follow(p message) bool {
	n.heard = true
	if !p.hasSeq {
		return false
	}
	next := (n.seq + 1) & 0xff
	n.seq = p.seq & 0xff
	return p.seq == next
}

// ask makes the request for a rebirth, unless it was made a moment ago.
func (s *Session) ask(t topic, n *node, now time.Time) []payload.Request {
	since := now.Sub(n.asked)
	switch {
	case n.asked.IsZero() || since < 0 || since > 4*n.patience:
		n.patience = 0 // long ago, or the clock was set back
	case since < n.patience:
		return nil
	}
	if second := now.Truncate(time.Second); !second.Equal(s.second) {
		s.second, s.requested = second, 0
	}
	if s.requested == RebirthPerSecond {
		return nil // the next message of the node asks again
	}
	s.requested++
	n.asked, n.patience = now, min(max(2*n.patience, RebirthAfter), RebirthAtMost)
	return []payload.Request{{Topic: namespace + "/" + t.group + "/NCMD/" + t.node, Payload: rebirth(now)}}
}

// bdSeq is the number that ties a death to its birth.
func bdSeq(p message) (uint64, bool) {
	for i := range p.metrics {
		if p.metrics[i].name == "bdSeq" && p.metrics[i].isInteger {
			return p.metrics[i].long, true
		}
	}
	return 0, false
}

// fingerprint recognises a message that comes again because it was not
// acknowledged.
func fingerprint(m payload.Message) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(m.Topic))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(m.Payload)
	return h.Sum64()
}

package devices

import (
	"cmp"
	"container/list"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"stationd/agent/station"
)

// The workbench keeps the last raw messages of each topic, for whoever sets up a
// device that no family understands yet, and what became of them. It is memory
// only. Bounds: benchTopics topics, of which the one that was heard longest ago
// gives way; benchMessages of each, the first benchPayload bytes of a message;
// benchBytes in all. What could not be read and who is unknown is kept beside, so
// that well-behaved devices do not push it out.
const (
	benchTopics   = 1000
	benchMessages = 5
	benchPayload  = 4 << 10
	benchBytes    = 8 << 20
	benchFaults   = 100
	benchUnknown  = 256
)

// outcome is what became of a message.
type outcome string

const (
	outcomeRead      outcome = "read"      // it is some sensor's
	outcomeUnknown   outcome = "unknown"   // of a device that may not appear by itself
	outcomeIgnored   outcome = "ignored"   // a family knows it, and it says nothing
	outcomeUnrouted  outcome = "unrouted"  // no family and no sensor listens there
	outcomeMalformed outcome = "malformed" // it should say something and cannot be read
)

// bench is the workbench's memory.
type bench struct {
	mu      sync.Mutex
	topics  map[source]*list.Element // of *benchTopic
	recent  list.List                // the one heard last first
	bytes   int                      // of payloads
	faults  []kept                   // the oldest first
	strange map[address]*unknownDevice
}

// benchTopic is one topic with its last messages.
type benchTopic struct {
	source
	count, malformed uint64
	last             time.Time
	outcome          outcome
	cause            string
	families         []string
	sensors          []string
	ring             [benchMessages]kept
	next             int
}

// kept is a message as it came.
type kept struct {
	source
	at                  time.Time
	client              string
	payload             []byte
	size                int
	retained, duplicate bool
	outcome             outcome
	cause               string
}

// unknownDevice is a device that may not appear by itself.
type unknownDevice struct {
	address
	proposed station.Sensor
	count    uint64
	last     time.Time
}

// note keeps a message and what became of it.
func (b *bench) note(m *message, t *telling, now time.Time) {
	out := outcomeRead
	cause := ""
	switch {
	case t.odd != nil:
		out, cause = outcomeMalformed, t.odd.Error()
	case t.unknown:
		out = outcomeUnknown
	case t.parts > 0:
	case !t.heard.asked:
		out = outcomeUnrouted
	default:
		out = outcomeIgnored
	}
	if cause == "" && len(t.heard.unsupported) > 0 {
		cause = t.heard.unsupported[0]
	}
	cause = cutText(cause)
	at := source{m.broker, m.topic}

	b.mu.Lock()
	defer b.mu.Unlock()
	if b.topics == nil {
		b.topics, b.strange = map[source]*list.Element{}, map[address]*unknownDevice{}
	}
	e := b.topics[at]
	if e == nil {
		e = b.recent.PushFront(&benchTopic{source: at})
		b.topics[at] = e
		b.bytes += len(at.topic)
	} else {
		b.recent.MoveToFront(e)
	}
	top := e.Value.(*benchTopic)
	top.count++
	top.last, top.outcome, top.cause = now, out, cause
	top.families, top.sensors = t.heard.families, t.sensors
	k := &top.ring[top.next]
	top.next = (top.next + 1) % benchMessages
	b.bytes -= len(k.payload)
	*k = kept{
		source: at, at: now, client: m.client, payload: append(k.payload[:0], m.payload[:min(len(m.payload), benchPayload)]...),
		size: len(m.payload), retained: m.retained, duplicate: m.duplicate, outcome: out, cause: cause,
	}
	b.bytes += len(k.payload)
	if out == outcomeMalformed {
		top.malformed++
		if len(b.faults) == benchFaults {
			b.faults = append(b.faults[:0], b.faults[1:]...)
		}
		f := *k
		f.payload = slices.Clone(k.payload)
		b.faults = append(b.faults, f)
	}
	for len(b.topics) > benchTopics || b.bytes > benchBytes && len(b.topics) > 1 {
		oldest := b.recent.Remove(b.recent.Back()).(*benchTopic)
		delete(b.topics, oldest.source)
		b.bytes -= len(oldest.topic)
		for i := range oldest.ring {
			b.bytes -= len(oldest.ring[i].payload)
		}
	}
}

func cutText(s string) string {
	const most = 500
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + " …"
}

// unknown counts a device that may not appear by itself. Where there is no room
// the one that was heard longest ago gives way.
func (b *bench) unknown(at address, proposed station.Sensor, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.strange == nil {
		b.topics, b.strange = map[source]*list.Element{}, map[address]*unknownDevice{}
	}
	u := b.strange[at]
	if u == nil {
		if len(b.strange) >= benchUnknown {
			var oldest *unknownDevice
			for _, x := range b.strange {
				if oldest == nil || x.last.Before(oldest.last) {
					oldest = x
				}
			}
			delete(b.strange, oldest.address)
		}
		u = &unknownDevice{address: at}
		b.strange[at] = u
	}
	u.proposed, u.last = proposed, now
	u.count++
}

// The answers' shapes.
type (
	// BenchTopic is one topic of the workbench.
	BenchTopic struct {
		Broker    string    `json:"broker"`
		Topic     string    `json:"topic"`
		Count     uint64    `json:"count"`
		Malformed uint64    `json:"malformed"` // of Count
		Last      time.Time `json:"last"`
		// Outcome of the last message is "read", "unknown" (of a device that may not
		// appear by itself), "ignored", "unrouted" (nobody listens there) or
		// "malformed"; Cause is why.
		Outcome  string   `json:"outcome"`
		Cause    string   `json:"cause,omitempty"`
		Families []string `json:"families"`
		Sensors  []string `json:"sensors"`
	}
	// BenchMessage is one message as it came.
	BenchMessage struct {
		At     time.Time `json:"at"`
		Broker string    `json:"broker"`
		Topic  string    `json:"topic"`
		Client string    `json:"client"`
		// Payload is its beginning, at most 4 KiB; Base64 tells that it is no text
		// and written so. Size is the whole length in bytes.
		Payload   string `json:"payload"`
		Base64    bool   `json:"base64,omitempty"`
		Size      int    `json:"size"`
		Retained  bool   `json:"retained,omitempty"`
		Duplicate bool   `json:"duplicate,omitempty"`
		Outcome   string `json:"outcome"`
		Cause     string `json:"cause,omitempty"`
	}
	// BenchDevice is a device that may not appear by itself.
	BenchDevice struct {
		Proposed station.Sensor `json:"proposed"`
		Count    uint64         `json:"count"`
		Last     time.Time      `json:"last"`
	}
)

// list gives the topics whose name contains text, the one heard last first, what
// could not be read, the newest first, and the unknown devices.
func (b *bench) list(text string) (topics []BenchTopic, faults []BenchMessage, unknown []BenchDevice) {
	b.mu.Lock()
	defer b.mu.Unlock()
	topics, faults, unknown = []BenchTopic{}, []BenchMessage{}, []BenchDevice{}
	for e := b.recent.Front(); e != nil; e = e.Next() {
		t := e.Value.(*benchTopic)
		if !strings.Contains(t.topic, text) {
			continue
		}
		topics = append(topics, BenchTopic{
			Broker: t.broker, Topic: t.topic, Count: t.count, Malformed: t.malformed, Last: t.last, Outcome: string(t.outcome), Cause: t.cause,
			Families: append([]string{}, t.families...), Sensors: append([]string{}, t.sensors...),
		})
	}
	for _, k := range slices.Backward(b.faults) {
		faults = append(faults, k.shown())
	}
	for _, u := range b.strange {
		unknown = append(unknown, BenchDevice{Proposed: u.proposed, Count: u.count, Last: u.last})
	}
	slices.SortFunc(unknown, func(x, y BenchDevice) int {
		return cmp.Or(y.Last.Compare(x.Last), strings.Compare(x.Proposed.ID, y.Proposed.ID))
	})
	return topics, faults, unknown
}

// messages gives the kept messages of a topic, the newest first; not ok when there
// is none.
func (b *bench) messages(at source) ([]BenchMessage, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.topics[at]
	if e == nil {
		return nil, false
	}
	t := e.Value.(*benchTopic)
	out := []BenchMessage{}
	for i := range benchMessages {
		if k := &t.ring[(t.next+2*benchMessages-1-i)%benchMessages]; !k.at.IsZero() {
			out = append(out, k.shown())
		}
	}
	return out, true
}

// whole gives copies of the messages of a broker that were kept whole, the oldest
// first.
func (b *bench) whole(id string) []kept {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []kept
	for e := b.recent.Front(); e != nil; e = e.Next() {
		t := e.Value.(*benchTopic)
		if t.broker != id {
			continue
		}
		for _, k := range t.ring {
			if !k.at.IsZero() && k.size == len(k.payload) {
				k.payload = slices.Clone(k.payload)
				out = append(out, k)
			}
		}
	}
	slices.SortStableFunc(out, func(x, y kept) int { return x.at.Compare(y.at) })
	return out
}

func (k *kept) shown() BenchMessage {
	m := BenchMessage{
		At: k.at, Broker: k.broker, Topic: k.topic, Client: k.client, Size: k.size,
		Retained: k.retained, Duplicate: k.duplicate, Outcome: string(k.outcome), Cause: k.cause,
	}
	text := k.payload
	if k.size > len(text) { // cut off at a character's edge
		for n := 0; n < utf8.UTFMax && len(text) > 0 && !utf8.Valid(text); n++ {
			text = text[:len(text)-1]
		}
	}
	if utf8.Valid(text) {
		m.Payload = string(text)
	} else {
		m.Payload, m.Base64 = base64.StdEncoding.EncodeToString(k.payload), true
	}
	return m
}

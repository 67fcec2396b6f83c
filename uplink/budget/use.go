package budget

import (
	"cmp"
	"slices"
	"time"
)

// span is how many seconds are remembered.
const span = 60

// meter counts bytes by the second.
type meter struct {
	total  uint64
	second [span + 1]uint64
	last   int64 // the Unix second that is being counted
}

func (m *meter) move(now time.Time) {
	s := now.Unix()
	if s-m.last > span {
		clear(m.second[:])
		m.last = s
	}
	for m.last < s {
		m.last++
		m.second[m.last%int64(len(m.second))] = 0
	}
}

func (m *meter) add(now time.Time, bytes int) {
	m.move(now)
	m.total += uint64(bytes)
	m.second[m.last%int64(len(m.second))] += uint64(bytes)
}

// over is the rate of the last whole seconds.
func (m *meter) over(now time.Time, seconds int) Rate {
	m.move(now)
	var sum uint64
	for i := 1; i <= seconds; i++ {
		sum += m.ago(i)
	}
	return RateOf(sum, time.Duration(seconds)*time.Second)
}

// peak is the busiest second of the last minute.
func (m *meter) peak(now time.Time) Rate {
	m.move(now)
	var most uint64
	for i := 1; i < len(m.second); i++ {
		most = max(most, m.ago(i))
	}
	return RateOf(most, time.Second)
}

// ago is the count of a whole second that is over.
func (m *meter) ago(i int) uint64 {
	n := int64(len(m.second))
	return m.second[((m.last-int64(i))%n+n)%n]
}

// Use is how much of one direction is used.
type Use struct {
	// Now is the rate of the last five seconds, Minute of the last sixty, and Peak
	// the busiest second of these; in bits per second.
	Now    Rate `json:"now"`
	Minute Rate `json:"minute"`
	Peak   Rate `json:"peak"`
	// Bytes are counted from the start.
	Bytes uint64 `json:"bytes"`
}

func (m *meter) use(now time.Time) Use {
	return Use{Now: m.over(now, 5), Minute: m.over(now, span), Peak: m.peak(now), Bytes: m.total}
}

// ClassUse is how much a class uses.
type ClassUse struct {
	Class Class `json:"class"`
	Up    Use   `json:"up"`
	Down  Use   `json:"down"`
	// Held is what its live flows count for.
	Held Rate `json:"held"`
	// Waited is how long its senders were held up since the start, in seconds.
	Waited float64 `json:"waited"`
}

// Flow is one live picture or sound on the line.
type Flow struct {
	Class Class     `json:"class"`
	Name  string    `json:"name"`
	Since time.Time `json:"since"`
	Held  Rate      `json:"held"`
	Now   Rate      `json:"now"`
	Bytes uint64    `json:"bytes"`
}

// Report is who spends what.
type Report struct {
	// Up, Down and Reserve are as configured, in bits per second.
	Up      Rate `json:"up"`
	Down    Rate `json:"down"`
	Reserve Rate `json:"reserve"`
	// Sent and Received are all classes together.
	Sent     Use `json:"sent"`
	Received Use `json:"received"`
	// Free is what a called-up camera could have now.
	Free    Rate       `json:"free"`
	Classes []ClassUse `json:"classes"`
	Flows   []Flow     `json:"flows"`
	// Refused and Yielded count the live pictures that got no place, and those
	// that lost theirs.
	Refused uint64 `json:"refused"`
	Yielded uint64 `json:"yielded"`
}

// Report is who spends what, now.
func (b *Budget) Report() Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	r := Report{
		Up: b.cfg.Up, Down: b.cfg.Down, Reserve: b.cfg.Reserve, Free: max(b.free(Camera, now), 0),
		Refused: b.refused, Yielded: b.yielded, Flows: []Flow{},
	}
	held := map[Class]Rate{}
	for g := range b.grants {
		held[g.class] += g.holds(now)
		r.Flows = append(r.Flows, Flow{g.class, g.name, g.since, g.holds(now), g.use.over(now, 5), g.bytes.Load()})
	}
	slices.SortFunc(r.Flows, func(x, y Flow) int {
		return cmp.Or(cmp.Compare(x.Class.order(), y.Class.order()), x.Since.Compare(y.Since), cmp.Compare(x.Name, y.Name))
	})
	var sent, received meter
	for _, c := range classes {
		r.Classes = append(r.Classes, ClassUse{c, b.up[c].use(now), b.down[c].use(now), held[c], b.waited[c].Seconds()})
		sent.join(b.up[c])
		received.join(b.down[c])
	}
	r.Sent, r.Received = sent.use(now), received.use(now)
	return r
}

// join adds another meter that was moved to the same second.
func (m *meter) join(o *meter) {
	m.last = o.last
	m.total += o.total
	for i, n := range o.second {
		m.second[i] += n
	}
}

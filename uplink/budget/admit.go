package budget

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"stationd/agent/station"
)

// aside is the part of the line that live pictures never get: what an alarm and
// the answers need.
const aside = 0.02

// Grant is the place of one live picture or sound on the line.
type Grant struct {
	b     *Budget
	class Class
	name  string
	want  Rate
	since time.Time
	bytes atomic.Uint64
	use   meter // guarded by b.mu
	over  chan struct{}
}

// Admit gives a live flow its place, or says why there is none. name is what
// people see. want is what it will send, as far as one knows; what it really
// sends counts when that is more.
func (b *Budget) Admit(c Class, name string, want Rate) (*Grant, error) {
	if !c.live() {
		return nil, fmt.Errorf("class %s needs no place", c)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	give, ok := b.place(c, want, now)
	if !ok {
		b.refused++
		return nil, b.full(c, want, now)
	}
	for _, g := range give {
		b.yielded++
		b.end(g)
	}
	g := &Grant{b: b, class: c, name: name, want: want, since: now, over: make(chan struct{})}
	b.grants[g] = struct{}{}
	return g, nil
}

// Fits tells whether Admit would give a place.
func (b *Budget) Fits(c Class, want Rate) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.place(c, want, b.now())
	return ok
}

// place tells whether there is room, and whose places have to be given up for it:
// those of later classes, the last class and the newest first. b.mu is held.
func (b *Budget) place(c Class, want Rate, now time.Time) (give []*Grant, ok bool) {
	free := b.free(c, now)
	if want <= free {
		return nil, true
	}
	var later []*Grant
	for g := range b.grants {
		if g.class.order() > c.order() {
			later = append(later, g)
		}
	}
	slices.SortFunc(later, func(x, y *Grant) int {
		if d := y.class.order() - x.class.order(); d != 0 {
			return d
		}
		return y.since.Compare(x.since)
	})
	for _, g := range later {
		free += g.holds(now)
		give = append(give, g)
		if want <= free {
			return give, true
		}
	}
	return nil, false
}

// free is what a new flow of a class may have. b.mu is held.
func (b *Budget) free(c Class, now time.Time) Rate {
	free := Rate(float64(b.cfg.Up) * (fill - aside))
	meetings := Rate(0)
	for g := range b.grants {
		holds := g.holds(now)
		free -= holds
		if g.class.conference() {
			meetings += holds
		}
	}
	if !c.conference() {
		free -= max(b.cfg.Reserve-meetings, 0)
	}
	return free
}

func (b *Budget) full(c Class, want Rate, now time.Time) *station.Problem {
	free := max(b.free(c, now), 0)
	mbit := func(r Rate) string { return fmt.Sprintf("%.1f", float64(r)/float64(Mbit)) }
	return station.Errorf(503, "line.full", "watch the smaller picture, or close another one",
		"the station's line is full: this needs %s Mbit/s and %s of %s are free", mbit(want), mbit(free), mbit(b.cfg.Up)).
		With(map[string]string{"want": mbit(want), "free": mbit(free), "up": mbit(b.cfg.Up)})
}

// holds is how much of the line the flow counts for: in its first seconds what was
// said, then what it sends if that is more. b.mu is held.
func (g *Grant) holds(now time.Time) Rate { return max(g.want, g.use.over(now, 10)) }

// Sent tells that bytes of the flow went up. It never blocks.
func (g *Grant) Sent(bytes int) {
	g.bytes.Add(uint64(bytes))
	g.b.mu.Lock()
	defer g.b.mu.Unlock()
	now := g.b.now()
	g.use.add(now, bytes)
	g.b.sent(g.class, bytes, now)
}

// Over is closed when the place was given to a flow that comes first.
func (g *Grant) Over() <-chan struct{} { return g.over }

// Release gives the place back. It may be called more than once.
func (g *Grant) Release() {
	g.b.mu.Lock()
	defer g.b.mu.Unlock()
	delete(g.b.grants, g)
}

// end takes a place away. b.mu is held.
func (b *Budget) end(g *Grant) {
	delete(b.grants, g)
	close(g.over)
}

// ErrYielded ends a live flow whose place was taken.
var ErrYielded = &station.Problem{
	Code: "line.yielded", Status: 503, Message: "the line was needed for something that comes first",
	Hint: "watch the smaller picture, or try again when the line is free",
}

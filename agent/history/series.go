package history

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// Query asks for a chart.
type Query struct {
	Sensor   string
	Fields   []string // empty is all
	From, To time.Time
	// Points is how many there may be at most in a series.
	Points int
}

// The bounds of a query.
const (
	MaxPoints  = 2000
	maxSeries  = 64
	maxChanges = 500 // of a yes-or-no or a text, the newest
)

// Chart is the readings of a sensor over some time.
type Chart struct {
	From int64 `json:"from"` // milliseconds since 1970
	To   int64 `json:"to"`
	// Width is how long a point stands for, in milliseconds.
	Width int64 `json:"width"`
	// Source is what it was made of: "readings", "hours" or "days".
	Source string   `json:"source"`
	Series []Series `json:"series"`
}

// Series is one field of a chart.
type Series struct {
	Field string `json:"field"`
	// Type is "number", "bool" or "text".
	Type string `json:"type"`
	// Points are the beginning of a span in milliseconds since 1970, and the
	// least, mean and greatest value in it; of a bool no is 0 and yes 1. A span
	// without readings has no point.
	Points [][4]float64 `json:"points"`
	// Gaps are from when to when the sensor said nothing although it had been
	// saying something regularly.
	Gaps [][2]int64 `json:"gaps,omitempty"`
	// Changes are the newest changes of a bool or a text, where single readings
	// are kept; Turns is how often a bool changed, over the whole chart.
	Changes []Change `json:"changes,omitempty"`
	Turns   int      `json:"turns,omitempty"`
}

// Change is when a value became another.
type Change struct {
	At    int64         `json:"at"` // milliseconds since 1970
	Value station.Value `json:"value"`
}

// widths are what a point may stand for.
func widths() []time.Duration {
	return []time.Duration{
		time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, day, 2 * day, 7 * day, 14 * day, 28 * day,
	}
}

// plot is a series in the making.
type plot struct {
	points  map[int64]*sum // by beginning, in nanoseconds
	text    bool
	boolean bool
	turns   int
	last    station.Value
	lastAt  int64
	changes []Change
}

// chart is a chart in the making.
type chart struct {
	q        Query
	width    int64 // nanoseconds
	offset   int64 // of the local day, so that points of a day begin at midnight
	plots    map[string]*plot
	wanted   map[string]bool
	from, to int64
}

// Chart reads a chart. It blocks while it reads and ends with ctx.
func (h *History) Chart(ctx context.Context, q Query) (Chart, error) {
	c := chart{q: q, plots: map[string]*plot{}, wanted: map[string]bool{}, from: q.From.UnixNano(), to: q.To.UnixNano()}
	for _, f := range q.Fields {
		c.wanted[f] = true
	}
	span := q.To.Sub(q.From)
	all := widths()
	i := slices.IndexFunc(all, func(w time.Duration) bool { return span/w < time.Duration(q.Points) })
	if i < 0 {
		i = len(all) - 1
	}
	c.width = int64(all[i])
	_, zone := q.From.Zone()
	c.offset = int64(zone) * int64(time.Second)
	sensor := escape(q.Sensor)
	err := h.store.View(func(tx *store.Tx) error {
		erased, err := erasedUntil(tx, sensor)
		if err != nil {
			return err
		}
		summed := map[int64]hours{}
		err = tx.EachRow(dayKey(dayKind, sensor, max(dayAt(c.from), dayAt(erased+1))), dayKey(dayKind, sensor, dayAt(c.to)+1), func(k store.Key, b []byte) error {
			h, err := decodeHours(b)
			summed[dayOf(k)] = h
			return cmp.Or(err, ctx.Err())
		})
		if err != nil {
			return err
		}
		// Single readings where points are finer than an hour, and where there is
		// nothing else; the hours where they are enough, or all that is left.
		fine := c.width < int64(time.Hour)
		had := map[int64]bool{}
		one := func(r reading) error {
			had[dayAt(r.at)] = true
			c.add(r)
			return ctx.Err()
		}
		if fine {
			if err := each(tx, q.Sensor, c.from, c.to, one); err != nil {
				return err
			}
		} else {
			for d := dayAt(c.from); d <= dayAt(c.to); d++ {
				if summed[d] != nil {
					continue
				}
				first := d // all up to the next that is summed up: each reading costs all loose rows
				for d < dayAt(c.to) && summed[d+1] == nil {
					d++
				}
				if err := each(tx, q.Sensor, max(c.from, first*int64(day)), min(c.to, (d+1)*int64(day)), one); err != nil {
					return err
				}
			}
		}
		for _, d := range slices.Sorted(maps.Keys(summed)) {
			if !had[d] {
				c.addHours(d, summed[d])
			}
		}
		return nil
	})
	if err != nil {
		return Chart{}, err
	}
	return c.chart(), nil
}

func (c *chart) plot(name string) *plot {
	p := c.plots[name]
	if p == nil {
		if len(c.wanted) > 0 && !c.wanted[name] || len(c.plots) == maxSeries {
			return nil
		}
		p = &plot{points: map[int64]*sum{}}
		c.plots[name] = p
	}
	return p
}

// begin is where the point of a moment begins.
func (c *chart) begin(at int64) int64 { return (at+c.offset)/c.width*c.width - c.offset }

func (c *chart) point(p *plot, at int64) *sum {
	b := c.begin(at)
	s := p.points[b]
	if s == nil {
		s = &sum{}
		p.points[b] = s
	}
	return s
}

func (c *chart) add(r reading) {
	for _, f := range r.fields {
		p := c.plot(f.name)
		if p == nil {
			continue
		}
		switch f.value.(type) {
		case string:
			p.text = true
		case bool:
			p.boolean = true
		}
		if _, number := f.value.(float64); !number && r.at >= p.lastAt && p.last != f.value {
			if _, is := p.last.(bool); is {
				p.turns++
			}
			p.last, p.lastAt = f.value, r.at
			p.changes = append(p.changes, Change{r.at / int64(time.Millisecond), f.value})
			if len(p.changes) >= 2*maxChanges {
				p.changes = append(p.changes[:0], p.changes[len(p.changes)-maxChanges:]...)
			}
		}
		if _, text := f.value.(string); !text {
			c.point(p, r.at).add(f.value)
		}
	}
}

func (c *chart) addHours(d int64, h hours) {
	for name, all := range h {
		p := c.plot(name)
		if p == nil {
			continue
		}
		for i := range all {
			at := d*int64(day) + int64(i)*int64(time.Hour)
			if all[i].count == 0 || at+int64(time.Hour) <= c.from || at >= c.to {
				continue
			}
			c.point(p, at).merge(all[i])
			p.boolean = p.boolean || all[i].boolean
			p.turns += all[i].changes
		}
	}
}

func (c *chart) chart() Chart {
	const ms = int64(time.Millisecond)
	out := Chart{From: c.from / ms, To: c.to / ms, Width: c.width / ms, Source: "hours", Series: []Series{}}
	switch {
	case c.width < int64(time.Hour):
		out.Source = "readings"
	case c.width >= int64(day):
		out.Source = "days"
	}
	for _, name := range slices.Sorted(maps.Keys(c.plots)) {
		p := c.plots[name]
		s := Series{Field: name, Type: "number", Points: [][4]float64{}, Turns: p.turns, Changes: p.changes}
		s.Changes = s.Changes[max(0, len(s.Changes)-maxChanges):]
		switch {
		case p.text:
			s.Type = "text"
		case p.boolean:
			s.Type = "bool"
		}
		begins := slices.Sorted(maps.Keys(p.points))
		for _, b := range begins {
			x := p.points[b]
			s.Points = append(s.Points, [4]float64{float64(b / ms), x.least, x.total / float64(x.count), x.most})
		}
		s.Gaps = gaps(begins, c.width)
		out.Series = append(out.Series, s)
	}
	return out
}

// gaps are the silences that stand out: more than four times as long as usual
// between two points, and more than two points long.
func gaps(begins []int64, width int64) [][2]int64 {
	if len(begins) < 3 {
		return nil
	}
	steps := make([]int64, len(begins)-1)
	for i := range steps {
		steps[i] = begins[i+1] - begins[i]
	}
	slices.Sort(steps)
	limit := max(4*steps[len(steps)/2], 2*width)
	var out [][2]int64
	for i := range len(begins) - 1 {
		if begins[i+1]-begins[i] > limit {
			out = append(out, [2]int64{(begins[i] + width) / int64(time.Millisecond), begins[i+1] / int64(time.Millisecond)})
		}
	}
	return out
}

// errStop ends a walk whose reader has had enough.
var errStop = errors.New("stop")

// Reading is one message of a sensor, as it was recorded.
type Reading struct {
	At     time.Time
	Late   bool // a backlog
	Values map[string]station.Value
}

// Readings yields the single readings of a sensor from a time on, before another:
// in order but for what a backlog brought later. It ends with ctx, with its error.
func (h *History) Readings(ctx context.Context, sensor string, from, to time.Time) iter.Seq2[Reading, error] {
	return func(yield func(Reading, error) bool) {
		err := h.store.View(func(tx *store.Tx) error {
			return each(tx, sensor, from.UnixNano(), to.UnixNano(), func(r reading) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				if !yield(Reading{timeAt(r.at), r.late, r.values()}, nil) {
					return errStop
				}
				return nil
			})
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(Reading{}, err)
		}
	}
}

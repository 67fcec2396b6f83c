package budget_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stationd/agent/station"
	"stationd/uplink/budget"
)

func small() budget.Config {
	return budget.Config{Up: 10 * budget.Mbit, Down: 10 * budget.Mbit, Reserve: 2 * budget.Mbit}
}

// line notes what goes up, by the millisecond.
type line struct {
	b  *budget.Budget
	mu sync.Mutex
	at []entry
}

type entry struct {
	when  time.Time
	class budget.Class
	bytes int
}

func (l *line) note(c budget.Class, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = append(l.at, entry{time.Now(), c, n})
}

// most is the busiest span of a length, of all classes or some.
func (l *line) most(span time.Duration, of ...budget.Class) budget.Rate {
	counts := func(c budget.Class) bool {
		for _, x := range of {
			if x == c {
				return true
			}
		}
		return len(of) == 0
	}
	sum, most, first := 0, 0, 0
	for _, e := range l.at {
		if counts(e.class) {
			sum += e.bytes
		}
		for ; e.when.Sub(l.at[first].when) >= span; first++ {
			if counts(l.at[first].class) {
				sum -= l.at[first].bytes
			}
		}
		most = max(most, sum)
	}
	return budget.RateOf(uint64(most), span)
}

// greedy spends as much as it is let.
func (l *line) greedy(ctx context.Context, c budget.Class, piece int) {
	for l.b.Spend(ctx, c, piece) == nil {
		l.note(c, piece)
	}
}

// steady sends at a rate, whatever the budget says.
func (l *line) steady(ctx context.Context, r budget.Rate, class budget.Class, sent func(int)) {
	const every = 20 * time.Millisecond
	for ctx.Err() == nil {
		n := int(int64(r) / 8 / int64(time.Second/every))
		sent(n)
		l.note(class, n)
		time.Sleep(every)
	}
}

// TestFullLine: clips and readings want more than there is, two cameras are
// watched, a conference begins, and alarms come all the time.
func TestFullLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		b := budget.New(small(), nil)
		l := &line{b: b}
		var all sync.WaitGroup
		all.Go(func() { l.greedy(ctx, budget.Clips, 8<<10) })
		all.Go(func() { l.greedy(ctx, budget.Backlog, 32<<10) })
		for _, name := range []string{"gate", "yard"} {
			g, err := b.Admit(budget.Camera, name, 2*budget.Mbit)
			if err != nil {
				t.Fatal(err)
			}
			all.Go(func() { l.steady(ctx, 2*budget.Mbit, budget.Camera, g.Sent) })
		}
		time.Sleep(10 * time.Second)
		g, err := b.Admit(budget.Share, "meeting", 2*budget.Mbit)
		if err != nil {
			t.Fatalf("the reserve is not there: %v", err)
		}
		all.Go(func() { l.steady(ctx, 2*budget.Mbit, budget.Share, g.Sent) })
		for range 1000 {
			if w := b.Wait(budget.Control); w != 0 {
				t.Fatalf("an alarm waits %s", w)
			}
			b.Sent(budget.Control, 600)
			l.note(budget.Control, 600)
			time.Sleep(10 * time.Millisecond)
		}
		r := b.Report()
		stop()
		all.Wait()
		if most := l.most(5 * time.Second); most > 10*budget.Mbit*105/100 || most < 9*budget.Mbit {
			t.Errorf("the busiest five seconds: %d kbit/s of 10 Mbit/s", most/budget.Kbit)
		}
		if most := l.most(5*time.Second, budget.Backlog); most > 300*budget.Kbit || most == 0 {
			t.Errorf("readings, which come last, had %d kbit/s", most/budget.Kbit)
		}
		if most := l.most(5*time.Second, budget.Share); most < 19*budget.Mbit/10 {
			t.Errorf("the conference had %d kbit/s", most/budget.Kbit)
		}
		use := map[budget.Class]budget.ClassUse{}
		for _, c := range r.Classes {
			use[c.Class] = c
		}
		if c := use[budget.Camera]; c.Up.Now < 39*budget.Mbit/10 || c.Up.Now > 41*budget.Mbit/10 || c.Held < 4*budget.Mbit {
			t.Errorf("cameras: %+v", c)
		}
		if c := use[budget.Clips]; c.Waited == 0 || c.Up.Bytes == 0 || c.Up.Peak < c.Up.Minute {
			t.Errorf("clips: %+v", c)
		}
		if len(r.Flows) != 3 || r.Flows[0].Name != "meeting" || r.Sent.Now > 105*budget.Mbit/10 {
			t.Errorf("flows %+v, together %+v", r.Flows, r.Sent)
		}
	})
}

// TestDrainComesBeforeClips: a backlog of alarms may use all that is left, and a
// clip goes on, slowly, all the same.
func TestDrainComesBeforeClips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		l := &line{b: budget.New(small(), nil)}
		var all sync.WaitGroup
		all.Go(func() { l.greedy(ctx, budget.Clips, 8<<10) })
		time.Sleep(time.Second)
		all.Go(func() { l.greedy(ctx, budget.Control, 64<<10) })
		time.Sleep(20 * time.Second)
		stop()
		all.Wait()
		if most := l.most(5*time.Second, budget.Control); most < 9*budget.Mbit {
			t.Errorf("the alarms had %d kbit/s at best", most/budget.Kbit)
		}
		l.at = l.at[len(l.at)/2:]
		if most := l.most(5*time.Second, budget.Clips); most > 300*budget.Kbit || most == 0 {
			t.Errorf("clips had %d kbit/s beside them", most/budget.Kbit)
		}
	})
}

func TestAdmit(t *testing.T) {
	b := budget.New(small(), nil)
	admit := func(c budget.Class, name string, r budget.Rate) *budget.Grant {
		t.Helper()
		g, err := b.Admit(c, name, r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return g
	}
	over := func(g *budget.Grant) bool {
		select {
		case <-g.Over():
			return true
		default:
			return false
		}
	}
	// 9.3 of 10 are given out, 2 of them to conferences alone.
	old := admit(budget.Wall, "old", 2*budget.Mbit)
	young := admit(budget.Wall, "young", 2*budget.Mbit)
	gate := admit(budget.Camera, "gate", 3*budget.Mbit)
	_, err := b.Admit(budget.Wall, "one more", budget.Mbit)
	p, ok := station.AsProblem(err)
	if !ok || p.Code != "line.full" || p.Status != 503 || p.Args["free"] != "0.3" || p.Hint == "" {
		t.Fatalf("a full line: %v", err)
	}
	if over(old) || over(young) {
		t.Error("a refusal took a place")
	}
	if b.Fits(budget.Camera, 5*budget.Mbit) || !b.Fits(budget.Camera, 4*budget.Mbit) {
		t.Error("what fits is not what the later ones leave")
	}
	// A camera that is called up takes the youngest of the wall's places.
	yard := admit(budget.Camera, "yard", 2*budget.Mbit)
	if over(old) || !over(young) || over(gate) {
		t.Error("not the wall's youngest picture made room")
	}
	// Conferences have their reserve.
	admit(budget.Conference, "sound", budget.Mbit/10)
	admit(budget.Share, "screen", 19*budget.Mbit/10)
	if over(old) || over(yard) {
		t.Error("within the reserve nobody has to yield")
	}
	admit(budget.Share, "speaker", budget.Mbit)
	if !over(old) || over(yard) {
		t.Error("the wall yields to a conference first")
	}
	gate.Release()
	gate.Release()
	admit(budget.Wall, "again", 3*budget.Mbit)
	if r := b.Report(); r.Refused != 1 || r.Yielded != 2 || len(r.Flows) != 5 {
		t.Errorf("%+v", r)
	}
	if _, err := b.Admit(budget.Clips, "clip", 1); err == nil {
		t.Error("a clip was given a place")
	}
}

// TestWhatIsSentCounts: a camera that sends more than it said leaves less.
func TestWhatIsSentCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget.New(small(), nil)
		g, err := b.Admit(budget.Camera, "gate", budget.Mbit)
		if err != nil {
			t.Fatal(err)
		}
		for range 110 {
			g.Sent(6 * 125_000 / 10)
			time.Sleep(100 * time.Millisecond)
		}
		_, err = b.Admit(budget.Camera, "yard", 2*budget.Mbit)
		if p, ok := station.AsProblem(err); !ok || p.Code != "line.full" {
			t.Fatalf("admitted beside 6 Mbit/s: %v", err)
		}
		if f := b.Report().Flows[0]; f.Held < 59*budget.Mbit/10 || f.Bytes != 110*75_000 {
			t.Errorf("%+v", f)
		}
	})
}

func TestRate(t *testing.T) {
	for text, want := range map[string]budget.Rate{
		"50Mbit/s": 50 * budget.Mbit, "50M": 50 * budget.Mbit, "800 kbit/s": 800 * budget.Kbit, "1Gbit/s": budget.Gbit, "300000": 300_000,
	} {
		if got, err := budget.ParseRate(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "Mbit/s", "-5M", "50MB", "1.5M", "99999999999999G"} {
		if got, err := budget.ParseRate(text); err == nil {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
	for r, want := range map[budget.Rate]string{0: "0bit/s", 50 * budget.Mbit: "50Mbit/s", 1500 * budget.Kbit: "1500kbit/s", 7: "7bit/s"} {
		if r.String() != want {
			t.Errorf("%d is %s", int64(r), r)
		}
	}
	cfg := budget.Config{Up: 1, Down: 1, Reserve: 1}
	var joined interface{ Unwrap() []error }
	if err := cfg.Validate(); !errors.As(err, &joined) || len(joined.Unwrap()) != 3 {
		t.Errorf("faults: %v", cfg.Validate())
	}
	if err := budget.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}

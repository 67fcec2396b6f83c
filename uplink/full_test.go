package uplink_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/uplink"
	"stationd/uplink/budget"
	"stationd/uplink/uplinktest"
)

// fullLine is a station whose line is full: two clips that do not end, readings,
// two live pictures, and, when asked, a conference. Alarms are raised one after
// the other.
type fullLine struct {
	line   carrier
	budget *budget.Budget
	took   []time.Duration // of the alarms, until the centre has them durably
	clips  uint64          // bytes of clips that went
	shared int             // of the conference's pictures, in per cent that arrived
	late   time.Duration   // of the conference's pictures, at the median
}

// carrier is the line: one queue for all that goes up.
type carrier interface {
	// Proxy gives the address at which the line to an address begins.
	Proxy(t testing.TB, to string) string
	// Send gives bytes to the line that are not sent again, and calls arrived when
	// all of them are through.
	Send(bytes int, arrived func()) int
	// Busiest is the most bits per second in any span.
	Busiest(span time.Duration) int
}

const (
	fullRate  = 8 * budget.Mbit
	fullHolds = 256 << 10 // a quarter of a second of the line, as routers have
)

// fill runs a full line of a rate until so many alarms are at the centre.
func fill(t *testing.T, line carrier, fullRate budget.Rate, cfg budget.Config, alarms int) *fullLine {
	t.Helper()
	shareRate := fullRate / 5
	w := uplinktest.NewWorld(t)
	w.Start()
	f := &fullLine{line: line, budget: budget.New(cfg, nil)}
	clips := uplinktest.NewClips()
	for i := range 1 + int(fullRate/(8*budget.Mbit))*3/2 {
		clips.Add(fmt.Sprintf("clip-%d", i), noise(uint64(i), 16<<20), false)
	}
	uc := w.Station(node)
	uc.URL = "mqtts://" + f.line.Proxy(t, w.Config.Listen)
	uc.ClipsURL = "https://" + f.line.Proxy(t, w.Config.ClipsListen)
	uc.ConnectTimeout, uc.AckTimeout = 20*time.Second, 20*time.Second
	j := uplinktest.NewJournal(node)
	u := uplink.New(uc, uplink.Deps{Journal: j, Clips: clips, Budget: f.budget, Log: w.Log})
	stop := uplinktest.Run(t, u)
	uplinktest.Eventually(t, 20*time.Second, "the station is there", func() bool { return w.Inbox.Online(node) })
	ctx, end := context.WithCancel(t.Context())
	var all sync.WaitGroup
	live := func(r budget.Rate, sent func(int), late func(time.Duration)) (given int) {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			n := int(int64(r) / 8 / 50)
			sent(n)
			began := time.Now()
			given++
			f.line.Send(n, func() { late(time.Since(began)) })
		}
		return given
	}
	for _, camera := range []string{"gate", "yard"} {
		g, err := f.budget.Admit(budget.Camera, camera, fullRate/5)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() { live(fullRate/5, g.Sent, func(time.Duration) {}) })
	}
	g, err := f.budget.Admit(budget.Share, "meeting", shareRate)
	if err != nil {
		t.Fatal(err)
	}
	var late []time.Duration // of the line's one goroutine, until it has ended
	var lateMu sync.Mutex
	all.Go(func() {
		given := live(shareRate, g.Sent, func(d time.Duration) {
			lateMu.Lock()
			late = append(late, d)
			lateMu.Unlock()
		})
		lateMu.Lock()
		defer lateMu.Unlock()
		f.shared = len(late) * 100 / max(given, 1)
	})
	var readings atomic.Int64
	all.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if n, _, err := j.Backlog(uc.Target, station.LaneBulk, 1000); err == nil && n < 500 {
				j.Append(station.LaneBulk, fmt.Sprintf("sensor/%d", i%100), 100)
				readings.Add(100)
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	// Until clips go, the line is not full.
	uplinktest.Eventually(t, 30*time.Second, "clips go up", func() bool { return f.line.Busiest(time.Second) > int(fullRate)/2 })
	for i := range alarms {
		began := time.Now()
		ev := j.Append(station.LaneUrgent, fmt.Sprintf("alarm/%d", i), 1)[0]
		for u.Received(station.LaneUrgent) < ev.Seq {
			if time.Since(began) > time.Minute {
				t.Fatal("an alarm does not arrive")
			}
			time.Sleep(time.Millisecond)
		}
		f.took = append(f.took, time.Since(began))
		time.Sleep(120 * time.Millisecond) // so that all of it lasts longer than the span that is looked at
	}
	end()
	all.Wait()
	stop()
	for _, c := range f.budget.Report().Classes {
		if c.Class == budget.Clips {
			f.clips = c.Up.Bytes
		}
	}
	lateMu.Lock()
	defer lateMu.Unlock()
	slices.Sort(late)
	slices.Sort(f.took)
	f.late = late[len(late)/2]
	return f
}

// TestSaturatedLine: with the line full of clips and two live pictures, an alarm
// takes a fraction of what it takes where nothing shapes the line, the conference
// loses nothing, and the whole stays within what was bought.
func TestSaturatedLine(t *testing.T) {
	const alarms = 60
	line := func() carrier { return uplinktest.NewShaped(t, int(fullRate), fullHolds) }
	shaped := fill(t, line(), fullRate, budget.Config{Up: fullRate, Down: fullRate, Reserve: fullRate / 4}, alarms)
	wild := fill(t, line(), fullRate, budget.Config{Up: budget.Gbit, Down: budget.Gbit}, alarms/4)
	at := func(f *fullLine, per int) time.Duration { return f.took[len(f.took)*per/100] }
	t.Logf("alarms: shaped p50 %s p99 %s, wild p50 %s p99 %s", at(shaped, 50), at(shaped, 99), at(wild, 50), at(wild, 99))
	t.Logf("the conference: shaped %d %% arrived, %s late; wild %d %%, %s late", shaped.shared, shaped.late, wild.shared, wild.late)
	t.Logf("the busiest five seconds %d kbit/s of %d; clips %d kB", shaped.line.Busiest(5*time.Second)/1000, fullRate/1000, shaped.clips>>10)
	if 2*at(shaped, 50) > at(wild, 50) {
		t.Error("an alarm waits as it does where nothing shapes the line")
	}
	if shaped.shared < 95 || shaped.shared <= wild.shared || shaped.late > wild.late {
		t.Error("the conference has not its reserve")
	}
	if most := shaped.line.Busiest(5 * time.Second); most > int(fullRate)*105/100 {
		t.Errorf("the busiest five seconds have %d kbit/s", most/1000)
	}
	if shaped.clips < 1<<20 {
		t.Errorf("clips stood still: %d bytes", shaped.clips)
	}
}

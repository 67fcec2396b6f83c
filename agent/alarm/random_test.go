package alarm_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"stationd/agent/alarm"
	"stationd/agent/station"
)

// TestRandomLives leads conditions through random lives, with a wall clock that is
// set by a year now and then, and holds them to what must always be true: one live
// alarm at most; a condition that holds and is watched has its alarm; life safety
// is seen, unless its sensor is in maintenance, from the moment of its signal until
// somebody has judged it; nothing that was raised is lost.
func TestRandomLives(t *testing.T) {
	lives, steps := 3000, 60
	if testing.Short() {
		lives = 300
	}
	kinds := []station.AlarmKind{station.KindSmoke, station.KindDoor, station.KindSOS, station.KindTemperature}
	names := []string{"on", "on", "on", "off", "off", "receive", "judge", "undo", "shelve", "unshelf", "service", "serviced", "expired", "hide", "show", "gone", "2h"}
	for seed := range uint64(lives) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		timing := station.Timing{}
		if rnd.IntN(2) == 0 {
			timing = station.Timing{For: time.Duration(rnd.IntN(60)) * time.Second, Off: time.Duration(rnd.IntN(60)) * time.Second, Count: rnd.IntN(4), Within: time.Minute}
		}
		p := newPoint(kinds[rnd.IntN(len(kinds))], timing)
		var trail []string
		fail := func(format string, args ...any) {
			t.Fatalf("life %d, a %s with %+v, after %v: %s", seed, p.Kind, timing, trail, fmt.Sprintf(format, args...))
		}
		for range steps {
			switch n := rnd.IntN(10); {
			case n == 0: // somebody sets the clock
				p.now.Wall = p.now.Wall.AddDate(rnd.IntN(3)-1, 0, 0)
				trail = append(trail, "clock")
			case n < 4:
				d := time.Duration(rnd.IntN(90)) * time.Second
				p.wait(d)
				trail = append(trail, d.String())
			default:
				name := names[rnd.IntN(len(names))]
				before, shown := p.Alarm, p.Entered
				acts[name](p)
				trail = append(trail, name)
				if name == "serviced" && before != nil && !before.Live() && (shown || before.Worked == 0 || before.ReturnedAt.IsZero()) {
					fail("the end of maintenance ended what was not of it: %+v", before)
				}
				if name == "expired" && before != nil && before.Kind.LifeSafety() && !before.Live() {
					fail("nobody judged alarm %s", before.ID)
				}
			}
			check(p, fail)
		}
		// In the end a person looks at all there is.
		acts[[]string{"serviced", "expired"}[rnd.IntN(2)]](p)
		acts["show"](p)
		acts["off"](p)
		p.wait(3 * time.Hour)
		p.answer(station.AnswerReal)
		check(p, fail)
		if p.Alarm != nil || p.Due() != 0 {
			fail("it is not over: %+v, waits for %v", p.Alarm, time.Duration(p.Due()))
		}
	}
}

func check(p *point, fail func(string, ...any)) {
	live := 0
	for _, al := range p.all {
		if al.Live() {
			live++
		}
		if al.Live() && al != p.Alarm {
			fail("alarm %s is live and belongs to nobody", al.ID)
		}
		life := p.Kind.LifeSafety()
		if life && !al.Live() && al.Verdict() == "" {
			fail("alarm %s ended unjudged", al.ID)
		}
		if life && al.Live() && al.ReturnedAt.IsZero() && !alarm.Shown(al) && al.Suppressed != alarm.Maintenance {
			fail("alarm %s is hidden: %+v", al.ID, al)
		}
		if al.Suppressed == "" && al.Shelf == nil && al.Live() && !p.Entered {
			fail("nobody was told of alarm %s", al.ID)
		}
		if !life && al.Live() && al.ReturnedAt.IsZero() && !p.Holds && p.ClearAt == 0 && !al.Chattering {
			fail("alarm %s does not end", al.ID)
		}
	}
	if live > 1 {
		fail("%d are live", live)
	}
	count := min(p.timing.Count, 100)
	if p.Holds && p.Alarm == nil && p.RaiseAt == 0 && (p.Kind.LifeSafety() || count <= 1) {
		fail("it holds, and nothing comes of it")
	}
	if p.RaiseAt != 0 && p.RaiseAt > p.Since.Add(p.timing.For) {
		fail("it is put off")
	}
	if due := p.Due(); due != 0 && due < p.now.Tick {
		fail("a deadline was missed")
	}
}

package agent_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"stationd/agent/station"
)

// transmission is one message of a door behind a broker, in its place.
type transmission struct {
	packet uint16
	open   bool
	print  uint64
	sent   bool // before
}

// TestAnyWindow: a broker with any number of messages on their way, which sends
// them again in any order after each break, neither doubles an opening nor loses
// one.
func TestAnyWindow(t *testing.T) {
	for _, window := range []int{1, 20, 1000} {
		r := newRig(t)
		r.addSensor("d", station.ClassDoor)
		rnd := rand.New(rand.NewPCG(uint64(window), 2))
		const openings = 200
		var waiting []*transmission
		said, packet := 0, uint16(65000) // it wraps in the test
		opened := 0
		deliver := func(x *transmission) {
			r.report("d", station.KindDoor, x.open, func(rep *station.Report) {
				rep.Link, rep.Packet, rep.Fingerprint, rep.Duplicate = "mosquitto/station", x.packet, x.print, x.sent
			})
			x.sent = true
			r.clock.add(10 * time.Millisecond)
		}
		for said < 2*openings || len(waiting) > 0 {
			for said < 2*openings && len(waiting) < window {
				if packet++; packet == 0 {
					packet = 1
				}
				open := said%2 == 0
				print := uint64(packet)<<1 | map[bool]uint64{true: 1}[open]
				waiting = append(waiting, &transmission{packet: packet, open: open, print: print})
				said++
				if open {
					opened++
				}
			}
			// Some of them arrive, out of order; of those some acknowledgements are
			// lost, and the connection breaks.
			rnd.Shuffle(len(waiting), func(i, j int) { waiting[i], waiting[j] = waiting[j], waiting[i] })
			n := 1 + rnd.IntN(len(waiting))
			for _, x := range waiting[:n] {
				deliver(x)
			}
			lost := rnd.IntN(n)
			if said == 2*openings {
				lost = 0
			}
			waiting = append(waiting[:lost:lost], waiting[n:]...)
		}
		counted := 0
		for before := ""; ; {
			list, more, err := r.Alarms(before, 500)
			if err != nil {
				t.Fatal(err)
			}
			for _, al := range list {
				counted += al.Count
				before = al.ID
			}
			if !more {
				break
			}
		}
		if counted != opened {
			t.Errorf("a window of %d: %d openings, and the alarms count %d", window, opened, counted)
		}
	}
}

// TestPlaceIsTaken: what is put into a place takes the place of what was in it, even
// when it says nothing of alarms.
func TestPlaceIsTaken(t *testing.T) {
	r := newRig(t)
	r.addSensor("d", station.ClassDoor)
	at := func(print uint64, dup bool) func(*station.Report) {
		return func(rep *station.Report) {
			rep.Link, rep.Packet, rep.Fingerprint, rep.Duplicate = "embedded/tiny", 1, print, dup
		}
	}
	r.report("d", station.KindDoor, true, at(7, false))
	r.report("d", station.KindDoor, false, at(8, false))
	r.clock.add(time.Hour)
	// The same payload in the same place, and the first copy was lost on the way.
	r.report("d", station.KindDoor, true, at(7, true))
	if len(r.live()) != 1 {
		t.Fatal("a new opening was taken for an old one")
	}
	r.report("d", station.KindDoor, false, at(8, false))
	r.clock.add(time.Hour)
	r.report("d", station.KindDoor, true, at(7, false))
	r.report("d", station.KindDoor, false, at(8, false))
	r.clock.add(time.Hour)
	r.report("d", station.KindDoor, false, func(rep *station.Report) {
		at(9, false)(rep)
		rep.Signals = nil // a battery, say
	})
	r.report("d", station.KindDoor, true, at(7, true))
	if len(r.live()) != 1 {
		t.Fatal("a reading has lain in that place since")
	}
}

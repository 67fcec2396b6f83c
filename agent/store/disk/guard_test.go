package disk

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"stationd/agent/station"
)

// volume is a file system of which the test says how much is free; what the
// reserve holds is taken from it.
type volume struct {
	t    *testing.T
	dir  string
	free Bytes // without the reserve
	err  error
}

func (v *volume) look(string) (free, total Bytes, err error) {
	held := Bytes(0)
	if fi, err := os.Stat(filepath.Join(v.dir, reserveName)); err == nil {
		held = Bytes(fi.Size())
	}
	return v.free - held, 1000 * MiB, v.err
}

func guard(t *testing.T, free Bytes) (*Guard, *volume) {
	t.Helper()
	v := &volume{t: t, dir: t.TempDir(), free: free}
	g := New(Config{Reserve: 32 * MiB, Low: 200 * MiB, Full: 100 * MiB, Tight: 40 * MiB, Floor: 16 * MiB}, v.dir)
	g.look = v.look
	if _, err := g.Open(); err != nil {
		t.Fatal(err)
	}
	if err := g.Tend(); err != nil {
		t.Fatal(err)
	}
	return g, v
}

// set changes what is free and lets the guard see it.
func (v *volume) set(g *Guard, free Bytes) {
	v.free = free
	g.mu.Lock()
	g.seen = time.Time{}
	g.mu.Unlock()
}

func accepts(g *Guard) (lanes string) {
	// Bulk first: urgent may change the reserve.
	for _, x := range []struct {
		lane station.Lane
		name string
	}{{station.LaneBulk, "b"}, {station.LaneNormal, "n"}, {station.LaneUrgent, "u"}} {
		if g.Check(x.lane) == nil {
			lanes += x.name
		}
	}
	return lanes
}

func TestLanesAreRefusedInTurn(t *testing.T) {
	g, v := guard(t, 500*MiB)
	if g.State().Held != 32*MiB {
		t.Fatalf("the reserve is taken: %+v", g.State())
	}
	for _, x := range []struct {
		free  Bytes // reserve included
		lanes string
		level Level
		held  Bytes // after urgent was asked for
	}{
		{500 * MiB, "bnu", LevelOK, 32 * MiB},
		{200 * MiB, "bnu", LevelLow, 32 * MiB},
		{120 * MiB, "nu", LevelFull, 32 * MiB},
		{60 * MiB, "u", LevelReserve, 32 * MiB},
		{40 * MiB, "u", LevelReserve, 16 * MiB}, // 8 free: 16 more are given back
		{20 * MiB, "u", LevelReserve, 0},
		{15 * MiB, "", LevelExhausted, 0},
		{60 * MiB, "u", LevelReserve, 0}, // what is missing is owed to the reserve
		{100 * MiB, "nu", LevelFull, 0},
	} {
		v.set(g, x.free)
		level := g.State().Level
		lanes := accepts(g)
		s := g.State()
		if lanes != x.lanes || level != x.level || s.Held != x.held {
			t.Errorf("free %v: takes %q, level %s, holds %v; want %q, %s, %v", x.free, lanes, level, s.Held, x.lanes, x.level, x.held)
		}
	}
	// Hysteresis: not at the edge, but a quarter above it.
	for free, held := range map[Bytes]Bytes{80 * MiB: 0, 82*MiB - 1: 0, 83 * MiB: 32 * MiB} {
		if err := g.Release(); err != nil {
			t.Fatal(err)
		}
		v.set(g, free)
		if err := g.Tend(); err != nil {
			t.Fatal(err)
		}
		if got := g.State().Held; got != held {
			t.Errorf("free %v: holds %v, want %v", free, got, held)
		}
	}
}

func TestReserveIsReleasedAtStart(t *testing.T) {
	g, v := guard(t, 500*MiB)
	v.set(g, 40*MiB)
	again := New(g.cfg, v.dir)
	again.look = v.look
	released, err := again.Open()
	if !released || err != nil || again.State().Held != 0 || again.Spare() != 8*MiB {
		t.Fatalf("%v %v %+v %v", released, err, again.State(), again.Spare())
	}
	v.set(again, 500*MiB)
	_ = again.Tend()
	third := New(g.cfg, v.dir)
	third.look = v.look
	if released, err := third.Open(); released || err != nil || third.State().Held != 32*MiB {
		t.Fatalf("with room it stays: %v %v %+v", released, err, third.State())
	}
}

func TestDemand(t *testing.T) {
	g, v := guard(t, 500*MiB)
	v.set(g, 42*MiB)
	if err := g.Demand(10 * MiB); err != nil || g.State().Held != 32*MiB {
		t.Errorf("what is free is enough: %v %+v", err, g.State())
	}
	if err := g.Demand(30 * MiB); err != nil || g.State().Held != 32*MiB-28*MiB {
		t.Errorf("from the reserve: %v %+v", err, g.State())
	}
	if err := g.Demand(50 * MiB); !errors.Is(err, station.ErrNoSpace) {
		t.Errorf("more than there is: %v", err)
	}
}

func TestVolumeThatCannotBeAsked(t *testing.T) {
	g, v := guard(t, 500*MiB)
	v.err = errors.New("no")
	v.set(g, 0)
	if lanes := accepts(g); lanes != "bnu" {
		t.Errorf("it refuses nothing: %q", lanes)
	}
	if g.Spare() != 0 {
		t.Error("nobody should count on it")
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{"64MiB": 64 * MiB, "2 GiB": 2 * GiB, "4096": 4096, "1k": KiB, "5MB": 5e6, "0": 0} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%q: %v %v", text, int64(b), err)
		}
		var again Bytes
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != b {
			t.Errorf("%v printed and read is %v: %v", int64(b), int64(again), err)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "5 parsecs", "99999999999GiB"} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is no size, got %d", text, int64(b))
		}
	}
}

func TestConfig(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{Floor: 1, Reserve: 0, Tight: 0, Full: -1, Low: -2}.Validate()
	list, ok := err.(interface{ Unwrap() []error })
	if !ok || len(list.Unwrap()) != 5 {
		t.Errorf("all faults at once: %v", err)
	}
}

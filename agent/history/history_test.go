package history_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stationd/agent/history"
	"stationd/agent/station"
	"stationd/agent/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type values = map[string]station.Value

var begin = time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)

// bench is a history with a clock of its own.
type bench struct {
	*history.History
	t     testing.TB
	store *store.Store
	now   time.Time
}

func newBench(t testing.TB) *bench {
	cfg := store.DefaultConfig()
	cfg.Dir, cfg.Node = t.TempDir(), "n"
	st, err := store.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bench{t: t, store: st, now: begin}
	b.History = b.open()
	return b
}

func (b *bench) open() *history.History {
	return history.New(history.DefaultConfig(), b.store, func() time.Time { return b.now }, slog.New(slog.DiscardHandler))
}

// append commits reports, each batch with an event as live ones have.
func (b *bench) append(all ...station.Report) {
	b.t.Helper()
	for part := range slices.Chunk(all, 500) {
		err := b.store.Update(context.Background(), station.LaneBulk, func(tx *store.Tx) error {
			for _, r := range part {
				if err := b.Append(tx, r); err != nil {
					return err
				}
			}
			_, err := tx.Append(station.Event{Type: station.EventReading, Subject: "sensor/s", Lane: station.LaneBulk, Time: b.now})
			return err
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) keep() {
	b.t.Helper()
	if err := b.Keep(context.Background()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) chart(q history.Query) history.Chart {
	b.t.Helper()
	if q.Points == 0 {
		q.Points = 300
	}
	c, err := b.Chart(context.Background(), q)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func (b *bench) readings(sensor string, from, to time.Time) (out []history.Reading) {
	b.t.Helper()
	for r, err := range b.Readings(context.Background(), sensor, from, to) {
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func (b *bench) count(kind string) (n int) {
	b.t.Helper()
	err := b.store.View(func(tx *store.Tx) error {
		return tx.EachRow(store.Key(kind+"/"), store.Key(kind+"0"), func(store.Key, []byte) error { n++; return nil })
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

func report(sensor string, at time.Time, v values) station.Report {
	return station.Report{Sensor: sensor, Received: at, Values: v}
}

// day is a reading every minute of a day.
func day(sensor string, from time.Time) (all []station.Report) {
	for i := range 24 * 60 {
		all = append(all, report(sensor, from.Add(time.Duration(i)*time.Minute), values{
			"temperature": 20 + float64(i%60)/10, "door": i%30 == 0, "battery": 100 - float64(i/60), "action": fmt.Sprint("a", i/720),
		}))
	}
	return all
}

func TestReadingsComeBackAsTheyWere(t *testing.T) {
	b := newBench(t)
	want := day("s/1", begin)
	b.append(want...)
	b.append(day("s", begin.Add(time.Hour))...) // a neighbour whose name is a part of the other's
	same := func(when string) {
		t.Helper()
		got := b.readings("s/1", begin, begin.Add(24*time.Hour))
		if len(got) != len(want) {
			t.Fatalf("%s: %d readings, want %d", when, len(got), len(want))
		}
		for i, r := range got {
			if !r.At.Equal(want[i].Received) || !reflect.DeepEqual(r.Values, want[i].Values) {
				t.Fatalf("%s: %+v, want %+v", when, r, want[i])
			}
		}
		if n := len(b.readings("s/1", begin.Add(time.Hour), begin.Add(2*time.Hour))); n != 60 {
			t.Errorf("%s: %d readings in an hour", when, n)
		}
	}
	same("loose")
	b.keep() // the bench's clock stands before the rows: it is time to pack
	if b.count("~") != 0 || b.count("c") < 3 || b.count("d") != 0 {
		t.Errorf("%d entries of loose rows, %d blocks, %d days", b.count("~"), b.count("c"), b.count("d"))
	}
	same("packed")
	b.append(report("s/1", want[len(want)-1].Received.Add(time.Second), values{"temperature": 1.0}))
	want = append(want, report("s/1", want[len(want)-1].Received.Add(time.Second), values{"temperature": 1.0}))
	same("packed and loose")
	b.keep()
	if b.count("c") < 4 {
		t.Errorf("%d blocks", b.count("c"))
	}
	b.now = begin.Add(25 * time.Hour)
	b.keep()
	if b.count("d") != 2 || b.count("c") != 3 {
		t.Errorf("%d days are summed up, %d blocks", b.count("d"), b.count("c"))
	}
	same("summed up")
	b.now = begin.Add(50 * time.Hour)
	b.keep()
	same("all of it")
	if n := b.count("t"); n != 0 || b.count("d") != 3 {
		t.Errorf("%d days are due, %d summed up", n, b.count("d"))
	}
}

func TestWhatIsNotKept(t *testing.T) {
	b := newBench(t)
	old := report("s", begin, values{"a": 1.0})
	old.Late, old.DeviceTime = true, begin.Add(-time.Hour)
	ancient := old
	ancient.DeviceTime = begin.Add(-60 * 24 * time.Hour)
	retained := report("s", begin.Add(1), values{"a": 2.0})
	retained.Retained = true
	b.append(old, ancient, retained, report("s", begin.Add(2), nil), report("s", begin.Add(3), values{"nan": math.NaN(), "list": []any{1}, "b": true}))
	got := b.readings("s", begin.Add(-100*24*time.Hour), begin.Add(time.Hour))
	if len(got) != 2 || !got[0].Late || !got[0].At.Equal(begin.Add(-time.Hour)) || len(got[1].Values) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestChart(t *testing.T) {
	b := newBench(t)
	for i := range 3 {
		b.append(day("s", begin.Add(time.Duration(i)*24*time.Hour))...)
	}
	q := history.Query{Sensor: "s", Fields: []string{"temperature", "door", "action"}, From: begin, To: begin.Add(72 * time.Hour)}
	b.now = q.To.Add(time.Hour)
	before := b.chart(q)
	b.keep()
	for _, points := range []int{10, 100, 2000} {
		q.Points = points
		c := b.chart(q)
		if len(c.Series) != 3 && points == 2000 || len(c.Series[0].Points) == 0 && c.Series[0].Field != "action" {
			t.Fatalf("%d points: %d series", points, len(c.Series))
		}
		for _, s := range c.Series {
			if len(s.Points) > points {
				t.Errorf("%d points instead of %d at most", len(s.Points), points)
			}
		}
		temperature := c.Series[len(c.Series)-1]
		p := temperature.Points[len(temperature.Points)/2]
		if temperature.Field != "temperature" || temperature.Type != "number" || p[1] < 20 || p[3] > 25.9 || p[1] > p[2] || p[2] > p[3] {
			t.Errorf("%d points: %s %v", points, temperature.Field, p)
		}
		if points == 10 && (c.Source != "hours" || p[1] != 20 || p[3] != 25.9 || math.Abs(p[2]-22.95) > 1e-5) {
			t.Errorf("from %s: %v", c.Source, p)
		}
		door := c.Series[len(c.Series)-2]
		// 48 times a day open for a minute: it turns 96 times a day.
		if door.Type != "bool" || door.Turns < 3*94 || door.Turns > 3*96 {
			t.Errorf("%d points: the door turns %d times", points, door.Turns)
		}
	}
	q.Points = 300
	if after := b.chart(q); !reflect.DeepEqual(before.Series[2].Points, after.Series[2].Points) {
		t.Error("packing changes what is drawn")
	}
	if before.Width != int64(15*time.Minute/time.Millisecond) || before.Source != "readings" || len(before.Series[2].Points) != 288 {
		t.Errorf("%d ms from %s, %d points", before.Width, before.Source, len(before.Series[2].Points))
	}
	if len(before.Series[0].Changes) != 6 || before.Series[0].Type != "text" || before.Series[0].Changes[1].Value != "a1" {
		t.Errorf("changes of the text: %+v", before.Series[0].Changes)
	}
	// Long after, the single readings are gone and the hours are not.
	for range 40 {
		b.now = b.now.Add(24 * time.Hour)
		b.History = b.open() // the horizon moves once for each life, or hour
		b.keep()
	}
	if n := len(b.readings("s", begin, q.To)); n != 0 {
		t.Errorf("%d readings are still there", n)
	}
	c := b.chart(q)
	if s := c.Series[len(c.Series)-1]; s.Field != "temperature" || len(s.Points) != 72 || s.Points[5][1] != 20 || s.Points[5][3] != 25.9 {
		t.Errorf("from what is left: %d points", len(s.Points))
	}
}

func TestGapsAreVisible(t *testing.T) {
	b := newBench(t)
	for i := range 120 {
		if i < 40 || i >= 80 {
			b.append(report("s", begin.Add(time.Duration(i)*time.Minute), values{"t": 1.0}))
		}
	}
	c := b.chart(history.Query{Sensor: "s", From: begin, To: begin.Add(2 * time.Hour), Points: 200})
	want := [][2]int64{{begin.Add(40 * time.Minute).UnixMilli(), begin.Add(80 * time.Minute).UnixMilli()}}
	if !reflect.DeepEqual(c.Series[0].Gaps, want) {
		t.Errorf("gaps %v, want %v", c.Series[0].Gaps, want)
	}
}

// Cut off anywhere, the work goes on where it was: what comes out is the same.
func TestKeepingIsResumed(t *testing.T) {
	whole, pieces := newBench(t), newBench(t)
	for _, b := range []*bench{whole, pieces} {
		for i := range 2 {
			b.append(day("a", begin.Add(time.Duration(i)*24*time.Hour))...)
			b.append(day("b", begin.Add(time.Duration(i)*24*time.Hour))...)
		}
		b.now = begin.Add(50 * time.Hour)
	}
	whole.keep()
	for i := 1; pieces.count("~") > 0 || pieces.count("t") > 0; i++ {
		if i > 1000 {
			t.Fatal("it never gets done")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(10+i)*time.Millisecond)
		_ = pieces.Keep(ctx)
		cancel()
		pieces.History = pieces.open()
	}
	pieces.keep()
	for _, s := range []string{"a", "b"} {
		for _, points := range []int{20, 500} {
			q := history.Query{Sensor: s, From: begin, To: begin.Add(48 * time.Hour), Points: points}
			if x, y := whole.chart(q), pieces.chart(q); !reflect.DeepEqual(x, y) {
				t.Errorf("%s: the chart of %d points differs", s, points)
			}
		}
	}
	if x, y := whole.count("d"), pieces.count("d"); x != 4 || y != 4 {
		t.Errorf("%d and %d days are summed up", x, y)
	}
}

// Very many sensors with long texts do not make a step that the store refuses.
func TestAStepIsBounded(t *testing.T) {
	b := newBench(t)
	var all []station.Report
	for i := range 1500 {
		all = append(all, report(fmt.Sprintf("a-sensor-with-a-long-name-%d", i), begin, values{"state": strings.Repeat("x", 90), "temperature": float64(i)}))
	}
	for part := range slices.Chunk(all, 100) {
		b.append(part...)
	}
	b.now = begin.Add(30 * time.Hour)
	b.keep()
	if n := b.count("d"); n != 1500 || b.count("~") != 0 {
		t.Errorf("%d sensors are summed up, %d entries left", n, b.count("~"))
	}
}

func TestABacklogIsSummedUpAgain(t *testing.T) {
	b := newBench(t)
	b.append(day("s", begin)...)
	b.now = begin.Add(30 * time.Hour)
	b.keep()
	late := report("s", b.now, values{"temperature": 99.0})
	late.Late, late.DeviceTime = true, begin // to the nanosecond where a block begins
	b.append(late)
	b.keep()
	c := b.chart(history.Query{Sensor: "s", Fields: []string{"temperature"}, From: begin, To: begin.Add(24 * time.Hour), Points: 20})
	if p := c.Series[0].Points[0]; p[3] != 99 || len(b.readings("s", begin, begin.Add(24*time.Hour))) != 1441 {
		t.Errorf("got %v", p)
	}
}

// A clock that jumps ahead does not take the history with it.
func TestAJumpOfTheClockDeletesADayAtMost(t *testing.T) {
	b := newBench(t)
	for i := range 5 {
		b.append(report("s", begin.Add(time.Duration(i)*24*time.Hour), values{"t": 1.0}))
	}
	b.now = begin.Add(30*24*time.Hour + time.Hour)
	b.keep() // the horizon stands at the first day
	b.now = b.now.AddDate(1, 0, 0)
	for range 3 {
		b.keep()
	}
	if n := len(b.readings("s", begin, begin.AddDate(1, 0, 0))); n != 4 {
		t.Errorf("%d readings are left", n)
	}
}

func TestErasedWithTheSensor(t *testing.T) {
	b := newBench(t)
	b.append(day("s", begin)...)
	b.append(day("other", begin)...)
	b.now = begin.Add(30 * time.Hour)
	b.keep()
	err := b.store.Update(t.Context(), station.LaneNormal, func(tx *store.Tx) error { return b.Erase(tx, "s", b.now) })
	if err != nil {
		t.Fatal(err)
	}
	b.append(report("s", b.now.Add(time.Second), values{"temperature": 7.0}))
	check := func(when string) {
		t.Helper()
		got := b.readings("s", begin, b.now.Add(time.Hour))
		if len(got) != 1 || got[0].Values["temperature"] != 7.0 {
			t.Errorf("%s: %d readings", when, len(got))
		}
		c := b.chart(history.Query{Sensor: "s", From: begin, To: b.now.Add(time.Hour), Points: 10})
		if len(c.Series) != 1 || len(c.Series[0].Points) != 1 {
			t.Errorf("%s: %+v", when, c.Series)
		}
	}
	check("at once")
	b.keep()
	check("when it is done")
	b.now = b.now.Add(50 * time.Hour)
	b.keep()
	b.now = b.now.Add(-50 * time.Hour)
	check("when it is forgotten")
	if n := b.count("x"); n != 0 {
		t.Error("it is not done")
	}
	if n := len(b.readings("other", begin, b.now)); n != 1440 {
		t.Errorf("the other has %d readings", n)
	}
}

func TestRunEnds(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Run(ctx); err != nil {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(history.Row(values{"a": 1.5, "b": true, "c": "x", "d": 1e300}))
	f.Add([]byte{1, 1, 1, 'a', 0, 0, 1, 0, 2, 4})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := history.Decode(b); n > 4*len(b)+8 {
			t.Errorf("%d fields out of %d bytes", n, len(b))
		}
	})
}

func FuzzCode(f *testing.F) {
	f.Add(int64(1_700_000_000_000), 21.37, "hold", true, "temperature")
	f.Add(int64(0), -1e300, "", false, "")
	f.Fuzz(func(t *testing.T, ms int64, number float64, text string, yes bool, name string) {
		if ms < 0 || ms > 1<<43 || number-number != 0 {
			t.Skip()
		}
		v := values{name: number, name + "t": text, name + "b": yes}
		in := []history.Reading{{At: time.UnixMilli(ms), Values: v}, {At: time.UnixMilli(ms + 5), Late: true, Values: maps.Clone(v)}}
		out, err := history.Code(in)
		if err != nil || !reflect.DeepEqual(in, out) && number != 0 {
			t.Errorf("%v became %v, %v", in, out, err)
		}
	})
}

// BenchmarkAppend is what a report pays for its history, the disk aside.
func BenchmarkAppend(b *testing.B) {
	v := values{"temperature": 21.37, "humidity": 45.2, "battery": 97.0, "linkquality": 120.0, "battery_low": false}
	b.ReportAllocs()
	for b.Loop() {
		history.Row(v)
	}
}

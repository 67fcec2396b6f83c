package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// odd are events whose parts are anything but usual.
func odd() []station.Event {
	at := time.Date(2026, 12, 1, 9, 30, 15, 123456789, time.UTC)
	return []station.Event{
		{Type: station.EventReading, Subject: "sensor/a", Time: at, Data: json.RawMessage(`{"sensor":"a","values":{"t":21.5}}`)},
		{Type: station.EventReading, Subject: "sensor/烟感 一号", Time: at.In(time.FixedZone("", -12300)), Actor: "officer", Data: json.RawMessage(`null`)},
		{Type: "x", Time: time.Time{}.Add(1), ID: "no UUID"},
		{Type: "x", ID: "0190AAAA-0000-7000-8000-000000000000", Time: at},
		{Type: "x", ID: "0190aaaa-0000-7000-8000-000000000000", Time: at.Local()},
		{Type: "x", Time: at, Origin: station.Origin{Node: "child", Epoch: "e", Seq: 7}},
		{Type: "x", Time: at, Data: json.RawMessage(`"` + strings.Repeat("long ", 30_000) + `"`)},
		{Type: "x", Time: at, Data: json.RawMessage(`"` + noise(100_000) + `"`)},
	}
}

// What lies in packs comes out as it went in, whichever way it got together.
func TestPacks(t *testing.T) {
	for name, together := range map[string]int{"each by itself": 1, "some": 3, "all in one update": 1 << 30} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t.TempDir())
			s := openStore(t, cfg)
			var want []station.Event
			all := odd()
			for i := range 700 { // more than one pack
				all = append(all, station.Event{Type: station.EventReading, Subject: fmt.Sprint("sensor/", i), Time: time.Now(), Data: json.RawMessage(`{"pad":"` + noise(300) + `"}`)})
			}
			for len(all) > 0 {
				part := all[:min(together, len(all))]
				all = all[len(part):]
				update(t, s, func(tx *store.Tx) error {
					for i, ev := range part {
						if i%2 == 1 { // another lane's rows lie between
							if _, err := tx.Append(station.Event{Type: "between", Lane: station.LaneNormal}); err != nil {
								return err
							}
						}
						ev.Lane = station.LaneBulk
						ev, err := tx.Append(ev)
						if err != nil {
							return err
						}
						want = append(want, ev)
					}
					return nil
				})
				refused := errors.New("no")
				if err := s.Update(t.Context(), station.LaneBulk, func(tx *store.Tx) error {
					if _, err := tx.Append(station.Event{Type: "refused", Lane: station.LaneBulk}); err != nil {
						return err
					}
					return refused
				}); !errors.Is(err, refused) {
					t.Fatal(err)
				}
			}
			must(t, s.Close())
			s = openStore(t, cfg)
			got, err := s.Read(0, 10_000, station.LaneBulk)
			must(t, err)
			if len(got) != len(want) {
				t.Fatalf("%d events, want %d", len(got), len(want))
			}
			for i := range got {
				g, w := got[i], want[i]
				_, x := g.Time.Zone()
				_, y := w.Time.Zone()
				if !g.Time.Equal(w.Time) || x != y {
					t.Fatalf("event %d is of %s, want %s", i, g.Time, w.Time)
				}
				g.Time = w.Time
				if !reflect.DeepEqual(g, w) {
					t.Fatalf("event %d is %+v, want %+v", i, g, w)
				}
			}
			for _, after := range []int{0, 1, 2, 6, 7, 350, len(want) - 2} {
				part, err := s.Read(want[after].Seq, 3, station.LaneBulk)
				must(t, err)
				if len(part) == 0 || part[0].Seq != want[after+1].Seq || len(part) != min(3, len(want)-1-after) {
					t.Fatalf("behind the event %d: %d events", after, len(part))
				}
			}
		})
	}
}

// An event that JSON could not hold is refused where it is appended.
func TestWhatCannotBePacked(t *testing.T) {
	s := openStore(t, config(t.TempDir()))
	for _, ev := range []station.Event{
		{Time: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)},
		{Data: json.RawMessage(`{`)},
		{Data: json.RawMessage(`"` + noise(512<<10) + `"`)},
	} {
		ev.Type, ev.Lane = "x", station.LaneBulk
		if err := s.Update(t.Context(), ev.Lane, func(tx *store.Tx) error { _, err := tx.Append(ev); return err }); err == nil {
			t.Errorf("%.60v is taken", ev)
		}
	}
	if s.Head() != 0 {
		t.Errorf("head %d", s.Head())
	}
}

func FuzzUnpack(f *testing.F) {
	s := openStore(f, config(f.TempDir()))
	update(f, s, func(tx *store.Tx) error { return nil })
	f.Add([]byte{1, 1, 'n', 1, 'e', 3, 0, 1, 0})
	f.Add([]byte{2, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Add(store.Pack(s, []byte(strings.Repeat("\x03\x00\x01\x00", 500))))
	f.Fuzz(func(t *testing.T, row []byte) {
		all, err := store.Unpack(row)
		if err == nil && len(all) > len(row)*1000 {
			t.Errorf("%d events out of %d bytes", len(all), len(row))
		}
	})
}

package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"stationd/agent/station"
	"stationd/agent/store"
)

// sensor1 and sensor2 are one record in two versions of the program.
type sensor1 struct {
	Name  string `json:"name"`
	Place string `json:"place,omitempty"`
}

type sensor2 struct {
	Name  string   `json:"name"`
	Place string   `json:"place,omitempty"`
	Floor int      `json:"floor,omitempty"`
	Tags  []string `json:"tags,omitempty"`
}

func TestOlderVersionKeepsFieldsOfANewerOne(t *testing.T) {
	s := openStore(t, config(t.TempDir()))
	update(t, s, func(tx *store.Tx) error {
		return store.Put(tx, "sensor/a", sensor2{Name: "a", Place: "hall", Floor: 3, Tags: []string{"x"}})
	})
	for _, name := range []string{"b", "c"} { // twice: what was carried is carried again
		update(t, s, func(tx *store.Tx) error {
			v, ok, err := store.Get[sensor1](tx, "sensor/a")
			if err != nil || !ok {
				return fmt.Errorf("%v %v", ok, err)
			}
			v.Name, v.Place = name, ""
			return store.Put(tx, "sensor/a", v)
		})
	}
	must(t, s.View(func(tx *store.Tx) error {
		v, _, err := store.Get[sensor2](tx, "sensor/a")
		if v.Name != "c" || v.Place != "" || v.Floor != 3 || len(v.Tags) != 1 {
			t.Errorf("read by the newer version: %+v", v)
		}
		return err
	}))
	update(t, s, func(tx *store.Tx) error { // the newer version removes its field
		return store.Put(tx, "sensor/a", sensor2{Name: "d"})
	})
	must(t, s.View(func(tx *store.Tx) error {
		v, _, err := store.Get[sensor2](tx, "sensor/a")
		if v.Floor != 0 || v.Tags != nil {
			t.Errorf("a field that is known is not carried over: %+v", v)
		}
		return err
	}))
}

func TestNewerVersionReadsAnOlderRecord(t *testing.T) {
	s := openStore(t, config(t.TempDir()))
	update(t, s, func(tx *store.Tx) error { return store.Put(tx, "sensor/a", sensor1{Name: "a"}) })
	must(t, s.View(func(tx *store.Tx) error {
		v, ok, err := store.Get[sensor2](tx, "sensor/a")
		if !ok || v.Name != "a" || v.Floor != 0 || v.Tags != nil {
			t.Errorf("%+v", v)
		}
		return err
	}))
}

func TestSchema(t *testing.T) {
	cfg := config(t.TempDir())
	as := func(sc store.Schema, migrations ...store.Migration) (*store.Store, error) {
		return store.OpenAs(cfg, quiet(), sc, migrations, 0)
	}
	s, err := as(store.Schema{Version: 1, MinReader: 1})
	must(t, err)
	must(t, s.Close())
	ran := 0
	add := store.Migration{To: 2, Run: func(tx *store.Tx) error {
		ran++
		return store.Put(tx, "added", door{Name: "by 2"})
	}}
	for range 2 {
		s, err = as(store.Schema{Version: 2, MinReader: 1}, add)
		must(t, err)
		must(t, s.Close())
	}
	if ran != 1 {
		t.Fatalf("the migration ran %d times", ran)
	}
	s, err = as(store.Schema{Version: 1, MinReader: 1})
	must(t, err)
	if !s.Opened().Newer {
		t.Error("version 1 is told that version 2 was here")
	}
	must(t, s.Close())
	failing := store.Migration{To: 3, Run: func(tx *store.Tx) error {
		_ = tx.Delete("added")
		return errors.New("no")
	}}
	if _, err := as(store.Schema{Version: 3, MinReader: 3}, add, failing); err == nil {
		t.Fatal("a migration that fails fails the start")
	}
	s, err = as(store.Schema{Version: 3, MinReader: 3}, add, store.Migration{To: 3, Run: func(tx *store.Tx) error {
		if _, ok, _ := store.Get[door](tx, "added"); !ok {
			t.Error("a failed migration changed something")
		}
		return nil
	}})
	must(t, err)
	must(t, s.Close())
	if _, err := as(store.Schema{Version: 2, MinReader: 1}, add); !errors.Is(err, store.ErrNewer) {
		t.Fatalf("version 2 cannot read version 3: %v", err)
	}
	cfg.Node = "another"
	if _, err := as(store.Schema{Version: 3, MinReader: 3}); !errors.Is(err, store.ErrOtherNode) {
		t.Fatalf("other node: %v", err)
	}
}

// TestEachSeesWhatWasWritten: stored, written by the batch, written by itself.
func TestEachSeesWhatWasWritten(t *testing.T) {
	s := openStore(t, config(t.TempDir()))
	put := func(tx *store.Tx, names ...string) error {
		for _, n := range names {
			if err := store.Put(tx, store.Key("door/"+n), door{Name: n}); err != nil {
				return err
			}
		}
		return nil
	}
	list := func(tx *store.Tx, reverse bool) string {
		each := store.Each[door]
		if reverse {
			each = store.EachReverse[door]
		}
		var names []string
		err := each(tx, "door/", func(k store.Key, d door) error {
			if string(k) != "door/"+strings.ToLower(d.Name) {
				t.Errorf("%q is %q", k, d.Name)
			}
			names = append(names, d.Name)
			return nil
		})
		must(t, err)
		return strings.Join(names, " ")
	}
	update(t, s, func(tx *store.Tx) error {
		must(t, store.Put(tx, "doora", door{Name: "outside"}))
		must(t, store.Put(tx, "door.", door{Name: "outside"}))
		return put(tx, "a", "b", "d", "f")
	})
	update(t, s, func(tx *store.Tx) error {
		must(t, put(tx, "c", "g"))
		must(t, tx.Delete("door/d"))
		must(t, tx.Delete("door/nothing"))
		must(t, store.Put(tx, "door/b", door{Name: "B"}))
		for reverse, want := range map[bool]string{false: "a B c f g", true: "g f c B a"} {
			if got := list(tx, reverse); got != want {
				t.Errorf("reverse %v: %q, want %q", reverse, got, want)
			}
		}
		// Loops may be nested, and may end early.
		n := 0
		return store.Each(tx, "door/", func(k store.Key, d door) error {
			_ = list(tx, false)
			if n++; n == 2 {
				return store.ErrStop
			}
			return nil
		})
	})
	must(t, s.View(func(tx *store.Tx) error {
		if got := list(tx, false); got != "a B c f g" {
			t.Errorf("after the commit: %q", got)
		}
		if err := put(tx, "z"); err == nil {
			t.Error("a view can write")
		}
		return nil
	}))
}

func TestUpdateLosesOnlyItsOwn(t *testing.T) {
	s := openStore(t, config(t.TempDir()))
	ctx := context.Background()
	var kept *store.Tx
	running, release := make(chan struct{}), make(chan struct{})
	errs := make(chan error, 4)
	go func() {
		errs <- s.Update(ctx, station.LaneUrgent, func(tx *store.Tx) error {
			close(running)
			<-release
			return store.Put(tx, "a", door{Name: "a"})
		})
	}()
	<-running // what follows waits and becomes one batch
	results := make(map[string]chan error)
	for name, fn := range map[string]func(*store.Tx) error{
		"fine": func(tx *store.Tx) error {
			kept = tx
			_, err := tx.Append(station.Event{Type: "t", Lane: station.LaneUrgent})
			return errors.Join(err, store.Put(tx, "fine", door{}))
		},
		"panics": func(tx *store.Tx) error {
			_ = store.Put(tx, "panics", door{})
			_, _ = tx.Append(station.Event{Type: "t", Lane: station.LaneUrgent})
			panic("ouch")
		},
		"too large": func(tx *store.Tx) error {
			return store.Put(tx, "large", door{Name: strings.Repeat("x", 600<<10)})
		},
		"too much": func(tx *store.Tx) error {
			for i := range 10 {
				if err := store.Put(tx, store.Key(fmt.Sprint("much", i)), door{Name: strings.Repeat("x", 100<<10)}); err != nil {
					return err
				}
			}
			return nil
		},
		"half 1": func(tx *store.Tx) error {
			return store.Put(tx, "half1", door{Name: strings.Repeat("x", 400<<10)})
		},
		"half 2": func(tx *store.Tx) error {
			return store.Put(tx, "half2", door{Name: strings.Repeat("x", 400<<10)})
		},
		"no lane": func(tx *store.Tx) error {
			_, err := tx.Append(station.Event{Type: "t", Lane: "express"})
			return err
		},
	} {
		c := make(chan error, 1)
		results[name] = c
		go func() { c <- s.Update(ctx, station.LaneNormal, fn) }()
	}
	close(release)
	must(t, <-errs)
	for name, c := range results {
		err := <-c
		fine := slices.Contains([]string{"fine", "half 1", "half 2"}, name)
		if fine != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
		if p, ok := station.AsProblem(err); strings.HasPrefix(name, "too") && (!ok || p.Status != 413) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.Head() != 1 {
		t.Errorf("head %d", s.Head())
	}
	must(t, s.View(func(tx *store.Tx) error {
		for key, want := range map[store.Key]bool{"a": true, "fine": true, "half1": true, "half2": true, "panics": false, "much0": false} {
			if _, ok, err := store.Get[door](tx, key); ok != want || err != nil {
				t.Errorf("%q is there: %v %v", key, ok, err)
			}
		}
		return nil
	}))
	if err := kept.Delete("a"); err == nil {
		t.Error("a transaction outlives its update")
	}
	must(t, s.Close())
	if err := s.Update(ctx, station.LaneUrgent, func(*store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("update after close: %v", err)
	}
	if err := s.View(func(*store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("view after close: %v", err)
	}
}

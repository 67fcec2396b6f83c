package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"stationd/agent/station"
	"stationd/agent/store"
)

// TestLookIsWhatIsStored changes, deletes and gives up records at random,
// and compares what is looked up with a map.
func TestLookIsWhatIsStored(t *testing.T) {
	s := openStore(t, config(t.TempDir()))
	r := rand.New(rand.NewPCG(1, 2))
	want := map[store.Key]tally{}
	lookAll := func(tx *store.Tx) error {
		for n := range 12 {
			k := store.Key(fmt.Sprintf("look/%d", n))
			got, ok, err := store.Look[tally](tx, k)
			if err != nil {
				return err
			}
			if w, there := want[k]; ok != there || got != w {
				return fmt.Errorf("%s: looked up %v (%v), want %v (%v)", k, got, ok, w, there)
			}
		}
		return nil
	}
	giveUp := errors.New("given up")
	for step := range 600 {
		k := store.Key(fmt.Sprintf("look/%d", r.IntN(12)))
		v, act := tally{step + 1}, r.IntN(4)
		err := s.Update(t.Context(), station.LaneNormal, func(tx *store.Tx) error {
			if err := lookAll(tx); err != nil {
				return err
			}
			var err error
			switch act {
			case 0:
				err = tx.Delete(k)
			case 3:
				err = store.Put(tx, k, v)
			default:
				_, err = store.Keep(tx, k, v)
			}
			if err != nil {
				return err
			}
			got, ok, err := store.Look[tally](tx, k) // one's own writes are seen
			if err != nil || ok != (act != 0) || ok && got != v {
				return fmt.Errorf("after writing %v: %v %v %v", v, got, ok, err)
			}
			if act == 1 {
				return giveUp
			}
			return nil
		})
		switch {
		case act == 1 && errors.Is(err, giveUp):
		case err != nil:
			t.Fatal(err)
		case act == 0:
			delete(want, k)
		default:
			want[k] = v
		}
		if step%50 == 0 {
			must(t, s.Update(context.Background(), station.LaneNormal, lookAll))
			must(t, s.View(lookAll))
		}
	}
}

// TestKeptIsNotDecodedAgain: Look gives back what Keep was given, also in the next
// update, and never what an update that failed had kept.
func TestKeptIsNotDecodedAgain(t *testing.T) {
	s := openStore(t, config(t.TempDir()))
	type list struct {
		All []int `json:"all"`
	}
	kept := list{[]int{1, 2, 3}}
	update(t, s, func(tx *store.Tx) error {
		body, err := store.Keep(tx, "list/a", kept)
		if err == nil && string(body) != `{"all":[1,2,3]}` {
			err = fmt.Errorf("kept %s", body)
		}
		return err
	})
	gone := errors.New("gone")
	err := s.Update(t.Context(), station.LaneUrgent, func(tx *store.Tx) error {
		if _, err := store.Keep(tx, "list/a", list{[]int{9}}); err != nil {
			return err
		}
		return gone
	})
	if !errors.Is(err, gone) {
		t.Fatal(err)
	}
	update(t, s, func(tx *store.Tx) error {
		got, ok, err := store.Look[list](tx, "list/a")
		if err != nil || !ok || len(got.All) != 3 {
			return fmt.Errorf("%v %v %v", got, ok, err)
		}
		return nil
	})
	again := s.Commits()
	update(t, s, func(tx *store.Tx) error {
		got, _, err := store.Look[list](tx, "list/a")
		if err == nil && &got.All[0] != &kept.All[0] && again > 0 {
			// After a failure it may have been decoded once; then it stays.
			second, _, _ := store.Look[list](tx, "list/a")
			if &second.All[0] != &got.All[0] {
				err = errors.New("decoded twice")
			}
		}
		return err
	})
}

package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

func rowsOf(t *testing.T, tx *store.Tx, from, to store.Key) string {
	t.Helper()
	var out []string
	if err := tx.EachRow(from, to, func(k store.Key, v []byte) error {
		out = append(out, fmt.Sprintf("%s=%s", k, v))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}

// Rows are read by ranges, with what the update itself and those before it in
// the same batch have written and deleted.
func TestRows(t *testing.T) {
	cfg := config(t.TempDir())
	s := openStore(t, cfg)
	put := func(kv ...string) {
		t.Helper()
		must(t, s.Update(t.Context(), station.LaneBulk, func(tx *store.Tx) error {
			for i := 0; i < len(kv); i += 2 {
				if err := tx.PutRow(store.Key(kv[i]), []byte(kv[i+1])); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	put("a/1", "x", "a/2", "y", "b/1", "z", "a/4", "w")
	must(t, s.Reclaim(t.Context(), func(tx *store.Tx) error {
		if err := tx.DeleteRow("a/2"); err != nil {
			return err
		}
		if err := tx.PutRow("a/3", nil); err != nil {
			return err
		}
		if got := rowsOf(t, tx, "a/", "a0"); got != "a/1=x a/3= a/4=w" {
			t.Errorf("within the update: %s", got)
		}
		return tx.PutRow("a/1", []byte("new"))
	}))
	must(t, s.View(func(tx *store.Tx) error {
		for _, x := range []struct {
			from, to store.Key
			want     string
		}{
			{"a/", "a0", "a/1=new a/3= a/4=w"},
			{"a/2", "a/4", "a/3="},
			{"a/4", "", "a/4=w b/1=z"},
			{"", "", "a/1=new a/3= a/4=w b/1=z"},
			{"c", "", ""},
		} {
			if got := rowsOf(t, tx, x.from, x.to); got != x.want {
				t.Errorf("from %q to %q: %q, want %q", x.from, x.to, got, x.want)
			}
		}
		row, err := tx.Row("a/2")
		if row != nil || err != nil {
			t.Errorf("a deleted row: %q, %v", row, err)
		}
		n := 0
		err = tx.EachRow("", "", func(store.Key, []byte) error { n++; return store.ErrStop })
		if n != 1 || err != nil {
			t.Errorf("it went on after the stop: %d, %v", n, err)
		}
		return err
	}))
	must(t, s.Close())
	s = openStore(t, cfg)
	must(t, s.View(func(tx *store.Tx) error {
		if got := rowsOf(t, tx, "", ""); got != "a/1=new a/3= a/4=w b/1=z" {
			t.Errorf("after a restart: %s", got)
		}
		return nil
	}))
}

// Loose rows of updates that succeed are there after the commit, in order, those
// of failed ones are not; the updates of one batch share an entry.
func TestLooseRows(t *testing.T) {
	cfg := config(t.TempDir())
	s := openStore(t, cfg)
	var wg sync.WaitGroup
	failed := errors.New("no")
	for i := range 200 {
		wg.Go(func() {
			err := s.Update(t.Context(), station.LaneBulk, func(tx *store.Tx) error {
				if err := tx.AddLoose([]byte(strings.Repeat("x", 3000) + fmt.Sprint(i))); err != nil {
					return err
				}
				if err := tx.AddLoose(nil); err != nil {
					return err
				}
				if i%10 == 0 {
					return failed
				}
				return nil
			})
			if (i%10 == 0) != errors.Is(err, failed) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	entries, seen := map[store.Key]bool{}, map[string]bool{}
	var half store.Key
	must(t, s.View(func(tx *store.Tx) error {
		return tx.EachLoose("", func(entry store.Key, b []byte) error {
			entries[entry] = true
			if len(b) > 0 {
				seen[string(b[3000:])] = true
			}
			if len(seen) == 90 {
				half = entry
			}
			if since := time.Since(store.LooseTime(entry)); since < 0 || since > time.Hour {
				t.Errorf("it was written %s ago", since)
			}
			return nil
		})
	}))
	if len(seen) != 180 || seen["10"] || !seen["11"] || len(entries) > 150 {
		t.Errorf("%d rows in %d entries", len(seen), len(entries))
	}
	n := 0
	must(t, s.View(func(tx *store.Tx) error {
		return tx.EachLoose(half, func(store.Key, []byte) error { n++; return nil })
	}))
	if n == 0 || n >= 2*180 {
		t.Errorf("%d rows behind the middle", n)
	}
	if err := s.Update(t.Context(), station.LaneBulk, func(tx *store.Tx) error { return tx.AddLoose(make([]byte, 1<<20)) }); err == nil {
		t.Error("a row of a megabyte is taken")
	}
}

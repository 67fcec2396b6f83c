package store_test

import (
	"fmt"
	"strings"
	"testing"

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

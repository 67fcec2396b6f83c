package store_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// mark is a record of the tests of the redo.
type mark struct {
	N   int    `json:"n"`
	Pad string `json:"pad,omitempty"`
}

// model is what the records should be.
type model map[store.Key]mark

// check holds a transaction against the model: each record, and all in their order.
func (m model) check(t *testing.T, tx *store.Tx, where string) {
	t.Helper()
	var got []store.Key
	err := store.Each(tx, "mark/", func(k store.Key, v mark) error {
		got = append(got, k)
		if v != m[k] {
			t.Errorf("%s: %s is %d instead of %d", where, k, v.N, m[k].N)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := slices.Sorted(maps.Keys(m)); !slices.Equal(got, want) {
		t.Fatalf("%s: there are %v instead of %v", where, got, want)
	}
	for range 5 {
		k := markKey(rand.IntN(markKeys))
		for how, look := range map[string]func(*store.Tx, store.Key) (mark, bool, error){"got": store.Get[mark], "looked at": store.Look[mark]} {
			v, ok, err := look(tx, k)
			if want, there := m[k]; err != nil || ok != there || v != want {
				t.Fatalf("%s: %s %s is %d (%t), %v instead of %d (%t)", where, k, how, v.N, ok, err, want.N, there)
			}
		}
	}
}

const markKeys = 60

func markKey(i int) store.Key { return store.Key(fmt.Sprintf("mark/%02d", i)) }

// copied copies a data directory as a power cut leaves it.
func copied(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil || rel == "lock" {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		in, err := os.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		out, err := os.Create(filepath.Join(to, rel))
		if err != nil {
			return err
		}
		_, err = io.Copy(out, in)
		if err := out.Close(); err != nil {
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// Records that are kept, put and deleted in any order are what they should be, in the
// update, for those who look, after a start, after a kill and in a backup.
func TestRedo(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			cfg := config(t.TempDir())
			s, err := store.Open(cfg, quiet())
			must(t, err)
			defer func() { must(t, s.Close()) }()
			s.RedoLasts(time.Duration(rng.IntN(20)) * time.Millisecond)
			m := model{}
			most := 0
			for step := range 400 {
				next := maps.Clone(m)
				failing := rng.IntN(10) == 0
				err := s.Update(t.Context(), station.LaneNormal, func(tx *store.Tx) error {
					for range 1 + rng.IntN(25) {
						k := markKey(rng.IntN(markKeys))
						v := mark{N: step*100 + rng.IntN(100)}
						if rng.IntN(50) == 0 {
							v.Pad = noise(100_000)
						}
						switch rng.IntN(8) {
						case 0:
							must(t, tx.Delete(k))
							delete(next, k)
						case 1:
							must(t, store.Put(tx, k, v))
							next[k] = v
						default:
							_, err := store.Keep(tx, k, v)
							must(t, err)
							next[k] = v
						}
					}
					if step%20 == 0 {
						next.check(t, tx, "in the update")
					}
					if failing {
						return os.ErrInvalid
					}
					return nil
				})
				if (err != nil) != failing {
					t.Fatal(err)
				}
				if !failing {
					m = next
				}
				if step%5 == 0 {
					must(t, s.View(func(tx *store.Tx) error { m.check(t, tx, "in a view"); return nil }))
				}
				most = max(most, s.RedoEntries())
				switch {
				case step%101 == 100:
					other := openStore(t, config(copied(t, cfg.Dir)))
					must(t, other.View(func(tx *store.Tx) error { m.check(t, tx, "after a kill"); return nil }))
					if n := other.RedoEntries(); n > 0 {
						t.Errorf("%d entries are left after opening", n)
					}
				case step%150 == 149:
					must(t, s.Close())
					if s, err = store.Open(cfg, quiet()); err != nil {
						t.Fatal(err)
					}
					s.RedoLasts(time.Duration(rng.IntN(20)) * time.Millisecond)
					must(t, s.View(func(tx *store.Tx) error { m.check(t, tx, "after a start"); return nil }))
				}
			}
			if most == 0 {
				t.Error("nothing went through the redo")
			}
			must(t, s.Backup(t.Context()))
			saved := config(t.TempDir())
			must(t, os.CopyFS(filepath.Join(saved.Dir, "backup"), os.DirFS(filepath.Join(cfg.Dir, "backup"))))
			key, err := os.ReadFile(filepath.Join(cfg.Dir, "secret.key"))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(saved.Dir, "secret.key"), key, 0o600))
			restored := openStore(t, saved)
			if restored.Opened().Restored == "" {
				t.Fatal("the backup was not used")
			}
			must(t, restored.View(func(tx *store.Tx) error { m.check(t, tx, "from the backup"); return nil }))
		})
	}
}

// Whoever looks sees all of an update or nothing of it, wherever its records lie, and
// the journal as it was then.
func TestViewsAreOfOneMoment(t *testing.T) {
	s := openStore(t, config(t.TempDir()))
	s.RedoLasts(5 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var all sync.WaitGroup
	const groups = 12
	for g := range groups {
		all.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				err := s.Update(context.Background(), station.LaneNormal, func(tx *store.Tx) error {
					for i := range 4 {
						if _, err := store.Keep(tx, store.Key(fmt.Sprintf("kept/%d/%d", g, i)), mark{N: n}); err != nil {
							return err
						}
					}
					_, err := tx.Append(station.Event{Type: "test.n", Subject: fmt.Sprint(g), Lane: station.LaneBulk})
					if err != nil {
						return err
					}
					if n%50 == 0 { // and some go to their places
						return store.Put(tx, store.Key(fmt.Sprintf("kept/%d/%d", g, n/50%4)), mark{N: n})
					}
					return store.Put(tx, store.Key(fmt.Sprintf("put/%d", g)), mark{N: n})
				})
				if err != nil {
					t.Error(err)
					return
				}
				if n%50 != 0 {
					continue
				}
				if err := s.Update(context.Background(), station.LaneNormal, func(tx *store.Tx) error {
					return store.Put(tx, store.Key(fmt.Sprintf("put/%d", g)), mark{N: n})
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	views := 0
	for ctx.Err() == nil {
		g := rand.IntN(groups)
		err := s.View(func(tx *store.Tx) error {
			at, _, err := store.Get[mark](tx, store.Key(fmt.Sprintf("put/%d", g)))
			if err != nil {
				return err
			}
			return store.Each(tx, store.Key(fmt.Sprintf("kept/%d/", g)), func(k store.Key, v mark) error {
				if v.N != at.N && (v.N%50 != 0 || v.N != at.N+1) { // the second update of a fiftieth is under way
					return fmt.Errorf("%s is of %d, put is of %d", k, v.N, at.N)
				}
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		views++
	}
	all.Wait()
	if s.Redone() == 0 || views < 10 {
		t.Errorf("%d entries of the redo, %d views", s.Redone(), views)
	}
}

// The redo is settled as it grows, whatever is written, and when nothing much is.
func TestRedoIsSettled(t *testing.T) {
	s := openStore(t, config(t.TempDir()))
	n, most := 0, 0
	keep := func(records int) {
		update(t, s, func(tx *store.Tx) error {
			for range records {
				n++
				if _, err := store.Keep(tx, store.Key(fmt.Sprintf("wide/%05d", n%9000)), mark{N: n, Pad: noise(200)}); err != nil {
					return err
				}
			}
			return nil
		})
		most = max(most, s.RedoEntries())
	}
	for range 150 {
		keep(400)
	}
	if most == 0 || most > 140 {
		t.Errorf("the redo had %d entries", most)
	}
	s.RedoLasts(0)
	for range 200 {
		keep(1)
		if s.RedoEntries() == 0 {
			break
		}
	}
	if left := s.RedoEntries(); left > 0 {
		t.Errorf("%d entries are never settled", left)
	}
	must(t, s.View(func(tx *store.Tx) error {
		seen := 0
		err := store.Each(tx, "wide/", func(k store.Key, v mark) error {
			seen++
			if want := fmt.Sprintf("wide/%05d", v.N%9000); string(k) != want || n-v.N >= 9000 {
				t.Errorf("%s holds %d of %d", k, v.N, n)
			}
			return nil
		})
		if seen != 9000 {
			t.Errorf("%d records", seen)
		}
		return err
	}))
}

func FuzzRedo(f *testing.F) {
	for _, seed := range []string{"", "\x01", "\x02", "\x01\x01\x03abc\x02xy", "\x01\x00\x03abc", "\x01\x01\x03abc\xff\xff\xff\xff\x0f", "\x02\xff\xff\xff\xff\x0f", "\x01\x07\x01a\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := store.ReadRedo(b)
		size := 0
		for k, v := range got {
			size += len(k) + len(v)
			if k == "" {
				t.Error("a record without a key")
			}
		}
		if err == nil && size > 1<<20 {
			t.Errorf("%d bytes of %d", size, len(b))
		}
		if err != nil && strings.Contains(err.Error(), "panic") {
			t.Error(err)
		}
	})
}

// An update sees what those before it have written, although it may still be on its
// way to the disk: by key, in order, and among the rows.
func TestWhatIsOnItsWayIsSeen(t *testing.T) {
	s := openStore(t, config(t.TempDir()))
	const writers, each = 16, 60
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				err := s.Update(context.Background(), station.LaneNormal, func(tx *store.Tx) error {
					last, _, err := store.Get[mark](tx, "shared/n")
					if err != nil {
						return err
					}
					n, rows, names := last.N, 0, 0
					err = store.Each(tx, "shared/", func(_ store.Key, v mark) error {
						names++
						if v.N != n {
							return fmt.Errorf("in order it is %d, by its key %d", v.N, n)
						}
						return nil
					})
					if err != nil {
						return err
					}
					if want := min(n, 1) * (1 + n%2); names != want {
						return fmt.Errorf("%d records after %d updates", names, n)
					}
					err = tx.EachRow("on-its-way/", "on-its-way0", func(store.Key, []byte) error { rows++; return nil })
					if err != nil {
						return err
					}
					if rows != n {
						return fmt.Errorf("%d rows after %d updates", rows, n)
					}
					n++
					if err := tx.PutRow(store.Key(fmt.Sprintf("on-its-way/%06d", n)), nil); err != nil {
						return err
					}
					if n%2 == 1 { // which is there after every second update
						err = store.Put(tx, "shared/odd", mark{N: n})
					} else {
						err = tx.Delete("shared/odd")
					}
					if err != nil {
						return err
					}
					return store.Put(tx, "shared/n", mark{N: n})
				})
				if err != nil {
					t.Error(err)
					return
				}
				// Who has only read what is on its way is answered when it is there.
				seen, there := mark{}, mark{}
				err = s.Update(context.Background(), station.LaneNormal, func(tx *store.Tx) (err error) {
					seen, _, err = store.Get[mark](tx, "shared/n")
					return err
				})
				if err == nil {
					err = s.View(func(tx *store.Tx) (err error) {
						there, _, err = store.Get[mark](tx, "shared/n")
						return err
					})
				}
				if err != nil || there.N < seen.N {
					t.Errorf("an update has seen %d, and then %d was there (%v)", seen.N, there.N, err)
					return
				}
			}
		})
	}
	all.Wait()
	must(t, s.View(func(tx *store.Tx) error {
		last, _, err := store.Get[mark](tx, "shared/n")
		if last.N != writers*each {
			t.Errorf("%d of %d", last.N, writers*each)
		}
		return err
	}))
}

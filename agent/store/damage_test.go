package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

// aged makes a store with tables, a backup in the middle, and events after it.
// It returns the head at the backup and at the end.
func aged(t *testing.T, cfg store.Config) (backed, head uint64, epoch station.Epoch) {
	t.Helper()
	cfg.Node = "gate-1"
	s, err := store.Open(cfg, quiet())
	if err != nil {
		t.Fatal(err)
	}
	rows := func() {
		for w := range 3 {
			for range 4 {
				if _, err := count(s, station.LaneUrgent, w, 1000); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	rows()
	weigh(t, s) // enough for tables
	update(t, s, func(tx *store.Tx) error { return tx.PutSecret("cam", "geheim") })
	if err := s.Backup(context.Background()); err != nil {
		t.Fatal(err)
	}
	backed = s.Head()
	rows()
	weigh(t, s)
	head, epoch = s.Head(), s.Epoch()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return backed, head, epoch
}

// clone copies a store that is closed.
func clone(t *testing.T, from store.Config) store.Config {
	t.Helper()
	cfg := config(filepath.Join(t.TempDir(), "data"))
	must(t, os.CopyFS(cfg.Dir, os.DirFS(from.Dir)))
	return cfg
}

// weigh writes more than a log holds.
func weigh(t *testing.T, s *store.Store) {
	t.Helper()
	for range 60 {
		if _, err := count(s, station.LaneBulk, 8, 90_000); err != nil {
			t.Fatal(err)
		}
	}
}

func tables(t *testing.T, core string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(core, "*.sst"))
	if err != nil || len(list) < 2 {
		t.Fatalf("tables: %v %v", list, err)
	}
	slices.Sort(list)
	return list
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return b
}

// flip changes one byte.
func flip(t *testing.T, path string, at int) {
	t.Helper()
	b := read(t, path)
	b[at] ^= 0xff
	must(t, os.WriteFile(path, b, 0o600))
}

func TestDamageIsSetAsideAndTheBackupRestored(t *testing.T) {
	old := config(t.TempDir())
	backed, _, epoch := aged(t, old)
	for name, damage := range map[string]func(t *testing.T, core string){
		"manifest and copy missing": func(t *testing.T, core string) {
			must(t, os.Remove(filepath.Join(core, "MANIFEST")))
			must(t, os.Remove(core+".manifest"))
		},
		"manifest cut to its header, copy missing": func(t *testing.T, core string) {
			must(t, os.Truncate(filepath.Join(core, "MANIFEST"), 8))
			must(t, os.Remove(core+".manifest"))
		},
		"manifest empty, copy missing": func(t *testing.T, core string) {
			must(t, os.Truncate(filepath.Join(core, "MANIFEST"), 0))
			must(t, os.Remove(core+".manifest"))
		},
		"table missing": func(t *testing.T, core string) {
			must(t, os.Remove(tables(t, core)[0]))
		},
		"table cut off": func(t *testing.T, core string) {
			must(t, os.Truncate(tables(t, core)[0], 5000))
		},
		"table empty": func(t *testing.T, core string) {
			must(t, os.Truncate(tables(t, core)[0], 0))
		},
		"block changed": func(t *testing.T, core string) {
			flip(t, tables(t, core)[0], 2000)
		},
		"database gone": func(t *testing.T, core string) {
			must(t, os.RemoveAll(core))
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := clone(t, old)
			core := filepath.Join(cfg.Dir, "core")
			damage(t, core)
			var files int
			if list, err := os.ReadDir(core); err == nil {
				files = len(list)
			}
			s := openStore(t, cfg)
			r := s.Opened()
			if r.Restored == "" || r.RestoredTo.IsZero() || r.Cause == "" || r.Fresh {
				t.Fatalf("report: %+v", r)
			}
			if files > 0 {
				if kept, err := os.ReadDir(r.Quarantined); err != nil || len(kept) < files {
					t.Fatalf("the quarantine has %d of %d files: %v", len(kept), files, err)
				}
			}
			if s.Epoch() == epoch {
				t.Error("a restored store has a new epoch")
			}
			if s.Node() != "gate-1" {
				t.Errorf("the node kept its name: %q", s.Node())
			}
			if s.Head() != backed {
				t.Errorf("head %d, at the backup it was %d", s.Head(), backed)
			}
			rows, err := s.Read(0, 100, station.LaneUrgent, station.LaneNormal)
			if err != nil || len(rows) != 12 {
				t.Errorf("%d events of the urgent lane, %v", len(rows), err)
			}
			must(t, s.View(func(tx *store.Tx) error {
				if plain, ok, err := tx.Secret("cam"); plain.Reveal() != "geheim" || !ok || err != nil {
					t.Errorf("secret: %v %v", ok, err)
				}
				return nil
			}))
			if _, err := count(s, station.LaneBulk, 9, 10); err != nil {
				t.Error(err)
			}
			if rows, err := s.Read(0, 100, station.LaneBulk); err != nil || len(rows) != 1 || rows[0].Seq != backed+1 {
				t.Errorf("the bulk lane goes on empty: %v %v", rows, err)
			}
			// The next start is an ordinary one.
			must(t, s.Close())
			again := openStore(t, cfg)
			if r := again.Opened(); r.Restored != "" || r.Quarantined != "" || again.Epoch() != s.Epoch() {
				t.Errorf("the second start: %+v", r)
			}
		})
	}
}

func TestDamageWithoutBackupBeginsAnew(t *testing.T) {
	cfg := config(t.TempDir())
	_, _, epoch := aged(t, cfg)
	must(t, os.RemoveAll(filepath.Join(cfg.Dir, "backup")))
	must(t, os.Truncate(tables(t, filepath.Join(cfg.Dir, "core"))[0], 100))
	s := openStore(t, cfg)
	r := s.Opened()
	if r.Quarantined == "" || r.Restored != "" || !r.Fresh || s.Epoch() == epoch || s.Head() != 0 || s.Node() != "gate-1" {
		t.Fatalf("%+v head %d node %q", r, s.Head(), s.Node())
	}
}

func TestBrokenBackupIsPassedOver(t *testing.T) {
	cfg := config(t.TempDir())
	backed, _, _ := aged(t, cfg)
	list, err := filepath.Glob(filepath.Join(cfg.Dir, "backup", "core-*"))
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	newer := filepath.Join(cfg.Dir, "backup", "core-29990101T000000.000Z.backup")
	must(t, os.WriteFile(newer, read(t, list[0]), 0o600))
	flip(t, newer, 300)
	must(t, os.RemoveAll(filepath.Join(cfg.Dir, "core")))
	s := openStore(t, cfg)
	if s.Opened().Restored != list[0] || s.Head() != backed {
		t.Fatalf("%+v head %d", s.Opened(), s.Head())
	}
}

// TestManifestIsRepairedFromItsCopy: nothing is lost when the copy lists
// everything there is.
func TestManifestIsRepairedFromItsCopy(t *testing.T) {
	old := config(t.TempDir())
	_, head, epoch := aged(t, old)
	for name, damage := range map[string]func(path string){
		"missing": func(path string) { must(t, os.Remove(path)) },
		"header":  func(path string) { flip(t, path, 1) },
		"middle":  func(path string) { flip(t, path, 20) },
		"empty":   func(path string) { must(t, os.Truncate(path, 0)) },
		"cut":     func(path string) { must(t, os.Truncate(path, 30)) },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := clone(t, old)
			damage(filepath.Join(cfg.Dir, "core", "MANIFEST"))
			s := openStore(t, cfg)
			r := s.Opened()
			if r.Repaired == "" || r.Quarantined != "" || s.Head() != head || s.Epoch() != epoch {
				t.Fatalf("%+v head %d of %d", r, s.Head(), head)
			}
			rows, err := s.Read(head-5, 10)
			if err != nil || len(rows) != 5 {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
		})
	}
}

// TestCrashLeftoversAreNoDamage makes by hand what a crash leaves.
func TestCrashLeftoversAreNoDamage(t *testing.T) {
	old := config(t.TempDir())
	_, head, epoch := aged(t, old)
	for name, leave := range map[string]func(t *testing.T, core string){
		"torn record at the end of the manifest": func(t *testing.T, core string) {
			f, err := os.OpenFile(filepath.Join(core, "MANIFEST"), os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			_, err = f.Write([]byte{0, 0, 0, 12, 1, 2, 3, 4, 5})
			must(t, errors.Join(err, f.Close()))
		},
		"zeros at the end of the manifest": func(t *testing.T, core string) {
			f, err := os.OpenFile(filepath.Join(core, "MANIFEST"), os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			_, err = f.Write(make([]byte, 30))
			must(t, errors.Join(err, f.Close()))
		},
		"a merge's input that is not removed yet": func(t *testing.T, core string) {
			b := read(t, tables(t, core)[0])
			must(t, os.WriteFile(filepath.Join(core, "000999.sst"), b, 0o600))
		},
		"a table that was being written": func(t *testing.T, core string) {
			b := read(t, tables(t, core)[0])
			must(t, os.WriteFile(filepath.Join(core, "000999.sst"), b[:len(b)/2], 0o600))
		},
		"a log made ahead": func(t *testing.T, core string) {
			must(t, os.WriteFile(filepath.Join(core, "00099.mem"), nil, 0o600))
		},
		"a value log that was being made": func(t *testing.T, core string) {
			must(t, os.WriteFile(filepath.Join(core, "000099.vlog"), nil, 0o600))
		},
		"a value log of which the header was being written": func(t *testing.T, core string) {
			must(t, os.WriteFile(filepath.Join(core, "000099.vlog"), make([]byte, 12), 0o600))
		},
		"a manifest that was being rewritten": func(t *testing.T, core string) {
			must(t, os.WriteFile(filepath.Join(core, "MANIFEST-REWRITE"), []byte("Bd"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := clone(t, old)
			leave(t, filepath.Join(cfg.Dir, "core"))
			s := openStore(t, cfg)
			if r := s.Opened(); r.Quarantined != "" || r.Repaired != "" || r.Restored != "" {
				t.Fatalf("%+v", r)
			}
			if s.Head() != head || s.Epoch() != epoch {
				t.Fatalf("head %d of %d", s.Head(), head)
			}
		})
	}
}

// TestFlushLeftover kills nothing but puts a directory together as a kill
// between a table and its line in the MANIFEST leaves it: the table is not
// listed, its log is there.
func TestFlushLeftover(t *testing.T) {
	cfg := config(t.TempDir())
	s, err := store.Open(cfg, quiet())
	must(t, err)
	fillLane(t, s, station.LaneNormal, 3000)
	core := filepath.Join(cfg.Dir, "core")
	copied := config(t.TempDir())
	crashed := filepath.Join(copied.Dir, "core")
	must(t, os.CopyFS(crashed, os.DirFS(core))) // the log, and no table yet
	must(t, s.Close())                          // writes the table
	list, err := filepath.Glob(filepath.Join(core, "*.sst"))
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	must(t, os.WriteFile(filepath.Join(crashed, filepath.Base(list[0])), read(t, list[0]), 0o600))
	s = openStore(t, copied)
	if r := s.Opened(); r.Quarantined != "" || r.Repaired != "" || s.Head() != 3000 {
		t.Fatalf("%+v head %d", r, s.Head())
	}

	// The same without the log is loss.
	lost := config(t.TempDir())
	must(t, os.CopyFS(filepath.Join(lost.Dir, "core"), os.DirFS(core)))
	must(t, os.Truncate(filepath.Join(lost.Dir, "core", "MANIFEST"), 16))
	s = openStore(t, lost)
	if r := s.Opened(); r.Quarantined == "" || !strings.Contains(r.Cause, "not listed") {
		t.Fatalf("%+v", r)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	cfg := config(t.TempDir())
	openStore(t, cfg)
	_, err := store.Open(cfg, quiet())
	if !errors.Is(err, store.ErrInUse) {
		t.Fatalf("second open: %v", err)
	}
}

// TestBackupKeepsTwo runs on the bubble's clock: backups are named by the time.
func TestBackupKeepsTwo(t *testing.T) {
	cfg := config(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		s, err := store.Open(cfg, quiet())
		must(t, err)
		defer s.Close()
		for range 3 {
			must(t, s.Backup(t.Context()))
			time.Sleep(time.Hour)
		}
		list, err := os.ReadDir(filepath.Join(cfg.Dir, "backup"))
		if err != nil || len(list) != 2 {
			t.Fatalf("%v %v", list, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Backup(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled backup: %v", err)
		}
		if list, _ := os.ReadDir(filepath.Join(cfg.Dir, "backup")); len(list) != 2 {
			t.Fatalf("a cancelled backup leaves nothing: %v", list)
		}
	})
}

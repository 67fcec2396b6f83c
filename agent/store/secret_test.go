package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"stationd/agent/station"
	"stationd/agent/store"
)

func TestSecretsAreSealed(t *testing.T) {
	const plain = "correct-horse-battery-staple"
	cfg := config(t.TempDir())
	s, err := store.Open(cfg, quiet())
	must(t, err)
	update(t, s, func(tx *store.Tx) error { return tx.PutSecret("camera/1", plain) })
	update(t, s, func(tx *store.Tx) error { return tx.PutSecret("camera/2", "other") })
	must(t, s.Backup(t.Context()))
	must(t, s.View(func(tx *store.Tx) error {
		if got, ok, err := tx.Secret("camera/1"); got.Reveal() != plain || !ok || err != nil {
			t.Errorf("%v %v", ok, err)
		}
		if _, ok, err := tx.Secret("camera/3"); ok || err != nil {
			t.Errorf("%v %v", ok, err)
		}
		return nil
	}))
	absent := func() {
		t.Helper()
		must(t, filepath.WalkDir(cfg.Dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			if bytes.Contains(b, []byte(plain)) {
				t.Errorf("the plain text is in %s", path)
			}
			return err
		}))
	}
	absent() // in the log
	must(t, s.Close())
	absent() // in the table
	key := filepath.Join(cfg.Dir, "secret.key")
	if fi, err := os.Stat(key); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v %v", fi.Mode(), err)
	}

	right := read(t, key)
	for name, x := range map[string]struct {
		spoil func()
		want  *station.Problem
	}{
		"missing": {func() { must(t, os.Remove(key)) }, store.ErrNoKey},
		"other":   {func() { must(t, os.WriteFile(key, bytes.Repeat([]byte("ab"), 32), 0o600)) }, store.ErrWrongKey},
		"garbage": {func() { must(t, os.WriteFile(key, []byte("?"), 0o600)) }, store.ErrWrongKey},
	} {
		t.Run(name, func(t *testing.T) {
			x.spoil()
			s := openStore(t, cfg)
			if !errors.Is(s.Opened().Sealing, x.want) {
				t.Errorf("report: %v", s.Opened().Sealing)
			}
			must(t, s.View(func(tx *store.Tx) error {
				if _, _, err := tx.Secret("camera/1"); !errors.Is(err, x.want) {
					t.Errorf("secret: %v", err)
				}
				return nil
			}))
			err := s.Update(t.Context(), station.LaneUrgent, func(tx *store.Tx) error { return tx.PutSecret("camera/9", "x") })
			if !errors.Is(err, x.want) {
				t.Errorf("put: %v", err)
			}
			if _, err := count(s, station.LaneUrgent, 1, 10); err != nil {
				t.Errorf("everything else works: %v", err)
			}
		})
	}
	must(t, os.WriteFile(key, right, 0o600))
	s = openStore(t, cfg)
	must(t, s.View(func(tx *store.Tx) error {
		got, _, err := tx.Secret("camera/1")
		if got.Reveal() != plain {
			t.Errorf("with the right key again: %v", err)
		}
		return nil
	}))
	update(t, s, func(tx *store.Tx) error { return tx.DeleteSecret("camera/1") })
}

package agent_test

import (
	"os"
	"path/filepath"
	"testing"

	"stationd/agent"
	"stationd/agent/station"
)

// TestARestoredStoreIsToldOfWhateverHappens: the program may end between opening
// the store and telling what it found.
func TestARestoredStoreIsToldOfWhateverHappens(t *testing.T) {
	dir := t.TempDir()
	live := func() *rig { // a life that lasts until the registry is handed on
		applied := make(chan struct{}, 1)
		r := newRigOn(t, dir, nil, func(_ *agent.Config, d *agent.Deps) {
			d.Apply = func(agent.Registry) { applied <- struct{}{} }
		})
		stop := r.start()
		<-applied
		stop()
		return r
	}
	before := live()
	if err := before.store.Backup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := before.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"core/MANIFEST", "core.manifest"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("no longer a manifest"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	killed := newRigOn(t, dir, nil)
	if killed.store.Opened().Restored == "" {
		t.Fatalf("not restored: %+v", killed.store.Opened())
	}
	if err := killed.store.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and told once
		r := live()
		if alarms := r.live(); len(alarms) != 1 || alarms[0].Kind != station.KindStore {
			t.Fatalf("%+v", alarms)
		}
		list, _, err := r.Alarms("", 10)
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v %v", list, err)
		}
		if err := r.store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

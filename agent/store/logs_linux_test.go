package store_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"stationd/agent/station"
)

// TestLogsAreAllocated: no log that is mapped may have holes. On a file system
// that cannot reserve, this fails, and a full disk would kill the process there.
func TestLogsAreAllocated(t *testing.T) {
	cfg := config(smallDisk(t, 160<<20))
	s := openStore(t, cfg)
	seen := make(map[string]bool)
	for range 200 { // several logs full
		if _, err := count(s, station.LaneUrgent, 1, 90_000); err != nil {
			t.Fatal(err)
		}
		list, err := filepath.Glob(filepath.Join(cfg.Dir, "core", "*.mem"))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list {
			var st syscall.Stat_t
			if syscall.Stat(p, &st) != nil || st.Nlink == 0 {
				continue // written out in the meantime
			}
			if st.Size > 0 && st.Blocks*512 < st.Size {
				t.Fatalf("%s: %d bytes long, %d allocated", p, st.Size, st.Blocks*512)
			}
			seen[p] = true
		}
	}
	if len(seen) < 4 {
		t.Errorf("only %d logs were seen", len(seen))
	}
}

package store_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// A program that dies again and again shortly after its start must still be able
// to start: each life leaves a table behind that nobody has had time to merge.
func TestShortLives(t *testing.T) {
	const lives = 80
	dir := t.TempDir()
	acked := make(map[int]int)
	most := 0
	for life := range lives {
		cmd, lines := startChild(t, "crash", dir)
		hangs := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		heard := 0
		for lines.Scan() {
			var w, n int
			if _, err := fmt.Sscan(lines.Text(), &w, &n); err != nil {
				continue // the line that was being written
			}
			acked[w] = n
			if heard++; heard == 1 {
				_ = cmd.Process.Kill()
			}
		}
		hangs.Stop()
		_ = cmd.Wait() // it was killed
		if heard == 0 {
			t.Fatalf("life %d: it did not start within 20 seconds", life+1)
		}
		tables, err := filepath.Glob(filepath.Join(dir, "core", "*.sst"))
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, len(tables))
	}
	s := openStore(t, config(dir))
	verify(t, s, acked)
	if most > 40 {
		t.Errorf("%d tables at a time after %d lives", most, lives)
	}
	t.Logf("%d lives, at most %d tables at a time", lives, most)
}

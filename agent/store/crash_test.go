package store_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
	"stationd/agent/store/disk"
)

// The test program runs itself as a child that writes and tells on its standard
// output what was acknowledged; it can be killed, and a fault in it is seen.
const (
	childVar  = "STORE_TEST_CHILD" // the data directory
	childKind = "STORE_TEST_CHILD_KIND"
)

func child(dir string) {
	var err error
	switch os.Getenv(childKind) {
	case "crash":
		err = crashChild(dir)
	case "full":
		err = fullChild(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(3)
	}
}

// tally is what one writer has written.
type tally struct {
	N int `json:"n"`
}

const writers = 8

// crashChild lets each writer count up for ever, event and record together.
func crashChild(dir string) error {
	s, err := store.Open(config(dir), quiet())
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for {
				n, err := count(s, station.Lanes()[w%3], w, 2500)
				if err != nil {
					fmt.Fprintln(os.Stderr, "child:", err)
					os.Exit(3)
				}
				mu.Lock()
				fmt.Printf("%d %d\n", w, n)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return nil
}

// noise is a text that no compression makes shorter.
func noise(size int) string {
	b := make([]byte, size)
	for i := range b {
		b[i] = 'a' + byte(rand.IntN(26))
	}
	return string(b)
}

// keptBeside is how many records are kept beside each tally.
const keptBeside = 3

func keptKey(w, i int) store.Key { return store.Key(fmt.Sprintf("kept/%d/%d", w, i)) }

func count(s *store.Store, lane station.Lane, w, size int) (int, error) {
	var n int
	err := s.Update(context.Background(), lane, func(tx *store.Tx) error {
		key := store.Key(fmt.Sprintf("tally/%d", w))
		t, _, err := store.Get[tally](tx, key)
		if err != nil {
			return err
		}
		n = t.N + 1
		if err := store.Put(tx, key, tally{n}); err != nil {
			return err
		}
		for i := range keptBeside {
			if _, err := store.Keep(tx, keptKey(w, i), tally{n}); err != nil {
				return err
			}
		}
		data, err := json.Marshal(map[string]any{"n": n, "pad": noise(size)})
		if err != nil {
			return err
		}
		_, err = tx.Append(station.Event{Type: "test.counted", Subject: string(key), Lane: lane, Data: data})
		return err
	})
	return n, err
}

// verify holds the journal and the records against what was acknowledged.
func verify(t *testing.T, s *store.Store, acked map[int]int) {
	t.Helper()
	last := make(map[string]int)
	var seq uint64
	for {
		rows, err := s.Read(seq, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			break
		}
		for _, ev := range rows {
			if ev.Seq != seq+1 {
				t.Fatalf("after row %d comes row %d", seq, ev.Seq)
			}
			seq = ev.Seq
			var got tally
			if err := json.Unmarshal(ev.Data, &got); err != nil {
				t.Fatal(err)
			}
			if got.N != last[ev.Subject]+1 {
				t.Fatalf("%s: %d came after %d", ev.Subject, got.N, last[ev.Subject])
			}
			last[ev.Subject] = got.N
		}
	}
	if seq != s.Head() {
		t.Fatalf("the head is %d, the last row %d", s.Head(), seq)
	}
	for w, n := range acked {
		key := fmt.Sprintf("tally/%d", w)
		if last[key] < n {
			t.Errorf("writer %d: %d was acknowledged, the journal ends at %d", w, n, last[key])
		}
		err := s.View(func(tx *store.Tx) error {
			got, _, err := store.Get[tally](tx, store.Key(key))
			if got.N != last[key] {
				t.Errorf("writer %d: the record says %d, the journal %d", w, got.N, last[key])
			}
			for i := range keptBeside {
				kept, _, err := store.Get[tally](tx, keptKey(w, i))
				if err != nil || kept.N != last[key] {
					t.Errorf("writer %d: a record that is kept says %d, the journal %d (%v)", w, kept.N, last[key], err)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func startChild(t *testing.T, kind, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"="+dir, childKind+"="+kind)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

func TestKillsLoseNothingAcknowledged(t *testing.T) {
	const kills = 10
	dir := t.TempDir()
	acked := make(map[int]int)
	total := 0
	for kill := range kills {
		cmd, lines := startChild(t, "crash", dir)
		timer := time.AfterFunc(time.Duration(150+80*kill)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		for lines.Scan() {
			var w, n int
			if _, err := fmt.Sscan(lines.Text(), &w, &n); err != nil {
				continue // the line that was being written
			}
			acked[w] = n
			total++
		}
		timer.Stop()
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
			t.Fatalf("the child was to be killed: %v", err)
		}
	}
	if len(acked) != writers {
		t.Fatalf("writers heard: %v", acked)
	}
	s := openStore(t, config(dir))
	verify(t, s, acked)
	if r := s.Opened(); r.Quarantined != "" || r.Restored != "" || r.Repaired != "" {
		t.Errorf("a kill is no damage: %+v", r)
	}
	t.Logf("%d kills, %d updates acknowledged, head %d", kills, total, s.Head())
}

// fullConfig has watermarks for a disk of 96 MiB.
func fullConfig(dir string) store.Config {
	cfg := config(dir)
	cfg.Space = disk.Config{Reserve: 26 * disk.MiB, Low: 40 * disk.MiB, Full: 26 * disk.MiB, Tight: 20 * disk.MiB, Floor: 16 * disk.MiB}
	return cfg
}

// fullChild writes in all lanes and tells for each whether it was taken in. It
// goes on when the parent has read what it said, and not before: a parent that
// is slow would otherwise kill a child that has used up the disk long ago.
func fullChild(dir string) error {
	s, err := store.Open(fullConfig(dir), quiet())
	if err != nil {
		return err
	}
	var mu sync.Mutex
	// say tells whether the parent wants to hear more; when it has seen enough it
	// closes our standard input.
	say := func(args ...any) bool {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(args...)
		n, _ := os.Stdin.Read(make([]byte, 1))
		return n == 1
	}
	say("open", s.Opened().ReserveReleased)
	var wg sync.WaitGroup
	for w, lane := range station.Lanes() {
		wg.Go(func() {
			for {
				n, err := count(s, lane, w, 8000)
				more := false
				switch {
				case err == nil:
					more = say("ack", w, n)
				case errors.Is(err, station.ErrNoSpace):
					more = say("refused", w, string(s.Space().Level))
				default:
					more = say("error", w, err)
				}
				if !more {
					return
				}
				time.Sleep(2 * time.Millisecond) // the guard looks no oftener
			}
		})
	}
	wg.Wait()
	return s.Close()
}

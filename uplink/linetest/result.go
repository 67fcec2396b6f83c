package linetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"stationd/uplink/budget"
)

// Way is one direction.
type Way struct {
	// Bought is what the line should carry, and Asked what the test tried to bring
	// over it.
	Bought budget.Rate `json:"bought"`
	Asked  budget.Rate `json:"asked"`
	// Rate is what the other end confirmed, headers included, and Carried what the
	// line carried meanwhile, with everything else on it.
	Rate    budget.Rate `json:"rate"`
	Carried budget.Rate `json:"carried"`
	Bytes   uint64      `json:"bytes"`
	// Lost is the part of the packets that were sent again; below zero where that
	// is not known.
	Lost float64 `json:"lost"`
	// Delay is how long an answer took under this load, in milliseconds: the
	// middle, and the worst.
	Delay float64 `json:"delay"`
	Worst float64 `json:"worst"`
	// Stopped tells that answers came too late, and the test gave way.
	Stopped bool `json:"stopped,omitempty"`
	// Delivers tells that the line carried what was asked.
	Delivers bool `json:"delivers"`
}

// Result is one test.
type Result struct {
	At time.Time `json:"at"`
	// Nightly tests are small: they show loss and delay, not all that the line can.
	Nightly bool `json:"nightly,omitempty"`
	// Idle is how long an answer took before there was load, in milliseconds.
	Idle float64 `json:"idle"`
	Up   Way     `json:"up"`
	Down Way     `json:"down"`
	// Problem is why it could not be finished.
	Problem string `json:"problem,omitempty"`
}

// mostKept bounds the file: half a year of nights.
const mostKept = 200

// history is the results on disk. Whoever uses it takes turns.
type history struct {
	file string // empty keeps them in memory
	list []Result
	read bool
}

func (h *history) load() error {
	if h.read || h.file == "" {
		return nil
	}
	b, err := os.ReadFile(h.file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read the line tests: %w", err)
	}
	h.read = true
	if len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, &h.list); err != nil {
		h.list = nil // they are measured anew; what is there is kept beside
		return errors.Join(fmt.Errorf("read the line tests: %w", err), os.Rename(h.file, h.file+".unreadable"))
	}
	return nil
}

func (h *history) add(r Result) error {
	h.list = append(h.list, r)
	if n := len(h.list) - mostKept; n > 0 {
		h.list = append([]Result(nil), h.list[n:]...)
	}
	if h.file == "" {
		return nil
	}
	b, err := json.Marshal(h.list)
	if err != nil {
		return fmt.Errorf("keep the line tests: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(h.file), 0o700); err != nil {
		return fmt.Errorf("keep the line tests: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(h.file), ".line-tests-*")
	if err != nil {
		return fmt.Errorf("keep the line tests: %w", err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), h.file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("keep the line tests: %w", err)
	}
	return nil
}

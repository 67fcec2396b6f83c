package store

import "sync"

// watch tells waiting readers that the journal has grown.
type watch struct {
	mu      sync.Mutex
	journal journal
	waiting []waiter
}

// waiter is everybody who waits for a row after the same sequence; readers at
// the head share one.
type waiter struct {
	after uint64
	grown chan struct{}
}

func (w *watch) now() journal {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.journal
}

func (w *watch) advance(j journal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.journal = j
	still := w.waiting[:0]
	for _, x := range w.waiting {
		if x.after < j.head {
			close(x.grown)
		} else {
			still = append(still, x)
		}
	}
	clear(w.waiting[len(still):])
	w.waiting = still
}

// changed is closed once the head is beyond after.
func (w *watch) changed(after uint64) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.journal.head > after {
		c := make(chan struct{})
		close(c)
		return c
	}
	for _, x := range w.waiting {
		if x.after == after {
			return x.grown
		}
	}
	c := make(chan struct{})
	w.waiting = append(w.waiting, waiter{after, c})
	return c
}

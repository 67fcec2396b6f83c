package linetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"stationd/uplink/budget"
)

const (
	// workers is how many pieces are under way at once: enough for a line with a
	// long way.
	workers = 12
	// idleLooks is how often the idle line is asked, lookEvery how often the loaded
	// one.
	idleLooks = 10
	lookEvery = 100 * time.Millisecond
	// tooLate is by how much answers may come later than on the idle line, and
	// lateMost how often in a row: then the test gives way.
	tooLate  = 200 * time.Millisecond
	lateMost = 3
	// passes is the part of what was asked that counts as delivered.
	passes = 0.9
	// spendable is the part of what was bought that the budget spends.
	spendable = 0.95
)

// measure is one whole test.
func (t *Tester) measure(ctx context.Context, small bool) Result {
	cfg := t.deps.Budget.Config()
	r := Result{At: t.deps.Now(), Nightly: small, Up: Way{Bought: cfg.Up, Lost: -1}, Down: Way{Bought: cfg.Down, Lost: -1}}
	ask := func(bought budget.Rate) budget.Rate {
		most := budget.Rate(float64(bought) * spendable)
		if small {
			return min(most, t.cfg.NightlyRate)
		}
		return most
	}
	r.Up.Asked, r.Down.Asked = ask(cfg.Up), ask(cfg.Down)
	idle, err := t.idle(ctx)
	if err == nil {
		r.Idle = ms(idle)
		err = t.way(ctx, &r.Up, idle, up, (*wire).lostUp, func(c budget.ClassUse) uint64 { return c.Up.Bytes })
	}
	if err == nil {
		err = t.way(ctx, &r.Down, idle, down, (*wire).lostDown, func(c budget.ClassUse) uint64 { return c.Down.Bytes })
	}
	if err != nil {
		r.Problem = err.Error()
	}
	return r
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// wire is a client with one connection of its own.
type wire struct {
	client *http.Client
	url    string
	mu     sync.Mutex
	conn   net.Conn
	resent string // as the parent told last
}

// open makes a client whose bytes belong to a class of the budget, or to none.
func (t *Tester) open(class budget.Class) (*wire, error) {
	cfg, err := t.deps.TLS()
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	base := t.deps.Base()
	if base == "" {
		return nil, errors.New("the centre has not been reached yet")
	}
	w := &wire{url: base + Path}
	cfg.NextProtos = []string{"http/1.1"} // one piece after the other on each connection
	w.client = &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: cfg, MaxConnsPerHost: 1, TLSHandshakeTimeout: 10 * time.Second,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				raw, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, address)
				if err != nil {
					return nil, err
				}
				w.mu.Lock()
				w.conn = raw
				w.mu.Unlock()
				return t.deps.Budget.Conn(raw, class), nil
			},
		},
	}
	return w, nil
}

func (w *wire) close() { w.client.CloseIdleConnections() }

func (w *wire) do(ctx context.Context, method string, body []byte) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, w.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	n, err := io.Copy(io.Discard, io.LimitReader(resp.Body, piece))
	if err != nil {
		return 0, err
	}
	if resp.StatusCode >= 300 {
		return 0, fmt.Errorf("the centre answered %s", resp.Status)
	}
	if s := resp.Header.Get(headerLost); s != "" {
		w.mu.Lock()
		w.resent = s
		w.mu.Unlock()
	}
	return int(n), nil
}

// idle is how long an answer takes while nothing is tested.
func (t *Tester) idle(ctx context.Context) (time.Duration, error) {
	w, err := t.open(budget.Control)
	if err != nil {
		return 0, err
	}
	defer w.close()
	var took []time.Duration
	for i := range idleLooks + 1 {
		began := time.Now()
		if _, err := w.do(ctx, http.MethodHead, nil); err != nil {
			return 0, err
		}
		if i > 0 { // the first one made the connection
			took = append(took, time.Since(began))
		}
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

// mover moves one piece and gives its bytes on the line.
type mover func(ctx context.Context, w *wire) (int, error)

// up sends pieces; the centre has confirmed each one that counts.
func up(ctx context.Context, w *wire) (int, error) {
	_, err := w.do(ctx, http.MethodPost, noise())
	return budget.OnWire(piece), err
}

// down fetches pieces.
func down(ctx context.Context, w *wire) (int, error) {
	n, err := w.do(ctx, http.MethodGet, nil)
	return budget.OnWire(n), err
}

// lostUp is what we sent again, and lostDown what the parent did, as it told last.
func (w *wire) lostUp() (again, all uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		again, all, _ = resent(w.conn)
	}
	return again, all
}

func (w *wire) lostDown() (again, all uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n, _ := fmt.Sscanf(w.resent, "%d/%d", &again, &all); n != 2 {
		return 0, 0
	}
	return again, all
}

// way measures one direction with several pieces under way, and looks all the while
// how late answers come.
func (t *Tester) way(ctx context.Context, out *Way, idle time.Duration, move mover, lost func(*wire) (again, all uint64), others func(budget.ClassUse) uint64) error {
	ctx, cancel := context.WithTimeout(ctx, 4*t.cfg.Lasts)
	defer cancel()
	// After so long no piece is begun, and those under way come to their end: what
	// was not confirmed does not count.
	begin, enough := context.WithTimeout(ctx, t.cfg.Lasts)
	defer enough()
	pace := budget.New(budget.Config{Up: budget.Rate(float64(out.Asked) / spendable)}, nil)
	rest := func() (sum uint64) {
		for _, c := range t.deps.Budget.Report().Classes {
			if c.Class != budget.Backlog {
				sum += others(c)
			}
		}
		return sum
	}
	before, began := rest(), time.Now()
	var moved, again, all atomic.Uint64
	var failed atomic.Pointer[error]
	var work sync.WaitGroup
	for range workers {
		work.Go(func() {
			w, err := t.open(budget.Backlog)
			if err == nil {
				defer w.close()
				for pace.Spend(begin, budget.Clips, budget.OnWire(piece)) == nil {
					var n int
					if n, err = move(ctx, w); err != nil {
						break
					}
					moved.Add(uint64(n))
				}
				x, y := lost(w)
				again.Add(x)
				all.Add(y)
			}
			if err != nil && ctx.Err() == nil {
				failed.CompareAndSwap(nil, &err)
				cancel()
			}
		})
	}
	took, late, err := t.look(begin, idle)
	if enough(); late {
		cancel()
	}
	work.Wait()
	lasted := time.Since(began)
	out.Stopped, out.Bytes = late, moved.Load()
	out.Rate = budget.RateOf(out.Bytes, lasted)
	out.Carried = out.Rate + budget.RateOf(rest()-before, lasted)
	if all.Load() > 0 {
		out.Lost = float64(again.Load()) / float64(all.Load())
	}
	slices.Sort(took)
	if len(took) > 0 {
		out.Delay, out.Worst = ms(took[len(took)/2]), ms(took[len(took)-1])
	}
	out.Delivers = float64(out.Carried) >= passes*float64(out.Asked) && !out.Stopped
	if p := failed.Load(); p != nil {
		err = *p
	}
	return err
}

// look asks again and again how long an answer takes, until ctx ends or answers come
// too late.
func (t *Tester) look(ctx context.Context, idle time.Duration) (took []time.Duration, late bool, err error) {
	w, err := t.open(budget.Control)
	if err != nil {
		return nil, false, err
	}
	defer w.close()
	slow := 0
	for ctx.Err() == nil {
		began := time.Now()
		if _, err := w.do(ctx, http.MethodHead, nil); err != nil {
			if ctx.Err() != nil {
				break
			}
			return took, false, err
		}
		d := time.Since(began)
		took = append(took, d)
		if slow++; d < idle+tooLate {
			slow = 0
		}
		if slow == lateMost {
			return took, true, nil
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
		}
	}
	if len(took) > 1 {
		took = took[1:] // the first one made the connection
	}
	return took, false, nil
}

var noise = sync.OnceValue(func() []byte {
	b := make([]byte, piece)
	_, _ = rand.Read(b)
	return b
})

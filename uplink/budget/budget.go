package budget

import (
	"context"
	"sync"
	"time"
)

const (
	// fill is the part of the bought rate that is spent: the rest is for what is
	// not seen from here, headers of the access line above all.
	fill = 0.95
	// burst is how much may go at once, as time of the line: what an alarm may
	// find before it in the router's queue.
	burst = 10 * time.Millisecond
	// overdraft is how far Control may go beyond what is there, and debt how far
	// anything: live pictures that send more than the line carries are not repaid
	// by silence for ever.
	overdraft = 150 * time.Millisecond
	debt      = 200 * time.Millisecond
	// pressing is how long a class that had to wait keeps later ones waiting.
	pressing = 200 * time.Millisecond
	// piece is what a class may send that stands still, and trickle the part of
	// the line that this may come to.
	piece   = 64 << 10
	trickle = 0.02
)

// Budget is one line.
type Budget struct {
	cfg  Config
	now  func() time.Time
	rate float64 // bytes per second that are spent

	mu      sync.Mutex
	level   float64 // bytes that may go now
	at      time.Time
	went    map[Class]time.Time // when the class last sent
	pressed map[Class]time.Time // when the class last had to wait
	waited  map[Class]time.Duration
	up      map[Class]*meter
	down    map[Class]*meter
	grants  map[*Grant]struct{}
	refused uint64
	yielded uint64
}

// New makes the budget of a line. now is the clock; nil means time.Now.
func New(cfg Config, now func() time.Time) *Budget {
	if now == nil {
		now = time.Now
	}
	b := &Budget{
		cfg: cfg, now: now, rate: float64(cfg.Up) / 8 * fill, at: now(),
		went: map[Class]time.Time{}, pressed: map[Class]time.Time{}, waited: map[Class]time.Duration{},
		up: map[Class]*meter{}, down: map[Class]*meter{}, grants: map[*Grant]struct{}{},
	}
	for _, c := range classes {
		b.up[c], b.down[c], b.went[c] = &meter{}, &meter{}, b.at
	}
	b.level = b.most()
	return b
}

// Config is what the line carries.
func (b *Budget) Config() Config { return b.cfg }

func (b *Budget) seconds(d time.Duration) float64 { return b.rate * d.Seconds() }

// most is how much may be saved up.
func (b *Budget) most() float64 { return max(b.seconds(burst), 16<<10) }

// earn adds what the time since has brought. b.mu is held.
func (b *Budget) earn(now time.Time) {
	if gone := now.Sub(b.at); gone > 0 {
		b.level = min(b.level+b.rate*gone.Seconds(), b.most())
		b.at = now
	}
}

// Sent tells that bytes of a class went up. It never blocks. TCP's callers give
// OnWire of what they wrote.
func (b *Budget) Sent(c Class, bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent(c, bytes, b.now())
}

func (b *Budget) sent(c Class, bytes int, now time.Time) {
	b.earn(now)
	b.level = max(b.level-float64(bytes), -b.seconds(debt))
	b.went[c] = now
	b.up[c].add(now, bytes)
}

// Received tells that bytes of a class came down.
func (b *Budget) Received(c Class, bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down[c].add(b.now(), bytes)
}

// Wait tells how long a class has to wait until it may send a piece, of up to
// 64 KiB; zero is now. Whoever sends then says so with Sent.
func (b *Budget) Wait(c Class) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wait(c, b.now())
}

func (b *Budget) wait(c Class, now time.Time) time.Duration {
	b.earn(now)
	if !c.waits() {
		return 0
	}
	least := 0.0
	if c == Control {
		least = -b.seconds(overdraft)
	}
	wait := time.Duration(0)
	if b.level < least {
		wait = max(time.Duration((least-b.level)/b.rate*float64(time.Second)), time.Millisecond)
		b.pressed[c] = now
	}
	for _, first := range classes[:c.order()] {
		if rest := pressing - now.Sub(b.pressed[first]); rest > 0 && first.waits() {
			wait = max(wait, min(rest, 5*time.Millisecond)) // it may end sooner than it seems
		}
	}
	// What has stood still for long goes on all the same.
	still := time.Duration(piece / (b.rate * trickle) * float64(time.Second))
	return max(min(wait, still-now.Sub(b.went[c])), 0)
}

// Spend waits until a class may send, and takes bytes. A piece should have 16 KiB
// or less.
func (b *Budget) Spend(ctx context.Context, c Class, bytes int) error {
	for begun := b.now(); ; {
		b.mu.Lock()
		now := b.now()
		wait := b.wait(c, now)
		if wait == 0 {
			b.sent(c, bytes, now)
			b.waited[c] += now.Sub(begun)
			b.mu.Unlock()
			return ctx.Err()
		}
		b.mu.Unlock()
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}

// OnWire is what n bytes of TCP come to on the line, with the headers of their
// packets.
func OnWire(n int) int { return n + (n+1447)/1448*66 }

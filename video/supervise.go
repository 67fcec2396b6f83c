package video

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// A job is one thing that is kept going until it is called off: a camera's
// source, its recorder, the leg to a station. What stops early is started again
// after a pause.
type job struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// stop calls the job off without waiting. A nil job is none.
func (j *job) stop() {
	if j != nil {
		j.cancel()
	}
}

func (j *job) ended() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

// begin starts a job once the one before has ended. s.mu is held, and the set
// runs.
func (s *Set) begin(before *job, log *slog.Logger, what string, run func(context.Context) error) *job {
	ctx, cancel := context.WithCancel(s.life)
	j := &job{cancel: cancel, done: make(chan struct{})}
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		defer close(j.done)
		defer cancel()
		if before != nil {
			<-before.done
		}
		supervise(ctx, log, what, run)
	}()
	return j
}

// Pauses before a job is started again: doubled each time, drawn at random
// between half and whole, and short again after a job that held for a while.
const (
	firstPause = time.Second
	mostPause  = 30 * time.Second
	heldLong   = time.Minute
)

// supervise runs run until ctx ends.
func supervise(ctx context.Context, log *slog.Logger, what string, run func(context.Context) error) {
	wait := pauses{}
	for ctx.Err() == nil {
		began := time.Now()
		err := guard(ctx, run)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > heldLong {
			wait = pauses{}
		}
		log.Warn("stopped early, will start again", "what", what, "err", err)
		if !wait.sleep(ctx) {
			return
		}
	}
}

// guard turns a panic of run into an error: one camera must not end them all.
func guard(ctx context.Context, run func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return run(ctx)
}

// pauses grow.
type pauses struct{ next time.Duration }

// sleep is false when ctx ended.
func (p *pauses) sleep(ctx context.Context) bool {
	p.next = min(max(2*p.next, firstPause), mostPause)
	t := time.NewTimer(p.next/2 + rand.N(p.next/2))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

package uplink

import (
	"context"
	"fmt"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/uplink/protocol"
	"stationd/uplink/transport"
)

// maxTasks bounds the commands that wait to be carried out. More are dropped and
// counted; the parent sends them again until it has a receipt.
const maxTasks = 64

// tasks carries the parent's commands out, one after the other in the order in
// which they came, and reports.
type tasks struct {
	up    *Uplink
	queue chan task

	mu      sync.Mutex
	current *session
	waiting map[string]bool // in the queue or being carried out
}

type task struct {
	command station.Command
	offset  time.Duration // the parent's clock minus ours
}

func newTasks(u *Uplink) *tasks {
	return &tasks{up: u, queue: make(chan task, maxTasks), waiting: map[string]bool{}}
}

func (t *tasks) attach(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current = s
}

func (t *tasks) detach(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == s {
		t.current = nil
	}
}

// put queues a command. One that waits already is not queued twice.
func (t *tasks) put(c station.Command, offset time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting[c.ID] {
		return
	}
	select {
	case t.queue <- task{c, offset}:
		t.waiting[c.ID] = true
	default:
		t.up.state.dropped()
	}
}

func (t *tasks) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case x := <-t.queue:
			r := t.carryOut(ctx, x)
			t.mu.Lock()
			delete(t.waiting, x.command.ID)
			now := t.current
			t.mu.Unlock()
			if err := t.report(ctx, now, r); err != nil {
				// The parent asks again, and gets the same receipt.
				t.up.log.Warn("receipt not sent", "command", r.Command, "error", err)
			}
		}
	}
}

func (t *tasks) carryOut(ctx context.Context, x task) station.Receipt {
	u, c := t.up, x.command
	now := u.deps.Now()
	switch {
	case u.deps.Commands == nil:
		return station.Receipt{Command: c.ID, At: now, Problem: station.Errorf(501, "command.none", "", "this station takes no commands from above")}
	case !c.Expires.IsZero() && now.Add(x.offset).After(c.Expires):
		return station.Receipt{Command: c.ID, At: now, Problem: protocol.ErrExpired}
	}
	r := u.deps.Commands.Handle(ctx, c)
	r.Command = c.ID
	if r.Problem != nil {
		r.Problem = problemOf(r.Problem)
	}
	return r
}

func (t *tasks) report(ctx context.Context, s *session, r station.Receipt) error {
	if s == nil {
		return transport.ErrLost
	}
	b, err := protocol.Encode(protocol.Report{Protocol: protocol.Version, Receipt: r})
	if err != nil {
		r.Result = nil
		r.Problem = station.Errorf(500, "command.result", "", "the result is too large to send: %v", fmt.Sprint(err))
		if b, err = protocol.Encode(protocol.Report{Protocol: protocol.Version, Receipt: r}); err != nil {
			return err
		}
	}
	return s.conn.Send(ctx, transport.Message{Channel: protocol.ChannelReceipts, Payload: b})
}

package agent

import (
	"context"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/agent/store"
)

const (
	// respondEvery is how often the clocks of the responses are looked at, and
	// respondSoon the least time between two looks when alarms come in a storm.
	respondEvery = time.Second
	respondSoon  = 100 * time.Millisecond
	// stepsAtOnce is how many steps share a transaction when they are small.
	stepsAtOnce = 50
	// clockBack is how far a clock may go back before that is noticed.
	clockBack = 5 * time.Second
)

// runRespond takes the steps that are due, sends what is noted, and keeps the
// station's own loudspeaker told, until ctx ends. It returns when every sender
// has ended.
func (a *Agent) runRespond(ctx context.Context) error {
	if err := a.ensureLinkKey(ctx); err != nil {
		a.log.Error("no links to answer by", "err", err)
	}
	var senders sync.WaitGroup
	defer senders.Wait()
	sending := busyChannels{busy: map[string]bool{}}
	tick := time.NewTicker(respondEvery)
	defer tick.Stop()
	for at := uint64(0); ; {
		if err := a.Respond(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("a step of a response was not taken", "err", err)
		}
		jobs, err := a.dueTellings()
		if err != nil {
			return err
		}
		for channel, list := range jobs {
			if !sending.take(channel) {
				continue
			}
			senders.Go(func() {
				defer sending.free(channel)
				for _, jobs := range bundle(list) {
					if err := a.send(ctx, jobs); err != nil && ctx.Err() == nil {
						a.log.Error("what became of a message was not noted", "channel", channel, "err", err)
						sleep(ctx, noteAgain)
						return
					}
				}
			})
		}
		a.callOut()
		if at = a.awaitUrgent(ctx, tick.C, at); ctx.Err() != nil {
			return nil
		}
	}
}

// awaitUrgent returns with the next tick, or soon after something urgent was
// journalled behind after; it returns up to where it has looked.
func (a *Agent) awaitUrgent(ctx context.Context, tick <-chan time.Time, after uint64) uint64 {
	sleep(ctx, respondSoon)
	for {
		head := a.store.Head()
		urgent, err := a.store.Read(after, 1, station.LaneUrgent)
		if err == nil && len(urgent) > 0 {
			return head
		}
		after = head
		select {
		case <-ctx.Done():
			return after
		case <-tick:
			return after
		case <-a.store.Changed(after):
			sleep(ctx, respondSoon)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// busyChannels lets each channel be spoken to by one sender at a time.
type busyChannels struct {
	mu   sync.Mutex
	busy map[string]bool
}

func (b *busyChannels) take(channel string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.busy[channel] || len(b.busy) >= maxSending {
		return false
	}
	b.busy[channel] = true
	return true
}

func (b *busyChannels) free(channel string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.busy, channel)
}

// dueTellings are the messages whose time has come, by channel, oldest first.
func (a *Agent) dueTellings() (map[string][]tellJob, error) {
	out := map[string][]tellJob{}
	now := a.now()
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, tellTable, func(_ store.Key, job tellJob) error {
			if !job.NextAt.After(now) || setBack(job.Since, now) {
				out[job.Channel] = append(out[job.Channel], job)
			}
			return nil
		})
	})
	return out, err
}

// setBack tells that the clock was set back since.
func setBack(since, now time.Time) bool { return since.Sub(now) > clockBack }

// Respond takes every step of a response that is due now. It is called once a
// second by Run.
func (a *Agent) Respond(ctx context.Context) error {
	var due []string
	err := a.store.View(func(tx *store.Tx) error {
		duty, err := dutyOf(tx)
		if err != nil {
			return err
		}
		now, err := a.moment(tx)
		if err != nil {
			return err
		}
		closed := a.centreConfigured && !duty.Open.Contain(now.Wall)
		return store.Each(tx, clockTable, func(k store.Key, c respondClock) error {
			if c.Due != 0 && c.Due <= now.Tick || c.Opening && !closed {
				due = append(due, string(k[len(clockTable):]))
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return a.inParts(ctx, stepsAtOnce, due, func(tx *store.Tx, id string) error { return a.stepDue(tx, store.Key(id)) })
}

// stepDue takes the step of one response, if it is still due.
func (a *Agent) stepDue(tx *store.Tx, id store.Key) error {
	clock, waits, err := store.Get[respondClock](tx, clockTable+id)
	if err != nil || !waits {
		return err
	}
	now, err := a.moment(tx)
	if err != nil {
		return err
	}
	alarm, ok, err := store.Get[station.Alarm](tx, alarmTable+id)
	if err != nil || !ok {
		return err
	}
	resp, ok, err := store.Get[station.Response](tx, responseTable+id)
	if err != nil || !ok {
		return err
	}
	duty, err := dutyOf(tx)
	if err != nil {
		return err
	}
	return step{a: a, tx: tx, alarm: alarm, duty: duty, now: now.Wall, tick: now.Tick, resp: &resp}.due(clock)
}

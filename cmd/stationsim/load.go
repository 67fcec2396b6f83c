package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// load publishes at a rate of its own, however slowly the broker answers: a
// sensor does not wait for the one before it. What is late counts from when it
// was due, so that a stall shows in all who had to wait for it.
//
// At most maxUnderWay publications of a line are without acknowledgement. A
// reading that would be one more is left out and counted; an alarm never is.
type load struct {
	fleet *fleet
	rate  rate
	alarm time.Duration // between two alarms; 0 means none
	desk  *desk         // nil where nobody looks on
	tally tally
}

const (
	maxUnderWay = 100
	// patience is how long is waited at the end for what is on its way.
	patience = 3 * time.Second
)

// tally is what was measured so far.
type tally struct {
	mu           sync.Mutex
	began, ended time.Time
	published    int
	acknowledged int
	failed       int // could not be sent at all
	leftOut      int
	readings     latencies
	alarms       latencies
	cause        error // of the last failure
}

// run publishes until ctx ends, and waits a moment for the rest.
func (l *load) run(ctx context.Context) {
	l.tally.began = time.Now()
	giveUp := make(chan struct{})
	var lines, waits sync.WaitGroup
	for i := range l.fleet.lines {
		lines.Go(func() { l.drive(ctx, i, &waits, giveUp) })
	}
	lines.Go(func() { l.raise(ctx, &waits, giveUp) })
	lines.Wait()
	l.tally.mu.Lock()
	l.tally.ended = time.Now()
	l.tally.mu.Unlock()
	late := time.AfterFunc(patience, func() { close(giveUp) })
	waits.Wait()
	late.Stop()
}

// drive publishes the readings of one line, its share of the rate.
func (l *load) drive(ctx context.Context, at int, waits *sync.WaitGroup, giveUp <-chan struct{}) {
	first, count := l.fleet.on(at)
	share := float64(l.rate) * float64(count) / float64(len(l.fleet.devices))
	step := time.Duration(float64(time.Second) / share)
	// The lines take turns, and so do the sensors of a line.
	due := time.Now().Add(step * time.Duration(at) / time.Duration(len(l.fleet.lines)))
	free := make(chan struct{}, maxUnderWay)
	for n := 0; wait(ctx, due); n++ {
		select {
		case free <- struct{}{}:
			l.publish(first+n%count, false, due, waits, giveUp, func() { <-free })
		default:
			l.tally.mu.Lock()
			l.tally.leftOut++
			l.tally.mu.Unlock()
		}
		due = due.Add(step)
	}
}

// raise lets one sensor after the other alarm; with its next reading it is
// normal again.
func (l *load) raise(ctx context.Context, waits *sync.WaitGroup, giveUp <-chan struct{}) {
	callers := l.fleet.callers()
	if l.alarm == 0 || len(callers) == 0 {
		return
	}
	due := time.Now().Add(l.alarm)
	for n := 0; wait(ctx, due); n++ {
		if l.desk != nil {
			l.desk.raised(l.fleet.devices[callers[n%len(callers)]].Sensor.ID, due)
		}
		l.publish(callers[n%len(callers)], true, due, waits, giveUp, func() {})
		due = due.Add(l.alarm)
	}
}

// publish publishes and, behind the caller's back, waits for the acknowledgement.
func (l *load) publish(device int, alarm bool, due time.Time, waits *sync.WaitGroup, giveUp <-chan struct{}, done func()) {
	topic, payload, err := l.fleet.message(device, alarm)
	var acknowledged <-chan struct{}
	if err == nil {
		acknowledged, err = l.fleet.lines[device/l.fleet.perLine].publish(topic, payload, false)
	}
	l.tally.publish(err)
	if err != nil {
		done()
		return
	}
	waits.Go(func() {
		defer done()
		select {
		case <-acknowledged:
			l.tally.acknowledge(time.Since(due), alarm)
		case <-giveUp:
		}
	})
}

// wait returns at due, or false when ctx ends first.
func wait(ctx context.Context, due time.Time) bool {
	t := time.NewTimer(time.Until(due))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}

func (t *tally) acknowledge(took time.Duration, alarm bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acknowledged++
	if alarm {
		t.alarms.add(took)
	} else {
		t.readings.add(took)
	}
}

func (t *tally) publish(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.published++
	if err != nil {
		t.failed++
		t.cause = err
	}
}

// progress prints one line.
func (t *tally) progress(out io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	took := time.Since(t.began)
	fmt.Fprintf(out, "%6s  published %d  %.1f/s  acknowledged %d  under way %d  puback %v\n",
		took.Round(time.Second), t.published, float64(t.published)/took.Seconds(), t.acknowledged, t.published-t.acknowledged-t.failed, &t.readings)
}

// summary prints all, and returns an error when something was not acknowledged.
func (t *tally) summary(out io.Writer) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	took := t.ended.Sub(t.began)
	open := t.published - t.acknowledged
	fmt.Fprintf(out, "\npublished         %d in %s, %.1f/s\n", t.published, took.Round(100*time.Millisecond), float64(t.published)/took.Seconds())
	fmt.Fprintf(out, "acknowledged      %d\n", t.acknowledged)
	fmt.Fprintf(out, "not acknowledged  %d\n", open)
	fmt.Fprintf(out, "left out          %d, because more than %d were on their way\n", t.leftOut, maxUnderWay)
	fmt.Fprintf(out, "puback, readings  %v\n", &t.readings)
	fmt.Fprintf(out, "puback, alarms    %v (%d)\n", &t.alarms, t.alarms.count)
	switch {
	case t.cause != nil:
		return fmt.Errorf("%d publications were not acknowledged: %w", open, t.cause)
	case open > 0:
		return fmt.Errorf("%d publications were not acknowledged", open)
	}
	return nil
}

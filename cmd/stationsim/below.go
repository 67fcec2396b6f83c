package main

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/uplink"
)

// below is a simulated station's journal: in memory, and forgotten as the centre
// acknowledges. How long that took is counted from when an event was written until the
// centre has said that it holds it durably.
type below struct {
	node  station.NodeID
	epoch station.Epoch
	tally *centreTally

	mu      sync.Mutex
	head    uint64
	waiting map[station.Lane][]station.Event
	cursors map[station.Lane]uplink.Cursor
	changed chan struct{} // closed and renewed at each event
}

func newBelow(node station.NodeID, tally *centreTally) *below {
	return &below{
		node: node, epoch: station.NewEpoch(), tally: tally,
		waiting: map[station.Lane][]station.Event{}, cursors: map[station.Lane]uplink.Cursor{}, changed: make(chan struct{}),
	}
}

// write appends an event about a subject.
func (b *below) write(lane station.Lane, kind, subject string, record any) error {
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.head++
	b.waiting[lane] = append(b.waiting[lane], station.Event{
		Seq: b.head, Origin: station.Origin{Node: b.node, Epoch: b.epoch, Seq: b.head}, ID: station.NewID(),
		Type: kind, Subject: subject, Lane: lane, Time: time.Now(), Data: data,
	})
	close(b.changed)
	b.changed = make(chan struct{})
	return nil
}

// left is how many events the centre has not acknowledged.
func (b *below) left() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, events := range b.waiting {
		n += len(events)
	}
	return n
}

func (b *below) Node() station.NodeID { return b.node }

func (b *below) Epoch() station.Epoch { return b.epoch }

func (b *below) Head() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.head
}

func (b *below) Read(after uint64, limit int, lanes ...station.Lane) ([]station.Event, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []station.Event
	for _, lane := range lanes {
		events := behind(b.waiting[lane], after)
		out = append(out, events[:min(limit, len(events))]...)
	}
	if len(lanes) > 1 {
		slices.SortFunc(out, func(x, y station.Event) int { return int(int64(x.Seq) - int64(y.Seq)) })
	}
	return out[:min(limit, len(out))], nil
}

// behind are the events behind a sequence number.
func behind(events []station.Event, seq uint64) []station.Event {
	i, _ := slices.BinarySearchFunc(events, seq+1, func(ev station.Event, seq uint64) int { return int(int64(ev.Seq) - int64(seq)) })
	return events[i:]
}

func (b *below) Changed(after uint64) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.head > after {
		c := make(chan struct{})
		close(c)
		return c
	}
	return b.changed
}

func (b *below) Cursor(target string, lane station.Lane) (uplink.Cursor, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c, ok := b.cursors[lane]; ok {
		return c, nil
	}
	return uplink.Cursor{Target: target, Lane: lane}, nil
}

func (b *below) Advance(_ context.Context, c uplink.Cursor) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := behind(b.waiting[c.Lane], c.Seq)
	b.tally.durable(c.Lane, b.waiting[c.Lane][:len(b.waiting[c.Lane])-len(rest)])
	b.waiting[c.Lane] = slices.Clone(rest)
	b.cursors[c.Lane] = c
	return nil
}

func (b *below) Backlog(_ string, lane station.Lane, most int) (int, time.Time, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting[lane]) == 0 {
		return 0, time.Time{}, nil
	}
	return min(most, len(b.waiting[lane])), b.waiting[lane][0].Time, nil
}

// centreTally is what was measured of a centre.
type centreTally struct {
	mu      sync.Mutex
	written int
	held    int // durably at the centre
	urgent  latencies
	others  latencies
}

func (t *centreTally) durable(lane station.Lane, events []station.Event) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held += len(events)
	for _, ev := range events {
		if lane == station.LaneUrgent {
			t.urgent.add(now.Sub(ev.Time))
		} else {
			t.others.add(now.Sub(ev.Time))
		}
	}
}

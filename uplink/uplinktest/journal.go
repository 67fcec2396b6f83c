package uplinktest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"stationd/agent/station"
	"stationd/uplink"
)

// Journal is a station's journal in memory. What it holds survives whoever reads
// it, as a store on disk would.
type Journal struct {
	node station.NodeID

	mu      sync.Mutex
	epoch   station.Epoch
	head    uint64
	events  map[station.Lane][]station.Event
	cursors map[string]uplink.Cursor
	changed chan struct{} // closed and renewed at each Append
	rows    uint64        // given by Read
	// AdvanceErr, when it returns an error, makes Advance fail with it.
	AdvanceErr func() error
	advanced   []uplink.Cursor
}

// NewJournal makes an empty journal with a new epoch.
func NewJournal(node station.NodeID) *Journal {
	return &Journal{
		node: node, epoch: station.NewEpoch(), events: map[station.Lane][]station.Event{},
		cursors: map[string]uplink.Cursor{}, changed: make(chan struct{}),
	}
}

// Append writes n events of lane about subject and returns them.
func (j *Journal) Append(lane station.Lane, subject string, n int) []station.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]station.Event, 0, n)
	for range n {
		j.head++
		data, _ := json.Marshal(map[string]any{"seq": j.head, "text": "3号楼 12 层 · 烟雾"}) // cannot fail
		out = append(out, station.Event{
			Seq: j.head, Origin: station.Origin{Node: j.node, Epoch: j.epoch, Seq: j.head},
			ID: station.NewID(), Type: station.EventAlarmRaised, Subject: subject, Lane: lane, Time: time.Now(), Data: data,
		})
	}
	j.put(out)
	return out
}

// Put writes an event with the data, and the origin where it has one, of ev.
func (j *Journal) Put(ev station.Event) station.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.head++
	ev.Seq = j.head
	if ev.Origin == (station.Origin{}) {
		ev.Origin = station.Origin{Node: j.node, Epoch: j.epoch, Seq: j.head}
	}
	if ev.ID == "" {
		ev.ID = station.NewID()
	}
	if ev.Time.IsZero() {
		ev.Time = time.Now()
	}
	j.put([]station.Event{ev})
	return ev
}

func (j *Journal) put(events []station.Event) {
	for _, ev := range events {
		j.events[ev.Lane] = append(j.events[ev.Lane], ev)
	}
	close(j.changed)
	j.changed = make(chan struct{})
}

// Trim forgets a lane's events up to seq.
func (j *Journal) Trim(lane station.Lane, seq uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events[lane] = append([]station.Event(nil), after(j.events[lane], seq)...)
}

// Backup is a copy of the journal as it is now; Restore makes it the content
// again, with a new epoch, as the store does after a restore.
func (j *Journal) Backup() *Journal {
	j.mu.Lock()
	defer j.mu.Unlock()
	b := &Journal{node: j.node, epoch: j.epoch, head: j.head, events: map[station.Lane][]station.Event{}, cursors: map[string]uplink.Cursor{}, changed: make(chan struct{})}
	for lane, events := range j.events {
		b.events[lane] = append([]station.Event(nil), events...)
	}
	for k, c := range j.cursors {
		b.cursors[k] = c
	}
	return b
}

// Restored is the journal of a store that was restored from this backup.
func (j *Journal) Restored() *Journal {
	r := j.Backup()
	r.epoch = station.NewEpoch()
	return r
}

func (j *Journal) Node() station.NodeID { return j.node }

func (j *Journal) Epoch() station.Epoch { return j.epoch }

func (j *Journal) Head() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.head
}

func after(events []station.Event, seq uint64) []station.Event {
	lo, hi := 0, len(events)
	for lo < hi {
		if mid := (lo + hi) / 2; events[mid].Seq <= seq {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return events[lo:]
}

func (j *Journal) Read(seq uint64, limit int, lanes ...station.Lane) ([]station.Event, error) {
	if len(lanes) != 1 {
		return nil, fmt.Errorf("this journal reads one lane at a time")
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	events := after(j.events[lanes[0]], seq)
	events = events[:min(limit, len(events))]
	j.rows += uint64(len(events))
	return append([]station.Event(nil), events...), nil
}

// Rows counts the rows that Read has given.
func (j *Journal) Rows() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.rows
}

func (j *Journal) Changed(seq uint64) <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.head > seq {
		c := make(chan struct{})
		close(c)
		return c
	}
	return j.changed
}

func (j *Journal) Cursor(target string, lane station.Lane) (uplink.Cursor, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if c, ok := j.cursors[target+"/"+string(lane)]; ok {
		return c, nil
	}
	return uplink.Cursor{Target: target, Lane: lane}, nil
}

func (j *Journal) Advance(_ context.Context, c uplink.Cursor) error {
	if j.AdvanceErr != nil {
		if err := j.AdvanceErr(); err != nil {
			return err
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cursors[c.Target+"/"+string(c.Lane)] = c
	j.advanced = append(j.advanced, c)
	return nil
}

// Advanced lists the cursors that were stored, in order.
func (j *Journal) Advanced() []uplink.Cursor {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.advanced)
}

func (j *Journal) Backlog(target string, lane station.Lane, most int) (int, time.Time, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	events := after(j.events[lane], j.cursors[target+"/"+string(lane)].Seq)
	if len(events) == 0 {
		return 0, time.Time{}, nil
	}
	return min(most, len(events)), events[0].Time, nil
}

var _ uplink.Journal = (*Journal)(nil)

package mqtt

import (
	"context"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// intake stands between paho's reading goroutine, which must never wait, and
// taking, which may wait long. It belongs to one connection.
type intake struct {
	link    *Link
	seed    maphash.Seed
	queues  []chan paho.Message
	full    chan struct{} // closed when a message of QoS 1 or 2 found no room
	ctx     context.Context
	abort   context.CancelFunc // ends taking at once
	workers sync.WaitGroup

	mu     sync.Mutex // held while enqueuing
	over   bool       // full is closed: nothing of QoS 1 or 2 any more
	closed bool       // the connection has ended
}

func newIntake(l *Link) *intake {
	in := &intake{link: l, seed: maphash.MakeSeed(), full: make(chan struct{})}
	in.ctx, in.abort = context.WithCancel(context.Background())
	for range l.cfg.Workers {
		q := make(chan paho.Message, l.cfg.Queue)
		in.queues = append(in.queues, q)
		in.workers.Go(func() { in.work(q) })
	}
	return in
}

// put is paho's handler; it does not wait.
func (in *intake) put(m paho.Message) {
	l := in.link
	l.received.Add(1)
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.closed:
		in.leave(m)
		return
	case in.over && m.Qos() > 0:
		l.deferred.Add(1)
		return
	}
	// One topic is one worker's, which keeps its order.
	lane := m.Topic()
	if l.target.Lane != nil {
		lane = l.target.Lane(lane)
	}
	q := in.queues[maphash.String(in.seed, lane)%uint64(len(in.queues))]
	select {
	case q <- m:
	default:
		in.leave(m)
		if m.Qos() > 0 {
			in.over = true
			close(in.full)
		}
	}
}

// leave counts a message that is not taken now.
func (in *intake) leave(m paho.Message) {
	if m.Qos() > 0 {
		in.link.deferred.Add(1)
	} else {
		in.link.dropped.Add(1)
	}
}

// drain lets the workers finish what is queued, for at most the grace, or for
// as long as it takes when that is zero.
func (in *intake) drain(ctx context.Context, grace time.Duration) {
	in.mu.Lock()
	if !in.closed {
		in.closed = true
		for _, q := range in.queues {
			close(q)
		}
	}
	in.mu.Unlock()
	stop := context.AfterFunc(ctx, in.abort)
	defer stop()
	if grace > 0 {
		t := time.AfterFunc(grace, in.abort)
		defer t.Stop()
	}
	in.workers.Wait()
}

// stop ends taking at once and waits for the workers. What was not taken comes
// again on the next connection.
func (in *intake) stop() {
	in.abort()
	in.drain(in.ctx, 0)
}

func (in *intake) work(q <-chan paho.Message) {
	for {
		select {
		case <-in.ctx.Done():
			in.giveUp(q)
			return
		case m, ok := <-q:
			if !ok {
				return
			}
			in.takeOne(m)
		}
	}
}

// giveUp counts what is left in the queue when the link stops.
func (in *intake) giveUp(q <-chan paho.Message) {
	for {
		select {
		case m, ok := <-q:
			if !ok {
				return
			}
			in.leave(m)
		default:
			return
		}
	}
}

// takeOne takes one message and acknowledges it. A refusal is not acknowledged
// but tried again here: the broker would send it again only on a new
// connection, and with it everything else that is in flight.
func (in *intake) takeOne(m paho.Message) {
	l := in.link
	if strings.HasPrefix(m.Topic(), probeTopic) { // some station's question, see probe
		m.Ack()
		return
	}
	msg := Message{Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Retained: m.Retained(), Duplicate: m.Duplicate(), PacketID: m.MessageID()}
	pause := l.cfg.RetryMin
	for {
		err := l.take(in.ctx, msg)
		if err == nil {
			l.taken.Add(1)
			m.Ack()
			return
		}
		if in.ctx.Err() != nil {
			in.leave(m)
			return
		}
		l.retries.Add(1)
		l.log.Warn("message refused, trying again", "topic", msg.Topic, "retry", pause, "error", err)
		sleep(in.ctx, jitter(pause))
		pause = min(pause*2, l.cfg.RetryMax)
		msg.Duplicate = true
	}
}

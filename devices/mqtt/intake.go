package mqtt

import (
	"context"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// intake stands between paho's reading goroutine, which must never wait, and
// taking, which may wait long. It belongs to one connection.
//
// What must be taken in its order is a lane: one message of it at a time. The
// lanes have their turns one after the other, a message each, so that nobody's
// backlog makes another wait, and as many as there are workers at once, so that
// they share commits.
type intake struct {
	link    *Link
	mark    *mark
	line    *line         // by which is acknowledged
	full    chan struct{} // closed when a message of QoS 1 or 2 found no room
	ctx     context.Context
	abort   context.CancelFunc // ends taking at once
	workers sync.WaitGroup

	mu      sync.Mutex
	lanes   map[string]*lane // those that have messages
	first   *lane            // those that wait for a worker, by next
	last    *lane
	working int
	held    int // messages, and their bytes
	bytes   int
	over    bool // full is closed: nothing of QoS 1 or 2 any more
	closed  bool // the connection has ended
}

// lane is the messages of one name, the first of which is being taken or will be.
type lane struct {
	name    string
	waiting []held
	next    *lane
}

// held is a message that waits here, and how long it may have waited at the broker.
type held struct {
	paho.Message
	waited time.Duration
}

// What an intake holds at most, besides Config.Queue messages.
const (
	intakeBytes  = 64 << 20
	messageBytes = 256 // of memory beside topic and payload
)

func newIntake(l *Link) *intake {
	in := &intake{link: l, mark: l.newMark(), full: make(chan struct{}), lanes: map[string]*lane{}}
	in.ctx, in.abort = context.WithCancel(context.Background())
	return in
}

func sizeOf(m paho.Message) int { return len(m.Topic()) + len(m.Payload()) + messageBytes }

// put is paho's handler; it does not wait.
func (in *intake) put(m paho.Message) {
	l := in.link
	l.received.Add(1)
	name := m.Topic()
	if l.target.Lane != nil {
		name = l.target.Lane(name)
	}
	one := held{m, in.mark.waited(m)}
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.closed:
		in.leave(m)
		return
	case in.over && m.Qos() > 0:
		l.deferred.Add(1)
		return
	case in.held >= l.cfg.Queue || in.bytes > intakeBytes:
		in.leave(m)
		if m.Qos() > 0 {
			in.over = true
			close(in.full)
		}
		return
	}
	in.held++
	in.bytes += sizeOf(m)
	if at := in.lanes[name]; at != nil {
		at.waiting = append(at.waiting, one)
		return
	}
	at := &lane{name: name, waiting: []held{one}}
	in.lanes[name] = at
	in.queue(at)
	if in.working < l.cfg.Workers {
		in.working++
		in.workers.Go(in.work)
	}
}

// queue lets a lane wait for a worker. With mu held.
func (in *intake) queue(at *lane) {
	at.next = nil
	if in.first == nil {
		in.first = at
	} else {
		in.last.next = at
	}
	in.last = at
}

// work takes messages as long as lanes wait.
func (in *intake) work() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.first != nil && in.ctx.Err() == nil {
		at := in.first
		in.first = at.next
		m := at.waiting[0]
		in.mu.Unlock()
		in.takeOne(m)
		in.mu.Lock()
		in.held--
		in.bytes -= sizeOf(m)
		at.waiting[0] = held{}
		if at.waiting = at.waiting[1:]; len(at.waiting) > 0 {
			in.queue(at)
		} else {
			delete(in.lanes, at.name)
		}
	}
	in.working--
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
// as long as it takes when that is zero. What is left then counts as left: it
// comes again on the next connection.
func (in *intake) drain(ctx context.Context, grace time.Duration) {
	in.mu.Lock()
	in.closed = true
	in.mu.Unlock()
	stop := context.AfterFunc(ctx, in.abort)
	defer stop()
	if grace > 0 {
		t := time.AfterFunc(grace, in.abort)
		defer t.Stop()
	}
	in.workers.Wait()
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, at := range in.lanes {
		for _, m := range at.waiting {
			in.leave(m)
		}
	}
	clear(in.lanes)
	in.first, in.last, in.held, in.bytes = nil, nil, 0, 0
}

// stop ends taking at once and waits for the workers.
func (in *intake) stop() {
	in.abort()
	in.drain(in.ctx, 0)
}

// acknowledge tells the broker that m is taken.
func (in *intake) acknowledge(m paho.Message) {
	if m.Qos() == 1 && in.line != nil {
		in.line.acknowledge(m.MessageID())
		return
	}
	m.Ack()
}

// takeOne takes one message and acknowledges it. A refusal is not acknowledged
// but tried again here: the broker would send it again only on a new
// connection, and with it everything else that is in flight.
func (in *intake) takeOne(m held) {
	l := in.link
	if strings.HasPrefix(m.Topic(), probeTopic) { // some station's question, see probe
		in.acknowledge(m.Message)
		return
	}
	msg := Message{Waited: m.waited, Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Retained: m.Retained(), Duplicate: m.Duplicate(), PacketID: m.MessageID()}
	pause := l.cfg.RetryMin
	for {
		err := l.take(in.ctx, msg)
		if err == nil {
			l.taken.Add(1)
			in.acknowledge(m.Message)
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

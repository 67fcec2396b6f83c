package mqtt

import (
	"bufio"
	"context"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// line is the network connection as paho sees it. paho reads a packet in three
// steps and writes each by itself; a system call for every step is half of what a
// message would cost. So a line reads ahead, and gathers what is written while it
// is writing.
type line struct {
	net.Conn
	read    *bufio.Reader
	patient time.Duration // with a write
	flushed chan struct{} // closed when nothing will be written any more

	mu     sync.Mutex
	more   *sync.Cond // there is something to write, or the end has come
	room   *sync.Cond // what was waiting is written, or the end has come
	out    []byte     // waits to be written
	closed bool
	err    error // nothing can be written any more
}

const (
	lineReads = 64 << 10 // bytes read ahead
	lineHolds = 64 << 10 // bytes that wait to be written, before writers wait
	// lineEnds is how long the last words may take when the line is closed.
	lineEnds = 500 * time.Millisecond
)

// newLine speaks over conn until it is closed or ctx ends.
func newLine(ctx context.Context, conn net.Conn, patient time.Duration) *line {
	l := &line{Conn: conn, read: bufio.NewReaderSize(conn, lineReads), patient: patient, flushed: make(chan struct{})}
	l.more, l.room = sync.NewCond(&l.mu), sync.NewCond(&l.mu)
	context.AfterFunc(ctx, func() { l.fail(ctx.Err()) })
	go l.flush()
	return l
}

func (l *line) Read(b []byte) (int, error) { return l.read.Read(b) }

// SetWriteDeadline has no say: each write has the line's own.
func (l *line) SetWriteDeadline(time.Time) error { return nil }

// Write takes b over; that it failed is told by a later one, and by the reader,
// whose connection ends with it.
func (l *line) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.out) >= lineHolds && !l.over() {
		l.room.Wait()
	}
	if l.over() {
		if l.err != nil {
			return 0, l.err
		}
		return 0, net.ErrClosed
	}
	l.out = append(l.out, b...)
	l.more.Signal()
	return len(b), nil
}

// acknowledge writes a PUBACK. paho's own would pass through three goroutines.
func (l *line) acknowledge(id uint16) {
	_, _ = l.Write([]byte{packets.Puback << 4, 2, byte(id >> 8), byte(id)}) // on a broken line it is sent again
}

func (l *line) over() bool { return l.closed || l.err != nil }

// flush writes what waits, until the line is closed or broken.
func (l *line) flush() {
	defer close(l.flushed)
	var writing []byte
	for {
		l.mu.Lock()
		for len(l.out) == 0 && !l.over() {
			l.more.Wait()
		}
		if l.err != nil || len(l.out) == 0 {
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		runtime.Gosched() // those who were answered by the same commit have something to write too
		l.mu.Lock()
		writing, l.out = l.out, writing[:0]
		l.room.Broadcast()
		if l.err == nil {
			wait := l.patient
			if l.closed {
				wait = lineEnds
			}
			_ = l.Conn.SetWriteDeadline(time.Now().Add(wait))
		}
		l.mu.Unlock()
		if _, err := l.Conn.Write(writing); err != nil {
			l.fail(err)
			return
		}
	}
}

// fail ends the line at once.
func (l *line) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
	_ = l.Conn.SetDeadline(time.Unix(1, 0))
	l.more.Broadcast()
	l.room.Broadcast()
}

// Close writes what was taken over, and hangs up.
func (l *line) Close() error {
	l.mu.Lock()
	if !l.over() {
		_ = l.Conn.SetWriteDeadline(time.Now().Add(lineEnds))
	}
	l.closed = true
	l.more.Broadcast()
	l.room.Broadcast()
	l.mu.Unlock()
	<-l.flushed
	return l.Conn.Close()
}

// forgetful is paho's store of messages under way, for a client that lives as long
// as its connection: what it would keep is asked for after a reconnection only.
type forgetful struct{}

func (forgetful) Open()                             {}
func (forgetful) Put(string, packets.ControlPacket) {}
func (forgetful) Get(string) packets.ControlPacket  { return nil }
func (forgetful) All() []string                     { return nil }
func (forgetful) Del(string)                        {}
func (forgetful) Close()                            {}
func (forgetful) Reset()                            {}

package uplinktest

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Shaped is a line of a given rate with one queue for all that goes up, as an
// access router has: whatever comes first goes first, and what the queue cannot
// hold waits at the sender. What comes down is not held up.
type Shaped struct {
	rate  float64 // bytes per second
	queue chan parcel
	life  context.Context
	wg    sync.WaitGroup

	mu    sync.Mutex
	taken []taken
}

type parcel struct {
	at   time.Time // when it came to the line
	data []byte
	to   io.Writer
	done func()
}

type taken struct {
	at    time.Time
	bytes int
}

// parcelSize is the most that goes at once, and Queue how many such the router holds.
const parcelSize = 1448

// NewShaped makes a line of so many bits per second that holds up to so many bytes.
func NewShaped(t testing.TB, bits int, holds int) *Shaped {
	life, end := context.WithCancel(context.Background())
	s := &Shaped{rate: float64(bits) / 8, queue: make(chan parcel, holds/parcelSize), life: life}
	s.wg.Go(s.carry)
	t.Cleanup(func() {
		end()
		s.wg.Wait()
	})
	return s
}

// carry lets one parcel after the other through, each in its time.
func (s *Shaped) carry() {
	free := time.Now()
	for {
		select {
		case <-s.life.Done():
			return
		case p := <-s.queue:
			// It begins when the one before it is through, or when it came: a machine
			// that runs us late does not make the line slower.
			if free.Before(p.at) {
				free = p.at
			}
			free = free.Add(time.Duration(float64(len(p.data)) / s.rate * float64(time.Second)))
			if wait := time.Until(free); wait > time.Millisecond {
				time.Sleep(wait)
			}
			if p.to != nil {
				_, _ = p.to.Write(p.data) // a receiver that is gone is its sender's affair
			}
			p.done()
		}
	}
}

// Send gives bytes to the line that nobody waits for, a picture's for example, and
// calls arrived when they are through. What finds no room is dropped, as a router
// does; Send tells how many went.
func (s *Shaped) Send(bytes int, arrived func()) int {
	sent := 0
	for sent < bytes {
		n := min(parcelSize, bytes-sent)
		p := parcel{at: time.Now(), data: make([]byte, n), done: func() {}}
		if sent+n == bytes {
			p.done = arrived
		}
		select {
		case s.queue <- p:
			s.note(n)
		default:
			return sent
		}
		sent += n
	}
	return sent
}

func (s *Shaped) note(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = append(s.taken, taken{time.Now(), n})
}

// Busiest is the most bits per second that came to the line in any span.
func (s *Shaped) Busiest(span time.Duration) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum, most, first := 0, 0, 0
	for _, x := range s.taken {
		for sum += x.bytes; x.at.Sub(s.taken[first].at) >= span; first++ {
			sum -= s.taken[first].bytes
		}
		most = max(most, sum)
	}
	return int(float64(most) * 8 / span.Seconds())
}

// Proxy gives the address at which the line to an address begins.
func (s *Shaped) Proxy(t testing.TB, to string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	all.Go(func() {
		for {
			down, err := ln.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", to)
			if err != nil {
				_ = down.Close()
				continue
			}
			mu.Lock()
			conns[down], conns[up] = true, true
			mu.Unlock()
			shut := func() { _ = down.Close(); _ = up.Close() }
			all.Go(func() { defer shut(); _, _ = io.Copy(down, up) })
			all.Go(func() { defer shut(); s.pass(down, up) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		for c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return ln.Addr().String()
}

// pass carries one connection's bytes up.
func (s *Shaped) pass(from io.Reader, to io.Writer) {
	for {
		buf := make([]byte, parcelSize)
		n, err := from.Read(buf)
		if n > 0 {
			s.note(n)
			select {
			case s.queue <- parcel{time.Now(), buf[:n], to, func() {}}:
			case <-s.life.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

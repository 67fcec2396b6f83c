package stream

import (
	"context"
	"io"
	"time"
)

// ReadOptions say how a reader wants to be served.
type ReadOptions struct {
	// Name is for people.
	Name string
	// Capacity is how many pictures the reader may be behind before it skips to a
	// newer key picture; zero means 256, ten seconds at 25 pictures a second. The
	// most is 8192.
	Capacity int
	// FromCache starts with the last key picture and what came since, if they
	// are still there; otherwise the reader starts with the next key picture.
	FromCache bool
	// Pace spreads the cached units over time; see Next.
	Pace bool
	// Record is for readers that keep what they read: they are given Damaged
	// units too, and when they fall behind they lose as little as possible,
	// instead of going to the newest picture.
	Record bool
	// Sound asks for the sound too. It comes between the pictures as it came
	// from the source, from the reader's first key picture on; what the reader
	// skips of the pictures it skips of the sound. A reader that does not ask
	// for it is not concerned by it.
	Sound bool
}

const (
	defaultCapacity = 256
	maxCapacity     = 8192
)

// maxPacedPackets bounds how fast a paced reader is given packets: 5,000 a
// second are 48 Mbit/s. A key picture of 145 packets takes 29 ms, so that a
// receiver with the kernel's default buffer of 208 KiB (some 90 packets) is not
// overrun by the units that follow it.
const maxPacedPackets = 5000

// Reader is one reader's place in a stream.
type Reader struct {
	s      *Stream
	opts   ReadOptions
	signal chan struct{}
	timer  *time.Timer // for Pace; used by Next alone

	// Guarded by s.mu:
	next      uint64 // number of the picture to be given next
	nextSound uint64
	credit    uint64 // how far it may be behind beyond Capacity: what the cache gave it
	needKey   bool
	rootless  bool // began at the last key picture: has nothing from before it
	asleep    bool
	closed    bool
	skipped   uint64
	pacing    bool
	due       time.Time     // when the next unit may be given
	began     bool          // was given a picture
	lastPTS   time.Duration // of that
}

// Read adds a reader.
func (s *Stream) Read(opts ReadOptions) *Reader {
	if opts.Capacity <= 0 {
		opts.Capacity = defaultCapacity
	}
	opts.Capacity = min(opts.Capacity, maxCapacity)
	r := &Reader{s: s, opts: opts, signal: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.next, r.nextSound = s.log.head, s.sounds.head
	r.needKey = true
	if opts.FromCache && s.cache != 0 {
		r.next, r.nextSound = s.cache, s.sounds.tail
		r.credit = s.log.head - s.cache
		r.pacing = opts.Pace
	}
	if !s.closed {
		s.readers = append(s.readers, r)
	}
	return r
}

// Next returns the next unit. It waits until there is one, ctx ends (its error
// is returned) or the stream or the reader is closed (io.EOF).
//
// With Pace, the units that were already there when the reader began are not
// given all at once, which would be a burst of a few megabytes, but
// Config.PaceSpeed times as fast as they were made, and never more than 5,000
// packets a second. The first one, the key picture, is given at once. A reader
// that starts in the middle of two seconds between key pictures has caught up
// after some 150 ms; from then on units are given as they come, without delay.
func (r *Reader) Next(ctx context.Context) (*Unit, error) {
	for {
		u, wait, err := r.take()
		if u != nil || err != nil {
			return u, err
		}
		if wait > 0 {
			if err := r.pause(ctx, wait); err != nil {
				return nil, err
			}
			continue
		}
		select {
		case <-r.signal:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take returns the next unit; or how long to wait for it because of Pace; or
// neither, when there is none yet.
func (r *Reader) take() (*Unit, time.Duration, error) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	r.asleep = false
	if r.closed {
		return nil, 0, io.EOF
	}
	r.catchUp()
	for {
		if u := r.takeSound(); u != nil {
			return u, 0, nil
		}
		if r.next == s.log.head {
			break
		}
		u := s.log.at(r.next)
		if r.unfit(u) {
			r.next++
			if r.began { // waiting for the first key picture is no loss
				r.skip(1)
			}
			continue
		}
		if r.pacing {
			if wait := r.pace(u); wait > 0 {
				return nil, wait, nil
			}
		}
		if u.Key {
			r.rootless = r.needKey
			if r.needKey {
				r.beginSound(r.next)
			}
		}
		r.next++
		r.needKey = false
		r.began, r.lastPTS = true, u.PTS
		if r.next == s.log.head {
			r.pacing, r.credit = false, 0
		}
		return u, 0, nil
	}
	if s.closed {
		return nil, 0, io.EOF
	}
	r.pacing, r.credit = false, 0
	r.asleep = true
	return nil, 0, nil
}

// unfit tells that the reader cannot use the unit.
func (r *Reader) unfit(u *Unit) bool {
	if u.Damaged && !r.opts.Record || u.leading && r.rootless {
		return true
	}
	return r.needKey && (!u.Key || u.Damaged)
}

// pace returns how long the unit must still wait, or charges it.
func (r *Reader) pace(u *Unit) time.Duration {
	now := time.Now()
	if !r.due.IsZero() {
		if wait := r.due.Sub(now); wait > 0 {
			return wait
		}
	}
	var spread time.Duration
	if r.next+1 < r.s.log.head {
		spread = min(max(r.s.log.at(r.next+1).PTS-u.PTS, 0), time.Second) / time.Duration(r.s.cfg.PaceSpeed)
	}
	r.due = now.Add(max(spread, time.Duration(len(u.Packets))*time.Second/maxPacedPackets))
	return 0
}

// catchUp moves a reader that is too far behind to a newer key picture.
func (r *Reader) catchUp() {
	s := r.s
	behind := s.log.head - r.next
	if r.next >= s.log.tail && behind <= uint64(r.opts.Capacity)+r.credit {
		return
	}
	r.credit = 0
	// A recording reader takes the oldest key picture that leaves it half its
	// capacity, so that it loses little and does not skip again at once; others
	// take the newest.
	to := uint64(0)
	for n := s.log.head - 1; n >= s.log.tail && n > r.next; n-- {
		if u := s.log.at(n); !u.Key || u.Damaged {
			continue
		}
		if to != 0 && s.log.head-n > uint64(r.opts.Capacity)/2 {
			break
		}
		to = n
		if !r.opts.Record {
			break
		}
	}
	if to == 0 {
		to = s.log.head
	}
	r.skip(to - r.next)
	r.next = to
	r.needKey = true
}

func (r *Reader) skip(n uint64) {
	r.skipped += n
	r.s.stats.Skipped += n
}

// wants is the number of the oldest unit that must be kept for the reader.
func (r *Reader) wants(head uint64) uint64 {
	most := uint64(r.opts.Capacity) + r.credit
	if head-r.next > most {
		return head - most
	}
	return r.next
}

// wake lets Next look again. s.mu is held.
func (r *Reader) wake() {
	r.asleep = false
	select {
	case r.signal <- struct{}{}:
	default:
	}
}

func (r *Reader) pause(ctx context.Context, d time.Duration) error {
	if r.timer == nil {
		r.timer = time.NewTimer(d)
	} else {
		r.timer.Reset(d)
	}
	select {
	case <-r.timer.C:
		return nil
	case <-ctx.Done():
		r.timer.Stop()
		return ctx.Err()
	}
}

// Skipped is how many pictures the reader was not given: because it was too slow,
// because they were damaged, or because they need a key picture that it did not
// get. The wait for its first key picture does not count.
func (r *Reader) Skipped() uint64 {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.skipped
}

// Behind is how far the unit that the reader was last given lies behind the
// newest one.
func (r *Reader) Behind() time.Duration {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if !r.began {
		return 0
	}
	return max(r.s.log.at(r.s.log.head-1).PTS-r.lastPTS, 0)
}

// Close ends the reader; a waiting Next returns io.EOF.
func (r *Reader) Close() {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	r.wake()
	for i, x := range r.s.readers {
		if x == r {
			last := len(r.s.readers) - 1
			r.s.readers[i] = r.s.readers[last]
			r.s.readers[last] = nil
			r.s.readers = r.s.readers[:last]
			return
		}
	}
}
